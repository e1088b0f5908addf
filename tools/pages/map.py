"""The map of the book: which chapter needs which, how long, what it costs.

What a chapter needs is the teacher's word (`needs` in `book/teach.yml`); what
it looks back at are the earlier chapters that its text links to. Minutes and
memory are those of its last execution, words are counted.
"""

import html
import re
import textwrap
from pathlib import Path

import systems
import yaml
from nbkit import ROOT, execute

from . import system_name, table, wide
from .status import costs

WORDS_A_MINUTE = 200
WIDE, HIGH, STEP_X, STEP_Y = 184, 92, 248, 148  # of a box, and from box to box
LINK = re.compile(r"[(<](\d\d_\w+)(?:\.ipynb)?[)>]")


def render(root: Path) -> dict[str, str]:
    known = {one.method: one for one in systems.chapters(root)}
    if not known:
        return {"map.md": "No chapter is in the contents yet."}
    said = yaml.safe_load((ROOT / "book/teach.yml").read_text("utf-8"))["needs"]
    needs = {name: [x for x in said.get(name, ()) if x in known] for name in known}
    facts = {name: measured(root, one.stem) for name, one in known.items()}
    back = {}
    for name, one in known.items():
        linked = {stem[3:] for stem in facts[name]["links"] if stem < one.stem}
        back[name] = sorted((linked & set(known)) - everything(name, needs))
    lines = []
    for name, one in known.items():
        fact = facts[name]
        link = f"{one.number} [{one.title}](../notebooks/{one.stem}.ipynb)"
        numbers = [
            ", ".join(known[x].number for x in names) or "–"
            for names in (needs[name], back[name])
        ]
        costs_it = [fact[x] or "–" for x in ("read", "run", "memory", "disk")]
        lines.append([link, *numbers, *costs_it])
    head = ["chapter", "needs", "looks back at"]
    head += ["read, min", "run, min", "memory, GB", "disk"]
    read, run = (sum(fact[x] or 0 for fact in facts.values()) for x in ("read", "run"))
    return {
        "map.md": f"```{{raw}} html\n{drawing(known, needs, back, facts)}\n```\n\n"
        + wide(table(head, lines, right=head[3:6]), "first")
        + f"\n\nTogether {read} minutes to read and {run} to run.",
    }


def measured(root: Path, stem: str) -> dict:
    """Minutes, memory and disk of a chapter, and the chapters it links to."""
    cells = execute.read(root / f"notebooks/{stem}.ipynb").cells
    prose = "\n".join(c.source for c in cells if c.cell_type == "markdown")
    words = len(re.findall(r"[A-Za-z][\w'’-]*", prose))
    cost = costs(root).get(stem, {})
    seconds, memory = cost.get("seconds"), cost.get("peak_memory_mb")
    disk = re.search(r"^\| disk \| ([\d.]+ [MG]B)", prose, re.M)
    return {
        "links": set(LINK.findall(prose)),
        "read": max(1, round(words / WORDS_A_MINUTE)),
        "run": seconds and max(1, round(seconds / 60)),
        "memory": f"{memory / 1000:.1f}" if isinstance(memory, int) else None,
        "disk": disk and disk[1],
    }


def everything(name: str, needs: dict) -> set[str]:
    """All that a chapter needs, and what these need."""
    return set(needs[name]).union(*(everything(x, needs) for x in needs[name]))


def drawing(known: dict, needs: dict, back: dict, facts: dict) -> str:
    """Boxes from left to right, an arrow for what is needed directly."""

    def level(name: str) -> int:
        return max((level(x) + 1 for x in needs[name]), default=0)

    columns = [[n for n in known if level(n) == x] for x in range(len(known))]
    rows = max(map(len, columns))
    place = {
        name: (x * STEP_X + 8, (y + (rows - len(column)) / 2) * STEP_Y + 8)
        for x, column in enumerate(columns)
        for y, name in enumerate(column)
    }
    parts = []
    for name, (x, y) in place.items():
        indirect = set().union(*(everything(n, needs) for n in needs[name]))
        for x0, y0 in (place[n] for n in needs[name] if n not in indirect):
            begin, end = x0 + WIDE, y + HIGH / 2
            parts.append(
                f'<path class="needs" d="M{begin} {y0 + HIGH / 2} C{begin + 32} '
                f'{y0 + HIGH / 2} {x - 40} {end} {x - 8} {end}"/>'
            )
        for x0, y0 in (place[n] for n in back[name]):
            begin, end = (y, y0 + HIGH) if y0 < y else (y + HIGH, y0)
            parts.append(
                f'<path class="back" d="M{x + WIDE / 2} {begin} '
                f'L{x0 + WIDE / 2} {end}"/>'
            )
    for name, (x, y) in place.items():
        one, fact = known[name], facts[name]
        short = system_name(name)
        short = one.title.split(":")[0] if short == name else short
        lines = textwrap.wrap(f"{one.number} {short}", 17)[:2]
        lines += [f"read {fact['read']} min, run {fact['run'] or '–'} min"]
        parts.append(f'<rect x="{x}" y="{y}" width="{WIDE}" height="{HIGH}" rx="8"/>')
        top = y + HIGH / 2 + 6 - 12 * (len(lines) - 1)
        for number, line in enumerate(lines):
            kind = "cost" if number == len(lines) - 1 else "name"
            parts.append(
                f'<text class="{kind}" x="{x + WIDE / 2}" y="{top + 24 * number}">'
                f"{html.escape(line)}</text>"
            )
    width = max(x for x, _ in place.values()) + WIDE + 8
    height = rows * STEP_Y - (STEP_Y - HIGH) + 16
    return (
        '<div class="book-map"><svg role="img" aria-label="The chapters as boxes, '
        f'with arrows from what is needed" viewBox="0 0 {width:g} {height:g}">'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="4" refY="4" '
        'markerWidth="7" markerHeight="7" orient="auto-start-reverse">'
        '<path d="M0 0 L8 4 L0 8 z"/></marker></defs>' + "".join(parts) + "</svg></div>"
    )
