"""The benchmark's own parts: what it plants, and what it counts."""

import importlib
from types import SimpleNamespace

import numpy as np
import pytest
from nbkit import ROOT

from rsir.data import load_dataset
from rsir.evaluation.metrics import evaluate_ranks
from rsir.evaluation.ranks import compute_ranks
from rsir.retrieval.index import Index, hamming
from rsir.retrieval.two_stage import TwoStage


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("search")


@pytest.fixture
def stages(bench):
    return importlib.import_module("stages")


def test_ten_neighbours_are_planted_and_nothing_else_is_near(bench):
    rows, queries = bench.planted(3000, 20)
    far = np.sort(hamming(queries, rows), axis=1)
    assert far.shape == (20, 3000) and far[:, 0].min() >= 1
    assert (far[:, :10] <= bench.FAR).all()
    assert (far[:, 10] > 2 * bench.FAR).all()
    assert len(bench.planted(1000, 100)[1]) == 10  # most are strangers


def test_recall_counts_the_ten_best(bench):
    exact = np.arange(20).reshape(2, 10)
    assert bench.recall(exact[:, ::-1], exact) == 100
    assert bench.recall(np.full((2, 10), -1), exact) == 0
    assert bench.recall(np.where(exact % 2 == 0, exact, -1), exact) == 50


@pytest.mark.parametrize("kind", ["binary-flat", "flat", "binary-hash"])
def test_a_row_of_the_table(bench, kind):
    rows, queries = bench.planted(2000, 10)
    exact = Index.build("binary-flat", rows).search(queries, 10)[1]
    row = bench.one_kind(kind, rows, queries, exact)
    assert (row["recall_at_10"], row["n"]) == (100, 2000)
    assert row["bytes_per_code"] >= 16


def test_the_limit_is_the_larger_of_reading_and_counting(bench):
    bound = bench.limits(*bench.planted(5000, 5))
    least = max(bound["read_seconds"], bound["count_seconds"])
    assert bound["ratio"] == bound["scan_seconds"] / least
    assert bound["bytes"] == 5000 * 16


def test_sizes_are_kept_as_they_are_done(bench, capsys):
    kept = []
    facts = bench.scale(
        (1000, 2000), 3, 0, 0, lambda x: kept.append([row["n"] for row in x["limits"]])
    )
    assert kept == [[1000], [1000, 2000]]
    kinds = {row["kind"] for row in facts["table"]}
    assert kinds == {"binary-flat", "binary-ivf", "binary-hash"}
    assert "limited by" not in capsys.readouterr().out  # too small
    assert bench.unplaced("/somewhere/runs/one") == "one"


class Known(TwoStage):
    """Two stages made of tables; the seconds are made up."""

    def __init__(self, seed=0):
        draw = np.random.default_rng(seed)
        self.owner, self.columns = np.repeat(np.arange(12), 2), np.arange(24)
        self.captions, self.tied = list("abcdefghijklmnopqrstuvwx"), "draw"
        self.table = draw.normal(size=(12, 24))
        self.table[self.owner, np.arange(24)] += 1.5
        self.coarse = np.round(self.table + draw.normal(size=(12, 24)))
        self.part, self.stages = SimpleNamespace(n_captions=24), self

    def fine(self, pairs):
        return self.table[tuple(pairs.T)]

    def reading_seconds(self, m):
        return 2.0 * m

    def listing_seconds(self, m):
        return 1.0

    def encoding_seconds(self):
        return 0.5


def test_stages_hold_the_short_list_against_all_pairs(stages):
    own = Known()
    facts, found = stages.of_subset(own, (3, 24))
    for name, scores in (("fine", own.table), ("coarse", own.coarse)):
        right = evaluate_ranks(compute_ranks(scores, own.owner), bootstrap=0).mR
        assert facts[name]["mR"] == pytest.approx(right)
    short, whole = facts["coarse_to_fine"]
    assert whole["mR"] == facts["fine"]["mR"] > short["mR"] > facts["coarse"]["mR"]
    assert short["faster"] == 48 / 7
    for m, row in {0: facts["fine"], 3: short, 24: whole}.items():
        assert stages.mR(found[m]) == row["mR"]


def test_of_val_only_what_train_does_not_hold_is_measured(stages, monkeypatch):
    splits = load_dataset("toy")
    val, n = splits.val, splits.val.n_images // 3
    new = np.arange(val.n_images) % 4 > 0
    name = "rsir.data.caption_statistics.to_choose_on"
    monkeypatch.setattr(name, lambda val, train: new)
    parts = stages.subsets(splits, "val", n)
    names = [name for part in parts for name in part.ids]
    assert [part.n_images for part in parts] == [n, n]
    assert len(set(names)) == 2 * n and set(names) <= set(np.array(val.ids)[new])
    assert [x.ids for x in stages.subsets(splits, "val", n)] == [x.ids for x in parts]
    n = splits.test.n_images // 3
    of_test = stages.subsets(splits, "test", n)
    assert len({name for part in of_test for name in part.ids}) == 3 * n
    (small,) = stages.subsets(splits, "test", 10**6)
    assert small.ids == splits.test.ids


def test_runs_and_subsets_are_averaged(stages, monkeypatch):
    monkeypatch.setattr(stages, "subsets", lambda *_: [1, 2])
    monkeypatch.setattr(stages, "trained", lambda run, *_: run)
    monkeypatch.setattr(stages, "Timed", lambda run, part: Known(10 * run + part))
    facts = stages.of_runs([0, 1], "toy", "val", 12, (3, 24))
    each = [stages.of_subset(Known(n), (3, 24))[0] for n in (1, 2, 11, 12)]
    short, whole = facts["coarse_to_fine"]
    loss = [x["fine"]["mR"] - x["coarse_to_fine"][0]["mR"] for x in each]
    assert short["loss"] == pytest.approx(np.mean(loss))
    low, high = short["loss_ci95"]
    assert low < short["loss"] < high and whole["loss_ci95"] == [0, 0]
    mR = np.mean([x["fine"]["mR"] for x in each])
    assert facts["fine"]["mR"] == pytest.approx(mR)
    assert (facts["runs"], facts["subsets"], short["M"]) == (2, 2, 3)
