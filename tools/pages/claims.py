"""The claims page: what four papers say, and what became of it here."""

import json
from dataclasses import dataclass
from pathlib import Path

import measured
from measured import badge, dataset_name

from rsir.experiments import records
from rsir.experiments.claims import Claim, Verdict, check_short_list
from rsir.models.recipes import RECIPES

from . import in_book, table
from .results import linked, sentence, wide

NAMES = ["claims.md"]
TEST = "tests/test_claims.py"
DATASETS = ("rsicd", "ucm", "rsitmd", "sydney", "toy")
#: rows that are held to a printed number, by the system it is of
RANGE_ROWS = {
    "AMFMN": [("amfmn", "soft-minilm"), ("amfmn", "soft-gru")],
    "AMFMN-soft": [("amfmn", "soft-minilm"), ("amfmn", "soft-gru")],
    "AMFMN-fusion": [("amfmn", "abl-fusion")],
    "AMFMN-sim": [("amfmn", "abl-sim")],
    "GaLR": [("galr", "midf")],
    "GaLR with MR": [("galr", "midf+mr")],
}
PENDING = "not measured yet"
#: is of time, and not of two rows of records
SHORT_LIST = "cfitr-real-time"


@dataclass(frozen=True)
class Outcome:
    """What became of a claim on one data set."""

    dataset: str
    verdict: Verdict | None
    row: str = ""
    numbers: str = ""

    @property
    def word(self) -> str:
        return self.verdict.outcome if self.verdict else PENDING


def outcomes(found: list, claim: Claim, root: Path) -> list[Outcome]:
    """The verdicts on a claim; [] where nothing of it is measured."""
    if claim.id == SHORT_LIST:
        return short_lists(root)
    if claim.kind == "range":
        dataset = claim.dataset.lower()
        held = [
            measured.pick(found, key, dataset)
            for key in RANGE_ROWS.get(claim.system, [])
        ]
        return [
            Outcome(dataset, verdict, row.name, row.spread())
            for row in held
            if row and (verdict := row.verdict(claim.system))
        ]
    step = measured.claim_step(claim.id)
    if step is None:
        return []
    made = []
    for dataset in DATASETS:
        verdict, pair = measured.direction(found, *step, claim.id, dataset)
        if verdict is not None:
            numbers = f"{measured.gain(pair)} mR, seeds: {pair.runs[0]}"
            names = f"`{step[0][1]}` against `{step[1][1]}`"
            made.append(Outcome(dataset, verdict, names, numbers))
    return made


def short_lists(root: Path) -> list[Outcome]:
    """What `benchmarks/stages.py` measured, a data set a line."""
    made, home = [], root / "results" / "search"
    for dataset in DATASETS:
        paths = [home / f"{dataset}-{x}.json" for x in ("val", "test")]
        if not all(path.exists() for path in paths):
            continue
        verdict = check_short_list(
            SHORT_LIST,
            *(json.loads(x.read_text("utf-8")) for x in paths),
            declared=records.declared(
                SHORT_LIST, dataset, "coarse-to-fine", root / "results"
            ),
        )
        numbers = f"{verdict.ours:.1f} times as fast<br>" + verdict.notes[0].replace(
            "; ", "<br>"
        )
        names = "a short list of `coarse-to-fine` against all pairs"
        made.append(Outcome(dataset, verdict, names, numbers))
    return made


def pending(claim: Claim) -> str:
    """Why a claim without an outcome has none."""
    if claim.method.lower() not in RECIPES:
        return f"{PENDING}: {claim.method} is not in the book yet"
    if "quoted" in claim.check:
        return "quoted, not measured"
    if claim.kind == "qualitative":
        return f"{PENDING} by a record; see how it is checked"
    if measured.claim_step(claim.id) or claim.system in RANGE_ROWS:
        return PENDING
    return f"{PENDING}: no row of the book measures it"


def render(root: Path) -> dict[str, str]:
    found = measured.rows(root)
    made = {c.id: outcomes(found, c, root) for c in measured.claims().values()}
    parts = [summary(made)]
    for method in dict.fromkeys(c.method for c in measured.claims().values()):
        parts.append(paper(root, method, made))
    parts += measured.stale_sentences(found)
    return {"claims.md": "\n\n".join(part for part in parts if part)}


def summary(made: dict) -> str:
    with_one = sum(bool(found) for found in made.values())
    words = [one.word for found in made.values() for one in found]
    counts = ", ".join(
        f"{word} {words.count(word)}"
        for word in ("reached", "below", "holds", "does not hold",
                     "not decided", "not comparable")
        if word in words
    )  # fmt: skip
    text = f"{len(made)} claims, {with_one} of them with a verdict from records"
    return f"{text}. Verdicts: {counts}." if counts else f"{text}."


