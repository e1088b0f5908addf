"""Readers: the three layouts, their faults, and what becomes of them."""

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

from rsir.data import (
    Box,
    DataRepairWarning,
    Split,
    content_hash,
    data_root,
    image_hashes,
    load_dataset,
    open_image,
)
from rsir.data.catalog import CATALOG, scene_of
from rsir.errors import RsirError

NAMES = ["airport_1", "airport_2", "beach_1", "beach_2", "pond_1",
         "pond_2", "school_1", "school_2", "00001", "00002"]
PARTS = ["train"] * 6 + ["val"] * 2 + ["test"] * 2


def sentences(name):
    return [f"picture {name} number {k} ." for k in range(5)]


def picture(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (20 * value % 256, 90, 30)).save(path)


def karpathy(images=NAMES, parts=PARTS, suffix=".jpg", dataset="rsicd"):
    return {"dataset": dataset, "images": [
        {"filename": n + suffix, "imgid": i, "split": p, "sentences": [
            {"raw": r, "tokens": r.split()[:-1]} for r in sentences(n)]}
        for i, (n, p) in enumerate(zip(images, parts, strict=True))
    ]}


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
        ("train", NAMES[:8], 1), ("test", NAMES[8:], 5),
    ):
        (folder / f"{part}_filename.txt").write_text(
            "".join(f"{n}.tif\n" * times for n in names))
        (folder / f"{part}_caps.txt").write_text(
            "".join(s + "\n" for n in names for s in sentences(n)))
    return folder


# --- what is read ---------------------------------------------------

def test_karpathy_keeps_the_order_of_the_file(rsicd):
    s = load_dataset("rsicd", rsicd.parent)
    assert [len(p) for p in s] == [6, 2, 2]
    assert s.test.ids == ("00001.jpg", "00002.jpg")
    assert s.test.captions[5] == "picture 00002 number 0 ."
    assert s.test.owner.tolist() == [0] * 5 + [1] * 5
    assert s.train.labels[:3] == ("airport", "airport", "beach")
    assert s.test.labels is None
    assert s.root == rsicd and s["val"] is s.val
    assert "train" in repr(s) and "30" in repr(s)


def test_root_may_be_the_folder_itself_or_come_from_outside(
        rsicd, monkeypatch):
    direct = load_dataset("rsicd", rsicd)
    monkeypatch.setenv("RSIR_DATA", str(rsicd.parent))
    assert load_dataset("rsicd").test.captions == direct.test.captions
    assert data_root() == rsicd.parent
    monkeypatch.delenv("RSIR_DATA")
    monkeypatch.setenv("RSIR_CACHE", str(rsicd / "cache"))
    assert data_root() == rsicd / "cache" / "data"


@pytest.mark.parametrize("there", [".png", ".tif", ".JPG", ".jpeg"])
def test_images_are_found_by_stem(rsicd, there):
    for path in (rsicd / "RSICD_images").iterdir():
        Image.open(path).save(path.with_suffix(there))
        if there != ".JPG":
            path.unlink()
    data = karpathy(suffix=".tif")
    write(rsicd, data)
    if there == ".JPG":
        for n in NAMES:
            (rsicd / "RSICD_images" / f"{n}.jpg").unlink(missing_ok=True)
    s = load_dataset("rsicd", rsicd)
    assert {p.suffix for p in s.train.images} == {there}
    assert s.train.ids[0] == "airport_1.tif"


def test_two_files_of_one_stem(rsicd):
    pictures = rsicd / "RSICD_images"
    picture(pictures / "beach_1.png")
    s = load_dataset("rsicd", rsicd)
    assert s.train.images[2].name == "beach_1.jpg"
    write(rsicd, karpathy(suffix=".tif"))
    with pytest.raises(RsirError, match=r"several files.*beach_1"):
        load_dataset("rsicd", rsicd)


def test_precomp_accepts_names_once_or_five_times(precomp):
    s = load_dataset("rsitmd", precomp.parent)
    assert s.test.ids == ("00001.tif", "00002.tif")
    assert s.test.owner.tolist() == [0] * 5 + [1] * 5
    assert len(s.train) + len(s.val) == 8
    for part, times in (("train", 5), ("test", 1)):
        path = precomp / f"{part}_filename.txt"
        names = list(dict.fromkeys(path.read_text().split()))
        path.write_text("".join(f"{n}\n" * times for n in names))
    t = load_dataset("rsitmd", precomp)
    for a, b in zip(s, t, strict=True):
        assert a.captions == b.captions and a.ids == b.ids


