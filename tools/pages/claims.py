"""The claims page: what papers say, and the outcome here."""

import json
from dataclasses import dataclass
from pathlib import Path

from rsir.evaluation.compare import needed, told
from rsir.experiments import tables
from rsir.experiments.claims import OUTCOMES, Claim, Verdict, load_claims
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
PENDING = "not measured yet"
ALL = ("reached", "below", *OUTCOMES, "not comparable")
#: the step of which the page says what it takes to be seen, points of mR
STEP = 0.5


@dataclass(frozen=True)
class Outcome:
    """The outcome of a claim on one data set."""

    dataset: str
    verdict: Verdict
    row: str = ""
    numbers: str = ""


def outcomes(found: list, claim: Claim, root: Path) -> list[Outcome]:
    """The verdicts on a claim; [] where none is measured."""
    if claim.id == tables.SHORT_LIST:
        return short_lists(root)
    if claim.kind == "range":
        made = []
        for one, verdict in tables.held(found, claim):
            part = one.dataset != claim.dataset.lower()
            row = name_of(one) + (f"<br>on {dataset_name(one.dataset)}" if part else "")
            made.append(Outcome(one.dataset, verdict, row, spread(one)))
        return made
    step = tables.claim_step(claim.id)
    result = tables.pooled(found, *step, claim.id) if step else None
    if result is None or result.verdict is None:
        return []
    return [Outcome(tables.POOLED, result.verdict, "", gain(result.pair))]


def short_lists(root: Path) -> list[Outcome]:
    """What `benchmarks/stages.py` measured, a data set a line."""
    made = []
    for dataset, verdict in tables.short_lists(root / "results").items():
        notes = verdict.notes[0].replace("; ", "<br>")
        numbers = f"{verdict.ours:.1f} times as fast<br>{notes}"
        names = "a short list of `coarse-to-fine` against all pairs"
        made.append(Outcome(dataset, verdict, names, numbers))
    return made


def render(root: Path) -> dict[str, str]:
    found = tables.load(root / "results")
    known = load_claims()
    made = {claim.id: outcomes(found, claim, root) for claim in known}
    papers = [
        paper(root, found, [c for c in known if c.method == method], made)
        for method in dict.fromkeys(claim.method for claim in known)
    ]
    head = summary(made), power(found)
    return {"claims.md": joined([*head, *papers, *stale_sentences(found)])}


def summary(made: dict) -> str:
    words = [one.verdict.outcome for found in made.values() for one in found]
    counts = ", ".join(f"{x} {words.count(x)}" for x in ALL if x in words)
    with_one = sum(bool(found) for found in made.values())
    text = f"{len(made)} claims, {with_one} of them with a verdict from our records."
    return f"{text} Verdicts: {counts}." if counts else text


def power(found: list) -> str:
    """How many pictures and seeds a small step takes, by the records there are."""
    lines = []
    for dataset, (varies, images, steps) in tables.noise(found).items():
        seeds = tables.CAMPAIGN[dataset]
        takes = "{:,} pictures,<br>{} seeds".format(*needed(STEP, varies))
        gain_told = f"{told(varies, images, seeds):.1f}"
        here = f"{gain_told}<br>({images:,} pictures,<br>{seeds} seeds)"
        spreads = f"{varies.images:.1f}", f"{varies.both:.1f}", f"{varies.seeds:.2f}"
        lines.append([dataset_name(dataset), *spreads, steps, takes, here])
    if not lines:
        return ""
    head = ["data set", "image", "image<br>and seed", "seed", "steps"]
    return (
        f"**What a gain of {STEP} mR takes**: how many test pictures and seeds does "
        "an experiment need to show such a gain in four of five cases? The first "
        "three columns show how much the difference of two rows varies, in points: "
        "from image to image in the same way under every seed, from image to image "
        "under one seed only, and from seed to seed over all images. Each is the "
        "quadratic mean over the steps that have several seeds. The last two columns "
        "show how many are needed, and the smallest gain that the pictures and seeds "
        "of this book can show.\n\n"
        + wide(table([*head, f"{STEP} mR takes", "shows, mR"], lines, right=head[1:]))
    )


