"""Make what the explorer page shows: toy scenes, and who finds them.

    python tools/explorer.py [--missing] [SYSTEM ...]

Every registered system with a recorded run on toy scenes is trained once
more, with the recipe and the seed of its first record, and looks for every
sentence and every picture of the test split. What it puts first goes to
`web/explorer/data.js`, small pictures of the scenes to
`web/explorer/scenes.jpg`. `--missing` makes only what is not there yet;
`make book` calls it so. Nothing here is specific to a system: one that can
read both sides at once shows its second stage, too.
"""

import argparse
import json
import re
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from measured import SYSTEMS

from rsir.utils.io import atomic_write

OUT = ROOT / "web/explorer"
DATA, SHEET = "data.js", "scenes.jpg"
HEAD = "window.rsirExplorer = "
VERSION = 1
EDGE, COLUMNS, QUALITY = 112, 15, 72
TOP = 10
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
STAGES = {
    "first": "no second look",
    "joint": "its own second stage",
    "mr": "MR, from GaLR (chapter 03)",
    "ppsr": "PPSR, from CFITR (chapter 05)",
}


# -- numbers as text --------------------------------------------------


def packed(numbers) -> str:
    """Two digits of base 36 a number, below 1,296."""
    return "".join(DIGITS[n // 36] + DIGITS[n % 36] for n in map(int, numbers))


def unpacked(text: str) -> list[int]:
    return [int(text[i : i + 2], 36) for i in range(0, len(text), 2)]


def lists(scores: np.ndarray, right: list[list[int]]) -> str:
    """For each query its best place of a right item, then the top.

    scores: `[n_queries, n_items]`, higher is closer.
    right: the items that count as found, a list a query.

    Equals keep the order of the items: a page must show some order.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(order.shape[1])[None], axis=1)
    return "".join(
        packed([min(place[q, right[q]]) + 1, *order[q, :TOP]])
        for q in range(len(scores))
    )


# -- scenes -----------------------------------------------------------


def scene_facts(split) -> dict:
    """Sentences, what belongs to what, and the kinds of scenes."""
    texts, of_caption = split.unique_texts()
    of_image = [[] for _ in range(split.n_images)]
    for caption, image in enumerate(split.owner):
        if of_caption[caption] not in of_image[image]:
            of_image[image].append(int(of_caption[caption]))
    return {
        "texts": [re.sub(r" ([.,;:])", r"\1", text) for text in texts],
        "captions": of_image,
        "kinds": list(split.labels),
    }


def owners(captions: list[list[int]], n_texts: int) -> list[list[int]]:
    """The pictures that each sentence was written for."""
    found = [[] for _ in range(n_texts)]
    for image, texts in enumerate(captions):
        for text in texts:
            found[text].append(image)
    return found


def sheet(split) -> Image.Image:
    """All test scenes on one picture, `COLUMNS` in a row."""
    from rsir.data import open_image

    rows = -(-split.n_images // COLUMNS)
    page = Image.new("RGB", (COLUMNS * EDGE, rows * EDGE))
    for number, path in enumerate(split.images):
        small = open_image(path).resize((EDGE, EDGE), Image.Resampling.LANCZOS)
        at = number % COLUMNS * EDGE, number // COLUMNS * EDGE
        page.paste(small, at)
    return page


# -- systems ----------------------------------------------------------


def first_records() -> dict:
    """{method: its record} on toy scenes: headline row, least seed."""
    from rsir.experiments.records import load_records
    from rsir.models.recipes import ROWS
    from rsir.models.registry import HOMES

    found = {}
    for run in load_records(dataset="toy"):
        head = next(iter(ROWS.get(run.method, ())), None)
        if run.method in HOMES and run.row == head:
            found.setdefault(run.method, run)
    return {name: found[name] for name in HOMES if name in found}


def trained(record, splits):
    """(recipe, model, test split as the model reads it)."""
    from rsir.models.recipes import recipe
    from rsir.training.batches import Corpus
    from rsir.training.trainer import train

    asked = recipe(record.method, record.preset, record.row, seed=record.seed)
    run = train(asked, splits, progress=False)
    corpus = Corpus(splits.test, run.model, progress=False)
    return asked, run.model, corpus


def stages(model, corpus, read: dict) -> tuple[dict, float]:
    """({stage: (t2i, i2t)}, mR), both lists query by item.

    read: "k" items that the system's own second stage orders anew, and
        how much of its "reading" counts; empty if it has none. The mR
        is then that of the second stage, as in a record.
    """
    from rsir.evaluation import metrics
    from rsir.retrieval import rerank
    from rsir.training.trainer import encode_corpus

    images, texts = encode_corpus(model, corpus)
    scores = model.score(images, texts).float().cpu().numpy()
    found = {"first": (scores.T, scores)}
    last = {"t2i": scores, "i2t": scores}
    if second := own_second_stage(model, images, texts, scores, read):
        found["joint"] = second["t2i"].T, second["i2t"]
        last = second
    # the share term needs scores that are all positive: left out
    found["mr"] = tuple(
        matrix.T if side == "t2i" else matrix
        for side in ("t2i", "i2t")
        for matrix in [rerank.multivariate_rerank(scores, side, w_sig=0.0)]
    )
    popular = rerank.ppsr(scores)
    found["ppsr"] = popular.T, popular
    owner = corpus.split.owner
    six = [
        value
        for side, matrix in (("t2i", last["t2i"]), ("i2t", last["i2t"]))
        for value in metrics.evaluate(matrix[:, corpus.text_id], owner, bootstrap=0)
        .to_dict()[side]
        .values()
    ]
    return found, float(np.mean(six))


def own_second_stage(model, images, texts, scores, read) -> dict | None:
    """Both lists ordered anew by a model that reads both sides."""
    from rsir.models.base import JointRetriever
    from rsir.retrieval.two_stage import reader, rescore_both

    if not read.get("k") or not isinstance(model, JointRetriever):
        return None
    return rescore_both(
        scores,
        reader(model, images, texts, read.get("reading", 1.0)),
        read["k"],
    )


def system_facts(record, splits, scenes: dict) -> dict:
    """What the page knows about one system."""
    asked, model, corpus = trained(record, splits)
    # how far to read was chosen on val when the record was made
    read = record.facts.get("rescored") or {"k": getattr(asked, "rescore", 0)}
    made, mR = stages(model, corpus, read)
    right = owners(scenes["captions"], len(scenes["texts"]))
    return {
        "method": record.method, "row": record.row,
        "seed": record.seed, "mR": round(mR, 2),
        "recorded": round(record.mR, 2),
        "stages": {
            name: {"t2i": lists(t2i, right),
                   "i2t": lists(i2t, scenes["captions"])}
            for name, (t2i, i2t) in made.items()
        },
    }  # fmt: skip


# -- files ------------------------------------------------------------


def load(out: Path = OUT) -> dict | None:
    """What was made before; None if there is nothing of this version."""
    path = out / DATA
    if not path.exists():
        return None
    text = path.read_text(encoding="utf-8")
    known = json.loads(text.removeprefix(HEAD).rstrip(";\n"))
    return known if known.get("version") == VERSION else None


def save(facts: dict, out: Path = OUT) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with atomic_write(out / DATA) as file:
        file.write(HEAD + json.dumps(facts, separators=(",", ":")))
        file.write(";\n")


def missing(known: dict | None) -> list[str]:
    """Systems with a record on toy scenes that the page lacks."""
    have = {one["method"] for one in (known or {}).get("systems", ())}
    return [name for name in first_records() if name not in have]


def make(names: list[str], known: dict | None, out: Path = OUT) -> dict:
    """Train `names`, put them beside what is known, write all."""
    from rsir.data import load_dataset

    splits = load_dataset("toy")
    scenes = scene_facts(splits.test)
    if known and known["scenes"] != scenes:
        known, names = None, list(first_records())  # other toy scenes
    if known is None or not (out / SHEET).exists():
        out.mkdir(parents=True, exist_ok=True)
        with atomic_write(out / SHEET, "wb") as file:
            sheet(splits.test).save(file, format="JPEG", quality=QUALITY, optimize=True)
    made = {one["method"]: one for one in (known or {}).get("systems", ())}
    records = first_records()
    for name in names:
        print(f"explorer: {name} ...", flush=True)
        made[name] = system_facts(records[name], splits, scenes)
    for name in made:
        made[name]["name"] = SYSTEMS.get(name, name)
    for name in made.keys() & records.keys():  # records may be newer
        made[name]["recorded"] = round(records[name].mR, 2)
    facts = {
        "version": VERSION, "edge": EDGE, "columns": COLUMNS,
        "top": TOP, "scenes": scenes, "stages": STAGES,
        "systems": [made[name] for name in records if name in made],
    }  # fmt: skip
    save(facts, out)
    return facts


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("systems", nargs="*")
    parser.add_argument("--missing", action="store_true")
    args = parser.parse_args(argv)
    known = load()
    if args.missing:
        names = missing(known)
        if known and not names and (OUT / SHEET).exists():
            return 0
    else:
        names = args.systems or list(first_records())
    facts = make(names, known if args.missing or args.systems else None)
    size = sum(p.stat().st_size for p in (OUT / DATA, OUT / SHEET))
    print(f"explorer: {len(facts['systems'])} systems, {size // 1024} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
