"""From the records of an annotation file to checked splits.

Every reader ends here, so that all of them treat faults alike:

* wrong number of captions, a name listed twice or in two splits, a
  missing or (when asked) unreadable image, an empty split: an error;
* a blank caption becomes `BLANK`, a caption of no word like those
  that RSICD has of its own, so that caption 5i still belongs to image
  i and no model meets an empty string: a `DataRepairWarning`;
* a caption with no letter, such as "." or "1 .", stays as it is: a
  `DataRepairWarning` that counts them.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from rsir.data.catalog import Entry
from rsir.data.images import SUFFIXES, ImageFolder, unreadable
from rsir.data.split import SPLIT_NAMES, DataRepairWarning, Split, Splits
from rsir.utils.errors import RsirError
from rsir.utils.io import read_text

BLANK = "."
"""What stands in for a blank caption."""

SPLIT_ALIASES = {
    "train": "train",
    "training": "train",
    "restval": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class Record:
    """One image as an annotation file lists it.

    Attributes:
        id: the image's name there.
        captions: its sentences, in order.
        split: "train", "val", "test", or "" if the file has none.
        where: place in the file, for messages.
        keywords: words of the image, or None.
    """

    id: str
    captions: tuple[str, ...]
    split: str
    where: str
    keywords: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Rules:
    """What a reader is asked for.

    Attributes:
        seed: of the shuffle that cuts val (or all splits).
        val_fraction: share of train that becomes val; see `cut_val`.
        captions_per_image: the count each image must have; None for
            any count from one up.
        verify: decode every image now.
    """

    seed: int = 0
    val_fraction: float | None = None
    captions_per_image: int | None = 5
    verify: bool = False

    def __post_init__(self):
        share = self.val_fraction
        if share is not None and not 0 < share < 1:
            raise RsirError(f"val_fraction is {share}; it must lie between 0 and 1")
        count = self.captions_per_image
        if count is not None and count < 1:
            raise RsirError(
                f"captions_per_image is {count}; give a count from 1 "
                "up, or None for any"
            )


def some(items: Sequence, limit: int = 4) -> str:
    """The first few, and how many more there are."""
    text = ", ".join(str(item) for item in items[:limit])
    more = len(items) - limit
    return f"{text} and {more:,} more" if more > 0 else text


def warn_repair(message: str) -> None:
    """A `DataRepairWarning` that points at the caller of rsir.data."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("rsir."):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, DataRepairWarning, stacklevel=level)


def split_name(text: str, where: str) -> str:
    """ "train", "val" or "test" for what a file calls it."""
    try:
        return SPLIT_ALIASES[str(text).strip().lower()]
    except KeyError:
        raise RsirError(
            f"{where}: unknown split {text!r}; use train, val or test"
        ) from None


def assemble(
    name: str,
    root: Path,
    records: Sequence[Record],
    folder: ImageFolder,
    rules: Rules,
    source: Path,
    label_of=None,
) -> Splits:
    """Check the records, cut val where needed, build the splits.

    Args:
        name: name of the data set.
        root: the folder of the data set.
        records: images in file order; all with a split, or none.
        folder: where the images are.
        rules: what to check, and how to cut.
        source: the annotation file, for messages.
        label_of: gives the scene kind for an image id, or None.

    Raises:
        RsirError: see the head of this module.
    """
    if not records:
        raise RsirError(f"{source} lists no images")
    _check_counts(records, rules, source)
    _check_twice(records, source)
    records = _repair_captions(records, source)
    paths = _find_images(records, folder, source)
    if rules.verify:
        _check_readable(paths)
    if not any(r.split for r in records):
        records = cut_all(records, rules)
    records = cut_val(records, rules)
    parts = {}
    for part in SPLIT_NAMES:
        rows = [i for i, r in enumerate(records) if r.split == part]
        if not rows:
            raise RsirError(
                f"{source}: the {part} split is empty; the file must "
                f"assign images to {part}"
            )
        parts[part] = _split(
            name,
            part,
            [records[i] for i in rows],
            [paths[i] for i in rows],
            label_of,
        )
    return Splits(name=name, root=Path(root), **parts)


