"""What the README shows, says and links to is there and works."""

import re
import runpy

import numpy as np
import readme
from nbkit import ROOT, chapters, template
from PIL import Image

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)")


def test_every_chapter_is_listed_with_its_colab_link():
    for path in chapters():
        assert f"](notebooks/{path.name})" in TEXT
        assert template.colab_url(path.name) in TEXT


def test_a_chapter_without_a_line_in_the_table_is_noticed(monkeypatch):
    assert readme.filled(ROOT)[1] == TEXT, "run python tools/readme.py"
    monkeypatch.setattr(readme, "chapters_table", lambda root: "")
    assert readme.filled(ROOT)[1] != TEXT


def test_the_example_in_python_runs(tmp_path, monkeypatch, capsys):
    """In order, in an empty folder; the shell lines read its files."""
    blocks = re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S)
    assert blocks
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "example.py"
    script.write_text("\n".join(blocks))
    runpy.run_path(str(script))
    said = capsys.readouterr().out
    assert said.count("mR") == 1 and "750 captions" in said
    scores, owner = np.load("scores.npy"), np.load("owner.npy")
    assert scores.shape == (150, 750) and owner.shape == (750,)


def test_pictures_are_there_small_and_described():
    pages = {"README.md": ROOT, "book/intro.md": ROOT / "book"}
    for page, home in pages.items():
        found = PICTURE.findall((ROOT / page).read_text())
        assert found, page
        for words, target in found:
            path = home / target
            assert len(words.split()) >= 5, target
            assert path.stat().st_size < 400_000
            with Image.open(path) as picture:
                assert picture.format == "PNG"
