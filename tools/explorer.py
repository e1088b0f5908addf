"""Make what the explorer page shows: toy scenes, and who finds them.

    python tools/explorer.py [--missing] [SYSTEM ...]

Every system with a recorded run on toy scenes is trained once more, with the
config and the seed of its first record, and looks for every sentence and every
picture of the test split. What it puts first goes to `web/explorer/data.js`,
small pictures of the scenes to `web/explorer/scenes.jpg`. `--missing` makes
only what is not there yet; `make book` calls it so. Nothing here is specific to
a system: one that reads both sides at once shows its second stage, too.
"""

import argparse
import json
import re
import sys
from pathlib import Path

import numpy as np
from nbkit import ROOT
from pages import system_name
from PIL import Image

from rsir.data import load_dataset, open_image
from rsir.evaluation.metrics import recalls_from_ranks
from rsir.experiments.records import load_records
from rsir.models import config, methods
from rsir.utils.io import atomic_write
from rsir.utils.seed import seed_everything

OUT = ROOT / "web/explorer"
DATA, SHEET = "data.js", "scenes.jpg"
HEAD = "window.rsirExplorer = "
VERSION = 2
EDGE, COLUMNS, QUALITY = 112, 15, 72
TOP = 10
STAGES = {
    "first": "no second look",
    "joint": "its own second stage",
    "mr": "MR, from GaLR (chapter 03)",
    "ppsr": "PPSR, from CFITR (chapter 05)",
}


def packed(numbers) -> str:
    """Two digits of base 36 a number, below 1,296."""
    return "".join(np.base_repr(n, 36).lower().zfill(2) for n in map(int, numbers))


def unpacked(text: str) -> list[int]:
    return [int(text[i : i + 2], 36) for i in range(0, len(text), 2)]


