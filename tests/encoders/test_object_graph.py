"""Objects of a picture: regions, nodes, what DREA does, and stored graphs."""

import dataclasses
import itertools
import os
import pickle

import numpy as np
import pytest
from PIL import Image
from tiny import TinyEncoder, cache, cached, folder, splits  # noqa: F401

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


def at(boxes, **options):
    return regions_of_boxes(boxes, SIZE, **options)


def graph(regions, drea=True):
    """X and A."""
    found = graph_of(regions, drea)
    return found["nodes"], found["adjacency"]


LAKE = Box("lake", 0, 0, 100, 80)
SCENE = [car(10, 10), LAKE, car(150, 10), car(150, 50), car(30, 90)]


# -- boxes ------------------------------------------------------------


def test_the_numbers_of_a_node_are_those_of_its_box():
    X, A = graph(at([LAKE, car(150, 60, "blue", 20)]))
    assert X.shape == A.shape == (20, 20)
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
    alike = codes @ codes.T
    assert np.allclose(np.diag(alike), 1)
    assert (alike - np.eye(5)).max() < 0.9
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


def test_redundant_nodes_can_be_dropped():
    X, _ = graph(at(SCENE), DREA(merge=False))
    assert X[1, :2] == pytest.approx([0.075, 0.15])  # the leader's own
    assert X[1, 4:7] == pytest.approx([0, 0, 1 / 8])
    assert (X[2:] == 0).all()


def test_without_drea_every_box_is_a_node():
    X, _ = graph(at(SCENE), drea=False)
    assert (X[:5, 6] == 1 / 8).all() and (X[5:] == 0).all()
    tops = X[1:5, 1].tolist()  # as salient as each other: from the top
    assert tops == sorted(tops)


def test_what_was_seen_twice_counts_once():
    twice = [car(10, 10), car(12, 11), car(150, 10)]
    assert groups_of(at(twice)) == [[0, 2]]
    other = [car(10, 10), car(12, 11, "blue"), car(150, 10)]
    assert len(groups_of(at(other))) == 2  # another colour: a thing apart
    assert overlaps(at(twice).boxes)[0, 1] == pytest.approx(8 * 9 / (200 - 8 * 9))


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


def test_the_threshold_decides_what_is_redundant():
    pair = at([car(10, 10), car(150, 10, "blue")])
    cosine = pair.look[0] @ pair.look[1] / 2  # of two codes each
    assert cosine < 0.9
    for drea, nodes in ((True, 2), (cosine - 0.01, 1), (cosine + 0.01, 2)):
        settings = drea if drea is True else DREA(threshold=drea)
        assert len(groups_of(pair, settings)) == nodes


def test_twenty_nodes_are_kept_the_most_salient():
    row = [Box(f"thing {i}", 8 * i, 0, 8 * i + 4, i + 1) for i in range(25)]
    X, A = graph(at(row))
    assert X[:, 3] == pytest.approx(np.arange(25, 5, -1) / 100)
    assert (A > 0).all()


def test_order_of_boxes_does_not_matter():
    first = graph(at(SCENE))
    for boxes in itertools.permutations(SCENE):
        for a, b in zip(first, graph(at(boxes)), strict=True):
            assert np.allclose(a, b, atol=1e-6)


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


# -- adjacency --------------------------------------------------------


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


def test_enhancing_makes_the_salient_heard():
    regions = at([LAKE, car(150, 10), Box("tree", 110, 60, 120, 70)])
    _, plain = graph(regions, DREA(boost=0))
    _, louder = graph(regions, DREA(boost=2))
    for A in (plain, louder):
        assert A[:3].sum(1) == pytest.approx(1)
    assert (louder[:3, 0] > plain[:3, 0]).all()  # the lake
    assert (louder[1:3, 1] < plain[1:3, 1]).all()


# -- pyramid ----------------------------------------------------------


