"""Objects of a picture: regions, nodes, what DREA does, and stored graphs."""

import dataclasses
import os
import pickle

import numpy as np
import pytest
from PIL import Image
from tiny import TinyEncoder

from rsir.data import Box, Split
from rsir.encoders.object_graph import (
    DOTA,
    DetectorSource,
    cached_graphs,
    code_of,
    nodes_of,
    region_source,
    regions_of_boxes,
    regions_of_pyramid,
    released_local,
)
from rsir.models.galr import DREA, adjacency_of, graph_of, groups_of, overlaps
from rsir.utils.errors import RsirError

SIZE = (200, 100)


def car(x, y, colour="red", side=10):
    return Box("car", x, y, x + side, y + side, {"colour": colour})


def at(boxes):
    return regions_of_boxes(boxes, SIZE)


def graph(regions, drea=True):
    """X and A."""
    found = graph_of(regions, drea)
    return found["nodes"], found["adjacency"]


LAKE = Box("lake", 0, 0, 100, 80)
SCENE = [car(10, 10), LAKE, car(150, 10), car(150, 50), car(30, 90)]


def test_the_numbers_of_a_node_are_those_of_its_box():
    X, A = graph(at([LAKE, car(150, 60, "blue", 20)]))
    assert X.dtype == A.dtype == np.float32
    lake = [0.25, 0.4, 0.5, 0.8, 0, 0, 1 / 8, 0.4**0.5]
    assert X[0, :8].tolist() == pytest.approx(lake)
    blue = [0.8, 0.7, 0.1, 0.2, 0, 0, 1 / 8, 0.02**0.5]
    assert X[1, :8].tolist() == pytest.approx(blue)
    assert np.allclose(X[0, 8:16], code_of("lake", 8))
    assert (X[0, 16:] == 0).all()  # it has no attribute
    assert np.allclose(X[1, 8:16], code_of("car", 8))
    assert np.allclose(X[1, 16:], code_of("colour=blue", 4))
    assert (X[2:] == 0).all()
    assert (A[2:] == 0).all() and (A[:, 2:] == 0).all()


def test_codes_tell_words_apart_and_never_change():
    codes = np.stack([code_of(w, 8) for w in ("car", "lake", "plane", "tree", "boat")])
    assert np.allclose(np.diag(codes @ codes.T), 1)
    assert (codes @ codes.T - np.eye(5)).max() < 0.9
    car = [-0.8046, 0.3371, 0.4651, 0.1505]
    assert code_of("car", 4) == pytest.approx(car, abs=1e-4)


def test_redundant_nodes_become_one_with_a_count():
    regions = at(SCENE)
    assert groups_of(regions) == [[1], [0, 2, 3, 4]]
    X, _ = graph(regions)
    cars = np.array([(15, 15), (155, 15), (155, 55), (35, 95)]) / SIZE
    assert X[1, :2] == pytest.approx(cars.mean(0))
    assert X[1, 2:4] == pytest.approx([0.05, 0.1])
    assert X[1, 4:6] == pytest.approx(cars.std(0), abs=1e-6)
    assert X[1, 6] == pytest.approx(np.log2(5) / 8)
    assert X[1, 7] == pytest.approx((4 * 0.005) ** 0.5)  # area of all
    assert (X[2:] == 0).all()


@pytest.mark.parametrize("merge", [True, False])
def test_groups_are_those_of_a_plain_loop(merge):
    draw = np.random.default_rng(0)
    f3 = draw.standard_normal((4, 6, 6)).cumsum(1)
    regions = regions_of_pyramid(f3, draw.standard_normal((5, 3, 3)))
    regions = dataclasses.replace(regions, boxes=regions.boxes * draw.random((45, 1)))
    unit = regions.look / np.linalg.norm(regions.look, axis=1, keepdims=True)
    same = overlaps(regions.boxes)
    groups = []
    for i in np.argsort(-regions.salience):
        near = (g for g in groups if unit[i] @ unit[g[0]] >= regions.alike)
        group = next(near, None)
        if group is None:
            groups.append([i])
        elif merge and all(same[i, j] < 0.5 for j in group):
            group.append(i)
    assert groups_of(regions, DREA(merge=merge)) == groups
    assert (max(map(len, groups)) > 2) == merge