def lists(scores: np.ndarray, right: list[list[int]]) -> str:
    """For each query its best place of a right item, then the top.

    scores: `[n_queries, n_items]`, higher is closer; ties keep the order of
        the items, since a page must show some order.
    right: the items that count as found, a list a query.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    place = np.argsort(order, axis=1)
    lines = zip(order, place, right, strict=True)
    return "".join(packed([min(p[own]) + 1, *o[:TOP]]) for o, p, own in lines)


def scene_facts(split) -> dict:
    """Sentences, what belongs to what, and the kinds of scenes."""
    texts, of_caption = split.unique_texts()
    of_image = [
        list(dict.fromkeys(of_caption[split.caption_indices(i)].tolist()))
        for i in range(split.n_images)
    ]
    return {
        "texts": [re.sub(r" ([.,;:])", r"\1", text) for text in texts],
        "captions": of_image,
        "kinds": list(split.labels),
    }


def owners(captions: list[list[int]], n_texts: int) -> list[list[int]]:
    """The pictures that each sentence was written for."""
    return [[i for i, own in enumerate(captions) if t in own] for t in range(n_texts)]


def sheet(split) -> Image.Image:
    """All test scenes on one picture, `COLUMNS` in a row."""
    rows = -(-split.n_images // COLUMNS)
    page = Image.new("RGB", (COLUMNS * EDGE, rows * EDGE))
    for number, path in enumerate(split.images):
        small = open_image(path).resize((EDGE, EDGE), Image.Resampling.LANCZOS)
        page.paste(small, (number % COLUMNS * EDGE, number // COLUMNS * EDGE))
    return page


def first_records() -> dict:
    """{method: its record} on toy scenes: fresh, headline, least seed."""
    found, known = {}, methods()
    for run in load_records(dataset="toy"):
        rows = known[run.method].variants if run.method in known else ()
        if run.variant == next(iter(rows), None) and not run.stale():
            found.setdefault(run.method, run)
    return {name: found[name] for name in known if name in found}


def stages(model, encoded, m: int) -> tuple[dict, float]:
    """({stage: (t2i, i2t)}, mR), both lists query by item.

    m: candidates that the system's own second stage orders anew. The mR is
        that of its last stage, as in a record.
    """
    from rsir.retrieval import rerank
    from rsir.retrieval.two_stage import TwoStage

    both = TwoStage(model, encoded)
    scores = both.coarse()
    made = {"first": {"t2i": scores, "i2t": scores}}
    if m:
        made["joint"] = both.lists(scores, m)
    # the share term of MR needs scores that are all positive: left out
    mr = rerank.multivariate_rerank
    made["mr"] = {side: mr(scores, side, w_sig=0.0) for side in made["first"]}
    made["ppsr"] = dict.fromkeys(made["first"], rerank.ppsr(scores))
    found = {name: (its["t2i"].T, its["i2t"]) for name, its in made.items()}
    return found, recalls_from_ranks(both.ranks(scores, m))["mR"]


def system_facts(record, splits, scenes: dict) -> dict:
    """What the page knows about one system, trained once more."""
    from rsir.training.trainer import train

    asked = config(record.method, record.preset, record.variant, seed=record.seed)
    seed_everything(record.seed)  # as its record was made
    model = train(asked, splits, progress=False).model
    # how far to read was chosen on val when the record was made
    m = record.facts.get("rescored", {}).get("k", 0)
    made, mR = stages(model, model.encode_split(splits.test, progress=False), m)
    i2t = scenes["captions"]
    t2i = owners(i2t, len(scenes["texts"]))
    return {
        "method": record.method,
        "variant": record.variant,
        "seed": record.seed,
        "mR": round(mR, 2),
        "recorded": round(record.mR, 2),
        "stages": {
            name: {"t2i": lists(both[0], t2i), "i2t": lists(both[1], i2t)}
            for name, both in made.items()
        },
    }


def load(out: Path = OUT) -> dict | None:
    """What was made before; None if there is nothing of this version."""
    path = out / DATA
    text = path.read_text("utf-8") if path.exists() else "{}"
    known = json.loads(text.removeprefix(HEAD).rstrip(";\n"))
    return known if known.get("version") == VERSION else None


def save(facts: dict, out: Path = OUT) -> None:
    with atomic_write(out / DATA) as file:
        file.write(HEAD + json.dumps(facts, separators=(",", ":")) + ";\n")


def missing(known: dict | None) -> list[str]:
    """Systems with a record on toy scenes that the page lacks."""
    have = {one["method"] for one in known["systems"]} if known else ()
    return [name for name in first_records() if name not in have]


def make(names: list[str], known: dict | None, out: Path = OUT) -> dict:
    """Train `names`, put them beside what is known, write all."""
    splits = load_dataset("toy")
    scenes, records = scene_facts(splits.test), first_records()
    if known and known["scenes"] != scenes:
        known, names = None, list(records)  # other toy scenes
    if known is None or not (out / SHEET).exists():
        with atomic_write(out / SHEET, "wb") as file:
            sheet(splits.test).save(file, "JPEG", quality=QUALITY, optimize=True)
    made = {one["method"]: one for one in known["systems"]} if known else {}
    for name in names:
        print(f"explorer: {name} ...", flush=True)
        made[name] = system_facts(records[name], splits, scenes)
    made = {name: made[name] for name in records if name in made}
    for name, one in made.items():  # records may be newer
        one |= {"name": system_name(name), "recorded": round(records[name].mR, 2)}
    facts = {"version": VERSION, "edge": EDGE, "columns": COLUMNS, "top": TOP}
    facts |= {"scenes": scenes, "stages": STAGES, "systems": list(made.values())}
    save(facts, out)
    return facts


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("systems", nargs="*")
    parser.add_argument("--missing", action="store_true")
    args = parser.parse_args(argv)
    known = load()
    names = missing(known if args.missing else None)
    if args.missing and known and not names and (OUT / SHEET).exists():
        return 0
    names = names if args.missing else args.systems or names
    facts = make(names, known if args.missing or args.systems else None)
    size = sum(p.stat().st_size for p in (OUT / DATA, OUT / SHEET))
    print(f"explorer: {len(facts['systems'])} systems, {size // 1024} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
