"""Intervals and paired comparisons, by simulation."""

import numpy as np
import pytest

from rsir.evaluation.compare import compare
from rsir.evaluation.metrics import evaluate_ranks, recalls_from_ranks
from rsir.evaluation.ranks import QueryRanks, Ranks, compute_ranks


def crafted(hit_i2t, hit_t2i, owner):
    """Ranks whose R@1 outcomes are the given booleans."""

    def places(hit):
        miss = np.where(hit, 0, 99)
        zero = np.zeros_like(miss)
        return QueryRanks(miss, zero, zero + 1, miss)

    return Ranks(places(hit_i2t), places(hit_t2i), np.asarray(owner))


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    n, truth, inside = 150, 0.3, 0
    owner = np.repeat(np.arange(n), 5)
    for trial in range(200):
        # the five captions of an image succeed or fail together
        hit = rng.random(n) < truth
        r = crafted(hit, hit[owner], owner)
        report = evaluate_ranks(r, ks=(1,), bootstrap=300, seed=trial)
        low, high = report.ci95["t2i"]["R@1"]
        inside += low <= 100 * truth <= high
    assert 0.88 < inside / 200 < 0.99


def test_compare_is_paired():
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(300), 5)
    base = rng.random(300) < 0.3
    better = base.copy()
    better[np.flatnonzero(~base)[:12]] = True  # 12 more hits, no loss
    a = crafted(better, better[owner], owner)
    b = crafted(base, base[owner], owner)
    c = compare(a, b)
    assert c.difference["mR"] == pytest.approx(4)
    assert c.ci95["mR"][0] > 0 and c.p["mR"] < 0.01
    same = compare(a, a)
    assert same.p["mR"] == 1 and same.ci95["mR"] == [0, 0]
    assert same.equivalent() and not c.equivalent() and c.equivalent(margin=9)


def test_compare_averages_seeds_and_knows_its_queries():
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(50), 2)
    runs = [compute_ranks(rng.random((50, 100)), owner) for _ in range(4)]
    c = compare(runs[:2], runs[2:])
    mrs = [recalls_from_ranks(r)["mR"] for r in runs]
    gap = np.mean(mrs[:2]) - np.mean(mrs[2:])
    assert c.difference["mR"] == pytest.approx(gap)
    assert c.runs == (2, 2) and c.run_se > 0
    assert compare(runs[0], runs[1]).run_se is None
    assert f"{gap:+.2f}" in str(c)
    for other, says in (
        (compute_ranks(rng.random((50, 100)), rng.permutation(owner)), "same test set"),
        (compute_ranks(rng.random((51, 100)), owner), "same test set"),
        (compute_ranks(rng.random((50, 100)), captions=["a"] * 100), "one protocol"),
        ([], "runs: none"),
    ):
        with pytest.raises(ValueError, match=says):
            compare(runs, other)
    with pytest.raises(ValueError, match="draws: 0; give 1"):
        compare(runs[0], runs[1], draws=0)


def test_p_values_are_even_where_nothing_differs():
    rng = np.random.default_rng(0)
    owner = np.arange(200)
    small = 0
    for trial in range(200):
        a, b = (crafted(hit, hit, owner) for hit in rng.random((2, 200)) < 0.3)
        c = compare(a, b, ks=(1,), draws=200, seed=trial)
        small += c.p["mR"] < 0.05
    assert small / 200 < 0.1
