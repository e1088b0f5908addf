"""`rsir train`, `rsir search`, `rsir reproduce` from the shell's side."""

import sys

import pytest
from tiny import cache, cached, folder, splits  # noqa: F401
from typer.testing import CliRunner

from rsir import cli
from rsir.cli.options import changes
from rsir.utils.errors import RsirError

SMALL = [
    "epochs=2",
    "batch=8",
    "image_size=32",
    "dim=16",
    "text_encoder=gru",
    "vocabulary_threshold=1",
    "precision=no",
    "text_layers=none",
]

pytestmark = pytest.mark.usefixtures("cached")


def rsir(*words):
    """Output of a command that works."""
    done = CliRunner().invoke(cli.app, [str(w) for w in words])
    if done.exception is not None:
        raise done.exception
    assert done.exit_code == 0
    return done.output


def fails(monkeypatch, capsys, *words):
    """The one line that a user sees, through `main`."""
    monkeypatch.setattr(sys, "argv", ["rsir", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    out, err = capsys.readouterr()
    assert stop.value.code == 2
    assert err.startswith("rsir: error: ") and err.count("\n") == 1
    assert "Traceback" not in out + err
    return err


def train_words(folder, run, *more):
    words = ["train", "linear", "--dataset", folder, "--run", run]
    for change in (*SMALL, *more):
        words += ["--set", change]
    return words


@pytest.fixture(scope="module")
def trained(folder, cache, tmp_path_factory):
    run = tmp_path_factory.mktemp("cli") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RSIR_CACHE", str(cache))
        return rsir(*train_words(folder, run)), run


def test_train_tells_each_epoch_and_where(trained):
    output, run = trained
    lines = output.splitlines()
    assert [line[:9] for line in lines if line.startswith("epoch")] == [
        "epoch   1",
        "epoch   2",
    ]
    assert lines[-1].startswith("best val mR ")
    assert lines[-1].endswith(f"run folder: {run}")
    assert (run / "best.safetensors").exists()


def test_train_again_goes_on_in_the_same_folder(trained, folder):
    output, run = trained
    again = rsir(*train_words(folder, run))
    assert again.splitlines()[-3:] == output.splitlines()[-3:]


def test_search_lists_pictures_best_first(trained, folder):
    _, run = trained
    output = rsir(
        "search",
        "a red roof on blue ground",
        "--run",
        run,
        "--dataset",
        folder,
        "--k",
        3,
        "--split",
        "val",
    )
    head, *rows = output.splitlines()
    assert head.split() == ["rank", "score", "picture"]
    assert [r.split()[0] for r in rows] == ["1", "2", "3"]
    values = [float(r.split()[1]) for r in rows]
    assert values == sorted(values, reverse=True)
    for row in rows:
        name = row.split()[2]
        assert name.startswith(str(folder)) and "val_" in name


def test_search_without_a_run_makes_the_baseline_once(folder, monkeypatch):
    import rsir.retrieval.search as module
    from rsir.models import config

    small = {"epochs": 2, "batch": 8, "image_size": 32}
    monkeypatch.setattr(module, "config", lambda *words: config(*words, **small))
    words = ["search", "a red roof", "--dataset", folder, "--k", 2]
    first = rsir(*words)
    assert "training linear" in first
    monkeypatch.setattr("rsir.training.trainer._epoch", None)  # no second time
    assert rsir(*words).splitlines()[-2:] == first.splitlines()[-2:]


def test_errors_are_one_line_and_code_2(trained, folder, tmp_path, monkeypatch, capsys):
    _, run = trained

    def says(*words):
        return fails(monkeypatch, capsys, *words)

    assert "method 'galrr'" in says("train", "galrr")
    assert "preset 'big'" in says("train", "linear", "--preset", "big")
    assert "NAME=VALUE" in says("train", "linear", "--set", "lr")
    assert "option of linear 'depth'" in says("train", "linear", "--set", "depth=3")
    assert "row of linear" in says("train", "linear", "--variant", "x")
    assert "another config (lr" in says(*train_words(folder, run, "lr=0.5"))
    assert "unknown data set 'mars'" in says("train", "linear", "--dataset", "mars")
    look = ["--run", run, "--dataset", folder]
    assert "the sentence is empty" in says("search", " ", *look)
    assert "train, val or test" in says("search", "a roof", *look, "--split", "all")
    assert "not a run folder" in says(
        "search", "a roof", "--run", tmp_path, "--dataset", folder
    )
    assert "method 'x'" in says("reproduce", "x")
    assert "method 'x'" in says("reproduce", "x", "--row", "all")
    assert "data set" in says("reproduce", "linear", "--dataset", folder)


def test_wrong_options_of_a_model_are_user_errors(
    folder, tmp_path, monkeypatch, capsys
):
    for change, says in (
        ("attention=hard", "attention is 'hard'"),
        ("loss=some", "loss is 'some'"),
        ("gamma=2", "gamma is 2"),
        ("text_encoder=lstm", "text encoder 'lstm'"),
        ("image_encoder=vgg", "image encoder 'vgg'"),
        ("image_size=100", "multiple of 32"),
        ("keywords=true", "no keywords"),
    ):
        words = train_words(folder, tmp_path / change, change)
        words[1] = "amfmn"
        assert says in fails(monkeypatch, capsys, *words)


def test_values_are_read_as_python_has_them():
    assert changes(
        [
            "lr=1e-3",
            "mvsa=false",
            "margin=None",
            "epochs=3",
            "loss=hard",
            "text-layers=none",
            "mvsa=True",
        ]
    ) == {
        "lr": 1e-3,
        "mvsa": True,
        "margin": None,
        "epochs": 3,
        "loss": "hard",
        "text_layers": None,
    }
    with pytest.raises(RsirError, match="NAME=VALUE"):
        changes(["lr"])
