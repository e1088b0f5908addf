"""The noun: owners, subsets, hashes."""

import numpy as np
import pytest
from small_data import picture

from rsir.data import Box, PixelOptions, Split, content_hash, image_hashes, load_dataset
from rsir.utils.errors import RsirError


def small(**changes):
    facts = {
        "dataset": "mine",
        "name": "train",
        "images": ("a", "b", "c"),
        "captions": ("one", "two", "three", "one"),
        "owner": np.array([2, 0, 2, 1]),
        "ids": ("a", "b", "c"),
        "labels": ("x", "y", "z"),
        "objects": ((), (Box("plane", 0, 0, 2, 2),), ()),
    }
    return Split(**{**facts, **changes})


def test_captions_are_found_in_any_order():
    s = small()
    assert s.captions_of(2) == s.captions_of(-1) == ["one", "three"]
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


@pytest.mark.parametrize(
    "change, message",
    [
        ({"owner": [3, 0, 2, 1]}, "there are 3 images"),
        ({"owner": [-1, 0, 2, 1]}, "there are 3 images"),
        ({"owner": [0]}, "one owner per caption"),
        ({"labels": ("u", "v")}, "2 labels for 3 images"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(RsirError, match=message):
        small(**change)
    with pytest.raises(ValueError, match="read-only"):
        small().owner[0] = 1


def test_digest_is_of_the_list_alone():
    s = small()
    assert len(s.digest()) == 16 and int(s.digest(), 16) >= 0
    assert small(images=("x", "y", "z"), name="test").digest() == s.digest()
    for change in (
        {"ids": ("a", "b", "d")},
        {"captions": ("one", "two", "three", "One")},
        {"owner": [2, 0, 1, 2]},
        {"pixels": PixelOptions(scale=(0, 1))},
    ):
        assert small(**change).digest() != s.digest()


def test_hashes_follow_content_not_place(rsicd, tmp_path):
    s = load_dataset("rsicd", rsicd).train
    before, images = content_hash(s), image_hashes(s)
    assert len(set(images)) == len(s) == 6
    moved = tmp_path / "moved"
    rsicd.rename(moved)
    s = load_dataset("rsicd", moved).train
    assert content_hash(s) == before
    picture(moved / "RSICD_images" / "pond_1.jpg", 200)
    changed = [a != b for a, b in zip(images, image_hashes(s), strict=True)]
    assert changed == [i == 4 for i in range(6)]
    assert content_hash(s) != before
    assert content_hash(s.subset([1, 0])) != content_hash(s.subset([0, 1]))
