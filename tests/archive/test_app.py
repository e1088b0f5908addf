"""The app without a server: the form, the map, and what is refused."""

import os
import re
import sys
import xml.etree.ElementTree as ET
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image
from small_scenes import archive, build, folder, ground, model, placed, scene  # noqa: F401
from tiny import Mean

from rsir.archive import app as room
from rsir.archive.app import draw_map, find, place, scenes
from rsir.archive.scenes import Tile
from rsir.archive.search import Hit, search
from rsir.utils.errors import RsirError

SVG = "{http://www.w3.org/2000/svg}"


def hit(west, south, side=0.1, score=0.5, when=None):
    east, north = west + side, south + side
    ring = ((west, north), (west, south), (east, south), (east, north))
    return Hit(Tile("0" * 16, "/<a>.tif", (0, 32, 64, 64), ring, when), score)


NOWHERE = Hit(Tile("1" * 16, "/b.png", None, None, None), 0.4)


def drawn(text):
    """The root of a drawing."""
    return ET.fromstring(text[: text.index("</svg>") + 6])


def rings(text):
    """Corners of each hit in the drawing, by its number."""
    found = {}
    for group in drawn(text).iter("g"):
        points = group.find("polygon").get("points").split()
        found[int(group.find("text").text)] = [
            tuple(map(float, point.split(","))) for point in points
        ]
    return found


def ask(model, archive, sentence="red", like=None, box="", since=None, until="", k=3):
    return find(model, archive, sentence, like, box, since, until, k)


# -- the form ------------------------------------------------------------------


def test_fields_are_the_filters_of_search(model, archive, scene, tmp_path):
    found = ask(model, archive, " red ", k=42.0)
    assert found.hits == search(model, archive, "red", 42)
    assert found.box is None and found.told == [] and len(found.pictures) == 42
    some = ask(model, archive, box=" 9.0,47.8,9.1,47.9 ", since="2024-05-01", until=" ")
    assert some.box == (9.0, 47.8, 9.1, 47.9) and len(some.hits) == 3
    assert {one.tile.source for one in some.hits} == {str(scene)}
    assert sorted(line.split(" have ")[1] for line in some.told) == [
        "no coordinates and do not count",
        "no date and do not count",
    ]
    path = tmp_path / "like.png"
    Image.fromarray(ground(red=[(64, 96)])[64:96, 96:128]).save(path)
    (best,) = ask(model, archive, "", str(path), k=1).hits
    assert best.tile.window == (96, 64, 32, 32) and best.score > 0.999


@pytest.mark.parametrize(
    "fields, says",
    [
        ({"sentence": " "}, "give a sentence or a picture$"),
        ({"like": "a.png"}, "give a sentence or a picture, not both"),
        ({"box": "1,2,3"}, "^box 1,2,3: give four numbers, W,S,E,N"),
        ({"box": "9,48,10,47"}, "south below north"),
        ({"since": "May"}, "^since May: give a date such as"),
        ({"until": "2024-13-01"}, "^until 2024-13-01: give a date"),
        ({"box": "1,2,3,4"}, "no tile is in this box and time; the archive holds W,"),
        ({"sentence": "", "like": "/none.png"}, "/none.png"),
    ],
)
def test_wrong_fields_are_told(model, archive, fields, says):
    with pytest.raises(RsirError, match=says):
        ask(model, archive, **fields)


def test_what_is_gone_is_named_in_place_of_its_picture(model, archive, scene):
    os.remove(scene)
    found = ask(model, archive, k=42)
    names = [one for one in found.pictures if isinstance(one, str)]
    assert names == [scene.name] * 35 and len(found.told) == 35


def test_words_say_where_and_when():
    when = datetime(2024, 5, 1, 10, tzinfo=UTC)
    assert place(hit(9, 47, when=when)) == "47.0500°N 9.0500°E, 2024-05-01"
    assert place(hit(-9.2, -47.2)) == "47.1500°S 9.1500°W"
    assert place(NOWHERE) == ""
    said = room.about(7, hit(9, 47))
    assert said.startswith("7: score 0.500; 47.0500") and "/<a>.tif; column 0" in said


# -- the map -------------------------------------------------------------------