def paper(root: Path, method: str, made: dict) -> str:
    """One paper: its printed numbers, then its statements."""
    mine = [c for c in measured.claims().values() if c.method == method]
    parts = [f"(claims-{method.lower()})=\n## {method}"]
    if method.lower() not in RECIPES:
        parts.append(
            f"{method} is not in the book yet: its claims are listed "
            "with their sources, and nothing of them is measured."
        )
    ranges = [c for c in mine if c.kind == "range"]
    if ranges:
        parts.append(
            f"### Printed numbers of {method}\n\nA verdict is on the row "
            "named beside it. Each line is one case of "
            f"`{TEST}`, under the claim's id."
        )
        parts.append(printed_numbers(root, ranges, made))
    parts += [
        statement(root, claim, made[claim.id])
        for claim in mine
        if claim.kind != "range"
    ]
    return "\n\n".join(parts)


def printed_numbers(root: Path, ranges: list[Claim], made: dict) -> str:
    lines, declared = [], []
    for claim in ranges:
        sources = ", ".join(
            linked(source, f"source {number}" if number > 1 else "source")
            for number, source in enumerate(claim.sources, 1)
        )
        text = f"{claim.text} `{claim.id}` ({sources})"
        printed = f"{claim.value:.2f}<br>({claim.low:.2f}–{claim.high:.2f})"
        found = made[claim.id] or [None]
        for one in found:
            why = pending(claim).removeprefix(PENDING).strip(": ")
            ours = (
                [badge(PENDING), why]
                if one is None
                else [badge(one.word), one.row, one.numbers]
            )
            lines.append(
                [text, "<br>".join(filter(None, ours)), printed, claim.dataset]
            )
            text = ""
            if one and one.verdict.declared:
                declared.append(
                    f"- {one.row}, {dataset_name(one.dataset)}: {one.verdict.declared}"
                )
    head = ["claim", "verdict: row, mR", "printed (range)", "data set"]
    parts = [wide(table(head, lines), "first")]
    notes = [
        f"- `{claim.id}`: {sentence(claim.note)}" for claim in ranges if claim.note
    ]
    if notes:
        parts.append("\n".join(notes))
    if declared:
        parts.append(
            "Below its range, and why:\n\n" + "\n".join(dict.fromkeys(declared))
        )
    return "\n\n".join(parts)


def title(claim: Claim) -> str:
    line = claim.line or claim.id.partition("-")[2].replace("-", " ")
    return line[:1].upper() + line[1:]


def statement(root: Path, claim: Claim, found: list[Outcome]) -> str:
    """A claim that one thing is better than another, or on cost."""
    said = claim.text
    if claim.value is not None:
        said += f" Printed: {claim.value:+.2f} {claim.quantity} on {claim.dataset}."
    said += f" Source: {'; '.join(map(linked, claim.sources))}."
    how = (
        f"*How it is checked:* {claim.check}. *By:* `{TEST}`, case "
        f"`{claim.id}`{chapters(root, claim)}."
    )
    parts = [
        f"(claim-{claim.id})=\n### {title(claim)}", said, how,
        f"*Note:* {sentence(claim.note)}" if claim.note else "",
    ]  # fmt: skip
    if found:
        lines = [
            [dataset_name(one.dataset), badge(one.word), one.numbers] for one in found
        ]
        waiting = [
            [dataset_name(name), badge(PENDING), "–"]
            for name in ("rsicd", "ucm", "rsitmd")
            if name not in {one.dataset for one in found}
        ]
        interval = claim.id != SHORT_LIST
        head = ["data set", "outcome", "gain" + " [95 %]" * interval]
        parts.append(f"*Rows:* {found[0].row}")
        parts.append(wide(table(head, lines + waiting)))
        parts += [
            f"*{dataset_name(one.dataset)}:* {sentence(note)}"
            for one in found
            if claim.id == SHORT_LIST
            for note in one.verdict.notes[1:]
        ]
        parts += [
            f"*Declared for {dataset_name(one.dataset)}:* {one.verdict.declared}"
            for one in found
            if one.verdict.declared
        ]
    else:
        parts.append(f"*Outcome:* {pending(claim)}.")
    return "\n\n".join(part for part in parts if part)


def chapters(root: Path, claim: Claim) -> str:
    """The chapters whose code names the claim, as links."""
    links = []
    for path in sorted((root / "notebooks").glob("[0-9]*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = "".join(
            "".join(c["source"]) for c in cells
            if c["cell_type"] == "code"
        )  # fmt: skip
        if f'"{claim.id}"' in code and in_book(root, path.stem):
            links.append(f"[{path.stem}](../notebooks/{path.name})")
    return f", and a verdict in {', '.join(links)}" if links else ""
