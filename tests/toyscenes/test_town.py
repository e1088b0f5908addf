"""The town: its blocks are scenes, and things are where it says."""

import numpy as np
import pytest

from toyscenes.drawing.geometry import SIZE
from toyscenes.generate import draw_picture
from toyscenes.scenes import KINDS
from toyscenes.town import PITCH, STREET, draw_town, edge, plan


@pytest.fixture(scope="module")
def town():
    return draw_town(
        seed=3, blocks=2, kinds=[["airport", "lake"], ["church", "forest"]]
    )


def test_blocks_are_scenes_in_their_place(town):
    pixels, found = town
    assert pixels.shape == (edge(2), edge(2), 3) and pixels.dtype == np.uint8
    blocks = [one for one in found if one["attributes"].get("block")]
    assert [one["label"] for one in blocks] == ["airport", "lake", "church", "forest"]
    for index, one in enumerate(blocks):
        x0, y0, x1, y1 = one["box"]
        assert (x0, y0) == (index % 2 * PITCH + STREET, index // 2 * PITCH + STREET)
        want, record = draw_picture(one["label"], 3, 3, index, 0.25, 0)
        assert np.array_equal(pixels[y0:y1, x0:x1], want) and x1 - x0 == SIZE
        inside = [
            o for o in found if o is not one and x0 <= o["box"][0] <= o["box"][2] <= x1
            and y0 <= o["box"][1] <= o["box"][3] <= y1
        ]  # fmt: skip
        assert [o["label"] for o in inside] == [o["label"] for o in record["objects"]]


def test_a_seed_is_a_town(town):
    again = draw_town(
        seed=3, blocks=2, kinds=[["airport", "lake"], ["church", "forest"]]
    )
    assert np.array_equal(again[0], town[0]) and again[1] == town[1]
    assert not np.array_equal(
        draw_town(4, 1, [["lake"]])[0], draw_town(5, 1, [["lake"]])[0]
    )


def test_the_middle_is_town_and_the_rim_is_land():
    kinds = plan(0, 14)
    assert plan(0, 14) == kinds and {k for row in kinds for k in row} <= set(KINDS)
    assert 3_900 < edge(14) < 4_000
    inner = [kinds[y][x] for y in (6, 7) for x in (6, 7)]
    corners = [kinds[y][x] for y in (0, 13) for x in (0, 13)]
    town = {"farmland", "forest", "meadow", "circular fields", "lake", "solar farm"}
    assert not town & set(inner) and set(corners) <= town | {"golf course"}
    assert sum(kind == "parking lot" for row in kinds for kind in row) >= 5