@pytest.mark.parametrize("drea", [True, False])
def test_a_picture_without_objects_is_all_zeros(drea):
    X, A = graph(at([]), drea)
    assert X.shape == A.shape == (20, 20)
    assert not X.any() and not A.any()


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: at([car(1, 1), Box("lake", 5, 5, 5, 9)]), "box 1 .'lake'. has no ar"),
        (lambda: DREA(threshold=1.5), "threshold is 1.5"),
        (lambda: DREA(boost=-1), "boost is -1"),
        (lambda: region_source("yolo"), "regions 'yolo': unknown"),
    ],
)
def test_faults_are_named(call, says):
    with pytest.raises(RsirError, match=says):
        call()


@pytest.mark.parametrize("boost", [0, 2])
def test_adjacency_is_its_formula(boost):
    nodes, _ = nodes_of(at(SCENE), groups_of(at(SCENE), False))
    A = adjacency_of(nodes, boost)
    for i in range(5):
        row = [
            np.exp(-((nodes[i, :2] - n[:2]) ** 2).sum() / 0.125)
            * (1 + boost * n[7] / nodes[0, 7])
            for n in nodes
        ]
        assert A[i] == pytest.approx(np.array(row) / sum(row))


@pytest.fixture
def stored(cached):
    """Graphs by the store, and how many were made anew."""

    def stored(name, encoder, split, drea=True):
        def of(regions):
            made.append(regions)
            return graph_of(regions, drea)

        made, what = [], (region_source(name), encoder, split, of, {"drea": repr(drea)})
        return cached_graphs(*what, progress=False), len(made)

    return stored


@pytest.fixture
def split(tmp_path):
    paths = tuple(tmp_path / f"{i}.png" for i in range(3))
    for i, path in enumerate(paths):
        Image.new("RGB", SIZE, (i, i, i)).save(path)
    ids, boxes = tuple(p.name for p in paths), (tuple(SCENE), (), (LAKE,))
    return Split("mine", "val", paths, tuple("abc"), np.arange(3), ids, objects=boxes)


def test_boxes_of_a_split(split, stored):
    local, _ = stored("boxes", None, split)
    X, A = graph(at(SCENE))
    assert np.array_equal(local["nodes"][0], X)
    assert np.array_equal(local["adjacency"][0], A)
    assert not local["nodes"][1].any()
    with pytest.raises(RsirError, match="mine: this data set has no boxes"):
        stored("boxes", None, dataclasses.replace(split, objects=None))


def test_graphs_are_made_once_for_all_that_decides_them(splits, stored):
    what = "pyramid", TinyEncoder(), splits.val
    first, made = stored(*what)
    assert made == 8
    shapes = {k: v.shape[1:] for k, v in first.items()}
    assert shapes == {"nodes": (20, 20), "adjacency": (20, 20), "looks": (20, 4 + 5)}
    assert stored(*what)[1] == 0
    assert stored(*what, DREA(boost=0))[1] == 8
    assert stored("pyramid", TinyEncoder(seed=1), splits.val)[1] == 8


SEEN = [
    (0.8, "car", 10, 10, 20, 20),
    (0.5, "car", 11, 11, 21, 21),
    (0.6, "car", -5, 50, 15, 60),
    (0.4, "bridge", 90, 0, 110, 90),
    (0.3, "car", 200, 20, 230, 40),
]


def detector(picture, *, candidate_labels, threshold):
    """Answers as a zero-shot detection pipeline of transformers does."""
    assert (picture.size, candidate_labels, threshold) == (SIZE, list(DOTA), 0.25)
    names = ("xmin", "ymin", "xmax", "ymax")
    boxes = [dict(zip(names, corners)) for _, _, *corners in SEEN]
    return [{"score": s, "label": n, "box": b} for (s, n, *_), b in zip(SEEN, boxes)]


def test_a_detector_gives_boxes_with_confidence(split):
    source = DetectorSource(pipeline=detector, threshold=0.25)
    regions = source(split, 0, {})
    assert regions.names == ("car", "car", "car", "bridge")
    assert regions.boxes[2] == pytest.approx([0, 0.5, 0.075, 0.6])
    assert regions.salience[3] == pytest.approx(0.09**0.5 * 0.4)
    # the second car is the first one, seen twice
    assert sorted(groups_of(regions)) == [[0, 2], [3]]


