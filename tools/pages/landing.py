"""The landing page: the systems there are, and what surprises most."""

import json
from pathlib import Path

import measured
import systems
from measured import SYSTEMS, badge, dataset_name

from rsir.evaluation.metrics import TIES
from rsir.experiments.claims import NOT_AT_HAND

from . import table
from .results import unprinted, wide

NAMES = ["landing.md", "systems.md", "chapters.md"]
WORDS = {
    "pessimistic": "ties against it", "released": "the released code's",
    "expected": "expected, this book's", "optimistic": "ties for it",
}  # fmt: skip


def render(root: Path) -> dict[str, str]:
    found = measured.rows(root)
    heads = [row for row in found if row.headline]
    widest = surprise(root, heads)
    parts = [finding(root, *widest) if widest else "", standing(heads)]
    return {
        "landing.md": "\n\n".join(part for part in parts if part),
        "systems.md": systems.sentence(
            root,
            lambda s: f"[{s.name}](../notebooks/{s.chapter.stem}.ipynb)",
        ),
        "chapters.md": chapters(root),
    }


# -- one model, two numbers -------------------------------------------


def surprise(root: Path, heads: list):
    """(data set, system, {rule: i2t R@1}) where the rule moves most.

    From the ranks of headline rows on real data; before there are any,
    from the facts of chapter 01.
    """
    known = [
        (row.dataset, row.name.rstrip(" †"),
         {rule: row.mean(rule)["i2t"]["R@1"] for rule in TIES})
        for row in heads if row.dataset != "toy"
    ] or from_protocol(root)  # fmt: skip
    return max(known, key=lambda one: spread(one[2]), default=None)


def from_protocol(root: Path) -> list[tuple]:
    names = {"pocket": "the pocket baseline"}
    return [
        (path.stem, names.get(name, f"a linear map on `{name}`"),
         {rule: facts["recalls"][rule]["i2t"]["R@1"] for rule in TIES})
        for path in sorted((root / "results/protocol").glob("*.json"))
        if path.stem != "toy"
        for name, facts in json.loads(
            path.read_text(encoding="utf-8")
        )["systems"].items()
    ]  # fmt: skip


def spread(values: dict) -> float:
    return max(values.values()) - min(values.values())


def ceiling(root: Path, dataset: str) -> float | None:
    """The best i2t R@1 that a model can have, where it is known."""
    path = root / f"results/protocol/{dataset}.json"
    if not path.exists():
        return None
    known = json.loads(path.read_text(encoding="utf-8"))
    return known["ceilings"]["i2t"]["R@1"]


def finding(root: Path, dataset: str, system: str, values: dict) -> str:
    """A box: the two numbers, a bar a rule, what it means."""
    low, high = min(values.values()), max(values.values())
    best, more = ceiling(root, dataset), ""
    if best is not None and high > best:
        more = (
            f" The upper number is more than any model can honestly have: "
            f"equal captions set a {{term}}`ceiling` of {best:.1f} %."
        )
    bars = "\n".join(
        f'<li><span class="rule">{WORDS[rule]}</span>'
        f'<span class="bar" style="--share: {values[rule]:.1f}%"></span>'
        f'<span class="value">{values[rule]:.1f}</span></li>'
        for rule in sorted(values, key=values.get)
    )
    return f"""\
:::::{{div}} finding
**One model, two numbers: {low:.1f} or {high:.1f}**

On {dataset_name(dataset)}, one and the same model ({system}) puts a
right sentence first for {low:.1f} % of the pictures, or for {high:.1f} %.
Nothing differs but the order of captions that read the same.{more}

```{{raw}} html
<ul class="tie-bars" aria-label="i2t R@1 in percent, by tie rule">
{bars}
</ul>
```

No paper's table says which of these it shows. Every number of this book
does; [the protocol chapter](../notebooks/01_data_and_protocol.ipynb)
tells why.
:::::"""


# -- where the systems stand ------------------------------------------


def standing(heads: list) -> str:
    """The four systems on real data, each beside its printed range."""
    lines = []
    for row in heads:
        verdict = row.verdict()
        if verdict is not None:
            said = [f"{verdict.low:.2f}–{verdict.high:.2f}",
                    badge(verdict.outcome)]  # fmt: skip
        elif row.dataset != "toy" and SYSTEMS[row.method] in NOT_AT_HAND:
            said = [unprinted(row), "–"]
        else:
            continue
        lines.append([
            dataset_name(row.dataset).removesuffix("-Captions"),
            row.name.rstrip(" †"), row.spread(), *said,
        ])  # fmt: skip
    if not lines:
        return ""
    head = ["data", "system", "ours, mR", "reported", "verdict"]
    return (
        "## Where the numbers stand\n\n"
        + wide(table(head, lines, right=head[2:3]))
        + "\n\nMean recall over runs (their number in brackets), each "
        "held to what the paper or a re-run of it printed, on encoders "
        "that are not the paper's. *Not at hand*: a paper whose recalls "
        "this edition could not read. {doc}`All results <results>`, with "
        "intervals, ablations, cost and commands; {doc}`all claims "
        "<claims>`; {doc}`where paper and code differ <differences>`."
    )


def chapters(root: Path) -> str:
    """The chapters, a line each, from the contents."""
    lines = [
        f"{int(one.number)}. [{one.title}](../notebooks/{one.stem}.ipynb)"
        f"  \n   {one.subtitle}"
        for one in systems.chapters(root)
    ]
    if not lines:
        return "No chapter is in the contents yet."
    return "\n".join(lines)