def _split(name, part, records, paths, label_of) -> Split:
    labels = keywords = None
    if label_of is not None:
        labels = tuple(label_of(r.id) for r in records)
        labels = labels if any(labels) else None
    if any(r.keywords is not None for r in records):
        keywords = tuple(r.keywords or () for r in records)
    return Split(
        dataset=name,
        name=part,
        images=tuple(paths),
        captions=tuple(c for r in records for c in r.captions),
        owner=np.repeat(np.arange(len(records)), [len(r.captions) for r in records]),
        ids=tuple(r.id for r in records),
        labels=labels,
        keywords=keywords,
    )


def _check_counts(records, rules: Rules, source) -> None:
    want = rules.captions_per_image
    for r in records:
        have = len(r.captions)
        if not have:
            raise RsirError(
                f"{source}: {r.where} ({r.id}) has no caption; every "
                "image needs at least one"
            )
        if want is not None and have != want:
            raise RsirError(
                f"{source}: {r.where} ({r.id}) has {have} captions, "
                f"not {want}; correct the file, or pass "
                "captions_per_image=None to take any count"
            )


def _check_twice(records, source) -> None:
    seen: dict[str, Record] = {}
    for r in records:
        first = seen.setdefault(r.id, r)
        if first is r:
            continue
        if first.split != r.split:
            raise RsirError(
                f"{source}: image {r.id} is in two splits, "
                f"{first.split} ({first.where}) and {r.split} "
                f"({r.where}); keep it in one of them"
            )
        raise RsirError(
            f"{source}: image {r.id} is listed twice, at "
            f"{first.where} and {r.where}; join their captions"
        )


def _repair_captions(records, source) -> list[Record]:
    blank: list[str] = []
    wordless = 0
    out = []
    for r in records:
        empty = sum(not c.strip() for c in r.captions)
        if empty:
            blank += [r.id] * empty
            r = replace(
                r, captions=tuple(c if c.strip() else BLANK for c in r.captions)
            )
        wordless += sum(not re.search(r"[^\W\d_]", c) for c in r.captions) - empty
        out.append(r)
    if blank:
        names = list(dict.fromkeys(blank))
        warn_repair(
            f"{source.name}: {len(blank)} blank captions in "
            f"{len(names)} images ({some(names)}); each now reads "
            f"{BLANK!r}, so that positions and counts stay"
        )
    if wordless:
        warn_repair(
            f"{source.name}: {wordless} captions hold no word (such "
            "as '.'); they are kept as they are"
        )
    return out


def _find_images(records, folder: ImageFolder, source) -> list[Path]:
    paths, missing, taken = [], [], {}
    for r in records:
        path = folder.find(r.id)
        paths.append(path)
        if path is None:
            missing.append(r.id)
            continue
        other = taken.setdefault(path, r.id)
        if other != r.id:
            raise RsirError(
                f"{source}: {other} and {r.id} are one and the same "
                f"file, {path}; the names must differ in more than "
                "the suffix"
            )
    if missing:
        raise RsirError(
            f"{len(missing):,} of {len(records):,} images that "
            f"{source} lists are missing in {folder.path}: "
            f"{some(missing)}; fetch the images again, or name "
            "their folder with images=..."
        )
    return paths


def _check_readable(paths) -> None:
    bad = unreadable(paths)
    if bad:
        raise RsirError(
            f"{len(bad):,} of {len(paths):,} images cannot be read; "
            f"the first: {bad[0][1]}"
            + (f"; then {some([p.name for p, _ in bad[1:]])}" if bad[1:] else "")
        )


