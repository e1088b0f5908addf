"""A reader's own folder: images and one CSV of captions.

Columns: `filename`, `caption`, and if wanted `split` (train, val or
test). One row per caption, any number of captions per image. Without
a split column, 10 % of the images become test and as many val, by a
seeded shuffle of the images.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from rsir.data.assemble import Record, Rules, assemble, split_name
from rsir.data.images import ImageFolder
from rsir.data.paths import read_text
from rsir.data.split import Splits
from rsir.errors import RsirError


def find_csv(folder: Path) -> Path | None:
    """`captions.csv`, or else the only CSV of the folder, or None.

    Raises:
        RsirError: several CSV files, none of them captions.csv.
    """
    found = sorted(
        p for p in Path(folder).glob("*")
        if p.suffix.lower() == ".csv" and p.name[0] != "."
    )
    for path in found:
        if path.name.lower() == "captions.csv":
            return path
    if len(found) > 1:
        raise RsirError(
            f"{folder} has several CSV files ("
            f"{', '.join(p.name for p in found[:4])}); name the one "
            "with the captions captions.csv"
        )
    return found[0] if found else None


def read_folder(
    folder: Path,
    source: Path,
    images: Path | None = None,
    rules: Rules | None = None,
    name: str | None = None,
) -> Splits:
    """Read one CSV and the images below its folder.

    Args:
        folder: the folder; its name names the data set.
        source: the CSV file.
        images: folder of the image files, default `folder`.
        rules: checks and cuts; any number of captions unless
            `captions_per_image` says otherwise.
        name: name of the data set, default the folder's.

    Raises:
        RsirError: a column is missing, a row is wrong, or a fault of
            the data.
    """
    folder = Path(folder)
    records = parse_csv(source)
    return assemble(
        name or folder.resolve().name or "folder", folder, records,
        ImageFolder(images or folder),
        rules or Rules(captions_per_image=None), Path(source),
    )


def parse_csv(source: Path) -> list[Record]:
    """The records of a CSV, images in order of first appearance."""
    text = read_text(source, "caption table")
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        head = [c.strip().lower() for c in next(rows, [])]
        for column in ("filename", "caption"):
            if column not in head:
                raise RsirError(
                    f"{source} has no column {column!r} (its first "
                    f"line has {', '.join(head) or 'nothing'}); the "
                    "columns are filename, caption and, if wanted, "
                    "split"
                )
        return _records(source, head, rows)
    except csv.Error as error:
        raise RsirError(
            f"{source}: line {rows.line_num} is not CSV ({error}); "
            "put captions with commas or quotes in double quotes"
        ) from None


def _records(source: Path, head: list[str], rows) -> list[Record]:
    at_name, at_text = head.index("filename"), head.index("caption")
    at_split = head.index("split") if "split" in head else None
    texts: dict[str, list[str]] = {}
    part_of: dict[str, str] = {}
    line_of: dict[str, str] = {}
    for row in rows:
        where = f"line {rows.line_num}"
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(head):
            raise RsirError(
                f"{source}: {where} has {len(row)} fields, the first "
                f"line has {len(head)}; put captions with commas in "
                "double quotes"
            )
        name = row[at_name].strip()
        if not name:
            raise RsirError(f"{source}: {where} names no image")
        part = ""
        if at_split is not None:
            part = split_name(row[at_split], f"{source}: {where}")
        if part_of.setdefault(name, part) != part:
            raise RsirError(
                f"{source}: image {name} is in two splits, "
                f"{part_of[name]} ({line_of[name]}) and {part} "
                f"({where}); keep it in one of them"
            )
        line_of.setdefault(name, where)
        texts.setdefault(name, []).append(
            " ".join(row[at_text].split("\n")).strip()
        )
    return [
        Record(name, tuple(captions), part_of[name], line_of[name])
        for name, captions in texts.items()
    ]
