"""The benchmark of short lists: what it holds against what."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rsir.data import load_dataset
from rsir.evaluation.metrics import recalls_from_ranks
from rsir.evaluation.ranks import compute_ranks
from rsir.retrieval.two_stage import rescore

HOME = Path(__file__).resolve().parents[2] / "benchmarks"


def script(name):
    spec = importlib.util.spec_from_file_location(f"{name}_bench", HOME / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def stages(monkeypatch):
    monkeypatch.setitem(sys.modules, "search", script("search"))
    return script("stages")


class Known:
    """What `stages.Timed` is made of, from tables; it is its own stages."""

    def __init__(self, seed=0):
        draw = np.random.default_rng(seed)
        self.owner = np.repeat(np.arange(12), 2)
        self.table = draw.normal(size=(12, 24))
        self.table[self.owner, np.arange(24)] += 1.5
        self.coarse = np.round(self.table + draw.normal(size=(12, 24)))
        self.part, self.stages = SimpleNamespace(n_captions=24), self

    def ranks(self, coarse, m=0):
        if m:
            t2i = self.sides(coarse, m, "t2i")
            coarse = self.sides(coarse, m, "i2t")
            both = compute_ranks(coarse, self.owner), compute_ranks(t2i, self.owner)
            return type(both[0])(both[0].i2t, both[1].t2i, self.owner)
        return compute_ranks(coarse, self.owner)

    def sides(self, coarse, m, way):
        return rescore(coarse, lambda p: self.table[tuple(p.T)], m, way, tied="draw")

    def reading_seconds(self, m):
        return 2.0 * m

    def listing_seconds(self, m):
        return 1.0

    def encoding_seconds(self):
        return 0.5


def test_stages_hold_the_short_list_against_all_pairs(stages):
    own = Known()
    facts, found = stages.of_subset(own, (3, 24))
    every = recalls_from_ranks(compute_ranks(own.table, own.owner))["mR"]
    short, whole = facts["coarse_to_fine"]
    assert whole["mR"] == facts["fine"]["mR"] == every > short["mR"]
    assert short["faster"] == 48 / 7
    for m, row in ((0, facts["fine"]), (3, short), (24, whole)):
        assert stages.mR(found[m]) == row["mR"]


def test_of_val_only_what_train_does_not_hold_is_measured(stages, monkeypatch):
    splits = load_dataset("toy")
    val, n = splits.val, splits.val.n_images // 3
    new = np.arange(val.n_images) % 4 > 0
    monkeypatch.setattr("rsir.data.caption_statistics.to_choose_on", lambda *_: new)
    parts = stages.subsets(splits, "val", n)
    names = [name for part in parts for name in part.ids]
    assert [part.n_images for part in parts] == [n, n]
    assert len(set(names)) == 2 * n
    assert set(names) <= set(np.array(val.ids)[new])
    assert [x.ids for x in stages.subsets(splits, "val", n)] == [x.ids for x in parts]
    (small,) = stages.subsets(splits, "test", 10**6)
    assert small.ids == splits.test.ids


def test_runs_and_subsets_are_averaged(stages, monkeypatch):
    monkeypatch.setattr(stages, "subsets", lambda *_: [1, 2])
    monkeypatch.setattr(stages, "trained", lambda run, *_: run)
    monkeypatch.setattr(stages, "Timed", lambda run, part: Known(10 * run + part))
    facts = stages.of_runs([0, 1], "toy", "val", 12, (3, 24))
    each = [stages.of_subset(Known(n), (3, 24))[0] for n in (1, 2, 11, 12)]
    short, whole = facts["coarse_to_fine"]
    mR = [x["fine"]["mR"] for x in each]
    loss = [x - one["coarse_to_fine"][0]["mR"] for x, one in zip(mR, each, strict=True)]
    assert short["loss"] == pytest.approx(np.mean(loss))
    low, high = short["loss_ci95"]
    assert low < short["loss"] < high
    assert whole["loss_ci95"] == [0, 0]
    assert facts["fine"]["mR"] == pytest.approx(np.mean(mR))
    assert (facts["runs"], facts["subsets"], short["M"]) == (2, 2, 3)
