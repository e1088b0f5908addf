"""Several systems on one test set, by construction."""

from itertools import combinations

import numpy as np
import pytest

from rsir.evaluation import compare, metrics
from rsir.evaluation.ranks import compute_ranks

N, PER = 60, 5


def ranks_of_strength(strength, seed, n=N):
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(n), PER)
    scores = rng.standard_normal((n, n * PER))
    scores[owner, np.arange(n * PER)] += strength
    return compute_ranks(scores, owner)


@pytest.fixture(scope="module")
def systems():
    return {
        "weak": [ranks_of_strength(1.0, s) for s in (0, 1)],
        "strong": [ranks_of_strength(3.0, s) for s in (2, 3)],
        "strong too": [ranks_of_strength(3.0, s) for s in (2, 3)],
    }


def identity_ranks(first):
    """Captions whose picture stands first where `first` says so."""
    owner = np.arange(len(first))
    scores = np.eye(len(first)) * np.where(np.array(first, bool), 2.0, -2.0)
    return compute_ranks(scores, owner)


def test_the_mean_of_runs_has_the_interval_of_a_report(systems):
    run = systems["weak"][0]
    report = metrics.evaluate_ranks(run)
    want = [report.mR, *report.ci95["mR"]]
    assert compare.mean_interval([run]) == pytest.approx(want)
    values = [metrics.evaluate_ranks(r).mR for r in systems["weak"]]
    mR, low, high = compare.mean_interval(systems["weak"])
    assert mR == pytest.approx(np.mean(values))
    assert low < mR < high


def test_all_pairs_finds_the_stronger_and_pays_for_looking(systems):
    table = compare.all_pairs(systems, draws=500)
    assert list(zip(table.a, table.b)) == list(combinations(systems, 2))
    assert (table.difference[:2] < 0).all()
    assert (table.high[:2] < 0).all()
    assert table.difference[2] == 0
    assert (table.p_holm >= table.p).all()
    smallest = table.p.idxmin()
    assert table.p_holm[smallest] == pytest.approx(min(1, 3 * table.p[smallest]))
    table = compare.all_pairs({"weak": systems["weak"]})
    assert table.empty and "p_holm" in table


def test_solved_is_a_majority_of_runs():
    a, b, c = map(identity_ranks, ([1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 1, 0]))
    assert compare.solved([a]).tolist() == [True, True, False, False]
    assert compare.solved([a, b]).tolist() == [True, False, False, False]
    assert compare.solved([a, b, c]).tolist() == [True, True, True, False]
    i2t = compare.solved([ranks_of_strength(1.0, 0)], side="i2t")
    assert len(i2t) == N


def test_agreement_is_one_for_the_same_and_minus_one_for_opposites():
    one = np.array([1, 1, 0, 0], bool)
    systems = {"a": one, "same": one, "other": ~one}
    table = compare.agreement({k: [identity_ranks(v)] for k, v in systems.items()})
    assert table.loc["a", "same"] == pytest.approx(1)
    assert table.loc["a", "other"] == pytest.approx(-1)


def test_solved_alone_is_what_no_other_solves():
    systems = {"a": [1, 1, 0, 0], "b": [1, 0, 1, 0]}
    alone = compare.solved_alone({k: [identity_ranks(v)] for k, v in systems.items()})
    assert {n: q.tolist() for n, q in alone.items()} == {"a": [1], "b": [2]}
