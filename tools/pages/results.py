"""The results page, from `results/`.

Until there is a record the page says so.
"""

import json
from collections import Counter
from pathlib import Path

import measured
from measured import SYSTEMS, badge, dataset_name
from steps import STEPS

from rsir.evaluation.metrics import KS, random_baseline
from rsir.experiments import trials as tried
from rsir.experiments.claims import NOT_AT_HAND, reported_range
from rsir.models.recipes import ROWS

from . import table

NAMES = ["results.md"]
ASIDE = (
    " What is *selected on test* or measured on the *other gallery* "
    "shows what such a step does to a recall, and compares with no "
    "other row."
)
#: data sets that have a tab even before they are measured
PLANNED = ("rsicd", "ucm", "rsitmd", "toy")
RECALLS = [(side, f"R@{k}") for side in ("i2t", "t2i") for k in KS]
#: how a note on our run, not on the printed range, begins
OWN_NOTES = ("above the range", "encoders:")
EMPTY = "No run has been recorded yet."


def render(root: Path) -> dict[str, str]:
    found = measured.rows(root)
    if not found:
        return {"results.md": EMPTY}
    sets = [*PLANNED]
    sets += sorted({row.dataset for row in found} - set(sets))
    tabs = [tab(root, found, name) for name in sets]
    return {
        "results.md": "::::{tab-set}\n\n" + "\n\n".join(tabs) + "\n\n::::",
    }


def tab(root: Path, every: list, dataset: str) -> str:
    found = [row for row in every if row.dataset == dataset]
    text = data_set(root, found) if found else unmeasured(dataset)
    return f":::{{tab-item}} {dataset_name(dataset)}\n\n{text}\n\n:::"


def unmeasured(dataset: str) -> str:
    preset = "toy" if dataset == "toy" else "cpu"
    return (
        "Not measured yet. With the files at hand (`rsir data fetch "
        f"{dataset}`), one command makes the records:\n\n```shell\n"
        f"rsir reproduce amfmn --dataset {dataset} --preset {preset} "
        "--seeds 3\n```"
    )


def data_set(root: Path, found: list) -> str:
    """All of one data set: recalls, verdicts, steps, cost, commands."""
    heads = [row for row in found if row.headline]
    again = [row for row in found if row.reranked]
    others = [row for row in found if row not in heads + again]
    ranks = found[0].ranks()[0]
    n_images, n_captions = len(ranks.i2t.better), len(ranks.owner)
    parts = [
        f"Test split: {n_images:,} images, {n_captions:,} captions.",
        (
            "**Recalls**, in percent. mR: mean, standard deviation over "
            "runs with different seeds, number of runs in brackets; beside "
            "it the 95 % interval over test images. Random ranking is "
            "exact; the {term}`ceiling` is what equal captions allow."
        ),
        *recall_tables(root, [row for row in heads if row not in again], ranks),
        *against_reported(heads),
    ]
    if others:
        parts += [
            "**Ablations**: parts of a system switched off or exchanged."
            + (ASIDE if any(row.kind for row in others) else ""),
            *recall_tables(root, others),
        ]
    if again:
        parts += [
            (
                "**Re-ranked**: finished lists, ordered once more. A "
                "{term}`transductive` row was answered with all test "
                "queries at hand, so it must not be compared with rows "
                "above. Rows named *bank* ask training queries instead, "
                "and answer each test query alone."
            ),
            *recall_tables(root, again),
        ]
    parts += [
        steps(found),
        *cost(found),
        commands(found),
        runs(found),
        attempts(root, found[0].dataset),
    ]
    parts += measured.stale_sentences(found)
    return "\n\n".join(part for part in parts if part)


def wide(text: str, column: str = "") -> str:
    """A table that scrolls by itself and breaks no number.

    column: "first" if that one holds text and may break.
    """
    kinds = f".measured .{column}-breaks" if column else ".measured"
    return f"{{{kinds}}}\n{text}"


# -- recalls ----------------------------------------------------------


