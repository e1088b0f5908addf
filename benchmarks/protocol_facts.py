"""What chapter 01 says about real data, measured and written down.

    python benchmarks/protocol_facts.py [ucm] [--encoder NAME] [--write]
    python benchmarks/protocol_facts.py --captions FILE [--write]

Duplicates, ceilings, false negatives and the recalls of the ridge
baseline under every tie rule. `--encoder` adds the same closed-form
ridge on the pooled features of a frozen image encoder. The data set is
found through RSIR_DATA; `--write` puts the facts into
results/protocol/<data set>.json, where the chapter reads them.

`--captions` needs no pictures: of a Karpathy JSON it counts all but the
ridge baseline. Of RSITMD it counts the overlap with RSICD, too, by the
pairs of pictures in results/protocol/rsitmd_pairs.csv.
"""

import argparse
import csv
import json
import os
import platform
import re
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np

import rsir
from rsir.data import Split, Splits, load_dataset
from rsir.data.caption_statistics import (
    captions_hash,
    duplicate_facts,
    false_negatives,
    fresh,
)
from rsir.data.catalog import CATALOG
from rsir.data.readers import find_dataset, parse_karpathy
from rsir.evaluation import metrics
from rsir.evaluation.ranks import compute_ranks
from rsir.models.ridge import Ridge
from rsir.utils.io import atomic_write

ROOT = Path(__file__).resolve().parent.parent
BATCHES = (16, 32, 64, 128, 256, 512)
PAIRS = ROOT / "results/protocol/rsitmd_pairs.csv"


def captions_alone(path: Path) -> Splits:
    """The splits of a Karpathy JSON; its pictures need not be there.

    Val joins train where the catalogue has no val, as of RSITMD.
    """
    name = json.loads(path.read_text(encoding="utf-8"))["dataset"].lower()
    cut = CATALOG[name].splits[1] is None
    parts = {"train": [], "val": [], "test": []}
    for record in parse_karpathy(path, name):
        own = "train" if cut and record.split == "val" else record.split
        parts[own].append(record)
    made = []
    for part, own in parts.items():
        names = [record.id for record in own]
        owner = np.repeat(range(len(own)), [len(record.captions) for record in own])
        captions = [text for record in own for text in record.captions]
        made.append(Split(name, part, names, captions, owner, names))
    return Splits(name, path.parent, *made)


def encoder_look(name):
    """A `look` for `Ridge`: pooled features of a frozen encoder."""
    from rsir.encoders import image_encoder
    from rsir.encoders.feature_cache import cached_features

    encoder = image_encoder(name)

    def look(split):
        found = cached_features(encoder, split, ("pooled",), progress=False)
        return np.asarray(found["pooled"], np.float32)

    return look


def tie_facts(scores, owner) -> dict:
    """Recalls of one matrix under every rule, mR with its interval."""
    found = compute_ranks(scores, owner)
    recalls = {rule: metrics.recalls_from_ranks(found, rule) for rule in metrics.TIES}
    return {"recalls": recalls, "ci95_mR": metrics.evaluate_ranks(found).ci95["mR"]}


def perfect_scores(split) -> np.ndarray:
    """1 where the image owns the text of the caption, else 0."""
    texts, which = split.unique_texts()
    owns = np.zeros((split.n_images, len(texts)), np.float32)
    owns[split.owner, which] = 1
    return owns[:, which]


def choosing_facts(splits, models) -> dict:
    """Whether val is like test: what train has told of each.

    The mR of each model is of all images, and of the fresh ones; None where
    there are fewer than 100. A split without images is left out.
    """
    inside, out = set(splits.train.captions), {}

    def mR(model, part):
        if part.n_images < 100:
            return None
        return metrics.evaluate(model.scores(part), part.owner, bootstrap=0).mR

    for split in filter(len, (splits.val, splits.test)):
        new = fresh(split, splits.train)
        parts = {"all": split, "fresh": split.subset(new)}
        out[split.name] = {
            "captions_in_train": sum(c in inside for c in split.captions),
            "fresh_images": int(new.sum()),
            "mR": {
                name: {kind: mR(model, part) for kind, part in parts.items()}
                for name, model in models.items()
            },
        }
    return out


def overlap_facts(mine, theirs, pairs) -> dict:
    """What of one data set stands in another one.

    Args:
        mine, theirs: `Splits`.
        pairs: {stem of a picture of mine: stem of the same scene of theirs}.

    Returns:
        pictures: {my split: {their split: pictures of mine that stand there}};
        words: {my split: captions of these pictures; how many say a caption of
            the same scene word for word; and, for comparison, one of the next
            scene in the list of pairs};
        known: {"mine", "theirs": {split: {split of the other: captions
            of the one that stand in the other, at any picture}}}.
        Captions are compared by `plain`.
    """
    said, place = {}, {}
    for split in theirs:
        for i, name in enumerate(split.ids):
            said[Path(name).stem] = {plain(text) for text in split.captions_of(i)}
            place[Path(name).stem] = split.name
    names = list(pairs)
    after = dict(zip(names, names[1:] + names[:1]))
    pictures, words = {}, {}
    for split in filter(len, mine):
        count = dict.fromkeys((s.name for s in theirs), 0)
        row = {"captions": 0, "same scene": 0, "next scene": 0}
        for i, name in enumerate(split.ids):
            stem = Path(name).stem
            if stem not in pairs:
                continue
            count[place[pairs[stem]]] += 1
            for text in map(plain, split.captions_of(i)):
                row["captions"] += 1
                row["same scene"] += text in said[pairs[stem]]
                row["next scene"] += text in said[pairs[after[stem]]]
        pictures[split.name], words[split.name] = count, row
    both = {"mine": (mine, theirs), "theirs": (theirs, mine)}
    known = {side: told(*two) for side, two in both.items()}
    return {"pictures": pictures, "words": words, "known": known}


