"""Indexes against plain NumPy; saved ones know whose they are."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from alone import alone

from rsir.retrieval.index import KINDS, Index, factory_string, hamming, pack
from rsir.utils.errors import RsirError

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
    )
    alone("-c", code)


def test_pack_keeps_signs_and_hamming_counts_bits_that_differ():
    codes = np.array([[1, -1, 0, 2, -3, 1, 1, -1]])
    assert np.unpackbits(pack(codes), axis=1).tolist() == [[1, 0, 0, 1, 0, 1, 1, 0]]
    one = np.array([[0b1010_0000], [0b1111_1111]], np.uint8)
    other = np.array([[0b1000_0001]], np.uint8)
    assert hamming(one, other).tolist() == [[2], [6]]


def test_flat_binary_is_exact_and_orders_ties_by_number(codes):
    rows, queries = codes
    scores, found = Index.build("binary-flat", rows).search(queries, 20)
    far = hamming(queries, rows)
    want = np.sort(far, axis=1)[:, :20]
    assert (-scores == want).all()
    assert (np.take_along_axis(far, found, axis=1) == want).all()
    steps = np.diff(found, axis=1)[np.diff(scores, axis=1) == 0]
    assert len(steps) and (steps > 0).all()


def test_flat_takes_the_cosine(vectors):
    rows, queries = vectors
    scores, found = Index.build("flat", rows).search(3 * queries, 5)
    unit = [x / np.linalg.norm(x, axis=1)[:, None] for x in (queries, rows)]
    cosines = unit[0] @ unit[1].T
    assert (found == np.argsort(-cosines, axis=1)[:, :5]).all()
    assert np.allclose(scores, np.take_along_axis(cosines, found, 1), atol=1e-5)
    rows = np.diag([1e25, 1.0, 1e-30]).astype(np.float32)  # of any length
    scores, found = Index.build("flat", rows).search(rows, 1)
    assert found[:, 0].tolist() == [0, 1, 2] and np.allclose(scores, 1)


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
    if kind in KINDS:  # a handful of rows will do
        _, found = Index.build(kind, rows[:20]).search(rows[:4], 50)
        assert found.shape == (4, 20) and found[:, 0].tolist() == [0, 1, 2, 3]
    assert capfd.readouterr().err == ""


def test_sizes_follow_the_rows():
    assert factory_string("binary-ivf", 128, 10**6) == "BIVF1000"
    assert factory_string("ivf-pq", 384, 10**6) == "IVF1000,PQ64x8np"
    assert factory_string("binary-hash", 128, 10**6) == "BHash6x20"
    assert factory_string("OPQ16,Flat", 32, 9) == "OPQ16,Flat"


def test_looking_into_more_cells_finds_more(vectors):
    rows, _ = vectors
    noise = np.random.default_rng(2).normal(size=(200, 32))
    index = Index.build("IVF40,Flat", rows)
    exact = Index.build("flat", rows).search(rows[:200] + noise, 1)[1]
    right = []
    for index.faiss.nprobe in (1, 40):
        right.append((index.search(rows[:200] + noise, 1)[1] == exact).mean())
    assert right[0] < right[1] == 1


@pytest.mark.parametrize(
    "kind, n, says",
    [
        ("lsh", 9, "kind 'lsh': FAISS refuses .*could not parse.*choose one of binary"),
        ("IVF{x},Flat", 9, "FAISS refuses"),
        ("PQ7", 99, "should be a multiple"),
        ("IVF5000,Flat", 99, "FAISS refuses 99 rows"),
        ("ivf-pq", 15, "FAISS refuses 15 rows"),
        ("Bxx", 9, "FAISS refuses"),
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
        (lambda i, q: i.search(q.astype(float), 2), "codes packed by"),
        (lambda i, q: i.search(q, 0), "k is 0: give a whole number"),
        (lambda i, q: Index.build("flat", [[1.0], [np.nan]]), "number 1 holds a NaN"),
        (lambda i, q: Index.build("flat", [[1.0], [1e300]]), "number 1 holds a NaN"),
        (lambda i, q: Index.build("flat", np.ones(4)), "give a matrix"),
        (lambda i, q: Index.build("flat", [["a"]]), "type <U1; this flat"),
        (lambda i, q: pack(np.full((1, 8), np.nan)), "without NaN"),
        (lambda i, q: pack(np.full((1, 8), "a", object)), "type object"),
        (lambda i, q: pack(np.ones((2, 12))), "multiple of 8"),
    ],
)
def test_wrong_rows_are_user_errors(what, says, codes):
    with pytest.raises(RsirError, match=says):
        what(Index.build("binary-flat", codes[0]), codes[1])


@pytest.fixture
def stored(codes, tmp_path):
    path = tmp_path / "one.index"
    Index.build("binary-flat", codes[0], model="m1").save(path)
    return path


def test_a_stored_index_of_another_model_is_refused(stored):
    with pytest.raises(RsirError, match="another model .m1, not m2"):
        Index.load(stored, model="m2")
    assert len(Index.load(stored)) == 900
    with pytest.raises(RsirError, match="no index here"):
        Index.load(stored.with_name("none"))


def about(change):
    """The same file, that says something else of its index."""

    def changed(raw):
        arrays = dict(np.load(io.BytesIO(raw)))
        said = change and json.loads(str(arrays["about"])) | change
        np.savez(box := io.BytesIO(), **arrays | {"about": np.array(json.dumps(said))})
        return box.getvalue()

    return changed


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:-200],
        lambda raw: raw[:5000] + b"\0\0\0\xff" + raw[5004:],
        lambda raw: b"no index",
        about({"width": 128}),
        about({"kind": None}),
        about(None),
    ],
)
def test_a_damaged_index_is_refused(stored, damage):
    stored.write_bytes(damage(stored.read_bytes()))
    with pytest.raises(RsirError, match="damaged, or not an index"):
        Index.load(stored)


@pytest.mark.parametrize("own, then", [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_waiting_threads_sleep_unless_the_user_says_otherwise(own, then):
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": own} if own else {}
    code = "import os, sys, rsir; print(os.environ['OMP_WAIT_POLICY'], *sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    setting, *modules = done.stdout.split()
    assert setting == then and "torch" not in modules
