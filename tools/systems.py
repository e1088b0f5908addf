"""Which systems the book has by now: model, chapter, records.

Pages and the README ask here, so that a system that lands is named
everywhere at once and none is promised that is not there.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import yaml
from nbkit import execute

from rsir.experiments.records import load_records
from rsir.models.registry import HOMES

PUBLISHED = {
    "amfmn": "AMFMN", "galr": "GaLR", "envlf": "EnVLF",
    "cfitr": "CFITR",
}  # fmt: skip


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


@dataclass(frozen=True)
class System:
    """A published system and how far it is in the book."""

    method: str
    name: str
    model: bool  # registered, so that it can be built and trained
    chapter: Chapter | None
    measured: tuple[str, ...]  # data sets with records


def chapters(root: Path) -> list[Chapter]:
    """The chapters of the contents, in its order."""
    toc = root / "_toc.yml"
    known = yaml.safe_load(toc.read_text()) if toc.exists() else {}
    names = [
        chapter["file"]
        for part in known.get("parts", ())
        for chapter in part["chapters"]
    ]
    found = []
    for name in names:
        path = root / f"{name}.ipynb"
        if name.startswith("notebooks/") and path.exists():
            found.append(read(path))
    return found


def read(path: Path) -> Chapter:
    """Title and subtitle from the first cell of a notebook."""
    title, *parts = execute.read(path).cells[0].source.split("\n\n")
    subtitle = next(
        (" ".join(x.strip("*").split()) for x in parts
         if re.fullmatch(r"\*[^*].*[^*]\*", x, re.DOTALL)), "",
    )  # fmt: skip
    return Chapter(path.stem, title.removeprefix("# "), subtitle)


def systems(root: Path) -> list[System]:
    """The four published systems, in the order of the book."""
    of = {chapter.method: chapter for chapter in chapters(root)}
    runs = {}
    if (root / "results").is_dir():
        for run in load_records(folder=root / "results"):
            runs.setdefault(run.method, {})[run.dataset] = True
    return [
        System(method, name, method in HOMES, of.get(method),
               tuple(runs.get(method, ())))
        for method, name in PUBLISHED.items()
    ]  # fmt: skip


def joined(names: list[str]) -> str:
    """`A`, `A and B`, `A, B and C`."""
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def sentence(root: Path, show=lambda system: system.name) -> str:
    """Which of the four can be read, which only used, which neither.

    show: how to name a system that has a chapter.
    """
    every = systems(root)
    ready = [s for s in every if s.chapter]
    bare = [s.name for s in every if s.model and not s.chapter]
    rest = [s.name for s in every if not s.model and not s.chapter]
    if len(ready) == len(every):
        return "All four are in the book, each with its chapter."
    parts = []
    if ready:
        named = joined([show(s) for s in ready])
        verb = "have their chapters" if len(ready) > 1 else "has its chapter"
        parts.append(f"So far {named} {verb}")
    if bare:
        verb = "are" if len(bare) > 1 else "is"
        parts.append(f"{joined(bare)} {verb} in the package only")
    if rest:
        verb = "are" if len(rest) > 1 else "is"
        parts.append(f"{joined(rest)} {verb} not in this edition")
    text = "; ".join(parts) + "."
    return text[:1].upper() + text[1:]
