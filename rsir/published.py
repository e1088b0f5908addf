"""Published recalls and claims, as ranges with their sources.

Reads `reported/recalls.csv` (printed recalls, each with a public
source) and `reported/claims.yml` (every claim of the four papers).
`rsir.reported` is the public face and gives the verdicts.
"""

import csv
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rsir.errors import RsirError

FOLDER = Path(__file__).with_name("reported")
COLUMNS = {
    f"{side} R@{k}": f"{side}_r{k}"
    for side in ("i2t", "t2i")
    for k in (1, 5, 10)
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
            f"quantity: {quantity!r} is unknown; use mR or one of "
            f"{', '.join(COLUMNS)}."
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
    std = next((float(r["mr_std"]) for r in here if r["mr_std"]
                and r["system"] == method), None)
    columns = COLUMNS.values() if quantity == "mR" else [
        COLUMNS[quantity]
    ]
    n = int(row["n_images"])
    value = float(row["mr" if quantity == "mR" else columns[0]])
    if quantity == "mR" and std is not None:
        half = 2 * std
        why = f"2 x {std:.2f}, the standard deviation of five re-runs"
    else:
        shares = [float(row[c]) / 100 for c in columns]
        error = 100 * sum(
            math.sqrt(p * (1 - p) / n) for p in shares
        ) / len(shares)
        half = 2 * error
        why = (
            f"2 x {error:.2f}, the binomial standard error of {n} images"
        )
    sources = [_source(k) for k in keys] or [
        f"{row['source']} ({row['url']})"
    ]
    return Range(
        value, value - half, value + half,
        f"printed {value:.2f} minus and plus {why}", tuple(sources),
        tuple(t for t in (row["note"], note) if t), n,
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
        entry = {
            k: v.strip() if isinstance(v, str) else v
            for k, v in entry.items()
        }
        sources = tuple(_source(k) for k in entry.pop("source"))
        entry["rows"] = tuple(entry.get("rows", ()))
        if entry["kind"] == "range":
            r = reported_range(
                entry["system"], entry["dataset"], entry["quantity"]
            )
            entry |= {"low": r.low, "high": r.high, "why": r.why}
        claims.append(Claim(sources=sources, **entry))
    return tuple(claims)


def _source(key) -> str:
    source = read_claims_file()["sources"][key]
    return f"{source['text']} ({source['url']})"


def _same(entry, dataset) -> bool:
    return entry["dataset"].lower() == dataset.lower()
