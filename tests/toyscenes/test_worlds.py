"""Worlds: each caption is true, and says what the world is about."""

import re

import numpy as np
import pytest

from rsir.data import load_dataset
from rsir.data.toy import ERRORS, WORLDS, load_toy, load_world, with_errors
from toyscenes.generate import draw_picture
from toyscenes.worlds import FORMS, GROUNDS, NUMBERS

THING = rf"(?:an?|{'|'.join(NUMBERS[2:])}) (?:\w+) (?:{'|'.join(FORMS)}|lorrie)s?"


@pytest.fixture(scope="module")
def told():
    """16 pictures of a world, as they are recorded."""
    kept = {}

    def look(world):
        if world not in kept:
            kept[world] = [draw_picture(world, 3, 0, i, 0, 0)[1] for i in range(16)]
        return kept[world]

    return look


def parsed(text):
    """(count, colour, form) of "three red tanks"."""
    count, colour, form = text.split()
    number = 1 if count in ("a", "an") else NUMBERS.index(count)
    return number, colour, form.replace("lorries", "lorry").removesuffix("s")


@pytest.mark.parametrize("world", [w.removeprefix("world-") for w in WORLDS])
def test_captions_name_the_objects_that_are_there(told, world):
    for record in told(world):
        assert len(set(record["captions"])) == 5
        boxes = [(o["attributes"]["colour"], o["label"]) for o in record["objects"]]
        for caption in record["captions"]:
            assert any(ground in caption for ground in GROUNDS.values())
            things = [parsed(t) for t in re.findall(THING, caption)]
            assert things and caption.endswith(" .")
            for number, *thing in things:
                assert boxes.count(tuple(thing)) == number, (caption, boxes)


def middle(record, colour, form):
    boxes = {
        (o["attributes"]["colour"], o["label"]): o["box"] for o in record["objects"]
    }
    x0, y0, x1, y1 = boxes[colour, form]
    return (x0 + x1) / 2, (y0 + y1) / 2


def test_every_caption_names_all_things(told):
    for world, many in (("things", 3), ("things-control", 1)):
        for record in told(world):
            boxes = [item["box"] for item in record["objects"]]
            assert len(boxes) == many
            assert min(max(x1 - x0, y1 - y0) for x0, y0, x1, y1 in boxes) > 28
            for caption in record["captions"]:
                assert len(set(re.findall(THING, caption))) == many


def test_tiny_things_are_tiny_and_where_they_are_said_to_be(told):
    for record in told("scales"):
        for item in record["objects"]:
            x0, y0, x1, y1 = item["box"]
            assert max(x1 - x0, y1 - y0) < 20
        for thing, where in re.findall(
            rf"({THING}) (?:in|at|on) the (\w+(?: \w+)?) (?:and|on|stand|is|\.)",
            record["captions"][0],
        ):
            x, y = middle(record, *parsed(thing)[1:])
            assert ("left" in where) == (x < 96) and ("right" in where) == (x > 160)
            assert ("upper" in where or "top" in where) == (y < 96)
    large = [o["box"] for r in told("scales-control") for o in r["objects"]]
    assert min(max(x1 - x0, y1 - y0) for x0, y0, x1, y1 in large) > 30


def test_a_world_is_a_data_set_whose_test_pictures_have_a_seed_of_their_own(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("RSIR_CACHE", str(tmp_path))
    splits = load_dataset("world-counts", sizes=(3, 2, 2))
    assert [s.n_images for s in splits] == [3, 2, 2]
    assert {s.dataset for s in splits} == {"world-counts"}
    other = load_toy(world="counts", sizes=(3, 2, 2), duplicates=0.0)
    assert other.train.captions == splits.train.captions
    assert other.test.captions != splits.test.captions
    assert splits.test.objects and splits.test.owner.tolist() == [0] * 5 + [1] * 5


def test_duplicates_say_the_ground_alone():
    general = [draw_picture("scales", 0, 0, i, 0, 1)[1]["captions"] for i in range(9)]
    assert not any(form in c for row in general for c in row for form in FORMS)
    again = draw_picture("scales", 0, 0, 4, 0, 1)
    assert again[1]["captions"] == general[4]
    assert np.array_equal(again[0], draw_picture("scales", 0, 0, 4, 0, 0)[0])


def test_a_sentence_with_an_error_is_false_in_that_alone(tmp_path):
    drawn = load_world("world-things", tmp_path, sizes=(1, 1, 30)).test
    asked = with_errors(drawn)
    assert 15 <= asked.n_images < 30 and asked.n_captions == 4 * asked.n_images
    for i, boxes in enumerate(asked.objects):
        there = {(box.attributes["colour"], box.label) for box in boxes}
        true, *others = (
            {tuple(parsed(t)[1:]) for t in re.findall(THING, said)}
            for said in asked.captions_of(i)
        )
        assert true == there and all(len(other) == 3 for other in others)
        wrong = dict(zip(ERRORS, ((true - other, other - true) for other in others)))
        for error, same in (("colour", 1), ("form", 0)):
            ((lost,), (new,)) = wrong[error]
            assert lost[same] == new[same] and lost != new
        lost, new = wrong["exchange"]
        assert [sorted(column) for column in zip(*lost)] == [
            sorted(column) for column in zip(*new)
        ]
        assert len(lost) == 2 and not lost & new
    again = with_errors(drawn)
    assert again.captions == asked.captions
    assert with_errors(drawn, seed=1).captions != asked.captions
