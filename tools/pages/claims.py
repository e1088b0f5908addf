"""The claims page: what papers say, and what became of it here."""

import json
from dataclasses import dataclass
from pathlib import Path

from rsir.experiments import tables
from rsir.experiments.claims import Claim, Verdict, check_short_list, load_claims
from rsir.experiments.records import BENCH, declared
from rsir.models import methods

from . import (
    badge,
    dataset_name,
    gain,
    in_book,
    joined,
    linked,
    name_of,
    sentence,
    spread,
    stale_sentences,
    table,
    wide,
)

TEST = "tests/book/test_pages.py"
DATASETS = tuple(tables.DATASETS)
#: rows that are held to a printed number, by the system it is of
RANGE_ROWS = {
    "AMFMN": [("amfmn", "soft-minilm"), ("amfmn", "soft-gru")],
    "AMFMN-soft": [("amfmn", "soft-minilm"), ("amfmn", "soft-gru")],
    "AMFMN-fusion": [("amfmn", "abl-fusion")],
    "AMFMN-sim": [("amfmn", "abl-sim")],
    "GaLR": [("galr", "midf")],
    "GaLR with MR": [("galr", "midf+mr")],
    # published weights, by the file that `rsir bench` was given
    "RemoteCLIP RN50": [(BENCH, "open_clip-RN50-RemoteCLIP-RN50.pt")],
    "RemoteCLIP ViT-B/32": [(BENCH, "open_clip-ViT-B-32-RemoteCLIP-ViT-B-32.pt")],
    "RemoteCLIP ViT-L/14": [(BENCH, "open_clip-ViT-L-14-RemoteCLIP-ViT-L-14.pt")],
    "GeoRSCLIP-B/32 zero-shot": [
        (BENCH, "open_clip-ViT-B-32-quickgelu-RS5M_ViT-B-32.pt")
    ],
    "GeoRSCLIP-H/14 zero-shot": [(BENCH, "open_clip-ViT-H-14-RS5M_ViT-H-14.pt")],
}
PENDING = "not measured yet"
OUTCOMES = ("reached", "below", "holds", "does not hold", "smaller than printed")
OUTCOMES += ("no effect here", "not decided", "not comparable")
#: is of time, and not of two rows of records
SHORT_LIST = "cfitr-real-time"


@dataclass(frozen=True)
class Outcome:
    """What became of a claim on one data set."""

    dataset: str
    verdict: Verdict
    row: str = ""
    numbers: str = ""


def outcomes(found: list, claim: Claim, root: Path) -> list[Outcome]:
    """The verdicts on a claim; [] where nothing of it is measured."""
    if claim.id == SHORT_LIST:
        return short_lists(root)
    if claim.kind == "range":
        dataset = claim.dataset.lower()
        keys = RANGE_ROWS.get(claim.system, [])
        held = [tables.pick(found, key, dataset) for key in keys]
        return [
            Outcome(dataset, verdict, name_of(one), spread(one))
            for one in held
            if one and (verdict := one.verdict(claim.system))
        ]
    step = tables.claim_step(claim.id)
    if step is None:
        return []
    (_, better), (_, worse) = step
    return [
        Outcome(
            one["data"],
            one["verdict"],
            f"`{better}` against `{worse}`",
            f"{gain(one['pair'])} mR, seeds: {one['pair'].runs[0]}",
        )
        for one in tables.steps_table(found, [(*step, claim.id)], DATASETS)
    ]


def short_lists(root: Path) -> list[Outcome]:
    """What `benchmarks/stages.py` measured, a data set a line."""
    made, home = [], root / "results" / "search"
    for dataset in DATASETS:
        paths = [home / f"{dataset}-{split}.json" for split in ("val", "test")]
        if not all(path.exists() for path in paths):
            continue
        both = [json.loads(path.read_text("utf-8")) for path in paths]
        why = declared(SHORT_LIST, dataset, "coarse-to-fine", root / "results")
        verdict = check_short_list(SHORT_LIST, *both, declared=why)
        notes = verdict.notes[0].replace("; ", "<br>")
        numbers = f"{verdict.ours:.1f} times as fast<br>{notes}"
        names = "a short list of `coarse-to-fine` against all pairs"
        made.append(Outcome(dataset, verdict, names, numbers))
    return made


def pending(claim: Claim) -> str:
    """Why a claim without an outcome has none."""
    if claim.method.lower() not in methods() and claim.system not in RANGE_ROWS:
        return f"{PENDING}: {claim.method} is not in the book yet"
    if "quoted" in claim.check:
        return "quoted, not measured"
    if claim.check.startswith("rsir bench"):
        return f"{PENDING}: `{claim.check}`"
    if claim.kind == "qualitative":
        return f"{PENDING} by a record; see how it is checked"
    if tables.claim_step(claim.id) or claim.system in RANGE_ROWS:
        return PENDING
    return f"{PENDING}: no row of the book measures it"


