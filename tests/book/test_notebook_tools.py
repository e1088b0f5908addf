"""Executing notebooks, and the cells that they share."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell
from nbkit import ROOT, execute, guard, template

NAME = "02_sample.ipynb"


def draft() -> nbformat.NotebookNode:
    """A short notebook as an author leaves it."""
    nb = nbformat.v4.new_notebook(
        cells=[
            new_markdown_cell("# A chapter"),
            new_code_cell("for i in range(3):\n    print(i, end='\\r')\nprint()"),
            new_code_cell("x = 2\nprint('x', x)"),
        ]
    )
    nb.metadata["title"] = "left by an editor"
    return nb


def test_execution_in_place(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    path = tmp_path / NAME
    nbformat.write(draft(), path)
    ids = [c.id for c in execute.read(path).cells]
    cost = execute.execute(path, timeout=120)
    nb = execute.read(path)
    assert set(ids) < {c.id for c in nb.cells}
    assert execute.is_executed(nb)
    assert cost["code"] == execute.code_hash(nb)
    case = guard.Case(nb, NAME, {Path(NAME).stem: cost})
    for rule in (
        "executed", "fresh", "clean_outputs", "forbidden", "shared_cells",
        "quiet_metadata", "tags",
    ):  # fmt: skip
        assert list(guard.RULES[rule](case)) == [], rule
    outputs = [guard.text_of(o) for _, o in guard.outputs(case)]
    assert outputs == ["2\n", "x 2\n"]
    before = path.read_bytes()
    execute.execute(path, timeout=120)
    assert path.read_bytes() == before


def test_a_failing_notebook_stays_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    path = tmp_path / NAME
    nb = draft()
    nb.cells[-1].source = "raise ValueError('no')"
    nbformat.write(nb, path)
    before = path.read_bytes()
    with pytest.raises(Exception, match="ValueError"):
        execute.execute(path, timeout=120)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_edit_meanwhile_is_not_lost(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    path = tmp_path / NAME
    nb = draft()
    nb.cells[-1].source = f"open({str(path)!r}, 'a').write(' ')"
    nbformat.write(nb, path)
    with pytest.raises(RuntimeError, match="saved while it ran"):
        execute.execute(path, timeout=120)
    assert path.read_text().endswith(" ")


def test_a_new_address_goes_everywhere(tmp_path):
    old, _ = template.repository()
    names = [
        p.relative_to(ROOT)
        for pattern in ("*.md", "*.yml", "*.cff", "*.toml", "book/*.md")
        for p in ROOT.glob(pattern)
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    template.set_address("https://github.com/ann/copy", "v2", tmp_path)
    for name in names:
        text = (tmp_path / name).read_text()
        assert old.removeprefix("https://github.com/") not in text, name
    config = yaml.safe_load((tmp_path / "_config.yml").read_text())
    assert config["repository"] == {
        "url": "https://github.com/ann/copy",
        "branch": "v2",
        "path_to_book": "",
    }


def test_at_home_nothing_is_installed(monkeypatch):
    monkeypatch.chdir(ROOT / "tests")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(subprocess, "run", None)
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name, *rest: None if name == "rsir" else found(name, *rest),
    )
    exec(template.bootstrap(), {})
    assert sys.path[0] == str(ROOT)


def test_needs_are_names_that_import():
    for name in template.needs():
        assert importlib.util.find_spec(name), name