def test_val_is_cut_by_image_and_by_seed(precomp):
    a = load_dataset("rsitmd", precomp, val_fraction=0.25)
    b = load_dataset("rsitmd", precomp, val_fraction=0.25)
    assert len(a.val) == 2 and a.val.ids == b.val.ids
    cuts = {load_dataset("rsitmd", precomp, seed=k).val.ids
            for k in range(8)}
    assert len(cuts) > 1
    for s in (a, *[load_dataset("rsitmd", precomp, seed=3)]):
        both = s.train.ids + s.val.ids
        assert sorted(both) == sorted(n + ".tif" for n in NAMES[:8])
        assert list(s.train.ids) == [
            n + ".tif" for n in NAMES if n + ".tif" in s.train.ids]
        for i in range(len(s.val)):
            stem = s.val.ids[i].removesuffix(".tif")
            assert s.val.captions_of(i) == sentences(stem)
    for share in (0, 1, -0.5):
        with pytest.raises(RsirError, match="val_fraction"):
            load_dataset("rsitmd", precomp, val_fraction=share)


def test_val_of_the_file_stands_unless_a_new_cut_is_asked(rsicd):
    assert load_dataset("rsicd", rsicd, seed=5).val.ids == (
        "school_1.jpg", "school_2.jpg")
    s = load_dataset("rsicd", rsicd, val_fraction=0.5)
    assert len(s.val) == len(s.train) == 4
    assert s.test.ids == ("00001.jpg", "00002.jpg")


def test_rsitmd_keywords_and_no_val(tmp_path):
    folder = tmp_path / "RSITMD"
    data = karpathy(parts=["train"] * 8 + ["test"] * 2, suffix=".tif",
                    dataset="RSITMD")
    for i, image in enumerate(data["images"]):
        picture(folder / "images" / image["filename"], i)
        image["sentences"][0]["keywords"] = ["tree", "road"]
    data["images"][0]["keyword"] = "plane, tree"
    write(folder, data, "dataset_RSITMD.json")
    s = load_dataset("rsitmd", tmp_path, seed=1)
    assert len(s.val) == 1 and len(s.train) == 7
    words = dict(zip(s.train.ids + s.val.ids,
                     s.train.keywords + s.val.keywords, strict=True))
    assert words["airport_1.tif"] == ("plane", "tree", "road")
    assert words["beach_1.tif"] == ("tree", "road")


def test_own_folder(tmp_path):
    folder = tmp_path / "mine"
    rows = ["filename,caption,split"]
    for i, (n, p) in enumerate(zip(NAMES, PARTS, strict=True)):
        picture(folder / "tiles" / f"{n}.png", i)
        rows += [f'{n}.png,"a view, number {k}",{p}'
                 for k in range(1 + i % 3)]
    (folder / "captions.csv").write_text("\ufeff" + "\n".join(rows))
    s = load_dataset(folder)
    assert s.name == "mine" and [len(p) for p in s] == [6, 2, 2]
    assert s.train.counts().tolist() == [1, 2, 3, 1, 2, 3]
    assert s.train.captions[0] == "a view, number 0"
    with pytest.raises(RsirError, match="has 1 captions, not 5"):
        load_dataset(str(folder), captions_per_image=5)
    with pytest.raises(RsirError, match="needs no root"):
        load_dataset(folder, folder)


def test_own_folder_without_split_column(tmp_path):
    for i, n in enumerate(NAMES):
        picture(tmp_path / f"{n}.png", i)
    (tmp_path / "any.csv").write_text("Filename,Caption\n" + "".join(
        f"{n},view of {n}\n" for n in NAMES))
    s = load_dataset(tmp_path, seed=1)
    assert [len(p) for p in s] == [8, 1, 1]
    assert sorted(s.train.ids + s.val.ids + s.test.ids) == sorted(NAMES)
    seeds = {load_dataset(tmp_path, seed=k).test.ids for k in range(9)}
    assert len(seeds) > 2


@pytest.mark.parametrize("text, message", [
    ("name,caption\na,b\n", "no column 'filename'"),
    ("", "no column 'filename'"),
    ("filename,caption\nairport_1,a, b\n", "line 2 has 3 fields"),
    ("filename,caption\n,b\n", "line 2 names no image"),
    ('filename,caption\nairport_1,"b\n', "is not CSV"),
    ("filename,caption,split\nairport_1,b,extra\n", "split 'extra'"),
    ("filename,caption,split\npond_1,b,train\npond_1,c,test\n",
     "pond_1 is in two splits"),
    ("filename,caption\n", "lists no images"),
    ("filename,caption\npond_1,b\npond_2,b\n", "too few"),
    ("filename,caption,split\npond_1,b,train\npond_2,b,val\n",
     "test split is empty"),
])
def test_faults_of_a_csv(tmp_path, text, message):
    for n in NAMES:
        picture(tmp_path / f"{n}.png")
    (tmp_path / "captions.csv").write_text(text)
    with pytest.raises(RsirError, match=message):
        load_dataset(tmp_path)