def paper(root: Path, records: list, mine: list[Claim], made: dict) -> str:
    """One paper: its printed numbers, then its statements."""
    method = mine[0].method
    parts = [f"(claims-{method.lower()})=\n## {method}"]
    if mine[0].check.startswith("rsir bench"):
        parts.append(
            f"{method} is not implemented here. `rsir bench` can score its published "
            "weights under the book's protocol ([how](bench.md)), and a verdict is "
            "about such a record."
        )
    elif method.lower() not in methods():
        parts.append(
            f"{method} is not in the book yet. Its claims are listed with their "
            "sources, but none of them is measured."
        )
    ranges = [claim for claim in mine if claim.kind == "range"]
    if ranges:
        parts += [
            f"### Printed numbers of {method}\n\nA verdict is about the row named "
            f"under it. Each claim is one case of `{TEST}`, with the claim's "
            "id.",
            printed_numbers(ranges, made),
        ]
    parts += [
        statement(root, records, claim, made[claim.id])
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
        ] or [[badge(PENDING), tables.pending(claim).partition(": ")[2]]]
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


def statement(root: Path, records: list, claim: Claim, found: list[Outcome]) -> str:
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
    if step := tables.claim_step(claim.id):
        return joined([*parts, *pool_of(records, claim, step)])
    if not found:
        return joined([*parts, f"*Outcome:* {tables.pending(claim)}."])
    lines = [
        [dataset_name(one.dataset), badge(one.verdict.outcome), one.numbers]
        for one in found
    ]
    parts += [
        f"*Rows:* {found[0].row}",
        wide(table(["data set", "outcome", "gain"], lines)),
    ]
    for one in found:
        name = dataset_name(one.dataset)
        parts += [f"*{name}:* {sentence(note)}" for note in one.verdict.notes[1:]]
        if one.verdict.declared:
            parts.append(f"*Declared for {name}:* {one.verdict.declared}")
    return joined(parts)


def pool_of(records: list, claim: Claim, step) -> list[str]:
    """Gain and interval on each data set, and the verdict on all of them."""
    (_, better), (_, worse) = step
    result = tables.pooled(records, *step, claim.id)
    lines = []
    for part in result.parts:
        numbers = ["–", "–", "–"]
        if part.pair:
            seeds = max(part.pair.seeds)
            dagger = " †" if part.why else ""
            alone = "1, images alone" if seeds == 1 else seeds
            numbers = [gain(part.pair) + dagger, f"{part.pair.n_images:,}", alone]
        role = f"no: {part.why}" if part.why else "yes"
        lines.append([dataset_name(part.dataset), *numbers, role])
    said = "*Outcome:* not comparable, no fresh pair of rows on any data set."
    if pair := result.pair:
        verdict, seeds = badge(result.verdict.outcome), " + ".join(map(str, pair.seeds))
        numbers = [gain(pair), f"{pair.n_images:,}", seeds]
        lines.append(["**pooled**", *numbers, verdict])
        said = ""
    elif all(part.pair is None for part in result.parts):
        return [f"*Outcome:* {tables.pending(claim)}."]
    head = ["data set", "gain in mR [95 %]", "images", "seeds", "takes part"]
    parts = [f"*Rows:* `{better}` against `{worse}`", wide(table(head, lines)), said]
    if result.verdict and result.verdict.declared:
        parts.append(f"*Declared:* {result.verdict.declared}")
    return parts


def chapters(root: Path, claim: Claim) -> str:
    """The chapters whose code names the claim, as links."""
    links = []
    for path in sorted((root / "notebooks").glob("[0-9]*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
        if f'"{claim.id}"' in "".join(code) and in_book(root, path.stem):
            links.append(f"[{path.stem}](../notebooks/{path.name})")
    return f", and a verdict in {', '.join(links)}" if links else ""
