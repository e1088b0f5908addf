"""Fill what the README shows of results, chapters and systems.

Usage: python tools/readme.py [--check]

Run it after new records or a new chapter; a test compares the README
with what this makes, so the tables cannot drift. `--check` writes
nothing and ends with code 1 if the README is not as it should be.
"""

import sys
import textwrap
from pathlib import Path

import pages
import systems
from nbkit import ROOT, template
from pages import landing, results, table

from rsir.utils.io import atomic_write


def results_table(root: Path) -> str:
    """The small table: headline rows of every data set."""
    found = landing.heads(root)
    if not found:
        return results.EMPTY
    head = ["data set", "system", "encoders", "reported mR (range)", "ours, mR"]
    lines = [
        [
            pages.dataset_name(one.dataset),
            pages.name_of(one),
            pages.encoders(one),
            pages.printed_range(verdict) if verdict else "–",
            pages.spread(one),
            verdict.outcome if verdict else pages.unprinted(one),
        ]
        for one in found
        for verdict in [one.verdict()]
    ]
    about = (
        "Ours: mean over runs with different seeds, ± their standard deviation, "
        "number of runs in brackets; ties at their expectation. The encoders are not "
        'the papers\': a verdict is on the system as built here. "Not at hand": the '
        "paper's recalls could not be read for this edition. The book's results page "
        "has the six recalls, intervals, ablations, cost and the command of each row."
    )
    if any(one.stale() for one in found):
        about += (
            " †: made before a change of code or data, shown until it is made again."
        )
    return table([*head, "verdict"], lines, right=["ours, mR"]) + "\n\n" + fold(about)


def chapters_table(root: Path) -> str:
    """Title, subtitle and Colab link of every chapter."""
    lines = [
        [
            one.number,
            f"[{one.title}](notebooks/{one.stem}.ipynb)",
            one.subtitle,
            f"[open]({template.colab_url(f'{one.stem}.ipynb')})",
        ]
        for path in sorted((root / "notebooks").glob("[0-9]*.ipynb"))
        for one in [systems.read(path)]
    ]
    return table(["", "chapter", "what", "Colab"], lines)


def finding(root: Path) -> str:
    """What surprises most, in two sentences."""
    if not (widest := landing.surprise(landing.heads(root))):
        return ""
    dataset, system, values = widest
    return fold(
        f"**What surprises most.** On {pages.dataset_name(dataset)}, one and the same "
        f"model ({system}) has an i2t R@1 of {min(values.values()):.1f} or of "
        f"{max(values.values()):.1f}: nothing differs but the order of captions that "
        "read the same. No paper's table says which rule it was counted by; every "
        "number here does."
    )


def fold(text: str) -> str:
    return textwrap.fill(text, 75, break_on_hyphens=False)


def fill(text: str, name: str, body: str) -> str:
    """`text` with `body` between the marks of `name`.

    Raises:
        ValueError: the marks are not there, once each.
    """
    begin, end = f"<!-- {name}:begin -->\n", f"\n<!-- {name}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"README.md: {begin}...{end} must stand once")
    return text.split(begin)[0] + begin + body + end + text.split(end)[1]


def filled(root: Path) -> tuple[str, str]:
    """(the README as it is, as it should be)."""
    text = (root / "README.md").read_text(encoding="utf-8")
    right = fill(text, "results", results_table(root))
    right = fill(right, "chapters", chapters_table(root))
    right = fill(right, "systems", fold(systems.sentence(root)))
    return text, fill(right, "finding", finding(root))


def main(argv: list[str]) -> int:
    now, right = filled(ROOT)
    if now == right:
        print("README.md: the tables are up to date.")
    elif "--check" in argv:
        print("README.md: run python tools/readme.py", file=sys.stderr)
        return 1
    else:
        with atomic_write(ROOT / "README.md") as file:
            file.write(right)
        print("README.md: the tables were written anew.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
