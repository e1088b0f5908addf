"""`rsir train` and `rsir search` from the shell's side."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image
from tiny import cache, cached, draw, folder, splits  # noqa: F401

import rsir.retrieval.search as room
from rsir.cli.options import changes
from rsir.models import config

SMALL = """
epochs=2 batch=8 image_size=32 dim=16 text_encoder=gru vocabulary_threshold=1
precision=no text_layers=none
""".split()

pytestmark = pytest.mark.usefixtures("cached")


@pytest.fixture(autouse=True)
def small_baseline(monkeypatch):
    small = {"epochs": 1, "batch": 8, "image_size": 32}
    monkeypatch.setattr(room, "config", lambda *words: config(*words, **small))
    monkeypatch.setattr(room, "ready_model", room.baseline)


@pytest.fixture
def own(tmp_path):
    return draw(tmp_path / "own set")


@pytest.fixture
def train(called):
    """Train the small linear model on a folder; what `called` gives."""

    def run(dataset, *words, method="linear", set=()):
        sets = [word for pair in (*SMALL, *set) for word in ("--set", pair)]
        return called("train", method, "--dataset", dataset, *sets, *words)

    return run


def test_train_goes_on_and_serves_search(train, called, folder, tmp_path):
    run = tmp_path / "run"
    code, out, _ = train(folder, "--run", run)
    *_, one, two, last = out.splitlines()
    assert code == 0 and (one[:9], two[:9]) == ("epoch   1", "epoch   2")
    assert last.startswith("best val mR ") and last.endswith(f"run folder: {run}")
    assert (run / "best.safetensors").exists()
    assert train(folder, "--run", run)[1].splitlines()[-3:] == [one, two, last]
    code, _, err = train(folder, "--run", run, set=["lr=0.5"])
    assert code == 2 and "another config (lr" in err
    words = ["--run", run, "--dataset", folder, "--k", 3, "--split", "val"]
    code, out, _ = called("search", "a red roof on blue ground", *words)
    head, *rows = (line.split() for line in out.splitlines())
    assert code == 0 and head == ["rank", "score", "picture"]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    values = [float(row[1]) for row in rows]
    assert values == sorted(values, reverse=True)
    assert all(row[2].startswith(f"{folder}/val_") for row in rows)


def test_the_run_folder_is_named_after_the_data(train, own, tmp_path, monkeypatch):
    """A folder of pictures with 16 bits needs --scale, here as in search."""
    monkeypatch.chdir(tmp_path)
    for path in own.glob("*.png"):
        deep = np.asarray(Image.open(path), np.uint16) * 16
        tifffile.imwrite(path.with_suffix(".tif"), deep, photometric="rgb")
        path.unlink()
    code, _, err = train(f"{own}/")
    assert code == 2 and "scale=LOW,HIGH" in err
    more = ["--scale", "0,4080", "--bands", "1,2,3"]
    assert train(f"{own}/", *more)[0] == 0
    assert (tmp_path / "runs/linear-own set-s0/best.safetensors").exists()


def test_json_is_all_that_goes_to_stdout(own, called, monkeypatch):
    words = ["search", "--dataset", own, "--k", 2]
    code, out, err = called(*words, "a red roof", "--json")
    assert code == 0 and "training linear" in err
    hits = json.loads(out)
    assert [hit["rank"] for hit in hits] == [1, 2]
    assert hits[0]["score"] >= hits[1]["score"]
    monkeypatch.setattr("rsir.training.trainer._epoch", None)  # no second time
    head, first, _ = called(*words, "a red roof")[1].splitlines()[-3:]
    assert head.split() == ["rank", "score", "picture"]
    assert first.endswith(hits[0]["picture"])
    like = own / "test_3.png"  # a picture finds itself first
    best = json.loads(called(*words, "--like", like, "--json")[1])[0]
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
        names = [row["path"].rpartition("/")[2] for row in csv.DictReader(file)]
    assert names == ["train_1.png", "test_1.png"]
    code, _, err = called(*words, "--strict")
    assert code == 2 and "train_1.png" in err


@pytest.mark.parametrize(
    "words, says",
    [
        ("train galrr", "method 'galrr'"),
        ("train linear --preset big", "preset 'big'"),
        ("train linear --set lr", "NAME=VALUE"),
        ("train linear --set depth=3", "option of linear 'depth'"),
        ("train linear --variant x", "variant of linear 'x'"),
        ("train linear --dataset mars", "unknown data set 'mars'"),
        ("train linear --bands 3,2", "give"),
        ("search", "the sentence is empty"),
        ("search roof --like a.png", "not both"),
        ("search roof --split all", "train, val or test"),
        ("search roof --dataset FOLDER --run .", "not a run folder"),
        ("reproduce x", "method 'x'"),
        ("reproduce x --variant all", "method 'x'"),
        ("reproduce linear --dataset FOLDER", "data set"),
    ],
)
def test_wrong_words_are_one_line_and_code_2(called, folder, words, says):
    code, out, err = called(*(folder if x == "FOLDER" else x for x in words.split()))
    assert code == 2 and says in err and "Traceback" not in out
    assert err.startswith("rsir: error: ") and err.count("\n") == 1


@pytest.mark.parametrize(
    "change, says",
    [
        ("attention=hard", "attention is 'hard'"),
        ("loss=some", "loss is 'some'"),
        ("gamma=2", "gamma is 2"),
        ("text_encoder=lstm", "text encoder 'lstm'"),
        ("image_encoder=vgg", "image encoder 'vgg'"),
        ("image_size=100", "multiple of 32"),
        ("keywords=true", "no keywords"),
    ],
)
def test_wrong_options_of_a_model_are_user_errors(
    train, folder, tmp_path, change, says
):
    run = ["--run", tmp_path / "run"]
    code, _, err = train(folder, *run, method="amfmn", set=[change])
    assert code == 2 and says in err


@pytest.mark.parametrize(
    "word, name, value",
    [
        ("lr=1e-3", "lr", 1e-3),
        ("mvsa=false", "mvsa", False),
        ("margin=None", "margin", None),
        ("loss=hard", "loss", "hard"),
        ("text-layers=none", "text_layers", None),
        ("x=True", "x", True),
    ],
)
def test_values_are_read_as_python_has_them(word, name, value):
    assert changes([word, "epochs=3"]) == {name: value, "epochs": 3}


@pytest.mark.parametrize(
    "name, wanted", [("toy", "baseline"), ("ucm", "dual"), ("squares", "dual")]
)
def test_toy_scenes_have_their_baseline_and_pictures_the_weights(
    name, wanted, splits, monkeypatch
):
    monkeypatch.undo()
    monkeypatch.setattr(room, "baseline", lambda splits: "baseline")
    monkeypatch.setattr(room, "load_weights", lambda name: name)
    assert room.ready_model(replace(splits, name=name)) == wanted
