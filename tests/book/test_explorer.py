"""What the explorer shows is what the systems found."""

import re
from itertools import product
from types import SimpleNamespace

import explorer
import numpy as np
import pytest
from nbkit import ROOT
from PIL import Image

from rsir.data import load_dataset
from rsir.evaluation.metrics import recalls_from_ranks
from rsir.models import methods

KNOWN = explorer.load() or {"systems": []}
EACH = pytest.mark.parametrize("one", KNOWN["systems"], ids=lambda one: one["method"])
WIDTH = explorer.TOP + 1


def test_lists_have_the_place_and_the_top():
    numbers = [0, 1, 35, 36, 1295]
    assert explorer.unpacked(explorer.packed(numbers)) == numbers
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((7, 40)).round(1)  # with ties
    right = [sorted(rng.choice(40, 3, replace=False)) for _ in scores]
    found = np.reshape(explorer.unpacked(explorer.lists(scores, right)), (7, WIDTH))
    for row, own, (place, *top) in zip(scores, right, found, strict=True):
        order = sorted(range(40), key=lambda i: (-row[i], i))
        assert top == order[: explorer.TOP]
        assert place == 1 + min(map(order.index, own))
    assert explorer.owners([[0, 2], [2], [1, 0]], 3) == [[0, 2], [2], [0, 1]]


def test_a_system_joins_those_that_are_there(monkeypatch, tmp_path):
    """One more record, one more system; what was made stays."""
    splits = load_dataset("toy", sizes=(4, 2, 6))
    records = {"linear": SimpleNamespace(name="linear", mR=20.0)}
    made = []

    def facts(record, splits, scenes):
        made.append(record.name)
        return {"method": record.name, "stages": {}}

    monkeypatch.setattr(explorer, "load_dataset", lambda name: splits)
    monkeypatch.setattr(explorer, "first_records", lambda: records)
    monkeypatch.setattr(explorer, "system_facts", facts)
    assert explorer.missing(None) == ["linear"]
    explorer.make(["linear"], None, tmp_path)
    records["linear"].mR = 21.004  # measured again
    records["later"] = SimpleNamespace(name="later", mR=30.0)
    known = explorer.load(tmp_path)
    assert explorer.missing(known) == ["later"]
    explorer.make(["later"], known, tmp_path)
    known = explorer.load(tmp_path)
    assert made == [one["method"] for one in known["systems"]] == list(records)
    assert [one["name"] for one in known["systems"]] == ["linear baseline", "later"]
    assert [one["recorded"] for one in known["systems"]] == [21.0, 30.0]
    assert len(known["scenes"]["kinds"]) == 6
    sheet = tmp_path / explorer.SHEET
    with Image.open(sheet) as drawn:
        assert drawn.size == (explorer.EDGE * explorer.COLUMNS, explorer.EDGE)
    before = sheet.read_bytes()
    sheet.unlink()
    explorer.make([], known, tmp_path)
    assert sheet.read_bytes() == before
    explorer.save({"version": -1, "systems": []}, tmp_path)
    assert explorer.load(tmp_path) is None  # to be made anew
    assert explorer.load(tmp_path / "nowhere") is None


def test_stored_scenes_are_the_toy_scenes():
    assert KNOWN["systems"], "run make explorer"
    assert KNOWN["scenes"] == explorer.scene_facts(load_dataset("toy").test)
    with Image.open(explorer.OUT / explorer.SHEET) as sheet:
        rows = -(-len(KNOWN["scenes"]["kinds"]) // KNOWN["columns"])
        assert sheet.size == (KNOWN["columns"] * KNOWN["edge"], rows * KNOWN["edge"])
    assert sum(p.stat().st_size for p in explorer.OUT.iterdir()) < 1_500_000


@EACH
def test_a_stored_system_is_whole_and_near_its_record(one):
    assert one["method"] in methods()
    run = explorer.first_records()[one["method"]]
    known = recalls_from_ranks(run.ranks(), "expected")
    assert abs(one["mR"] - known["mR"]) < 3.0, "run make explorer"
    assert "first" in one["stages"] and set(one["stages"]) <= set(KNOWN["stages"])
    captions = KNOWN["scenes"]["captions"]
    of_texts = explorer.owners(captions, len(KNOWN["scenes"]["texts"]))
    right = {"i2t": (captions, len(of_texts)), "t2i": (of_texts, len(captions))}
    for name, side in product(one["stages"], right):
        good, items = right[side]
        rows = explorer.unpacked(one["stages"][name][side])
        rows = np.reshape(rows, (len(good), WIDTH))
        assert 1 <= rows[:, 0].min() <= rows[:, 0].max() <= items > rows[:, 1:].max()
        for (place, *top), own in zip(rows, good, strict=True):
            assert len(set(top)) == explorer.TOP
            # a right item in the top ten stands where the place says
            at = [i for i, x in enumerate(top, 1) if x in own]
            assert place == at[0] if at else place > explorer.TOP
        if (name, side) == ("first", "i2t"):
            assert abs(100 * np.mean(rows[:, 0] <= 10) - known["i2t"]["R@10"]) < 8


def test_the_page_has_what_the_script_asks_for():
    script = (explorer.OUT / "explorer.js").read_text().replace("known.get(", "")
    page = (ROOT / "book/explorer.md").read_text()
    for name in set(re.findall(r'\bget\("([\w-]+)"\)', script)):
        assert f'id="ex-{name}"' in page, name
    for name in ("data.js", "explorer.js", "explorer.css"):
        assert f"../_static/explorer/{name}" in page