def cut_all(records, rules: Rules) -> list[Record]:
    """Images in a seeded shuffle: 10 % test, the others train.

    At least one image each; the cut is by image, never by caption.
    """
    n = len(records)
    if n < 3:
        raise RsirError(
            f"{n} images are too few for train, val and test; "
            "give at least 3, or a split column"
        )
    rng = np.random.default_rng([rules.seed, 1])
    test = set(rng.permutation(n)[: max(1, round(0.1 * n))].tolist())
    return [
        replace(r, split="test" if i in test else "train")
        for i, r in enumerate(records)
    ]


def cut_val(records, rules: Rules) -> list[Record]:
    """Cut val from train by a seeded shuffle of the images.

    * The file has val and `val_fraction` is None: nothing changes.
    * No val, `val_fraction` None: val gets as many images as test,
      at most a fifth of train.
    * `val_fraction` given: train and val are joined and cut anew;
      0.2 is what AMFMN and GaLR release (their shuffle has no seed).

    File order is kept within each split.
    """
    share = rules.val_fraction
    if share is None and any(r.split == "val" for r in records):
        return list(records)
    pool = [i for i, r in enumerate(records) if r.split != "test"]
    if len(pool) < 2:
        raise RsirError(
            f"{len(pool)} images outside of test are too few to cut "
            "train and val; give at least 2"
        )
    if share is None:
        n_val = min(len(records) - len(pool), len(pool) // 5)
    else:
        n_val = round(share * len(pool))
    n_val = min(max(1, n_val), len(pool) - 1)
    rng = np.random.default_rng([rules.seed, 0])
    val = {pool[i] for i in rng.permutation(len(pool))[:n_val]}
    return [
        r if r.split == "test" else replace(r, split="val" if i in val else "train")
        for i, r in enumerate(records)
    ]


# ----------------------------------------------------------------------
# Readers for the Karpathy-style JSON of the authors' archives.
#
# `dataset_rsicd.json`, `dataset_RSITMD.json`, and `dataset.json` (UCM
# and Sydney) share one form: `images`, each with `filename`, `split`
# and `sentences` that hold `raw`. RSITMD adds keywords.


def read_karpathy(
    name: str,
    source: Path,
    images: Path,
    rules: Rules | None = None,
    label_of: Callable[[str], str] | None = None,
) -> Splits:
    """Read one JSON file and the image folder beside it.

    Args:
        name: name of the data set.
        source: the JSON file.
        images: folder of the image files.
        rules: checks and cut of val, see `rsir.data.readers`.
        label_of: gives the scene kind for an image id.

    Raises:
        RsirError: not JSON, a key missing, or a fault of the data.
    """
    records = parse_karpathy(source, expect=name)
    return assemble(
        name,
        Path(source).parent,
        records,
        ImageFolder(images),
        rules or Rules(),
        Path(source),
        label_of,
    )


def parse_karpathy(source: Path, expect: str = "") -> list[Record]:
    """The records of a JSON file, in file order.

    Args:
        source: the JSON file.
        expect: data set that it should be; another known name in the
            file's `dataset` field is an error.
    """
    text = read_text(source, "annotation file")
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise RsirError(
            f"{source} is not JSON (line {error.lineno}, column "
            f"{error.colno}: {error.msg}); it may be cut off, fetch "
            "it again"
        ) from None
    if not isinstance(data, dict) or "images" not in data:
        keys = f" (it has {sorted(data)})" if isinstance(data, dict) else ""
        raise RsirError(
            f"{source} has no key 'images'{keys}; a Karpathy-style "
            "file is an object with a list 'images'"
        )
    says = str(data.get("dataset", "")).lower().replace("_captions", "")
    known = {"rsicd", "rsitmd", "ucm", "sydney"}
    if expect in known and says in known - {expect}:
        raise RsirError(
            f"{source} is the data set {says!r} by its own words, "
            f"not {expect!r}; give the folder of {expect}"
        )
    if not isinstance(data["images"], list):
        raise RsirError(f"{source}: 'images' is not a list")
    return [_record(source, i, item) for i, item in enumerate(data["images"])]


def _record(source: Path, i: int, item) -> Record:
    where = f"images[{i}]"
    if not isinstance(item, dict):
        raise RsirError(f"{source}: {where} is not an object")
    for key in ("filename", "split", "sentences"):
        if key not in item:
            raise RsirError(
                f"{source}: {where} has no key {key!r} (it has "
                f"{', '.join(sorted(item)) or 'none'})"
            )
    name = item["filename"]
    if not isinstance(name, str) or not name.strip():
        raise RsirError(f"{source}: {where} has an empty 'filename' ({name!r})")
    if not isinstance(item["sentences"], list):
        raise RsirError(f"{source}: {where} ({name}): 'sentences' is not a list")
    captions, words = [], list(_words(item))
    for j, sentence in enumerate(item["sentences"]):
        raw = sentence.get("raw") if isinstance(sentence, dict) else sentence
        if not isinstance(raw, str):
            raise RsirError(
                f"{source}: {where} ({name}): sentences[{j}] has no text under 'raw'"
            )
        captions.append(" ".join(raw.splitlines()))
        if isinstance(sentence, dict):
            words += _words(sentence)
    return Record(
        id=name.strip(),
        captions=tuple(captions),
        split=split_name(item["split"], f"{source}: {where} ({name})"),
        where=where,
        keywords=tuple(dict.fromkeys(words)) if words else None,
    )


def _words(item: dict) -> list[str]:
    found = item.get("keywords", item.get("keyword")) or []
    if isinstance(found, str):
        found = found.split(",")
    return [w.strip() for w in found if isinstance(w, str) and w.strip()]


# ----------------------------------------------------------------------
# Readers for the `*_precomp` text files of AMFMN and GaLR.
#
# `train_caps.txt` and `test_caps.txt` hold one caption a line, the
# captions of one image in a row. `train_filename.txt` has one line per
# image, `test_filename.txt` has each name five times; both forms are
# taken in both files. There is no val: it is cut from train by a seed.
#
# The images are `images=...`, or a folder beside the text files.


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
        rules: checks and cut of val, see `rsir.data.readers`.
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
        name,
        folder,
        records,
        ImageFolder(images),
        rules,
        folder,
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
                f"{names_path}: line {number} is blank; every line must name an image"
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
        records.append(
            Record(
                id=key,
                captions=tuple(caps[at : at + count]),
                split=part,
                where=f"{part}_caps.txt line {at + 1}",
            )
        )
        at += count
    return records


# ----------------------------------------------------------------------
# A reader's own folder: images and one CSV of captions.
#
# Columns: `filename`, `caption`, and if wanted `split` (train, val or
# test). One row per caption, any number of captions per image. Without
# a split column, 10 % of the images become test and as many val, by a
# seeded shuffle of the images.


def find_csv(folder: Path) -> Path | None:
    """`captions.csv`, or else the only CSV of the folder, or None.

    Raises:
        RsirError: several CSV files, none of them captions.csv.
    """
    found = sorted(
        p
        for p in Path(folder).glob("*")
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
        name or folder.resolve().name or "folder",
        folder,
        records,
        ImageFolder(images or folder),
        rules or Rules(captions_per_image=None),
        Path(source),
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
        texts.setdefault(name, []).append(" ".join(row[at_text].split("\n")).strip())
    return [
        Record(name, tuple(captions), part_of[name], line_of[name])
        for name, captions in texts.items()
    ]


# ----------------------------------------------------------------------
# Find the files of a data set below a data root.


LAYOUTS = ("karpathy", "precomp", "folder")


@dataclass(frozen=True)
class Located:
    """The files of one data set.

    Attributes:
        layout: "karpathy", "precomp" or "folder".
        folder: the data set's folder.
        source: the JSON or CSV; for precomp the folder of the texts.
        images: the image folder.
    """

    layout: str
    folder: Path
    source: Path
    images: Path


def _list(folder: Path) -> dict[str, Path]:
    """Names in a folder, lower case -> path; {} if it is none."""
    try:
        return {p.name.lower(): p for p in sorted(folder.iterdir())}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except PermissionError:
        raise RsirError(
            f"no permission to list the folder {folder}; change its mode (chmod u+rx)"
        ) from None


def _has_images(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(e.name.lower().endswith(SUFFIXES) for e in entries)


def annotation(folder: Path, names=(), layout="auto"):
    """(layout, source) of the annotations in a folder, or None.

    Args:
        folder: where to look.
        names: JSON names in order of preference; without any, every
            `dataset*.json`.
        layout: one of `LAYOUTS`, or "auto" for the first that is
            there (JSON, text files, CSV).
    """
    if layout not in ("auto", *LAYOUTS):
        raise RsirError(f"unknown layout {layout!r}; use auto, {', '.join(LAYOUTS)}")
    inside = _list(folder)
    wanted = [n.lower() for n in names] or [
        n for n in inside if n.startswith("dataset") and n.endswith(".json")
    ]
    if layout in ("auto", "karpathy"):
        for name in wanted:
            if name in inside:
                return "karpathy", inside[name]
    if layout in ("auto", "precomp"):
        below = [p for n, p in inside.items() if n.endswith("_precomp") and p.is_dir()]
        for place in [folder, *below]:
            if "train_caps.txt" in _list(place):
                return "precomp", place
    if layout in ("auto", "folder"):
        source = find_csv(folder) if inside else None
        if source is not None:
            return "folder", source
    return None


def image_folder(folder: Path, source: Path, names=()) -> Path:
    """The image folder: by name, else the one that holds images.

    Raises:
        RsirError: none found, or several.
    """
    names = [n.lower() for n in names] or ["images", "imgs"]
    places = dict.fromkeys((folder, source, folder.parent))
    for place in places:
        inside = _list(place)
        for name in names:
            found = inside.get(name)
            if found is not None and found.is_dir():
                return found
    holders = [p for p in _list(folder).values() if p.is_dir() and _has_images(p)]
    if len(holders) == 1:
        return holders[0]
    if _has_images(folder):
        return folder
    if holders:
        raise RsirError(
            f"{folder} has several folders with images ("
            f"{', '.join(p.name for p in holders[:4])}); name one "
            "with images=..."
        )
    raise RsirError(
        f"no image folder in {folder}; expected {names[0]}/ there, or "
        "name it with images=..."
    )


def locate(
    entry: Entry,
    root: Path,
    layout: str = "auto",
    images: str | os.PathLike | None = None,
) -> Located:
    """The files of a named data set.

    `root` is the folder of the data set itself, or has `rsicd/`,
    `ucm/`, ... below it.

    Raises:
        RsirError: nothing there; the message tells how to get it.
    """
    names = entry.annotations
    below = _list(root)
    # a folder of the set's own name wins over loose files in the root
    places = [
        below[n.lower()]
        for n in entry.folders
        if n.lower() in below and below[n.lower()].is_dir()
    ]
    for folder in dict.fromkeys([*places, root]):
        found = annotation(folder, names, layout)
        if found is None or found[0] == "folder":
            continue
        kind, source = found
        pictures = (
            Path(images).expanduser()
            if images
            else (
                image_folder(folder, source, entry.image_folders)
                if kind == "karpathy"
                else image_folder(
                    folder,
                    source,
                    (*entry.image_folders, *entry.folders),
                )
            )
        )
        return Located(kind, folder, source, pictures)
    if root.is_dir():
        why = f"neither {root} nor {root / entry.name} has {names[0]} or train_caps.txt"
    else:
        why = f"the data root {root} does not exist"
    raise RsirError(
        f"{entry.name} not found: {why}; run `rsir data fetch "
        f"{entry.name}`, or name the root with root=... or RSIR_DATA"
    )
