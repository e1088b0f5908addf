"""Intervals, paired comparisons and several systems, by construction."""

import time
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

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
    one, many = compare.compare(runs[0], runs[1]), compare.compare(runs, runs[:1])
    for alone, said in ((one, ""), (many, ", 4 and 1 runs")):
        assert alone.run_se is None and alone.seeds == (1,)
        assert f"(50 images alone{said})" in str(alone)
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


@pytest.mark.parametrize("n_runs", [2, 4])
def test_two_level_draws_are_those_of_a_plain_loop(n_runs):
    a, b = sides(np.random.default_rng(1), n_runs)
    hits = [[metrics.per_image_hits(run) for run in side] for side in (a, b)]
    i2t, t2i = (np.array([x[k] - y[k] for x, y in zip(*hits)]) for k in (0, 1))
    captions, draws, n = hits[0][0][2], 50, 40

    def recalls(run, images):
        asked = sum(captions[i] for i in images)
        values = [sum(i2t[run, i, k] for i in images) / n for k in range(3)]
        values += [sum(t2i[run, i, k] for i in images) / asked for k in range(3)]
        return 100 * np.array(values)

    runs = np.array([recalls(run, range(n)) for run in range(n_runs)])
    # what of a seed's mR is of its single images, and counts there
    table = np.zeros((n_runs, n))
    for run in range(n_runs):
        for i in range(n):
            parts = i2t[run, i].mean() + t2i[run, i].mean() / captions.mean()
            table[run, i] = 50 * parts
    rest = 0
    for run in range(n_runs):
        for i in range(n):
            usual = table[:, i].mean() + table[run].mean() - table.mean()
            rest += (table[run, i] - usual) ** 2 / ((n_runs - 1) * (n - 1))
    own = max(0, 1 - rest / n / runs.mean(axis=1).var(ddof=1))
    chosen = np.random.default_rng([5, 0, 1]).integers(0, n_runs, (draws, n_runs - 1))
    wider = stats.t.ppf(0.975, n_runs - 1) / stats.norm.ppf(0.975)
    drawn = []
    for k, images in enumerate(
        np.random.default_rng([5, 0]).integers(0, n, (draws, n))
    ):
        mean = sum(recalls(run, images) for run in range(n_runs)) / n_runs
        seeds = sum(runs[run] for run in chosen[k]) / (n_runs - 1)
        drawn.append(mean + wider * np.sqrt(own) * (seeds - runs.mean(axis=0)))
    low, high = np.percentile(np.mean(drawn, axis=1), [2.5, 97.5])
    c = compare.compare(a, b, draws=draws, seed=5)
    assert c.ci95["mR"] == pytest.approx([low, high], abs=1e-6)
    assert c.difference["mR"] == pytest.approx(runs.mean())
    by_seed = runs.mean(axis=1).var(ddof=1) / n_runs
    assert c.run_se == pytest.approx(np.sqrt(by_seed))


def test_drawn_seeds_have_the_variance_of_their_mean():
    runs = np.array([[1.0], [2.0], [4.0], [9.0]])
    drawn = bootstrap.resample_seeds(runs, 0.5, draws=20_000)
    assert drawn.mean() == pytest.approx(0, abs=0.02)
    assert drawn.var() == pytest.approx(0.25 * runs.var(ddof=1) / 4, rel=0.03)
    assert not bootstrap.resample_seeds(runs, 0.0).any()


def test_two_thousand_draws_take_well_under_a_second():
    rng = np.random.default_rng(0)
    n = 1093
    places = rng.integers(0, 30, (10, 6 * n))

    def run(x):
        none = 0 * x
        sides = [QueryRanks(x[s], none[s], none[s] + 1, x[s]) for s in CUT]
        return Ranks(*sides, np.repeat(np.arange(n), 5))

    CUT = slice(n), slice(n, None)
    runs = [run(x) for x in places]
    start = time.process_time()
    compare.compare(runs[:5], runs[5:], draws=2000)
    assert time.process_time() - start < 0.8


def of_hits(hit):
    """One `Ranks` a run, from hits [n_runs, n_images] that captions share."""
    return [crafted(row, np.arange(hit.shape[1])) for row in hit]