def render(root: Path) -> dict[str, str]:
    found = tables.load(root / "results")
    known = load_claims()
    made = {claim.id: outcomes(found, claim, root) for claim in known}
    papers = [
        paper(root, [c for c in known if c.method == method], made)
        for method in dict.fromkeys(claim.method for claim in known)
    ]
    return {"claims.md": joined([summary(made), *papers, *stale_sentences(found)])}


def summary(made: dict) -> str:
    words = [one.verdict.outcome for found in made.values() for one in found]
    counts = ", ".join(f"{x} {words.count(x)}" for x in OUTCOMES if x in words)
    with_one = sum(bool(found) for found in made.values())
    text = f"{len(made)} claims, {with_one} of them with a verdict from records."
    return f"{text} Verdicts: {counts}." if counts else text


def paper(root: Path, mine: list[Claim], made: dict) -> str:
    """One paper: its printed numbers, then its statements."""
    method = mine[0].method
    parts = [f"(claims-{method.lower()})=\n## {method}"]
    if mine[0].check.startswith("rsir bench"):
        parts.append(
            f"{method} is not built here. Its published weights can be scored under "
            "the book's protocol ([how](bench.md)); a verdict is on such a record."
        )
    elif method.lower() not in methods():
        parts.append(
            f"{method} is not in the book yet: its claims are listed with their "
            "sources, and nothing of them is measured."
        )
    ranges = [claim for claim in mine if claim.kind == "range"]
    if ranges:
        parts += [
            f"### Printed numbers of {method}\n\nA verdict is on the row named "
            f"beside it. Each line is one case of `{TEST}`, under the claim's id.",
            printed_numbers(ranges, made),
        ]
    parts += [
        statement(root, claim, made[claim.id])
        for claim in mine
        if claim.kind != "range"
    ]
    return "\n\n".join(parts)


def printed_numbers(ranges: list[Claim], made: dict) -> str:
    lines, why = [], []
    for claim in ranges:
        sources = ", ".join(
            linked(source, f"source {number}" if number > 1 else "source")
            for number, source in enumerate(claim.sources, 1)
        )
        text = f"{claim.text} `{claim.id}` ({sources})"
        printed = f"{claim.value:.2f}<br>({claim.low:.2f}–{claim.high:.2f})"
        ours = [
            [badge(one.verdict.outcome), one.row, one.numbers] for one in made[claim.id]
        ] or [[badge(PENDING), pending(claim).removeprefix(PENDING).strip(": ")]]
        for number, parts in enumerate(ours):
            said = "<br>".join(filter(None, parts))
            lines.append(["" if number else text, said, printed, claim.dataset])
        why += [
            f"- {one.row}, {dataset_name(one.dataset)}: {one.verdict.declared}"
            for one in made[claim.id]
            if one.verdict.declared
        ]
    head = ["claim", "verdict: row, mR", "printed (range)", "data set"]
    notes = [f"- `{c.id}`: {sentence(c.note)}" for c in ranges if c.note]
    below = ["Below its range, and why:", "\n".join(dict.fromkeys(why))] if why else []
    return joined([wide(table(head, lines), "first"), "\n".join(notes), *below])


def statement(root: Path, claim: Claim, found: list[Outcome]) -> str:
    """A claim that one thing is better than another, or on cost."""
    title = claim.line or claim.id.partition("-")[2].replace("-", " ")
    printed = f" Printed: {claim.value or 0:+.2f} {claim.quantity} on {claim.dataset}."
    said = claim.text + ("" if claim.value is None else printed)
    parts = [
        f"(claim-{claim.id})=\n### {title[:1].upper()}{title[1:]}",
        f"{said} Source: {'; '.join(map(linked, claim.sources))}.",
        f"*How it is checked:* {claim.check}. *By:* `{TEST}`, case "
        f"`{claim.id}`{chapters(root, claim)}.",
        f"*Note:* {sentence(claim.note)}" if claim.note else "",
    ]
    if not found:
        return joined([*parts, f"*Outcome:* {pending(claim)}."])
    lines = [
        [dataset_name(one.dataset), badge(one.verdict.outcome), one.numbers]
        for one in found
    ]
    lines += [
        [dataset_name(name), badge(PENDING), "–"]
        for name in ("rsicd", "ucm", "rsitmd")
        if name not in {one.dataset for one in found}
    ]
    head = ["data set", "outcome", "gain" if claim.id == SHORT_LIST else "gain [95 %]"]
    parts += [f"*Rows:* {found[0].row}", wide(table(head, lines))]
    for one in found:
        name = dataset_name(one.dataset)
        if claim.id == SHORT_LIST:
            parts += [f"*{name}:* {sentence(note)}" for note in one.verdict.notes[1:]]
        if one.verdict.declared:
            parts.append(f"*Declared for {name}:* {one.verdict.declared}")
    return joined(parts)


def chapters(root: Path, claim: Claim) -> str:
    """The chapters whose code names the claim, as links."""
    links = []
    for path in sorted((root / "notebooks").glob("[0-9]*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
        if f'"{claim.id}"' in "".join(code) and in_book(root, path.stem):
            links.append(f"[{path.stem}](../notebooks/{path.name})")
    return f", and a verdict in {', '.join(links)}" if links else ""
