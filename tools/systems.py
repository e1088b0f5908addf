"""Which systems the book has: chapter, records.

Pages and the README ask here, so that a system that lands is named
everywhere at once.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import yaml
from nbkit import execute

from rsir.models import methods


@dataclass(frozen=True)
class Chapter:
    """A notebook that stands in the contents."""

    stem: str
    title: str
    subtitle: str

    @property
    def number(self) -> str:
        return self.stem[:2]

    @property
    def method(self) -> str:
        """`amfmn` of `02_amfmn`."""
        return self.stem[3:]


def chapters(root: Path) -> list[Chapter]:
    """The chapters of the contents, in its order."""
    toc = root / "_toc.yml"
    known = yaml.safe_load(toc.read_text()) if toc.exists() else {}
    files = [x["file"] for part in known.get("parts", ()) for x in part["chapters"]]
    paths = [root / f"{x}.ipynb" for x in files if x.startswith("notebooks/")]
    return [read(path) for path in paths if path.exists()]


def read(path: Path) -> Chapter:
    """Title and subtitle from the first cell of a notebook."""
    title, *parts = execute.read(path).cells[0].source.split("\n\n")
    whole = re.compile(r"\*[^*].*[^*]\*", re.DOTALL)
    subtitle = next((x.strip("*") for x in parts if whole.fullmatch(x)), "")
    return Chapter(path.stem, title.removeprefix("# "), " ".join(subtitle.split()))


def sentence(root: Path) -> str:
    """Which of the published systems have their chapter."""
    have = {one.method for one in chapters(root)}
    published = {n: m.config.TITLE for n, m in methods().items() if m.config.YEAR}
    missing = [title for name, title in published.items() if name not in have]
    if not missing:
        count = {4: "four"}.get(len(published), len(published))
        return f"All {count} are in the book, each with its chapter."
    return f"Not in this edition: {', '.join(missing)}."