def pyramid():
    """Grass, with one lake and two equal roofs; 4 and 2 cells a side."""
    f3 = np.zeros((3, 4, 4), np.float16)
    f3[0] = 2
    f3[:, 0, 0] = f3[:, 3, 3] = (1, 4, 0)
    f3[:, 0, 3] = (1, 0, 6)
    f4 = np.ones((2, 2, 2), np.float16)
    f4[1, 1, 0] = 3
    return f3, f4


def test_salient_cells_of_the_pyramid_lead():
    regions = regions_of_pyramid(*pyramid())
    assert len(regions) == 16 + 4
    assert np.square(regions.salience).sum() == pytest.approx(1)
    assert np.square(regions.salience[:16]).sum() == pytest.approx(0.5)
    assert regions.boxes[3] == pytest.approx([0.75, 0, 1, 0.25])
    assert regions.boxes[18] == pytest.approx([0, 0.5, 0.5, 1])
    groups = groups_of(regions)
    assert groups[0] == [18] and groups[1] == [3]
    assert [0, 15] in groups  # the two roofs
    grass = next(g for g in groups if 5 in g)
    assert len(grass) == 13  # one node, not 13
    assert len(groups) == 5  # and the rest of f4
    assert len(groups_of(regions, False)) == 20


def test_nodes_of_cells_keep_geometry_and_content():
    f3, f4 = pyramid()
    regions = regions_of_pyramid(f3, f4)
    nodes, groups = nodes_of(regions, groups_of(regions))
    roofs = nodes[groups.index([0, 15])]
    assert roofs[:6] == pytest.approx([0.5, 0.5, 0.25, 0.25, 0.375, 0.375])
    assert roofs[6] == pytest.approx(np.log2(3) / 8)
    # equal channels have equal content, whatever their brightness
    assert np.allclose(roofs[8:], regions.content[0])
    brighter = regions_of_pyramid(2 * f3, 2 * f4)
    assert np.allclose(brighter.content, regions.content, atol=1e-6)
    assert np.allclose(brighter.salience, regions.salience)
    assert np.abs(regions.content[0] - regions.content[3]).max() > 0.1


def test_the_random_matrix_is_fixed_by_its_seed():
    one, two = regions_of_pyramid(*pyramid()), regions_of_pyramid(*pyramid(), seed=1)
    assert np.abs(one.content - two.content).max() > 0.1
    assert np.array_equal(one.look, two.look)
    matrix = np.random.RandomState([0, 0]).standard_normal((3, 12))
    expected = np.array([1, 0, 0]) @ matrix / 12**0.5
    assert one.content[1] == pytest.approx(expected, rel=1e-5)


def test_an_even_picture_has_nodes_but_no_salience():
    X, A = graph(regions_of_pyramid(np.ones((3, 4, 4)), np.ones((2, 2, 2))))
    assert np.isfinite(X).all() and np.isfinite(A).all()
    assert (X[:, 7] == 0).all() and A.sum(1) == pytest.approx(1)


def test_a_look_is_the_mean_over_the_merged():
    draw = np.random.default_rng(0)
    f3 = draw.standard_normal((4, 4, 4)).astype("f4")
    f4 = draw.standard_normal((5, 2, 2)).astype("f4")
    f4[:, 0, 0] = f4[:, 1, 1] = 9  # one thing in two places
    regions = regions_of_pyramid(f3, f4)
    looks = graph_of(regions, DREA(threshold=0.999))["looks"]
    both = regions.look[[16, 19]].mean(axis=0)
    assert np.abs(looks.astype("f4") - both).max(axis=1).min() < 1e-2
    assert not graph_of(regions)["looks"][-1].any()


# -- sources and stored graphs ----------------------------------------


def stored(source, encoder, split, drea=True, seen=None):
    """Graphs by the store; `seen` collects the regions that were made anew."""

    def of(regions):
        if seen is not None:
            seen.append(regions)
        return graph_of(regions, drea)

    settings = {"drea": repr(drea)}
    return cached_graphs(source, encoder, split, of, settings, progress=False)


