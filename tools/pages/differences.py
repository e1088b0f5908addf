"""Paper against code: each difference and what it does, measured.

The differences stand in `book/differences.yml`. Their effects are
computed here: from paired rows of `results/`, from the ranks of the
headline rows, or they follow from algebra that a test proves.
"""

from pathlib import Path

import systems
import yaml
from nbkit import ROOT

from rsir.experiments import tables

from . import dataset_name, gain, name_of, sentence, stale_sentences, table, wide
from .claims import PENDING
from .landing import surprise

KINDS = ("variants", "pending", "exact", "ties", "none")


def load() -> list[dict]:
    """The entries; a test holds them to their form."""
    return yaml.safe_load((ROOT / "book/differences.yml").read_text("utf-8"))


def render(root: Path) -> dict[str, str]:
    entries = load()
    found = tables.load(root / "results")
    effects = {entry["id"]: gains(entry, found) for entry in entries}
    parts = [counted(entries, effects)]
    for system in dict.fromkeys(entry["system"] for entry in entries):
        parts.append(heading(root, system))
        mine = [e for e in entries if e["system"] == system]
        parts += [shown(root, entry, found, effects[entry["id"]]) for entry in mine]
    shown_rows = [x["effect"]["variants"] for x in entries if effects[x["id"]]]
    keys = {tuple(key) for rows in shown_rows for key in rows}
    parts += stale_sentences([one for one in found if one.key in keys])
    return {"differences.md": "\n\n".join(parts)}


def counted(entries: list[dict], effects: dict) -> str:
    """How many there are, and how many of them are measured."""
    pairs = [e for e in entries if {"variants", "pending"} & {*e["effect"]}]
    done = sum(bool(found) for found in effects.values())
    exact = sum("exact" in e["effect"] for e in entries)
    return (
        f"The page lists {len(entries)} differences. A pair of runs can measure "
        f"{len(pairs)} of them, and {done} of these are measured. For {exact}, the "
        "effect follows from the algebra."
    )


def heading(root: Path, system: str) -> str:
    if system == "All":
        return "(differences-all)=\n## All systems"
    text = f"(differences-{system.lower()})=\n## {system}"
    for one in systems.chapters(root):
        if one.method == system.lower():
            link = f"[{one.title}](../notebooks/{one.stem}.ipynb)"
            text += f"\n\nChapter {one.number}: {link}."
    return text


def shown(root: Path, entry: dict, found: list, effects: list) -> str:
    """One difference: three lines, then its effect."""
    names = {"paper": "paper", "released code": "code", "here": "ours"}
    lines = [f"{name}\n: {sentence(entry[key])}" for name, key in names.items()]
    known = entry["effect"]
    parts = [
        f"(difference-{entry['id']})=\n### {entry['part']}",
        "{.parts}\n" + "\n\n".join(lines),
        *(f"**Effect:** {sentence(known[k])}" for k in ("exact", "none") if k in known),
    ]
    if "ties" in known:
        parts.append(ties([one for one in found if one.headline]))
    if "pending" in known:
        parts.append(f"**Effect** ({known['pending']}): {PENDING}.")
    says = " ".join(known.get("says", "").split())
    if effects:
        head = ["data set", "gain [95 %]", "seeds"]
        parts += [
            f"**Effect**, {says}, in points of mR with the 95 % interval of the "
            "paired difference:",
            wide(table(head, effects, right=head[1:])),
        ]
    elif "variants" in known:
        parts.append(f"**Effect** ({says}): {PENDING}.")
    if proof := entry.get("test"):
        parts.append(f"*Proved by* `{proof.removesuffix('::*')}`.")
    return "\n\n".join(parts)


def gains(entry: dict, found: list) -> list[list[str]]:
    """(data set, gain, seeds) of each data set with both rows.

    A dagger marks a gain with a row of records that are stale.
    """
    sides = [tuple(key) for key in entry["effect"].get("variants", ())]
    lines = []
    for dataset in tables.DATASETS if sides else ():
        pair = tables.paired(found, *sides, dataset)
        if not isinstance(pair, str):
            both = [tables.pick(found, key, dataset) for key in sides]
            mark = " †" if any(one.stale() for one in both) else ""
            seeds = " and ".join(map(str, dict.fromkeys(pair.runs)))
            lines.append([dataset_name(dataset), gain(pair) + mark, seeds])
    return lines


def ties(heads: list) -> str:
    """What the released rule does to the headline rows."""
    widest = surprise(heads)
    if widest is None:
        return f"**Effect:** {PENDING}."
    dataset, system, values = widest
    lines = []
    for one in heads:
        both = [f"{one.mean(rule)['mR']:.2f}" for rule in ("expected", "released")]
        lines.append([dataset_name(one.dataset), name_of(one, dagger=False), *both])
    head = ["data set", "system", "mR, expected", "mR, released"]
    return (
        f"**Effect:** on {dataset_name(dataset)} the rule alone changes the i2t R@1 "
        f"of {system} from {min(values.values()):.1f} to {max(values.values()):.1f}. "
        "In the mean of the six recalls, and with a stable sort, the change is "
        "smaller:\n\n" + wide(table(head, lines, right=head[2:]))
    )
