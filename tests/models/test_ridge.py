"""The ridge baseline, which chapter 01 builds by hand."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsir.data import Split
from rsir.evaluation import metrics
from rsir.models.ridge import Ridge, picture_statistics, solve

ROOT = Path(__file__).resolve().parents[2]
WORDS = {
    "red": (200, 30, 30),
    "green": (30, 160, 40),
    "blue": (30, 40, 200),
    "grey": (128, 128, 128),
}


def scenes(folder, count, seed):
    """Pictures of one colour with noise; the captions name it."""
    rng = np.random.default_rng(seed)
    paths, captions, owner = [], [], []
    for i in range(count):
        word, colour = list(WORDS.items())[i % len(WORDS)]
        noise = rng.normal(0, 20, (32, 32, 3))
        pixels = np.clip(np.array(colour) + noise, 0, 255)
        path = folder / f"{seed}_{i}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        paths.append(path)
        captions += [f"a {word} field .", f"the field is {word} ."]
        owner += [i, i]
    return Split(
        "made",
        "train",
        tuple(paths),
        tuple(captions),
        np.array(owner),
        tuple(p.name for p in paths),
    )


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ridge")
    train, test = scenes(folder, 40, 0), scenes(folder, 8, 1)
    return Ridge().fit(train), train, test


def test_it_learns_colours(fitted):
    model, _, test = fitted
    scores = model.scores(test)
    word = np.arange(8) % 4
    best = word[test.owner[scores.argmax(axis=1)]]
    assert (best == word).all()


def test_duplicates_tie_exactly(fitted):
    model, _, test = fitted
    scores = model.scores(test)
    texts, which = test.unique_texts()
    for number in range(len(texts)):
        same = scores[:, which == number]
        assert same.shape[1] == 2
        assert (same == same[:, :1]).all()


def test_ridge_solves_what_it_says():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 4)), rng.normal(size=(30, 2))
    w = solve(x, y, 0.1)
    slope = x.T @ (x @ w - y) + 0.1 * 30 * w  # of half the objective
    assert np.abs(slope).max() < 1e-10
    plain = np.linalg.lstsq(x, y, rcond=None)[0]
    assert solve(x, y, 0) == pytest.approx(plain)
    assert np.linalg.norm(w) < np.linalg.norm(plain)


def test_bags_are_centred_and_know_rare_words(fitted):
    model, train, _ = fitted
    bags = model.words.encode(train.captions)
    assert np.abs(bags.mean(axis=0)).max() < 1e-6
    weight = dict(zip(model.words.words.words, model.words.weight))
    assert weight["red"] > weight["field"]
    unknown = model.words.encode(["zebra zebra", "."])
    assert unknown == pytest.approx(np.stack([-model.words.mean] * 2))
    by_hand = bags.reshape(train.n_images, 2, -1).mean(axis=1)
    assert model.words.of_images(train) == pytest.approx(by_hand, abs=1e-6)


def test_statistics_have_their_size_and_ignore_a_half_turn(tmp_path):
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 255, (64, 64, 3)).astype(np.uint8)
    paths = []
    for k, each in enumerate((pixels, pixels[::-1, ::-1])):
        paths.append(tmp_path / f"{k}.png")
        Image.fromarray(each).save(paths[-1])
    both = picture_statistics(paths)
    assert both.shape == (2, 322)
    colour = picture_statistics(paths, ["colour"])
    assert colour.shape == (2, 245)
    assert colour[0] == pytest.approx(colour[1], abs=1e-5)
    assert np.isfinite(both).all()


# ---- the records that the chapter reads ------------------------------


@pytest.mark.parametrize("name", ["ucm", "rsicd", "toy"])
def test_a_record_is_whole_and_holds_together(name):
    path = ROOT / "results/protocol" / f"{name}.json"
    facts = json.loads(path.read_text())
    assert facts["dataset"] == name
    assert f" {name} " in facts["command"]
    floor, top = facts["random"]["mR"], facts["ceilings"]
    for each in [facts["perfect"], *facts["systems"].values()]:
        by_rule = each["recalls"]
        for side, k in itertools.product(("i2t", "t2i"), metrics.KS):
            low, mid, done, high = (
                by_rule[rule][side][f"R@{k}"]
                for rule in ("pessimistic", "expected", "released", "optimistic")
            )
            assert low <= mid <= high
            assert low <= done <= high
            assert mid <= top[side][f"R@{k}"] + 1e-9
        assert by_rule["expected"]["mR"] > 3 * floor
    # a perfect model, and an optimist
    best = facts["perfect"]["recalls"]["optimistic"]
    assert best["mR"] == 100
