"""Advice on the book's sentences; it changes nothing and never fails.

    python tools/prose.py [FILE ...]

Prints, with file and line, the words of `tools/words.yml` with a plainer one,
sentences of more than LONG words, and the terms of the glossary that a chapter
uses without a link. Without FILE: all chapters, pages and their makers.
"""

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
LONG = 35
#: what is no prose: code, formulas, tables, targets of links, raw HTML
OTHER = re.compile(
    r"```(?:\{raw\}|\w+\n).*?```|\$\$.*?\$\$|\$[^$\n]*(?:\n[^$\n]+)*?\$"
    r"|(?<!`)`[^`]*`|\]\([^)]*\)|^\|[^\n]*$|<!--.*?-->|^:\w+:[^\n]*$",
    re.S | re.M,
)
END = re.compile(r"(?<=[.!?:;])\s+|\n\s*\n|\n(?=[-*#] |\d+\. |```)")
TERM = re.compile(r"\{term\}`(?:[^`<]*<)?([^`>]+)>?`")


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """(line in the file, text) of every part that holds prose."""
    raw = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        yield 1, raw
    elif path.suffix == ".py":
        for node in ast.walk(ast.parse(raw)):
            if isinstance(node, ast.Constant) and " " in str(node.value):
                yield node.lineno, str(node.value)
    else:
        lines, at = [line.strip().rstrip(",") for line in raw.split("\n")], 0
        for cell in json.loads(raw)["cells"]:
            at = lines.index(f'"id": "{cell["id"]}"', at)
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown" and source:
                yield lines.index('"source": [', at) + 2, source


def advice(path: Path, words: dict, terms: list[str]) -> Iterator[tuple[int, str]]:
    """(line, what to think about)."""
    linked, used = set(), {}
    for first, text in texts(path):
        linked |= {" ".join(term.split()) for term in TERM.findall(text)}
        plain = OTHER.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)
        for word, better in words.items():
            for m in re.finditer(rf"\b(?:{word})\b", plain, re.I):
                line = first + plain[: m.start()].count("\n")
                yield line, f"{' '.join(m.group().split())} -> {better}"
        at = 0
        for part in END.split(plain):
            at = plain.index(part, at)
            if (count := len(re.findall(r"[A-Za-z][\w'’-]*", part))) > LONG:
                yield first + plain[:at].count("\n"), f"a sentence of {count} words"
        for term in terms:
            if m := re.search(rf"\b{re.escape(term)}\b", plain, re.I):
                used.setdefault(term, first + plain[: m.start()].count("\n"))
    if path.suffix == ".ipynb":
        for term in sorted(used.keys() - linked):
            yield used[term], f"{term}: never linked to the glossary"


def main(names: list[str]) -> None:
    words = yaml.safe_load((ROOT / "tools/words.yml").read_text())
    glossary = (ROOT / "book/glossary.md").read_text()
    terms = re.findall(r"^(?! |```|#)(\S.*)\n(?=  )", glossary, re.M)
    found = [Path(name) for name in names] or [
        *sorted(ROOT.glob("notebooks/[0-9]*.ipynb")),
        *(ROOT / "README.md", *sorted(ROOT.glob("book/*.md"))),
        *sorted(ROOT.glob("tools/pages/*.py")),
    ]
    for path in found:
        name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        for line, text in sorted(advice(path, words, terms)):
            print(f"{name}:{line}: {text}")


if __name__ == "__main__":
    main(sys.argv[1:])
