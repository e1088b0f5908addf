"""Build the lecture slides from `book/slides/`.

    python tools/slides.py [--out FOLDER] [DECK ...]

A deck is `book/slides/NN_name.md`, named like its chapter: Markdown, with
`---` alone on a line between slides and `Note:` before what only the speaker
sees. Its title is the chapter's. A line in double brackets quotes the chapter
by the id of a cell, so that nothing is told twice:

    [[cell-14 code]]         the code of a cell
    [[cell-14 output]]       what it printed; `output rsicd`: the paragraphs (if
                             there is one alone, the lines) with "rsicd"
    [[cell-06 figure]]       its picture; `figure 2`: its second one
    [[cell-13 math]]         the formulas of a text cell; `math 2`: its second one
    [[cell-43 list]]         its list; `list 2`: its second one

A block ```python live is written to `live/DECK_1.py`; its slide shows how to
call it. The slides are nbconvert's, shown by reveal.js; they ask no server.
"""

import argparse
import html
import importlib.util
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import systems
from nbconvert.exporters import SlidesExporter
from nbformat.v4 import new_markdown_cell, new_notebook
from nbkit import FOLDER, ROOT, execute
from traitlets.config import Config

DECKS = ROOT / "book/slides"
QUOTE = re.compile(r"^\[\[(\S+) ([^\]]+)\]\]$", re.M)
LIVE = re.compile(r"^```python live\n(.*?)^```$", re.M | re.S)
PARTS = {
    "math": re.compile(r"^\$\$.*?\$\$", re.M | re.S),
    "list": re.compile(r"^- .*?(?=\n\n|\Z)", re.M | re.S),
}
#: roles of the book and links to its chapters, which slides cannot follow
ROLE = re.compile(r"\s?\{cite\}`[^`]*`|\{\w+\}`([^`]*)`|\[([^\]]*)\]\([^)]*\.ipynb\)")


class DeckError(ValueError):
    """A deck quotes what its chapter does not have."""


@dataclass
class Deck:
    """Slides as (Markdown, speaker's notes), and the live scripts."""

    stem: str
    slides: list[tuple[str, str]]
    live: list[str]


def data(cell, kind: str) -> list[str]:
    """What a code cell shows as `kind`."""
    found = [out.get("data", {}).get(kind) for out in cell.get("outputs", ())]
    return list(filter(None, found))


def printed(cell, word: str) -> list[str]:
    """What a code cell printed: its paragraphs, or lines, that hold `word`."""
    text = "".join(out.get("text", "") for out in cell.get("outputs", ()))
    between = "\n\n" if "\n\n" in text.strip() else "\n"
    text = between.join(x for x in text.split(between) if word in x).strip("\n")
    long = max(map(len, text.splitlines()), default=0) > 70
    size = "output long" if long else "output"
    return [f'<pre class="{size}">{html.escape(text)}</pre>'] if text else []


def quoted(nb, ident: str, what: str) -> str:
    """The part `what` of the cell `ident`, as Markdown.

    Raises:
        DeckError: the cell is gone, or it has no such part.
    """
    cell = next((c for c in nb.cells if c.id == ident), None)
    if cell is None:
        raise DeckError(f"no cell has the id {ident}")
    kind, _, which = what.partition(" ")
    if kind == "code" and cell.cell_type == "code":
        return f"```python\n{cell.source}\n```"
    if kind == "output":
        found = printed(cell, which) + data(cell, "text/html")
    elif kind == "figure":
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        found = [
            f'<figure><img alt="{html.escape(alt)}" src="data:image/png;base64,'
            f'{picture.strip()}"></figure>'
            for picture in data(cell, "image/png")
        ]
    else:
        found = PARTS[kind].findall(cell.source) if kind in PARTS else []
    if kind != "output" and which:
        found = found[int(which) - 1 : int(which)]
    if not found:
        raise DeckError(f"the cell {ident} has no {what}")
    return ROLE.sub(lambda x: x[1] or x[2] or "", "\n\n".join(found))


