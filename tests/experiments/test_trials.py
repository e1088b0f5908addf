"""What was tried on validation: the table, and the command for it."""

from types import SimpleNamespace

import pytest
from tiny import folder, stub  # noqa: F401

from rsir.experiments import trials
from rsir.models import config
from rsir.utils.errors import RsirError

pytestmark = pytest.mark.usefixtures("stub")


def line(**options):
    run = SimpleNamespace(
        config=config("stub", "cpu", "wild", **options),
        val_mR=26.678,
        seconds={"train": 472.6},
        history=[{"epoch": 3, "val_mR": 26.678}, {"epoch": 6, "val_mR": 25.0}],
    )
    return trials.line_of(
        run, dataset="rsicd", preset="cpu", variant="wild", commit="012", created="now"
    )


def test_a_line_names_what_leaves_the_variant():
    made = line(seed=1, batch=64, lr=0.5)
    assert sorted(made["changes"].split()) == ["batch=64", "lr=0.5"]
    assert made["seed"] == 1 and made["val_mR"] == "26.68"
    assert made["best_epoch"] == 3 and made["seconds"] == 473
    assert made["commit"] == "012" and made["variant"] == "wild"
    assert line()["changes"] == ""


def test_another_table_is_not_touched(tmp_path, called):
    path = tmp_path / "mine.csv"
    path.write_text("image,caption\na.jpg,a harbor\n")
    with pytest.raises(RsirError, match="mine.csv: its columns"):
        trials.add(path, line())
    # the command refuses before it trains
    code, _, err = called("train", "stub", "--tried", path)
    assert code == 2 and "mine.csv: its columns" in err
    assert path.read_text() == "image,caption\na.jpg,a harbor\n"


def test_the_command_trains_and_adds_a_line(tmp_path, folder, called, monkeypatch):
    from rsir.experiments import run

    monkeypatch.setattr(run, "clean_commit", lambda: "c" * 40)
    table, home = tmp_path / "results" / "tried.csv", tmp_path / "run"
    assert trials.read(table) == []
    trials.add(table, line())
    words = ["train", "stub", "--dataset", folder, "--run", home, "--tried", table]
    words += ["--variant", "wild", "--set", "lr=0.02", "--set", "epochs=2"]
    code, out, err = called(*words)
    assert code == 0, err
    assert out.count("val mR") == 3 and str(home) in out
    first, made = trials.read(table)
    assert first == {name: str(value) for name, value in line().items()}
    assert made["changes"] == "epochs=2 lr=0.02" and made["commit"] == "c" * 10
