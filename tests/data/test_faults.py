"""Every fault of the files: an error that names it, or a repair."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import pytest
from PIL import Image
from small_data import (
    karpathy,
    precomp,
    rsicd,
    sentences,
    write,
)

from rsir.data import DataRepairWarning, load_dataset, open_image
from rsir.utils.errors import RsirError

__all__ = ["precomp", "rsicd"]  # fixtures


def image(data, i):
    return data["images"][i]


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda d: image(d, 3).pop("split"), r"images\[3\].*'split'"),
        (lambda d: image(d, 3).pop("filename"), "no key 'filename'"),
        (lambda d: image(d, 3).pop("sentences"), "no key 'sentences'"),
        (lambda d: image(d, 3).update(filename=" "), "empty 'filename'"),
        (lambda d: image(d, 3).update(split="exam"), "split 'exam'"),
        (lambda d: image(d, 3)["sentences"][1].pop("raw"), r"sentences\[1\]"),
        (lambda d: image(d, 3)["sentences"].pop(), "has 4 captions, not 5"),
        (lambda d: image(d, 3)["sentences"].clear(), "has 0 captions|no capt"),
        (
            lambda d: image(d, 3).update(filename="airport_1.jpg"),
            r"airport_1.jpg is listed twice.*images\[0\].*images\[3\]",
        ),
        (
            lambda d: image(d, 9).update(filename="airport_1.jpg"),
            r"in two splits, train .* and test",
        ),
        (
            lambda d: image(d, 9).update(filename="airport_1.tif"),
            "one and the same file",
        ),
        (
            lambda d: image(d, 9).update(filename="lost.jpg"),
            "1 of 10 images .* missing .*lost.jpg",
        ),
        (lambda d: d.pop("images"), "no key 'images'"),
        (lambda d: d.update(images={}), "'images' is not a list"),
        (lambda d: d["images"].clear(), "lists no images"),
        (lambda d: d.update(dataset="ucm"), "'ucm' by its own words"),
        (
            lambda d: [i.update(split="train") for i in d["images"][8:]],
            "test split is empty",
        ),
    ],
)
def test_faults_of_a_json(rsicd, damage, message):
    data = karpathy()
    damage(data)
    write(rsicd, data)
    with pytest.raises(RsirError, match=message) as caught:
        load_dataset("rsicd", rsicd)
    assert "\n" not in str(caught.value)


def test_count_is_free_on_request(rsicd):
    data = karpathy()
    image(data, 3)["sentences"].pop()
    write(rsicd, data)
    s = load_dataset("rsicd", rsicd, captions_per_image=None)
    assert s.train.counts().tolist() == [5, 5, 5, 4, 5, 5]


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "is not JSON"),
        (json.dumps(karpathy())[:-40], "is not JSON .*cut off"),
        ("[1]", "no key 'images'"),
        ('{"images": [3]}', "not an object"),
    ],
)
def test_not_the_json_we_want(rsicd, text, message):
    (rsicd / "dataset_rsicd.json").write_text(text)
    with pytest.raises(RsirError, match=message):
        load_dataset("rsicd", rsicd)


def test_not_utf8(rsicd):
    (rsicd / "dataset_rsicd.json").write_bytes(b'{"images": "\xff"}')
    with pytest.raises(RsirError, match="not UTF-8"):
        load_dataset("rsicd", rsicd)


def test_blank_captions_are_filled_and_said(rsicd):
    data = karpathy()
    for k in range(5):
        image(data, 4)["sentences"][k]["raw"] = "" if k else " \t"
    image(data, 5)["sentences"][2]["raw"] = ""
    write(rsicd, data)
    with pytest.warns(DataRepairWarning) as caught:
        s = load_dataset("rsicd", rsicd)
    assert len(caught) == 1
    text = str(caught[0].message)
    assert "6 blank captions in 2 images" in text and "pond_1" in text
    assert caught[0].filename == __file__
    assert s.train.captions_of(4) == ["."] * 5
    assert s.train.captions_of(5)[1:4] == [
        "picture pond_2 number 1 .",
        ".",
        "picture pond_2 number 3 .",
    ]
    assert (s.train.counts() == 5).all()


def test_wordless_captions_stay_and_are_counted(rsicd):
    data = karpathy()
    image(data, 4)["sentences"][0]["raw"] = "."
    image(data, 5)["sentences"][2]["raw"] = "1 ."
    write(rsicd, data)
    with pytest.warns(DataRepairWarning, match="2 captions hold no word"):
        s = load_dataset("rsicd", rsicd)
    assert s.train.captions_of(5)[2] == "1 ."


def test_clean_data_warns_of_nothing(rsicd, precomp):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_dataset("rsicd", rsicd)
        load_dataset("rsitmd", precomp)


@pytest.mark.parametrize(
    "name, change, message",
    [
        ("test_caps.txt", lambda t: t + "one more\n", "11 lines.*10"),
        (
            "train_caps.txt",
            lambda t: t[t.index("\n") + 1 :],
            "39 lines .* 8; expected 5 captions a name",
        ),
        ("train_filename.txt", lambda t: "\n" + t, "line 1 is blank"),
        ("train_filename.txt", lambda t: "", "is empty"),
        (
            "test_filename.txt",
            lambda t: t.replace("00002", "pond_1"),
            "pond_1.tif is in two splits",
        ),
        ("test_filename.txt", lambda t: t.replace("00002", "lost"), "lost.tif"),
    ],
)
def test_faults_of_precomp(precomp, name, change, message):
    path = precomp / name
    path.write_text(change(path.read_text()))
    with pytest.raises(RsirError, match=message):
        load_dataset("rsitmd", precomp)


def test_missing_and_blank_lines_of_precomp(precomp):
    path = precomp / "train_caps.txt"
    lines = path.read_text().split("\n")
    lines[5:10] = [""] * 5
    path.write_text("\r\n".join(lines))
    with pytest.warns(DataRepairWarning, match="5 blank.*airport_2"):
        s = load_dataset("rsitmd", precomp)
    both = {p.ids[i]: p.captions_of(i) for p in (s.train, s.val) for i in range(len(p))}
    assert both["airport_2.tif"] == ["."] * 5
    assert both["beach_1.tif"] == sentences("beach_1")
    (precomp / "test_caps.txt").unlink()
    with pytest.raises(RsirError, match="test_caps.txt"):
        load_dataset("rsitmd", precomp)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is empty"),
        (b"no picture", "no picture"),
        (None, "truncated"),
    ],
)
def test_damaged_pictures(rsicd, content, message):
    path = rsicd / "RSICD_images" / "pond_1.jpg"
    if content is None:
        noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        content = path.read_bytes()[:-900]
    path.write_bytes(content)
    with pytest.raises(RsirError, match=message) as caught:
        open_image(path)
    assert "pond_1.jpg" in str(caught.value)
    load_dataset("rsicd", rsicd)
    with pytest.raises(RsirError, match="1 of 10 images.*pond_1.jpg"):
        load_dataset("rsicd", rsicd, verify=True)


def test_open_image_gives_rgb(tmp_path):
    Image.new("L", (4, 6), 7).save(tmp_path / "a.tif")
    Image.new("RGBA", (4, 6), (1, 2, 3, 4)).save(tmp_path / "b.png")
    a, b = open_image(tmp_path / "a.tif"), open_image(tmp_path / "b.png")
    assert a.mode == b.mode == "RGB" and a.size == (4, 6)
    assert a.getpixel((0, 0)) == (7, 7, 7)
    with pytest.raises(RsirError, match="image not found.*none.jpg"):
        open_image(tmp_path / "none.jpg")
    with pytest.raises(RsirError, match="is a folder"):
        open_image(tmp_path)


LOCKED = """
import os, sys
from rsir.data import load_dataset, open_image
from rsir.utils.errors import RsirError
folder = sys.argv[1]
files = [folder + "/dataset_rsicd.json",
         folder + "/RSICD_images/pond_1.jpg"]
actions = [lambda: load_dataset("rsicd", folder),
           lambda: open_image(files[1])]
for action in actions:
    action()
for file in files:
    os.chmod(file, 0)
if os.getuid() == 0:
    os.setuid(65534)
for action in actions:
    try:
        action()
        print("read it")
    except RsirError as error:
        print(error)
"""


def test_no_permission(rsicd):
    """In a process that is nobody: the superuser may read all."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        folder = os.path.join(place, "rsicd")
        shutil.copytree(rsicd, folder)
        done = subprocess.run(
            [sys.executable, "-c", LOCKED, folder],
            capture_output=True,
            text=True,
        )
    first, second = done.stdout.splitlines()
    assert "no permission to read the annotation file" in first
    assert "dataset_rsicd.json" in first and "chmod" in first
    assert "no permission to read the image" in second
    assert "pond_1.jpg" in second
