"""No recall of ours is typed into prose; a printed one must be printed.

Pages show our recalls through `tools/pages`, chapters through the outputs
of their cells, so that a number in a sentence cannot outlive its record.
What may be typed is what a paper has printed, as `recalls.csv` and
`claims.yml` have it: that does not change.
"""

import re

import pytest
from nbkit import ROOT, chapters, execute

from rsir.experiments.claims import load_claims, load_reported

TOPIC = re.compile(r"\bmR\b|\bR@\d+|\brecalls?\b", re.I)
NUMBER = re.compile(r"(?<![\w.@/-])\d{1,3}\.\d+(?![\w.]|-\d)")
NO_PROSE = re.compile(
    r"```.*?```|~~~.*?~~~|<!-- (\w+):begin -->.*?<!-- \1:end -->"
    r"|\$\$.*?\$\$|\$[^$\n]*(?:\n[^$\n]+)*?\$|`[^`]*`|\]\([^)]*\)"
    r"|^\|[^\n]*$"
    r"|\{math\}|^:\w+:[^\n]*$",
    re.S | re.M,
)
SENTENCE = re.compile(r"(?<=[.!?:])\s+(?=[A-Z*\[])|\n\s*\n|\n[-*] ")


def sentences(text: str) -> list[str]:
    """Prose alone: no code, tables, formulas or generated parts."""
    return [
        " ".join(part.split())
        for part in SENTENCE.split(NO_PROSE.sub(" ", text)) if part.strip()
    ]  # fmt: skip


def printed() -> set[str]:
    """Every recall of a paper, as it may be written."""
    table = load_reported()
    numbers = {
        float(value)
        for name in table.select_dtypes("number").columns
        for value in table[name].dropna()
    }
    for claim in load_claims():
        for value in (claim.value, claim.low, claim.high):
            if value is not None:
                numbers.add(abs(float(value)))
    return {f"{x:.{digits}f}" for x in numbers for digits in (1, 2, 3)}


def typed(text: str, known: set[str]) -> list[str]:
    """Recalls in sentences of `text` that nobody has printed."""
    return [
        f"{number} in: {sentence}"
        for sentence in sentences(text)
        if TOPIC.search(sentence)
        for number in NUMBER.findall(sentence)
        if number not in known
    ]


def prose() -> dict[str, str]:
    """{page: its Markdown} of all that people wrote."""
    pages = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        *sorted((ROOT / "book").glob("*.md")),
    ]
    found = {path.name: path.read_text() for path in pages}
    for path in chapters():
        found[path.name] = "\n\n".join(
            c.source for c in execute.read(path).cells
            if c.cell_type == "markdown"
        )  # fmt: skip
    return found


PAGES = prose()


@pytest.mark.parametrize("page", PAGES)
def test_no_recall_is_typed(page):
    assert not typed(PAGES[page], printed()), (
        "let a cell or a page of tools/pages print it"
    )


@pytest.mark.parametrize("sentence", [
    "Our mR is 21.37 on RSICD.",
    "It reaches an R@1 of\n12.345, which is much.",
    "A recall of 51.07 % is a lot.",
    "- First.\n- The mean recall is 33.91 here.",
])  # fmt: skip
def test_a_typed_recall_would_be_found(sentence):
    assert typed(f"Some text.\n\n{sentence}\n\nMore.", printed())


@pytest.mark.parametrize("text", [
    "The paper prints an mR of 46.08.",  # AMFMN on UCM
    "```\nmR 21.37\n```\n\nNothing else.",
    "| mR | 21.37 |\n\nA table is generated.",
    "A margin of 0.25 is another thing.",
    "<!-- results:begin -->\nmR 21.37\n<!-- results:end -->",
    "The mR of formula $x = 21.37$ and of `21.37`.",
])  # fmt: skip
def test_what_is_no_typed_recall_is_left_alone(text):
    assert not typed(text, printed())


def test_generated_numbers_are_not_prose_but_claims_are():
    assert "46.08" in printed() and "19.38" in printed()
    assert len(PAGES) > 10
