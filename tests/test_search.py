"""Indexes against plain NumPy; saved ones know whose they are."""

import json

import numpy as np
import pytest

from rsir.retrieval.index import KINDS, Index, coarse_to_fine, hamming, pack
from rsir.utils.errors import RsirError

BINARY = [kind for kind in KINDS if kind.startswith("binary-")]
FLOAT = [kind for kind in KINDS if kind not in BINARY]


@pytest.fixture(scope="module")
def codes():
    """2,000 codes of 64 bits, and 50 queries a few bits away."""
    draw = np.random.default_rng(0)
    rows = draw.choice([-1, 1], (2000, 64))
    near = rows[:50].copy()
    for row in near:
        row[draw.choice(64, 3, replace=False)] *= -1
    return pack(rows), pack(near)


@pytest.fixture(scope="module")
def vectors():
    draw = np.random.default_rng(1)
    rows = draw.normal(size=(2000, 32)).astype(np.float32)
    return rows, rows[:50] + 0.05 * draw.normal(size=(50, 32))


def test_pack_keeps_every_sign():
    codes = np.array([[1, -1, 0, 2, -3, 1, 1, -1]])
    assert np.unpackbits(pack(codes), axis=1).tolist() == [[1, 0, 0, 1, 0, 1, 1, 0]]
    with pytest.raises(RsirError, match="multiple of 8"):
        pack(np.ones((2, 12)))


def test_hamming_counts_bits_that_differ():
    one = np.array([[0b1010_0000], [0b1111_1111]], np.uint8)
    other = np.array([[0b1000_0001]], np.uint8)
    assert hamming(one, other).tolist() == [[2], [6]]


def test_flat_binary_is_exact_and_orders_equals_by_number(codes):
    rows, queries = codes
    scores, found = Index.build("binary-flat", rows).search(queries, 20)
    far = hamming(queries, rows)
    want = -np.sort(far, axis=1)[:, :20]
    assert (scores == want).all()
    assert (np.take_along_axis(far, found, axis=1) == -want).all()
    steps = np.diff(found, axis=1)[np.diff(scores, axis=1) == 0]
    assert len(steps) and (steps > 0).all()


def test_flat_takes_the_cosine(vectors):
    rows, queries = vectors
    scores, found = Index.build("flat", rows).search(3 * queries, 5)
    unit = [x / np.linalg.norm(x, axis=1)[:, None] for x in (queries, rows)]
    cosines = unit[0] @ unit[1].T
    order = np.argsort(-cosines, axis=1)[:, :5]
    assert (found == order).all()
    assert np.allclose(scores, np.take_along_axis(cosines, order, 1), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_finds_neighbours_and_survives_the_disk(
    kind, codes, vectors, tmp_path, capfd
):
    rows, queries = codes if kind in BINARY else vectors
    index = Index.build(kind, rows, model="m", data="d")
    scores, found = index.search(queries, 3)
    assert (found[:, 0] == np.arange(50)).mean() > 0.8
    index.save(tmp_path / "one.index")
    again = Index.load(tmp_path / "one.index", model="m", data="d")
    assert again.options == index.options and len(again) == 2000
    for a, b in zip(again.search(queries, 3), (scores, found)):
        assert np.array_equal(a, b)
    again.add(rows[:1])
    assert len(again) == 2001
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_handful_of_rows_will_do(kind, codes, vectors, capfd):
    rows, _ = codes if kind in BINARY else vectors
    index = Index.build(kind, rows[:20])
    _, found = index.search(rows[:4], 50)
    assert found.shape == (4, 20)
    assert found[:, 0].tolist() == [0, 1, 2, 3]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "kind, more",
    [
        ("binary-ivf", {"nprobe": 1}),
        ("binary-hash", {"nflip": 0}),
        ("ivf-pq", {"nprobe": 1}),
    ],
)
def test_looking_harder_finds_more(kind, more, codes, vectors):
    rows, _ = codes if kind in BINARY else vectors
    queries = rows[100:300].copy()
    if kind in BINARY:
        queries ^= np.uint8(0b0010_0000)
    else:
        queries += 0.9 * np.random.default_rng(2).normal(size=queries.shape)
    index = Index.build(kind, rows, **more)
    truth = np.arange(100, 300)
    lazy = (index.search(queries, 1)[1][:, 0] == truth).mean()
    name = next(iter(more))
    index.set(**{name: 2 if name == "nflip" else 40})
    keen = (index.search(queries, 1)[1][:, 0] == truth).mean()
    assert keen > lazy
    with pytest.raises(RsirError, match="cannot be changed"):
        index.set(tables=3)


def test_a_saved_index_of_another_owner_is_refused(codes, tmp_path):
    path = tmp_path / "one.index"
    Index.build("binary-flat", codes[0], model="m1", data="d1").save(path)
    with pytest.raises(RsirError, match="other model .m1, not m2"):
        Index.load(path, model="m2", data="d1")
    with pytest.raises(RsirError, match="other data .d1, not d2"):
        Index.load(path, model="m1", data="d2")
    assert len(Index.load(path)) == 2000


def test_a_damaged_index_is_refused(codes, tmp_path):
    path = tmp_path / "one.index"
    Index.build("binary-flat", codes[0]).save(path)
    whole = path.read_bytes()
    for broken in (
        whole[:-200],
        whole[:9000] + b"\0\0\0\xff" + whole[9004:],
        b"",
        b"no index",
    ):
        path.write_bytes(broken)
        with pytest.raises(RsirError, match="damaged"):
            Index.load(path)
    with pytest.raises(RsirError, match="no index here"):
        Index.load(tmp_path / "none")


