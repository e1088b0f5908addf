"""Readers for the `*_precomp` text files of AMFMN and GaLR.

`train_caps.txt` and `test_caps.txt` hold one caption a line, the
captions of one image in a row. `train_filename.txt` has one line per
image, `test_filename.txt` has each name five times; both forms are
taken in both files. There is no val: it is cut from train by a seed.

The images are `images=...`, or a folder beside the text files.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from pathlib import Path

from rsir.data.assemble import Record, Rules, assemble
from rsir.data.images import ImageFolder
from rsir.data.paths import read_text
from rsir.data.split import Splits
from rsir.errors import RsirError


def read_precomp(
    name: str,
    folder: Path,
    images: Path,
    rules: Rules | None = None,
    label_of: Callable[[str], str] | None = None,
) -> Splits:
    """Read a folder of `*_caps.txt` and `*_filename.txt`.

    A `val_caps.txt` with `val_filename.txt` is read if it is there;
    the `*_verify` files of one unseeded shuffle are not.

    Args:
        name: name of the data set.
        folder: where the text files are.
        images: folder of the image files.
        rules: checks and cut of val, see `rsir.data.assemble`.
        label_of: gives the scene kind for an image id.

    Raises:
        RsirError: a file is missing, the line counts do not fit, or
            a fault of the data.
    """
    folder, rules = Path(folder), rules or Rules()
    records = []
    for part in ("train", "val", "test"):
        optional = part == "val"
        if optional and not (folder / "val_caps.txt").exists():
            continue
        records += parse_pair(folder, part, rules.captions_per_image)
    return assemble(
        name, folder, records, ImageFolder(images), rules, folder,
        label_of,
    )


def _lines(path: Path) -> list[str]:
    text = read_text(path, "caption file")
    lines = text.replace("\r\n", "\n").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return [line.strip() for line in lines]


def parse_pair(
    folder: Path, part: str, captions_per_image: int | None = 5
) -> list[Record]:
    """The records of one split.

    Blank lines are kept: they are blank captions, and every line
    below counts by its number.
    """
    caps_path = Path(folder) / f"{part}_caps.txt"
    names_path = Path(folder) / f"{part}_filename.txt"
    caps, names = _lines(caps_path), _lines(names_path)
    for number, line in enumerate(names, 1):
        if not line:
            raise RsirError(
                f"{names_path}: line {number} is blank; every line "
                "must name an image"
            )
    if not names:
        raise RsirError(f"{names_path} is empty; it must name images")
    if len(names) == len(caps) and len(set(names)) < len(names):
        runs = [(k, len(list(g))) for k, g in groupby(names)]
    else:
        each = captions_per_image or (len(caps) // len(names) or 1)
        if each * len(names) != len(caps):
            raise RsirError(
                f"{caps_path} has {len(caps):,} lines and {names_path} "
                f"has {len(names):,}; expected {each} captions a "
                f"name ({each * len(names):,} lines) or one name a "
                "caption"
            )
        runs = [(k, each) for k in names]
    records, at = [], 0
    for key, count in runs:
        records.append(Record(
            id=key,
            captions=tuple(caps[at:at + count]),
            split=part,
            where=f"{part}_caps.txt line {at + 1}",
        ))
        at += count
    return records
