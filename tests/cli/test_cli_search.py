"""`rsir search`: by a sentence, by a picture, past pictures that are bad."""

import csv
import json

import pytest
from tiny import cache, cached, draw  # noqa: F401

import rsir.retrieval.search as room
from rsir.data import load_dataset
from rsir.models import config

pytestmark = pytest.mark.usefixtures("cached")


@pytest.fixture(autouse=True)
def small_baseline(monkeypatch):
    small = {"epochs": 1, "batch": 8, "image_size": 32}
    monkeypatch.setattr(room, "config", lambda *words: config(*words, **small))


@pytest.fixture
def own(tmp_path):
    return draw(tmp_path / "own set")


def test_json_is_all_that_goes_to_stdout(own, called):
    words = ["search", "a red roof", "--dataset", own, "--k", 2]
    code, out, err = called(*words, "--json")
    assert code == 0 and "training linear" in err
    hits = json.loads(out)
    assert [hit["rank"] for hit in hits] == [1, 2]
    assert hits[0]["score"] >= hits[1]["score"]
    head, first, _ = called(*words)[1].splitlines()[-3:]
    assert head.split() == ["rank", "score", "picture"]
    assert first.endswith(hits[0]["picture"])


def test_a_picture_finds_itself_first(own, called):
    like = own / "test_3.png"
    said = called("search", "--like", like, "--dataset", own, "--json")[1]
    best = json.loads(said)[0]
    assert best["picture"] == str(like) and best["score"] == pytest.approx(1, abs=1e-2)


def test_bad_pictures_are_left_out_and_told_last(own, called, cached):
    whole = (own / "test_0.png").read_bytes()
    (own / "test_1.png").write_bytes(whole[: len(whole) // 2])
    (own / "train_1.png").write_bytes(b"no picture")
    words = ["search", "a red roof", "--dataset", own, "--k", 99]
    code, out, _ = called(*words)
    where = cached / "skipped" / "own set.csv"
    assert code == 0 and "test_1.png" not in out
    last = out.splitlines()[-1]
    assert last == f"2 of 40 pictures were left out, see {where}"
    with open(where, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"].rpartition("/")[2] for row in rows] == [
        "train_1.png",
        "test_1.png",
    ]
    code, _, err = called(*words, "--strict")
    assert code == 2 and "train_1.png" in err


def test_a_path_gives_a_plain_name(own, cached):

    splits = load_dataset(str(own))
    room.baseline(splits, progress=False)
    assert any(p.name.startswith("own set-") for p in (cached / "baseline").iterdir())


@pytest.mark.parametrize(
    "words, says",
    [
        (["search", " "], "the sentence is empty"),
        (["search"], "the sentence is empty"),
        (["search", "a roof", "--like", "a.png"], "not both"),
        (["search", "a roof", "--split", "all"], "train, val or test"),
    ],
)
def test_wrong_words_are_one_line_and_code_2(called, words, says):
    code, _, err = called(*words)
    assert code == 2 and says in err and err.count("\n") == 1
