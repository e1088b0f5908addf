"""The results page, from `results/`.

Until there is a record the page says so.
"""

import re
from collections import Counter
from pathlib import Path

from rsir.evaluation.metrics import KS, random_baseline
from rsir.experiments import tables, trials
from rsir.experiments.claims import FAILURES
from rsir.experiments.records import BENCH
from rsir.models import variants

from . import (
    badge,
    dataset_name,
    encoders,
    gain,
    joined,
    linked,
    name_of,
    printed_range,
    sentence,
    spread,
    stale_sentences,
    system_name,
    table,
    unprinted,
    wide,
)

ASIDE = (
    " Rows *selected on test* or measured on the *other gallery* show how such a "
    "choice changes a recall. Do not compare them with other rows."
)
RERANKED = (
    "**Re-ranked**: the order of finished lists was changed. A "
    "{term}`transductive` row used all test queries together, so do not compare it "
    "with the rows above. Rows named *bank* use training queries instead, and "
    "answer each test query alone."
)
OTHERS_MODELS = (
    "**Published models of other authors**: scored by `rsir bench` without any "
    "training here. Only their authors know what they were trained on; some were "
    "trained on these data sets. [How it works](bench.md)."
)
#: data sets that have a tab even before they are measured
PLANNED = ("rsicd", "ucm", "rsitmd-part", "toy")
RECALLS = [(side, f"R@{k}") for side in ("i2t", "t2i") for k in KS]
#: how a note on our run, not on the printed range, begins
OWN_NOTES = ("above the range", "encoders:")
EMPTY = "No run has been recorded yet."


def render(root: Path) -> dict[str, str]:
    found = tables.load(root / "results")
    if not found:
        return {"results.md": EMPTY}
    sets = [*PLANNED, *sorted({one.dataset for one in found} - set(PLANNED))]
    tabs = []
    for dataset in sets:
        here = [one for one in found if one.dataset == dataset]
        text = data_set(root, here) if here else unmeasured(dataset)
        tabs.append(f":::{{tab-item}} {dataset_name(dataset)}\n\n{text}\n\n:::")
    return {"results.md": "\n\n".join(["::::{tab-set}", *tabs, "::::"])}


def unmeasured(dataset: str) -> str:
    preset = "toy" if dataset == "toy" else "cpu"
    whole = tables.PARTS.get(dataset, dataset)
    return (
        f"Not measured yet. If you have the files (`rsir data fetch {whole}`), "
        f"one command makes the records:\n\n```shell\nrsir reproduce amfmn "
        f"--dataset {dataset} --preset {preset} --seeds 3\n```"
    )


def data_set(root: Path, found: list) -> str:
    """All of one data set: recalls, verdicts, steps, cost, commands."""
    heads = [one for one in found if one.headline]
    again = [one for one in found if one.reranked]
    models = [one for one in found if one.method == BENCH]
    others = [one for one in found if one not in heads + again + models]
    ranks = found[0].ranks()[0]
    parts = [
        f"Test split: {len(ranks.i2t.better):,} images, {len(ranks.owner):,} captions.",
        (
            "**Recalls**, in percent. The column {term}`mR` shows the mean, the "
            "standard deviation over runs with different seeds, and the number of "
            "runs in brackets. The next column is its 95 % {term}`confidence "
            "interval`. Random ranking is computed exactly. The {term}`ceiling` is "
            "the best that equal captions allow."
        ),
        *recall_tables(root, [one for one in heads if one not in again], ranks),
        *against_reported(heads),
    ]
    if others:
        aside = ASIDE if any(one.remarks for one in others) else ""
        parts += [
            "**Ablations**: parts of a system are switched off or replaced." + aside,
            *recall_tables(root, others),
        ]
    if again:
        parts += [RERANKED, *recall_tables(root, again)]
    if models:
        parts += [OTHERS_MODELS, *recall_tables(root, models)]
    parts += [steps(found), *cost(found), commands(found), runs(found)]
    parts += [attempts(root, found[0].dataset), *stale_sentences(found)]
    return joined(parts)


