"""The notebooks are what they seem, and the tools that make them so work.

The rules live in `tools/nbkit/guard.py`. First each rule meets a sample
that breaks it and must complain; then all rules meet all notebooks.
"""

import base64
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell
from nbkit import ROOT, captions, chapters, execute, guard, template
from nbkit.pictures import LARGE, smaller
from notebook_samples import BAD, NAME, by_tag, good, picture, plain, status_of
from PIL import Image


def complaints(nb, status=None, name=NAME) -> dict[str, list[str]]:
    """{rule: what it said} for the rules that complain."""
    case = guard.Case(nb, name, status_of(nb) if status is None else status)
    found = {name: list(rule(case)) for name, rule in guard.RULES.items()}
    return {name: said for name, said in found.items() if said}


def test_a_good_notebook_has_no_complaint_and_every_rule_a_bad_sample():
    assert complaints(good()) == {}
    assert {rule for rule, _ in BAD} | {"fresh"} == set(guard.RULES)


@pytest.mark.parametrize(("rule", "damage"), BAD)
def test_each_rule_complains(rule, damage):
    nb = good()
    damage(nb)
    assert rule in complaints(nb)


def test_outputs_of_other_code_or_data_are_found():
    nb = good()
    status = status_of(nb)
    status[Path(NAME).stem]["dataset"] = "ucm"
    assert set(complaints(nb, status)) == set(complaints(nb, {})) == {"fresh"}
    status = status_of(nb)
    plain(nb).source += "  # changed"
    assert set(complaints(nb, status)) == {"fresh"}


def test_only_method_chapters_need_both_verdicts():
    nb = good()
    by_tag(nb, "verdict-live").metadata["tags"] = []
    assert "verdicts" not in complaints(nb, {}, "01_data.ipynb")
    by_tag(nb, "nbval-check-output").metadata["tags"] = []
    assert "verdicts" in complaints(nb, {}, "01_data.ipynb")


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_every_chapter_keeps_every_rule(path):
    found = guard.check(path, execute.load_status())
    assert not found, "\n".join(found)


def test_what_a_server_said_is_stored():
    """An execution without a server leaves no output of one; verify asks for none."""
    cells = execute.code_cells(execute.read(ROOT / "notebooks/08_archive.ipynb"))
    (cell,) = [c for c in cells if "RSIR_MILVUS" in c.source]
    assert "same ids" in guard.printed(cell), "name a server in RSIR_MILVUS, execute"


def test_contents_and_files_agree():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    names = [x["file"] for part in toc["parts"] for x in part["chapters"]]
    assert {f"notebooks/{path.stem}" for path in chapters()} <= set(names)
    for name in [toc["root"], *names]:
        found = [(ROOT / f"{name}{end}").exists() for end in (".md", ".ipynb")]
        assert sum(found) == 1, name


@pytest.fixture
def draft(tmp_path, monkeypatch):
    """A short notebook as an author leaves it, with another last cell."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    path = tmp_path / NAME

    def write(last):
        progress = "for i in range(3):\n    print(i, end='\\r')\nprint()"
        cells = [new_markdown_cell("# A chapter"), new_code_cell(progress)]
        nb = nbformat.v4.new_notebook(cells=[*cells, new_code_cell(last)])
        nb.metadata["title"] = "left by an editor"
        nbformat.write(nb, path)
        return path

    return write


def test_execution_in_place(draft):
    path = draft("x = 2\nprint('x', x)")
    ids = [c.id for c in execute.read(path).cells]
    cost = execute.execute(path, timeout=120)
    nb = execute.read(path)
    assert set(ids) < {c.id for c in nb.cells}
    assert execute.is_executed(nb)
    # what is left is an author's: no verdicts, no exercises, no cost card
    assert set(complaints(nb, {Path(NAME).stem: cost})) == {"verdicts", "anatomy"}
    assert list(map(guard.printed, nb.cells[-2:])) == ["2\n", "x 2\n"]
    before = path.read_bytes()
    execute.execute(path, timeout=120)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("last", "words", "more"),
    [
        ("raise ValueError('no')", "ValueError", b""),
        (f"open({NAME!r}, 'a').write(' ')", "saved while it ran", b" "),
    ],
)
def test_what_fails_or_is_edited_meanwhile_stays_as_it_is(draft, last, words, more):
    path = draft(last)
    before = path.read_bytes()
    with pytest.raises(Exception, match=words):
        execute.execute(path, timeout=120)
    assert path.read_bytes() == before + more
    assert list(path.parent.iterdir()) == [path]


def test_a_new_address_goes_everywhere(tmp_path):
    old, _ = template.repository()
    (tmp_path / "book").mkdir()
    patterns = ("*.md", "*.yml", "*.cff", "*.toml", "book/*.md")
    names = [p.relative_to(ROOT) for x in patterns for p in ROOT.glob(x)]
    for name in names:
        shutil.copy(ROOT / name, tmp_path / name)
    template.set_address("https://github.com/ann/copy", "v2", tmp_path)
    for name in names:
        text = (tmp_path / name).read_text()
        assert old.removeprefix("https://github.com/") not in text, name
    config = yaml.safe_load((tmp_path / "_config.yml").read_text())["repository"]
    assert (config["url"], config["branch"]) == ("https://github.com/ann/copy", "v2")


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


def test_a_large_picture_shrinks_and_keeps_its_signature():
    before = picture(256)
    after = smaller(before)
    assert len(after) < 0.6 * len(before)
    with Image.open(io.BytesIO(base64.b64decode(after))) as small:
        assert small.size == (256, 256)
        assert small.info["Software"].startswith("Matplotlib")
    assert smaller(after) == after
    small = picture(32)
    assert len(small) < LARGE and smaller(small) == small


def published() -> dict[str, str]:
    """{file: text} of what the project gives to the world."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    found = {}
    for name in listed.stdout.split("\0"):
        if name.endswith(".ipynb"):
            cells = execute.read(ROOT / name).cells
            found[name] = "\n".join(f"{c.source}\n{guard.printed(c)}" for c in cells)
        elif Path(name).suffix in {".py", ".md", ".csv", ".yml", ".json"}:
            found[name] = (ROOT / name).read_text(encoding="utf-8")
    return found


def test_a_real_caption_is_found(tmp_path):
    said = ["A made up scene has seven words and more.", "Too short a one."]
    (tmp_path / "a").mkdir()
    (tmp_path / "a/dataset.json").write_text(
        json.dumps({"images": [{"sentences": [{"raw": x} for x in said]}]})
    )
    known = captions.load(tmp_path)
    assert known == captions.load(tmp_path / "a")
    text = "We print: a made-up\nscene has seven words and more! So."
    assert list(captions.hits(text, known))
    assert not list(captions.hits(text.replace("seven", "six"), known))
    assert not list(captions.hits("too short a one", known))


def test_no_caption_of_a_data_set_is_published():
    root = os.environ.get("RSIR_DATA")
    known = captions.load(Path(root)) if root else {}
    if not known:
        pytest.skip("RSIR_DATA names no folder with real captions")
    found = {n: list(captions.hits(text, known)) for n, text in published().items()}
    assert not {name: hits for name, hits in found.items() if hits}
