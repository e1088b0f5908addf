"""Re-ranking against plain loops from the definitions."""

import math

import numpy as np
import pytest

from rsir.retrieval.rerank import STYLES, multivariate_rerank, ppsr

KINDS = {
    "cosines": lambda rng, shape: rng.uniform(0.1, 1, shape),
    "float32": lambda rng, shape: rng.random(shape, np.float32),
    "float16": lambda rng, shape: rng.random(shape).astype(np.float16),
    "few values": lambda rng, shape: rng.integers(1, 4, shape),
    "hamming": lambda rng, shape: rng.integers(-9, 0, shape, np.int8),
    "unsigned": lambda rng, shape: rng.integers(1, 255, shape, np.uint8),
    "constant": lambda rng, shape: np.ones(shape, np.float32),
    "equal captions": lambda rng, shape: np.repeat(
        rng.random((shape[0], -(-shape[1] // 3))), 3, axis=1
    )[:, : shape[1]],
    "turned": lambda rng, shape: rng.random(shape[::-1]).T,
}
CHANGED = {"w_sig": -2.0, "w_rev": 0.7, "xi": 0.3}
SHAPES = [(13, 40), (40, 13), (1, 20), (20, 1), (7, 7)]


def best_first(values):
    """Places of the values, best first; `sorted` keeps the order of ties."""
    return sorted(range(len(values)), key=lambda place: -values[place])


def loop_mr(
    scores, direction, k=30, w_sig=0.3, w_rev=1.1, xi=0.05, style="released", bank=None
):
    turn = np.asarray if direction == "i2t" else np.transpose
    s = turn(np.asarray(scores, np.float64)).tolist()
    bank = None if bank is None else turn(np.asarray(bank, np.float64)).tolist()
    new = [[0.0] * len(s[0]) for _ in s]
    k = max(k, 10) if style == "released" else k
    for i in range(len(s)):
        top = best_first(s[i])[:k]
        place = {}
        for j, t in enumerate(top):
            # all queries' scores with t, and the place of i among them
            column = [row[t] for row in (s if bank is None else [s[i], *bank])]
            place[t] = best_first(column).index(i if bank is None else 0)
            share = s[i][t] / sum(column) if w_sig else 0
            new[i][t] = w_sig * share + math.exp(-xi * (j + 1))
        if style == "released":
            for p, t in enumerate(sorted(top, key=place.get)):
                new[i][t] += w_rev * math.exp(-xi * (p + 1))
        else:
            for t in top:
                if place[t] < k:
                    new[i][t] += w_rev * math.exp(-xi * (place[t] + 1))
    return turn(np.array(new))


def loop_ppsr(scores, k=10, image_bank=None, caption_bank=None):
    s = np.asarray(scores, np.float64)
    from_rows = s if caption_bank is None else caption_bank
    from_columns = s if image_bank is None else image_bank
    new = np.empty(s.shape)
    for i, j in np.ndindex(s.shape):
        row = sorted(np.asarray(from_rows[i], float))[-k:]
        column = sorted(np.asarray(from_columns[:, j], float))[-k:]
        new[i, j] = 2 * s[i, j] - np.mean(row) - np.mean(column)
    return new


def close(got, want):
    assert got.dtype == np.float32 and got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("direction", ["i2t", "t2i"])
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kind", KINDS)
def test_mr_equals_the_loops(kind, style, direction):
    for seed, shape in enumerate(SHAPES):
        rng = np.random.default_rng(seed)
        scores = KINDS[kind](rng, shape)
        bank = KINDS[kind](rng, (25, shape[1]) if direction == "i2t" else (shape[0], 5))
        for k, options in ((1, {}), (12, {}), (11, CHANGED), (11, {"bank": bank})):
            options = {"k": k, "style": style, **options}
            got = multivariate_rerank(scores, direction, **options)
            close(got, loop_mr(scores, direction, **options))


@pytest.mark.parametrize("kind", KINDS)
def test_ppsr_equals_the_loops(kind):
    for seed, shape in enumerate(SHAPES):
        rng = np.random.default_rng(seed)
        scores = KINDS[kind](rng, shape)
        sides = (25, shape[1]), (shape[0], 5)
        banks = [KINDS[kind](rng, side) for side in sides]
        for options in ({"k": 1}, {"k": 4}, {}):
            close(ppsr(scores, **options), loop_ppsr(scores, **options))
        close(
            ppsr(scores, k=3, image_bank=banks[0], caption_bank=banks[1]),
            loop_ppsr(scores, 3, *banks),
        )


def test_w_sig_0_needs_no_sum():
    scores = np.array([[1.0, -1.0, 0.5], [-1.0, 1.0, 0.5]])
    with pytest.raises(ValueError, match="caption 0 sum to 0.*w_sig"):
        multivariate_rerank(scores, "i2t")
    got = multivariate_rerank(scores, "i2t", w_sig=0)
    close(got, loop_mr(scores, "i2t", w_sig=0))


def spoiled(value):
    return np.where(np.arange(24).reshape(4, 6) == 17, value, 1.0)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"scores": spoiled(np.nan)}, "scores: .*NaN, the first at image 2, caption 5"),
        ({"scores": spoiled(-np.inf)}, "scores: row 2, column 5 is inf"),
        ({"scores": np.ones(4)}, r"scores: shape \(4,\)"),
        ({"scores": np.array([["a"]])}, "scores: type.*real numbers"),
        ({"k": 2.5}, "k: 2.5; give a whole number from 1"),
        ({"direction": "both"}, "direction: 'both'.*i2t.*t2i"),
        ({"style": "paper"}, "style: 'paper'.*released, figure"),
        ({"xi": -1}, "xi: -1; .*0 or more"),
        ({"bank": np.ones((4, 5))}, r"bank: .*gallery.* 6 captions"),
        ({"bank": np.ones((5, 6)), "direction": "t2i"}, "bank: .* 4 images"),
        ({"bank": spoiled(np.nan)}, "bank: .*NaN"),
    ],
)
def test_what_is_refused(change, words):
    options = {"scores": np.ones((4, 6)), "direction": "i2t", **change}
    with pytest.raises(ValueError, match=words):
        multivariate_rerank(**options)
    if set(change) <= {"scores", "k"}:
        del options["direction"]
        with pytest.raises(ValueError, match=words):
            ppsr(**options)


