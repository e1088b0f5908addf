"""Pickles from elsewhere build arrays and run nothing."""

import collections
import os
import pickle

import numpy as np
import pytest

from rsir.encoders.object_graph import read_pickle, released_local
from rsir.utils.errors import RsirError

RNG = np.random.default_rng(0)
LOCAL = {
    "local_rep": {f"{i}.txt": RNG.random((20, 20)) for i in range(3)},
    "adj_matrix": {f"{i}.txt": RNG.random((20, 20)).astype("f4") for i in range(3)},
}


def same(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return (
        type(a) is type(b)
        and np.array_equal(a, b)
        and (isinstance(a, str) or a.dtype == b.dtype)
    )


@pytest.fixture
def put(tmp_path):
    def put(value, protocol=None):
        path = tmp_path / "x.npy"
        data = value if isinstance(value, bytes) else pickle.dumps(value, protocol)
        path.write_bytes(data)
        return path

    return put


def test_the_authors_layout_is_read(tmp_path):
    path = tmp_path / "rsicd_local.npy"
    np.save(path, LOCAL, allow_pickle=True)
    assert same(read_pickle(path), LOCAL)
    ids = ["2.tif", "0.jpg", "2.jpg"]
    local = released_local(path, ids)
    for name, key in (("nodes", "local_rep"), ("adjacency", "adj_matrix")):
        assert local[name].dtype == np.float32
        for row, stem in zip(local[name], "202", strict=True):
            expected = LOCAL[key][f"{stem}.txt"].astype("f4")
            assert np.array_equal(row, expected)
    assert released_local(path, [])["nodes"].shape == (0, 20, 20)


@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol_is_read(put, protocol):
    value = {
        "text": "a b",
        "deep": {"x": np.arange(6).reshape(2, 3)},
        "fortran": np.asfortranarray(RNG.random((2, 3))),
        "flags": np.array([True, False]),
        "one": np.array(3.5),
        "bytes": np.arange(4, dtype="u1"),
        "none": np.zeros((0, 3)),
        "half": np.arange(3, dtype="f2"),
        "strided": np.arange(9)[::2],
    }
    assert same(read_pickle(put(value, protocol)), value)


def test_other_byte_orders_become_our_own(put):
    found = read_pickle(put({"x": np.arange(3, dtype=">f8")}))["x"]
    assert found.tolist() == [0, 1, 2] and found.dtype == np.float64
    found[0] = 5  # and it may be written to


def test_names_of_an_older_numpy_are_known(put):
    data = pickle.dumps(LOCAL, 2)
    assert b"numpy._core" in data
    old = data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert same(read_pickle(put(old)), LOCAL)


def test_python_2_is_read(put):
    """A dictionary with a str key and a 1-d array of two floats."""
    data = (
        b"(dp0\nS'x'\np1\ncnumpy.core.multiarray\n_reconstruct\np2\n"
        b"(cnumpy\nndarray\np3\n(I0\ntp4\nS'b'\np5\ntp6\nRp7\n"
        b"(I1\n(I2\ntp8\ncnumpy\ndtype\np9\n(S'f8'\np10\nI0\nI1\n"
        b"tp11\nRp12\n(I3\nS'<'\np13\nNNNI-1\nI-1\nI0\ntp14\nb"
        b"I00\nS'\\x00\\x00\\x00\\x00\\x00\\x00\\xf0?"
        b"\\x00\\x00\\x00\\x00\\x00\\x00\\x00@'\np15\ntp16\nbs."
    )
    found = read_pickle(put(data))
    assert found["x"].tolist() == [1.0, 2.0]


class Runs:
    """Unpickling this calls a function."""

    def __init__(self, call, *arguments):
        self.made = call, arguments

    def __reduce__(self):
        return self.made


def refused(path, says="refused"):
    with pytest.raises(RsirError, match=says) as caught:
        read_pickle(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize(
    "payload",
    [
        (os.system, "touch {}"),
        (eval, "open({!r}, 'w')"),
        (exec, "open({!r}, 'w')"),
        (os.mkdir, "{}"),
        (getattr, os, "system"),
        (np.load, "{}"),
        (np.fromfile, "{}"),
        (np.memmap, "{}"),
    ],
    ids=lambda p: p[0].__name__,
)
def test_nothing_is_run(put, tmp_path, payload, protocol):
    trace = tmp_path / "trace"
    call, *rest = payload
    if rest[0] is os:
        rest = [dict, *rest[1:]]
    rest = [r.format(str(trace)) if isinstance(r, str) else r for r in rest]
    for value in (Runs(call, *rest), {"x": Runs(call, *rest)}):
        refused(put(value, protocol))
    nested = np.empty((), dtype=object)
    nested[()] = {"local_rep": {"0.txt": Runs(call, *rest)}}
    np.save(tmp_path / "x.npy", nested, allow_pickle=True)
    refused(tmp_path / "x.npy")
    assert not trace.exists()


def test_the_payloads_would_run_in_pickle(put, tmp_path):
    trace = tmp_path / "trace"
    path = put({"x": Runs(os.mkdir, str(trace))})
    pickle.loads(path.read_bytes())
    assert trace.exists()


@pytest.mark.parametrize(
    "code",
    [
        b"\x80\x04cnumpy\nndarray\n(K\x02tR.",  # call the class
        b"\x80\x04cnumpy\nndarray\n(K\x02t\x81.",  # make an instance
        b"\x80\x04cnumpy\nndarray\n}X\x01\0\0\0aK\x01sb.",  # give it a state
        b"\x80\x04cnumpy\ndtype\n}X\x04\0\0\0makeK\x01sb.",
        b"\x80\x04cnumpy\ndtype\nN}X\x04\0\0\0makeK\x01s\x86b.",
        b"\x80\x04X\x01\0\0\0aQ.",  # a persistent id
        b"\x80\x04X\x01\0\0\0zX\x03\0\0\0zip\x86.",  # no dictionary
        b"c_codecs\nencode\n(X\x01\0\0\0aX\x03\0\0\0hextR.",
        b"cnumpy\ncore.multiarray._reconstruct\n.",
        b"cnumpy.core.multiarray\nscalar\n.",
        b"cbuiltins\ngetattr\n.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
    ],
)
def test_hand_written_pickles_are_refused(put, code):
    refused(put(code), "refused|not a readable pickle")


@pytest.mark.parametrize(
    "value, says",
    [
        ([1, 2], "a list, not a dictionary"),
        (np.arange(3), "an array, not a dictionary"),
        ({"x": [1.0, 2.0]}, "a list at /x"),
        ({"x": {"y": 3}}, "an int at /x/y"),
        ({"x": None}, "a nonetype at /x"),
        ({"x": b"raw"}, "bytes at /x"),
        ({3: "x"}, "an int as a key at /"),
        ({"x": (1,)}, "a tuple at /x"),
        ({"x": np.array(["a"])}, "an array of 'U1' at /x"),
        ({"x": np.array([{}, 1], dtype=object)}, "array of objects at /x"),
        ({"x": np.zeros(2, dtype=[("a", "f4")])}, "an array of 'V4' at /x"),
        ({"x": np.float64(1)}, "numpy._core.multiarray.scalar"),
        (collections.OrderedDict(x="y"), "collections.OrderedDict"),
    ],
)
def test_what_else_a_pickle_may_hold_is_named(put, value, says):
    refused(put(value), says)


def test_what_is_no_pickle_is_named(put, tmp_path):
    refused(put(b"no pickle"), "not a readable pickle")
    refused(put(pickle.dumps(LOCAL)[:500]), "not a readable pickle")
    np.save(tmp_path / "x.npy", np.zeros(3))
    refused(tmp_path / "x.npy", "an array of float64, not a dictionary")
    refused(tmp_path / "none.npy", "not found")
    circle = {}
    circle["x"] = circle
    refused(put(circle), "deeper than 4")


def test_lies_about_an_array_are_found(put):
    data = pickle.dumps({"x": np.arange(6.0).reshape(2, 3)}, 2)
    at = data.index(b"K\x02K\x03")
    for shape in (b"K\x09K\x03", b"J\xff\xff\xff\xffK\x03"):
        refused(
            put(data[:at] + shape + data[at + 4 :]), "refused|not a readable pickle"
        )


def test_faults_of_a_local_file_are_named(put):
    def fails(value, ids, says):
        with pytest.raises(RsirError, match=says):
            released_local(put(value), ids)

    fails({"local_rep": {}}, [], "no adj_matrix")
    fails({"local_rep": "x"}, [], "no local_rep")
    fails(
        LOCAL,
        ["1.jpg", "9.jpg", "8.jpg"],
        "local_rep lacks 2 of 3 pictures, the first is 9.txt",
    )
    small = {k: dict(v) for k, v in LOCAL.items()}
    small["adj_matrix"]["1.txt"] = np.zeros((20, 19))
    fails(small, ["1.jpg"], "adj_matrix of 1.txt has shape \\(20, 19\\)")
