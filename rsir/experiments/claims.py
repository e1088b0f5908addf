"""Published numbers and claims, and the verdicts on ours.

`reported/recalls.csv` holds printed recalls, each with a public source;
`reported/claims.yml` every claim of the four papers. A verdict's line
names the quantity and the outcome only, so it is the same text on every
data set; `details()` has the numbers.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rsir.models import methods
from rsir.utils.errors import RsirError

FOLDER = Path(__file__).with_name("reported")
COLUMNS = {
    f"{side} R@{k}": f"{side}_r{k}" for side in ("i2t", "t2i") for k in (1, 5, 10)
}
#: systems whose papers print recalls that this edition could not read
NOT_AT_HAND = ("EnVLF", "CFITR")
#: outcomes that fail, unless they are declared
FAILURES = ("below", "does not hold")
#: where nothing is printed: a gain within so many points of mR is none
NO_EFFECT = 0.5
NO_RUN = "no fresh run"
#: a short list may lose so many points of mR, and must be so many times faster
MAY_LOSE, FASTER = 0.5, 10.0


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


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check.

    For a number: `ours` against the range `low`..`high` around
    `reported`. For a direction: `ours` is the measured difference,
    `low`..`high` its interval, and `reported` the paper's difference,
    where it prints one.
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
        """Ours minus reported."""
        return None if self.reported is None else self.ours - self.reported

    @property
    def line(self) -> str:
        """Quantity and outcome; print this in a verdict cell."""
        more = ", as declared" if self.outcome in FAILURES and self.declared else ""
        if self.outcome == "not comparable" and self.why.startswith(NO_RUN):
            more = f", {NO_RUN}"
        return f"{self.subject}: {self.outcome}{more}"

    def details(self) -> str:
        """The numbers and reasons, for the cell above the verdict."""
        lines = [f"ours      {self.ours:.2f}"]
        if self.reported is not None:
            lines.append(
                f"reported  {self.reported:.2f} (difference {self.difference:+.2f})"
            )
        if self.low is not None:
            lines.append(f"range     {self.low:.2f} to {self.high:.2f}")
        texts = [("why", self.why), *(("source", text) for text in self.sources)]
        texts += [*(("note", text) for text in self.notes), ("declared", self.declared)]
        return "\n".join(lines + [f"{name:<9} {text}" for name, text in texts if text])

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


# -- the two files -----------------------------------------------------


def load_reported():
    """recalls.csv as a pandas DataFrame, recalls in percent.

    kind: "paper" (the system's own paper, or the table it stands in),
    "ablation", "rerun" (five seeds, by others), "later". n_images is the
    size of the test set that the numbers fit.
    """
    import pandas as pd

    return pd.read_csv(FOLDER / "recalls.csv").fillna({"note": ""})


def load_claims() -> list[Claim]:
    """Every claim of claims.yml; ranges come with low, high and why."""
    return list(_claims().values())


@cache
def _rows() -> tuple[dict, ...]:
    with open(FOLDER / "recalls.csv", newline="", encoding="utf-8") as file:
        return tuple(csv.DictReader(file))


@cache
def read_claims_file() -> dict:
    """claims.yml as it is."""
    import yaml

    return yaml.safe_load((FOLDER / "claims.yml").read_text(encoding="utf-8"))


@cache
def _claims() -> dict[str, Claim]:
    claims = {}
    for entry in read_claims_file()["claims"]:
        entry = {k: v.strip() if isinstance(v, str) else v for k, v in entry.items()}
        sources = tuple(map(_source, entry.pop("source")))
        entry["rows"] = tuple(entry.get("rows", ()))
        if entry["kind"] == "range":
            r = reported_range(entry["system"], entry["dataset"], entry["quantity"])
            entry |= {"low": r.low, "high": r.high, "why": r.why}
        claims[entry["id"]] = Claim(sources=sources, **entry)
    return claims


def _source(key: str) -> str:
    source = read_claims_file()["sources"][key]
    return f"{source['text']} ({source['url']})"


def _known(claim: str) -> Claim | None:
    """The claim of an id; None for a text, which has a space."""
    if claim not in _claims() and " " not in claim:
        raise RsirError(
            f"claim: {claim!r} is no id of claims.yml; load_claims() lists them. "
            "(A text of your own needs a space.)"
        )
    return _claims().get(claim)


# -- ranges --------------------------------------------------------------


def is_ours(system: str) -> bool:
    """Whether it is a method of ours: nobody has printed a number for it."""
    return system in methods() and not methods()[system].config.YEAR


def reported_range(system: str, dataset: str, quantity: str = "mR") -> Range | None:
    """The range around a printed value; None where none is public.

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
    if is_ours(system):
        return None
    entries = read_claims_file()["claims"]
    named = {row["system"] for row in _rows()} | {e["method"] for e in entries}
    if system not in named | {e.get("system") for e in entries}:
        raise RsirError(
            f"system: {system!r} is neither in claims.yml nor in recalls.csv; "
            "load_reported().system lists the names."
        )
    here = [r for r in _rows() if r["dataset"].lower() == dataset.lower()]
    claimed = [
        e
        for e in entries
        if e.get("system") == system and e["dataset"].lower() == dataset.lower()
    ]
    entry = claimed[-1] if claimed else {"row": system, "method": system, "source": ()}
    matches = [r for r in here if r["system"] == entry["row"]]
    if not matches:
        return None
    # a re-run with several seeds outweighs a single printed run
    row = max(matches, key=lambda r: r["kind"] == "rerun")
    n = int(row["n_images"])
    value = float(row["mr" if quantity == "mR" else COLUMNS[quantity]])
    seeds = [
        float(r["mr_std"])
        for r in here
        if r["mr_std"] and r["system"] == entry["method"] and quantity == "mR"
    ]
    if seeds:
        error, why = seeds[0], "the standard deviation of five re-runs"
    else:
        columns = COLUMNS.values() if quantity == "mR" else [COLUMNS[quantity]]
        shares = [float(row[c]) / 100 for c in columns]
        error = 100 * sum(math.sqrt(p * (1 - p) / n) for p in shares) / len(shares)
        why = f"the binomial standard error of {n} images"
    sources = map(_source, entry["source"])
    return Range(
        value,
        value - 2 * error,
        value + 2 * error,
        f"printed {value:.2f} minus and plus 2 x {error:.2f}, {why}",
        tuple(sources) or (f"{row['source']} ({row['url']})",),
        tuple(text for text in (row["note"], entry.get("note")) if text),
        n,
    )


def recorded_range(values: Sequence, floor: float = 1.0) -> Range:
    """A range from our own runs, for data nobody has published on.

    Args:
        values: the mR of several recorded runs, percent, or the records;
            stale ones do not count.
        floor: the least half width in points, since few runs do not show
            how far a run can fall.

    Returns:
        The mean minus and plus max(3 standard deviations, floor).
    """
    values = _fresh(values)
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
        f"mean of {n} recorded run(s) of ours, minus and plus the larger of "
        f"3 x {std:.2f} (their standard deviation) and {floor:.2f}",
    )


