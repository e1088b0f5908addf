"""Readers: the three layouts, the order they keep, names and roots."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from small_data import (
    NAMES,
    PARTS,
    karpathy,
    picture,
    precomp,
    rsicd,
    sentences,
    write,
)

from rsir.data import Box, Split, content_hash, data_root, image_hashes, load_dataset
from rsir.data.catalog import CATALOG, scene_of
from rsir.utils.errors import RsirError

__all__ = ["precomp", "rsicd"]  # fixtures


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


def test_root_may_be_the_folder_itself_or_come_from_outside(rsicd, monkeypatch):
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
    cuts = {load_dataset("rsitmd", precomp, seed=k).val.ids for k in range(8)}
    assert len(cuts) > 1
    for s in (a, *[load_dataset("rsitmd", precomp, seed=3)]):
        both = s.train.ids + s.val.ids
        assert sorted(both) == sorted(n + ".tif" for n in NAMES[:8])
        assert list(s.train.ids) == [
            n + ".tif" for n in NAMES if n + ".tif" in s.train.ids
        ]
        for i in range(len(s.val)):
            stem = s.val.ids[i].removesuffix(".tif")
            assert s.val.captions_of(i) == sentences(stem)
    for share in (0, 1, -0.5):
        with pytest.raises(RsirError, match="val_fraction"):
            load_dataset("rsitmd", precomp, val_fraction=share)


def test_val_of_the_file_stands_unless_a_new_cut_is_asked(rsicd):
    assert load_dataset("rsicd", rsicd, seed=5).val.ids == (
        "school_1.jpg",
        "school_2.jpg",
    )
    s = load_dataset("rsicd", rsicd, val_fraction=0.5)
    assert len(s.val) == len(s.train) == 4
    assert s.test.ids == ("00001.jpg", "00002.jpg")


def test_rsitmd_keywords_and_no_val(tmp_path):
    folder = tmp_path / "RSITMD"
    data = karpathy(parts=["train"] * 8 + ["test"] * 2, suffix=".tif", dataset="RSITMD")
    for i, image in enumerate(data["images"]):
        picture(folder / "images" / image["filename"], i)
        image["sentences"][0]["keywords"] = ["tree", "road"]
    data["images"][0]["keyword"] = "plane, tree"
    write(folder, data, "dataset_RSITMD.json")
    s = load_dataset("rsitmd", tmp_path, seed=1)
    assert len(s.val) == 1 and len(s.train) == 7
    words = dict(
        zip(s.train.ids + s.val.ids, s.train.keywords + s.val.keywords, strict=True)
    )
    assert words["airport_1.tif"] == ("plane", "tree", "road")
    assert words["beach_1.tif"] == ("tree", "road")


def test_own_folder(tmp_path):
    folder = tmp_path / "mine"
    rows = ["filename,caption,split"]
    for i, (n, p) in enumerate(zip(NAMES, PARTS, strict=True)):
        picture(folder / "tiles" / f"{n}.png", i)
        rows += [f'{n}.png,"a view, number {k}",{p}' for k in range(1 + i % 3)]
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
    (tmp_path / "any.csv").write_text(
        "Filename,Caption\n" + "".join(f"{n},view of {n}\n" for n in NAMES)
    )
    s = load_dataset(tmp_path, seed=1)
    assert [len(p) for p in s] == [8, 1, 1]
    assert sorted(s.train.ids + s.val.ids + s.test.ids) == sorted(NAMES)
    seeds = {load_dataset(tmp_path, seed=k).test.ids for k in range(9)}
    assert len(seeds) > 2


@pytest.mark.parametrize(
    "text, message",
    [
        ("name,caption\na,b\n", "no column 'filename'"),
        ("", "no column 'filename'"),
        ("filename,caption\nairport_1,a, b\n", "line 2 has 3 fields"),
        ("filename,caption\n,b\n", "line 2 names no image"),
        ('filename,caption\nairport_1,"b\n', "is not CSV"),
        ("filename,caption,split\nairport_1,b,extra\n", "split 'extra'"),
        (
            "filename,caption,split\npond_1,b,train\npond_1,c,test\n",
            "pond_1 is in two splits",
        ),
        ("filename,caption\n", "lists no images"),
        ("filename,caption\npond_1,b\npond_2,b\n", "too few"),
        (
            "filename,caption,split\npond_1,b,train\npond_2,b,val\n",
            "test split is empty",
        ),
    ],
)
def test_faults_of_a_csv(tmp_path, text, message):
    for n in NAMES:
        picture(tmp_path / f"{n}.png")
    (tmp_path / "captions.csv").write_text(text)
    with pytest.raises(RsirError, match=message):
        load_dataset(tmp_path)


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
        "mine",
        "train",
        ("a", "b", "c"),
        ("one", "two", "three", "one"),
        np.array([2, 0, 2, 1]),
        ("a", "b", "c"),
        labels=("x", "y", "z"),
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
    one = {"dataset": "d", "name": "test", "images": ("a",), "ids": ("a",)}
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
        False,
        False,
        False,
        False,
        True,
        False,
    ]
    assert content_hash(s) != before
    assert content_hash(s.subset([1, 0])) != content_hash(s.subset([0, 1]))


def test_data_imports_no_torch():
    code = (
        "import sys, rsir.data, rsir.models.caption_similarity, rsir.data.text,"
        "rsir.data.download, rsir.data.verify, rsir.cli.data;"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
