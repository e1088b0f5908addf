"""What was tried on validation: the table, and the command for it."""

import sys
from types import SimpleNamespace

import pytest

from rsir.experiments import trials as tried
from rsir.models.recipes import recipe
from rsir.utils.errors import RsirError


def line(**options):
    run = SimpleNamespace(
        val_mR=26.678,
        seconds={"train": 472.6},
        history=[{"epoch": 3, "val_mR": 26.678}, {"epoch": 6, "val_mR": 25.0}],
    )
    asked = recipe("galr", "cpu", "sum", **options)
    return tried.line_of(
        run,
        asked,
        dataset="rsicd",
        preset="cpu",
        row="sum",
        commit="0123456789abcdef",
        created="2026-01-02T03:04:05",
    )


def test_a_line_names_what_leaves_the_row():
    made = line(seed=1, look_width=64, mvsa=False)
    assert sorted(made["changes"].split()) == ["look_width=64", "mvsa=False"]
    assert made["seed"] == 1 and made["val_mR"] == "26.68"
    assert made["best_epoch"] == 3 and made["seconds"] == 473
    assert made["commit"] == "0123456789"
    assert line()["changes"] == ""


def test_lines_add_up(tmp_path):
    path = tmp_path / "results/tried.csv"
    assert tried.read(path) == []
    for seed in (0, 1):
        tried.add(path, line(seed=seed))
    found = tried.read(path)
    assert [one["seed"] for one in found] == ["0", "1"]
    assert set(found[0]) == set(tried.COLUMNS)


def test_another_table_is_not_touched(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("image,caption\na.jpg,a harbor\n")
    with pytest.raises(RsirError, match="mine.csv: its columns"):
        tried.add(path, line())
    assert path.read_text().startswith("image,caption\na.jpg")


def test_the_command_refuses_a_wrong_table_before_it_trains(
    tmp_path, monkeypatch, capsys
):
    from rsir import cli

    path = tmp_path / "mine.csv"
    path.write_text("image,caption\na.jpg,a harbor\n")
    monkeypatch.setattr("rsir.training.trainer.train", None)
    monkeypatch.setattr(sys, "argv", ["rsir", "train", "linear", "--tried", str(path)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert "mine.csv: its columns" in capsys.readouterr().err


def test_the_results_page_shows_what_was_tried(tmp_path):
    from pages import results
    from result_samples import record

    record(tmp_path, "galr", "rsicd", "midf", 2.0)
    before = results.render(tmp_path)["results.md"]
    assert "Tried on validation" not in before
    tried.add(tmp_path / "results/tried.csv", line(look_width=64))
    page = results.render(tmp_path)["results.md"]
    assert "Tried on validation" in page
    assert "`look_width=64`" in page and "26.68" in page