def _fresh(values: Sequence) -> list[float]:
    stale = [v for v in values if hasattr(v, "stale") and v.stale()]
    return [float(getattr(v, "mR", v)) for v in values if v not in stale]


# -- verdicts ------------------------------------------------------------


def check_reported(
    ours,
    system: str,
    dataset: str,
    quantity: str = "mR",
    *,
    recorded: Range | Sequence | None = None,
    declared: str | None = None,
    encoders: str | None = None,
) -> Verdict:
    """Our number against the published one: reached, below, not comparable.

    Args:
        ours: percent; or a `Report`, a dict of recalls, a record, or a
            list of any of these (runs, then the mean counts).
        system: of claims.yml or recalls.csv, or "linear", our own.
        dataset: "RSICD", "ucm", ...; case does not matter.
        quantity: "mR", or e.g. "t2i R@5".
        recorded: a `Range`, or records of ours (stale ones do not count)
            or their values, used where nothing is published.
        declared: why "below" is expected here; then it does not fail.
        encoders: what ours were, to be named beside the paper's.

    Raises:
        RsirError: unknown system or quantity, or ours is no percentage.
    """
    subject = f"{quantity} against its "
    subject += f"{'recorded' if is_ours(system) else 'reported'} range"
    runs = _runs(ours)
    value = sum(_value(run, quantity) for run in runs) / len(runs)
    found = reported_range(system, dataset, quantity)
    encoders = encoders or _encoders_of(runs[0])
    theirs = read_claims_file()["encoders"].get(system.split("-")[0].split(" ")[0])
    notes = []
    if theirs and encoders:
        notes = [f"encoders: ours {encoders}; the paper's {theirs}"]
    if found is None:
        nothing = f"the recalls of {system}'s paper were not at hand"
        if system not in NOT_AT_HAND or dataset.lower() == "toy":
            nothing = f"no number is public for {system} on {dataset}"
        if not isinstance(recorded, Range):
            values = _fresh(recorded if recorded is not None else ())
            recorded = recorded_range(values) if values else None
        if recorded is None:
            why = f"{NO_RUN} of ours to compare with; {nothing}"
            return Verdict(subject, "not comparable", value, why=why, declared=declared)
        found = recorded
        notes.insert(0, f"{nothing}; the range is that of our own recorded runs")
    other = next(filter(None, (_other_protocol(r, dataset, found) for r in runs)), "")
    if value > found.high:
        above = f"above the range by {value - found.high:.2f}: first of all, the "
        notes.insert(0, above + "encoders are not the paper's")
    outcome = "below" if value < found.low else "reached"
    return Verdict(
        subject,
        "not comparable" if other else outcome,
        value,
        found.value,
        found.low,
        found.high,
        "; ".join(text for text in (other, found.why) if text),
        found.sources,
        (*notes, *found.notes),
        declared,
    )


