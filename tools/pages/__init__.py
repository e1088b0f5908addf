"""Generated parts of the book, one module a page.

A module has `NAMES`, the fragments that it makes, and
`render(root) -> {name: Markdown text}`. It must work when there is nothing
to report yet. `tools/build_pages.py` writes the fragments to
`book/_generated/`, from where the pages in `book/` include them.
"""

from pathlib import Path

Cell = str | int | float


def table(head: list[str], rows: list[list[Cell]], right=()) -> str:
    """A Markdown table; the columns named in `right` are right-aligned."""
    rule = ["--:" if name in right else ":--" for name in head]
    lines = [head, rule, *rows]
    return "\n".join(
        "| " + " | ".join(escape(cell) for cell in line) + " |" for line in lines
    )


def escape(cell: Cell) -> str:
    """Text of a cell; a bar inside it must not end it."""
    return str(cell).replace("|", "\\|")


def in_book(root: Path, name: str) -> bool:
    """Whether the chapter `name` has a place in the contents."""
    toc = root / "_toc.yml"
    return toc.exists() and f"notebooks/{name}\n" in toc.read_text()


def packages(root: Path) -> list[str]:
    """Dotted names of our modules that exist, packages before parts."""
    found = []
    for path in sorted((root / "rsir").rglob("*.py")):
        parts = list(path.relative_to(root).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        found.append(".".join(parts))
    return sorted(found)
