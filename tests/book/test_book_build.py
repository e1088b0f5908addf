"""The parts of the book that are generated, and what Sphinx is told."""

import json

import build_pages
import pages
import pytest
import sphinx_rsir
from nbkit import ROOT
from pages import api, results, status


def test_generated_parts_work_from_nothing(tmp_path):
    made = build_pages.fragments(tmp_path)
    assert {"api.md", "results.md", "status.md"} <= set(made)
    out = tmp_path / "out"
    out.mkdir()
    (out / "stale.md").write_text("old")
    build_pages.write(tmp_path, out)
    assert {p.name for p in out.iterdir()} == set(made)


def test_every_generated_part_is_included_somewhere():
    text = "".join(p.read_text() for p in (ROOT / "book").glob("*.md"))
    for name in build_pages.fragments(ROOT):
        assert f"_generated/{name}" in text


def test_two_makers_of_one_part_are_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(status, "NAMES", ["api.md"])
    monkeypatch.setattr(status, "render", lambda root: {"api.md": ""})
    with pytest.raises(ValueError, match="second time"):
        build_pages.fragments(tmp_path)


def test_table():
    text = pages.table(["a", "b"], [["x|y", 1]], right=["b"])
    assert text.splitlines() == [
        "| a | b |",
        "| :-- | --: |",
        "| x\\|y | 1 |",
    ]


def test_status_lists_executed_chapters_only(tmp_path):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    (folder / "00_a.ipynb").write_text("")
    (tmp_path / "_toc.yml").write_text("- file: notebooks/00_a\n")
    known = {
        "seconds": 7, "peak_memory_mb": 800, "preset": "toy",
        "python": "3.11.7", "versions": {"torch": "2.14.1"},
    }  # fmt: skip
    (folder / "status.json").write_text(json.dumps({"00_a": known, "09_gone": known}))
    text = status.render(tmp_path)["status.md"]
    assert "| [00_a](../notebooks/00_a.ipynb) | 7 | 800 | toy |" in text
    assert "09_gone" not in text
    assert "2.14.1" in text


def test_api_covers_the_package():
    """Each module is on the page or stands behind one that is."""
    text = api.render(ROOT)["api.md"]
    behind = {
        "rsir": "the root",
        "rsir.__main__": "the command",
        "rsir.evaluation.ranks": "rsir.evaluation.metrics",
        "rsir.evaluation.bootstrap": "rsir.evaluation.metrics",
        "rsir.experiments.claims": "rsir.experiments.claims",
    }
    for name in pages.packages(ROOT):
        if name.startswith(("rsir.cli", "toyscenes.")):
            continue
        if name in behind or not api.selected([name], [name], ROOT):
            continue
        assert f"automodule:: {name}\n" in text, name


def test_api_names_nothing_twice(tmp_path):
    folder = tmp_path / "rsir/data"
    folder.mkdir(parents=True)
    (tmp_path / "rsir/__init__.py").write_text("")
    (folder / "__init__.py").write_text('__all__ = ["load", "Split"]')
    (folder / "split.py").write_text("class Split: pass")
    text = api.render(tmp_path)["api.md"]
    assert text.count("automodule") == 2
    part = text.split("rsir.data.split")[-1]
    assert ":exclude-members: load, Split" in part


def test_results_say_so_when_there_are_none(tmp_path):
    assert "No run" in results.render(tmp_path)["results.md"]


HANGING = """\
A report.

a, b: one line,
    and the next.
c: short.

Args:
    x, y: two names.
    options: for files:
        first: long and
            longer.
        second: short.

Plain: a sentence with a colon."""


def test_hanging_items_become_lists():
    lines = sphinx_rsir.hanging_lists(HANGING.splitlines())
    assert "* ``a``, ``b``: one line," in lines
    assert "  and the next." in lines
    assert "* ``c``: short." in lines
    assert "    x,y: two names." in lines
    assert "        * ``first``: long and" in lines
    assert "          longer." in lines
    assert lines[-1] == "Plain: a sentence with a colon."


def test_attributes_become_a_list():
    lines = ["Attributes:", "    x, y: a corner.", "    z: a height."]
    made = [x for x in sphinx_rsir.hanging_lists(lines) if x]
    assert made == [
        "* ``x``, ``y``: a corner.",
        "* ``z``: a height.",
    ]


def test_only_chapters_of_the_book_are_linked(monkeypatch, tmp_path):
    (tmp_path / "_toc.yml").write_text("- file: notebooks/00_a\n")
    monkeypatch.setattr(sphinx_rsir, "ROOT", tmp_path)
    text = "Chapters notebooks/00_a.ipynb, notebooks/01_b.ipynb."
    linked = sphinx_rsir.chapter_link(text)
    assert ":doc:`/notebooks/00_a`" in linked
    assert "notebooks/01_b.ipynb" in linked


def test_citations_read_name_and_year():
    from pybtex.database import parse_string

    books = "".join(
        f"@book{{k{i}, author={{{who}}}, title={{T}}, year={{2021}}}}"
        for i, who in enumerate(["Yuan, A", "Yuan, B", "{van Dyk}, C"])
    )
    entries = parse_string(books, "bibtex").entries.values()
    labels = sphinx_rsir.NameAndYear().format_labels(entries)
    assert list(labels) == ["Yuan 2021", "Yuan 2021b", "van Dyk 2021"]


def test_bars_are_not_taken_for_markup():
    assert sphinx_rsir.plain_bars("|a| `b|c`") == "\\|a\\| `b|c`"


def test_docstrings_without_lists_stay_as_they_are():
    lines = ["One.", "", "Two lines", "of text.", "", "    literal"]
    assert sphinx_rsir.hanging_lists(lines) == lines