def check_direction(
    claim: str, comparison, *, quantity: str = "mR", declared: str | None = None
) -> Verdict:
    """Does one setting beat another, as the paper says?

    Args:
        claim: id of a claim, or a text like "visual guidance helps".
        comparison: `compare(with the thing, without it)`.
        quantity: "mR", or e.g. "t2i R@1".
        declared: why "does not hold" is expected; it does not fail.

    Returns:
        By the paired 95 % interval, the first that is true: "holds"
        (above 0), "does not hold" (below 0), "smaller than printed" (it
        ends below half the printed gain), "no effect here" (nothing is
        printed, and it lies within half a point of mR), "not decided".
    """
    known = _known(claim)
    line = known.line if known and known.line else claim
    low, high = _pick(comparison.ci95, quantity)
    printed = known.value if known and known.quantity == quantity else None
    if low > 0:
        outcome = "holds"
    elif high < 0:
        outcome = "does not hold"
    elif printed is not None and high < printed / 2:
        outcome = "smaller than printed"
    elif printed is None and quantity == "mR" and -NO_EFFECT < low and high < NO_EFFECT:
        outcome = "no effect here"
    else:
        outcome = "not decided"
    p, runs = _pick(comparison.p, quantity), comparison.runs
    notes = [f"p = {p:.2g}, {comparison.n_images} images, {runs[0]} and {runs[1]} runs"]
    if comparison.run_se is not None:
        notes.append(f"standard error from run to run, in mR: {comparison.run_se:.2f}")
    if known and known.note:
        notes.append(known.note)
    return Verdict(
        line if quantity == "mR" else f"{line} ({quantity})",
        outcome,
        _pick(comparison.difference, quantity),
        printed,
        low,
        high,
        "95 % interval of the paired difference over images",
        known.sources if known else (),
        tuple(notes),
        declared,
    )