def recall_tables(root: Path, found: list, ranks=None) -> list[str]:
    """mR a row, then its six recalls; `ranks` adds chance and ceiling."""
    if not found:
        return []
    rows = []
    for one in found:
        low, high = one.interval()
        released = f"{one.mean('released')['mR']:.2f}"
        facts = [spread(one), f"{low:.2f} to {high:.2f}", released]
        rows.append(([name_of(one), *facts], one.mean()))
    if ranks is not None:  # no run stands behind these
        chance, best = random_baseline(ranks.owner), ceiling(root, found, ranks)
        rows.insert(0, (["random ranking", f"{chance['mR']:.2f}", "–", "–"], chance))
        rows += [(["ceiling", f"{best['mR']:.2f}", "–", "–"], best)] if best else []
    six = [
        [line[0], *(f"{known[side][name]:.2f}" for side, name in RECALLS)]
        for line, known in rows
    ]
    head = ["system", "mR", "95 %", "mR, released ties"]
    names = [f"{side} {name}" for side, name in RECALLS]
    return [
        encoders_line(found),
        wide(table(head, [line for line, _ in rows], right=head[1:])),
        wide(table(["system", *names], six, right=names)),
    ]


def encoders_line(found: list) -> str:
    """The encoders that most rows have, then the rows with others."""
    common = Counter(map(encoders, found)).most_common(1)[0][0]
    others: dict[str, list[str]] = {}
    for one in found:
        if encoders(one) != common:
            others.setdefault(encoders(one), []).append(name_of(one))
    parts = [f"{', '.join(names)}: {kind}" for kind, names in others.items()]
    share = "most rows" if parts else "every row"
    return f"Encoders of {share}: {'; '.join([common, *parts])}."


def ceiling(root: Path, found: list, ranks) -> dict | None:
    """The ceilings of chapter 01, if they are of this test split."""
    if (known := tables.protocol(root / "results").get(found[0].dataset)) is None:
        return None
    test = known["splits"]["test"]
    sizes = len(ranks.i2t.better), len(ranks.owner)
    same = (test["n_images"], test["n_captions"]) == sizes
    return known["ceilings"]["test"] if same else None


def against_reported(heads: list) -> list[str]:
    """Each headline row against its printed range, and why."""
    verdicts = [(one, one.verdict()) for one in heads]
    if not any(verdict for _, verdict in verdicts):
        return ["**Reported against ours**: nothing is printed for these."]
    lines, ranges, own = [], {}, []
    for one, verdict in verdicts:
        if verdict is None:
            lines.append([name_of(one), spread(one), "–", unprinted(one)])
            continue
        said = printed_range(verdict), badge(verdict.outcome)
        lines.append([name_of(one), spread(one), *said])
        mine = [n for n in verdict.notes if n.startswith(OWN_NOTES)]
        texts = [verdict.why, *(n for n in verdict.notes if n not in mine)]
        sources = "; ".join(map(linked, verdict.sources))
        said = f"{' '.join(map(sentence, texts))} Source: {sources}."
        ranges.setdefault(said, []).append(name_of(one))
        mine += [f"declared: {verdict.declared}"] if verdict.declared else []
        own.append(f"- {name_of(one)}: {' '.join(map(sentence, mine))}")
    own += [f"- Range of {' and '.join(who)}: {said}" for said, who in ranges.items()]
    head = ["system", "ours, mR", "reported (range)", "verdict"]
    return [
        "**Reported against ours**",
        wide(table(head, lines, right=["ours, mR"])),
        (
            'Our encoders are not the paper\'s. So "reached" means that the system '
            "as it is built here reaches the range. It does not mean that we ran the "
            "paper's own network again."
        ),
        "\n".join(own),
    ]


