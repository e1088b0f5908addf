"""Published numbers and claims, and the verdicts on ours.

`reported/recalls.csv` holds printed recalls, `reported/claims.yml` every
claim of the four papers, each with a public source. A verdict's line names
the quantity and the outcome only, so it is the same text on every data set.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from rsir.models import methods
from rsir.utils.errors import RsirError

FOLDER = Path(__file__).with_name("reported")
_ROWS = [*csv.DictReader((FOLDER / "recalls.csv").read_text("utf-8").splitlines())]
_FILE = yaml.safe_load((FOLDER / "claims.yml").read_text("utf-8"))
COLUMNS = {
    f"{side} R@{k}": f"{side}_r{k}" for side in ("i2t", "t2i") for k in (1, 5, 10)
}
#: systems whose papers print recalls that this edition could not read
NOT_AT_HAND = ("EnVLF", "CFITR")
#: outcomes that fail, unless they are declared
FAILURES = ("below", "does not hold")
#: outcomes of a direction, in their order, and what two of them allow
OUTCOMES: list[str] = _FILE["outcomes"]
MARGINS: dict[str, float] = _FILE["margins"]
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
    """One claim of a paper, as claims.yml has it.

    kind: "range", "direction" or "qualitative".
    rows: for a direction, the two systems of recalls.csv behind it.
    low, high, why: of a range, computed.
    """

    id: str = ""
    method: str = ""
    kind: str = ""
    text: str = ""
    dataset: str = ""
    quantity: str = ""
    check: str = ""
    sources: tuple[str, ...] = ()
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
    """The outcome of one check, in percent or percent points.

    A number `ours` against the range `low`..`high` around `reported`; or
    a difference `ours` with its interval, `reported` what a paper prints.
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
    def line(self) -> str:
        """Quantity and outcome; print this in a verdict cell."""
        more = ", as declared" if self.outcome in FAILURES and self.declared else ""
        if self.outcome == "not comparable" and self.why.startswith(NO_RUN):
            more = f", {NO_RUN}"
        return f"{self.subject}: {self.outcome}{more}"

    def __str__(self) -> str:
        return self.line

    def details(self) -> str:
        """The numbers and reasons, for the cell above the verdict."""
        facts = [("ours", f"{self.ours:.2f}")]
        if self.reported is not None:
            gap = self.ours - self.reported
            facts.append(("reported", f"{self.reported:.2f} (difference {gap:+.2f})"))
        if self.low is not None:
            facts.append(("range", f"{self.low:.2f} to {self.high:.2f}"))
        facts += [("why", self.why), *(("source", text) for text in self.sources)]
        facts += [*(("note", text) for text in self.notes), ("declared", self.declared)]
        return "\n".join(f"{name:<9} {text}" for name, text in facts if text)

    def require(self) -> "Verdict":
        """Itself; AssertionError for a failure that was not declared."""
        if self.outcome in FAILURES and not self.declared:
            raise AssertionError(f"{self.line}\n{self.details()}")
        return self


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
    if quantity not in ("mR", *COLUMNS):
        raise RsirError(
            f"quantity: {quantity!r} is unknown; use mR or one of {', '.join(COLUMNS)}."
        )
    if is_ours(system):
        return None
    entries, place = _FILE["claims"], dataset.lower()
    named = {entry.get(key) for entry in entries for key in ("method", "system")}
    if system not in named.union(row["system"] for row in _ROWS):
        raise RsirError(
            f"system: {system!r} is neither in claims.yml nor in recalls.csv; "
            "load_reported().system lists the names."
        )
    entry = {"row": system, "method": system, "source": ()}
    for one in entries:
        if (one.get("system"), one["dataset"].lower()) == (system, place):
            entry = one
    here = [row for row in _ROWS if row["dataset"].lower() == place]
    matches = [row for row in here if row["system"] == entry["row"]]
    if not matches:
        return None
    # a re-run with several seeds outweighs a single printed run
    row = max(matches, key=lambda r: r["kind"] == "rerun")
    columns = [COLUMNS[quantity]] if quantity in COLUMNS else [*COLUMNS.values()]
    value = float(row[COLUMNS.get(quantity, "mr")])
    n = int(row["n_images"])
    spreads = [r["mr_std"] for r in here if r["system"] == entry["method"]]
    spreads = [float(std) for std in spreads if std and quantity == "mR"]
    if spreads:
        error, why = spreads[0], "the standard deviation of five re-runs"
    else:
        shares = [float(row[c]) / 100 for c in columns]
        error = 100 * sum(math.sqrt(p * (1 - p) / n) for p in shares) / len(shares)
        why = f"the binomial standard error of {n} images"
    why = f"printed {value:.2f} minus and plus 2 x {error:.2f}, {why}"
    sources = _sources(entry["source"]) or (f"{row['source']} ({row['url']})",)
    notes = tuple(text for text in (row["note"], entry.get("note")) if text)
    return Range(value, value - 2 * error, value + 2 * error, why, sources, notes, n)


