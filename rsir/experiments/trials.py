"""What was tried on validation before a config was fixed.

`rsir train ... --tried results/tried.csv` adds a line a run, so that the
book can show which choices were made, and on what.
"""

import csv
from pathlib import Path

from rsir.models import config
from rsir.utils.errors import RsirError
from rsir.utils.io import atomic_write

COLUMNS = (
    *"method dataset preset variant changes seed val_mR best_epoch".split(),
    *"seconds commit created".split(),
)


def line_of(run, *, dataset: str, preset: str, variant: str | None, **more) -> dict:
    """A line of the table, of a `rsir.training.trainer.Run`.

    "changes" says where its config leaves the variant: `lr=0.001 mvsa=False`.
    more: "commit" and "created".
    """
    asked = run.config
    usual = config(asked.method, preset, variant, seed=asked.seed).to_dict()
    changes = [f"{k}={v}" for k, v in asked.to_dict().items() if usual[k] != v]
    return {
        "method": asked.method,
        "dataset": dataset,
        "preset": preset,
        "variant": variant or "",
        "changes": " ".join(changes),
        "seed": asked.seed,
        "val_mR": f"{run.val_mR:.2f}",
        "best_epoch": max(run.history, key=lambda entry: entry["val_mR"])["epoch"],
        "seconds": round(run.seconds.get("train", 0)),
        **more,
    }


def add(path: str | Path, line: dict) -> None:
    """Add a line to the table; the file is whole at any time."""
    lines = [*read(path), line]
    with atomic_write(path) as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def read(path: str | Path) -> list[dict]:
    """All lines, as text; none if there is no file.

    Raises:
        RsirError: the file is another kind of table.
    """
    if not Path(path).exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    if any(set(line) != set(COLUMNS) for line in lines):
        raise RsirError(
            f"{path}: its columns are not {', '.join(COLUMNS)}; give --tried "
            "another file"
        )
    return lines
