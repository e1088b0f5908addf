"""The facts of chapter 01: of a tiny case by hand, and of the stored ones again."""

import importlib
import json
import os
from pathlib import Path

import pytest
from nbkit import ROOT

from rsir.data.caption_statistics import captions_hash, duplicate_facts
from rsir.data.readers import find_dataset
from rsir.evaluation.metrics import ceilings
from rsir.utils.errors import RsirError

STORED = ROOT / "results/protocol"


@pytest.fixture
def facts_of(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("protocol_facts")


def karpathy(path, name, images):
    """A JSON of (file name, split, captions)."""
    images = [
        {"filename": x, "split": split, "sentences": [{"raw": c} for c in captions]}
        for x, split, captions in images
    ]
    path.write_text(json.dumps({"dataset": name, "images": images}))
    return path


@pytest.fixture
def both(facts_of, tmp_path):
    """Three pictures of RSITMD in train, with one of val, and two in test."""
    mine = [
        ("a.tif", "train", ["a pond", "a pond"]),
        ("b.tif", "val", ["a pond", "Two ships."]),
        ("c.tif", "test", ["A road, and trees", "a bridge"]),
        ("d.tif", "test", ["a bridge", "a bridge"]),
    ]
    theirs = [
        ("1.jpg", "train", ["a road and trees .", "some cars"]),
        ("2.jpg", "val", ["two ships", "some cars"]),
        ("3.jpg", "test", ["a bridge", "a square"]),
    ]
    return [
        facts_of.captions_alone(karpathy(tmp_path / f"{name}.json", name, images))
        for name, images in (("RSITMD", mine), ("rsicd", theirs))
    ]


def test_captions_alone_are_counted_by_split(facts_of, both):
    mine, theirs = both
    assert [len(s) for s in mine] == [2, 0, 2]  # val is cut from train
    assert [len(s) for s in theirs] == [1, 1, 1]
    found = facts_of.facts(mine, pictures=False)
    assert found["systems"] == {} and list(found["splits"]) == ["train", "test"]
    test = found["splits"]["test"]
    assert (test["n_captions"], test["n_texts"], test["shared_captions"]) == (4, 2, 3)
    # "a bridge" is asked three times; its list can begin with the twice asked d.
    # c is found by its road; d has two of three equal captions.
    top = found["ceilings"]["test"]
    assert top["t2i"]["R@1"] == pytest.approx(100 * 3 / 4)
    assert top["i2t"]["R@1"] == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert top["t2i"]["R@5"] == top["i2t"]["R@5"] == 100
    assert top["mR"] == pytest.approx((75 + 250 / 3 + 400) / 6)
    assert found["choosing"]["test"]["captions_in_train"] == 0


def test_the_overlap_is_counted_by_pictures_and_by_words(facts_of, both):
    pairs = {"b": "2", "c": "1", "d": "3"}
    found = facts_of.overlap_facts(*both, pairs)
    assert found["pictures"] == {
        "train": {"train": 0, "val": 1, "test": 0},
        "test": {"train": 1, "val": 0, "test": 1},
    }
    assert found["words"] == {
        "train": {"captions": 2, "same scene": 1, "next scene": 0},
        "test": {"captions": 4, "same scene": 3, "next scene": 1},
    }
    assert found["known"]["mine"]["test"] == {"train": 1, "val": 0, "test": 3}
    assert found["known"]["theirs"]["train"] == {"train": 0, "test": 1}


def test_the_pairs_are_those_of_the_rebuilt_part(facts_of):
    listed = (ROOT / "rsir/data/rsitmd_part.txt").read_text().splitlines()
    names = {Path(line.split()[1]).stem for line in listed if line[0] != "#"}
    pairs = {x: facts_of.pairs_with(x) for x in ("rsicd", "ucm")}
    assert {name for some in pairs.values() for name in some} == names
    assert sum(len({*some.values()}) for some in pairs.values()) == len(names)
    stored = json.loads((STORED / "rsitmd.json").read_text())["overlap"]["pictures"]
    assert sum(sum(row.values()) for row in stored.values()) == len(pairs["rsicd"])


def test_every_data_set_has_its_counts(facts_of):
    found = {path.stem: json.loads(path.read_text()) for path in STORED.glob("*.json")}
    assert set(found) == {"rsicd", "rsitmd", "sydney", "toy", "ucm"}
    for name, facts in found.items():
        assert facts["command"].startswith("python benchmarks/protocol_facts.py"), name
        assert set(facts["ceilings"]) == set(facts["splits"]), name
        if name != "toy":
            sizes = facts_of.CATALOG[name].splits
            known = [facts["splits"].get(s, {}) for s in ("train", "val", "test")]
            assert [x.get("n_images") for x in known] == [*sizes], name


@pytest.mark.parametrize("name", ["rsicd", "ucm", "rsitmd", "sydney"])
def test_stored_counts_are_found_again(facts_of, name):
    try:
        splits = facts_of.captions_alone(source(facts_of, name))
    except RsirError as error:
        pytest.skip(f"not at hand: {error}")
    stored = json.loads((STORED / f"{name}.json").read_text())
    found = {split.name: split for split in splits if len(split)}
    if stored["captions_sha256"] != {k: captions_hash(s) for k, s in found.items()}:
        pytest.skip(f"another edition of {name}'s captions")
    for part, split in found.items():
        assert stored["splits"][part] == duplicate_facts(split)
        assert stored["ceilings"][part] == ceilings(split.captions, split.owner)


def source(facts_of, name):
    """The JSON of a data set, with its pictures or alone."""
    title = {"rsitmd": "RSITMD", "sydney": "Sydney"}.get(name, "")
    root = Path(os.environ.get("RSIR_DATA", "."))
    alone = root / "captions_only" / f"dataset_{title}.json"
    return alone if alone.exists() else find_dataset(name).source
