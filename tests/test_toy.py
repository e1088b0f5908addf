"""The toy scenes: repeatable, true to their boxes, safely cached."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from rsir.utils.errors import RsirError
from toyscenes import kinds, load_toy
from toyscenes.captions import describe
from toyscenes.draw import draw, kind_of, stream
from toyscenes.kind_words import KIND_WORDS
from toyscenes.make import ANNOTATION
from toyscenes.paint import PAINTS
from toyscenes.scenes import SCENES
from toyscenes.stage import Stage
from toyscenes.words import NOUNS, NUMBERS, PLACES
from toyscenes.words import SIZES as SIZES_SAID

SIZES = (34, 4, 4)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("toy")


@pytest.fixture(scope="module")
def splits(home):
    return load_toy(home, sizes=SIZES, duplicates=0.3, workers=1)


@pytest.fixture(scope="module")
def stages():
    """Every kind drawn twice, for the captions alone."""
    out = []
    for k, kind in enumerate(SCENES):
        for i in (0, 1):
            stage = Stage(kind, 0.1, stream(3, i, k, 0), stream(3, i, k, 1))
            SCENES[kind](stage)
            out.append(stage)
    return out


@pytest.fixture(scope="module")
def told(stages):
    """Each stage with thirty specific captions of it."""
    return [
        (s, [t for j in range(6) for t in describe(s, stream(4, j, n, 2), 0.0)])
        for n, s in enumerate(stages)
    ]


def pixels(split):
    return [np.asarray(Image.open(p)) for p in split.images]


# drawing ------------------------------------------------------------
def test_a_split_holds_every_kind_and_five_captions(splits):
    assert len(kinds()) >= 20
    assert set(splits.train.labels) == set(kinds()) == set(KIND_WORDS)
    for split, n in zip(splits, SIZES):
        assert split.n_images == n
        assert (split.counts() == 5).all()
        assert all(4 <= len(w) <= 6 for w in split.keywords)
    image = Image.open(splits.train.images[0])
    assert image.size == (256, 256) and image.mode == "RGB"


def test_same_seed_same_bytes_with_any_number_of_processes(home, splits):
    again = load_toy(home / "pool", sizes=SIZES, duplicates=0.3, workers=2)
    for a, b in zip(splits, again):
        assert a.captions == b.captions and a.ids == b.ids
        assert a.objects == b.objects
        for p, q in zip(a.images, b.images):
            assert p.read_bytes() == q.read_bytes()


def test_a_picture_depends_on_its_own_numbers_only(home, splits):
    small = load_toy(home / "small", sizes=(3, 1, 2), duplicates=0.3)
    for few, many in zip(small, splits):
        n = few.n_images
        assert few.ids == many.ids[:n]
        assert few.captions == many.captions[: 5 * n]
        assert [p.read_bytes() for p in few.images] == [
            p.read_bytes() for p in many.images[:n]
        ]


def test_another_seed_draws_other_pictures():
    a = draw("harbor", 0, 0, 5, 0.2, 0.2)[0]
    b = draw("harbor", 1, 0, 5, 0.2, 0.2)[0]
    assert (a != b).mean() > 0.5


def test_splits_share_no_picture(splits):
    seen = [p.read_bytes() for s in splits for p in s.images]
    assert len(set(seen)) == len(seen) == sum(SIZES)


def test_kinds_are_balanced_in_every_lap():
    n = len(kinds())
    lap = [kind_of(7, 0, i) for i in range(n, 2 * n)]
    assert sorted(lap) == sorted(kinds())
    assert lap != [kind_of(7, 0, i) for i in range(n)]


def test_boxes_lie_inside_the_picture_and_hold_something(splits):
    boxes = [b for s in splits for row in s.objects for b in row]
    assert len(boxes) > 300
    for b in boxes:
        assert 0 <= b.x0 < b.x1 <= 256 and 0 <= b.y0 < b.y1 <= 256
        assert b.label in NOUNS


def test_a_white_plane_is_brighter_than_the_ground_around_it():
    for i in range(12):
        image, record = draw("airport", 2, 0, i, 0.0, 0.0)
        boxes = [o for o in record["objects"] if o["label"] == "plane"]
        if boxes and boxes[0]["attributes"]["colour"] == "white":
            break
    x0, y0, x1, y1 = map(int, boxes[0]["box"])
    inside = image[y0:y1, x0:x1].mean(2)
    assert np.percentile(inside, 98) > image.mean() + 40


def test_size_scales_pictures_and_boxes(home, splits):
    half = load_toy(home / "half", sizes=(2, 1, 1), duplicates=0.3, size=128)
    assert Image.open(half.train.images[0]).size == (128, 128)
    for small, full in zip(half.train.objects, splits.train.objects):
        assert [b.label for b in small] == [b.label for b in full]
        assert all(abs(2 * b.x1 - c.x1) <= 0.2 for b, c in zip(small, full))


# captions -----------------------------------------------------------
def nouns_of(label):
    return [f for pair in NOUNS[label].forms for f in pair if f]


def test_captions_are_clean_sentences(told):
    vowel = re.compile(r"\ba [aeio]|\ban [^aeiou]")
    for stage, captions in told:
        general = [t + " ." for t in KIND_WORDS[stage.kind].general]
        for text in captions + general:
            assert text == text.lower() and text.endswith(" .")
            assert "  " not in text and text == text.strip()
            words = [w for w in text.split() if w not in ".,"]
            assert 3 <= len(words) <= 20, text
            assert not vowel.search(text), text
            assert not re.search(r"\b(\w+) \1\b", text), text
            assert not re.search(r"\b(is|has) (are|is)\b", text), text
            assert not re.search(r"^(two|three|four|five|six) \w+s? is\b", text), text


def adjectives(stage):
    """The words that may stand between a number and its noun."""
    words = {f for forms in SIZES_SAID.values() for f in forms}
    for thing in stage.things:
        words |= {w for w in (thing.colour, thing.shape) if w}
    return "|".join(sorted(words, key=len, reverse=True))


def test_stated_counts_are_the_number_of_boxes(told):
    checked = 0
    for stage, captions in told:
        for label in {m.label for m in stage.marks}:
            plural = "|".join(p for _, p in NOUNS[label].forms if p)
            numbers = "|".join(NUMBERS[2:])
            pattern = re.compile(
                rf"\b({numbers}) ((?:(?:{adjectives(stage)}) )*)"
                rf"(?:{plural})\b"
            )
            for text in captions:
                for number, words in pattern.findall(text):
                    marks = [m for m in stage.marks if m.label == label]
                    if any(w in PAINTS for w in words.split()):
                        marks = [
                            m
                            for m in marks
                            if m.attributes.get("colour", "none") in words
                        ]
                    assert NUMBERS[len(marks)] == number, (stage.kind, text)
                    checked += 1
    assert checked > 80


def test_vague_amounts_are_not_wrong(told):
    least = {"many": 9, "dozens of": 24, "several": 4}
    checked = 0
    for stage, captions in told:
        for label in {m.label for m in stage.marks}:
            n = sum(m.label == label for m in stage.marks)
            n += stage.cut.get(label, 0)
            for word, low in least.items():
                for noun in (p for _, p in NOUNS[label].forms if p):
                    hit = any(
                        re.search(rf"\b{word} (\w+ )?{noun}\b", t) for t in captions
                    )
                    checked += hit
                    assert not hit or n >= low, (stage.kind, word, noun)
    assert checked > 15


def test_colour_words_stand_for_colours_of_the_boxes(told):
    colours = "|".join(sorted(PAINTS, key=len, reverse=True))
    checked = 0
    for stage, captions in told:
        for label in {m.label for m in stage.marks}:
            have = {
                m.attributes.get("colour") for m in stage.marks if m.label == label
            } - {None}
            if not have:
                continue
            noun = "|".join(nouns_of(label))
            pattern = re.compile(rf"\b({colours}) (?:{noun})\b")
            for text in captions:
                for colour in pattern.findall(text):
                    assert any(colour in h for h in have), (stage.kind, text, have)
                    checked += 1
    assert checked > 150


def test_a_stated_place_is_where_the_boxes_are(told):
    words = {w: p for p, forms in PLACES.items() for w in forms}
    checked = 0
    for stage, captions in told:
        placed = {t.label: t.place for t in stage.things if t.place and t.count}
        for text in captions:
            hit = re.match(r"(.*?) there (?:is|are) (.*) \.$", text)
            head = re.sub(r" of the \w+$", "", hit[1]) if hit else ""
            if head not in words:
                continue
            names = [
                label
                for label in placed
                if any(hit[2].endswith(n) for n in nouns_of(label))
            ]
            for label in names:
                assert placed[label] == words[head], text
                for m in (m for m in stage.marks if m.label == label):
                    x = (m.box[0] + m.box[2]) / 2
                    y = (m.box[1] + m.box[3]) / 2
                    place = words[head]
                    assert ("left" not in place) or x < 96
                    assert ("right" not in place) or x > 160
                    assert ("upper" not in place) or y < 96
                    assert ("lower" not in place) or y > 160
                checked += 1
    assert checked > 5


def test_only_facts_of_the_picture_are_named(told):
    boxed = ("plane", "boat", "train", "pool", "fountain", "chimney")
    for stage, captions in told:
        have = {m.label for m in stage.marks}
        for label in set(boxed) - have:
            for text in captions:
                for noun in nouns_of(label):
                    assert not re.search(rf"\b{noun}\b", text), text


def test_captions_of_one_picture_differ(told):
    few = sum(len(set(c)) < 20 for _, c in told)
    assert few <= len(told) // 8
    starts = {" ".join(t.split()[:2]) for _, c in told for t in c}
    assert len(starts) > 60


# knobs --------------------------------------------------------------
def shared(stages, duplicates):
    texts = [
        t
        for n, s in enumerate(stages)
        for t in describe(s, stream(8, 0, n, 2), duplicates)
    ]
    return 1 - len(set(texts)) / len(texts)


def test_duplicates_knob_moves_the_share_of_equal_captions(stages):
    shares = [shared(stages, d) for d in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert all(a < b for a, b in zip(shares, shares[1:]))
    assert shares[0] < 0.05 and shares[-1] > 0.5


def test_at_one_all_captions_are_general_or_repeated(stages):
    for n, s in enumerate(stages[:20]):
        known = {t + " ." for t in KIND_WORDS[s.kind].general}
        assert set(describe(s, stream(8, 1, n, 2), 1.0)) <= known


def traits(similarity):
    """What captions could tell of eight airports."""
    out = []
    for i in range(8):
        s = Stage("airport", similarity, stream(5, 0, i, 0), stream(5, 0, i, 1))
        SCENES["airport"](s)
        out.append(
            tuple(
                (t.label, t.count, t.colour) for t in s.things if t.label != "terminal"
            )
        )
    return out


def test_similarity_knob_makes_a_kind_alike():
    variety = [len(set(traits(v))) for v in (0.0, 0.5, 1.0)]
    assert variety[0] > variety[2] == 1
    assert variety[0] >= variety[1] >= variety[2]


@pytest.mark.parametrize(
    "wrong",
    [
        {"duplicates": 1.5},
        {"similarity": -0.1},
        {"sizes": (0, 1, 1)},
        {"sizes": (5, 5)},
        {"seed": -1},
        {"size": 8},
    ],
)
def test_a_wrong_knob_is_named(home, wrong):
    with pytest.raises(RsirError, match=next(iter(wrong))):
        load_toy(home / "wrong", **wrong)
    assert not (home / "wrong").exists()


# cache --------------------------------------------------------------
TINY = {"sizes": (3, 1, 1), "workers": 1}


def test_second_load_reads_the_cache(tmp_path, capsys, monkeypatch):
    first = load_toy(tmp_path, **TINY)
    out = capsys.readouterr()
    assert out.out.count("\n") == 1 and "5 pictures" in out.out
    assert out.err == "" and str(tmp_path) not in out.out

    def never(*_):
        raise AssertionError("drawn again")

    monkeypatch.setattr("toyscenes.make.make", never)
    again = load_toy(tmp_path, **TINY)
    assert capsys.readouterr().out == ""
    assert again.train.captions == first.train.captions
    assert again.train.objects == first.train.objects


def test_other_knobs_have_their_own_folder(tmp_path):
    a = load_toy(tmp_path, **TINY)
    b = load_toy(tmp_path, **TINY, duplicates=0.9)
    assert a.root != b.root and a.root.exists() and b.root.exists()
    assert [p.read_bytes() for p in a.train.images] == [
        p.read_bytes() for p in b.train.images
    ]


@pytest.mark.parametrize(
    "damage", ["no annotation", "annotation cut", "picture gone", "picture cut"]
)
def test_a_half_written_cache_is_made_anew(tmp_path, damage):
    good = load_toy(tmp_path, **TINY)
    notes, picture = good.root / ANNOTATION, good.train.images[1]
    want = picture.read_bytes()
    if damage == "no annotation":
        notes.unlink()
    elif damage == "annotation cut":
        notes.write_bytes(notes.read_bytes()[:-40])
    elif damage == "picture gone":
        picture.unlink()
    else:
        picture.write_bytes(want[: len(want) // 2])
    again = load_toy(tmp_path, **TINY)
    assert again.train.images[1].read_bytes() == want
    assert again.train.captions == good.train.captions


def test_leftovers_of_a_killed_run_are_not_read(tmp_path):
    good = load_toy(tmp_path / "a", **TINY)
    aside = tmp_path / "b" / "toy" / f".{good.root.name}.part"
    (aside / "images").mkdir(parents=True)
    (aside / "images" / good.train.ids[0]).write_bytes(b"half")
    (aside / "records-0.jsonl").write_text('{"split": 0, "index": 0')
    again = load_toy(tmp_path / "b", **TINY)
    assert again.train.captions == good.train.captions
    assert not aside.exists()


def test_failing_processes_are_made_up_for(tmp_path, monkeypatch):
    want = load_toy(tmp_path / "a", **TINY)
    monkeypatch.setattr("sys.executable", str(tmp_path / "missing"))
    got = load_toy(tmp_path / "b", sizes=(3, 1, 1), workers=2)
    assert [p.read_bytes() for p in got.train.images] == [
        p.read_bytes() for p in want.train.images
    ]


def test_annotation_is_laid_out_like_karpathys(splits):
    notes = json.loads((splits.root / ANNOTATION).read_text())
    row = notes["images"][0]
    assert row["split"] == "train" and row["imgid"] == 0
    assert [s["sentid"] for s in row["sentences"]] == row["sentids"]
    text = row["sentences"][0]
    assert text["tokens"] == text["raw"].split()[:-1]


def test_unwritable_cache_is_explained(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(RsirError, match="RSIR_CACHE"):
        load_toy(blocked, **TINY)
