"""What chapter 01 says about real data, measured and written down.

    python benchmarks/protocol_facts.py [ucm] [--encoder NAME] [--write]

Duplicates, ceilings, false negatives and the recalls of the ridge
baseline under every tie rule. `--encoder` adds the same closed-form
ridge on the pooled features of a frozen image encoder. The data set is
found through RSIR_DATA; `--write` puts the facts into
results/protocol/<data set>.json, where the chapter reads them.
"""

import argparse
import json
import os
import platform
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np

import rsir
from rsir.data import load_dataset
from rsir.data.caption_statistics import (
    captions_hash,
    duplicate_facts,
    false_negatives,
    fresh,
)
from rsir.evaluation import metrics
from rsir.evaluation.ranks import compute_ranks
from rsir.models.ridge import Ridge
from rsir.utils.io import atomic_write

ROOT = Path(__file__).resolve().parent.parent
BATCHES = (16, 32, 64, 128, 256, 512)


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
    there are fewer than 100.
    """
    inside, out = set(splits.train.captions), {}

    def mR(model, part):
        if part.n_images < 100:
            return None
        return metrics.evaluate(model.scores(part), part.owner, bootstrap=0).mR

    for split in (splits.val, splits.test):
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


def facts(splits, encoder=None) -> dict:
    """Everything that the chapter reads about one data set."""
    test = splits.test
    systems = {"ridge": Ridge()}
    if encoder:
        systems[encoder] = Ridge(look=encoder_look(encoder))
    for model in systems.values():
        model.fit(splits.train)
    return {
        "dataset": splits.name,
        "captions_sha256": {s.name: captions_hash(s) for s in splits},
        "splits": {s.name: duplicate_facts(s) for s in splits},
        "choosing": choosing_facts(splits, systems),
        "random": metrics.random_baseline(test.owner),
        "ceilings": metrics.ceilings(test.captions, test.owner),
        "perfect": tie_facts(perfect_scores(test), test.owner),
        "systems": {
            name: tie_facts(model.scores(test), test.owner)
            for name, model in systems.items()
        },
        "false_negatives": {str(b): false_negatives(splits.train, b) for b in BATCHES},
    }


def show(found) -> None:
    """The main facts as a few lines."""
    test, top = found["splits"]["test"], found["ceilings"]
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
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    with warnings.catch_warnings(record=True) as repairs:
        warnings.simplefilter("always")
        splits = load_dataset(args.dataset)
    for repair in repairs:
        print(f"note: {repair.message}")
    found = facts(splits, args.encoder)
    show(found)
    if not args.write:
        return
    encoder = f" --encoder {args.encoder}" if args.encoder else ""
    packages = ["numpy", "pillow"] + ["torch"] * bool(args.encoder)
    command = f"python benchmarks/protocol_facts.py {found['dataset']}{encoder} --write"
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
