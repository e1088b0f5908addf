"""Tie rules, galleries, floors and ceilings; what a report says."""

from itertools import permutations

import numpy as np
import pytest

from rsir.evaluation.metrics import (
    ceilings,
    evaluate,
    hits,
    kept,
    positions,
    random_baseline,
)
from rsir.evaluation.ranks import compute_ranks


@pytest.mark.parametrize("seed", range(6))
def test_expected_is_the_mean_over_all_orders_of_what_is_tied(seed, queries):
    rng = np.random.default_rng(seed)
    owner = rng.permutation([0, 1, 2, *rng.integers(0, 3, 3)])
    scores = rng.integers(0, 2 + seed % 2, (3, len(owner)))
    found = compute_ranks(scores, owner)
    for side, plain in zip((found.i2t, found.t2i), queries(scores, owner), strict=True):
        for q, (values, correct) in enumerate(plain):
            orders = [
                sorted(range(len(values)), key=lambda k: (-values[k], p[k]))
                for p in permutations(range(len(values)))
            ]
            first = np.array(
                [next(i for i, k in enumerate(o) if k in correct) for o in orders]
            )
            for k in range(1, len(values) + 2):
                got = hits(side, k)[q]
                assert got == pytest.approx((first < k).mean(), abs=1e-12)
            assert positions(side)[q] == pytest.approx(first.mean() + 1)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"ties": "lucky"}, "expected, optimistic"),
        ({"ks": (0, 1)}, "whole numbers"),
        ({"bootstrap": -1}, "0 or more"),
        ({"captions": ["a"]}, "one text for each"),
        ({"gallery": "deduplicated"}, "captions: missing .* one text for each"),
        ({"gallery": "small"}, "'small' .* use one of full"),
    ],
)
def test_bad_options_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        evaluate(np.arange(50).reshape(5, 10), **options)


def test_identical_captions_can_count_as_correct():
    # caption 1 says the same as caption 0, and image 0 likes it best
    scores = np.array([[0.1, 0.9], [0.2, 0.3]])
    for texts, i2t, t2i in ((None, 50, 0), (["many planes"] * 2, 100, 100)):
        aware = evaluate(scores, captions=texts, bootstrap=0)
        assert (aware.i2t["R@1"], aware.t2i["R@1"]) == (i2t, t2i)
    assert aware.to_dict()["duplicate_aware"] is True
    assert "identical captions count" in str(aware)
    # a caption of no image may be an answer; it never asks
    aware = evaluate(scores, [0, -1], captions=["a", "a"], bootstrap=0)
    assert aware.i2t["R@1"] == 100 and len(aware.ranks.t2i.better) == 1


OWNER = np.array([0, 0, 0, 1, 1, 2])
TEXTS = ["a", "a", "b", "a", "c", "c"]


def test_wrong_texts_stand_in_the_way_once():
    assert kept(TEXTS, OWNER).all()
    keep = kept(TEXTS, OWNER, "deduplicated")
    # another image's "a" and "c" stay: they are another pair
    assert keep.tolist() == [True, False, True, True, True, True]
    a, b, c = [0.5, 0.8, 0.1], [0.9, 0.1, 0.1], [0.1, 0.1, 0.9]
    scores = np.array([a, a, b, a, c, c]).T
    full = evaluate(scores, OWNER, ks=(1,), bootstrap=0)
    options = {"captions": TEXTS, "gallery": "deduplicated", "bootstrap": 0}
    small = evaluate(scores, OWNER, ks=(1,), **options)
    # the "a" of image 1 ties with two wrong ones, then with one
    assert full.i2t["R@1"] == pytest.approx(100 * (1 + 1 / 3 + 1 / 2) / 3)
    assert small.i2t["R@1"] == pytest.approx(100 * (1 + 1 / 2 + 1 / 2) / 3)
    # of six captions that ask, one "a" is heard no more
    assert full.t2i["R@1"] == pytest.approx(100 * 3 / 6)
    assert small.t2i["R@1"] == pytest.approx(100 * 3 / 5)
    assert (small.n_captions, small.left_out) == (5, 1)
    assert "gallery deduplicated (1 left out)" in str(small)
    assert small.to_dict()["gallery"] == "deduplicated"


@pytest.mark.parametrize("seed", range(3))
def test_below_chance_is_said(seed, uneven_owner):
    rng = np.random.default_rng(seed)
    owner = uneven_owner(rng, 40)
    similar = rng.standard_normal((40, len(owner)))
    similar[owner, np.arange(len(owner))] += 2
    bad = evaluate(2 - similar, owner)
    floor = random_baseline(owner)["mR"]
    assert bad.mR < floor
    (note,) = bad.notes
    assert "below chance" in note and "distances" in note and "transposed" in note
    assert f"{floor:.2f}" in note and bad.to_dict()["notes"] == [note]
    assert note in str(bad) and note in bad._repr_html_()
    dead = np.zeros(similar.shape)
    for good in (similar, dead, rng.random(similar.shape)):
        assert not evaluate(good, owner).notes
    assert not evaluate(dead, owner, ties="pessimistic").notes


def test_the_random_floor(uneven_owner):
    sizes = {1093: 0.49, 452: 1.18, 210: 2.52, 58: 8.98}
    for n, known in sizes.items():
        floor = random_baseline(np.repeat(np.arange(n), 5))
        assert floor["mR"] == pytest.approx(known, abs=0.005)
    owner = uneven_owner(np.random.default_rng(0), 25)
    gallery_only = np.where(owner % 5, owner, -1)
    for some in (owner, gallery_only):
        tied = evaluate(np.zeros((30, len(owner))), some, bootstrap=0)
        floor = random_baseline(some, n_images=30)
        assert floor["mR"] == pytest.approx(tied.mR)
        assert floor["i2t"] == pytest.approx(tied.i2t)


@pytest.mark.parametrize("seed", range(5))
def test_the_ceilings_are_reached_and_not_passed(seed):
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(12), 3)
    text = rng.integers(0, 9, len(owner))
    top = ceilings([f"text {t}" for t in text], owner)
    own = np.zeros((12, text.max() + 1))
    np.add.at(own, (owner, text), 1)  # how often image i says text t

    def reached(by_text):
        return evaluate(by_text[:, text], owner, bootstrap=0)

    # t2i: the images that say it most come first
    assert reached(own).t2i == pytest.approx(top["t2i"])
    assert reached(own > 0).t2i == pytest.approx(top["t2i_tied"])
    # i2t R@1: of an image's own texts, the one others say least
    share = own / np.maximum(own.sum(axis=0), 1)
    assert reached(share).i2t["R@1"] == pytest.approx(top["i2t"]["R@1"])
    for _ in range(200):  # no scoring of the texts passes them
        noise = reached((own > 0) + rng.random(own.shape))
        for side in ("i2t", "t2i"):
            for k, value in getattr(noise, side).items():
                assert value <= top[side][k] + 1e-9


def test_expected_agrees_with_many_random_orders(uneven_owner):
    rng = np.random.default_rng(0)
    owner = uneven_owner(rng, 60)
    scores = rng.integers(0, 6, (60, len(owner)))

    def mR(values, ties="expected"):
        return evaluate(values, owner, ties=ties, bootstrap=0).mR

    drawn = np.array([mR(scores + rng.random(scores.shape) / 2) for _ in range(150)])
    worst, best = (mR(scores, rule) for rule in ("pessimistic", "optimistic"))
    assert abs(drawn.mean() - mR(scores)) < 4 * drawn.std() / np.sqrt(len(drawn))
    assert worst < drawn.min() < drawn.max() < best
