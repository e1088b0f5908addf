"""The tiny CLIP of chapter 07 under several seeds.

    python benchmarks/tiny_clip.py [--seeds 0 1 2] [--write]

Runs the chapter's own cells up to its figure of recalls, once for each seed: mR
on the three groups of pictures, and the share of objects that the head and the
prompts name. `--write` puts them into results/tiny_clip.json, where the verdict
of the chapter reads them.
"""

import argparse
import hashlib
import json
from pathlib import Path

import matplotlib

from rsir.experiments.run import hardware, versions
from rsir.utils.io import atomic_write

ROOT = Path(__file__).resolve().parents[1]
CHAPTER = ROOT / "notebooks" / "07_pretraining.ipynb"
WRITTEN = ROOT / "results" / "tiny_clip.json"
LAST = "reports[name, part] = report"


def cells() -> list[tuple[str, list[str]]]:
    """(source, tags) of the chapter's code cells, to that of the recalls."""
    found = []
    for cell in json.loads(CHAPTER.read_text(encoding="utf-8"))["cells"]:
        source, tags = "".join(cell["source"]), cell["metadata"].get("tags", [])
        if cell["cell_type"] == "code" and "bootstrap" not in tags:
            found.append((source, tags))
            if LAST in source:
                return found
    raise SystemExit(f"{CHAPTER.name}: no cell has the line {LAST!r}")


def digest() -> str:
    """Of the cells that are run: other code, other numbers."""
    text = "\n\n".join(source for source, _ in cells())
    return hashlib.sha256(text.encode()).hexdigest()


def measured(seed: int) -> dict:
    """What the chapter finds under this seed, in percent."""
    import matplotlib.pyplot as plt

    names = {"__name__": "chapter"}
    for source, tags in cells():
        exec(compile(source, CHAPTER.name, "exec"), names)
        plt.close("all")
        if "knobs" in tags:
            names["seed"] = seed
    mR: dict = {}
    for (system, part), report in names["reports"].items():
        mR.setdefault(system, {})[part] = round(report.mR, 4)
    named = {row: round(share[0], 4) for row, share in names["named"].items()}
    return {"seed": seed, "mR": mR, "named": named}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    matplotlib.use("Agg")
    seeds = [measured(seed) for seed in asked.seeds]
    print(json.dumps(seeds, indent=1))
    if asked.write:
        facts = {
            "command": "python benchmarks/tiny_clip.py --write",
            "cells_sha256": digest(),
            "hardware": hardware(),
            "versions": versions(),
            "seeds": seeds,
        }
        with atomic_write(WRITTEN) as file:
            file.write(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