def recall_tables(root: Path, found: list, ranks=None) -> list[str]:
    """mR a row, then its six recalls; `ranks` adds chance and ceiling."""
    head = ["system", "mR", "95 %", "mR, released ties"]
    names = [f"{side} {name}" for side, name in RECALLS]
    lines, six = [], []
    if ranks is not None:
        known = "random ranking", random_baseline(ranks.owner)
        bare(*known, lines, six)
    for row in found:
        low, high = row.interval()
        lines.append([
            row.name, row.spread(), f"{low:.2f} to {high:.2f}",
            f"{row.mean('released')['mR']:.2f}",
        ])  # fmt: skip
        six.append([row.name, *recalls(row.mean())])
    if ranks is not None and (best := ceiling(root, found, ranks)):
        bare("ceiling", best, lines, six)
    return [
        encoders(found),
        wide(table(head, lines, right=head[1:])),
        wide(table(["system", *names], six, right=names)),
    ]


def encoders(found: list) -> str:
    """The encoders that most rows have, then the rows with others."""
    if not found:
        return ""
    common = Counter(row.encoders for row in found).most_common(1)[0][0]
    others: dict[str, list[str]] = {}
    for row in found:
        if row.encoders != common:
            others.setdefault(row.encoders, []).append(row.name)
    parts = [f"{', '.join(names)}: {kind}" for kind, names in others.items()]
    share = "most rows" if parts else "every row"
    return f"Encoders of {share}: {'; '.join([common, *parts])}."


def bare(name: str, known: dict, lines: list, six: list) -> None:
    """A line that no run stands behind, in both tables."""
    lines.append([name, f"{known['mR']:.2f}", "–", "–"])
    six.append([name, *recalls(known)])


def recalls(known: dict) -> list[str]:
    return [f"{known[side][name]:.2f}" for side, name in RECALLS]


def ceiling(root: Path, found: list, ranks) -> dict | None:
    """The ceilings of chapter 01, if they are of this test split."""
    if not found:
        return None
    path = root / f"results/protocol/{found[0].dataset}.json"
    if not path.exists():
        return None
    known = json.loads(path.read_text(encoding="utf-8"))
    test = known.get("splits", {}).get("test", {})
    same = test.get("n_images") == len(ranks.i2t.better) and test.get(
        "n_captions"
    ) == len(ranks.owner)
    return known["ceilings"] if same else None


# -- verdicts ---------------------------------------------------------


def against_reported(heads: list) -> list[str]:
    """Each headline row against its printed range, and why."""
    verdicts = [(row, row.verdict()) for row in heads]
    if not any(verdict for _, verdict in verdicts):
        return ["**Reported against ours**: nothing is printed for these."]
    lines, ranges, own = [], {}, []
    for row, verdict in verdicts:
        if verdict is None:
            lines.append([
                row.name, row.spread(), "–", unprinted(row)
            ])  # fmt: skip
            continue
        printed = f"{verdict.reported:.2f} ({verdict.low:.2f} to {verdict.high:.2f})"
        lines.append([
            row.name, row.spread(), printed, badge(verdict.outcome)
        ])  # fmt: skip
        mine = [n for n in verdict.notes if n.startswith(OWN_NOTES)]
        rest = [n for n in verdict.notes if n not in mine]
        texts = [verdict.why, *rest]
        sources = "; ".join(map(linked, verdict.sources))
        said = f"{' '.join(map(sentence, texts))} Source: {sources}."
        ranges.setdefault(said, []).append(row.name)
        if verdict.declared:
            mine.append(f"declared: {verdict.declared}")
        own.append(f"- {row.name}: {' '.join(map(sentence, mine))}")
    head = ["system", "ours, mR", "reported (range)", "verdict"]
    return [
        "**Reported against ours**",
        wide(table(head, lines, right=["ours, mR"])),
        (
            "The encoders are not the paper's, so \"reached\" says that "
            "the system as built here gets that far, not that the "
            "paper's own network was run again."
        ),
        "\n".join([
            *own,
            *(f"- Range of {' and '.join(names)}: {said}"
              for said, names in ranges.items()),
        ]),
    ]  # fmt: skip


def unprinted(row) -> str:
    """Why there is no printed number to hold a row to."""
    if row.dataset != "toy" and SYSTEMS[row.method] in NOT_AT_HAND:
        return "not at hand"
    return "none is printed"


def sentence(text: str) -> str:
    text = " ".join(text.split()).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."


def linked(source: str, name: str = "") -> str:
    """`Text (https://...)` as a link, under another name if given."""
    text, _, url = source.rpartition(" (")
    return f"[{name or text}]({url.rstrip(')')})" if text else source


