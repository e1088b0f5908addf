"""Intervals, paired comparisons and several systems, by construction."""

import time
from itertools import combinations

import numpy as np
import pytest

from rsir.evaluation import bootstrap, compare, metrics
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
    assert c.runs == (2, 2) and c.seeds == (2,) and c.run_se > 0
    assert f"{gap:+.2f}" in str(c) and "(50 images and 2 seeds)" in str(c)
    for alone in (compare.compare(runs[0], runs[1]), compare.compare(runs, runs[:1])):
        assert alone.run_se is None and alone.seeds == (1,)
        assert "(50 images alone, " in str(alone)
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


# -- images and seeds ------------------------------------------------------


def sides(rng, n_runs, n=40, lift=0.0):
    """Runs of two systems on one uneven test set, one a seed."""
    owner = np.repeat(np.arange(n), rng.integers(1, 6, n))
    runs = []
    for seed in range(2 * n_runs):
        scores = rng.standard_normal((n, len(owner)))
        scores[owner, np.arange(len(owner))] += 1 + lift * (seed < n_runs)
        runs.append(compute_ranks(scores, owner))
    return runs[:n_runs], runs[n_runs:]


@pytest.mark.parametrize("n_runs", [1, 2, 4])
def test_two_level_draws_are_those_of_a_plain_loop(n_runs):
    a, b = sides(np.random.default_rng(1), n_runs)
    hits = [[metrics.per_image_hits(run) for run in side] for side in (a, b)]
    i2t, t2i = (np.array([x[k] - y[k] for x, y in zip(*hits)]) for k in (0, 1))
    captions, draws = hits[0][0][2], 20
    found = bootstrap.resample(i2t, t2i, captions, draws, seed=5)
    rng = np.random.default_rng(5)
    chosen = rng.spawn(1)[0].integers(0, n_runs, (draws, max(1, n_runs - 1)))
    for draw, picks in zip(range(draws), rng.integers(0, 40, (draws, 40))):
        values = np.zeros(6)
        for run in chosen[draw]:
            for k in range(3):
                values[k] += sum(i2t[run, i, k] for i in picks) / 40
                asked = sum(captions[i] for i in picks)
                values[3 + k] += sum(t2i[run, i, k] for i in picks) / asked
        np.testing.assert_allclose(found[draw], 100 * values / len(chosen[draw]))


def test_seeds_of_one_draw_have_the_variance_of_their_mean():
    means = np.array([1.0, 2.0, 4.0, 9.0])
    hits = np.broadcast_to(means[:, None, None], (4, 5, 1)) / 100  # images agree
    drawn = bootstrap.resample(hits, hits, np.ones(5), draws=20_000)[:, 0]
    assert drawn.var() == pytest.approx(means.var(ddof=1) / 4, rel=0.03)


def test_two_thousand_draws_take_well_under_a_second():
    rng = np.random.default_rng(0)
    gaps = rng.random((2, 5, 1093, 3)) - 0.5
    start = time.process_time()
    bootstrap.resample(*gaps, np.full(1093, 5), draws=2000)
    assert time.process_time() - start < 0.7


def of_hits(hit):
    """One `Ranks` a run, from hits [n_runs, n_images] that captions share."""
    return [crafted(row, np.arange(hit.shape[1])) for row in hit]


@pytest.mark.parametrize("n_runs", [3, 5])
def test_an_interval_over_seeds_covers_what_one_over_images_misses(n_runs):
    """200 experiments with a true gain of 0 and seeds that vary by 4 points."""
    rng = np.random.default_rng(n_runs)
    n, covers = 300, {"both": 0, "images": 0}
    for trial in range(200):
        chance = 0.3 + 0.2 * rng.random(n)
        luck = rng.normal(0, 0.04, (2, n_runs, 1))
        a, b = (of_hits(rng.random((n_runs, n)) < chance + one) for one in luck)
        common = {"ks": (1,), "draws": 300, "seed": trial}
        both = compare.compare(a, b, **common).ci95["mR"]
        hits = [compare._mean_hits(side, ks=(1,)) for side in (a, b)]
        gap = [x - y for x, y in zip(*hits)][:2]
        drawn = bootstrap.resample(*gap, hits[0][2], 300, trial)
        images = bootstrap.intervals(drawn, (1,))["mR"]
        for name, (low, high) in {"both": both, "images": images}.items():
            covers[name] += low <= 0 <= high
    assert 180 <= covers["both"] <= 198, covers
    assert covers["images"] < 165, covers


