"""Local features: 20 nodes, their numbers, and what DREA does to them."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TinyEncoder

from rsir.data import Box, Split
from rsir.encoders.object_graph import (
    DOTA,
    DREA,
    DetectorSource,
    adjacency_of,
    code_of,
    groups_of,
    local_features,
    local_identity,
    local_of_split,
    nodes_of,
    overlaps,
    region_source,
    regions_of_boxes,
    regions_of_pyramid,
)
from rsir.utils.errors import RsirError

SIZE = (200, 100)


def car(x, y, colour="red", side=10):
    return Box("car", x, y, x + side, y + side, {"colour": colour})


def at(boxes, **options):
    return regions_of_boxes(boxes, SIZE, **options)


LAKE = Box("lake", 0, 0, 100, 80)
SCENE = [car(10, 10), LAKE, car(150, 10), car(150, 50), car(30, 90)]


# -- boxes ------------------------------------------------------------


def test_the_numbers_of_a_node_are_those_of_its_box():
    X, A = local_features(at([LAKE, car(150, 60, "blue", 20)]))
    assert X.shape == A.shape == (20, 20)
    assert X.dtype == A.dtype == np.float32
    assert X[0, :8].tolist() == pytest.approx(
        [0.25, 0.4, 0.5, 0.8, 0, 0, 1 / 8, 0.4**0.5]
    )
    assert X[1, :8].tolist() == pytest.approx(
        [0.8, 0.7, 0.1, 0.2, 0, 0, 1 / 8, 0.02**0.5]
    )
    assert np.allclose(X[0, 8:16], code_of("lake", 8))
    assert (X[0, 16:] == 0).all()  # it has no attribute
    assert np.allclose(X[1, 8:16], code_of("car", 8))
    assert np.allclose(X[1, 16:], code_of("colour=blue", 4))
    assert (X[2:] == 0).all()
    assert (A[2:] == 0).all() and (A[:, 2:] == 0).all()


def test_codes_tell_words_apart_and_never_change():
    words = ["car", "lake", "plane", "tree", "boat", "house"]
    codes = np.stack([code_of(w, 8) for w in words])
    alike = codes @ codes.T
    assert np.allclose(np.diag(alike), 1)
    assert (alike - np.eye(6)).max() < 0.9
    assert code_of("car", 4) == pytest.approx(
        [-0.8046, 0.3371, 0.4651, 0.1505], abs=1e-4
    )


def test_redundant_nodes_become_one_with_a_count():
    regions = at(SCENE)
    assert groups_of(regions) == [[1], [0, 2, 3, 4]]
    X, _ = local_features(regions)
    cars = np.array([(15, 15), (155, 15), (155, 55), (35, 95)]) / SIZE
    assert X[1, :2] == pytest.approx(cars.mean(0))
    assert X[1, 2:4] == pytest.approx([0.05, 0.1])
    assert X[1, 4:6] == pytest.approx(cars.std(0), abs=1e-6)
    assert X[1, 6] == pytest.approx(np.log2(5) / 8)
    assert X[1, 7] == pytest.approx((4 * 0.005) ** 0.5)  # area of all
    assert (X[2:] == 0).all()


def test_redundant_nodes_can_be_dropped():
    X, _ = local_features(at(SCENE), DREA(merge=False))
    assert X[1, :2] == pytest.approx([0.075, 0.15])  # the leader's own
    assert X[1, 4:7] == pytest.approx([0, 0, 1 / 8])
    assert (X[2:] == 0).all()


def test_without_drea_every_box_is_a_node():
    X, _ = local_features(at(SCENE), drea=False)
    assert (X[:5, 6] == 1 / 8).all() and (X[5:] == 0).all()
    tops = X[1:5, 1].tolist()  # as salient as each other: from the top
    assert tops == sorted(tops)


def test_what_was_seen_twice_counts_once():
    twice = [car(10, 10), car(12, 11), car(150, 10)]
    assert groups_of(at(twice)) == [[0, 2]]
    other = [car(10, 10), car(12, 11, "blue"), car(150, 10)]
    assert len(groups_of(at(other))) == 2  # another colour: a thing apart
    assert overlaps(at(twice).boxes)[0, 1] == pytest.approx(8 * 9 / (200 - 8 * 9))


def test_the_threshold_decides_what_is_redundant():
    pair = at([car(10, 10), car(150, 10, "blue")])
    cosine = pair.look[0] @ pair.look[1] / 2  # of two codes each
    assert cosine < 0.9
    assert len(groups_of(pair)) == 2
    assert len(groups_of(pair, DREA(threshold=cosine - 0.01))) == 1
    assert len(groups_of(pair, DREA(threshold=cosine + 0.01))) == 2


def test_twenty_nodes_are_kept_the_most_salient():
    row = [Box(f"thing {i}", 8 * i, 0, 8 * i + 4, i + 1) for i in range(25)]
    X, A = local_features(at(row))
    assert X[:, 3] == pytest.approx(np.arange(25, 5, -1) / 100)
    assert (A > 0).all()


def test_order_of_boxes_does_not_matter():
    first = local_features(at(SCENE))
    for boxes in itertools.permutations(SCENE):
        again = local_features(at(boxes))
        for a, b in zip(first, again, strict=True):
            assert np.allclose(a, b, atol=1e-6)


def test_a_picture_without_objects_is_all_zeros():
    for drea in (True, False):
        X, A = local_features(at([]), drea)
        assert X.shape == A.shape == (20, 20)
        assert not X.any() and not A.any()


def test_faults_are_named():
    with pytest.raises(RsirError, match="box 1 .'lake'. has no area"):
        at([car(1, 1), Box("lake", 5, 5, 5, 9)])
    with pytest.raises(RsirError, match="threshold is 1.5"):
        DREA(threshold=1.5)
    with pytest.raises(RsirError, match="boost is -1"):
        DREA(boost=-1)
    with pytest.raises(RsirError, match="regions 'yolo': unknown"):
        region_source("yolo")


# -- adjacency --------------------------------------------------------


def test_adjacency_is_its_formula():
    nodes, _ = nodes_of(at(SCENE), groups_of(at(SCENE), False))
    for boost in (0, 2):
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
    _, plain = local_features(regions, DREA(boost=0))
    _, louder = local_features(regions, DREA(boost=2))
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
    one = regions_of_pyramid(*pyramid())
    two = regions_of_pyramid(*pyramid(), seed=1)
    assert np.array_equal(one.content, regions_of_pyramid(*pyramid()).content)
    assert np.abs(one.content - two.content).max() > 0.1
    assert np.array_equal(one.look, two.look)
    x = np.array([2, 0, 0]) / 2
    matrix = np.random.RandomState([0, 0]).standard_normal((3, 12))
    assert one.content[1] == pytest.approx(x @ matrix / 12**0.5, rel=1e-5)


def test_an_even_picture_has_nodes_but_no_salience():
    X, A = local_features(regions_of_pyramid(np.ones((3, 4, 4)), np.ones((2, 2, 2))))
    assert np.isfinite(X).all() and np.isfinite(A).all()
    assert (X[:, 7] == 0).all() and A.sum(1) == pytest.approx(1)


# -- sources ----------------------------------------------------------


@pytest.fixture
def split(tmp_path):
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


def test_boxes_of_a_split(split, capsys):
    source = region_source("boxes")
    local = local_of_split(source, split)
    assert "objects of mine val: done" in capsys.readouterr().out
    X, A = local_features(at(SCENE))
    assert np.array_equal(local["nodes"][0], X)
    assert np.array_equal(local["adjacency"][0], A)
    assert not local["nodes"][1].any()
    assert local["nodes"].dtype == np.float32
    plain = local_of_split(source, split, drea=False, progress=False)
    assert np.count_nonzero(plain["nodes"][0, :, 6]) == 5
    bare = Split("mine", "val", split.images, split.captions, split.owner, split.ids)
    with pytest.raises(RsirError, match="mine: this data set has no bo"):
        local_of_split(source, bare, progress=False)


def test_pyramids_of_a_split(split):
    encoder = TinyEncoder(64)
    pictures = torch.from_numpy(
        np.stack([encoder.pixels(Image.open(p)) for p in split.images])
    )
    with torch.no_grad():
        maps = encoder(encoder.normalise(pictures)).maps
    maps = {"f3": maps[2].half().numpy(), "f4": maps[3].half().numpy()}
    source = region_source("pyramid")
    local = local_of_split(source, split, maps, progress=False)
    X, A = local_features(regions_of_pyramid(maps["f3"][1], maps["f4"][1]))
    assert np.array_equal(local["nodes"][1], X)
    assert np.array_equal(local["adjacency"][1], A)
    assert np.isfinite(local["nodes"].astype("f2")).all()
    with pytest.raises(RsirError, match="need the image features f3"):
        local_of_split(source, split, progress=False)


def test_what_decides_the_numbers_is_in_the_key():
    keys = [
        local_identity(region_source("boxes")),
        local_identity(region_source("boxes"), False),
        local_identity(region_source("boxes"), DREA(boost=0)),
        local_identity(region_source("pyramid")),
        local_identity(region_source("pyramid", seed=1)),
        local_identity(region_source("detector")),
        local_identity(region_source("detector", labels=("car",))),
    ]
    assert len({str(k) for k in keys}) == len(keys)
    assert keys[0] == local_identity(region_source("boxes"), DREA())


class Stub:
    """Answers as a zero-shot detection pipeline of transformers does."""

    def __init__(self):
        self.calls = []

    def __call__(self, picture, *, candidate_labels, threshold):
        self.calls.append((picture.size, candidate_labels, threshold))
        return [
            self.found(*x)
            for x in [
                (0.8, "car", 10, 10, 20, 20),
                (0.5, "car", 11, 11, 21, 21),
                (0.6, "car", -5, 50, 15, 60),
                (0.4, "bridge", 90, 0, 110, 90),
                (0.3, "car", 200, 20, 230, 40),
            ]
        ]

    @staticmethod
    def found(score, label, *corners):
        names = ("xmin", "ymin", "xmax", "ymax")
        return {
            "score": score,
            "label": label,
            "box": dict(zip(names, corners, strict=True)),
        }


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
    X, _ = local_features(regions)
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
    local_of_split(source, split, progress=False)
    assert made == [("zero-shot-object-detection", "me/mine", "cpu")]

    def offline(*_, **__):
        raise OSError("no such model\nmore")

    monkeypatch.setattr(library, "pipeline", offline)
    with pytest.raises(RsirError, match="'me/x': could not be loaded"):
        region_source("detector", model="me/x")(split, 0, {})
