"""The counted places against plain loops; layouts that people bring."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsir.evaluation.metrics import evaluate, hits, positions
from rsir.evaluation.ranks import Ranks, compute_ranks

KINDS = {
    "float32": lambda rng, shape: rng.random(shape, dtype=np.float32),
    "float16": lambda rng, shape: rng.random(shape).astype(np.float16),
    "hamming": lambda rng, shape: rng.integers(-9, 1, shape, np.int8),
    "yes or no": lambda rng, shape: rng.random(shape) > 0.7,
    "constant": lambda rng, shape: np.zeros(shape, np.float32),
    "masked": lambda rng, shape: np.where(
        rng.random(shape) > 0.5, rng.integers(0, 3, shape), -np.inf
    ),
    "turned": lambda rng, shape: rng.integers(0, 5, shape[::-1]).T,
}


def place(values, correct, rule):
    """1-based place of the first correct item in a sorted list."""
    if rule == "released":
        order = np.argsort(values, kind="stable")[::-1]
    else:
        sign = 1 if rule == "optimistic" else -1
        order = sorted(
            range(len(values)), key=lambda k: (-values[k], -sign * (k in correct))
        )
    return next(p for p, k in enumerate(order, 1) if k in correct)


@pytest.mark.parametrize("kind", KINDS)
def test_rules_with_a_place_equal_sorting(kind, uneven_owner, queries):
    rng = np.random.default_rng(0)
    owner = uneven_owner(rng, 42)
    owner[owner % 9 == 1] = -1  # of no image, and images of no caption
    one, two = (KINDS[kind](rng, (42, len(owner))) for _ in range(2))
    for t2i in (one, two):
        found = compute_ranks(one, owner, scores_t2i=t2i)
        plain = queries(one.astype(float), owner, t2i.astype(float))
        for side, asked in zip((found.i2t, found.t2i), plain, strict=True):
            for rule in ("optimistic", "pessimistic", "released"):
                want = np.array([place(v, c, rule) for v, c in asked])
                np.testing.assert_array_equal(positions(side, rule), want)
                for k in (1, 5, 10):
                    np.testing.assert_array_equal(hits(side, k, rule), want <= k)


def test_ranks_survive_a_file(tmp_path, uneven_owner):
    rng = np.random.default_rng(0)
    owner = uneven_owner(rng, 30)
    scores = rng.integers(0, 5, (32, len(owner)))  # two images without text
    for some, cut in ((owner, 30), (owner, 32), (np.where(owner, owner, -1), 30)):
        found = compute_ranks(scores[:cut], some)
        found.save(tmp_path / "r.npz")
        again = Ranks.load(tmp_path / "r.npz")
        assert again.n_images == cut and np.array_equal(again.owner, some)
        for a, b in ((again.i2t, found.i2t), (again.t2i, found.t2i)):
            assert all(map(np.array_equal, vars(a).values(), vars(b).values()))
    with np.load(tmp_path / "r.npz") as stored:
        arrays = dict(stored)
    assert arrays["i2t_better"].dtype == np.uint8
    del arrays["t2i_own"]
    np.savez(tmp_path / "r.npz", **arrays)
    with pytest.raises(ValueError, match="r.npz: ranks: missing t2i_own"):
        Ranks.load(tmp_path / "r.npz")


def signal(n=40, per=5, seed=0, gain=2.2):
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(n), per)
    scores = rng.standard_normal((n, n * per)).astype(np.float32)
    scores[owner, np.arange(n * per)] += gain
    return scores, owner, rng


@pytest.mark.parametrize("per", [2, 5])
@pytest.mark.parametrize("owner_is", ["missing", "of images", "of rows"])
def test_rows_once_for_each_caption_are_refused(per, owner_is):
    scores, owner, _ = signal(per=per)
    rows = np.repeat(scores, per, axis=0)
    given = {"missing": None, "of images": owner, "of rows": np.arange(40 * per)}
    given = given[owner_is]
    said = rf"equal groups of {per}.*scores\[::{per}\]"
    said += f".*owner // {per}" * (owner_is == "of rows")
    with pytest.raises(ValueError, match=said):
        evaluate(rows, given)
    given = given // per if owner_is == "of rows" else given
    want = evaluate(scores, owner, bootstrap=0)
    assert evaluate(rows[::per], given, bootstrap=0) == want


def test_rows_that_repeat_in_another_order_are_refused(uneven_owner):
    scores, owner, rng = signal()
    with pytest.raises(ValueError, match=r"from row 40 on.*scores\[:40\]"):
        evaluate(np.tile(scores, (5, 1)))
    owner = uneven_owner(rng, 40)  # shuffled, and not five each
    scores = rng.standard_normal((40, len(owner)))
    with pytest.raises(ValueError, match=r"numpy.unique\(owner, return_index=T"):
        evaluate(scores[owner], owner)
    again = scores[owner][np.unique(owner, return_index=True)[1]]
    assert evaluate(again, owner) == evaluate(scores, owner)


def test_images_without_captions_are_in_the_gallery():
    rng = np.random.default_rng(0)
    n, m = 60, 90
    owner = rng.integers(0, n, m)  # some images have none
    owner[rng.random(m) < 0.2] = -1
    scores = rng.random((n, m)) + 2 * (owner == np.arange(n)[:, None])
    report = evaluate(scores, owner, bootstrap=20)
    assert (report.n_images, report.n_captions, report.mR) == (n, m, 100)
    bare = n - len(np.unique(owner[owner >= 0]))
    assert f"{bare} of {n} images have no caption" in str(report)
    assert f"{(owner < 0).sum()} of {m} captions have no image" in str(report)
    assert len(report.to_dict()["notes"]) == 2
    late = evaluate(scores, np.arange(m) // 2 + 1, bootstrap=0)
    assert "Does owner count from 1?" in late.notes[0]


def test_a_matrix_for_each_direction():
    scores, owner, rng = signal()
    other = scores + rng.standard_normal(scores.shape)
    both = evaluate(scores, owner, scores_t2i=other)
    assert both.i2t == evaluate(scores, owner).i2t
    assert both.t2i == evaluate(other, owner).t2i
    assert both.mR == np.mean([*both.i2t.values(), *both.t2i.values()])
    with pytest.raises(ValueError, match=r"give scores_t2i.T\."):
        evaluate(scores, owner, scores_t2i=other.T)
    with pytest.raises(ValueError, match="scores_t2i: shape .* n_captions"):
        evaluate(scores, owner, scores_t2i=other[:, 1:])


TEN = np.arange(50.0).reshape(5, 10)
BITS = np.zeros((2, 4), "V2")
HOLES = np.where(np.isin(TEN, [27, 28]), np.nan, TEN)


@pytest.mark.parametrize(
    "scores, owner, words",
    [
        (HOLES, None, "2 value.* NaN, the first at image 2, caption 7;"),
        (np.zeros(5), None, "1 axes"),
        (np.zeros((0, 5)), None, "is empty"),
        ([[1, 2], [3]], None, "cannot be made an array"),
        (np.array([["a", "b"]]), None, "cannot be ranked"),
        (np.zeros((2, 2), complex), None, r"cannot be ranked.*scores\.real"),
        (np.ones((2, 2), object), None, r"scores\.astype\(numpy\.float32\)"),
        (BITS, None, "if these are bfloat16"),
        (np.ma.masked_less(TEN, 3), None, "a masked array; give scores.filled"),
        (np.zeros((3, 10)), None, "cannot be dealt evenly"),
        (TEN, [0, 1, 2, 3], "10 columns"),
        (TEN, [0, 1, 2, 3, 4], "transposed"),
        (TEN, np.zeros((10, 1), int), r"shape .* as owner\.ravel\(\)"),
        (TEN, np.arange(10) // 2 + 1, "subtract 1"),
        (TEN, np.arange(10) // 2 - 2, "from -2 to 2"),
        (TEN, np.full(10, -1), "all are -1"),
        (TEN, np.arange(10) // 2 * 1.0, r"not integer.*owner\.astype\(int\)"),
        (TEN, np.arange(10) / 2, "not whole"),
        (TEN, [2**70] * 10, "not integer"),
        (TEN, np.full(10, 2**64 - 1, np.uint64), "run from"),
    ],
)
def test_bad_input_is_named(scores, owner, words):
    with pytest.raises(ValueError, match=words):
        evaluate(scores, owner)


def test_tensors_are_scores_or_an_error_with_a_remedy():
    import torch

    scores = torch.randn(4, 8)
    want = evaluate(scores.numpy())
    assert evaluate(scores) == want
    for other in (scores.clone().requires_grad_(), scores.bfloat16()):
        with pytest.raises(ValueError, match=r"tensor\.detach\(\)\.float\(\)"):
            evaluate(other)
        assert evaluate(other.detach().float().cpu().numpy()).n_captions == 8
    bits = scores.bfloat16().view(torch.int16).numpy().view("V2")
    again = (bits.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(again, scores.bfloat16().float())


CELLS = {
    "float64": st.sampled_from([0.0, -0.0, 1.5, -2.0, np.inf, -np.inf, np.nan, 1e308]),
    "float16": st.sampled_from([0.0, 0.5, 1.0, 6e4]),
    "int8": st.integers(-128, 127),
    "int64": st.sampled_from([2**62, 2**62 + 1, 0, -(2**62)]),
    "uint64": st.sampled_from([2**64 - 1, 2**64 - 2, 0]),
    "object": st.sampled_from([None, 1, "a", 2**70, 0.5]),
    "M8[s]": st.integers(0, 3),
}
OWNERS = st.one_of(
    st.none(),
    st.lists(st.integers(-2, 7), max_size=14),
    st.lists(st.sampled_from([0, 1.0, 0.5, True, None, "0", 2**70]), max_size=8),
    st.integers(-1, 3),
)


@st.composite
def brought(draw):
    dtype = draw(st.sampled_from(list(CELLS)))
    n, m = shape = draw(st.tuples(st.integers(0, 6), st.integers(0, 12)))
    cells = draw(st.lists(CELLS[dtype], min_size=n * m, max_size=n * m))
    owner = draw(OWNERS)
    if n and draw(st.booleans()):
        some = st.lists(st.integers(-1, n - 1), min_size=m, max_size=m)
        owner = np.array(draw(some), int)
    return np.array(cells, dtype).reshape(shape), owner


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(brought())
def test_anything_gives_a_right_count_or_a_message(queries, asked):
    scores, owner = asked
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = compute_ranks(scores, owner)
    except ValueError as error:
        assert str(error).startswith(("scores: ", "owner: "))
        if "the rows" in str(error):
            assert len(np.unique(scores, axis=0)) < len(scores)
        return
    n, m = scores.shape
    owner = np.arange(m) // (m // n) if owner is None else owner
    exact = np.array(scores.tolist(), object)  # Python's own numbers
    for side, plain in zip((found.i2t, found.t2i), queries(exact, owner)):
        assert len(side.better) == len(plain)
        for q, (values, correct) in enumerate(plain):
            best = max(values[k] for k in correct)
            tied = [k for k, v in enumerate(values) if v == best]
            own = [k for k in tied if k in correct]
            better = sum(v > best for v in values)
            later = sum(k > own[-1] for k in tied)
            got = [int(count[q]) for count in vars(side).values()]
            assert got == [better, len(tied) - len(own), len(own), better + later]
