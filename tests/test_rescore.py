"""Re-scoring the top of a list: who moves, who stays, what it costs."""

import numpy as np
import pytest

from rsir.evaluation.metrics import ranks
from rsir.retrieval.two_stage import rescore, rescore_both, short_pairs


def matrix(n=7, m=11, seed=0):
    return np.random.default_rng(seed).normal(size=(n, m))


def dear(truth):
    return lambda pairs: truth[pairs[:, 0], pairs[:, 1]]


@pytest.mark.parametrize("direction", ["i2t", "t2i"])
def test_the_top_is_reordered_and_the_rest_stays(direction):
    cheap, truth, k = matrix(), 1e3 * matrix(seed=1), 4
    new = rescore(cheap, dear(truth), k, direction)
    if direction == "t2i":
        cheap, truth, new = cheap.T, truth.T, new.T
    for before, wanted, after in zip(cheap, truth, new):
        top = (-before).argsort()[:k]
        expected = [*top[(-wanted[top]).argsort()], *(-before).argsort()[k:]]
        assert list((-after).argsort()) == expected
        rest = np.setdiff1d(np.arange(len(before)), top)
        assert np.array_equal(before[rest], after[rest])


def test_k_of_the_whole_gallery_is_the_dear_score_itself():
    cheap, truth = matrix(), matrix(seed=1)
    new = rescore(cheap, dear(truth), 99, "i2t")
    assert np.array_equal(new.argsort(1), truth.argsort(1))


def test_both_directions_share_pairs():
    cheap, truth = matrix(40, 60), matrix(40, 60, seed=1)
    asked = []

    def count(pairs):
        asked.extend(map(tuple, pairs))
        return dear(truth)(pairs)

    both = rescore_both(cheap, count, 5, batch=7)
    assert len(asked) == len(set(asked)) == both["pairs"] < 5 * 100
    for d in ("i2t", "t2i"):
        alone = rescore(cheap, dear(truth), 5, d)
        assert np.array_equal(both[d], alone)


def test_batches_are_bounded_and_do_not_matter():
    cheap, truth, sizes = matrix(), matrix(seed=1), []

    def watched(pairs):
        sizes.append(len(pairs))
        return dear(truth)(pairs)

    small = rescore(cheap, watched, 3, "t2i", batch=4)
    assert max(sizes) == 4
    assert np.array_equal(small, rescore(cheap, dear(truth), 3, "t2i"))


def test_ties_at_the_end_of_a_list():
    cheap = np.array([[2.0, 1, 1, 1, 0]])
    assert len(short_pairs(cheap, 2, "i2t")) == 4
    seen = set()
    for seed in range(30):
        pairs = short_pairs(cheap, 2, "i2t", tied="draw", seed=seed)
        assert len(pairs) == 2 and pairs[0, 1] == 0
        seen.add(int(pairs[1, 1]))
    assert seen == {1, 2, 3}


def test_equal_new_scores_stay_equal():
    cheap = np.array([[3.0, 2, 1, 0]])
    new = rescore(cheap, lambda p: np.zeros(len(p)), 3, "i2t")
    assert len(set(new[0, :3])) == 1 and new[0, 2] > new[0, 3]


def test_weight_keeps_the_first_score_in():
    cheap, truth = matrix(), matrix(seed=1)
    new = rescore(cheap, dear(truth), 5, "i2t", weight=1e9)
    assert np.array_equal(new.argsort(1), cheap.argsort(1))


def test_masked_items_never_come_back():
    cheap = np.array([[1.0, -np.inf, 0.0], [-np.inf] * 3])
    new = rescore(cheap, lambda p: 100.0 + p[:, 1], 3, "i2t")
    assert new[0, 1] == -np.inf and (new[1] == -np.inf).all()
    assert new[0, 2] > new[0, 0]


def test_each_direction_is_read_from_its_own_matrix():
    owner = np.arange(30)
    truth = np.eye(30) + 0.1 * matrix(30, 30)
    cheap = truth + 0.7 * matrix(30, 30, seed=2)
    both = rescore_both(cheap, dear(truth), 10)
    before = ranks(cheap, owner)
    for d in ("i2t", "t2i"):
        after = getattr(ranks(both[d], owner), d).better
        assert (after == 0).mean() > (getattr(before, d).better == 0).mean()


@pytest.mark.parametrize(
    "change, word",
    [
        ({"k": 0}, "k:"),
        ({"direction": "both"}, "direction"),
        ({"tied": "first"}, "tied"),
        ({"scores": np.ones(3)}, "scores"),
        ({"scores": np.full((2, 2), np.nan)}, "NaN"),
        ({"score_pairs": lambda p: np.zeros((len(p), 1))}, "score_pairs"),
        ({"score_pairs": lambda p: np.full(len(p), np.nan)}, "NaN"),
    ],
)
def test_faults_are_named(change, word):
    words = {
        "scores": matrix(),
        "score_pairs": dear(matrix()),
        "k": 2,
        "direction": "i2t",
    }
    with pytest.raises(ValueError, match=word):
        rescore(**(words | change))
