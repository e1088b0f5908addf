"""The recorded seeds of chapter 07 are those of its code as it stands."""

import importlib
import json

import pytest
from nbkit import ROOT

from rsir.experiments import claims, tables


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("tiny_clip")


def test_the_record_is_of_the_chapters_cells(bench):
    facts = json.loads(bench.WRITTEN.read_text("utf-8"))
    assert facts["cells_sha256"] == bench.digest(), f"run {facts['command']}"


def test_every_seed_lies_in_the_range_and_says_what_the_chapter_says(bench):
    seeds = tables.tiny_clip()
    expected = claims.recorded_range([x["mR"]["CLIP"]["new"] for x in seeds], 4.0)
    assert len({x["seed"] for x in seeds}) >= 3
    for one in seeds:
        clip, ridge, named = one["mR"]["CLIP"], one["mR"]["ridge"], one["named"]
        assert expected.low < clip["new"] < clip["other"] < clip["trained on"]
        assert all(clip[part] > ridge[part] for part in clip)
        assert named["unseen: head"] == 0 < named["unseen: six grounds"]
        assert named["unseen: six grounds"] <= named["unseen: one ground"]
        assert named["seen: head"] > named["seen: bare name"]


def test_cells_end_with_the_recalls(bench, monkeypatch):
    assert bench.LAST in bench.cells()[-1][0]
    monkeypatch.setattr(bench, "LAST", "no such line")
    with pytest.raises(SystemExit, match="no such line"):
        bench.cells()