def test_few_seeds_stretch_an_interval_as_students_t_says():
    hit = np.zeros((3, 100), bool)
    for run, more in enumerate((10, 20, 60)):
        hit[run, :more] = True
    c = compare.compare(of_hits(hit), of_hits(np.zeros((3, 100), bool)), ks=(1,))
    low, high = c.ci95["mR"]
    assert c.difference["mR"] == pytest.approx(30) and low < -10
    # no draw of two of the three lies below 5: the rest is Student's
    assert c.run_se == pytest.approx(np.std([10, 20, 60], ddof=1) / np.sqrt(3))


def test_equal_ranks_differ_by_exactly_nothing():
    a, _ = sides(np.random.default_rng(2), 3)
    for c in (compare.compare(a, a), compare.pool([(a, a), (a[:1], a[:1])])):
        assert c.ci95["mR"] == [0, 0] and c.difference["mR"] == 0 and c.p["mR"] == 1
    # equal in sum, and not image by image: no crumb of rounding is a gain
    owner = np.arange(3)
    x, y = (crafted(np.array(h, bool), owner) for h in ([1, 0, 0], [0, 1, 0]))
    c = compare.compare(x, y, ks=(1,))
    assert c.ci95["mR"][0] < 0 < c.ci95["mR"][1] and c.difference["mR"] == 0


def test_a_pool_weighs_sets_by_their_pictures_and_draws_within_them():
    rng = np.random.default_rng(4)
    small, large = sides(rng, 2, 30, lift=1.0), sides(rng, 3, 90)
    alone = [compare.compare(*pair) for pair in (small, large)]
    both = compare.pool([small, large])
    for name in ("a", "b", "difference"):
        values = [getattr(one, name)["t2i"]["R@5"] for one in alone]
        mean = (30 * values[0] + 90 * values[1]) / 120
        assert getattr(both, name)["t2i"]["R@5"] == pytest.approx(mean)
    assert (both.n_images, both.runs, both.seeds) == (120, (5, 5), (2, 3))
    assert "(120 images and 2 + 3 seeds)" in str(both)
    # the variance is the weighted sum of those of the sets
    drawn = []
    for number, (pair, share) in enumerate(zip((small, large), (0.25, 0.75))):
        gaps = compare._gaps(*pair, "expected", metrics.KS)
        captions = metrics.per_image_hits(pair[0][0])[2]
        one = bootstrap.resample(*gaps, captions, 4000, [0, number])
        drawn.append(share * one.mean(axis=1))
    low, high = np.percentile(sum(drawn), [2.5, 97.5])
    found = both.ci95["mR"]
    assert found[1] - found[0] >= 0.97 * (high - low)
    assert sum(drawn).var() == pytest.approx(sum(x.var() for x in drawn), rel=0.1)
    assert compare.pool([large]) == alone[1]
    mixed = compare.pool([(small[0][:1], small[1][:1]), large])
    assert str(mixed).endswith("images and 1 + 3 seeds (1: images alone))")
    with pytest.raises(ValueError, match="pairs: none"):
        compare.pool([])


def test_what_a_step_takes_is_what_an_experiment_needs():
    images, seeds = compare.needed(0.5, 10.0, 0.7)
    se = np.sqrt(10.0**2 / images + 0.7**2 / seeds)
    rng = np.random.default_rng(0)
    told = np.mean(rng.normal(0.5, se, 20_000) > 1.96 * se)
    assert 0.79 < told < 0.85  # seeds are whole numbers
    assert compare.needed(1.0, 10.0, 0.0)[0] == pytest.approx(images / 4, abs=1)
    for wrong in ({"step": 0}, {"step": 1, "power": 1}):
        with pytest.raises(ValueError, match="a step above 0"):
            compare.needed(images=1, seeds=1, **wrong)


def test_deviations_are_those_of_images_and_of_seeds():
    a, b = sides(np.random.default_rng(3), 4, lift=0.5)
    per_image, between = compare.deviations(a, b)
    mRs = [[metrics.recalls_from_ranks(x)["mR"] for x in side] for side in (a, b)]
    assert between == pytest.approx(np.subtract(*mRs).std(ddof=1), rel=0.15)
    same, none = compare.deviations(a[:1], a[:1])
    assert (same, none) == (0, None)
    # one image in four is gained: a deviation of about sqrt(1/4 * 3/4)
    hit = np.arange(400) % 4 == 0
    a, b = of_hits(hit[None]), of_hits(~hit[None] & False)
    assert compare.deviations(a, b)[0] == pytest.approx(43.3, abs=0.1)


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