def read(path: Path, folder: Path = FOLDER) -> Deck:
    """The deck at `path`, with all that it quotes from its chapter.

    Raises:
        DeckError: see `quoted`; the message names the deck.
    """
    chapter = folder / f"{path.stem}.ipynb"
    nb, about = execute.read(chapter), systems.read(chapter)
    live = []

    def fill(text: str) -> str:
        return QUOTE.sub(lambda x: quoted(nb, x[1], x[2]), text)

    def script(match) -> str:
        code = re.sub("^```.*\n?", "", fill(match[1]), flags=re.M)
        live.append(code)
        call = f"python live/{path.stem}_{len(live)}.py"
        return f'<p class="live"><code>{call}</code></p>'

    try:
        text = fill(LIVE.sub(script, path.read_text(encoding="utf-8")))
    except DeckError as error:
        raise DeckError(f"{path.name}: {error}") from None
    text = f"# {about.title}\n\n*{about.subtitle}*\n\n{text}"
    parts = [x.partition("\nNote:") for x in re.split(r"^---$", text, flags=re.M)]
    return Deck(path.stem, [(x.strip(), note.strip()) for x, _, note in parts], live)


def page(deck: Deck) -> str:
    """The deck as one HTML page."""
    cells = []
    for text, note in deck.slides:
        for kind, source in (("slide", text), ("notes", note)):
            shown = {"slideshow": {"slide_type": kind}}
            cells.append(new_markdown_cell(source, metadata=shown))
    settings = Config()
    settings.SlidesExporter.template_name = "template"
    settings.SlidesExporter.extra_template_basedirs = [str(DECKS)]
    settings.SlidesExporter.exclude_input_prompt = True
    settings.SlidesExporter.exclude_anchor_links = True
    settings.CSSHTMLHeaderPreprocessor.style = "friendly"
    nb = new_notebook(
        cells=cells, metadata={"title": deck.slides[0][0][2:].split("\n")[0]}
    )
    return SlidesExporter(config=settings).from_notebook_node(nb)[0]


def reveal() -> Path:
    """Where reveal.js lies: the package sphinx-revealjs carries it.

    Raises:
        FileNotFoundError: it is not installed.
    """
    spec = importlib.util.find_spec("sphinx_revealjs")
    if spec is None:
        raise FileNotFoundError("sphinx-revealjs is not installed; run make setup")
    return Path(spec.origin).parent / "_static/revealjs"


def write(paths: list[Path], out: Path) -> list[Deck]:
    """Pages, scripts of the live moments, and all that the pages load."""
    source = reveal()
    (out / "live").mkdir(parents=True, exist_ok=True)
    shutil.copytree(ROOT / "web/mathjax", out / "mathjax", dirs_exist_ok=True)
    for name in ("dist/reveal.js", "dist/reveal.css", "plugin/notes/notes.js"):
        (out / "reveal").mkdir(exist_ok=True)
        shutil.copy(source / name, out / "reveal")
    shutil.copy(source / "LICENSE", out / "reveal")
    shutil.copy(DECKS / "template/slides.css", out)
    decks = [read(path) for path in paths]
    for deck in decks:
        (out / f"{deck.stem}.html").write_text(page(deck), encoding="utf-8")
        for number, code in enumerate(deck.live, 1):
            (out / f"live/{deck.stem}_{number}.py").write_text(code, encoding="utf-8")
    return decks


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("decks", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "_build/slides")
    args = parser.parse_args()
    try:
        made = write(args.decks or sorted(DECKS.glob("[0-9]*.md")), args.out)
    except (DeckError, FileNotFoundError) as error:
        sys.exit(str(error))
    for deck in made:
        print(f"{args.out / deck.stem}.html: {len(deck.slides)} slides")
    return 0


if __name__ == "__main__":
    sys.exit(main())
