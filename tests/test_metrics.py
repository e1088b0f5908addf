"""The counted recalls against plain loops from the definition."""

from itertools import permutations

import numpy as np
import pytest

from rsir.evaluation import metrics
from rsir.evaluation.metrics import Ranks, evaluate, ranks

KS = (1, 5, 10)
KINDS = {
    "continuous": lambda rng, shape: rng.standard_normal(shape),
    "float32": lambda rng, shape: rng.random(shape, dtype=np.float32),
    "float16": lambda rng, shape: rng.random(shape).astype(np.float16),
    "few values": lambda rng, shape: rng.integers(0, 4, shape),
    "hamming": lambda rng, shape: rng.integers(-9, 1, shape, np.int8),
    "yes or no": lambda rng, shape: rng.random(shape) > 0.7,
    "constant": lambda rng, shape: np.zeros(shape, np.float32),
    "masked": lambda rng, shape: np.where(
        rng.random(shape) > 0.5, rng.integers(0, 3, shape), -np.inf
    ),
    "turned": lambda rng, shape: rng.integers(0, 5, shape[::-1]).T,
}


def uneven_owner(rng, n_images):
    """One to six captions an image, in shuffled order."""
    owner = np.repeat(np.arange(n_images), rng.integers(1, 7, n_images))
    return rng.permutation(owner)


def queries(scores, owner):
    """(scores of the gallery, set of correct items) of every query."""
    n_images, n_captions = scores.shape
    i2t = [(scores[i], set(np.flatnonzero(owner == i))) for i in range(n_images)]
    t2i = [(scores[:, j], {owner[j]}) for j in range(n_captions)]
    return i2t, t2i


def place_by_sorting(values, correct, rule):
    """0-based place of the first correct item in a sorted list."""
    if rule == "released":
        order = np.argsort(values, kind="stable")[::-1]
    else:
        sign = 1 if rule == "optimistic" else -1
        order = sorted(
            range(len(values)),
            key=lambda k: (-values[k], -sign * (k in correct)),
        )
    return next(p for p, k in enumerate(order) if k in correct)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_rules_with_a_place_equal_sorting(kind, seed):
    rng = np.random.default_rng(seed)
    owner = uneven_owner(rng, 40 + seed)
    scores = KINDS[kind](rng, (40 + seed, len(owner)))
    found = ranks(scores, owner)
    scores = scores.astype(float)
    for side, plain in zip((found.i2t, found.t2i), queries(scores, owner), strict=True):
        for rule in ("optimistic", "pessimistic", "released"):
            want = [place_by_sorting(v, c, rule) + 1 for v, c in plain]
            got = metrics.positions(side, rule)
            np.testing.assert_array_equal(got, want)
            for k in KS:
                np.testing.assert_array_equal(
                    metrics.hits(side, k, rule), np.array(want) <= k
                )


@pytest.mark.parametrize("seed", range(8))
def test_expected_is_the_mean_over_all_orders_of_the_equals(seed):
    rng = np.random.default_rng(seed)
    n = 3
    owner = rng.permutation([0, 1, 2, *rng.integers(0, n, 3)])
    scores = rng.integers(0, 2 + seed % 2, (n, len(owner)))
    found = ranks(scores, owner)
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
                got = metrics.hits(side, k)[q]
                assert got == pytest.approx((first < k).mean(), abs=1e-12)
            mean = metrics.positions(side)[q]
            assert mean == pytest.approx(first.mean() + 1)


def test_expected_agrees_with_many_random_orders():
    rng = np.random.default_rng(0)
    owner = uneven_owner(rng, 60)
    scores = rng.integers(0, 6, (60, len(owner)))
    noise = [
        evaluate(scores + rng.random(scores.shape) / 2, owner, bootstrap=0)
        for _ in range(150)
    ]
    exact = evaluate(scores, owner, bootstrap=0)
    drawn = np.array([r.mR for r in noise])
    error = drawn.std() / np.sqrt(len(drawn))
    assert abs(drawn.mean() - exact.mR) < 4 * error
    worst = evaluate(scores, owner, ties="pessimistic", bootstrap=0)
    best = evaluate(scores, owner, ties="optimistic", bootstrap=0)
    assert worst.mR < drawn.min() < drawn.max() < best.mR


def test_blocks_do_not_show(monkeypatch):
    rng = np.random.default_rng(0)
    owner = uneven_owner(rng, 150)
    scores = rng.integers(0, 9, (150, len(owner))).astype(np.float32)
    whole = ranks(scores, owner).to_arrays()
    monkeypatch.setattr("rsir.evaluation.ranks.COLUMNS", 37)
    monkeypatch.setattr("rsir.evaluation.ranks.ROWS", 7)
    for name, array in ranks(scores, owner).to_arrays().items():
        np.testing.assert_array_equal(array, whole[name])


def test_wide_galleries_do_not_overflow_the_bytes():
    scores = np.full((300, 3000), 1, np.float32)
    scores[np.arange(300), np.arange(300) * 10] = 0
    owner = np.arange(3000) // 10
    found = ranks(scores, owner)
    assert set(found.i2t.own) == {9} and set(found.i2t.equal) == {2990}
    assert found.t2i.better[0] == 299 and found.t2i.equal[1] == 299


