"""What the explorer shows is what the systems found."""

import json
import re
from collections import namedtuple

import explorer
import measured
import numpy as np
import pytest
from nbkit import ROOT
from PIL import Image
from rsir.models.registry import HOMES

from rsir.data import load_dataset
from rsir.evaluation import metrics

KNOWN = explorer.load()
Run = namedtuple("Run", "seed mR")


def test_numbers_survive_packing():
    numbers = [0, 1, 35, 36, 1295]
    assert explorer.unpacked(explorer.packed(numbers)) == numbers


def test_lists_have_the_place_and_the_top():
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((7, 40)).round(1)  # with equals
    right = [sorted(rng.choice(40, 3, replace=False)) for _ in scores]
    width = explorer.TOP + 1
    found = explorer.unpacked(explorer.lists(scores, right))
    for q, row in enumerate(scores):
        place, *top = found[q * width : (q + 1) * width]
        order = sorted(range(40), key=lambda i: (-row[i], i))
        assert top == order[: explorer.TOP]
        assert place == 1 + min(order.index(i) for i in right[q])


def test_owners_turn_the_captions_around():
    captions = [[0, 2], [2], [1, 0]]
    assert explorer.owners(captions, 3) == [[0, 2], [2], [0, 1]]


def test_only_new_systems_are_missing(monkeypatch):
    monkeypatch.setattr(explorer, "first_records", lambda: {"linear": 1, "later": 2})
    known = {"systems": [{"method": "linear"}]}
    assert explorer.missing(known) == ["later"]
    assert explorer.missing(None) == ["linear", "later"]


def test_a_system_joins_those_that_are_there(monkeypatch, tmp_path):
    """One more record, one more system; what was made stays."""
    splits = load_dataset("toy", sizes=(4, 2, 6))
    monkeypatch.setattr("rsir.data.load_dataset", lambda name: splits)
    records = {"linear": Run(1, 20.0)}
    monkeypatch.setattr(explorer, "first_records", lambda: records)
    made = []

    def facts(record, splits, scenes):
        made.append(record.seed)
        name = list(records)[record.seed - 1]
        return {"method": name, "stages": {}}

    monkeypatch.setattr(explorer, "system_facts", facts)
    explorer.make(["linear"], None, tmp_path)
    records["linear"] = Run(1, 21.004)  # measured again
    records["later"] = Run(2, 30.0)
    known = explorer.load(tmp_path)
    explorer.make(explorer.missing(known), known, tmp_path)
    known = explorer.load(tmp_path)
    assert [one["method"] for one in known["systems"]] == list(records)
    assert [one["name"] for one in known["systems"]] == ["linear baseline", "later"]
    assert made == [1, 2]
    recorded = [one["recorded"] for one in known["systems"]]
    assert recorded == [21.0, 30.0]
    assert len(known["scenes"]["kinds"]) == 6
    with Image.open(tmp_path / explorer.SHEET) as sheet:
        assert sheet.size == (explorer.EDGE * explorer.COLUMNS, explorer.EDGE)
    before = (tmp_path / explorer.SHEET).read_bytes()
    (tmp_path / explorer.SHEET).unlink()
    explorer.make([], known, tmp_path)
    assert (tmp_path / explorer.SHEET).read_bytes() == before


def test_another_version_is_made_anew(tmp_path):
    explorer.save({"version": explorer.VERSION, "systems": []}, tmp_path)
    assert explorer.load(tmp_path) == {
        "version": explorer.VERSION, "systems": []
    }  # fmt: skip
    explorer.save({"version": -1, "systems": []}, tmp_path)
    assert explorer.load(tmp_path) is None
    assert explorer.load(tmp_path / "nowhere") is None


# -- what is stored ---------------------------------------------------


def test_what_is_stored_is_small():
    size = sum(p.stat().st_size for p in explorer.OUT.iterdir())
    assert size < 1_500_000


def test_stored_scenes_are_the_toy_scenes():
    test = load_dataset("toy").test
    assert KNOWN["scenes"] == explorer.scene_facts(test)
    with Image.open(explorer.OUT / explorer.SHEET) as sheet:
        rows = -(-len(KNOWN["scenes"]["kinds"]) // KNOWN["columns"])
        assert sheet.size == (KNOWN["columns"] * KNOWN["edge"], rows * KNOWN["edge"])


@pytest.mark.parametrize("one", KNOWN["systems"], ids=lambda one: one["method"])
def test_a_stored_system_is_whole_and_near_its_record(one):
    assert one["method"] in HOMES
    run = explorer.first_records()[one["method"]]
    value = measured.recalls_of(run)["mR"]
    assert abs(one["mR"] - value) < 3.0, "run make explorer"
    texts, kinds = KNOWN["scenes"]["texts"], KNOWN["scenes"]["kinds"]
    assert "first" in one["stages"]
    for name, both in one["stages"].items():
        assert name in KNOWN["stages"]
        for side, n, items in (
            ("t2i", len(texts), len(kinds)),
            ("i2t", len(kinds), len(texts)),
        ):
            numbers = np.array(explorer.unpacked(both[side]))
            rows = numbers.reshape(n, explorer.TOP + 1)
            assert rows[:, 0].min() >= 1 and rows[:, 0].max() <= items
            assert rows[:, 1:].max() < items
            for row in rows:
                assert len(set(row[1:])) == explorer.TOP


@pytest.mark.parametrize("one", KNOWN["systems"], ids=lambda one: one["method"])
def test_places_and_marks_agree(one):
    """A right item in the top ten stands where the place says."""
    captions = KNOWN["scenes"]["captions"]
    right = {
        "i2t": captions,
        "t2i": explorer.owners(captions, len(KNOWN["scenes"]["texts"])),
    }
    for both in one["stages"].values():
        for side, good in right.items():
            rows = np.array(explorer.unpacked(both[side])).reshape(len(good), -1)
            for row, own in zip(rows, good, strict=True):
                at = [i for i, x in enumerate(row[1:], 1) if x in own]
                assert row[0] == at[0] if at else row[0] > explorer.TOP


def test_the_recall_is_near_that_of_the_record():
    """The list of the page and the ranks of the record tell one story."""
    for one in KNOWN["systems"]:
        run = explorer.first_records()[one["method"]]
        rows = np.array(explorer.unpacked(one["stages"]["first"]["i2t"])).reshape(
            -1, explorer.TOP + 1
        )
        known = metrics.recalls_from_ranks(run.ranks(), "expected")
        ours = 100 * np.mean(rows[:, 0] <= 10)
        assert abs(ours - known["i2t"]["R@10"]) < 8


def test_the_page_has_what_the_script_asks_for():
    script = (explorer.OUT / "explorer.js").read_text()
    names = script.replace("known.get(", "")
    page = (ROOT / "book/explorer.md").read_text()
    for name in set(re.findall(r'\bget\("([\w-]+)"\)', names)):
        assert f'id="ex-{name}"' in page, name
    for name in ("data.js", "explorer.js", "explorer.css"):
        assert f"../_static/explorer/{name}" in page
    text = (explorer.OUT / explorer.DATA).read_text()
    assert text.startswith(explorer.HEAD)
    json.loads(text.removeprefix(explorer.HEAD).rstrip(";\n"))