DRAW = np.random.default_rng(0)
LOCAL = {
    "local_rep": {f"{i}.txt": DRAW.random((20, 20)) for i in range(3)},
    "adj_matrix": {f"{i}.txt": DRAW.random((20, 20)).astype("f4") for i in range(3)},
}


@pytest.fixture
def put(tmp_path):
    """Write a `.npy` file with a pickle, as `np.save` did over the years."""

    def put(value, protocol=3):
        held = np.empty((), dtype=object)
        held[()] = value
        path = tmp_path / "rsicd_local.npy"
        with open(path, "wb") as file:
            header = np.lib.format.header_data_from_array_1_0(held)
            np.lib.format.write_array_header_1_0(file, header)
            data = value if isinstance(value, bytes) else pickle.dumps(held, protocol)
            file.write(data)
        return path

    return put


@pytest.mark.parametrize("protocol", range(5))
def test_the_authors_file_is_read(put, protocol):
    path = put(LOCAL, protocol)
    local = released_local(path, ["2.tif", "0.jpg", "2.jpg"])
    for name, key in (("nodes", "local_rep"), ("adjacency", "adj_matrix")):
        assert local[name].dtype == np.float32
        expected = [LOCAL[key][f"{stem}.txt"].astype("f4") for stem in "202"]
        assert np.array_equal(local[name], expected)
    assert released_local(path, [])["nodes"].shape == (0, 20, 20)


def test_other_orders_and_an_older_numpy_are_read(put):
    table = {"0.txt": np.asfortranarray(LOCAL["local_rep"]["0.txt"].astype(">f8"))}
    path = put({"local_rep": table, "adj_matrix": table}, 2)
    path.write_bytes(path.read_bytes().replace(b"numpy._core", b"numpy.core"))
    found = released_local(path, ["0.jpg"])["nodes"][0]
    assert np.array_equal(found, table["0.txt"].astype("f4"))


class Runs:
    """Unpickling this calls a function."""

    def __init__(self, call, *arguments):
        self.made = call, arguments

    def __reduce__(self):
        return self.made


def refused(path, says="not GaLR's local features", ids=("0.jpg",)):
    with pytest.raises(RsirError, match=says) as caught:
        released_local(path, ids)
    assert str(path) in str(caught.value)


CALLS = [(os.system, "touch {}"), (eval, "open({!r}, 'w')")]
CALLS += [(call, "{}") for call in (os.mkdir, np.load, np.fromfile, np.memmap)]


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("call, argument", CALLS)
def test_nothing_is_run(put, tmp_path, call, argument, protocol):
    trace = tmp_path / "trace"
    payload = Runs(call, argument.format(str(trace)))
    for value in (payload, LOCAL | {"local_rep": {"0.txt": payload}}):
        refused(put(value, protocol))
    assert not trace.exists()


@pytest.mark.parametrize(
    "code",
    [
        b"\x80\x04cnumpy\nndarray\n}X\x01\0\0\0aK\x01sb.",  # a state for a class
        b"\x80\x04cnumpy\ndtype\nN}X\x04\0\0\0codeK\x01s\x86b.",
        b"c_codecs\nencode\n(X\x01\0\0\0aX\x06\0\0\0latin1R.",
        b"\x80\x04X\x01\0\0\0aQ.",  # a persistent id
        b"cbuiltins\ngetattr\n.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
        b"no pickle",
    ],
)
def test_hand_written_pickles_are_refused(put, code):
    refused(put(code))


@pytest.mark.parametrize(
    "value, says",
    [
        ({"local_rep": LOCAL["local_rep"]}, "lacks 'adj_matrix'"),
        (LOCAL | {"adj_matrix": {"0.txt": np.zeros((20, 19))}}, "array .20, 19."),
        (LOCAL | {"adj_matrix": {"0.txt": np.zeros((20, 20), object)}}, "of 'O8'"),
        (LOCAL | {"adj_matrix": {"0.txt": "x"}}, "no attribute"),
        ([1, 2], "list indices"),
    ],
)
def test_faults_of_the_authors_file_are_named(put, value, says):
    refused(put(value), says)


def test_a_missing_picture_or_file_is_named(put, tmp_path):
    path = put(LOCAL)
    refused(path, "lacks '9.txt'.*take the authors' file", ["1.jpg", "9.jpg"])
    path.write_bytes(path.read_bytes()[:500])
    refused(path)
    refused(tmp_path / "none.npy", "No such file")