def test_integers_are_compared_exactly():
    big = 2**60  # a float64 cannot tell these two apart
    scores = np.array([[big, big + 1], [0, 1]])
    assert evaluate(scores, bootstrap=0).i2t["R@1"] == 50
    assert ranks(scores).i2t.equal.tolist() == [0, 0]


def test_a_worked_example():
    # image 0 owns captions 0 and 1, image 1 owns caption 2
    scores = np.array([[0.2, 0.9, 0.9], [0.9, 0.1, 0.4]])
    report = evaluate(scores, [0, 0, 1], bootstrap=0)
    assert report.i2t["R@1"] == pytest.approx(25)  # half of one, none
    assert report.t2i["R@1"] == pytest.approx(100 / 3)
    assert report.i2t["R@10"] == report.t2i["R@5"] == 100
    six = [*report.i2t.values(), *report.t2i.values()]
    assert report.mR == pytest.approx(np.mean(six))
    assert report.median_rank == {"i2t": 1.75, "t2i": 2.0}


def test_captions_are_dealt_evenly_in_order():
    scores = np.random.default_rng(0).random((4, 12))
    dealt = evaluate(scores, np.repeat(range(4), 3), bootstrap=50)
    assert evaluate(scores, bootstrap=50) == dealt


def nan_at(i, j):
    scores = np.zeros((200, 400), np.float32)
    scores[i, j] = scores[i, j + 1] = np.nan
    return scores


TEN = np.zeros((5, 10))


@pytest.mark.parametrize(
    "scores, owner, words",
    [
        (nan_at(180, 7), None, "2 value.* NaN, the first at image 180, cap"),
        (nan_at(0, 0), None, "NaN, the first at image 0, caption 0"),
        (np.zeros(5), None, "1 axes"),
        (np.zeros((2, 3, 4)), None, "3 axes"),
        (np.zeros((0, 5)), None, "empty"),
        (np.array([["a", "b"]]), None, "cannot be ranked"),
        (np.zeros((2, 2), complex), None, "cannot be ranked"),
        (np.zeros((3, 10)), None, "cannot be dealt evenly"),
        (TEN, [0, 1, 2, 3], "10 columns"),
        (TEN, [0, 1, 2, 3, 4], "transposed"),
        (TEN, np.zeros((10, 1), int), "shape"),
        (TEN, np.arange(10) // 2 + 1, "subtract 1"),
        (TEN, np.arange(10) // 2 - 1, "from -1 to 3"),
        (TEN, np.arange(10) / 2, "not integer"),
        (TEN, [0, 0, 0, 1, 1, 1, 3, 3, 3, 4], "first is image 2"),
    ],
)
def test_bad_input_is_named(scores, owner, words):
    with pytest.raises(ValueError, match=words):
        evaluate(scores, owner)


def test_a_single_nan_is_found_wherever_it_is():
    rng = np.random.default_rng(0)
    for _ in range(30):
        scores = rng.standard_normal((30, 60))
        i, j = rng.integers(30), rng.integers(60)
        scores[i, j] = np.nan
        with pytest.raises(ValueError, match=f"image {i}, caption {j};"):
            evaluate(scores)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"ties": "lucky"}, "expected, optimistic"),
        ({"ks": ()}, "whole numbers"),
        ({"ks": (0, 1)}, "whole numbers"),
        ({"bootstrap": -1}, "0 or more"),
        ({"captions": ["a"]}, "one text for each"),
    ],
)
def test_bad_options_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        evaluate(TEN, **options)


def test_ranks_survive_a_file(tmp_path):
    rng = np.random.default_rng(0)
    owner = uneven_owner(rng, 30)
    found = ranks(rng.integers(0, 5, (30, len(owner))), owner)
    found.save(tmp_path / "r.npz")
    assert [p.name for p in tmp_path.iterdir()] == ["r.npz"]
    again = Ranks.load(tmp_path / "r.npz")
    for rule in metrics.TIES:
        assert metrics.evaluate_ranks(again, ties=rule) == metrics.evaluate_ranks(
            found, ties=rule
        )
    stored = found.to_arrays()
    assert stored["i2t_better"].dtype == np.uint8
    del stored["t2i_own"]
    with pytest.raises(ValueError, match="t2i_own"):
        Ranks.from_arrays(stored)


def test_equal_captions_can_count_as_correct():
    # caption 1 says the same as caption 0, and image 0 likes it best
    scores = np.array([[0.1, 0.9], [0.2, 0.3]])
    texts = ["many planes", "many planes"]
    plain = evaluate(scores, bootstrap=0)
    aware = evaluate(scores, captions=texts, bootstrap=0)
    assert plain.i2t["R@1"] == 50 and aware.i2t["R@1"] == 100
    assert plain.t2i["R@1"] == 0 and aware.t2i["R@1"] == 100
    assert "duplicate_aware" not in plain.to_dict()
    assert aware.to_dict()["duplicate_aware"] is True
    assert "equal captions count" in str(aware)


def test_the_report_prints_itself():
    report = evaluate(np.random.default_rng(0).random((20, 100)))
    assert set(report.to_dict()) == {
        "i2t",
        "t2i",
        "mR",
        "ties",
        "n_images",
        "n_captions",
        "ci95",
        "median_rank",
    }
    for text in (str(report), report._repr_html_()):
        assert f"{report.t2i['R@5']:.2f}" in text and "expected" in text
    low, high = report.ci95["i2t"]["R@10"]
    assert low <= report.i2t["R@10"] <= high
