"""Every fault of the files: an error that names it, or a repair."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import warnings

import pytest
from small_data import NAMES, karpathy, picture, sentences, table, write

from rsir.data import DataRepairWarning, load_dataset
from rsir.utils.errors import RsirError


def image(data, i):
    return data["images"][i]


@pytest.mark.parametrize(
    "at, change, message",
    [  # a change to None removes the key
        (3, {"split": None}, r"images\[3\].*'split'"),
        (3, {"filename": None}, "no text under 'filename'"),
        (3, {"sentences": None}, "no list under 'sentences'"),
        (3, {"filename": " "}, "names no image"),
        (3, {"split": "exam"}, "split 'exam'"),
        (3, {"sentences": [{"raw": "a"}, {}]}, r"sentences\[1\]"),
        (3, {"sentences": [{"raw": "a"}] * 4}, "has 4 captions, not 5"),
        (3, {"sentences": []}, "has 0 captions"),
        (3, {"filename": "airport_1.jpg"}, r"images\[3\].*listed twice.*\[0\]"),
        (9, {"filename": "airport_1.jpg"}, "in two splits, train .* and test"),
        (9, {"filename": "airport_1.tif"}, "one and the same file"),
        (9, {"filename": "lost.jpg"}, "1 of 10 images .* missing: lost.jpg"),
        (None, {"images": None}, "no list under 'images'"),
        (None, {"images": {}}, "no list under 'images'"),
        (None, {"images": []}, "lists no images"),
        (None, {"dataset": "ucm"}, "'ucm' by its own words"),
        (None, {"images": karpathy()["images"][:8]}, "test split is empty"),
    ],
)
def test_faults_of_a_json(rsicd, at, change, message):
    data = karpathy()
    item = data if at is None else image(data, at)
    item |= change
    for key in [key for key, value in change.items() if value is None]:
        del item[key]
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
        ("[1]", "no list under 'images', it is a list"),
        ('{"images": [3]}', r"images\[0\] has no text .* it is 3"),
        ("[" * 100_000, "is not JSON"),
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
        ("train_filename.txt", lambda t: "", "line 1 is blank"),
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


def test_unreadable_pictures(rsicd):
    (rsicd / "RSICD_images" / "pond_1.jpg").write_bytes(b"torn")
    load_dataset("rsicd", rsicd)
    with pytest.raises(RsirError, match="1 of 10 images.*pond_1.jpg"):
        load_dataset("rsicd", rsicd, verify=True)


@pytest.mark.parametrize(
    "text, message",
    [
        ("name,caption\na,b\n", "no column 'filename'"),
        ("filename;text\na;b\n", "no column 'caption'.*semicolon, tab or bar"),
        ("", "no column 'filename'"),
        ("filename,caption\nairport_1,a, b\n", "line 2 has 3 fields"),
        ("filename,caption\nairport_1;a\n", "line 2 has 1 fields.*separator is ','"),
        ("filename,caption\n,b\n", "line 2.*names no image"),
        ('filename,caption\nairport_1,"b\n', "is not CSV"),
        ("filename,caption,split\nairport_1,b,extra\n", "split 'extra'"),
        (
            "filename,caption,split\npond_1,b,train\npond_1,c,test\n",
            r"pond_1 is in two splits, train .line 2. and test .line 3.",
        ),
        ("filename,caption\n", "lists no images"),
        ("filename,caption\npond_1,b\npond_2,b\n", "too few"),
        ("filename,caption,split\npond_1,b,train\n", "too few to cut"),
        ("filename,caption,split\npond_1,b,val\n", "test split is empty"),
        ("filename,caption\npond_1,nan\n", "line 2.*empty cell.*dropna"),
        ("filename;caption\npond_1;['a', 'b']\n", "line 2.*list written as text"),
        ('filename,caption\npond_1,"[""a""]"\n', "list written as text"),
        ("filename,caption\na/other.png,a b\n", "1 of 1 images.*a/other.png"),
    ],
)
def test_faults_of_a_csv(tmp_path, text, message):
    for n in NAMES:
        picture(tmp_path / f"{n}.png")
    picture(tmp_path / "b" / "other.png")
    (tmp_path / "captions.csv").write_text(text)
    with pytest.raises(RsirError, match=message) as caught:
        load_dataset(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["[the road] is wet", "'a' and 'b'", "(a road)", "none of them"]
)
def test_captions_that_only_look_odd(tmp_path, text):
    for i in range(3):
        picture(tmp_path / f"{i}.png", i)
    table(tmp_path, [[f"{i}.png", text] for i in range(3)], "filename,caption")
    assert load_dataset(tmp_path).test.captions == (text,)


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("captions.json", {"images": [], "annotations": []}, "COCO JSON.*from_pairs"),
        ("captions_train.json", {"images": [], "annotations": []}, "COCO JSON"),
        ("dataset.json", {"images": [], "annotations": []}, "COCO JSON"),
        ("dataset_nwpu.json", {"lake": [{"raw": "a", "filename": "b"}]}, "NWPU"),
        ("nwpu.json", {"lake": [{"raw": "a", "filename": "b"}]}, "NWPU"),
        ("any.json", [{"image": "a"}], "any.json, a list"),
        ("x_test.json", [{"image": "a"}], r"\[0\] has no text .*'caption'"),
        (
            "x_test.json",
            [{"image": "a", "caption": [3]}],
            "no text under 'caption', it is 3",
        ),
        ("x_test.json", [{"image": "", "caption": "b"}], "names no image"),
        ("pairs.jsonl", {}, "JSON lines"),
        ("pairs.parquet", {}, "a parquet table"),
        ("deep/captions_train2017.json", {"annotations": []}, "COCO JSON"),
        ("0.txt", {}, "0.txt, a text file"),
        ("results.txt", {}, "results.txt, a text file.* not read"),
    ],
)
def test_another_layout_is_named(tmp_path, name, content, message):
    picture(tmp_path / "0.png")
    (tmp_path / "deep").mkdir()
    write(tmp_path, content, name)
    with pytest.raises(RsirError, match=message):
        load_dataset(tmp_path)


def test_several_tables(tmp_path):
    for name in ("a.csv", "b.tsv"):
        (tmp_path / name).write_text("filename,caption\n")
    with pytest.raises(RsirError, match="several CSV files .a.csv, b.tsv"):
        load_dataset(tmp_path)


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
            [sys.executable, "-c", LOCKED, folder], capture_output=True, text=True
        )
    first, second = done.stdout.splitlines()
    assert "no permission to read the annotation file" in first
    assert "dataset_rsicd.json" in first and "chmod" in first
    assert "no permission to read the image" in second
    assert "pond_1.jpg" in second
