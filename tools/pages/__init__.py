"""Generated parts of the book, one module a page.

A module has `render(root) -> {name: Markdown text}`, which must work when
there is nothing to report yet. `tools/book.py` writes these fragments to
`book/_generated/`, from where the pages in `book/` include them.
"""

from pathlib import Path

import nbkit  # noqa: F401 (it finds rsir)

from rsir.experiments import tables
from rsir.experiments.claims import FAILURES, NOT_AT_HAND, Verdict

Cell = str | int | float


def table(head: list[str], rows: list[list[Cell]], right=()) -> str:
    """A Markdown table; the columns named in `right` are right-aligned."""
    rule = ["--:" if name in right else ":--" for name in head]
    lines = [
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |"
        for line in [head, rule, *rows]
    ]
    return "\n".join(lines)


def wide(text: str, column: str = "") -> str:
    """A table that scrolls by itself and breaks no number.

    column: "first" if that one holds text and may break.
    """
    kinds = f".measured .{column}-breaks" if column else ".measured"
    return f"{{{kinds}}}\n{text}"


def joined(parts) -> str:
    """The parts that are not empty, as paragraphs."""
    return "\n\n".join(part for part in parts if part)


def sentence(text: str) -> str:
    """Folded to one line, with a capital and a full stop."""
    text = " ".join(text.split()).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."


def badge(outcome: str) -> str:
    """An outcome as a coloured word."""
    kind = "below" if outcome in FAILURES else "incomparable"
    kind = "reached" if outcome in ("reached", "holds") else kind
    return f"[{outcome}]{{.verdict .{kind}}}"


def linked(source: str, name: str = "") -> str:
    """`Text (https://...)` as a link, under another name if given."""
    text, _, url = source.rpartition(" (")
    return f"[{name or text}]({url.rstrip(')')})" if text else source


def in_book(root: Path, name: str) -> bool:
    """Whether the chapter `name` has a place in the contents."""
    toc = root / "_toc.yml"
    return toc.exists() and f"notebooks/{name}\n" in toc.read_text()


def dataset_name(dataset: str) -> str:
    return tables.DATASETS.get(dataset, dataset)


def system_name(method: str) -> str:
    return tables.SYSTEMS.get(method, method)


def name_of(runs: tables.Runs, dagger: bool = True) -> str:
    """System, variant and what sets it apart; a dagger marks stale records."""
    own = "" if runs.variant == runs.method else f" `{runs.variant}`"
    remarks = "".join(f" ({word})" for word in runs.remarks)
    stale = " †" if dagger and runs.stale() else ""
    return f"{system_name(runs.method)}{own}{remarks}{stale}"


def spread(runs: tables.Runs) -> str:
    """`21.30 ± 0.12 (3)`: mean, standard deviation, runs."""
    std = f" ± {runs.std():.2f}" if len(runs.runs) > 1 else ""
    return f"{runs.mean()['mR']:.2f}{std} ({len(runs.runs)})"


def gain(pair) -> str:
    """`+1.20 [+0.40, +2.00]`, in points of mR."""
    low, high = pair.ci95["mR"]
    return f"{pair.difference['mR']:+.2f} [{low:+.2f}, {high:+.2f}]"


def encoders(runs: tables.Runs) -> str:
    """Image and text encoder, and how much of each learns."""
    config = runs.runs[0].config
    start, layers = config.get("start"), config.get("text_layers")
    learns = start and config.get("stages_trained", True)
    seen = f"above {start} learns" if learns else "frozen"
    seen = "learns" if config.get("image_trained") == "all" else seen
    said = {None: "all of it learns", 0: "frozen", 1: "last block learns"}
    read = said.get(layers, f"last {layers} blocks learn")
    images = config["image_encoder"], *config.get("more_encoders", ())
    image, text = "`, `".join(images), config["text_encoder"]
    read = "learns" if text in ("gru", "uniskip") else read
    return f"`{image}` ({seen}), `{text}` ({read})"


def printed_range(verdict: Verdict) -> str:
    """`19.38 (18.66 to 20.10)`."""
    return f"{verdict.reported:.2f} ({verdict.low:.2f} to {verdict.high:.2f})"


def unprinted(runs: tables.Runs) -> str:
    """Why there is no printed number to hold a row to."""
    if runs.dataset != "toy" and system_name(runs.method) in NOT_AT_HAND:
        return "not at hand"
    return "none is printed"


def stale_sentences(found: list[tables.Runs]) -> list[str]:
    """What the dagger means, row by row."""
    lines = []
    for runs in found:
        if stale := runs.stale():
            changed = sorted({f"`{x}`" for names in stale.values() for x in names})
            lines.append(
                f"† {dataset_name(runs.dataset)}, {name_of(runs, dagger=False)}: "
                f"{len(stale)} of {len(runs.runs)} runs were made before a change of "
                f"{', '.join(changed)}. They are shown, but count as {{term}}`stale` "
                "until they are repeated."
            )
    return lines
