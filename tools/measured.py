"""What `results/` says: rows of runs, verdicts, paired steps.

The results page, the claims page and the table of the README read the
records through this file, so that the three cannot disagree. A recall is
never read back from a record: it is counted again from the ranks of the
queries that lie beside it.
"""

import functools
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from steps import HEADLINES, STEPS

from rsir.evaluation.compare import mean_interval
from rsir.evaluation.metrics import Comparison, Ranks, compare, recalls_from_ranks
from rsir.experiments import records
from rsir.experiments.claims import (
    Verdict,
    check_direction,
    check_reported,
    load_claims,
    reported_range,
)
from rsir.experiments.records import Record, load_records
from rsir.models.recipes import ROWS

DATASETS = {
    "rsicd": "RSICD", "ucm": "UCM-Captions", "rsitmd": "RSITMD",
    "sydney": "Sydney-Captions", "toy": "Toy scenes",
}  # fmt: skip
SYSTEMS = {
    "linear": "linear baseline", "mlp": "MLP baseline",
    "amfmn": "AMFMN", "galr": "GaLR", "envlf": "EnVLF", "cfitr": "CFITR",
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """The runs of one row on one data set, one a seed."""

    method: str
    dataset: str
    row: str
    preset: str
    runs: tuple[Record, ...]

    @property
    def name(self) -> str:
        """As a table shows it; a dagger marks stale records."""
        system = SYSTEMS.get(self.method, self.method)
        own = "" if self.row == self.method else f" `{self.row}`"
        stale = " †" if self.stale() else ""
        return f"{system}{own}{self.kind}{stale}"

    @property
    def kind(self) -> str:
        """What sets it apart from the rows that it stands among."""
        config = self.runs[0].config
        words = {
            "transductive": self.transductive,
            "selected on test": config.get("selects") == "test",
            "other gallery": config.get("gallery", "full") != "full",
        }
        return "".join(f" ({word})" for word, so in words.items() if so)

    @property
    def reranked(self) -> bool:
        """Whether finished lists were ordered anew, by other queries."""
        return "+" in self.row or bool(self.runs[0].config.get("ppsr"))

    @property
    def transductive(self) -> bool:
        """Whether each query was answered with all the others at hand."""
        rerank = self.runs[0].facts.get("rerank", {})
        return self.reranked and rerank.get("transductive", True)

    @property
    def headline(self) -> bool:
        key = (self.method, self.row)
        return key in HEADLINES or self.row == self.method

    @property
    def seeds(self) -> list[int]:
        return [run.seed for run in self.runs]

    @property
    def encoders(self) -> str:
        """Image and text encoder, and how much of each learns."""
        config = self.runs[0].config
        start = config.get("start")
        seen = (
            f"above {start} learns"
            if start and config.get("stages_trained", True)
            else "frozen"
        )
        image, text = config["image_encoder"], config["text_encoder"]
        learns = {None: "all of it learns", 0: "frozen"}.get(
            config.get("text_layers"),
            f"last {config.get('text_layers')} blocks learn",
        ).replace("last 1 blocks learn", "last block learns")
        if text in ("gru", "uniskip"):
            learns = "learns"
        return f"`{image}` ({seen}), `{text}` ({learns})"

    def ranks(self) -> list[Ranks]:
        return [ranks_of(run) for run in self.runs]

    def values(self, ties="expected") -> list[float]:
        """mR of each run, percent."""
        return [recalls_of(run, ties)["mR"] for run in self.runs]

    def mean(self, ties="expected") -> dict:
        """The recalls, each a mean over the runs."""
        every = [recalls_of(run, ties) for run in self.runs]
        return {
            side: {
                name: float(np.mean([one[side][name] for one in every]))
                for name in every[0][side]
            }
            for side in ("i2t", "t2i")
        } | {"mR": float(np.mean([one["mR"] for one in every]))}

    def spread(self) -> str:
        """`21.30 ± 0.12 (3)`: mean, standard deviation, runs."""
        values = self.values()
        std = f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else ""
        return f"{np.mean(values):.2f}{std} ({len(values)})"

    def interval(self) -> tuple[float, float]:
        """95 % interval of the mean mR, from a bootstrap over images."""
        return interval_of(*map(_key, self.runs))

    def seconds(self, part: str) -> float:
        return float(np.mean([run.seconds[part] for run in self.runs]))

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
        found = {run.seed: run.stale() for run in self.runs}
        return {seed: names for seed, names in found.items() if names}

    def verdict(self, system: str | None = None) -> Verdict | None:
        """Against the printed range; None where nothing is printed."""
        system = system or HEADLINES.get((self.method, self.row))
        if not system or not reported_range(system, self.dataset):
            return None
        runs = [
            run.facts | {"recalls": {"expected": recalls_of(run)}} for run in self.runs
        ]
        claim = next(
            (
                c.id for c in claims().values()
                if c.kind == "range" and c.system == system
                and c.dataset.lower() == self.dataset
            ), "",
        )  # fmt: skip
        return check_reported(
            runs, system, self.dataset,
            declared=declared(self, claim),
        )  # fmt: skip


def rows(root: Path, dataset: str | None = None) -> list[Row]:
    """All rows with records, in the order of the book."""
    groups: dict[tuple, list[Record]] = {}
    for run in load_records(dataset=dataset, folder=root / "results"):
        key = (run.method, run.dataset, run.row, run.preset)
        groups.setdefault(key, []).append(run)
    found = [
        Row(*key, tuple(sorted(runs, key=lambda run: run.seed)))
        for key, runs in groups.items()
    ]
    systems, sets = list(SYSTEMS), list(DATASETS)

    def place(row: Row):
        names = list(ROWS.get(row.method, ()))
        return (
            _index(sets, row.dataset),
            _index(systems, row.method),
            _index(names, row.row),
            row.row,
            row.preset,
        )

    return sorted(found, key=place)


def _index(names: list[str], name: str) -> int:
    return names.index(name) if name in names else len(names)


def pick(found: list[Row], key, dataset: str) -> Row | None:
    """The row `key`, (method, row), on a data set, if it was run."""
    for row in found:
        if (row.method, row.row, row.dataset) == (*key, dataset):
            return row
    return None


def paired(found: list[Row], better, worse, dataset) -> Comparison | str:
    """One row minus another, on the seeds that both have.

    Returns a text that says why there is no comparison, if so.
    """
    a, b = (pick(found, key, dataset) for key in (better, worse))
    if a is None or b is None:
        return "not measured yet"
    seeds = set(a.seeds) & set(b.seeds)
    if not seeds or a.preset != b.preset:
        return "no seed of one preset in common"
    sides = [[run for run in row.runs if run.seed in seeds] for row in (a, b)]
    owners = {ranks_of(run).owner.tobytes() for side in sides for run in side}
    if len(owners) > 1:
        return "measured on different test sets"
    return compared(*(tuple(map(_key, side)) for side in sides))


def direction(
    found: list[Row], better, worse, claim: str, dataset: str
) -> tuple[Verdict | None, Comparison | str]:
    """The verdict on a step, and what it rests on."""
    pair = paired(found, better, worse, dataset)
    if isinstance(pair, str):
        return None, pair
    why = declared(pick(found, better, dataset), claim)
    return check_direction(claim, pair, declared=why), pair


def claim_step(claim: str):
    """(with, without) of a claim that a step checks, else None."""
    for better, worse, name in STEPS:
        if name == claim:
            return better, worse
    return None


@functools.cache
def claims() -> dict:
    return {claim.id: claim for claim in load_claims()}


def declared(row: Row, claim: str) -> str | None:
    """Why the claim is expected to fail for this row, if declared."""
    results = row.runs[0].path.parents[2]
    return records.declared(claim, row.dataset, row.row, results)


# -- ranks, read once -------------------------------------------------


def _key(run: Record) -> tuple[Path, int]:
    """The ranks of a run, and when they were written."""
    path = run.path.with_suffix(".npz")
    return path, path.stat().st_mtime_ns


def ranks_of(run: Record) -> Ranks:
    return _load(_key(run))


def recalls_of(run: Record, ties="expected") -> dict:
    return _recalls(_key(run), ties)


@functools.lru_cache(maxsize=512)
def _load(key) -> Ranks:
    return Ranks.load(key[0])


@functools.lru_cache(maxsize=2048)
def _recalls(key, ties) -> dict:
    return recalls_from_ranks(_load(key), ties)


@functools.lru_cache(maxsize=512)
def compared(a, b) -> Comparison:
    return compare([_load(k) for k in a], [_load(k) for k in b])


@functools.lru_cache(maxsize=512)
def interval_of(*keys) -> tuple[float, float]:
    try:
        return mean_interval([_load(key) for key in keys])[1:]
    except ValueError:  # not the same queries
        return float("nan"), float("nan")


# -- words for tables -------------------------------------------------


def badge(outcome: str) -> str:
    """An outcome as a coloured word."""
    kind = {
        "reached": "reached", "holds": "reached", "below": "below",
        "does not hold": "below",
    }.get(outcome, "incomparable")  # fmt: skip
    return f"[{outcome}]{{.verdict .{kind}}}"


def gain(pair: Comparison) -> str:
    """`+1.20 [+0.40, +2.00]`, in points of mR."""
    low, high = pair.ci95["mR"]
    return f"{pair.difference['mR']:+.2f} [{low:+.2f}, {high:+.2f}]"


def dataset_name(dataset: str) -> str:
    return DATASETS.get(dataset, dataset)


def stale_sentences(found: list[Row]) -> list[str]:
    """What the dagger means, row by row."""
    lines = []
    for row in found:
        if stale := row.stale():
            changed = Counter(n for v in stale.values() for n in v)
            names = ", ".join(f"`{name}`" for name in sorted(changed))
            lines.append(
                f"† {dataset_name(row.dataset)}, {row.name.rstrip(' †')}: "
                f"{len(stale)} of {len(row.runs)} runs were made before "
                f"a change of {names}. They are shown, but count as "
                "stale until they are made again."
            )
    return lines