@pytest.fixture
def split(tmp_path, cached):
    paths = []
    for i in range(3):
        paths.append(tmp_path / f"{i}.png")
        noise = np.random.default_rng(i).integers(0, 256, (100, 200, 3))
        Image.fromarray(noise.astype("uint8")).save(paths[-1])
    return Split(
        "mine",
        "val",
        tuple(paths),
        ("a", "b", "c"),
        np.arange(3),
        ("0.png", "1.png", "2.png"),
        objects=(tuple(SCENE), (), (LAKE,)),
    )


def test_boxes_of_a_split(split):
    source = region_source("boxes")
    local = stored(source, None, split)
    X, A = graph(at(SCENE))
    assert np.array_equal(local["nodes"][0], X)
    assert np.array_equal(local["adjacency"][0], A)
    assert not local["nodes"][1].any()
    assert local["nodes"].dtype == np.float32
    moved = dataclasses.replace(split, objects=((LAKE,), (), (LAKE,)))
    other = stored(source, None, moved)
    assert not np.array_equal(other["nodes"][0], X)  # another key
    bare = dataclasses.replace(split, objects=None)
    with pytest.raises(RsirError, match="mine: this data set has no boxes"):
        stored(source, None, bare)


def test_graphs_are_made_once_for_all_that_decides_them(splits, cached):
    source, encoder = region_source("pyramid"), TinyEncoder()
    made = []
    first = stored(source, encoder, splits.val, seen=made)
    assert len(made) == 8
    assert {k: v.shape for k, v in first.items()} == {
        "nodes": (8, 20, 20),
        "adjacency": (8, 20, 20),
        "looks": (8, 20, 4 + 5),
    }
    again = stored(source, encoder, splits.val, seen=made)
    assert len(made) == 8
    assert all(np.array_equal(again[k], v) for k, v in first.items())
    for other in (
        (source, TinyEncoder(seed=1)),
        (source, TinyEncoder(64)),
        (source, encoder, splits.val, DREA(boost=0)),
        (region_source("pyramid", seed=1), encoder),
    ):
        made.clear()
        stored(*other[:2], splits.val, *other[3:], seen=made)
        assert len(made) == 8


def test_a_damaged_graph_is_named(splits, cached):
    source, encoder = region_source("pyramid"), TinyEncoder(seed=3)
    path = stored(source, encoder, splits.val)["looks"].filename
    with open(path, "wb") as file:
        file.write(b"no array")
    with pytest.raises(RsirError, match="damaged.*rsir cache clear"):
        stored(source, encoder, splits.val)


class Stub:
    """Answers as a zero-shot detection pipeline of transformers does."""

    def __init__(self):
        self.calls = []

    def __call__(self, picture, *, candidate_labels, threshold):
        self.calls.append((picture.size, candidate_labels, threshold))
        names = ("xmin", "ymin", "xmax", "ymax")
        return [
            {"score": score, "label": label, "box": dict(zip(names, corners))}
            for score, label, *corners in [
                (0.8, "car", 10, 10, 20, 20),
                (0.5, "car", 11, 11, 21, 21),
                (0.6, "car", -5, 50, 15, 60),
                (0.4, "bridge", 90, 0, 110, 90),
                (0.3, "car", 200, 20, 230, 40),
            ]
        ]


def test_a_detector_gives_boxes_with_confidence(split):
    stub = Stub()
    source = DetectorSource(pipeline=stub, threshold=0.25)
    regions = source(split, 0, {})
    assert stub.calls == [((200, 100), list(DOTA), 0.25)]
    assert regions.names == ("car", "car", "car", "bridge")
    assert regions.boxes[2] == pytest.approx([0, 0.5, 0.075, 0.6])
    assert regions.salience[3] == pytest.approx(0.09**0.5 * 0.4)
    # the second car is the first one, seen twice
    assert sorted(groups_of(regions)) == [[0, 2], [3]]
    X, _ = graph(regions)
    assert np.count_nonzero(X[:, 6]) == 2


