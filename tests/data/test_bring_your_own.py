"""The examples of the page run, and give what the files say."""

import json
import re
from pathlib import Path

import numpy as np
import pandas
import pytest
import tifffile
from small_data import picture, run

import rsir

PAGE = Path(rsir.__file__).parents[1] / "book" / "bring_your_own.md"
TEXT = PAGE.read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S)
PARTS = ("train", "val", "test")
NAMES = [f"{i}.jpg" for i in range(3)]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder with three pictures in images/."""
    monkeypatch.chdir(tmp_path)
    for i, name in enumerate(NAMES):
        picture(tmp_path / "images" / name, i)
    return tmp_path


def example(word):
    """The names that the one block with this word leaves."""
    [block] = [b for b in BLOCKS if word in b]
    assert block.count("\n") <= 11  # ten lines and a blank one
    found = {}
    exec(block, found)
    return found


def texts(splits):
    return [s.captions for s in splits]


def test_coco(place):
    data = {
        "images": [{"id": 7 + i, "file_name": n} for i, n in enumerate(NAMES)],
        "annotations": [{"image_id": 9 - i, "caption": f"c{i}"} for i in range(3)],
    }
    (place / "captions_val.json").write_text(json.dumps(data))
    split = example("captions_val")["split"]
    assert split.ids == ("2.jpg", "1.jpg", "0.jpg") and split.name == "test"
    assert split.captions == ("c0", "c1", "c2")


def test_nwpu(place):
    data = {}
    for i, part in enumerate(PARTS):
        picture(place / "images" / f"k{i}" / "1.jpg", i)
        item = {"filename": "1.jpg", "split": part, "raw": f"a{i}", "raw_1": f"b{i}"}
        data[f"k{i}"] = [item]
    (place / "dataset_nwpu.json").write_text(json.dumps(data))
    assert texts(example("nwpu")["splits"]) == [
        ("a0", "b0"),
        ("a1", "b1"),
        ("a2", "b2"),
    ]


def test_json_lines(place):
    rows = [json.dumps({"image": n, "text": f"t{n}"}) for n in NAMES]
    (place / "pairs.jsonl").write_text("\n".join(rows))
    found = texts(example("jsonl")["splits"])
    assert sorted(found) == [(f"t{n}",) for n in NAMES]


def test_parquet(place):
    table = {"image": [*NAMES, "0.jpg"], "split": [*PARTS, "train"]}
    table["caption"] = ["a", "b", "c", None]
    pandas.DataFrame(table).to_parquet(place / "pairs.parquet")
    assert texts(example("parquet")["splits"]) == [("a",), ("b",), ("c",)]


def test_text_beside_each_picture(place):
    for name in NAMES:
        (place / "images" / name).with_suffix(".txt").write_text(f"x{name}\ny\n")
    found = texts(example("rglob")["splits"])
    assert sorted(found) == [(f"x{n}", "y") for n in NAMES]


def test_table_and_pixels(place):
    example("writerow")
    assert run("verify", place)[1] is None
    scene = np.arange(4 * 4 * 5, dtype=np.uint16).reshape(4, 4, 5) * 50
    tifffile.imwrite("scene.tif", scene, photometric="minisblack", planarconfig=1)
    found = np.asarray(example("scene.tif")["picture"])
    assert np.array_equal(found, np.rint(scene[..., [2, 1, 0]] / 4095 * 255))


def test_length():
    assert TEXT.count("\n") <= 150
