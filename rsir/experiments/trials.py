"""What was tried on validation before a recipe was fixed.

`rsir train ... --tried results/tried.csv` adds a line a run, so that
the book can show which choices were made, and on what. The test split
has no part in it.
"""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from rsir.models.recipes import Recipe, recipe
from rsir.utils.errors import RsirError
from rsir.utils.io import atomic_write

COLUMNS = (
    "method",
    "dataset",
    "preset",
    "row",
    "changes",
    "seed",
    "val_mR",
    "best_epoch",
    "seconds",
    "commit",
    "created",
)


def changed(asked: Recipe, preset: str, row: str | None) -> str:
    """`lr=0.001 mvsa=False`: where a recipe leaves its row, or ""."""
    usual = recipe(asked.method, preset, row, seed=asked.seed).to_dict()
    return " ".join(
        f"{name}={value}"
        for name, value in asked.to_dict().items()
        if usual[name] != value
    )


def line_of(
    run,
    asked: Recipe,
    *,
    dataset: str,
    preset: str,
    row: str | None,
    commit: str,
    created: str,
) -> dict:
    """A line of the table, of a run that `rsir.training.trainer.train` gave."""
    best = max(run.history, key=lambda entry: entry["val_mR"])
    return {
        "method": asked.method,
        "dataset": dataset,
        "preset": preset,
        "row": row or "",
        "changes": changed(asked, preset, row),
        "seed": asked.seed,
        "val_mR": f"{run.val_mR:.2f}",
        "best_epoch": best["epoch"],
        "seconds": round(run.seconds.get("train", 0)),
        "commit": commit[:10],
        "created": created,
    }


def add(path: str | Path, line: Mapping) -> None:
    """Add a line to the table; the file is whole at any time."""
    lines = [*read(path), {name: str(line[name]) for name in COLUMNS}]
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(Path(path)) as file:
        file.write(text.getvalue())


def read(path: str | Path) -> list[dict]:
    """All lines, as text; none if there is no file.

    Raises:
        RsirError: the file is another kind of table.
    """
    path = Path(path)
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    if any(set(line) != set(COLUMNS) for line in lines):
        raise RsirError(
            f"{path}: its columns are not {', '.join(COLUMNS)}; give "
            "--tried another file"
        )
    return lines