def test_the_detector_is_loaded_once_and_late(split, monkeypatch):
    import transformers.pipelines as library

    made = []

    def pipeline(task, *, model, device):
        made.append((task, model, device))
        return Stub()

    monkeypatch.setattr(library, "pipeline", pipeline)
    source = region_source("detector", model="me/mine", device="cpu")
    assert made == []
    stored(source, None, split)
    assert made == [("zero-shot-object-detection", "me/mine", "cpu")]

    def offline(*_, **__):
        raise OSError("no such model\nmore")

    monkeypatch.setattr(library, "pipeline", offline)
    with pytest.raises(RsirError, match="'me/x': could not be loaded"):
        region_source("detector", model="me/x")(split, 0, {})


def test_what_decides_a_source_is_in_its_identity():
    made = [
        region_source("boxes"),
        region_source("pyramid"),
        region_source("pyramid", seed=1),
        region_source("detector"),
        region_source("detector", labels=("car",)),
    ]
    assert len({str(source.identity()) for source in made}) == len(made)


# -- the authors' own graphs ------------------------------------------

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


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    "call, argument",
    [
        (os.system, "touch {}"),
        (eval, "open({!r}, 'w')"),
        (os.mkdir, "{}"),
        (np.load, "{}"),
        (np.fromfile, "{}"),
        (np.memmap, "{}"),
    ],
)
def test_nothing_is_run(put, tmp_path, call, argument, protocol):
    trace = tmp_path / "trace"
    payload = Runs(call, argument.format(str(trace)))
    for value in (payload, LOCAL | {"local_rep": {"0.txt": payload}}):
        refused(put(value, protocol))
    assert not trace.exists()


def test_the_payloads_would_run_in_pickle(tmp_path):
    trace = tmp_path / "trace"
    pickle.loads(pickle.dumps({"x": Runs(os.mkdir, str(trace))}))
    assert trace.exists()


@pytest.mark.parametrize(
    "code",
    [
        b"\x80\x04cnumpy\nndarray\n}X\x01\0\0\0aK\x01sb.",  # a state for a class
        b"\x80\x04cnumpy\ndtype\nN}X\x04\0\0\0codeK\x01s\x86b.",
        b"c_codecs\nencode\n(X\x01\0\0\0aX\x06\0\0\0latin1R.",
        b"\x80\x04X\x01\0\0\0aQ.",  # a persistent id
        b"cnumpy\ncore.multiarray._reconstruct\n.",
        b"cnumpy.core.multiarray\nscalar\n.",
        b"cbuiltins\ngetattr\n.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
        b"no pickle",
    ],
)
def test_hand_written_pickles_are_refused(put, code):
    refused(put(code))


def with_adjacency(value):
    return LOCAL | {"adj_matrix": LOCAL["adj_matrix"] | {"1.txt": value}}


@pytest.mark.parametrize(
    "value, says",
    [
        ({"local_rep": LOCAL["local_rep"]}, "lacks 'adj_matrix'"),
        (with_adjacency(np.zeros((20, 19))), "an array \\(20, 19\\)"),
        (with_adjacency(np.zeros((20, 20), "U1")), "of 'U1'"),
        (with_adjacency(np.zeros((20, 20), object)), "of 'O8'"),
        (with_adjacency("x"), "no attribute"),
        ([1, 2], "list indices"),
    ],
)
def test_faults_of_the_authors_file_are_named(put, value, says):
    refused(put(value), says, ["1.jpg"])


def test_a_missing_picture_or_file_is_named(put, tmp_path):
    path = put(LOCAL)
    refused(path, "lacks '9.txt'.*take the authors' file", ["1.jpg", "9.jpg"])
    path.write_bytes(path.read_bytes()[:500])
    refused(path)
    np.save(path, np.zeros(3))
    refused(path)
    refused(tmp_path / "none.npy", "No such file")
