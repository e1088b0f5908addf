"""The benchmark's own parts: what it plants, and what it counts."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rsir.data import load_dataset
from rsir.evaluation.metrics import Ranks, evaluate_ranks, ranks
from rsir.retrieval.index import Index, hamming

HOME = Path(__file__).resolve().parents[2] / "benchmarks"


def script(name):
    spec = importlib.util.spec_from_file_location(f"{name}_bench", HOME / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def bench():
    return script("search")


@pytest.fixture
def stages(bench, monkeypatch):
    monkeypatch.setitem(sys.modules, "search", bench)
    return script("stages")


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
    half = np.where(exact % 2 == 0, exact, -1)
    assert bench.recall(half, exact) == 50


def test_a_row_of_the_table(bench):
    rows, queries = bench.planted(2000, 10)
    exact = Index.build("binary-flat", rows).search(queries, 10)[1]
    for kind in ("binary-flat", "flat", "binary-hash"):
        row = bench.one_kind(kind, rows, queries, exact)
        assert row["recall_at_10"] == 100
        assert row["n"] == 2000 and row["queries_per_s"] > 0
    assert row["bytes_per_code"] > 16


def test_the_limit_is_the_larger_of_reading_and_counting(bench):
    rows, queries = bench.planted(5000, 5)
    bound = bench.limits(rows, queries)
    least = max(bound["read_seconds"], bound["count_seconds"])
    assert bound["ratio"] == bound["scan_seconds"] / least
    assert bound["bytes"] == 5000 * 16


def test_sizes_are_kept_as_they_are_done(bench, capsys):
    kept = []
    facts = bench.scale(
        (1000, 2000),
        3,
        0,
        0,
        lambda facts: kept.append([row["n"] for row in facts["limits"]]),
    )
    assert kept == [[1000], [1000, 2000]]
    assert {row["kind"] for row in facts["table"]} == {
        "binary-flat",
        "binary-ivf",
        "binary-hash",
    }
    assert "limited by" not in capsys.readouterr().out  # too small
    assert bench.unplaced("/somewhere/runs/one") == "one"


class Known:
    """What `stages.Subset` is made of, from tables."""

    n_captions, chosen = 24, 0.25

    def __init__(self, seed=0):
        draw = np.random.default_rng(seed)
        self.owner = np.repeat(np.arange(12), 2)
        self.table = draw.normal(size=(12, 24))
        self.table[self.owner, np.arange(24)] += 1.5
        self.first = self.table + draw.normal(size=(12, 24))
        self.coarse = np.round(self.first)
        self.part = SimpleNamespace(n_captions=24)

    def read(self, pairs):
        return self.table[tuple(pairs.T)]

    def unread(self, pairs):
        return self.first[tuple(pairs.T)]

    def reading_seconds(self, m):
        return 2.0 * m

    def listing_seconds(self, m):
        return 1.0

    def encoding_seconds(self):
        return 0.5

    def ranks(self, of_i2t, of_t2i):
        one, other = (ranks(x, self.owner) for x in (of_i2t, of_t2i))
        return Ranks(one.i2t, other.t2i, self.owner)


def test_stages_hold_the_short_list_against_all_pairs(stages):
    own = Known()
    facts, found = stages.of_subset(own, (3, 24))

    def recall(x):
        return evaluate_ranks(ranks(x, own.owner), bootstrap=0).mR

    assert facts["fine"]["mR"] == recall(own.table)
    mixed = 0.75 * own.first + 0.25 * own.table
    assert facts["fine"]["mR_as_chosen"] == recall(mixed)
    short, whole = facts["coarse_to_fine"]
    assert whole["mR"] == facts["fine"]["mR"] > short["mR"]
    assert whole["mR_as_chosen"] == facts["fine"]["mR_as_chosen"]
    assert short["faster"] == 48 / 7
    assert set(found) == {0, 3, 24}
    for m, row in ((0, facts["fine"]), (3, short), (24, whole)):
        assert stages.mR(found[m]) == row["mR"]


def test_of_val_only_what_train_does_not_hold_is_measured(stages, monkeypatch):
    splits = load_dataset("toy")
    val, n = splits.val, splits.val.n_images // 3
    new = np.arange(val.n_images) % 4 > 0
    monkeypatch.setattr(
        "rsir.data.caption_statistics.to_choose_on", lambda val, train: new
    )
    parts = stages.subsets(splits, "val", n)
    names = [name for part in parts for name in part.ids]
    assert [part.n_images for part in parts] == [n, n]
    assert len(set(names)) == 2 * n
    assert set(names) <= set(np.array(val.ids)[new])
    again = stages.subsets(splits, "val", n)
    assert [x.ids for x in again] == [x.ids for x in parts]
    of_test = stages.subsets(splits, "test", splits.test.n_images // 3)
    assert len({x for part in of_test for x in part.ids}) == 3 * (
        splits.test.n_images // 3
    )
    (small,) = stages.subsets(splits, "test", 10**6)
    assert small.ids == splits.test.ids


def test_runs_and_subsets_are_averaged(stages, monkeypatch):
    monkeypatch.setattr(stages, "subsets", lambda *_: [1, 2])
    monkeypatch.setattr(stages, "trained", lambda run, *_: SimpleNamespace(run=run))
    monkeypatch.setattr(
        "rsir.retrieval.two_stage.choose_reading", lambda *_: (0.25, [])
    )
    monkeypatch.setattr(
        stages, "Subset", lambda model, chosen, part: Known(10 * model.run + part)
    )
    facts = stages.of_runs([0, 1], "toy", "val", 12, (3, 24))
    each = [stages.of_subset(Known(n), (3, 24))[0] for n in (1, 2, 11, 12)]
    short, whole = facts["coarse_to_fine"]
    mR = [x["fine"]["mR"] for x in each]
    loss = [x - one["coarse_to_fine"][0]["mR"] for x, one in zip(mR, each)]
    assert short["loss"] == pytest.approx(np.mean(loss))
    low, high = short["loss_ci95"]
    assert low < short["loss"] < high
    assert whole["loss_ci95"] == [0, 0]
    assert facts["fine"]["mR"] == pytest.approx(np.mean(mR))
    assert (facts["runs"], facts["subsets"], short["M"]) == (2, 2, 3)