def _sources(keys: Sequence[str]) -> tuple[str, ...]:
    found = (_FILE["sources"][key] for key in keys)
    return tuple(f"{source['text']} ({source['url']})" for source in found)


def _claim(entry: Mapping) -> Claim:
    entry = {k: v.strip() if isinstance(v, str) else v for k, v in entry.items()}
    entry["sources"] = _sources(entry.pop("source"))
    entry["rows"] = tuple(entry.get("rows", ()))
    if entry["kind"] == "range":
        r = reported_range(entry["system"], entry["dataset"], entry["quantity"])
        entry |= {"low": r.low, "high": r.high, "why": r.why}
    return Claim(**entry)


_CLAIMS = {entry["id"]: _claim(entry) for entry in _FILE["claims"]}


def load_claims() -> list[Claim]:
    """Every claim of claims.yml; ranges come with low, high and why."""
    return list(_CLAIMS.values())


def load_reported():
    """recalls.csv as a pandas DataFrame, recalls in percent.

    kind: "paper" (the system's own paper, or the table it stands in),
    "ablation", "rerun" (five seeds, by others), "later". n_images is the
    size of the test set that the numbers fit.
    """
    import pandas as pd

    return pd.read_csv(FOLDER / "recalls.csv").fillna({"note": ""})


def recorded_range(values: Sequence, floor: float = 1.0) -> Range:
    """A range from our own runs: mean -+ max(3 standard deviations, floor).

    Args:
        values: the mR of several recorded runs, percent, or the records;
            stale ones do not count.
        floor: the least half width in points, since few runs do not show
            how far a run can fall.
    """
    values = _fresh(values)
    if not values or not all(map(math.isfinite, values)):
        raise RsirError(f"recorded: {values} holds no usable value; record a run.")
    n = len(values)
    mean = sum(values) / n
    std = math.sqrt(sum((v - mean) ** 2 for v in values) / max(n - 1, 1))
    half = max(3 * std, floor)
    why = f"mean of {n} recorded run(s) of ours, minus and plus the larger of "
    why += f"3 x {std:.2f} (their standard deviation) and {floor:.2f}"
    return Range(mean, mean - half, mean + half, why)


def _fresh(values: Sequence) -> list[float]:
    fresh = (v for v in values if not (hasattr(v, "stale") and v.stale()))
    return [float(getattr(v, "mR", v)) for v in fresh]


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
        dataset, quantity: "RSICD", "ucm", ...; "mR", "t2i R@5", ....
        recorded: a `Range`, or what `recorded_range` takes; used where
            nothing is published.
        declared: why "below" is expected here; then it does not fail.
        encoders: what ours were, to be named beside the paper's.

    Raises:
        RsirError: unknown system or quantity, or ours is no percentage.
    """
    kind = "recorded" if is_ours(system) else "reported"
    subject, notes = f"{quantity} against its {kind} range", []
    if hasattr(ours, "tolist"):  # a numpy number or array
        ours = ours.tolist()
    runs = list(ours) if isinstance(ours, list | tuple) else [ours]
    if not runs:
        raise RsirError("ours: an empty list; give measured runs.")
    value = sum(_value(run, quantity) for run in runs) / len(runs)
    found = reported_range(system, dataset, quantity)
    kinds = _facts(runs[0]).get("encoders", {}).values()
    encoders = encoders or ", ".join(kinds)
    theirs = _FILE["encoders"].get(system.split("-")[0].split(" ")[0])
    if theirs and encoders:
        notes = [f"encoders: ours {encoders}; the paper's {theirs}"]
    if found is None:
        nothing = f"the recalls of {system}'s paper were not at hand"
        if system not in NOT_AT_HAND or dataset.lower() == "toy":
            nothing = f"no number is public for {system} on {dataset}"
        found = recorded
        if not isinstance(recorded, Range):
            values = [] if recorded is None else _fresh(recorded)
            found = recorded_range(values) if values else None
        if found is None:
            why = f"{NO_RUN} of ours to compare with; {nothing}"
            return Verdict(subject, "not comparable", value, why=why, declared=declared)
        notes.insert(0, f"{nothing}; the range is that of our own recorded runs")
    other = next(filter(None, (_other_protocol(r, dataset, found) for r in runs)), "")
    if value > found.high:
        above = f"above the range by {value - found.high:.2f}: first of all, the "
        notes.insert(0, above + "encoders are not the paper's")
    outcome = "below" if value < found.low else "reached"
    if other:
        outcome, other = "not comparable", f"{other}; "
    limits, notes = (found.value, found.low, found.high), (*notes, *found.notes)
    why = other + found.why
    return Verdict(
        subject, outcome, value, *limits, why, found.sources, notes, declared
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
        By the paired 95 % interval, the first of `OUTCOMES` that is true:
        "holds" (above 0), "does not hold" (below 0), "smaller than printed"
        (it ends below half the printed gain), "no effect here" (nothing is
        printed, and it lies within half a point of mR, or is exactly 0),
        "not decided". How much half is, `MARGINS` say.
    """
    known, of_mR = _known(claim), quantity == "mR"
    low, high = _pick(comparison.ci95, quantity)
    printed = known.value if known.quantity == quantity else None
    near = MARGINS["no effect here"] if of_mR else 0.0
    within = low == high == 0 or -near < low <= high < near
    true = {
        "holds": low > 0,
        "does not hold": high < 0,
        "smaller than printed": (
            printed is not None and high < MARGINS["smaller than printed"] * printed
        ),
        "no effect here": printed is None and within,
        "not decided": True,
    }
    outcome = next(name for name in OUTCOMES if true[name])
    notes = [f"p = {_pick(comparison.p, quantity):.2g}, {comparison.over}"]
    if comparison.run_se is not None:
        notes.append(f"standard error from seed to seed, mR: {comparison.run_se:.2f}")
    if known.note:
        notes.append(known.note)
    subject = (known.line or claim) + ("" if of_mR else f" ({quantity})")
    limits = _pick(comparison.difference, quantity), printed, low, high
    also = "alone" if comparison.run_se is None else "and seeds"
    why = f"95 % interval of the paired difference over images {also}"
    return Verdict(
        subject, outcome, *limits, why, known.sources, tuple(notes), declared
    )