# --- faults ---------------------------------------------------------

def image(data, i):
    return data["images"][i]


@pytest.mark.parametrize("damage, message", [
    (lambda d: image(d, 3).pop("split"), r"images\[3\].*'split'"),
    (lambda d: image(d, 3).pop("filename"), "no key 'filename'"),
    (lambda d: image(d, 3).pop("sentences"), "no key 'sentences'"),
    (lambda d: image(d, 3).update(filename=" "), "empty 'filename'"),
    (lambda d: image(d, 3).update(split="exam"), "split 'exam'"),
    (lambda d: image(d, 3)["sentences"][1].pop("raw"), r"sentences\[1\]"),
    (lambda d: image(d, 3)["sentences"].pop(), "has 4 captions, not 5"),
    (lambda d: image(d, 3)["sentences"].clear(), "has 0 captions|no capt"),
    (lambda d: image(d, 3).update(filename="airport_1.jpg"),
     r"airport_1.jpg is listed twice.*images\[0\].*images\[3\]"),
    (lambda d: image(d, 9).update(filename="airport_1.jpg"),
     r"in two splits, train .* and test"),
    (lambda d: image(d, 9).update(filename="airport_1.tif"),
     "one and the same file"),
    (lambda d: image(d, 9).update(filename="lost.jpg"),
     "1 of 10 images .* missing .*lost.jpg"),
    (lambda d: d.pop("images"), "no key 'images'"),
    (lambda d: d.update(images={}), "'images' is not a list"),
    (lambda d: d["images"].clear(), "lists no images"),
    (lambda d: d.update(dataset="ucm"), "'ucm' by its own words"),
    (lambda d: [i.update(split="train") for i in d["images"][8:]],
     "test split is empty"),
])
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


@pytest.mark.parametrize("text, message", [
    ("", "is not JSON"),
    (json.dumps(karpathy())[:-40], "is not JSON .*cut off"),
    ("[1]", "no key 'images'"),
    ('{"images": [3]}', "not an object"),
])
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
        "picture pond_2 number 1 .", ".", "picture pond_2 number 3 ."]
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


@pytest.mark.parametrize("name, change, message", [
    ("test_caps.txt", lambda t: t + "one more\n", "11 lines.*10"),
    ("train_caps.txt", lambda t: t[t.index("\n") + 1:],
     "39 lines .* 8; expected 5 captions a name"),
    ("train_filename.txt", lambda t: "\n" + t, "line 1 is blank"),
    ("train_filename.txt", lambda t: "", "is empty"),
    ("test_filename.txt", lambda t: t.replace("00002", "pond_1"),
     "pond_1.tif is in two splits"),
    ("test_filename.txt", lambda t: t.replace("00002", "lost"),
     "lost.tif"),
])
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
    both = {p.ids[i]: p.captions_of(i)
            for p in (s.train, s.val) for i in range(len(p))}
    assert both["airport_2.tif"] == ["."] * 5
    assert both["beach_1.tif"] == sentences("beach_1")
    (precomp / "test_caps.txt").unlink()
    with pytest.raises(RsirError, match="test_caps.txt"):
        load_dataset("rsitmd", precomp)


@pytest.mark.parametrize("content, message", [
    (b"", "is empty"),
    (b"no picture", "no picture"),
    (None, "truncated"),
])
def test_damaged_pictures(rsicd, content, message):
    path = rsicd / "RSICD_images" / "pond_1.jpg"
    if content is None:
        noise = np.random.default_rng(0).integers(
            0, 255, (64, 64, 3), dtype=np.uint8)
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
from rsir.errors import RsirError
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
            capture_output=True, text=True,
        )
    first, second = done.stdout.splitlines()
    assert "no permission to read the annotation file" in first
    assert "dataset_rsicd.json" in first and "chmod" in first
    assert "no permission to read the image" in second
    assert "pond_1.jpg" in second


# --- names and roots ------------------------------------------------

def test_unknown_name_lists_the_names():
    with pytest.raises(RsirError, match="toy, ucm, rsicd, rsitmd, sydney"):
        load_dataset("rsidc")


