"""Indexes against plain NumPy; saved ones know whose they are."""

import numpy as np
import pytest
from alone import alone

from rsir.retrieval.index import KINDS, Index, hamming, pack
from rsir.utils.errors import RsirError

BINARY = [kind for kind in KINDS if kind.startswith("binary-")]
STRINGS = ["BHash12", "IVF8,Flat", "SQ8", "PCA16,Flat"]


@pytest.fixture(scope="module")
def codes():
    """900 codes of 64 bits, and 50 queries a few bits away."""
    draw = np.random.default_rng(0)
    rows = draw.choice([-1, 1], (900, 64))
    near = rows[:50].copy()
    for row in near:
        row[draw.choice(64, 3, replace=False)] *= -1
    return pack(rows), pack(near)


@pytest.fixture(scope="module")
def vectors():
    draw = np.random.default_rng(1)
    rows = draw.normal(size=(900, 32)).astype(np.float32)
    return rows, rows[:50] + 0.05 * draw.normal(size=(50, 32))


def test_torch_is_loaded_before_faiss():
    """The other way round crashes on macOS, see `load_faiss`."""
    code = (
        "import sys, numpy as np; import rsir.retrieval.index as room;"
        "assert 'torch' in sys.modules and 'faiss' not in sys.modules;"
        "room.Index.build('flat', np.eye(4));"
        "order = list(sys.modules);"
        "assert order.index('torch') < order.index('faiss')"
    )
    alone("-c", code)


def test_hamming_counts_bits_that_differ():
    one, other = np.random.default_rng(0).integers(-1, 2, (2, 5, 16))
    want = ((one > 0)[:, None] != (other > 0)[None]).sum(2)
    assert (hamming(pack(one), pack(other)) == want).all()


def test_flat_binary_is_exact_and_orders_ties_by_number(codes):
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
    rows = rows * 10.0 ** np.linspace(-20, 24, 900)[:, None]  # of any length
    scores, found = Index.build("flat", rows).search(3 * queries, 5)
    unit = [x / np.linalg.norm(x, axis=1)[:, None] for x in (queries, rows)]
    cosines = unit[0] @ unit[1].T
    order = np.argsort(-cosines, axis=1)[:, :5]
    assert (found == order).all()
    assert np.allclose(scores, np.take_along_axis(cosines, order, 1), atol=1e-5)


@pytest.mark.parametrize("kind", [*KINDS, *STRINGS])
def test_every_kind_finds_neighbours_and_survives_the_disk(
    kind, codes, vectors, tmp_path, capfd
):
    rows, queries = codes if kind.lower().startswith("b") else vectors
    index = Index.build(kind, rows, model="m")
    scores, found = index.search(queries, 3)
    assert (found[:, 0] == np.arange(50)).mean() > 0.8
    index.save(tmp_path / "one.index", extra=np.arange(3))
    again = Index.load(tmp_path / "one.index", model="m")
    assert (again.factory, len(again)) == (index.factory, 900)
    for a, b in zip(again.search(queries, 3), (scores, found)):
        assert np.array_equal(a, b)
    again.add(rows[:1])
    assert len(again) == 901
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "kind, n, says",
    [
        ("lsh", 9, "kind 'lsh': FAISS refuses .*could not parse.*choose one of binary"),
        ("PQ7", 99, "should be a multiple"),
        ("ivf-pq", 15, "FAISS refuses 15 rows"),
    ],
)
def test_what_faiss_refuses_is_a_user_error(kind, n, says, codes, vectors):
    rows = codes[0] if kind == "Bxx" else vectors[0]
    with pytest.raises(RsirError, match=says):
        Index.build(kind, rows[:n])


@pytest.mark.parametrize(
    "what, says",
    [
        (lambda i, q: i.search(q[:, :4], 2), r"takes \[n, 8\]"),
        (lambda i, q: i.search(q.astype(float), 2), "codes must be packed"),
        (lambda i, q: i.search(q, 0), "k is 0: give a whole number"),
        (lambda i, q: Index.build("flat", [[1.0], [np.nan]]), "number 1 holds a NaN"),
        (lambda i, q: Index.build("flat", np.ones(4)), "give a matrix"),
        (lambda i, q: pack(np.full((1, 8), np.nan)), "a NaN among them"),
        (lambda i, q: pack(np.ones((2, 12))), "multiple of 8"),
    ],
)
def test_wrong_rows_are_user_errors(what, says, codes):
    with pytest.raises(RsirError, match=says):
        what(Index.build("binary-flat", codes[0]), codes[1])


@pytest.fixture
def saved(codes, tmp_path):
    path = tmp_path / "one.index"
    Index.build("binary-flat", codes[0], model="m1").save(path)
    return path


def test_a_saved_index_of_another_model_is_refused(saved):
    with pytest.raises(RsirError, match="another model .m1, not m2"):
        Index.load(saved, model="m2")
    assert len(Index.load(saved)) == 900
    with pytest.raises(RsirError, match="no index here"):
        Index.load(saved.with_name("none"))


def test_a_damaged_index_is_refused(saved):
    raw = saved.read_bytes()
    for damaged in (raw[:-200], raw[:5000] + b"\0\0\0\xff" + raw[5004:], b"", b"no"):
        saved.write_bytes(damaged)
        with pytest.raises(RsirError, match="damaged, or not an index"):
            Index.load(saved)


@pytest.mark.parametrize("own, then", [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_waiting_threads_sleep_unless_the_user_says_otherwise(own, then, monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    code = "import os, sys, rsir; print(os.environ['OMP_WAIT_POLICY'], *sys.modules)"
    own = {"OMP_WAIT_POLICY": own} if own else {}
    setting, *modules = alone("-c", code, **own).split()
    assert setting == then and "torch" not in modules
