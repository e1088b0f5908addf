"""Small data sets in the authors' layouts, written for one test."""

import json

import pytest
from PIL import Image
from typer.testing import CliRunner

from rsir.cli import app
from rsir.utils.errors import RsirError

NAMES = [
    "airport_1",
    "airport_2",
    "beach_1",
    "beach_2",
    "pond_1",
    "pond_2",
    "school_1",
    "school_2",
    "00001",
    "00002",
]
PARTS = ["train"] * 6 + ["val"] * 2 + ["test"] * 2


def sentences(name):
    return [f"picture {name} number {k} ." for k in range(5)]


def picture(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (20 * value % 256, 90, 30)).save(path)


def karpathy(images=NAMES, parts=PARTS, suffix=".jpg", dataset="rsicd"):
    return {
        "dataset": dataset,
        "images": [
            {
                "filename": n + suffix,
                "imgid": i,
                "split": p,
                "sentences": [
                    {"raw": r, "tokens": r.split()[:-1]} for r in sentences(n)
                ],
            }
            for i, (n, p) in enumerate(zip(images, parts, strict=True))
        ],
    }


@pytest.fixture
def rsicd(tmp_path):
    """A data root with rsicd/ in the authors' layout."""
    folder = tmp_path / "rsicd"
    for i, n in enumerate(NAMES):
        picture(folder / "RSICD_images" / f"{n}.jpg", i)
    write(folder, karpathy())
    return folder


def write(folder, data, name="dataset_rsicd.json"):
    (folder / name).write_text(json.dumps(data))


@pytest.fixture
def precomp(tmp_path):
    """A folder of text files in the released layout, images beside."""
    folder = tmp_path / "rsitmd_precomp"
    for i, n in enumerate(NAMES):
        picture(tmp_path / "images" / f"{n}.tif", i)
    folder.mkdir()
    for part, names, times in (
        ("train", NAMES[:8], 1),
        ("test", NAMES[8:], 5),
    ):
        (folder / f"{part}_filename.txt").write_text(
            "".join(f"{n}.tif\n" * times for n in names)
        )
        (folder / f"{part}_caps.txt").write_text(
            "".join(s + "\n" for n in names for s in sentences(n))
        )
    return folder


def run(*arguments):
    """`rsir data ...`: what it prints, and the user error or None."""
    done = CliRunner().invoke(app, ["data", *map(str, arguments)])
    if done.exception is not None and not isinstance(done.exception, RsirError):
        raise done.exception
    return done.output, done.exception