@pytest.mark.parametrize("n_runs, luck", [(3, 0.05), (5, 0.07), (5, 0.0)])
def test_an_interval_over_seeds_covers_what_one_over_images_misses(n_runs, luck):
    """200 experiments with a true gain of 0 and seeds that vary, or do not."""
    rng = np.random.default_rng(n_runs)
    n, covers = 300, {"both": 0, "images": 0}
    for trial in range(200):
        chance = 0.3 + 0.2 * rng.random(n)
        moved = rng.normal(0, luck, (2, n_runs, 1))
        a, b = (of_hits(rng.random((n_runs, n)) < chance + one) for one in moved)
        common = {"ks": (1,), "draws": 300, "seed": trial}
        both = compare.compare(a, b, **common).ci95["mR"]
        hits = [compare._mean_hits(side, ks=(1,)) for side in (a, b)]
        gap = [x - y for x, y in zip(*hits)][:2]
        drawn = bootstrap.resample(*gap, hits[0][2], 300, trial)
        images = bootstrap.intervals(drawn, (1,))["mR"]
        for name, (low, high) in {"both": both, "images": images}.items():
            covers[name] += low <= 0 <= high
    assert 180 <= covers["both"] <= 198, covers
    assert covers["images"] < 145 or not luck, covers


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
    # of single runs, without any seeds: the weighted sum of the two variances
    ones = [tuple(side[:1] for side in pair) for pair in (small, large)]
    widths = [
        np.subtract(*one.ci95["mR"])
        for one in (*(compare.compare(*x) for x in ones), compare.pool(ones))
    ]
    wanted = np.hypot(widths[0] / 4, 3 * widths[1] / 4)
    assert -widths[2] == pytest.approx(wanted, rel=0.05)
    assert compare.pool([large]) == alone[1]
    mixed = compare.pool([(small[0][:1], small[1][:1]), large])
    assert str(mixed).endswith("images and 1 + 3 seeds (1: images alone))")
    with pytest.raises(ValueError, match="pairs: none"):
        compare.pool([])


def test_what_is_told_is_seen_in_as_many_experiments_as_it_says():
    varies = compare.Spread(images=8.0, seeds=0.5, both=14.0)
    rng = np.random.default_rng(0)
    se = np.sqrt(8.0**2 / 900 + 0.5**2 / 4 + 14.0**2 / (900 * 4))
    for power in (0.5, 0.8):
        gain = compare.told(varies, 900, 4, power)
        seen = rng.normal(gain, se, 40_000) > 1.96 * se
        assert seen.mean() == pytest.approx(power, abs=0.01)


@pytest.mark.parametrize("seeds", [0.0, 0.2, 3.0])
def test_what_a_step_takes_tells_it_and_one_image_less_does_not(seeds):
    varies = compare.Spread(images=8.0, seeds=seeds, both=14.0)
    images, runs = compare.needed(0.8, varies)
    assert compare.told(varies, images, runs) <= 0.8
    assert compare.told(varies, images - 1, runs) > 0.8
    # half of the variance is left to the images, and not with one seed less
    half = (0.8 / 2.8016) ** 2 / 2
    assert seeds**2 / runs <= half and (runs == 1 or seeds**2 / (runs - 1) > half)
    assert compare.needed(0.8, compare.Spread(0.0, 0.0, 0.0)) == (1, 1)
    for wrong in ({"step": 0}, {"step": 1, "power": 1}):
        with pytest.raises(ValueError, match="a step above 0"):
            compare.needed(varies=varies, **wrong)


def test_spread_finds_what_images_and_seeds_do():
    rng = np.random.default_rng(3)
    chance = rng.choice([0.1, 0.9], 2000)  # images differ
    moved = rng.normal(0, 0.05, (20, 1)) + chance  # seeds, too
    hit = rng.random((20, 2000)) < moved
    found = compare.spread(of_hits(hit), of_hits(hit & False))
    wanted = 100 * chance.std(), 100 * 0.05, 100 * np.sqrt(0.09)
    assert found == pytest.approx(wanted, rel=0.2)
    assert compare.spread(of_hits(hit), of_hits(hit)) == (0, 0, 0)
    with pytest.raises(ValueError, match="two seeds or more"):
        compare.spread(of_hits(hit[:1]), of_hits(hit[:1]))


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
