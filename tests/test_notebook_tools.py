"""Executing notebooks, the cells they share, and the Colab door."""

import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell
from nbkit import ROOT, execute, guard, template

NAME = "02_sample.ipynb"

# --- the tools -----------------------------------------------------------


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
        "executed", "fresh", "clean_outputs", "paths", "shared_cells",
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


# --- the bootstrap cell ---


def run_bootstrap(monkeypatch, folder, missing=(), colab=True):
    """Run the cell with a stubbed Colab; the commands that it gave."""
    calls = []

    def fake_run(command, check):
        assert check
        calls.append([str(c) for c in command])

    real = __import__("importlib.util").util.find_spec

    def find_spec(name, *rest):
        return None if name in missing else real(name, *rest)

    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(subprocess, "run", fake_run)
    monkeypatch.setattr("importlib.util.find_spec", find_spec)
    if colab:
        stub = types.ModuleType("google.colab")
        monkeypatch.setitem(sys.modules, "google.colab", stub)
    exec(template.bootstrap(), {})
    return calls


def test_on_colab_only_what_lacks_is_installed(monkeypatch, tmp_path):
    calls = run_bootstrap(monkeypatch, tmp_path, ["faiss", "timm"])
    clone, pip = calls
    url, branch = template.repository()
    assert clone[:2] == ["git", "clone"]
    assert clone[clone.index("-b") + 1] == branch
    assert url in clone
    assert "--no-deps" in pip
    assert pip[pip.index("--no-deps") + 1 :] == ["timm", "faiss-cpu"]


def test_colab_keeps_its_torch_and_numpy(monkeypatch, tmp_path):
    everything = template.needs()
    _, pip = run_bootstrap(monkeypatch, tmp_path, everything)
    assert not {"torch", "torchvision", "numpy"} & set(pip)
    assert "--no-deps" in pip


def test_at_home_nothing_is_installed(monkeypatch):
    folder = ROOT / "tests"
    calls = run_bootstrap(monkeypatch, folder, missing=["rsir", "timm"], colab=False)
    assert calls == []
    assert sys.path[0] == str(ROOT)


def test_needs_are_names_that_import():
    import importlib.util

    for name in template.needs():
        assert importlib.util.find_spec(name), name


def test_on_colab_the_books_own_source_is_used(tmp_path):
    """For real: a stubbed Colab, a clone of a local repository."""
    source = tmp_path / "source"
    shutil.copytree(ROOT / "rsir", source / "rsir")
    _, branch = template.repository()
    for command in (
        ["init", "-q", "-b", branch],
        ["add", "."],
        [*"-c user.name=a -c user.email=a@b commit -qm a".split()],
    ):
        subprocess.run(["git", *command], cwd=source, check=True)
    place = tmp_path / "content"
    place.mkdir()
    script = (
        "import sys, types\n"
        "sys.modules['google.colab'] = types.ModuleType('colab')\n"
        + template.bootstrap()
        + "\nprint(rsir.__file__)"
    )
    for _ in range(2):  # a cell may be run again
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=place, capture_output=True, text=True, check=False,
            env=dict(os.environ, RSIR_SOURCE=source.as_uri()),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        wanted = place / "rsir-book" / "rsir" / "__init__.py"
        assert Path(done.stdout.strip()) == wanted
