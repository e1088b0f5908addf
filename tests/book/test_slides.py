"""Decks quote chapters that have what they quote; their pages hold 1280 by 720.

The pages are built here, without the book. Those marked `pages` want a browser.
"""

import re
import runpy
import time

import matplotlib.pyplot as plt
import pytest
import slides
from browsing import Visit, browser, served  # noqa: F401 (fixtures)
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbkit import FOLDER, execute
from skips import skip_or_fail

DECKS = sorted(slides.DECKS.glob("[0-9]*.md"))
EACH = pytest.mark.parametrize("path", DECKS, ids=lambda path: path.stem)
SIZE = {"width": 1280, "height": 720}
#: what stands out of the slide, or is cut off inside
OVER = """() => [...Reveal.getCurrentSlide().querySelectorAll("*")].filter(e => {
  const box = e.getBoundingClientRect();
  if (e.closest("aside, mjx-assistive-mml") || !box.width || !box.height) return false;
  const style = getComputedStyle(e);
  return box.left < -1 || box.right > 1281 || box.top < -1 || box.bottom > 721
    || style.overflowX != "visible" && (e.scrollWidth > e.clientWidth + 1
      || e.scrollHeight > e.clientHeight + 1)
    || e.tagName == "IMG" && box.height < 120;
}).map(e => e.outerHTML.slice(0, 80))"""


@pytest.fixture
def chapter(tmp_path):
    """A folder with a chapter of three cells."""
    picture = {"image": {"alt": "a < b"}}
    text = (
        "$$\na \\tag{1}\n$$\nand\n$$\nb\n$$\n\n- one\n  more\n- two {cite}`x`\n\nEnd."
    )
    shown = [
        new_output("stream", text="one\ntwo\n"),
        new_output("display_data", data={"image/png": "AA==", "text/plain": "<Fig>"}),
    ]
    cells = [
        new_markdown_cell("# A title\n\n*And more.*", id="top"),
        new_markdown_cell(text, id="text"),
        new_code_cell("x = 1", id="code", outputs=shown, metadata={"mystnb": picture}),
    ]
    execute.write(tmp_path / "00_a.ipynb", new_notebook(cells=cells))
    return tmp_path


def deck(folder, text):
    (folder / "00_a.md").write_text(text)
    return slides.read(folder / "00_a.md", folder)


def test_a_deck_is_its_chapters_title_and_what_it_quotes(chapter):
    text = "Hello.\n\nNote: Begin.\n---\n## A\n\n[[code code]]\n\n[[text math 2]]\n"
    text += "---\n[[code figure]]\n\n[[code output two]]\n\n[[text list]]\n\nNote: End."
    first, second, third = deck(chapter, text).slides
    assert first == ("# A title\n\n*And more.*\n\nHello.", "Begin.")
    assert second == ("## A\n\n```python\nx = 1\n```\n\n$$\nb\n$$", "")
    assert 'alt="a &lt; b" src="data:image/png;base64,AA=="' in third[0]
    assert '<pre class="output">two</pre>' in third[0]
    assert third[0].endswith("- one\n  more\n- two") and third[1] == "End."


@pytest.mark.parametrize(
    "quote", ["gone code", "text code", "code math", "text math 3", "code output no"]
)
def test_what_a_chapter_lacks_is_named(chapter, quote):
    with pytest.raises(slides.DeckError, match=f"00_a.md: .*{quote.split()[0]}"):
        deck(chapter, f"[[{quote}]]")


def test_a_live_block_becomes_a_script(chapter):
    made = deck(chapter, "---\n```python live\ny = 2\n\n[[code code]]\nprint(x)\n```\n")
    assert made.live == ["y = 2\n\nx = 1\nprint(x)\n"]
    assert "python live/00_a_1.py" in made.slides[1][0]
    assert "y = 2" not in made.slides[1][0]


@EACH
def test_a_deck_is_a_lecture(path):
    made = slides.read(path)
    assert 20 <= len(made.slides) <= 30 and len(made.live) == 2
    for text, note in made.slides:
        assert re.match("##? .", text) and len(note.split()) >= 5, text
        assert not slides.QUOTE.search(text) and not re.search(r"\{\w+\}`", text), text
    prose = "".join(c.source for c in execute.read(FOLDER / f"{path.stem}.ipynb").cells)
    for label in re.findall(r"`(ch\d\d-\w+)`", path.read_text()):
        assert f":label: {label}\n" in prose, label


@EACH
@pytest.mark.parametrize("number", [0, 1])
def test_a_live_moment_takes_seconds(path, number, tmp_path, capsys):
    script = tmp_path / "live.py"
    script.write_text(slides.read(path).live[number], encoding="utf-8")
    before = time.process_time()
    runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out.strip()
    assert time.process_time() - before < 30
    plt.close("all")


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    try:
        slides.write(DECKS, folder)
    except FileNotFoundError as error:
        skip_or_fail(str(error))
    return folder


def test_the_slides_carry_what_they_load(out):
    assert len(list(out.glob("live/*.py"))) == 2 * len(DECKS)
    for page in out.glob("*.html"):
        loaded = r'<(?:script|link|img)\b[^>]*?(?:src|href)="([^"]*)"'
        names = set(re.findall(loaded, page.read_text()))
        names = {name for name in names if not name.startswith("data:")}
        assert len(names) == 5 and all((out / name).is_file() for name in names)


@pytest.mark.pages
@EACH
def test_every_slide_fits_and_asks_no_other_server(path, out, browser):
    with served(out) as site, browser.new_context(viewport=SIZE) as window:
        visit = Visit(window, site, f"{path.stem}.html")
        count = visit.page.evaluate("Reveal.getTotalSlides()")
        assert count == len(slides.read(path).slides)
        for number in range(count):
            visit.page.evaluate(f"Reveal.slide({number})")
            assert not visit.page.evaluate(OVER), number + 1
        more = "('beforeend', `<p>${'x '.repeat(9999)}</p>`)"
        visit.page.evaluate(f"Reveal.getCurrentSlide().insertAdjacentHTML{more}")
        assert visit.page.evaluate(OVER), "text that is too long is not seen"
        formulas = "document.querySelectorAll('mjx-merror').length"
        assert not visit.page.evaluate(formulas)
        assert not visit.failed and not visit.said
        here = (f"{site}/", "data:", "blob:")
        assert all(url.startswith(here) for url in visit.asked)