def test_ppsr_refuses_a_bank_of_another_gallery():
    for side in ("image_bank", "caption_bank"):
        with pytest.raises(ValueError, match=f"{side}: .*gallery"):
            ppsr(np.ones((4, 6)), **{side: np.ones((6, 4))})


def test_mr_by_hand():
    """xi = ln 2: the places count 1/2, 1/4, 1/8, ..."""
    scores = np.array(
        [
            [0.9, 0.8, 0.7, 0.1, 0.1, 0.1],
            [0.1, 0.9, 0.2, 0.2, 0.1, 0.1],
            [0.5, 0.1, 0.1, 0.9, 0.8, 0.1],
            [0.5, 0.2, 0.1, 0.1, 0.1, 0.9],
        ]
    )
    options = {"w_sig": 1.0, "w_rev": 2.0, "xi": math.log(2)}
    got = multivariate_rerank(scores, "i2t", k=3, style="figure", **options)
    share = [0.9 / 2, 0.8 / 2, 0.7 / 1.1]
    want = [
        share[0] + 1 / 2 + 2 * 1 / 2,
        share[1] + 1 / 4 + 2 * 1 / 4,
        share[2] + 1 / 8 + 2 * 1 / 2,
    ]
    close(got[0], np.array([*want, 0, 0, 0]))
    # released: all six, reverse places 0 1 0 2 1 1 -> 0 2 1 5 3 4
    got = multivariate_rerank(scores, "i2t", k=3, **options)
    back = [0, 2, 1, 5, 3, 4]
    want = [
        scores[0, t] / scores[:, t].sum() + 2.0 ** -(t + 1) + 2 * 2.0 ** -(back[t] + 1)
        for t in range(6)
    ]
    close(got[0], np.array(want))


def test_with_a_bank_a_query_is_answered_alone():
    rng = np.random.default_rng(7)
    scores, bank = rng.random((9, 40)), rng.random((50, 40))
    whole = multivariate_rerank(scores, "i2t", bank=bank)
    one = multivariate_rerank(scores[3:4], "i2t", bank=bank)
    assert np.array_equal(whole[3:4], one)
    whole = ppsr(scores, image_bank=bank)
    assert np.array_equal(whole[3:4], ppsr(scores[3:4], image_bank=bank))
    # without one, the answer hangs on who else was asked
    assert not np.array_equal(ppsr(scores)[3:4], ppsr(scores[3:4]))
