"""The models that come with the project, in `weights/`.

    python tools/weights.py worlds        models of `WORLDS` whose runs are kept
    python tools/weights.py train OUT     trains on the train lists of RSICD and UCM
    RSIR_WEIGHTS=OUT rsir bench weights:dual --dataset rsicd
    RSIR_WEIGHTS=OUT rsir bench weights:dual --dataset ucm
    python tools/weights.py card OUT      puts the recalls of these records into it

`worlds` and `card` write `weights/` of this checkout: a file, its checksum and its
model card as a page. The runs are those of `rsir reproduce` in `RSIR_CACHE`.
"""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rsir.data import Split, Splits, load_dataset
from rsir.encoders.feature_cache import cached_features, stored
from rsir.experiments.records import load_records, results_dir
from rsir.experiments.run import Job, clean_commit, digests
from rsir.experiments.tables import SYSTEMS
from rsir.models import build, config
from rsir.training.checkpoints import load_run
from rsir.training.trainer import train
from rsir.training.weights import load_weights, model_card, save_weights
from rsir.utils.seed import seed_everything

ROOT = Path(__file__).resolve().parents[1]
NAME, SETS, SEED = "dual", ("rsicd", "ucm"), 0
#: {file: (method, world, variant, seed)}: the run that is kept, and its world
WORLDS = {
    "amfmn-scales": ("amfmn", "scales", "soft-minilm", 0),
    "amfmn-scales-global": ("amfmn", "scales", "abl-global", 0),
    "galr-counts": ("galr", "counts", "midf", 0),
    "galr-counts-global": ("galr", "counts", "global", 0),
    "envlf-things": ("envlf", "things", "rescored", 1),
    "cfitr-things": ("cfitr", "things", "coarse-to-fine", 1),
}
NOT_FOR = {
    "rsitmd": "pictures and captions of its test list stand in RSICD's train list"
}


def joined(parts: Sequence[Split]) -> Split:
    """One split of several data sets, in their order."""
    starts = np.cumsum([0, *(part.n_images for part in parts)])
    return Split(
        dataset="+".join(part.dataset for part in parts),
        name=parts[0].name,
        images=[path for part in parts for path in part.images],
        captions=[text for part in parts for text in part.captions],
        owner=np.concatenate([p.owner + start for p, start in zip(parts, starts)]),
        ids=[f"{part.dataset}/{name}" for part in parts for name in part.ids],
    )


def copy_features(model, whole: Split, parts: Sequence[Split]) -> None:
    """Fill the store for `whole` with what it has, or computes, for its parts."""
    encoder = model.image_encoder
    first, *more = getattr(encoder, "members", [encoder])
    for one, names in (first, model.reads), *((one, ["pooled"]) for one in more):
        found = [cached_features(one, part, names) for part in parts]
        rows_of = {k: np.concatenate([part[k] for part in found]) for k in names}

        def rows(which: range, missing, rows_of=rows_of):
            return {k: rows_of[k][which.start : which.stop] for k in missing}

        stored(one.name, one.identity(), whole, names, rows)


def train_command(out: Path) -> None:
    commit = clean_commit()
    seed_everything(SEED)
    sets = [load_dataset(name) for name in SETS]
    pairs = {part: [one[part] for one in sets] for part in ("train", "val")}
    splits = {part: joined(both) for part, both in pairs.items()}
    nothing = splits["val"].subset([])  # test lists are for the records
    asked = config(NAME, "cpu", seed=SEED)
    model = build(asked, splits["train"])
    for part, whole in splits.items():
        copy_features(model, whole, pairs[part])
    start = time.perf_counter()
    run = train(asked, Splits("+".join(SETS), out, **splits, test=nothing), out / "run")
    card = {
        "name": NAME,
        "use": "`rsir search` and `rsir index` use it on pictures",
        "method": asked.method,
        "trained on": {
            one.name: {
                "train": digests(one)["train"],
                "images": one.train.n_images,
                "captions": one.train.n_captions,
            }
            for one in sets
        },
        "selected on": "the val lists of these sets, taken together",
        "val mR": round(run.val_mR, 2),
        "never seen": "the test lists of these sets; of their val lists, the mR alone",
        "not for": NOT_FOR,
        "seed": SEED,
        "commit": commit,
        "minutes": round((time.perf_counter() - start) / 60, 1),
        "licence": "MIT, as the code. RSICD states no licence; UCM is public domain",
    }
    save_weights(run.model, out / f"{NAME}.safetensors", card)


