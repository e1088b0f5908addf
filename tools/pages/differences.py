"""Paper against code: each difference and what it does, measured.

The differences stand in `book/differences.yml`. Their effects are
computed here: from paired rows of `results/`, from the ranks of the
headline rows, or they follow from algebra that a test proves.
"""

from pathlib import Path

import measured
import systems
import yaml
from measured import dataset_name

from . import table
from .claims import PENDING
from .landing import surprise
from .results import sentence, wide

NAMES = ["differences.md"]
KINDS = ("rows", "pending", "exact", "ties", "none")


def load(root: Path) -> list[dict]:
    """The entries; a test holds them to their form."""
    path = root / "book/differences.yml"
    if not path.exists():
        return []
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def render(root: Path) -> dict[str, str]:
    entries = load(root)
    if not entries:
        return {"differences.md": "No difference is listed."}
    found = measured.rows(root)
    parts = [counted(entries, found)]
    for system in dict.fromkeys(entry["system"] for entry in entries):
        mine = [e for e in entries if e["system"] == system]
        parts.append(heading(root, system))
        parts += [shown(root, entry, found) for entry in mine]
    parts += measured.stale_sentences(compared(entries, found))
    return {"differences.md": "\n\n".join(parts)}


def counted(entries: list[dict], found: list) -> str:
    """How many there are, and how many of them are measured."""
    pairs = [e for e in entries if {"rows", "pending"} & {*e["effect"]}]
    done = sum("rows" in e["effect"] and bool(gains(e, found))
               for e in pairs)  # fmt: skip
    exact = sum("exact" in e["effect"] for e in entries)
    return (
        f"{len(entries)} differences. A pair of rows can measure "
        f"{len(pairs)} of them; {done} of these are measured. For {exact} "
        "the effect follows from the algebra."
    )


def heading(root: Path, system: str) -> str:
    text = f"(differences-{system.lower()})=\n## {system}"
    if system == "All":
        return "(differences-all)=\n## All systems"
    for one in systems.chapters(root):
        if one.method == system.lower():
            text += (
                f"\n\nChapter {one.number}: [{one.title}]"
                f"(../notebooks/{one.stem}.ipynb)."
            )
    return text


def shown(root: Path, entry: dict, found: list) -> str:
    """One difference: three lines, then its effect."""
    lines = [
        ["paper", sentence(entry["paper"])],
        ["released code", sentence(entry["code"])],
        ["here", sentence(entry["ours"])],
    ]
    parts = [
        f"(difference-{entry['id']})=\n### {entry['part']}",
        "{.parts}\n" + "\n".join(f"{name}\n: {text}\n" for name, text in lines).strip(),
        *effect(root, entry, found),
    ]
    if proof := entry.get("test"):
        parts.append(f"*Proved by* `{proof.removesuffix('::*')}`.")
    return "\n\n".join(parts)


def compared(entries: list[dict], found: list) -> list:
    """The rows behind the effects that are shown, each once."""
    keys = {
        tuple(key) for entry in entries
        for key in entry["effect"].get("rows", ()) if gains(entry, found)
    }  # fmt: skip
    return [row for row in found if (row.method, row.row) in keys]


def gains(entry: dict, found: list) -> list[list[str]]:
    """(data set, gain, seeds) of each data set with both rows.

    A dagger marks a gain with a row of records that are stale.
    """
    better, worse = (tuple(row) for row in entry["effect"]["rows"])
    lines = []
    for dataset in measured.DATASETS:
        pair = measured.paired(found, better, worse, dataset)
        if not isinstance(pair, str):
            both = (measured.pick(found, key, dataset) for key in (better, worse))
            mark = " †" if any(row.stale() for row in both) else ""
            lines.append([
                dataset_name(dataset), measured.gain(pair) + mark,
                " and ".join(map(str, dict.fromkeys(pair.runs))),
            ])  # fmt: skip
    return lines


def effect(root: Path, entry: dict, found: list) -> list[str]:
    known, parts = entry["effect"], []
    if "exact" in known:
        parts.append(f"**Effect:** {sentence(known['exact'])}")
    if "none" in known:
        parts.append(f"**Effect:** {sentence(known['none'])}")
    if "ties" in known:
        parts.append(ties(root, found))
    if "pending" in known:
        parts.append(f"**Effect** ({known['pending']}): {PENDING}.")
    if "rows" in known:
        says = " ".join(known["says"].split())
        if lines := gains(entry, found):
            parts.append(
                f"**Effect**, {says}, in points of mR with the 95 % "
                "interval of the paired difference:"
            )
            head = ["data set", "gain [95 %]", "seeds"]
            parts.append(wide(table(head, lines, right=head[1:])))
        else:
            parts.append(f"**Effect** ({says}): {PENDING}.")
    return parts


def ties(root: Path, found: list) -> str:
    """What the released rule does to the headline rows."""
    heads = [row for row in found if row.headline]
    widest = surprise(root, heads)
    if widest is None:
        return f"**Effect:** {PENDING}."
    dataset, system, values = widest
    lines = [
        [dataset_name(row.dataset), row.name.rstrip(" †"),
         f"{row.mean()['mR']:.2f}", f"{row.mean('released')['mR']:.2f}"]
        for row in heads
    ]  # fmt: skip
    text = (
        f"**Effect:** on {dataset_name(dataset)} the rule alone moves "
        f"the i2t R@1 of {system} from {min(values.values()):.1f} to "
        f"{max(values.values()):.1f}."
    )
    if not lines:
        return text
    head = ["data set", "system", "mR, expected", "mR, released"]
    return (
        f"{text} In the mean of the six recalls, and with a stable sort, "
        "less is left of it:\n\n" + wide(table(head, lines, right=head[2:]))
    )
