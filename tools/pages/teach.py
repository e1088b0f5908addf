"""The teacher's page: plans that follow the contents, questions.

The texts stand in `book/teach.yml`. A chapter that is not in the contents is
named without a link and marked, so that the plan is true on the day it is
read. Numbers in answers are computed from the records.
"""

from pathlib import Path

import systems
import yaml
from nbkit import ROOT

from rsir.experiments import tables

from . import dataset_name, system_name, table, wide
from .landing import surprise
from .status import costs

MISSING = "not in this edition"


def render(root: Path) -> dict[str, str]:
    known = {one.method: one for one in systems.chapters(root)}
    said = yaml.safe_load((ROOT / "book/teach.yml").read_text("utf-8"))
    lines = [
        [time, what, link(known, name) if name else "–"]
        for time, what, name in said["day"]
    ]
    return {
        "lectures.md": lectures(known, said["lectures"]),
        "day.md": wide(table(["time", "what", "chapter"], lines)),
        "beforehand.md": beforehand(root, known),
        "questions.md": questions(said["questions"], numbers(root)),
    }


def link(known: dict, name: str, whole: bool = False) -> str:
    """A chapter by its number, or by number and title."""
    if name not in known:
        return f"{system_name(name)} ({MISSING})"
    one = known[name]
    text = f"{one.number}. {one.title}" if whole else one.number
    return f"[{text}](../notebooks/{one.stem}.ipynb)"


def lectures(known: dict, plan: list[dict]) -> str:
    parts = []
    for number, one in enumerate(plan, 1):
        names = ", ".join(link(known, name, whole=True) for name in one["chapters"])
        stems = [known[name].stem for name in one["chapters"] if name in known]
        decks = [x for x in stems if (ROOT / f"book/slides/{x}.md").exists()]
        slides = "".join(f"slides\n: `_build/slides/{x}.html`\n\n" for x in decks)
        parts.append(
            f"**Lecture {number}: {one['title']}**\n\n{{.parts}}\n"
            f"chapter\n: {names}\n\n{slides}in class\n: {one['in class']}\n\n"
            f"at home\n: {one['at home']}"
        )
    return "\n\n".join(parts)


def beforehand(root: Path, known: dict) -> str:
    """What the chapters cost here, so that nobody waits in class."""
    status = costs(root)
    lines = [
        [link(known, one.method), one.title, cost["seconds"], cost["peak_memory_mb"]]
        for one in known.values()
        if (cost := status.get(one.stem))
    ]
    minutes = max(1, round(sum(line[2] for line in lines) / 60))
    head = ["", "chapter", "seconds", "peak memory, MB"]
    return (
        table(head, lines, right=head[2:])
        + f"\n\nTogether {minutes} minutes on two cores, with the toy scenes and the "
        "features at hand."
    )


def questions(asked: list[dict], known: dict) -> str:
    parts = []
    for one in asked:
        try:
            question, answer = (one[x].format(**known) for x in ("ask", "answer"))
        except KeyError:  # nothing to count it from yet
            continue
        parts.append(f":::{{dropdown}} {question}\n{answer}\n:::")
    return "\n\n".join(parts)


def numbers(root: Path) -> dict[str, str]:
    """What the answers name, as far as there are records."""
    found = tables.load(root / "results")
    known = {"baselines": baselines(found)}
    if widest := surprise([one for one in found if one.headline]):
        dataset, known["system"], values = widest
        known["dataset"] = dataset_name(dataset)
        known["low"] = f"{min(values.values()):.1f}"
        known["high"] = f"{max(values.values()):.1f}"
    if facts := tables.protocol(root / "results").get("ucm"):
        known["ceiling"] = f"{facts['ceilings']['test']['i2t']['R@1']:.1f}"
        known["ceiling_mR"] = f"{facts['ceilings']['test']['mR']:.1f}"
    return known


def baselines(found: list) -> str:
    """Where the baselines stand beside the first system."""
    keys = [("linear", "linear"), ("mlp", "mlp"), ("amfmn", "soft-minilm")]
    text = ""
    for dataset in ("rsicd", "ucm"):
        three = [tables.pick(found, key, dataset) for key in keys]
        if all(three):
            linear, mlp, amfmn = (f"{one.mean()['mR']:.2f}" for one in three)
            text += (
                f"On {dataset_name(dataset)} two matrices have an mR of {linear}, two "
                f"layers on each side {mlp}, AMFMN on the same encoders {amfmn}.\n\n"
            )
    return text
