"""Intervals, paired comparisons, floors and ceilings."""

import numpy as np
import pytest

from rsir.evaluation import metrics
from rsir.evaluation.metrics import Places, Ranks, evaluate, ranks


def uneven_owner(rng, n_images):
    """One to six captions an image, in shuffled order."""
    owner = np.repeat(np.arange(n_images), rng.integers(1, 7, n_images))
    return rng.permutation(owner)


def crafted(hit_i2t, hit_t2i, owner):
    """Ranks whose R@1 outcomes are the given booleans."""

    def places(hit):
        miss = np.where(hit, 0, 99)
        zero = np.zeros_like(miss)
        return Places(miss, zero, zero + 1, miss)

    return Ranks(places(hit_i2t), places(hit_t2i), np.asarray(owner))


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    n, truth, inside = 150, 0.3, 0
    owner = np.repeat(np.arange(n), 5)
    for trial in range(200):
        # the five captions of an image succeed or fail together
        hit = rng.random(n) < truth
        r = crafted(hit, hit[owner], owner)
        low, high = metrics.evaluate_ranks(r, ks=(1,), bootstrap=300, seed=trial).ci95[
            "t2i"
        ]["R@1"]
        inside += low <= 100 * truth <= high
    assert 0.88 < inside / 200 < 0.99


def test_captions_of_one_image_are_resampled_together():
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(400), 5)
    hit = rng.random(400) < 0.4
    together = hit[owner]
    apart = rng.permutation(together)
    width = {}
    for name, t2i in (("together", together), ("apart", apart)):
        report = metrics.evaluate_ranks(crafted(hit, t2i, owner), ks=(1,))
        low, high = report.ci95["t2i"]["R@1"]
        width[name] = high - low
    ratio = width["together"] / width["apart"]
    assert np.sqrt(5) * 0.85 < ratio < np.sqrt(5) * 1.15


def test_compare_is_paired():
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(300), 5)
    base = rng.random(300) < 0.3
    better = base.copy()
    better[np.flatnonzero(~base)[:12]] = True  # 12 more hits, no loss
    a = crafted(better, better[owner], owner)
    b = crafted(base, base[owner], owner)
    c = metrics.compare(a, b)
    assert c.difference["mR"] == pytest.approx(4)
    assert c.ci95["mR"][0] > 0 and c.p["mR"] < 0.01
    turned = metrics.compare(b, a)
    assert turned.difference["mR"] == pytest.approx(-4)
    same = metrics.compare(a, a)
    assert same.p["mR"] == 1 and same.ci95["mR"] == [0, 0]
    # unpaired, the same difference would drown in the noise
    report = metrics.evaluate_ranks(b)
    assert report.ci95["mR"][1] > 100 * better.mean()


def test_compare_averages_seeds_and_knows_its_queries():
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(50), 2)
    runs = [ranks(rng.random((50, 100)), owner) for _ in range(4)]
    c = metrics.compare(runs[:2], runs[2:])
    mrs = [metrics.recalls_from_ranks(r)["mR"] for r in runs]
    gap = np.mean(mrs[:2]) - np.mean(mrs[2:])
    assert c.difference["mR"] == pytest.approx(gap)
    assert c.runs == (2, 2) and c.run_se > 0
    assert metrics.compare(runs[0], runs[1]).run_se is None
    assert f"{gap:+.2f}" in str(c)
    other = ranks(rng.random((50, 100)), rng.permutation(owner))
    with pytest.raises(ValueError, match="same test set"):
        metrics.compare(runs, other)
    aware = ranks(rng.random((50, 100)), captions=["a"] * 100)
    with pytest.raises(ValueError, match="one protocol"):
        metrics.compare(runs[0], aware)


def test_p_values_are_even_where_nothing_differs():
    rng = np.random.default_rng(0)
    owner = np.arange(200)
    small = 0
    for trial in range(200):
        a, b = rng.random((2, 200)) < 0.3
        c = metrics.compare(
            crafted(a, a, owner),
            crafted(b, b, owner),
            ks=(1,),
            draws=200,
            seed=trial,
        )
        small += c.p["mR"] < 0.05
    assert small / 200 < 0.1


# ---- floors and ceilings ------------------------------------------


def test_the_random_floor():
    sizes = {1093: 0.49, 452: 1.18, 210: 2.52, 58: 8.98}
    for n, known in sizes.items():
        floor = metrics.random_baseline(np.repeat(np.arange(n), 5))
        assert floor["mR"] == pytest.approx(known, abs=0.005)
    owner = uneven_owner(np.random.default_rng(0), 25)
    tied = evaluate(np.zeros((25, len(owner))), owner, bootstrap=0)
    floor = metrics.random_baseline(owner)
    assert floor["mR"] == pytest.approx(tied.mR)
    assert floor["i2t"] == pytest.approx(tied.i2t)


def duplicated(seed, n_images=12, n_texts=9):
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(n_images), 3)
    text = rng.integers(0, n_texts, len(owner))
    return owner, text, [f"text {t}" for t in text]


@pytest.mark.parametrize("seed", range(5))
def test_the_ceilings_are_reached_and_not_passed(seed):
    owner, text, captions = duplicated(seed)
    top = metrics.ceilings(captions, owner)
    n = owner.max() + 1
    own = np.zeros((n, text.max() + 1))
    np.add.at(own, (owner, text), 1)  # how often image i says text t
    # t2i: the images that say it most come first
    reached = evaluate(own[:, text], owner, bootstrap=0)
    assert reached.t2i == pytest.approx(top["t2i"])
    tied = evaluate((own > 0)[:, text], owner, bootstrap=0)
    assert tied.t2i == pytest.approx(top["t2i_tied"])
    # i2t R@1: of an image's own texts, the one others say least
    share = own / np.maximum(own.sum(axis=0), 1)
    reached = evaluate(share[:, text], owner, bootstrap=0)
    assert reached.i2t["R@1"] == pytest.approx(top["i2t"]["R@1"])
    rng = np.random.default_rng(seed)
    for _ in range(200):  # no scoring of the texts passes them
        noise = (own > 0) + rng.random(own.shape)
        tried = evaluate(noise[:, text], owner, bootstrap=0)
        for side in ("i2t", "t2i"):
            for k, value in getattr(tried, side).items():
                assert value <= top[side][k] + 1e-9


def test_ceilings_count_what_is_shared():
    top = metrics.ceilings(["a", "a", "a", "b"], [0, 0, 1, 1])
    assert top["n_captions"] == 4 and top["n_texts"] == 2
    assert top["shared_captions"] == 3 and top["shared_images"] == 2
    assert top["t2i"]["R@1"] == 75 and top["t2i_tied"]["R@1"] == 62.5
    assert top["i2t"]["R@1"] == pytest.approx(100 * (2 / 3 + 1) / 2)
    unique = metrics.ceilings(list("abcd"), [0, 0, 1, 1])
    assert unique["mR"] == 100