def told(some, others) -> dict:
    """{split: {split of others: how many captions stand there, too}}."""
    inside = {s.name: {*map(plain, s.captions)} for s in others if len(s)}
    return {
        split.name: {
            name: sum(plain(text) in texts for text in split.captions)
            for name, texts in inside.items()
        }
        for split in some
        if len(split)
    }


def plain(text: str) -> str:
    """The words of a caption: capitals, stops and commas aside."""
    return " ".join(re.findall(r"\w+", text.lower()))


def pairs_with(source: str) -> dict[str, str]:
    """{stem in RSITMD: stem in the source} of the list of pairs."""
    with PAIRS.open(encoding="utf-8") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return {r["rsitmd"]: r["picture"] for r in rows if r["source"] == source}


def facts(splits, encoder=None, pictures=True) -> dict:
    """Everything that the chapter reads about one data set."""
    test = splits.test
    systems = {"ridge": Ridge()} if pictures else {}
    if encoder:
        systems[encoder] = Ridge(look=encoder_look(encoder))
    for model in systems.values():
        model.fit(splits.train)
    return {
        "dataset": splits.name,
        "captions_sha256": {s.name: captions_hash(s) for s in splits if len(s)},
        "splits": {s.name: duplicate_facts(s) for s in splits if len(s)},
        "choosing": choosing_facts(splits, systems),
        "random": metrics.random_baseline(test.owner),
        "ceilings": {
            s.name: metrics.ceilings(s.captions, s.owner) for s in splits if len(s)
        },
        "perfect": tie_facts(perfect_scores(test), test.owner),
        "systems": {
            name: tie_facts(model.scores(test), test.owner)
            for name, model in systems.items()
        },
        "false_negatives": {str(b): false_negatives(splits.train, b) for b in BATCHES},
    }


def show(found) -> None:
    """The main facts as a few lines."""
    test, top = found["splits"]["test"], found["ceilings"]["test"]
    print(
        f"{found['dataset']}: {test['n_images']} test images, "
        f"{test['n_captions']} captions, {test['n_texts']} distinct"
    )
    print(f"  mR: random {found['random']['mR']:.2f}, ceiling {top['mR']:.2f}")
    for name, each in found["choosing"].items():
        inside, new = each["captions_in_train"], each["fresh_images"]
        print(
            f"  {name}: {inside} captions in train, {new} fresh images; mR", each["mR"]
        )
    for name, each in {"perfect": found["perfect"], **found["systems"]}.items():
        row = " ".join(
            f"{rule} {r['mR']:.2f} ({r['i2t']['R@1']:.1f})"
            for rule, r in each["recalls"].items()
        )
        print(f"  {name}, mR (i2t R@1): {row}")
    for part, row in found.get("overlap", {}).get("pictures", {}).items():
        print(f"  pictures of {part} in RSICD:", row, found["overlap"]["words"][part])
    for batch, each in found["false_negatives"].items():
        share, batches = each["captions"], each["batches"]
        print(
            f"  batch {batch:>3}: {share:.1f} % of captions, {batches:.1f} % of batches"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default = os.environ.get("RSIR_DATASET", "toy")
    parser.add_argument("dataset", nargs="?", default=default)
    parser.add_argument("--encoder", help="e.g. efficientnet_lite0")
    parser.add_argument("--captions", type=Path, help="a Karpathy JSON, no pictures")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    with warnings.catch_warnings(record=True) as repairs:
        warnings.simplefilter("always")
        if args.captions:
            splits = captions_alone(args.captions)
        else:
            splits = load_dataset(args.dataset)
    for repair in repairs:
        print(f"note: {repair.message}")
    found = facts(splits, args.encoder, pictures=not args.captions)
    if splits.name == "rsitmd":
        rsicd = captions_alone(find_dataset("rsicd").source)
        found["overlap"] = overlap_facts(splits, rsicd, pairs_with("rsicd"))
    show(found)
    if not args.write:
        return
    what = f"--captions {args.captions.name}" if args.captions else found["dataset"]
    what += f" --encoder {args.encoder}" if args.encoder else ""
    packages = ["numpy", "pillow"] + ["torch"] * bool(args.encoder)
    command = f"python benchmarks/protocol_facts.py {what} --write"
    found |= {
        "command": command,
        "versions": {
            "rsir": rsir.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
        },
    }
    path = ROOT / "results/protocol" / f"{found['dataset']}.json"
    with atomic_write(path) as file:
        json.dump(found, file, indent=1)
        file.write("\n")
    print(f"written: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
