"""The ridge baseline, which chapter 01 builds by hand."""

import numpy as np
import pytest

from rsir.models.ridge import Ridge, solve


@pytest.fixture(scope="module")
def fitted(splits):
    return Ridge().fit(splits.train)


def test_duplicates_tie_exactly(fitted, splits):
    scores = fitted.scores(splits.train)
    texts, which = splits.train.unique_texts()
    assert len(texts) < scores.shape[1]
    for number in range(len(texts)):
        same = scores[:, which == number]
        assert (same == same[:, :1]).all()


def test_ridge_solves_what_it_says():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 4)), rng.normal(size=(30, 2))
    w = solve(x, y, 0.1)
    slope = x.T @ (x @ w - y) + 0.1 * 30 * w  # of half the objective
    assert np.abs(slope).max() < 1e-10
    plain = np.linalg.lstsq(x, y, rcond=None)[0]
    assert solve(x, y, 0) == pytest.approx(plain)


def test_bags_are_centred_and_know_rare_words(fitted, splits):
    bags = fitted.words.encode(splits.train.captions)
    assert np.abs(bags.mean(axis=0)).max() < 1e-6
    weight = dict(zip(fitted.words.words.words, fitted.words.weight))
    assert weight["red"] > weight["ground"]
    unknown = fitted.words.encode(["zebra zebra", "."])
    assert unknown == pytest.approx(np.stack([-fitted.words.mean] * 2))
    by_hand = bags.reshape(splits.train.n_images, 2, -1).mean(axis=1)
    assert fitted.words.of_images(splits.train) == pytest.approx(by_hand, abs=1e-6)
