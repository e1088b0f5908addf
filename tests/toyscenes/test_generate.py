"""A folder of toy scenes: complete, repeatable, and never half written."""

import os

import numpy as np
import pytest
from PIL import Image

import toyscenes
from rsir.data.toy import load_toy
from rsir.utils.errors import RsirError
from toyscenes.generate import ANNOTATION
from toyscenes.language.words import NOUNS

SIZES = (34, 4, 4)
TINY = {"sizes": (3, 1, 1), "workers": 1}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("toy")


@pytest.fixture(scope="module")
def splits(home):
    return load_toy(home, sizes=SIZES, duplicates=0.3, workers=1)


def pictures(split, n=None):
    return [p.read_bytes() for p in split.images[:n]]


def test_a_split_holds_every_kind_and_five_captions(splits):
    assert set(splits.train.labels) == set(toyscenes.KINDS)
    for split, n in zip(splits, SIZES):
        assert split.n_images == n and (split.counts() == 5).all()
        assert all(4 <= len(w) <= 6 for w in split.keywords)
    every = [data for s in splits for data in pictures(s)]
    assert len(set(every)) == len(every) == sum(SIZES)
    image = Image.open(splits.train.images[0])
    assert image.size == (256, 256) and image.mode == "RGB"


def test_boxes_lie_inside_the_picture_and_hold_something(splits):
    boxes = [b for s in splits for row in s.objects for b in row]
    assert len(boxes) > 300 and {b.label for b in boxes} <= set(NOUNS)
    for b in boxes:
        assert 0 <= b.x0 < b.x1 <= 256 and 0 <= b.y0 < b.y1 <= 256


@pytest.mark.parametrize(
    "sizes, workers", [(SIZES, 2), ((3, 1, 2), 1)], ids=["two processes", "fewer"]
)
def test_a_picture_depends_on_its_own_numbers_only(tmp_path, splits, sizes, workers):
    again = load_toy(tmp_path, sizes=sizes, duplicates=0.3, workers=workers)
    for few, many in zip(again, splits):
        n = few.n_images
        assert few.ids == many.ids[:n] and few.objects == many.objects[:n]
        assert few.captions == many.captions[: 5 * n]
        assert pictures(few) == pictures(many, n)


def test_size_scales_pictures_and_boxes(home, splits):
    half = load_toy(home, sizes=(2, 1, 1), duplicates=0.3, size=128)
    assert Image.open(half.train.images[0]).size == (128, 128)
    for small, full in zip(half.train.objects, splits.train.objects):
        assert [b.label for b in small] == [b.label for b in full]
        assert all(abs(2 * b.x1 - c.x1) <= 0.2 for b, c in zip(small, full))


WRONG = [("duplicates", 1.5), ("similarity", -0.1), ("seed", -1), ("size", 8)]


@pytest.mark.parametrize(
    "name, value", [*WRONG, ("sizes", (0, 1, 1)), ("sizes", (5, 5))]
)
def test_a_wrong_knob_is_named(tmp_path, name, value):
    with pytest.raises(RsirError, match=f"{name} is .*; give "):
        load_toy(tmp_path / "wrong", **{name: value})
    assert not (tmp_path / "wrong").exists()


def test_the_contact_sheet_shows_a_picture_of_each_kind(splits):
    sheet = toyscenes.contact_sheet(splits, columns=6, edge=64, gap=4)
    array, rows = np.asarray(sheet), -(-len(toyscenes.KINDS) // 6)
    assert sheet.width == 6 * 68 + 4 and sheet.height > rows * 68
    for k in range(len(toyscenes.KINDS)):
        x, y = 4 + (k % 6) * 68, 4 + (k // 6) * (sheet.height - 4) // rows
        assert array[y : y + 64, x : x + 64].std() > 3


# cache ----------------------------------------------------------------
def test_second_load_reads_the_cache(tmp_path, capsys, monkeypatch):
    first = load_toy(tmp_path, **TINY)
    out = capsys.readouterr()
    assert out.out.count("\n") == 1 and "5 pictures" in out.out and out.err == ""
    assert first.root.name == "v2_seed0_3-1-1_d0.25_s0.25_256px"
    monkeypatch.setattr(toyscenes, "draw", None)
    again = load_toy(tmp_path, **TINY)
    assert capsys.readouterr().out == ""
    assert again.train.captions == first.train.captions
    assert again.train.objects == first.train.objects
    monkeypatch.undo()
    other = load_toy(tmp_path, **TINY, duplicates=0.9)
    assert other.root != first.root
    assert pictures(other.train) == pictures(first.train)


@pytest.mark.parametrize(
    "damage", ["no annotation", "annotation cut", "picture gone", "picture cut"]
)
def test_a_half_written_cache_is_made_anew(tmp_path, damage):
    good = load_toy(tmp_path, **TINY)
    broken = good.root / ANNOTATION if "annot" in damage else good.train.images[1]
    want = broken.read_bytes()
    if "cut" in damage:
        broken.write_bytes(want[: len(want) // 2])
    else:
        broken.unlink()
    with pytest.raises(toyscenes.ToySceneError, match="no whole set"):
        toyscenes.read(good.root)
    load_toy(tmp_path, **TINY)
    assert broken.read_bytes() == want


def test_leftovers_of_a_killed_run_are_not_read(tmp_path):
    good = load_toy(tmp_path / "a", **TINY)
    folder = tmp_path / "b" / "toy" / good.root.name
    aside = folder.with_name(f".{folder.name}.1.part")
    (aside / "images").mkdir(parents=True)
    (aside / "images" / good.train.ids[0]).write_bytes(b"half")
    again = load_toy(tmp_path / "b", **TINY)
    assert again.train.captions == good.train.captions
    assert pictures(again.train) == pictures(good.train)
    folders = [p for p in folder.parent.iterdir() if p.is_dir()]
    assert folders == [folder]


def test_without_a_lock_only_old_leftovers_are_cleared(tmp_path):
    old, young = (tmp_path / f".scenes.{pid}.part" for pid in (1, 2))
    for aside in (old, young):
        (aside / "images").mkdir(parents=True)
    os.utime(old / "images", (1, 1))
    toyscenes.draw(tmp_path / "scenes", **TINY, size=64)
    assert sorted(p.name for p in tmp_path.iterdir()) == [young.name, "scenes"]


def test_failing_processes_are_made_up_for(tmp_path, monkeypatch):
    want = load_toy(tmp_path / "a", **TINY)
    monkeypatch.setattr("sys.executable", str(tmp_path / "missing"))
    got = load_toy(tmp_path / "b", sizes=(3, 1, 1), workers=2)
    assert pictures(got.train) == pictures(want.train)
    assert sorted(p.name for p in got.root.iterdir()) == [ANNOTATION, "images"]


def test_unwritable_cache_is_explained(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RsirError, match="RSIR_CACHE"):
        load_toy(tmp_path / "file", **TINY)