def check_short_list(
    claim: str, chosen_on: Mapping, facts: Mapping, *, declared: str | None = None
) -> Verdict:
    """Does a short list save time and cost next to nothing?

    The length is chosen first, on other pictures: the shortest of which
    the 95 % interval of the loss of mR ends at `MAY_LOSE`. A note says what
    the mean alone would choose.

    Args:
        claim: id of a claim, or a text of your own.
        chosen_on: as `benchmarks/stages.py` writes them, of val: of each
            length M the "loss" of mR and its "loss_ci95".
        facts: the same of test, with how much "faster" each M is.
        declared: why "does not hold" is expected; it does not fail.

    Returns:
        "holds" where on test that list loses no more, too, and is at least
        `FASTER` times faster, else "does not hold". `ours` is that factor.

    Raises:
        RsirError: no length can be chosen, or test has none of it.
    """
    known = _known(claim)
    rows = chosen_on["coarse_to_fine"]
    sure = [x["M"] for x in rows if x["loss_ci95"][1] <= MAY_LOSE]
    tested = {x["M"]: x for x in facts["coarse_to_fine"]}
    if not sure:
        raise RsirError(
            f"short lists: val shows of none that it loses at most {MAY_LOSE}; run "
            "benchmarks/stages.py with longer --depths"
        )
    length, other = min(sure), min(x["M"] for x in rows if x["loss"] <= MAY_LOSE)
    if length not in tested or other not in tested:
        raise RsirError(
            f"short lists: M = {length} and M = {other} were chosen, and one is not "
            "measured on test; run benchmarks/stages.py with the same --depths on both"
        )

    def lost(m: int) -> str:
        low, high = tested[m]["loss_ci95"]
        return f"loses {tested[m]['loss']:.2f} [{low:.2f}, {high:.2f}]"

    found = tested[length]
    fit = found["loss"] <= MAY_LOSE and found["faster"] >= FASTER
    notes = [
        f"M = {length} {lost(length)}; galleries of {facts['n_images']} pictures: "
        f"{facts['subsets']}; seeds: {facts['runs']}"
    ]
    if other != length:
        notes.append(
            f"by its mean alone val would choose M = {other}, which {lost(other)}"
        )
    return Verdict(
        known.line if known else claim,
        "holds" if fit else "does not hold",
        found["faster"],
        sources=known.sources if known else (),
        notes=tuple(notes),
        declared=declared,
    )


def _pick(recalls: Mapping, quantity: str):
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
    run = run.to_dict() if hasattr(run, "to_dict") else getattr(run, "facts", run)
    return run if isinstance(run, Mapping) else {}


def _value(run, quantity: str) -> float:
    """Percent from a number, a Report, a dict of recalls or a record."""
    facts = _facts(run)
    recalls = facts.get("recalls", facts)  # a record holds every rule
    recalls = recalls.get("expected", recalls)
    value = float(_pick(recalls, quantity) if recalls else run)
    if not 0 <= value <= 100:  # NaN fails this, too
        raise RsirError(f"ours: {value} is not a percentage; give 0 to 100.")
    return value


def _other_protocol(run, dataset: str, found: Range) -> str:
    """Why a run may not be compared with a printed number, or ""."""
    facts, six = _facts(run), {"R@1", "R@5", "R@10"}
    gallery, n = facts.get("gallery", "full"), facts.get("n_images")
    home, theirs = facts.get("dataset", dataset), found.n_images
    if facts.get("duplicate_aware"):
        return "ours counts duplicate captions as correct"
    if gallery != "full":
        return f"ours searched the {gallery} gallery"
    if facts.get("config", {}).get("selects") == "test":
        return "ours was selected on test"
    if facts.get("ties") == "optimistic":
        return "ours breaks every tie in its own favour"
    if set(facts.get("i2t", six)) != six:
        return "ours is the mean of other recalls than R@1, R@5, R@10"
    if home.lower() != dataset.lower():
        return f"ours was measured on {home}"
    if n and theirs and n < 0.98 * theirs:
        return f"ours has {n} test images instead of {theirs}"
    return ""


def _encoders_of(run) -> str:
    found = _facts(run).get("encoders", "")
    return ", ".join(found.values()) if isinstance(found, Mapping) else str(found)
