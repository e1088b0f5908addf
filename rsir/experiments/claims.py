"""Published recalls and claims, as ranges with their sources.

Reads `reported/recalls.csv` (printed recalls, each with a public
source) and `reported/claims.yml` (every claim of the four papers).
`rsir.experiments.claims` is the public face and gives the verdicts.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rsir.utils.errors import RsirError

FOLDER = Path(__file__).with_name("reported")
COLUMNS = {
    f"{side} R@{k}": f"{side}_r{k}" for side in ("i2t", "t2i") for k in (1, 5, 10)
}
#: baselines of ours; nobody has printed a number for them
OURS = ("linear", "mlp")
#: systems whose papers print recalls that this edition could not read
NOT_AT_HAND = ("EnVLF", "CFITR")


@dataclass(frozen=True)
class Range:
    """Where a number should lie, in percent, and why so wide."""

    value: float
    low: float
    high: float
    why: str
    sources: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    n_images: int | None = None


@dataclass(frozen=True)
class Claim:
    """One claim of a paper. `low`, `high`, `why`: for ranges, computed.

    kind: "range", "direction" or "qualitative".
    rows: for a direction, the two systems of recalls.csv behind it.
    check: how the book checks it.
    """

    id: str
    method: str
    kind: str
    text: str
    dataset: str
    quantity: str
    check: str
    sources: tuple[str, ...]
    line: str = ""
    system: str = ""
    row: str = ""
    rows: tuple[str, ...] = ()
    value: float | None = None
    low: float | None = None
    high: float | None = None
    why: str = ""
    note: str = ""


def load_reported():
    """recalls.csv as a pandas DataFrame, recalls in percent.

    kind: "paper" (the system's own paper, or the table it stands in),
    "ablation", "rerun" (five seeds, by others), "later". n_images is
    the size of the test set that the numbers fit. Rows that only quote
    another paper's numbers are left out.
    """
    import pandas as pd

    return pd.read_csv(FOLDER / "recalls.csv").fillna({"note": ""})


def load_claims() -> list[Claim]:
    """Every claim of claims.yml; ranges come with low, high and why."""
    return list(_claims())


def reported_range(system, dataset, quantity="mR") -> Range | None:
    """The range around a printed value; None where none is public.

    Nothing is public for the baselines in `OURS`.

    Half width: two standard deviations from run to run where the system
    was re-run with five seeds on this data set (mR only), else two
    binomial standard errors of a test set with that many images, taken
    as if all six recalls and the captions of an image moved together.

    Raises:
        RsirError: the system or the quantity is unknown.
    """
    if quantity != "mR" and quantity not in COLUMNS:
        raise RsirError(
            f"quantity: {quantity!r} is unknown; use mR or one of {', '.join(COLUMNS)}."
        )
    if system in OURS:
        return None
    entries, rows = read_claims_file()["claims"], _rows()
    if system not in {
        *(r["system"] for r in rows),
        *(e.get("system", e["method"]) for e in entries),
        *(e["method"] for e in entries),
    }:
        raise RsirError(
            f"system: {system!r} is neither in claims.yml nor in "
            "recalls.csv; load_reported().system lists the names."
        )
    name, keys, note, method = system, (), "", system
    for entry in entries:
        if entry.get("system") == system and _same(entry, dataset):
            name, keys = entry["row"], entry["source"]
            note, method = entry.get("note", ""), entry["method"]
    here = [r for r in rows if _same(r, dataset)]
    matches = [r for r in here if r["system"] == name]
    if not matches:
        return None
    # A re-run with several seeds outweighs a single printed run.
    row = max(matches, key=lambda r: r["kind"] == "rerun")
    std = next(
        (float(r["mr_std"]) for r in here if r["mr_std"] and r["system"] == method),
        None,
    )
    columns = COLUMNS.values() if quantity == "mR" else [COLUMNS[quantity]]
    n = int(row["n_images"])
    value = float(row["mr" if quantity == "mR" else columns[0]])
    if quantity == "mR" and std is not None:
        half = 2 * std
        why = f"2 x {std:.2f}, the standard deviation of five re-runs"
    else:
        shares = [float(row[c]) / 100 for c in columns]
        error = 100 * sum(math.sqrt(p * (1 - p) / n) for p in shares) / len(shares)
        half = 2 * error
        why = f"2 x {error:.2f}, the binomial standard error of {n} images"
    sources = [_source(k) for k in keys] or [f"{row['source']} ({row['url']})"]
    return Range(
        value,
        value - half,
        value + half,
        f"printed {value:.2f} minus and plus {why}",
        tuple(sources),
        tuple(t for t in (row["note"], note) if t),
        n,
    )


# ---- reading the files ---------------------------------------------


@cache
def _rows() -> tuple[dict, ...]:
    with open(FOLDER / "recalls.csv", newline="", encoding="utf-8") as f:
        return tuple(csv.DictReader(f))


@cache
def read_claims_file() -> dict:
    import yaml

    text = (FOLDER / "claims.yml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


@cache
def _claims() -> tuple[Claim, ...]:
    claims = []
    for entry in read_claims_file()["claims"]:
        entry = {k: v.strip() if isinstance(v, str) else v for k, v in entry.items()}
        sources = tuple(_source(k) for k in entry.pop("source"))
        entry["rows"] = tuple(entry.get("rows", ()))
        if entry["kind"] == "range":
            r = reported_range(entry["system"], entry["dataset"], entry["quantity"])
            entry |= {"low": r.low, "high": r.high, "why": r.why}
        claims.append(Claim(sources=sources, **entry))
    return tuple(claims)


def _source(key) -> str:
    source = read_claims_file()["sources"][key]
    return f"{source['text']} ({source['url']})"


def _same(entry, dataset) -> bool:
    return entry["dataset"].lower() == dataset.lower()


# ----------------------------------------------------------------------
# Published numbers and claims, and the verdict on ours.
#
# `reported/recalls.csv` holds printed recalls, each with a public source;
# `reported/claims.yml` every claim of the four papers. A verdict says
# "reached", "below" or "not comparable" for a number, and "holds", "does
# not hold" or "not decided" for a claim that one setting beats another.
# Its line names the quantity and the outcome only, so it is the same text
# on every data set; `details()` has the numbers.


__all__ = [
    "NOT_AT_HAND",
    "Claim",
    "Range",
    "Verdict",
    "check_direction",
    "check_reported",
    "check_short_list",
    "load_claims",
    "load_reported",
    "recorded_range",
    "reported_range",
]

FAILURES = ("below", "does not hold")
SIX = {"R@1", "R@5", "R@10"}
FIRST_REASON = "first of all, the encoders are not the paper's"


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check.

    For a number: `ours` against the range `low`..`high` around
    `reported`; `difference` is ours minus reported. For a direction:
    `ours` is the measured difference, `low`..`high` its interval, and
    `reported` the paper's difference, where it prints one.
    """

    subject: str
    outcome: str
    ours: float
    reported: float | None = None
    low: float | None = None
    high: float | None = None
    why: str = ""
    sources: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    declared: str | None = None

    @property
    def difference(self) -> float | None:
        if self.reported is None:
            return None
        return self.ours - self.reported

    @property
    def line(self) -> str:
        """Quantity and outcome; print this in a verdict cell."""
        failed = self.outcome in FAILURES
        return f"{self.subject}: {self.outcome}" + (
            ", as declared" if failed and self.declared else ""
        )

    def details(self) -> str:
        """The numbers and reasons, for the cell above the verdict."""
        lines = [f"ours      {self.ours:.2f}"]
        if self.reported is not None:
            lines.append(
                f"reported  {self.reported:.2f} (difference {self.difference:+.2f})"
            )
        if self.low is not None:
            lines.append(f"range     {self.low:.2f} to {self.high:.2f}")
        named = {
            "why": (self.why,),
            "source": self.sources,
            "note": self.notes,
            "declared": (self.declared,),
        }
        for name, texts in named.items():
            lines += [f"{name:<9} {text}" for text in texts if text]
        return "\n".join(lines)

    def require(self) -> "Verdict":
        """Fail on "below" or "does not hold", unless it was declared.

        Raises:
            AssertionError: with the line and the details.
        """
        if self.outcome in FAILURES and not self.declared:
            raise AssertionError(f"{self.line}\n{self.details()}")
        return self

    def __str__(self) -> str:
        return self.line


def recorded_range(values: Sequence[float], floor: float = 1.0) -> Range:
    """A range from our own runs, for data nobody has published on.

    Args:
        values: the same quantity of several recorded runs, percent.
        floor: the least half width in points, since few runs do not
            show how far a run can fall.

    Returns:
        The mean minus and plus max(3 standard deviations, floor).
    """
    values = [float(v) for v in values]
    if not values or not all(map(math.isfinite, values)):
        raise RsirError(f"recorded: {values} holds no usable value; record a run.")
    n = len(values)
    mean = sum(values) / n
    std = math.sqrt(sum((v - mean) ** 2 for v in values) / max(n - 1, 1))
    half = max(3 * std, floor)
    return Range(
        mean,
        mean - half,
        mean + half,
        f"mean of {n} recorded run(s) of ours, minus and plus the larger "
        f"of 3 x {std:.2f} (their standard deviation) and {floor:.2f}",
    )


def _nothing(system: str, dataset: str) -> str:
    """Why there is no printed number."""
    if system in NOT_AT_HAND and dataset.lower() != "toy":
        return f"the recalls of {system}'s paper were not at hand"
    return f"no number is public for {system} on {dataset}"


def check_reported(
    ours,
    system: str,
    dataset: str,
    quantity: str = "mR",
    *,
    recorded=None,
    declared: str | None = None,
    encoders: str | None = None,
) -> Verdict:
    """Our number against the published one.

    Args:
        ours: percent; or a `Report`, a dict of recalls, a record, or a
            list of any of these (runs, then the mean counts).
        system: a system of claims.yml or recalls.csv, e.g. "AMFMN",
            "AMFMN-soft", "GaLR", "GaLR with MR"; or "linear", our
            own baseline, which is held to its recorded range.
        dataset: "RSICD", "ucm", ...; case does not matter.
        quantity: "mR", or e.g. "t2i R@5".
        recorded: a `Range`, or a list of our own recorded values, used
            where nothing is published for this data set.
        declared: why "below" is expected here; then it does not fail.
        encoders: what ours were, to be named beside the paper's.

    Returns:
        The verdict; `.line`, `.details()` and `.require()`.

    Raises:
        RsirError: unknown system or quantity, or ours is no percentage.
    """
    kind = "recorded" if system in OURS else "reported"
    subject = f"{quantity} against its {kind} range"
    runs = _runs(ours)
    value = sum(_value(run, quantity) for run in runs) / len(runs)
    found = reported_range(system, dataset, quantity)
    notes = [_encoder_note(system, encoders or _encoders_of(runs[0]))]
    if found is None and recorded is None:
        return Verdict(
            subject,
            "not comparable",
            value,
            declared=declared,
            why=f"{_nothing(system, dataset)}, and no recorded range was given",
        )
    if found is None:
        found = recorded if isinstance(recorded, Range) else recorded_range(recorded)
        notes.insert(
            0,
            f"{_nothing(system, dataset)}; the range is that of our own recorded runs",
        )
    other = next(
        filter(None, (_other_protocol(r, dataset, found) for r in runs)),
        "",
    )
    outcome = "below" if value < found.low else "reached"
    if value > found.high:
        notes.insert(0, f"above the range by {value - found.high:.2f}: " + FIRST_REASON)
    return Verdict(
        subject,
        "not comparable" if other else outcome,
        value,
        found.value,
        found.low,
        found.high,
        "; ".join(t for t in (other, found.why) if t),
        found.sources,
        (*(n for n in notes if n), *found.notes),
        declared,
    )


def check_direction(
    claim: str,
    comparison,
    *,
    quantity: str = "mR",
    declared: str | None = None,
) -> Verdict:
    """Does one setting beat another, as the paper says?

    Args:
        claim: id of a claim, or a text like "visual guidance helps".
        comparison: `metrics.compare(with the thing, without it)`.
        quantity: "mR", or e.g. "t2i R@1".
        declared: why "does not hold" is expected; it does not fail.

    Returns:
        "holds" where the paired 95 % interval lies above 0, "does not
        hold" where it lies below, and "not decided" between.
    """
    known = _known(claim)
    line = known.line if known and known.line else claim
    subject = line if quantity == "mR" else f"{line} ({quantity})"
    low, high = _pick(comparison.ci95, quantity)
    outcome = "holds" if low > 0 else "does not hold" if high < 0 else "not decided"
    p, runs = _pick(comparison.p, quantity), comparison.runs
    count = f"{comparison.n_images} images, {runs[0]} and {runs[1]} runs"
    notes = [f"p = {p:.2g}, {count}"]
    if comparison.run_se is not None:
        notes.append(f"standard error from run to run, in mR: {comparison.run_se:.2f}")
    if known and known.note:
        notes.append(known.note)
    published = known and known.quantity == quantity
    return Verdict(
        subject,
        outcome,
        _pick(comparison.difference, quantity),
        known.value if published else None,
        low,
        high,
        "95 % interval of the paired difference over images",
        known.sources if known else (),
        tuple(notes),
        declared,
    )


def check_short_list(
    claim: str,
    chosen_on: Mapping,
    facts: Mapping,
    *,
    within: float = 0.5,
    least: float = 10.0,
    declared: str | None = None,
) -> Verdict:
    """Does a short list save time and cost next to nothing?

    The length is chosen first, on other pictures: the shortest of
    which they show that it loses no more than `within` (the 95 %
    interval of the loss ends there). The mean alone would do with
    less, and be luckier; a note says what it would have chosen.

    Args:
        claim: id of a claim, or a text of your own.
        chosen_on: as `benchmarks/stages.py` writes them, of val: of
            each length M the "loss" of mR and its "loss_ci95".
        facts: the same of test, with the gain of time of each M.
        within: points of mR that a short list may lose.
        least: times faster that it has to be.
        declared: why "does not hold" is expected; it does not fail.

    Returns:
        "holds" where the list of that length loses no more than
        `within` on test, too, and is at least `least` times faster,
        else "does not hold". `ours` is how many times faster it is.

    Raises:
        RsirError: no length is good enough to choose, or test has
            none of the length that was chosen.
    """
    known = _known(claim)
    rows = chosen_on["coarse_to_fine"]
    sure = [x["M"] for x in rows if x["loss_ci95"][1] <= within]
    mean = [x["M"] for x in rows if x["loss"] <= within]
    tested = {x["M"]: x for x in facts["coarse_to_fine"]}
    if not sure:
        raise RsirError(
            "short lists: val shows of none that it loses at most "
            f"{within}; run benchmarks/stages.py with longer --depths"
        )
    length, other = min(sure), min(mean)  # what is sure has a mean
    if length not in tested or other not in tested:
        raise RsirError(
            f"short lists: M = {length} and M = {other} were chosen, and "
            "one is not measured on test; run benchmarks/stages.py with "
            "the same --depths on both"
        )
    found = tested[length]
    fit = found["loss"] <= within and found["faster"] >= least
    notes = [
        f"M = {length} {_lost(found)}; galleries of "
        f"{facts['n_images']} pictures: {facts['subsets']}; "
        f"seeds: {facts['runs']}"
    ]
    if other != length:
        notes.append(
            "by its mean alone val would choose "
            f"M = {other}, which {_lost(tested[other])}"
        )
    return Verdict(
        known.line if known else claim,
        "holds" if fit else "does not hold",
        found["faster"],
        sources=known.sources if known else (),
        notes=tuple(notes),
        declared=declared,
    )


def _lost(row: Mapping) -> str:
    low, high = row["loss_ci95"]
    return f"loses {row['loss']:.2f} [{low:.2f}, {high:.2f}]"


def _known(claim: str):
    """The claim of an id; None for a text, which has a space.

    Raises:
        RsirError: for an id that there is not.
    """
    known = {c.id: c for c in load_claims()}.get(claim)
    if known is None and " " not in claim:
        raise RsirError(
            f"claim: {claim!r} is no id of claims.yml; load_claims() "
            "lists them. (A text of your own needs a space.)"
        )
    return known


def _pick(recalls, quantity):
    """recalls["mR"] or, for "t2i R@5", recalls["t2i"]["R@5"]."""
    for key in quantity.split(" ", 1):
        recalls = recalls[key]
    return recalls


def _runs(ours) -> list:
    """One run or several, as a list."""
    if hasattr(ours, "tolist"):  # a numpy number or array
        ours = ours.tolist()
    runs = list(ours) if isinstance(ours, list | tuple) else [ours]
    if not runs:
        raise RsirError("ours: an empty list; give measured runs.")
    return runs


def _facts(run) -> Mapping:
    """What a Report, a dict or a record says; {} for a number."""
    facts = run.to_dict() if hasattr(run, "to_dict") else run
    return facts if isinstance(facts, Mapping) else {}


def _value(run, quantity) -> float:
    """Percent from a number, a Report, a dict of recalls or a record."""
    facts = _facts(run)
    recalls = facts.get("recalls", facts)  # a record holds every rule
    recalls = recalls.get("expected", recalls)
    value = float(_pick(recalls, quantity) if recalls else run)
    if not 0 <= value <= 100:  # NaN fails this, too
        raise RsirError(f"ours: {value} is not a percentage; give 0 to 100.")
    return value


def _other_protocol(run, dataset, found: Range) -> str:
    """Why a run may not be compared with a printed number, or ""."""
    facts = _facts(run)
    if facts.get("duplicate_aware"):
        return "ours counts equal captions as correct"
    gallery = facts.get("gallery", "full")
    if gallery != "full":
        return f"ours searched the {gallery} gallery"
    if facts.get("config", {}).get("selects") == "test":
        return "ours was selected on test"
    if facts.get("ties") == "optimistic":
        return "ours breaks every tie in its own favour"
    if set(facts.get("i2t", SIX)) != SIX:
        return "ours is the mean of other recalls than R@1, R@5, R@10"
    home = facts.get("dataset", dataset)
    if home.lower() != dataset.lower():
        return f"ours was measured on {home}"
    n, theirs = facts.get("n_images"), found.n_images
    if n and theirs and n < 0.98 * theirs:
        return f"ours has {n} test images instead of {theirs}"
    return ""


def _encoders_of(run) -> str:
    found = _facts(run).get("encoders", "")
    if isinstance(found, Mapping):
        return ", ".join(map(str, found.values()))
    return str(found)


def _encoder_note(system, ours) -> str:
    method = system.split("-")[0].split(" ")[0]
    theirs = read_claims_file()["encoders"].get(method)
    if not theirs or not ours:
        return ""
    return f"encoders: ours {ours}; the paper's {theirs}"