def test_wrong_rows_are_user_errors(codes):
    rows, queries = codes
    index = Index.build("binary-flat", rows)
    for bad, says in (
        (queries[:, :4], r"takes \[n, 8\]"),
        (queries.astype(float), "pack the codes"),
    ):
        with pytest.raises(RsirError, match=says):
            index.search(bad, 2)
    with pytest.raises(RsirError, match="whole number"):
        index.search(queries, 0)
    with pytest.raises(RsirError, match="unknown; choose one of binary"):
        Index("lsh", 64)
    with pytest.raises(RsirError, match="'ef': binary-flat has none"):
        Index("binary-flat", 64, ef=3)
    for value in (np.nan, np.inf, 1e300):
        with pytest.raises(RsirError, match="number 1 holds a NaN"):
            Index.build("flat", np.array([[1.0, 1.0], [value, 1.0]]))
    with pytest.raises(RsirError, match="a NaN among them"):
        pack(np.full((1, 8), np.nan))
    with pytest.raises(RsirError, match="type object"):
        pack(np.full((1, 8), "a", object))
    with pytest.raises(RsirError, match="give a matrix"):
        Index.build("flat", np.ones(4))
    with pytest.raises(RsirError, match="type <U1; vectors"):
        Index.build("flat", np.array([["a"]]))
    with pytest.raises(RsirError, match="empty"):
        Index("flat", 4).search(np.ones((1, 4)), 1)


def test_vectors_of_any_length_are_found_by_direction():
    rows = np.diag([1e25, 1.0, 1e-30]).astype(np.float32)
    scores, found = Index.build("flat", rows).search(rows, 1)
    assert found[:, 0].tolist() == [0, 1, 2]
    assert np.allclose(scores, 1)


@pytest.mark.parametrize(
    "kind, options, says",
    [
        ("binary-ivf", {"nprobe": 0}, "'nprobe': 0; give a whole number"),
        ("binary-ivf", {"nlist": 2.5}, "'nlist': 2.5"),
        ("binary-ivf", {"nlist": 10_000}, "FAISS refuses"),
        ("binary-hnsw", {"links": 1}, "from 2"),
        ("binary-hash", {"nflip": -1}, "from 0"),
        ("binary-hash", {"tables": 9, "key_bits": 8}, "9 x 8 bits"),
        ("ivf-pq", {"parts": 7}, "7 does not divide"),
        ("ivf-pq", {"nprobe": True}, "'nprobe': True"),
    ],
)
def test_options_out_of_range_are_user_errors(kind, options, says, codes, vectors):
    rows, _ = codes if kind in BINARY else vectors
    with pytest.raises(RsirError, match=says):
        Index.build(kind, rows, **options)


def test_a_code_book_needs_some_rows(vectors):
    with pytest.raises(RsirError, match="rows: 15; ivf-pq learns"):
        Index.build("ivf-pq", vectors[0][:15])
    assert len(Index.build("ivf-pq", vectors[0][:16])) == 16


def test_a_file_that_is_something_else_is_refused(codes, tmp_path):
    path = tmp_path / "one.index"
    Index.build("binary-flat", codes[0]).save(path)
    with np.load(path) as stored:
        facts, raw = json.loads(str(stored["facts"])), stored["index"]

    def says(facts):
        with open(path, "wb") as file:
            np.savez(file, facts=np.array(json.dumps(facts)), index=raw)
        with pytest.raises(RsirError) as error:
            Index.load(path)
        return str(error.value)

    assert "damaged" in says([1])
    assert "another version" in says(facts | {"format": 0})
    assert "'kind' is missing" in says({k: v for k, v in facts.items() if k != "kind"})
    assert "not 2000 of 128" in says(facts | {"width": 128})
    np.save(tmp_path / "plain.npy", np.ones(3))
    with pytest.raises(RsirError, match="damaged, or not an index"):
        Index.load(tmp_path / "plain.npy")


def test_a_fine_score_that_is_no_number_is_refused(codes):
    index = Index.build("binary-flat", codes[0])
    with pytest.raises(RsirError, match="gave NaN for query 0"):
        coarse_to_fine(index, codes[1], lambda _, c: c * np.nan, m=5, k=2)
    with pytest.raises(RsirError, match="k is 0"):
        coarse_to_fine(index, codes[1], lambda _, c: c, k=0)
    far = Index.build("binary-hash", codes[0], nflip=0, tables=1, key_bits=60)
    scores, found = coarse_to_fine(  # its tables hold none of these
        far, ~codes[1][:2], lambda _, c: c, m=5, k=2
    )
    assert (found == -1).all() and (scores == -np.inf).all()


def test_coarse_to_fine_orders_the_short_list_anew(codes):
    rows, queries = codes
    index = Index.build("binary-flat", rows)
    short = index.search(queries, 8)[1]
    asked = []

    def rescore(query, candidates):
        asked.append((query, candidates.tolist()))
        return candidates.astype(float)  # higher numbers win

    scores, found = coarse_to_fine(index, queries, rescore, m=8, k=3)
    assert asked == [(q, row.tolist()) for q, row in enumerate(short)]
    assert np.array_equal(found, -np.sort(-short, axis=1)[:, :3])
    assert np.array_equal(scores, found)
    with pytest.raises(RsirError, match="k is 9, m is 8"):
        coarse_to_fine(index, queries, rescore, m=8, k=9)
    with pytest.raises(RsirError, match="one score each"):
        coarse_to_fine(index, queries, lambda q, c: c[:2], m=8, k=3)
