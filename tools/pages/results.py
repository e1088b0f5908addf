"""The results page, from `results/`.

Until there is a record the page says so.
"""

from collections import Counter
from pathlib import Path

from rsir.evaluation.metrics import KS, random_baseline
from rsir.experiments import tables, trials
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
    " What is *selected on test* or measured on the *other gallery* shows what "
    "such a step does to a recall, and compares with no other row."
)
RERANKED = (
    "**Re-ranked**: finished lists, ordered once more. A {term}`transductive` "
    "row was answered with all test queries at hand, so it must not be compared "
    "with rows above. Rows named *bank* ask training queries instead, and answer "
    "each test query alone."
)
OTHERS_MODELS = (
    "**Models of others, as they are**: scored by `rsir bench`, and nothing was "
    "trained here. What they have seen before is for their authors to say: some "
    "have learned from these data sets. [How](bench.md)."
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
        f"Not measured yet. With the files at hand (`rsir data fetch {whole}`), "
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
            "**Recalls**, in percent. mR: mean, standard deviation over runs with "
            "different seeds, number of runs in brackets; beside it the 95 % "
            "interval over test images. Random ranking is exact; the "
            "{term}`ceiling` is what equal captions allow."
        ),
        *recall_tables(root, [one for one in heads if one not in again], ranks),
        *against_reported(heads),
    ]
    if others:
        aside = ASIDE if any(one.remarks for one in others) else ""
        parts += [
            "**Ablations**: parts of a system switched off or exchanged." + aside,
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
            'The encoders are not the paper\'s, so "reached" says that the system '
            "as built here gets that far, not that the paper's own network was run "
            "again."
        ),
        "\n".join(own),
    ]


def steps(found: list) -> str:
    """Each module's gain with its paired interval."""
    lines = []
    printed = {claim.id: claim for claim in tables.load_claims()}
    for step in tables.steps_table(found, datasets=[found[0].dataset]):
        claim, paper = printed.get(step["claim"]), "–"
        if claim and claim.value is not None:
            paper = f"{claim.value:+.2f} on {claim.dataset}"
        verdict, pair = step["verdict"], step["pair"]
        seeds = pair.seeds[0] if max(pair.seeds) > 1 else "1, images alone"
        rows = f"`{step['step'].replace(' − ', '` − `')}`"
        said = badge(verdict.outcome), gain(pair)
        lines.append([verdict.subject, *said, paper, seeds, rows])
    if not lines:
        return ""
    head = ["statement", "outcome", "gain in mR [95 %]", "paper's gain", "seeds"]
    return (
        "**What each part adds**, on this data set alone: the verdict on a claim is "
        "that of all sets together, on {doc}`claims`. Both rows of a step answer the "
        "same queries with the same seeds; the interval is of the paired difference "
        "over test images and, from two seeds on, over seeds. "
        '"Holds" means that it lies above 0, "does not hold" below. Where it '
        'contains 0: "smaller than printed" if it ends below half of the printed '
        'gain, "no effect here" if nothing is printed and it lies within half a '
        'point, else "not decided".\n\n'
        + wide(table([*head, "rows"], lines, right=head[2:]), "first")
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
        "**Cost** of one run, a mean over runs. Features of frozen encoders are "
        "computed once and kept on disk, so rows that share an encoder share their "
        "time." + machines,
        wide(table(head, lines, right=head[1:])),
    ]


def commands(found: list) -> str:
    lines = "\n".join(line for one in found for line in one.commands())
    return (
        "**Commands**, one for each row above, in the same order; `RSIR_DATA` names "
        f"the folder with the data.\n\n```shell\n{lines}\n```"
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
            system_name(one["method"]),
            f"`{one['variant'] or next(iter(variants(one['method'])))}`",
            f"`{one['changes']}`" if one["changes"] else "–",
            *(one[name] for name in ("seed", "val_mR", "best_epoch")),
            f"{int(one['seconds']) / 60:.1f}",
            f"`{one['commit']}`",
        ]
        for one in trials.read(root / "results/tried.csv")
        if one["dataset"] == dataset
    ]
    if not lines:
        return ""
    head = ["system", "row", "changed", "seed", "val mR", "best epoch", "min", "commit"]
    body = wide(table(head, lines, right=head[3:7]), "first")
    return (
        "```{dropdown} Tried on validation\n\nBefore a config was fixed. The test "
        "split has no part in it; `rsir train ... --tried results/tried.csv` adds a "
        f"line. Options are named as they were then.\n\n{body}\n\n```"
    )
