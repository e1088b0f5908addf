"""What chapters and pages both print: runs, verdicts, paired steps.

A recall is never read back from a record: it is counted again from the
ranks that lie beside it.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby, product
from operator import attrgetter
from pathlib import Path

import numpy as np
import yaml

from rsir.evaluation.compare import (
    Comparison,
    Spread,
    compare,
    mean_interval,
    pool,
    spread,
)
from rsir.evaluation.metrics import recalls_from_ranks
from rsir.evaluation.ranks import Ranks
from rsir.experiments.claims import (
    FAILURES,
    FOLDER,
    Claim,
    Verdict,
    check_direction,
    check_reported,
    check_short_list,
    load_claims,
    load_reported,
    reported_range,
)
from rsir.experiments.records import Record, declared, load_records, results_dir
from rsir.models import methods

SYSTEMS = {name: m.config.TITLE or name for name, m in methods().items()}
Key = tuple[str, str]  # method, variant
#: stands for all data sets of a pool in declared.yml
POOLED = "pooled"
#: a claim on time, and not on two rows of records; measured on these splits
SHORT_LIST, SPLITS = "cfitr-real-time", ("val", "test")


def _key_of(name: str) -> Key:
    return tuple(name.split(":"))


_STEPS = yaml.safe_load((FOLDER / "steps.yml").read_text(encoding="utf-8"))
DATASETS: dict[str, str] = _STEPS["datasets"]
#: (method, variant) that stands for a published system: its name
HEADLINES = {_key_of(k): system for k, system in _STEPS["headlines"].items()}
#: a part of a data set: the whole, of which numbers are printed
PARTS: dict[str, str] = _STEPS["parts"]
#: data sets that verdicts on claims pool, and how many seeds each has
CAMPAIGN: dict[str, int] = _STEPS["campaign"]
#: variants that are held to a printed number, by the system it is of
RANGES = {name: [*map(_key_of, keys)] for name, keys in _STEPS["ranges"].items()}
#: {kind of system: pattern of its names}; the first that fits counts
KINDS: dict[str, str] = _STEPS["kinds"]
#: (with the thing, without it, a claim's id or a text of our own)
STEPS = [(_key_of(a), _key_of(b), claim) for a, b, claim in _STEPS["steps"]]
#: {mechanism: (data set, with it, without it)}, see `toyscenes.worlds`
WORLDS = {
    name: (f"world-{world}", _key_of(a), _key_of(b))
    for name, (world, a, b) in _STEPS["worlds"].items()
}


def queue(dataset: str = "") -> list[Key]:
    """What `rsir reproduce --all` runs: every training before its re-rankings.

    Headlines, baselines, and the two rows of each claim of a paper; of a world,
    or of its control, both rows of each mechanism.
    """
    if dataset.startswith("world-"):
        world = dataset.removesuffix("-control")
        keys = [key for at, *both in WORLDS.values() if at == world for key in both]
        return sorted(dict.fromkeys(keys), key=lambda key: "+" in key[1])
    papers = {claim.id for claim in load_claims()}
    keys = [*HEADLINES]
    for *both, claim in STEPS:
        keys += [key for key in both if claim in papers or _headline(key)]
    return sorted(dict.fromkeys(keys), key=lambda key: "+" in key[1])


def _headline(key: Key) -> bool:
    """Whether it stands for a system, or is a baseline."""
    return key in HEADLINES or key[0] == key[1]


@dataclass(frozen=True)
class Runs:
    """The runs of one variant on one data set, one a seed."""

    method: str
    dataset: str
    variant: str
    preset: str
    runs: tuple[Record, ...]

    @property
    def key(self) -> Key:
        return self.method, self.variant

    @property
    def seeds(self) -> list[int]:
        return [run.seed for run in self.runs]

    @property
    def headline(self) -> bool:
        """Whether it stands for a system, or is a baseline; not on a world."""
        return _headline(self.key) and self.dataset in DATASETS

    @property
    def reranked(self) -> bool:
        """Whether finished lists were ordered anew, by other queries."""
        return "+" in self.variant or bool(self.runs[0].config.get("ppsr"))

    @property
    def remarks(self) -> list[str]:
        """What sets it apart from the rows that it stands among.

        transductive: each query was answered with all the others at hand.
        """
        facts = self.runs[0].facts
        alone = not facts.get("rerank", {}).get("transductive", True)
        words = {
            "transductive": self.reranked and not alone,
            "selected on test": facts["config"].get("selects") == "test",
            "other gallery": facts["config"].get("gallery", "full") != "full",
        }
        return [word for word, so in words.items() if so]

    def ranks(self) -> list[Ranks]:
        return [_load(*_key(run)) for run in self.runs]

    def recalls(self, ties: str = "expected") -> list[dict]:
        """Of each run, counted from its ranks."""
        return [_counted(recalls_from_ranks, _key(run), ties=ties) for run in self.runs]

    def values(self, ties: str = "expected") -> list[float]:
        """mR of each run, percent."""
        return [recalls["mR"] for recalls in self.recalls(ties)]

    def mean(self, ties: str = "expected") -> dict:
        """The recalls, each a mean over the runs."""
        every = self.recalls(ties)
        return {
            side: {k: _mean(one[side][k] for one in every) for k in every[0][side]}
            for side in ("i2t", "t2i")
        } | {"mR": _mean(self.values(ties))}

    def std(self) -> float:
        """Standard deviation of the mR from run to run; NaN for one run."""
        return float(np.std(self.values(), ddof=1)) if len(self.runs) > 1 else np.nan

    def interval(self) -> tuple[float, float]:
        """95 % interval of the mean mR, from a bootstrap over images."""
        try:
            return _counted(mean_interval, tuple(map(_key, self.runs)))[1:]
        except ValueError:  # not the same queries
            return float("nan"), float("nan")

    def val(self) -> float:
        """The mR on val by which they were selected; NaN: nothing was."""
        values = [run.val_mR for run in self.runs]
        return float("nan") if None in values else _mean(values)

    def seconds(self, part: str) -> float:
        return _mean(run.seconds[part] for run in self.runs)

    def memory(self) -> float:
        """The highest peak, GB."""
        return max(run.peak_memory_gb for run in self.runs)

    def commands(self) -> list[str]:
        """What was typed; seeds 0, 1, 2 in one line."""
        every = [run.command for run in self.runs]
        bare = {re.sub(r" --seed \d+$", "", line) for line in every}
        if len(bare) == 1 and self.seeds == list(range(len(every))):
            return [f"{bare.pop()} --seeds {len(every)}"]
        return every

    def stale(self) -> dict[int, list[str]]:
        """{seed: what has changed since} of the runs that are stale."""
        return {run.seed: names for run in self.runs if (names := run.stale())}

    def declared(self, claim: str) -> str | None:
        """Why the claim is expected to fail here, if it is declared."""
        return declared(claim, self.dataset, self.variant, self.runs[0].folder)

    def verdict(self, system: str | None = None) -> Verdict | None:
        """Against the printed range; None where nothing is printed.

        A part of a data set is "not comparable" with the range of the whole.
        """
        system = system or HEADLINES.get(self.key)
        dataset = PARTS.get(self.dataset, self.dataset)
        if not system or not reported_range(system, dataset):
            return None
        runs = [
            run.facts | {"recalls": {"expected": recalls}}
            for run, recalls in zip(self.runs, self.recalls())
        ]
        wanted = "range", system, dataset
        claims = ((c.kind, c.system, c.dataset.lower(), c.id) for c in load_claims())
        why = next((self.declared(id) for *of, id in claims if (*of,) == wanted), None)
        return check_reported(runs, system, dataset, declared=why)


def load(
    folder: str | Path | None = None,
    *,
    method: str | None = None,
    dataset: str | None = None,
    preset: str | None = None,
) -> list[Runs]:
    """All variants with records, in the order of the book.

    folder: None: `results/` of the checkout; of the others None means any.
    """
    group = attrgetter("method", "dataset", "variant", "preset")
    runs = load_records(method, dataset, folder=folder)
    runs = [run for run in runs if preset in (None, run.preset)]
    runs.sort(key=lambda run: (group(run), run.seed))

    def place(one: Runs):
        known = methods().get(one.method)
        orders = [*DATASETS], [*SYSTEMS], [*known.variants] if known else []
        names = one.dataset, one.method, one.variant
        found = (o.index(x) if x in o else len(o) for o, x in zip(orders, names))
        return *found, one.variant, one.preset

    found = [Runs(*key, tuple(same)) for key, same in groupby(runs, group)]
    return sorted(found, key=place)


def pick(found: Iterable[Runs], key: Key, dataset: str) -> Runs | None:
    """The runs of (method, variant) on a data set, if there are any."""
    here = (one for one in found if (one.key, one.dataset) == (key, dataset))
    return next(here, None)


def paired(
    found: Sequence[Runs], better: Key, worse: Key, dataset: str
) -> Comparison | str:
    """One variant minus another, on the seeds that both have: fresh ones, if any.

    Returns a text that says why there is no comparison, if so.
    """
    a, b = (pick(found, key, dataset) for key in (better, worse))
    sides, fresh = _fresh_sides(a, b)
    if isinstance(sides, str):
        return sides
    seeds = {*a.seeds} & {*b.seeds}
    if not fresh and bool(seeds & a.stale().keys()) != bool(seeds & b.stale().keys()):
        return "one of the two is stale"
    return _counted(compare, *sides)


def _fresh_sides(a: Runs | None, b: Runs | None) -> tuple[tuple | str, bool]:
    """`_sides` of fresh runs, True; where there is no pair of them of all, False."""
    fresh = _sides(_fresh(a), _fresh(b))
    return (fresh, True) if isinstance(fresh, tuple) else (_sides(a, b), False)


def _sides(a: Runs | None, b: Runs | None) -> tuple | str:
    """The ranks of both on the seeds that both have, or why there are none."""
    if a is None or b is None:
        return "not measured yet"
    seeds = {*a.seeds} & {*b.seeds}
    if not seeds or a.preset != b.preset:
        return "no seed of one preset in common"
    sides = [tuple(_key(r) for r in one.runs if r.seed in seeds) for one in (a, b)]
    if len({_load(*key).owner.tobytes() for side in sides for key in side}) > 1:
        return "measured on different test sets"
    return tuple(sides)


@dataclass(frozen=True)
class Part:
    """A step on one data set of a pool."""

    dataset: str
    pair: Comparison | None  # of fresh runs, else of stale ones; None: no pair
    why: str = ""  # it takes no part; "" if it does


@dataclass(frozen=True)
class Pooled:
    """A step over all data sets of `CAMPAIGN` that have a fresh pair of rows."""

    verdict: Verdict | None
    pair: Comparison | None
    parts: tuple[Part, ...]  # of each set of `CAMPAIGN`

    @property
    def taking_part(self) -> list[Part]:
        return [part for part in self.parts if not part.why]


def pooled(found: Sequence[Runs], better: Key, worse: Key, claim: str) -> Pooled:
    """The verdict on a claim: images are drawn within their set, seeds, too.

    Sets weigh as much as they have test pictures. Stale runs take no part.
    In declared.yml, "dataset: pooled" declares such a verdict.
    """
    parts, sides = [], []
    for dataset in CAMPAIGN:
        both = (pick(found, key, dataset) for key in (better, worse))
        found_here, fresh = _fresh_sides(*both)
        if isinstance(found_here, str):
            parts.append(Part(dataset, None, found_here))
            continue
        why = "" if fresh else "no fresh pair"
        parts.append(Part(dataset, _counted(compare, *found_here), why))
        sides += found_here if fresh else ()
    if not sides:
        return Pooled(None, None, tuple(parts))
    pair = _counted(_pool, *sides)
    first = next(one for one in found if one.key == better)
    why = declared(claim, POOLED, better[1], first.runs[0].folder)
    return Pooled(check_direction(claim, pair, declared=why), pair, tuple(parts))


def pools(found: Sequence[Runs], method: str) -> dict[str, Pooled]:
    """{a claim of a method's paper, in words: its verdict over all data sets}."""
    papers = {claim.id: claim.line for claim in load_claims()}
    return {
        papers[claim]: pooled(found, better, worse, claim)
        for better, worse, claim in STEPS
        if better[0] == method and claim in papers
    }


def _pool(*sides) -> Comparison:
    """`pool` of a, b of the first set, a, b of the second, ..."""
    return pool([*zip(sides[::2], sides[1::2])])


def _fresh(one: Runs | None) -> Runs | None:
    """Without the runs that are stale; None if all are."""
    runs = tuple(run for run in one.runs if not run.stale()) if one else ()
    return replace(one, runs=runs) if runs else None


def direction(
    found: Sequence[Runs],
    better: Key,
    worse: Key,
    claim: str,
    dataset: str,
    quantity: str = "mR",
) -> tuple[Verdict | None, Comparison | str]:
    """The verdict on a step, and what it rests on."""
    pair = paired(found, better, worse, dataset)
    if isinstance(pair, str):
        return None, pair
    why = pick(found, better, dataset).declared(claim)
    return check_direction(claim, pair, quantity=quantity, declared=why), pair


def claim_step(claim: str) -> tuple[Key, Key] | None:
    """(with, without) of a claim that a step checks."""
    return next((step[:2] for step in STEPS if step[2] == claim), None)


def verdict_line(verdict: Verdict | None, subject: str) -> str:
    """The line of a verdict that must not fail."""
    if verdict is None:
        return f"{subject}: not comparable, no run yet"
    return verdict.require().line


# -- as tables -----------------------------------------------------------


def runs_table(found: Iterable[Runs]):
    """A DataFrame, a line for each variant: mR and its spread, cost."""
    import pandas as pd

    lines = []
    for one in found:
        low, high = one.interval()
        lines.append(
            {
                "data": one.dataset,
                "system": one.method,
                "variant": one.variant,
                "mR": _mean(one.values()),
                "low": low,
                "high": high,
                "std": one.std(),
                "runs": len(one.runs),
                "val": one.val(),
                "released": _mean(one.values("released")),
                "minutes": one.seconds("total") / 60,
                "GB": one.memory(),
                "stale": len(one.stale()),
            }
        )
    return pd.DataFrame(lines)


def reported_table(found: Iterable[Runs]) -> list[dict]:
    """Every headline against its printed range, a dict each.

    "verdict" is a `Verdict`, or None where nothing is printed. Worlds of toy scenes
    are no data sets here.
    """
    return [
        {
            "data": one.dataset,
            "system": HEADLINES[one.key],
            "variant": one.variant,
            "ours": _mean(one.values()),
            "verdict": one.verdict(),
        }
        for one in found
        if one.key in HEADLINES and one.headline
    ]


def protocol(folder: str | Path | None = None) -> dict[str, dict]:
    """{data set: the facts of chapter 01}, by `benchmarks/protocol_facts.py`.

    folder: as for `load`.
    """
    folder = Path(folder) if folder else results_dir()
    paths = sorted((folder / "protocol").glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def tiny_clip() -> list[dict]:
    """What chapter 07 finds under each seed, by `benchmarks/tiny_clip.py`."""
    return json.loads((results_dir() / "tiny_clip.json").read_text("utf-8"))["seeds"]


def standing(found: Iterable[Runs]) -> dict[str, dict[str, list[float]]]:
    """{data set: {one of `KINDS`: mR of each system}}, printed and ours.

    Every row of recalls.csv but ablations; of ours the headlines and baselines,
    if nothing was ordered anew. A part of a data set takes no part.
    """
    printed = load_reported().query("kind != 'ablation'")
    rows = [*zip(printed.dataset, printed.system, printed.mr)]
    names = {name.lower(): name for name in printed.dataset}
    for one in found:
        if one.headline and not one.reranked and one.dataset in names:
            rows.append((names[one.dataset], f"ours {one.method}", _mean(one.values())))
    made = {name: {kind: [] for kind in KINDS} for name in names.values()}
    for dataset, system, value in rows:
        kind = next(k for k, pattern in KINDS.items() if re.search(pattern, system))
        made[dataset][kind].append(value)
    return {
        dataset: {kind: values for kind, values in kinds.items() if values}
        for dataset, kinds in made.items()
    }


def steps_table(
    found: Sequence[Runs],
    steps: Iterable[tuple[Key, Key, str]] = tuple(STEPS),
    datasets: Iterable[str] = tuple(DATASETS),
    quantities: Iterable[str] = ("mR",),
) -> list[dict]:
    """Every step that is measured, a dict each, data set by data set.

    "verdict" is a `Verdict` with the gain (`ours`) and its interval (`low`,
    `high`) in percent points, "pair" the `Comparison` that it rests on, "fresh"
    whether that is of runs that are not stale.
    """
    lines = []
    for dataset, step, quantity in product(datasets, steps, quantities):
        verdict, pair = direction(found, *step, dataset, quantity)
        if verdict is not None:
            better, worse, claim = step
            line = {"data": dataset, "step": f"{better[1]} − {worse[1]}"}
            both = (pick(found, key, dataset) for key in (better, worse))
            fresh = _fresh_sides(*both)[1]
            line |= {"claim": claim, "quantity": quantity, "fresh": fresh}
            lines.append(line | {"verdict": verdict, "pair": pair})
    return lines


def gains_table(found: Sequence[Runs], method: str):
    """A DataFrame of every step of a method that has a fresh pair of rows.

    A line for each data set; of a paper's claim, a line "pooled" over all of them
    and what the paper prints. Gains are points of mR.
    """
    import pandas as pd

    papers = {claim.id: claim for claim in load_claims()}
    given, lines = pools(found, method), []
    for better, worse, claim in STEPS:
        if better[0] != method:
            continue
        known = papers.get(claim)
        step = known.line if known else claim
        pool = given.get(step) or pooled(found, better, worse, claim)
        parts = [(part.dataset, part.pair, "") for part in pool.taking_part]
        if step in given and parts:
            printed = known.value if known and known.value is not None else ""
            parts.append((POOLED, pool.pair, printed))
        for data, pair, printed in parts:
            low, high = pair.ci95["mR"]
            numbers = {"gain": pair.difference["mR"], "low": low, "high": high}
            seeds = " + ".join(map(str, pair.seeds))
            line = {"step": step, "data": data} | numbers | {"seeds": seeds}
            lines.append(line | {"printed": printed})
    return pd.DataFrame(lines, columns="step data gain low high seeds printed".split())


def worlds_table(found: Sequence[Runs], method: str = "") -> list[dict]:
    """Every mechanism, or those of a method, on its world and on the control.

    "verdict" and "pair" as in `steps_table`, "control" a `Comparison`; None
    where it is not measured.
    """
    lines = []
    for name, (world, *step) in WORLDS.items():
        if method not in ("", step[0][0]):
            continue
        verdict, pair = direction(found, *step, f"{name} acts on {world}", world)
        control = paired(found, *step, f"{world}-control")
        line = {"mechanism": name, "world": world, "step": step, "verdict": verdict}
        for key, value in (("pair", pair), ("control", control)):
            line[key] = None if isinstance(value, str) else value
        lines.append(line)
    return lines


def world_line(line: dict) -> str:
    """A line of `worlds_table` in words: the gain on the world, and its control's."""
    said = [f"{line['mechanism']:<28}"]
    for key, where in (("pair", ""), ("control", "control ")):
        if (pair := line[key]) is not None:
            low, high = pair.ci95["mR"]
            gain = f"{pair.difference['mR']:+.2f} [{low:+.2f}, {high:+.2f}]"
            said.append(f"{where}{gain:<21}")
    return " ".join(said if said[1:] else [*said, "not measured"]).rstrip()


def claims_table(found: Sequence[Runs], folder: str | Path | None = None) -> list[dict]:
    """Every claim, a dict each; a direction has the verdict of its pool.

    folder: as for `load`; what is measured of time lies there, too.

    "verdict" is an outcome, or None, and "why" then says why. "gain", "low",
    "high" are points of mR, "sets", "images", "seeds" what they rest on.
    "per_set" has these of each data set, and "why" a set takes no part; of a
    printed number, the rows that are held to it.
    """
    made = []
    for claim in load_claims():
        if claim.id == SHORT_LIST:
            facts = _timed(claim, folder)
        else:
            facts = (_held if claim.kind == "range" else _pooled)(found, claim)
        head = {"id": claim.id, "system": claim.method, "kind": claim.kind}
        text = claim.line or " ".join(claim.text.split())
        made.append(head | {"claim": text, "printed": claim.value} | facts)
    return made


_NOTHING = {
    "verdict": None,
    **dict.fromkeys(("gain", "low", "high")),
    **dict.fromkeys(("sets", "images", "seeds"), 0),
}


def _numbers(pair: Comparison | None) -> dict:
    """Gain and interval of a pair, and what they rest on."""
    if pair is None:
        return {}
    low, high = pair.ci95["mR"]
    numbers = {"gain": pair.difference["mR"], "low": low, "high": high}
    return numbers | {"images": pair.n_images, "seeds": sum(pair.seeds)}


def _pooled(found: Sequence[Runs], claim: Claim) -> dict:
    step = claim_step(claim.id)
    if step is None:
        return _NOTHING | {"why": pending(claim), "per_set": {}}
    result = pooled(found, *step, claim.id)
    made = _NOTHING | _numbers(result.pair) | {"sets": len(result.taking_part)}
    if result.verdict:
        made["verdict"] = result.verdict.outcome
    return made | {
        "why": "" if result.verdict else "no fresh pair of rows on any data set",
        "per_set": {x.dataset: _numbers(x.pair) | {"why": x.why} for x in result.parts},
    }


def _held(found: Sequence[Runs], claim: Claim) -> dict:
    rows, outcome = {}, None
    for one, verdict in held(found, claim):
        stale = bool(one.stale())
        if not stale and outcome is None and verdict.outcome != "not comparable":
            outcome = verdict.outcome
        line = {"row": one.variant, "mR": verdict.ours, "verdict": verdict.outcome}
        rows.setdefault(one.dataset, []).append(line | {"stale": stale})
    why = "" if outcome else "no fresh run that compares" if rows else pending(claim)
    return _NOTHING | {"verdict": outcome, "why": why, "per_set": rows}


def _timed(claim: Claim, folder: str | Path | None) -> dict:
    verdicts = short_lists(folder)
    lines = {
        name: {"faster": one.ours, "verdict": one.outcome, "why": ""}
        for name, one in verdicts.items()
    }
    failed = any(one.outcome in FAILURES for one in verdicts.values())
    outcome = ("does not hold" if failed else "holds") if verdicts else None
    why = "" if verdicts else pending(claim)
    return _NOTHING | {"verdict": outcome, "why": why, "per_set": lines}


def short_lists(folder: str | Path | None = None) -> dict[str, Verdict]:
    """{data set: whether a short list is as good and much faster}.

    By what `benchmarks/stages.py` has measured on val and on test.
    """
    folder, made = Path(folder) if folder else results_dir(), {}
    for dataset in DATASETS:
        paths = [folder / "search" / f"{dataset}-{split}.json" for split in SPLITS]
        if all(path.exists() for path in paths):
            both = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
            why = declared(SHORT_LIST, dataset, "coarse-to-fine", folder)
            made[dataset] = check_short_list(SHORT_LIST, *both, declared=why)
    return made


def held(found: Sequence[Runs], claim: Claim) -> list[tuple[Runs, Verdict]]:
    """The rows that are held to a printed number, and their verdicts.

    Those on a part of the data set stand at the end, "not comparable".
    """
    whole = claim.dataset.lower()
    sets = [whole, *(part for part, of in PARTS.items() if of == whole)]
    rows = [
        pick(found, key, dataset)
        for dataset in sets
        for key in RANGES.get(claim.system, [])
    ]
    verdicts = [(one, one.verdict(claim.system)) for one in rows if one]
    return [(one, verdict) for one, verdict in verdicts if verdict]


def pending(claim: Claim) -> str:
    """Why a claim without an outcome has none."""
    none = "not measured yet"
    if claim.method.lower() not in methods() and claim.system not in RANGES:
        return f"{none}: {claim.method} is not in the book yet"
    if "quoted" in claim.check:
        return "quoted, not measured"
    if claim.check.startswith("rsir bench"):
        return f"{none}: `{claim.check}`"
    if claim_step(claim.id) or claim.system in RANGES:
        return none
    if claim.kind == "qualitative":
        return f"{none} by a record; see how it is checked"
    return f"{none}: no row of the book measures it"


def noise(found: Sequence[Runs]) -> dict[str, tuple[Spread, int, int]]:
    """{data set: how steps vary over images and seeds, test images, steps}.

    Quadratic means over the steps with several seeds, and how many these are.
    Stale runs count: a spread does not date as a mean does.
    """
    made = {}
    for dataset in CAMPAIGN:
        steps = [
            _sides(*(pick(found, key, dataset) for key in step[:2])) for step in STEPS
        ]
        several = [x for x in steps if isinstance(x, tuple) and len(x[0]) > 1]
        if several:
            each = np.square([_counted(spread, *sides) for sides in several])
            images = len(_load(*several[0][0][0]).i2t.better)
            varies = Spread(*np.sqrt(each.mean(axis=0)).tolist())
            made[dataset] = varies, images, len(several)
    return made


# -- ranks, read and counted once -----------------------------------------


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _key(run: Record) -> tuple[Path, int]:
    """The ranks of a run, and when they were written."""
    path = run.path.with_suffix(".npz")
    return path, path.stat().st_mtime_ns


@lru_cache(maxsize=512)
def _load(path: Path, _written: int) -> Ranks:
    return Ranks.load(path)


@lru_cache(maxsize=4096)
def _counted(count, *sides: tuple, **options):
    """`count` of the ranks of some keys; a tuple of keys becomes a list."""
    one = isinstance(sides[0][0], Path)
    ranks = [_load(*s) if one else [_load(*key) for key in s] for s in sides]
    return count(*ranks, **options)
