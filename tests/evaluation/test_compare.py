"""Intervals, paired comparisons and several systems, by construction."""

from itertools import combinations

import numpy as np
import pytest

from rsir.evaluation import compare, metrics
from rsir.evaluation.ranks import QueryRanks, Ranks, compute_ranks


def crafted(hit, owner):
    """Ranks of images that hit at R@1 with all their captions, or do not."""

    def places(hit):
        miss = np.where(hit, 0, 99)
        return QueryRanks(miss, 0 * miss, 0 * miss + 1, miss)

    return Ranks(places(hit), places(hit[owner]), np.asarray(owner))


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    n, truth, inside = 150, 0.3, 0
    owner = np.repeat(np.arange(n), 5)
    for trial in range(200):
        r = crafted(rng.random(n) < truth, owner)
        report = metrics.evaluate_ranks(r, ks=(1,), bootstrap=300, seed=trial)
        low, high = report.ci95["t2i"]["R@1"]
        inside += low <= 100 * truth <= high
    assert 0.88 < inside / 200 < 0.99


def test_compare_is_paired():
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(300), 5)
    base = rng.random(300) < 0.3
    better = base.copy()
    better[np.flatnonzero(~base)[:12]] = True  # 12 more hits, no loss
    a, b = crafted(better, owner), crafted(base, owner)
    c = compare.compare(a, b)
    assert c.difference["mR"] == pytest.approx(4)
    assert c.ci95["mR"][0] > 0 and c.p["mR"] < 0.01
    same = compare.compare(a, a)
    assert same.p["mR"] == 1 and same.ci95["mR"] == [0, 0]


def test_compare_averages_seeds_and_knows_its_queries():
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(50), 2)
    runs = [compute_ranks(rng.random((50, 100)), owner) for _ in range(4)]
    c = compare.compare(runs[:2], runs[2:])
    mrs = [metrics.recalls_from_ranks(r)["mR"] for r in runs]
    gap = np.mean(mrs[:2]) - np.mean(mrs[2:])
    assert c.difference["mR"] == pytest.approx(gap)
    assert c.runs == (2, 2) and c.run_se > 0
    assert compare.compare(runs[0], runs[1]).run_se is None
    assert f"{gap:+.2f}" in str(c)
    for other, says in (
        (compute_ranks(rng.random((50, 100)), rng.permutation(owner)), "same test set"),
        (compute_ranks(rng.random((51, 100)), owner), "same test set"),
        (compute_ranks(rng.random((50, 100)), captions=["a"] * 100), "one protocol"),
        ([], "runs: none"),
    ):
        with pytest.raises(ValueError, match=says):
            compare.compare(runs, other)
    with pytest.raises(ValueError, match="draws: 0; give 1"):
        compare.compare(runs[0], runs[1], draws=0)


def test_p_values_are_even_where_nothing_differs():
    rng = np.random.default_rng(0)
    owner = np.arange(200)
    small = 0
    for trial in range(200):
        a, b = (crafted(hit, owner) for hit in rng.random((2, 200)) < 0.3)
        small += compare.compare(a, b, ks=(1,), draws=200, seed=trial).p["mR"] < 0.05
    assert small / 200 < 0.1


def ranks_of_strength(strength, seed):
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(60), 5)
    scores = rng.standard_normal((60, 300))
    scores[owner, np.arange(300)] += strength
    return compute_ranks(scores, owner)


@pytest.fixture(scope="module")
def systems():
    strong = [ranks_of_strength(3.0, s) for s in (2, 3)]
    weak = [ranks_of_strength(1.0, s) for s in (0, 1)]
    return {"weak": weak, "strong": strong, "strong too": strong}


def test_the_mean_of_runs_has_the_interval_of_a_report(systems):
    one, two = (metrics.evaluate_ranks(run) for run in systems["weak"])
    found = compare.mean_interval(systems["weak"][:1])
    assert found == pytest.approx([one.mR, *one.ci95["mR"]])
    mR, low, high = compare.mean_interval(systems["weak"])
    assert low < mR < high and mR == pytest.approx((one.mR + two.mR) / 2)


def test_all_pairs_finds_the_stronger_and_pays_for_looking(systems):
    table = compare.all_pairs(systems, draws=500)
    assert list(zip(table.a, table.b)) == list(combinations(systems, 2))
    assert (table.high[:2] < 0).all() and table.difference[2] == 0
    assert (table.p_holm >= table.p).all()
    smallest = table.p.idxmin()
    assert table.p_holm[smallest] == pytest.approx(min(1, 3 * table.p[smallest]))
    table = compare.all_pairs({"weak": systems["weak"]})
    assert table.empty and "p_holm" in table


def runs_that_solve(*captions):
    """Runs in which the named captions' pictures stand first."""
    owner = np.arange(4)
    return [crafted(np.isin(owner, list(own)), owner) for own in captions]


def test_solved_is_a_majority_of_runs():
    a, b, c = runs_that_solve({0, 1}, {0, 2}, {0, 1, 2})
    for runs, want in (([a], [0, 1]), ([a, b], [0]), ([a, b, c], [0, 1, 2])):
        assert np.flatnonzero(compare.solved(runs)).tolist() == want
    assert len(compare.solved([ranks_of_strength(1.0, 0)], side="i2t")) == 60


def test_what_systems_share_and_what_one_alone_solves():
    every = {"a": {0, 1}, "same": {0, 1}, "other": {2, 3}}
    every = {name: runs_that_solve(own) for name, own in every.items()}
    table = compare.agreement(every)
    assert table.loc["a", "same"] == pytest.approx(1)
    assert table.loc["a", "other"] == pytest.approx(-1)
    alone = compare.solved_alone(every)
    assert [q.tolist() for q in alone.values()] == [[], [], [2, 3]]
