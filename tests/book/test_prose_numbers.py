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
    r"|^\|[^\n]*$|\{math\}|^:\w+:[^\n]*$",
    re.S | re.M,
)
SENTENCE = re.compile(r"(?<=[.!?:])\s+(?=[A-Z*\[])|\n\s*\n|\n[-*] ")


#: every recall of a paper, as it may be written
PRINTED = {
    f"{abs(x):.{digits}f}"
    for numbers in [
        load_reported().select_dtypes("number").stack(),
        *((claim.value, claim.low, claim.high) for claim in load_claims()),
    ]
    for x in numbers
    if x is not None
    for digits in (1, 2, 3)
}


def typed(text: str) -> list[str]:
    """Recalls in sentences of `text` that nobody has printed."""
    return [
        f"{number} in: {' '.join(sentence.split())}"
        for sentence in SENTENCE.split(NO_PROSE.sub(" ", text))
        if TOPIC.search(sentence)
        for number in NUMBER.findall(sentence)
        if number not in PRINTED
    ]


def prose(path) -> str:
    if path.suffix == ".md":
        return path.read_text()
    cells = execute.read(path).cells
    return "\n\n".join(c.source for c in cells if c.cell_type == "markdown")


PAGES = [
    *ROOT.glob("[A-Z]*.md"),
    *ROOT.glob("book/*.md"),
    *ROOT.glob("book/slides/*.md"),
]
PAGES += chapters()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_recall_is_typed(path):
    assert not typed(prose(path)), "let a cell or a page of tools/pages print it"


EXAMPLES = {
    "Our mR is 21.37 on RSICD.": True,
    "It reaches an R@1 of\n12.345, which is much.": True,
    "A recall of 51.07 % is a lot.": True,
    "- First.\n- The mean recall is 33.91 here.": True,
    "The paper prints an mR of 46.08.": False,  # AMFMN on UCM
    "```\nmR 21.37\n```\n\nNothing else.": False,
    "| mR | 21.37 |\n\nA table is generated.": False,
    "A margin of 0.25 is another thing.": False,
    "<!-- results:begin -->\nmR 21.37\n<!-- results:end -->": False,
    "The mR of formula $x = 21.37$ and of `21.37`.": False,
}


@pytest.mark.parametrize(("text", "wrong"), EXAMPLES.items())
def test_typed_recalls_and_only_they_would_be_found(text, wrong):
    assert bool(typed(f"Some text.\n\n{text}\n\nMore.")) == wrong