def check_short_list(
    claim: str, chosen_on: Mapping, facts: Mapping, *, declared: str | None = None
) -> Verdict:
    """Does a short list save time and cost next to nothing?

    Its length is the shortest of which, on val, the 95 % interval of the
    loss of mR ends at `MAY_LOSE`. It "holds" where on test that list loses
    no more and is `FASTER` times faster (`ours`), else "does not hold".

    chosen_on, facts: of val and of test, from `benchmarks/stages.py`. claim,
    declared: as for `check_direction`.

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

    notes = [
        f"M = {length} {lost(length)}; galleries of {facts['n_images']} pictures: "
        f"{facts['subsets']}; seeds: {facts['runs']}"
    ]
    if other != length:
        notes.append(
            f"by its mean alone val would choose M = {other}, which {lost(other)}"
        )
    found = tested[length]
    fit = found["loss"] <= MAY_LOSE and found["faster"] >= FASTER
    return Verdict(
        known.line,
        "holds" if fit else "does not hold",
        found["faster"],
        sources=known.sources,
        notes=tuple(notes),
        declared=declared,
    )


def _known(claim: str) -> Claim:
    """The claim of an id, or one that only has a line: a text of our own."""
    if claim not in _CLAIMS and " " not in claim:
        raise RsirError(
            f"claim: {claim!r} is no id of claims.yml; load_claims() lists them. "
            "(A text of your own needs a space.)"
        )
    return _CLAIMS.get(claim, Claim(line=claim))


def _pick(recalls: Mapping, quantity: str):
    """recalls["mR"] or, for "t2i R@5", recalls["t2i"]["R@5"]."""
    for key in quantity.split(" ", 1):
        recalls = recalls[key]
    return recalls


def _facts(run) -> Mapping:
    """What a Report, a dict or a record says; {} for a number."""
    run = run.to_dict() if hasattr(run, "to_dict") else getattr(run, "facts", run)
    return run if isinstance(run, Mapping) else {}


def _value(run, quantity: str) -> float:
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
    gallery, home = facts.get("gallery", "full"), facts.get("dataset", dataset)
    n, theirs = facts.get("n_images"), found.n_images
    reasons = {
        "ours counts duplicate captions as correct": facts.get("duplicate_aware"),
        f"ours searched the {gallery} gallery": gallery != "full",
        "ours was selected on test": facts.get("config", {}).get("selects") == "test",
        "ours breaks every tie in its own favour": facts.get("ties") == "optimistic",
        "ours is the mean of other recalls than R@1, R@5, R@10": (
            set(facts.get("i2t", six)) != six
        ),
        f"ours was measured on {home}": home.lower() != dataset.lower(),
        f"ours has {n} test images instead of {theirs}": (
            n and theirs and n < 0.98 * theirs
        ),
    }
    return next((reason for reason, so in reasons.items() if so), "")