def test_the_map_has_each_hit_where_it_is():
    hits = [hit(9.4, 60.2), NOWHERE, hit(9.0, 60.0), hit(9.2, 60.1)]
    text = draw_map(hits, [(8.9, 59.9, 9.6, 60.4)], box=(9, 60, 9.3, 60.2), chosen=2)
    found = rings(text)
    assert sorted(found) == [1, 3, 4]  # numbers are ranks: the second has no place
    wide, tall = map(float, drawn(text).get("viewBox").split()[2:])
    corners = np.array([found[1], found[3], found[4]])
    assert (corners > 0).all() and (corners < (wide, tall)).all()
    # corners: upper left, lower left, lower right, upper right
    size = corners[:, 2] - corners[:, 0]
    # at 60 degrees north a degree of longitude is half as long
    assert size[:, 0] == pytest.approx(size[:, 1] / 2, rel=0.01)
    step = corners[2, 0] - corners[1, 0]
    assert step == pytest.approx((2 * size[0, 0], -size[0, 1]), abs=0.3)
    kinds = [one.get("class") for one in drawn(text).iter() if one.get("class")]
    assert kinds.count("scene") == kinds.count("box") == 1
    # what is chosen lies on top, else the best
    assert [k for k in kinds if "hit" in k] == ["hit", "hit", "hit chosen"]
    assert text.endswith("<p>3: score 0.500; 60.0500°N 9.0500°E; /&lt;a&gt;.tif; "
                         "column 0, row 32, 64 x 64 pixels</p>")  # fmt: skip
    assert "Map of 3 of 4 hits" in drawn(text).get("aria-label")


@pytest.mark.parametrize(
    "hits",
    [
        [hit(9, 47)],
        [hit(9, 47, 1e-9)],
        [hit(-180, -85), hit(179.9, 84)],
        [hit(0, 89.9)],
        [hit(9, 47, 0.001), hit(9, 49, 0.001)],
    ],
    ids=["one", "a point", "the world", "a pole", "a column"],
)
def test_every_place_has_a_map(hits):
    text = draw_map(hits)
    wide, tall = map(float, drawn(text).get("viewBox").split()[2:])
    assert wide / 2 - 1 <= tall <= wide / 0.75 + 1
    for corners in rings(text).values():
        assert (np.array(corners) >= 0).all()
        assert (np.array(corners) <= (wide, tall)).all()
    labels = [one.text for one in drawn(text).findall("text")]
    degrees = [one for one in labels if one.endswith("°")]
    assert 2 <= len(degrees) <= 24 and len(set(degrees)) > 1
    assert re.fullmatch(r"[125]0*(\.\d+)? k?m|[\d.e-]+ m", labels[-1])


def test_the_bar_is_as_long_as_it_says():
    text = draw_map([hit(9, 0, 0.01), hit(9.1, 0, 0.01)])
    (bar,) = (x.get("d") for x in drawn(text).iter("path") if x.get("class") == "bar")
    long = float(re.search(r"h([\d.]+)", bar)[1])
    (left, _), *_, (right, _) = rings(text)[1]
    (said,) = (x.text for x in drawn(text).iter("text") if x.get("class") == "bar")
    number, unit = said.split()
    metres = float(number) * {"m": 1, "km": 1000}[unit]
    assert metres == pytest.approx(long / (right - left) * 0.01 * 111_195, rel=0.01)


def test_no_place_no_map():
    assert draw_map([]) == ""
    assert draw_map([NOWHERE]) == "<p>No hit has coordinates.</p>"


def test_the_map_knows_the_scenes(build, scene, folder, tmp_path):
    other = placed(tmp_path / "scenes" / "b.tif", ground(64, 64), west=505_000)
    build(scene, folder)
    build(other)
    found = sorted(scenes(build.out))
    assert len(found) == 2  # pictures have no place
    for west, south, east, north in found:
        assert 8.99 < west < east < 9.1 and 47.8 < south < north < 47.9
    assert found[1][0] - found[0][0] == pytest.approx(5_000 / 74_600, rel=0.01)


# -- the page ------------------------------------------------------------------


def test_a_page_of_another_model_is_refused(archive, tmp_path, called, monkeypatch):
    monkeypatch.setattr("rsir.cli.app.model_of", lambda *_: Mean(seed=1))
    code, _, err = called("app", archive)
    assert code == 2 and "an archive of another model" in err
    code, _, err = called("app", tmp_path)
    assert code == 2 and "no archive here" in err


def test_without_gradio_it_says_what_to_install(archive, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(RsirError, match=r"pip install 'rsir\[app\]'"):
        room.page(model, archive)
