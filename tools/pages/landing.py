"""The landing page: the systems there are, and what surprises most."""

from pathlib import Path

import systems

from rsir.evaluation.metrics import TIES
from rsir.experiments import tables

from . import badge, dataset_name, joined, name_of, spread, table, unprinted, wide

WORDS = {
    "pessimistic": "pessimistic",
    "released": "released",
    "expected": "expected (this book)",
    "optimistic": "optimistic",
}


def render(root: Path) -> dict[str, str]:
    found = heads(root)
    widest = surprise(found)
    parts = [finding(root, *widest) if widest else "", standing(found)]
    return {
        "landing.md": joined(parts),
        "systems.md": systems.sentence(root),
        "chapters.md": chapters(root),
    }


def heads(root: Path) -> list:
    """The rows of records that stand for a system."""
    return [one for one in tables.load(root / "results") if one.headline]


def surprise(heads: list):
    """(data set, system, {rule: i2t R@1}) of the row that the rule moves most."""
    known = []
    for one in heads:
        values = {rule: one.mean(rule)["i2t"]["R@1"] for rule in TIES}
        known.append((one.dataset, name_of(one, dagger=False), values))
    real = [one for one in known if one[0] != "toy"]
    moved = [max(one[2].values()) - min(one[2].values()) for one in real]
    return real[moved.index(max(moved))] if real else None


def finding(root: Path, dataset: str, system: str, values: dict) -> str:
    """A box: the two numbers, a bar a rule, what it means."""
    low, high = min(values.values()), max(values.values())
    more, facts = "", tables.protocol(root / "results").get(dataset)
    if facts and high > (best := facts["ceilings"]["test"]["i2t"]["R@1"]):
        more = (
            " The higher number is above what any model can really reach: equal "
            f"captions set a {{term}}`ceiling` of {best:.1f} %."
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
correct sentence first for {low:.1f} % of the pictures, or for {high:.1f} %.
The only difference is the {{term}}`tie rule`: how we order captions that are
the same text. Each bar shows the i2t R@1 under one rule.{more}

```{{raw}} html
<ul class="tie-bars" aria-label="i2t R@1 in percent, by tie rule">
{bars}
</ul>
```

No paper says which rule its tables use. Every number in this book does;
[the protocol chapter](../notebooks/01_data_and_protocol.ipynb) explains
why.
:::::"""


def standing(heads: list) -> str:
    """The four systems on real data, each beside its printed range."""
    lines = []
    for one in heads:
        verdict = one.verdict()
        if verdict is not None:
            printed = f"{verdict.low:.2f}–{verdict.high:.2f}"
            said = [printed, badge(verdict.outcome)]
        elif unprinted(one) == "not at hand":
            said = ["not at hand", "–"]
        else:
            continue
        data = dataset_name(one.dataset).removesuffix("-Captions")
        lines.append([data, name_of(one), spread(one), *said])
    if not lines:
        return ""
    head = ["data", "system", "ours, mR", "reported", "verdict"]
    return (
        "## Our numbers and the published ones\n\n"
        + wide(table(head, lines, right=head[2:3]))
        + "\n\nThe table shows the mean recall ({term}`mR`) over our runs, with "
        "their number in brackets, and the range of the number that the paper or a "
        "re-run of it printed. Our encoders are not the paper's. A dagger (†) marks "
        "runs that were made before a change of code or data. *Not at hand*: we "
        "could not read the recalls of this paper. More: {doc}`all results "
        "<results>` with intervals, ablations, cost and commands; {doc}`all claims "
        "<claims>`; {doc}`where paper and code differ <differences>`."
    )


def chapters(root: Path) -> str:
    """The chapters, a line each, from the contents."""
    lines = [
        f"{int(one.number)}. [{one.title}](../notebooks/{one.stem}.ipynb)"
        f"  \n   {one.subtitle}"
        for one in systems.chapters(root)
    ]
    return "\n".join(lines) or "No chapter is in the contents yet."