def steps(found: list) -> str:
    """Each module's gain with its paired interval."""
    dataset, lines = found[0].dataset, []
    for better, worse, claim in STEPS:
        verdict, pair = measured.direction(found, better, worse, claim, dataset)
        if verdict is None:
            continue
        printed = measured.claims().get(claim)
        paper = "–"
        if printed and printed.value is not None:
            paper = f"{printed.value:+.2f} on {printed.dataset}"
        lines.append([
            verdict.subject, badge(verdict.outcome),
            measured.gain(pair), paper, len_of(pair),
            f"`{better[1]}` − `{worse[1]}`",
        ])  # fmt: skip
    if not lines:
        return ""
    head = ["statement", "outcome", "gain in mR [95 %]", "paper's gain",
            "seeds", "rows"]  # fmt: skip
    return (
        "**What each part adds.** Both rows of a step answer the same "
        "queries with the same seeds; the interval is of the paired "
        'difference over test images. "Holds" means that it lies above '
        '0, "does not hold" below, "not decided" that it contains '
        "0.\n\n" + wide(table(head, lines, right=head[2:5]), "first")
    )


def len_of(pair) -> str:
    a, b = pair.runs
    return str(a) if a == b else f"{a}, {b}"


# -- cost and commands ------------------------------------------------


def cost(found: list) -> list[str]:
    head = ["system", "features, min", "training, min",
            "test scores, s", "peak memory, GB"]  # fmt: skip
    lines = [
        [
            row.name,
            f"{row.seconds('features') / 60:.1f}",
            f"{row.seconds('train') / 60:.1f}",
            f"{row.seconds('evaluate'):.1f}",
            f"{row.memory():.1f}",
        ]
        for row in found
    ]
    return [
        "**Cost** of one run, a mean over runs. Features of frozen "
        "encoders are computed once and kept on disk, so rows that share "
        "an encoder share their time. " + machines(found),
        wide(table(head, lines, right=head[1:])),
    ]


def machines(found: list) -> str:
    """On what the rows were measured."""
    kinds = sorted({
        f"{h['cores']} cores of {h['cpu']}, {h['memory_gb']} GB, "
        f"{h['gpu'] or 'no GPU'}"
        for row in found for run in row.runs if (h := run.hardware)
    })  # fmt: skip
    return f"Measured on {'; '.join(kinds)}." if kinds else ""


def commands(found: list) -> str:
    lines = [line for row in found for line in row.commands()]
    return (
        "**Commands**, one for each row above, in the same order; "
        "`RSIR_DATA` names the folder with the data.\n\n```shell\n"
        + "\n".join(lines)
        + "\n```"
    )


def runs(found: list) -> str:
    head = ["row", "seed", "test mR", "val mR", "commit", "Python",
            "torch", "made"]  # fmt: skip
    lines = [
        [
            row.name, run.seed, f"{value:.2f}", f"{run.val_mR:.2f}",
            f"`{str(run.commit)[:10]}`", run.versions.get("python", "–"),
            run.versions.get("torch", "–"), str(run.created)[:10],
        ]
        for row in found
        for run, value in zip(row.runs, row.values(), strict=True)
    ]  # fmt: skip
    body = wide(table(head, lines, right=head[1:4]))
    return f"```{{dropdown}} Every run\n\n{body}\n\n```"


def attempts(root: Path, dataset: str) -> str:
    """What was tried on validation before recipes were fixed."""
    lines = [
        [
            SYSTEMS.get(one["method"], one["method"]),
            f"`{one['row'] or next(iter(ROWS[one['method']]))}`",
            f"`{one['changes']}`" if one["changes"] else "–",
            one["seed"], one["val_mR"], one["best_epoch"],
            f"{int(one['seconds']) / 60:.1f}", f"`{one['commit']}`",
        ]
        for one in tried.read(root / "results/tried.csv")
        if one["dataset"] == dataset
    ]  # fmt: skip
    if not lines:
        return ""
    head = ["system", "row", "changed", "seed", "val mR", "best epoch",
            "min", "commit"]  # fmt: skip
    body = wide(table(head, lines, right=head[3:7]), "first")
    return (
        "```{dropdown} Tried on validation\n\nBefore a recipe was fixed. "
        "The test split has no part in it; `rsir train ... --tried "
        f"results/tried.csv` adds a line.\n\n{body}\n\n```"
    )


def reported_text(system: str | None, dataset: str) -> str:
    """`19.38 (18.66 to 20.10)`, or that nothing is printed."""
    found = reported_range(system, dataset) if system else None
    if found is None:
        return "–"
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"
