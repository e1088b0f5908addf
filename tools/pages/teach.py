"""The teacher's page: plans that follow the contents, questions.

A chapter that is not in the contents is named without a link and marked,
so that the plan is true on the day it is read. Numbers in answers are
computed from the records.
"""

from pathlib import Path

import systems

from rsir.experiments import tables

from . import dataset_name, system_name, table, wide
from .landing import protocol, surprise
from .status import costs

NAMES = ["lectures.md", "day.md", "beforehand.md", "questions.md"]

#: (title, chapters, in class, at home)
LECTURES = [
    ("Search in a common space", ["quickstart"],
     "Build the search, ask it in both directions, read one failure "
     "aloud. What does the red cross say, and what does it not?",
     "Own sentences; the exercises of the chapter"),
    ("What a recall counts", ["data_and_protocol"],
     "Guess the i2t R@1 of one matrix; count it under four rules; "
     "vote on the rule that a paper should use.",
     "`rsir evaluate` on a matrix of one's own"),
    ("Two towers and what joins them", ["amfmn", "galr"],
     "Cancel the gate on the board before any training; then see which "
     "module the linear baseline leaves something to do.",
     "One ablation, trained with three seeds"),
    ("Cheap and expensive scores", ["envlf", "cfitr", "comparison"],
     "Time a query against a gallery that grows; order the top of the "
     "list anew; draw the plane of cost and recall.",
     "A verdict on one claim, with its interval"),
]  # fmt: skip

#: (from, to, what, chapter or "")
DAY = [
    ("9:00", "9:45", "A search in a minute", "quickstart"),
    ("9:45", "11:00", "What a recall counts; break", "data_and_protocol"),
    ("11:00", "12:15", "AMFMN from its equations", "amfmn"),
    ("13:15", "14:00", "Objects and their graph", "galr"),
    ("14:00", "14:45", "Reading both sides at once", "envlf"),
    ("14:45", "15:30", "Codes, coarse to fine; break", "cfitr"),
    ("15:30", "16:15", "Groups: one claim each, from its records", ""),
    ("16:15", "17:00", "Groups report; what would change the verdict?",
     "comparison"),
]  # fmt: skip

MISSING = "not in this edition"


def render(root: Path) -> dict[str, str]:
    known = {one.method: one for one in systems.chapters(root)}
    return {
        "lectures.md": lectures(known),
        "day.md": day(known),
        "beforehand.md": beforehand(root, known),
        "questions.md": questions(root),
    }


def link(known: dict, name: str, whole: bool = False) -> str:
    """A chapter by its number, or by number and title."""
    if name in known:
        one = known[name]
        text = f"{one.number}. {one.title}" if whole else one.number
        return f"[{text}](../notebooks/{one.stem}.ipynb)"
    return f"{system_name(name)} ({MISSING})"


def lectures(known: dict) -> str:
    parts = []
    for number, (title, names, inside, home) in enumerate(LECTURES, 1):
        said = ", ".join(link(known, name, whole=True) for name in names)
        parts.append(
            f"**Lecture {number}: {title}**\n\n{{.parts}}\n"
            f"chapters\n: {said}\n\nin class\n: {inside}\n\n"
            f"at home\n: {home}"
        )
    return "\n\n".join(parts)


def day(known: dict) -> str:
    lines = [
        [f"{begin}–{end}", what, link(known, name) if name else "–"]
        for begin, end, what, name in DAY
    ]
    return wide(table(["time", "what", "chapter"], lines))


def beforehand(root: Path, known: dict) -> str:
    """What the chapters cost here, so that nobody waits in class."""
    status = costs(root)
    lines = [
        [
            link(known, one.method),
            one.title,
            status[one.stem]["seconds"],
            status[one.stem]["peak_memory_mb"] or "–",
        ]
        for one in known.values()
        if one.stem in status
    ]
    if not lines:
        return "No chapter has been executed yet."
    minutes = max(1, round(sum(line[2] for line in lines) / 60))
    head = ["", "chapter", "seconds", "peak memory, MB"]
    return (
        table(head, lines, right=head[2:])
        + f"\n\nTogether {minutes} minutes on two cores, with the toy scenes and the "
        "features at hand."
    )


def ask(question: str, *answer: str) -> str:
    body = "\n\n".join(answer)
    return f":::{{dropdown}} {question}\n{body}\n:::"


def questions(root: Path) -> str:
    found = tables.load(root / "results")
    heads = [one for one in found if one.headline]
    made = [
        two_numbers(surprise(root, heads)),
        ask(
            "A system has a recall of 100 % on train captions. Is it broken?",
            "Not by itself: it may have learnt the captions by heart. "
            "Only the test split tells, and only if nothing was chosen "
            "on it. Ask which split chose the epoch.",
        ),
        ceilings(root),
        ask(
            "Why can a gate with one number for a pair not help?",
            "The score is a cosine. A positive number times a vector "
            "has the same direction, so the cosine, the ranking and the "
            "recall stay what they were. See "
            "{ref}`the entry on sim <difference-amfmn-sim-gate>`.",
        ),
        baseline(found),
        ask(
            "Two intervals overlap. May the two systems still differ?",
            "Yes. Both answer the same queries, so most of what makes "
            "one interval wide is shared. Take the interval of the "
            "paired difference: it is much narrower.",
        ),
        ask(
            "May re-ranked numbers stand in one column with others?",
            "No. Most re-ranking looks at all test queries at once; a "
            "live query is alone. Such recalls need a column of their "
            "own, or a bank of training queries in place of the test's.",
        ),
        ask(
            'Our verdict says "reached". Was the paper reproduced?',
            "Not the paper's network. The system as built here, with "
            "other encoders, is not below the printed range. That is "
            "what was asked, and the page says which encoders.",
        ),
    ]
    return "\n\n".join(one for one in made if one)


def two_numbers(widest) -> str:
    if widest is None:
        return ""
    dataset, system, values = widest
    return ask(
        f"How can one model have an i2t R@1 of {min(values.values()):.1f} "
        f"and of {max(values.values()):.1f}?",
        f"On {dataset_name(dataset)} many captions stand word for word "
        f"under several pictures, so {system} gives them exactly equal "
        "scores. Which of the tied ones is said to be first "
        "is a rule, not a property of the model. The expected rule takes "
        "the mean over all orders.",
    )


def ceilings(root: Path) -> str:
    if "ucm" not in (known := protocol(root)):
        return ""
    best = known["ucm"]["ceilings"]
    return ask(
        "What is the best i2t R@1 that any model could have on UCM-Captions?",
        f"{best['i2t']['R@1']:.1f} %, not 100: where equal captions belong to "
        "different pictures, no model can tell them apart. The mean of the six "
        f"recalls cannot exceed {best['mR']:.1f}.",
    )


def baseline(found: list) -> str:
    """Where the baselines stand beside the first system."""
    keys = [("linear", "linear"), ("mlp", "mlp"), ("amfmn", "soft-minilm")]
    lines = []
    for dataset in ("rsicd", "ucm"):
        three = [tables.pick(found, key, dataset) for key in keys]
        if all(three):
            linear, mlp, amfmn = (f"{one.mean()['mR']:.2f}" for one in three)
            lines.append(
                f"On {dataset_name(dataset)} two matrices have an mR of {linear}, two "
                f"layers on each side {mlp}, AMFMN on the same encoders {amfmn}."
            )
    return ask(
        "Why do two plain baselines stand before every model?",
        *lines,
        "They say how far the encoders go alone. A module has to clear that bar, on "
        "the same encoders; a number in a paper was made on others.",
    )