def steps(found: list) -> str:
    """Each module's gain with its paired interval."""
    lines, why = [], []
    printed = {claim.id: claim for claim in tables.load_claims()}
    for step in tables.steps_table(found, datasets=[found[0].dataset]):
        claim, paper = printed.get(step["claim"]), "–"
        if claim and claim.value is not None:
            paper = f"{claim.value:+.2f} on {claim.dataset}"
        verdict, pair = step["verdict"], step["pair"]
        seeds = pair.seeds[0] if max(pair.seeds) > 1 else "1, images alone"
        rows = f"`{step['step'].replace(' − ', '` − `')}`"
        numbers = gain(pair) + ("" if step["fresh"] else " †")
        lines.append([verdict.subject, numbers, paper, seeds, rows])
        if verdict.outcome in FAILURES and verdict.declared:
            why.append(f"- {verdict.subject}: {sentence(verdict.declared)}")
    if not lines:
        return ""
    head = ["statement", "gain in mR [95 %]", "paper's gain", "seeds"]
    return (
        "**What each part adds**, on this data set alone. There is no verdict here: "
        "the one on a claim uses all data sets together and is on {doc}`claims`. Each "
        "line is a {term}`paired comparison` of two rows: both answer the same queries "
        "with the same seeds. The interval is over test images and, if there are two "
        "seeds or more, also over seeds.\n\n"
        + wide(table([*head, "rows"], lines, right=head[1:]), "first")
        + ("\n\nBelow zero, and why we think so:\n\n" if why else "")
        + "\n".join(why)
    )


def cost(found: list) -> list[str]:
    head = "system|features, min|training, min|test scores, s|peak memory, GB".split(
        "|"
    )
    lines = []
    for one in found:
        minutes = [one.seconds(part) / 60 for part in ("features", "train")]
        numbers = [*minutes, one.seconds("evaluate"), one.memory()]
        lines.append([name_of(one), *(f"{x:.1f}" for x in numbers)])
    words = "{cores} cores of {cpu}, {memory_gb} GB, "
    known = [run.hardware for one in found for run in one.runs if run.hardware]
    kinds = {words.format(**x) + (x["gpu"] or "no GPU") for x in known}
    machines = f" Measured on {'; '.join(sorted(kinds))}." if kinds else ""
    return [
        "**Cost** of one run, as a mean over runs. Features of {term}`frozen` "
        "encoders are computed once and stored on disk. Rows with the same encoder "
        "share these features, and so the time for them." + machines,
        wide(table(head, lines, right=head[1:])),
    ]


def commands(found: list) -> str:
    lines = "\n".join(line for one in found for line in one.commands())
    return (
        "**Commands**, one for each row above, in the same order. `RSIR_DATA` is the "
        f"folder with the data.\n\n```shell\n{lines}\n```"
    )


def runs(found: list) -> str:
    head = ["row", "seed", "test mR", "val mR", "commit", "Python", "torch", "made"]
    lines = []
    for one in found:
        for run, value in zip(one.runs, one.values(), strict=True):
            val = "–" if run.val_mR is None else f"{run.val_mR:.2f}"
            numbers = run.seed, f"{value:.2f}", val
            versions = (run.versions.get(name, "–") for name in ("python", "torch"))
            commit, made = f"`{str(run.commit)[:10]}`", str(run.created)[:10]
            lines.append([name_of(one), *numbers, commit, *versions, made])
    body = wide(table(head, lines, right=head[1:4]))
    return f"```{{dropdown}} Every run\n\n{body}\n\n```"


def attempts(root: Path, dataset: str) -> str:
    """What was tried on validation before configs were fixed."""
    lines = [
        [
            f"{system_name(one['method'])} "
            f"`{one['variant'] or next(iter(variants(one['method'])))}` "
            + " ".join(f"`{x}`" for x in re.split(r" (?=\w+=)", one["changes"]) if x),
            *(one[name] for name in ("seed", "val_mR", "best_epoch")),
            f"{int(one['seconds']) / 60:.1f}",
            f"`{one['commit']}`",
        ]
        for one in trials.read(root / "results/tried.csv")
        if one["dataset"] == dataset
    ]
    if not lines:
        return ""
    head = ["row, and what changed", "seed", "val mR", "best epoch", "min", "commit"]
    body = wide(table(head, lines, right=head[1:5]), "first")
    return (
        "```{dropdown} Tried on validation\n\nBefore we fixed a config, we tried "
        "these settings on validation, without the test split. `rsir train ... "
        "--tried results/tried.csv` adds a line. The options have the names that "
        f"they had at that time.\n\n{body}\n\n```"
    )