def card_command(out: Path) -> None:
    os.environ["RSIR_WEIGHTS"] = str(out)
    card = model_card(NAME)
    card["recalls"] = {}
    for name in SETS:
        (record,) = load_records("bench", name, f"weights-{NAME}")
        card["recalls"][name] = record.recalls["expected"]
    keep(load_weights(NAME), NAME, card)


def worlds_command() -> None:
    for name, (method, world, variant, seed) in WORLDS.items():
        job = Job(method, f"world-{world}", "world", variant, seed)
        if not job.run_dir().is_dir():
            print(f"{name}: kept as it is, no run at hand; {job.command}")
            continue
        record = job.record(results_dir(), fresh=True)
        if record is None:
            sys.exit(f"{name}: no fresh record; {job.command}")
        splits = load_dataset(job.dataset)
        facts = {"train": digests(splits)["train"], "images": splits.train.n_images}
        facts["captions"] = splits.train.n_captions
        card = {
            "name": name,
            "use": f"it shows what {SYSTEMS[method]} does in a world of toy scenes",
            "method": method,
            "trained on": {job.dataset: facts},
            "selected on": "val of this world",
            "val mR": round(record.val_mR, 2),
            "never seen": "test of this world, scored once; any real picture",
            "recalls": {job.dataset: record.recalls["expected"]},
            "seed": seed,
            "commit": record.commit,
            "licence": "MIT, as the code",
        }
        if read := record.facts.get("rescored"):
            card["places read"] = read["k"]
        keep(load_run(job.run_dir()), name, card)


def keep(model, name: str, card: dict) -> None:
    """Weights, checksum and card in `weights/`."""
    home = ROOT / "weights"
    home.mkdir(exist_ok=True)
    save_weights(model, home / f"{name}.safetensors", card)
    (home / f"{name}.md").write_text(page(card), encoding="utf-8")


def page(card: dict) -> str:
    """The model card, as Markdown."""
    lines = [
        f"# {card['name']}: a model that is ready",
        "",
        f'`load_weights("{card["name"]}")` gives it; {card["use"]}. The frozen encoders '
        "come from their packages.",
        "",
        "| set | i2t R@1 | R@5 | R@10 | t2i R@1 | R@5 | R@10 | mR |",
        "| :-- | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for name, found in card["recalls"].items():
        six = [found[side][f"R@{k}"] for side in ("i2t", "t2i") for k in (1, 5, 10)]
        cells = " | ".join(f"{x:.2f}" for x in (*six, found["mR"]))
        lines.append(f"| {name} test | {cells} |")
    lines.append("")
    for name, one in card["trained on"].items():
        lines.append(
            f"- Trained on the train list of {name}: {one['images']:,} pictures, "
            f"{one['captions']:,} captions (list `{one['train']}`)."
        )
    lines += [f"- Selected on {card['selected on']}: mR {card['val mR']}."]
    if deep := card.get("places read"):
        lines += [f"- Reads the first {deep} places of a list, as chosen there."]
    lines += [f"- Never seen: {card['never seen']}."]
    lines += [
        f"- Not to be measured on {k}: {v}." for k, v in card.get("not for", {}).items()
    ]
    lines += [f"- Seed {card['seed']}, commit `{card['commit'][:10]}`."]
    lines += [f"- Licence: {card['licence']}."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    commands = {"train": train_command, "card": card_command, "worlds": worlds_command}
    name, *rest = sys.argv[1:] or [""]
    if name not in commands or len(rest) != (name != "worlds"):
        sys.exit(__doc__)
    commands[name](*map(Path, rest))
