"""The rebuilt part of RSITMD: from the whole set, and from itself."""

import json

import pytest

from rsir.data import load_dataset
from rsir.data.part import listed, rebuilt_part
from rsir.utils.errors import RsirError

SIZES = {"train": 2619, "val": 631, "test": 253}
EXTRA = {"train": ["more_1", "more_2", "more_3"], "test": ["other_1", "other_2"]}


def lay_out(folder, splits):
    """A Karpathy JSON of these names, and a file for each of them."""
    images = [
        {
            "filename": f"{name}.tif",
            "split": part,
            "sentences": [{"raw": f"{name} number {k} ."} for k in range(5)],
        }
        for part, names in splits.items()
        for name in names
    ]
    home = folder / "rsitmd"
    (home / "images").mkdir(parents=True)
    for image in images:
        (home / "images" / image["filename"]).touch()
    (home / "dataset_RSITMD.json").write_text(json.dumps({"images": images}))
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """All of the list and a little more, without val, as the authors have it."""
    names = listed()
    train = [*EXTRA["train"], *names["val"], *names["train"]]
    test = [*EXTRA["test"], *names["test"]]
    return lay_out(tmp_path_factory.mktemp("whole"), {"train": train, "test": test})


def test_the_list_has_names_alone_each_once():
    names = listed()
    assert {part: len(own) for part, own in names.items()} == SIZES
    assert len({x for own in names.values() for x in own}) == sum(SIZES.values())


def test_the_part_is_the_same_from_the_whole_and_from_itself(whole, tmp_path):
    for seed in (0, 1):  # val of the whole is cut by a seed, that of the part stands
        found = load_dataset("rsitmd", whole, part="rebuilt", seed=seed)
        assert found.name == found.test.dataset == "rsitmd-part"
        assert {s.name: len(s) for s in found} == SIZES
    alone = load_dataset("rsitmd-part", lay_out(tmp_path, listed()))
    for a, b in zip(found, alone, strict=True):
        assert a.digest() == b.digest() and a.labels == b.labels
    third = found.test.caption_indices(2)
    name = found.test.ids[2].removesuffix(".tif")
    assert found.test.captions[third[4]] == f"{name} number 4 ."
    assert found.train.images[7].name == found.train.ids[7]


def test_what_is_not_the_part_is_refused(whole, tmp_path):
    names = listed()
    lost = dict(names, val=names["val"][3:])
    moved = dict(names, train=[*names["train"], names["test"][0]])
    moved["test"] = names["test"][1:]
    for splits, says in ((lost, "3 of the 3,503 pictures"), (moved, "1 pictures of")):
        with pytest.raises(RsirError, match=says):
            rebuilt_part(load_dataset("rsitmd", lay_out(tmp_path / says[0], splits)))
    for options, says in (
        ({"name": "ucm", "part": "rebuilt"}, "there is one"),
        ({"name": "rsitmd", "part": "half"}, "part='rebuilt'"),
        ({"name": "rsitmd-part", "val_fraction": 0.2}, "is fixed"),
    ):
        with pytest.raises(RsirError, match=says):
            load_dataset(root=whole, **options)