def test_nothing_there_tells_how_to_get_it(tmp_path):
    with pytest.raises(RsirError, match="rsir data fetch ucm"):
        load_dataset("ucm", tmp_path)
    with pytest.raises(RsirError, match="does not exist"):
        load_dataset("ucm", tmp_path / "none")
    with pytest.raises(RsirError, match="captions.csv"):
        load_dataset(tmp_path)


def test_options_are_checked(rsicd):
    with pytest.raises(RsirError, match="unknown option 'val_part'"):
        load_dataset("rsicd", rsicd, val_part=0.1)
    with pytest.raises(RsirError, match="unknown layout"):
        load_dataset("rsicd", rsicd, layout="voc")
    with pytest.raises(RsirError, match="captions_per_image is 0"):
        load_dataset("rsicd", rsicd, captions_per_image=0)


def test_image_folder_by_option(rsicd, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (rsicd / "RSICD_images").rename(elsewhere)
    with pytest.raises(RsirError, match="images="):
        load_dataset("rsicd", rsicd)
    s = load_dataset("rsicd", rsicd, images=elsewhere)
    assert s.test.images[0].parent == elsewhere
    with pytest.raises(RsirError, match="image folder not found"):
        load_dataset("rsicd", rsicd, images=tmp_path / "none")


def test_scene_kinds():
    assert scene_of("rsicd", "storagetanks_9.jpg") == "storagetanks"
    assert scene_of("rsicd", "00012.jpg") == ""
    assert scene_of("ucm", "100.tif") == "agricultural"
    assert scene_of("ucm", "101.tif") == "airplane"
    assert scene_of("ucm", "2100.tif") == "tenniscourt"
    assert scene_of("ucm", "2101.tif") == ""


def test_catalogue_adds_up():
    for entry in CATALOG.values():
        train, val, test = entry.splits
        assert train + (val or 0) + test == entry.images
        assert entry.captions == 5 * entry.images
        assert all(len(d) == 64 for _, d in entry.hashes)


# --- Split ----------------------------------------------------------

def small():
    return Split(
        "mine", "train", ("a", "b", "c"),
        ("one", "two", "three", "one"), np.array([2, 0, 2, 1]),
        ("a", "b", "c"), labels=("x", "y", "z"),
        objects=((), (Box("plane", 0, 0, 2, 2),), ()),
    )


def test_split_finds_captions_in_any_order():
    s = small()
    assert s.captions_of(2) == ["one", "three"]
    assert s.captions_of(-1) == ["one", "three"]
    assert s.counts().tolist() == [1, 1, 2]
    texts, number = s.unique_texts()
    assert texts == ["one", "two", "three"]
    assert number.tolist() == [0, 1, 2, 0]
    assert repr(s) == "Split(mine train: 3 images, 4 captions)"


def test_subset():
    s = small().subset([2, 1])
    assert s.ids == ("c", "b") and s.labels == ("z", "y")
    assert s.captions == ("one", "three", "one")
    assert s.owner.tolist() == [0, 0, 1]
    assert s.objects[1][0].label == "plane" and s.keywords is None
    assert small().subset(np.array([False, True, False])).ids == ("b",)
    with pytest.raises(IndexError):
        small().subset([3])


def test_split_refuses_what_does_not_fit():
    one = dict(dataset="d", name="test", images=("a",), ids=("a",))
    for owner in ([1], [-1]):
        with pytest.raises(RsirError, match="there are 1 images"):
            Split(captions=("x",), owner=owner, **one)
    with pytest.raises(RsirError, match="one owner per caption"):
        Split(captions=("x", "y"), owner=[0], **one)
    with pytest.raises(RsirError, match="2 labels for 1 images"):
        Split(captions=("x",), owner=[0], labels=("u", "v"), **one)
    with pytest.raises(ValueError, match="read-only"):
        small().owner[0] = 1


def test_hashes_follow_content_not_place(rsicd, tmp_path):
    s = load_dataset("rsicd", rsicd).train
    before, images = content_hash(s), image_hashes(s)
    assert len(set(images)) == len(s) == 6
    moved = tmp_path / "moved"
    rsicd.rename(moved)
    s = load_dataset("rsicd", moved).train
    assert content_hash(s) == before
    picture(moved / "RSICD_images" / "pond_1.jpg", 200)
    after = image_hashes(s)
    assert [a != b for a, b in zip(images, after, strict=True)] == [
        False, False, False, False, True, False]
    assert content_hash(s) != before
    assert content_hash(s.subset([1, 0])) != content_hash(s.subset([0, 1]))


def test_data_imports_no_torch():
    code = ("import sys, rsir.data, rsir.data.similarity, rsir.data.text,"
            "rsir.data.download, rsir.cli.data; print('torch' in sys.modules)")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
