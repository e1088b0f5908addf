"""Small data sets in the authors' layouts, written for one test."""

import json

import numpy as np
from PIL import Image
from typer.testing import CliRunner

from rsir.cli import root
from rsir.utils.errors import RsirError

NAMES = "airport_1 airport_2 beach_1 beach_2 pond_1 pond_2 school_1 school_2".split()
NAMES += ["00001", "00002"]
PARTS = ["train"] * 6 + ["val"] * 2 + ["test"] * 2


def sentences(name):
    return [f"picture {name} number {k} ." for k in range(5)]


def scene(seed, size=16):
    """A picture that differs for every seed, uint8 [size, size, 3]."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (size // 8, size // 8, 3), dtype=np.uint8)
    return blocks.repeat(8, axis=0).repeat(8, axis=1)


def picture(path, seed=0, size=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(scene(seed, size)).save(path)


def tiles(folder, count):
    """Pictures 0.png, 1.png, ... in a folder."""
    for i in range(count):
        picture(folder / f"{i}.png", i)


def karpathy(images=NAMES, parts=PARTS, suffix=".jpg", dataset="rsicd"):
    rows = [
        {"filename": n + suffix, "split": p, "sentences": [{"raw": r} for r in texts]}
        for n, p, texts in zip(images, parts, map(sentences, images), strict=True)
    ]
    return {"dataset": dataset, "images": rows}


def write(folder, data, name="dataset_rsicd.json"):
    (folder / name).write_text(json.dumps(data))


def table(folder, rows, head="filename,caption,split"):
    """A captions.csv of rows that are written as they are."""
    lines = [head, *(",".join(row) for row in rows)]
    (folder / "captions.csv").write_text("\n".join(lines) + "\n", "utf-8")


def run(*arguments):
    """`rsir data ...`: what it prints, and the user error or None."""
    done = CliRunner().invoke(root, ["data", *map(str, arguments)])
    if done.exception is not None and not isinstance(done.exception, RsirError):
        raise done.exception
    return done.output, done.exception
