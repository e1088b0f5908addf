"""From the files of a data set to checked splits.

Four layouts are read: the Karpathy JSON of the authors, the `*_precomp`
text files of AMFMN and GaLR, one JSON list a split (PIR, HarMA), and a
folder with one CSV. Each parser makes `Record`s, and `assemble` treats
faults alike in all of them:

* a caption count that is not the one asked for, a name listed twice or
  in two splits, a missing image, an empty test split, a caption that is
  a list or an empty cell written as text: an error;
* a blank caption becomes `BLANK`, a caption of no word like those that
  RSICD has of its own, so that caption 5i still belongs to image i: a
  `DataRepairWarning`;
* a caption with no letter, such as "." or "1 .", stays: a
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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np

from rsir.data.catalog import CATALOG, Entry, scene_of
from rsir.data.images import SUFFIXES, ImageFolder, PixelOptions, unreadable
from rsir.data.split import SPLIT_NAMES, DataRepairWarning, Split, Splits
from rsir.utils.errors import RsirError
from rsir.utils.io import data_root, read_lines, read_text

BLANK = "."
"""What stands in for a blank caption."""

SPLIT_ALIASES = {
    **dict.fromkeys(("train", "training", "restval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}

_OTHER_WAY = (
    "for another layout, read the rows yourself and pass them to "
    "Splits.from_pairs (book/bring_your_own.md has examples)"
)
_OTHER_TABLES = {
    ".jsonl": "JSON lines",
    ".parquet": "a parquet table",
    ".arrow": "an Arrow table",
    ".xlsx": "an Excel table",
    ".tar": "a tar archive, as of WebDataset",
}
_WRITTEN_LIST = re.compile(r"""\s*[\[{(]\s*(['"]).*\1\s*,?\s*[\]})]\s*""", re.S)
_EMPTY_CELL = {"nan", "none", "null", "<na>", "n/a"}


@dataclass(frozen=True)
class Record:
    """One image as an annotation file lists it."""

    id: str
    captions: tuple[str, ...]
    split: str  # "" if the file has none
    where: str  # place in the file, for messages
    keywords: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Rules:
    """How a reader cuts and checks; see `load_dataset`."""

    seed: int = 0
    val_fraction: float | None = None
    captions_per_image: int | None = None

    def __post_init__(self):
        share, count = self.val_fraction, self.captions_per_image
        if share is not None and not 0 < share < 1:
            raise RsirError(f"val_fraction is {share}; it must lie between 0 and 1")
        if count is not None and count < 1:
            raise RsirError(
                f"captions_per_image is {count}; give a count from 1 up, or None"
            )


def some(items: Sequence, limit: int = 4) -> str:
    """The first few, and how many more there are."""
    text = ", ".join(str(item) for item in items[:limit])
    more = len(items) - limit
    return f"{text} and {more:,} more" if more > 0 else text


def one_line(text: str) -> str:
    """A caption on one line: a line break in it becomes a space."""
    return re.sub(r"[\r\n]+", " ", text.strip("\r\n"))


def _warn(message: str) -> None:
    """A `DataRepairWarning` that points at the caller of rsir."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("rsir."):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, DataRepairWarning, stacklevel=level)


def _split_name(text, where: str) -> str:
    try:
        return SPLIT_ALIASES[str(text).strip().lower()]
    except KeyError:
        raise RsirError(
            f"{where}: unknown split {text!r}; use train, val or test"
        ) from None


# ----------------------------------------------------------------------
# From records to splits.


def assemble(
    name: str,
    root: Path,
    records: Sequence[Record],
    find: Callable[[list[str]], list[Path | None]],
    rules: Rules,
    source: Path | str,
    label_of: Callable[[str], str] | None = None,
) -> Splits:
    """Check the records, cut val where needed, build the splits.

    `find` gives the file of each name, as `ImageFolder.find_all`;
    `label_of` the scene kind of an image; `source` is for messages.

    Raises:
        RsirError: see the head of this module.
    """
    records, paths = _checked(records, find, rules, source)
    if not any(r.split for r in records):
        records = _cut_all(records, rules)
    records = _cut_val(records, rules)
    if not any(r.split == "test" for r in records):
        raise RsirError(
            f"{source}: the test split is empty; the file must assign images to test"
        )
    parts = [_split(name, part, records, paths, label_of) for part in SPLIT_NAMES]
    return Splits(name, Path(root), *parts)


def _split(name, part, records, paths, label_of=None) -> Split:
    rows = [i for i, r in enumerate(records) if r.split == part]
    mine = [records[i] for i in rows]
    labels = [label_of(r.id) if label_of else "" for r in mine]
    keywords = [r.keywords or () for r in mine]
    return Split(
        dataset=name,
        name=part,
        images=tuple(paths[i] for i in rows),
        captions=tuple(c for r in mine for c in r.captions),
        owner=np.repeat(np.arange(len(mine)), [len(r.captions) for r in mine]),
        ids=tuple(r.id for r in mine),
        labels=tuple(labels) if any(labels) else None,
        keywords=tuple(keywords) if any(keywords) else None,
    )


def _checked(records, find, rules: Rules, source):
    """The repaired records, and the path of each image."""
    if not records:
        raise RsirError(f"{source} lists no images")
    seen: dict[str, Record] = {}
    for r in records:
        have, want = len(r.captions), rules.captions_per_image
        if not have or want not in (None, have):
            raise RsirError(
                f"{source}: {r.where} ({r.id}) has {have} captions, not "
                f"{want or 'one or more'}; correct the file, or pass "
                "captions_per_image=None to take any count from 1 up"
            )
        first = seen.setdefault(r.id, r)
        if first.split != r.split:
            raise RsirError(
                f"{source}: image {r.id} is in two splits, {first.split} "
                f"({first.where}) and {r.split} ({r.where}); keep it in one of them"
            )
        if first is not r:
            raise RsirError(
                f"{source}: image {r.id} is listed twice, at {first.where} and "
                f"{r.where}; join their captions"
            )
    return _repair_captions(records, source), _find_images(records, find, source)


def _repair_captions(records, source) -> list[Record]:
    blank: list[str] = []
    wordless = 0
    out = []
    for r in records:
        where = f"{source}: {r.where} ({r.id})"
        for text in r.captions:
            if not text.strip():
                blank.append(r.id)
            elif not re.search(r"[^\W\d_]", text):
                wordless += 1
            elif _WRITTEN_LIST.fullmatch(text):
                raise RsirError(
                    f"{where}: the caption {text[:40]!r} is a list written as text; "
                    "write one row per caption (pandas: ast.literal_eval, explode)"
                )
            elif text.strip().lower() in _EMPTY_CELL:
                raise RsirError(
                    f"{where}: the caption {text!r} is an empty cell written as "
                    "text; fill it, or leave the row out (pandas: dropna)"
                )
        captions = tuple(c if c.strip() else BLANK for c in r.captions)
        out.append(replace(r, captions=captions))
    if blank:
        names = list(dict.fromkeys(blank))
        _warn(
            f"{Path(source).name}: {len(blank)} blank captions in {len(names)} images "
            f"({some(names)}); each now reads {BLANK!r}, so that positions stay"
        )
    if wordless:
        _warn(
            f"{Path(source).name}: {wordless} captions hold no word (such as '.'); "
            "they are kept as they are"
        )
    return out


def _find_images(records, find, source) -> list[Path]:
    paths = find([r.id for r in records])
    missing = [r.id for r, p in zip(records, paths, strict=True) if p is None]
    if missing:
        raise RsirError(
            f"{len(missing):,} of {len(records):,} images that {source} lists "
            f"are missing: {some(missing)}; fetch the images again, correct "
            "the names, or name the image folder with images=..."
        )
    taken: dict[Path, str] = {}
    for r, path in zip(records, paths, strict=True):
        other = taken.setdefault(path, r.id)
        if other != r.id:
            raise RsirError(
                f"{source}: {other} and {r.id} are one and the same file, {path}; "
                "the names must differ in more than the suffix"
            )
    return paths


def check_readable(splits: Splits) -> None:
    """Decode every picture; RsirError names the first that fails."""
    paths = [p for s in splits for p in s.images]
    bad = unreadable(paths, splits.test.pixels)
    if bad:
        others = f"; then {some([p.name for p, _ in bad[1:]])}" if bad[1:] else ""
        raise RsirError(
            f"{len(bad):,} of {len(paths):,} images cannot be read; "
            f"the first: {bad[0][1]}{others}"
        )


def with_pixels(splits: Splits, pixels: PixelOptions | None) -> Splits:
    """The same splits, read with these options.

    Percentiles are measured on train (on test where train is empty).
    """
    if pixels is None:
        return splits
    pixels = pixels.measured(splits.train.images or splits.test.images)
    return replace(splits, **{s.name: replace(s, pixels=pixels) for s in splits})


def _cut_all(records, rules: Rules) -> list[Record]:
    """Images in a seeded shuffle: 10 % test, the others train."""
    n = len(records)
    if n < 3:
        raise RsirError(
            f"{n} images are too few for train, val and test; "
            "give at least 3, or a split column"
        )
    order = np.random.default_rng([rules.seed, 1]).permutation(n).tolist()
    return _moved(records, order[: max(1, round(0.1 * n))], "test", "train")


def _cut_val(records, rules: Rules) -> list[Record]:
    """Cut val from train by a seeded shuffle of the images.

    * The file has val or only test, and `val_fraction` is None:
      nothing changes.
    * No val, `val_fraction` None: val gets as many images as test,
      at most a fifth of train.
    * `val_fraction` given: train and val are joined and cut anew;
      0.2 is what AMFMN and GaLR release (their shuffle has no seed).
    """
    share = rules.val_fraction
    pool = [i for i, r in enumerate(records) if r.split != "test"]
    if share is None and (not pool or any(r.split == "val" for r in records)):
        return list(records)
    if len(pool) < 2:
        raise RsirError(
            f"{len(pool)} images outside of test are too few to cut "
            "train and val; give at least 2"
        )
    wanted = min(len(records) - len(pool), len(pool) // 5)
    if share is not None:
        wanted = round(share * len(pool))
    order = np.random.default_rng([rules.seed, 0]).permutation(len(pool))
    val = [pool[i] for i in order[: min(max(1, wanted), len(pool) - 1)]]
    return _moved(records, val, "val", "train")


def _moved(records, chosen: list[int], to: str, rest: str) -> list[Record]:
    """The chosen go to one split; all others but test to the rest."""
    chosen = set(chosen)
    return [
        replace(r, split=to if i in chosen else r.split if r.split == "test" else rest)
        for i, r in enumerate(records)
    ]


# ----------------------------------------------------------------------
# JSON: the authors' form, and one list a split.


def _load_json(source: Path):
    text = read_text(source, "annotation file")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise RsirError(
            f"{source} is not JSON (line {error.lineno}, column {error.colno}: "
            f"{error.msg}); it may be cut off, fetch it again"
        ) from None
    except (RecursionError, ValueError) as error:  # too deep, too long a number
        raise RsirError(f"{source} is no JSON of captions ({error})") from None


def _kind_of_json(data) -> str:
    if not isinstance(data, dict):
        return "a list" if isinstance(data, list) else "a single value"
    if "annotations" in data:
        return "COCO JSON"
    first = next(iter(data.values()), None)
    if isinstance(first, list) and first and isinstance(first[0], dict):
        if "raw" in first[0] and "images" not in data:
            return "the JSON of NWPU-Captions (a list for each class)"
    return f"an object with the keys {some(sorted(data)) or 'none'}"


def _need(item, keys: Iterable[str], where: str) -> str:
    """The image name under the first key; all keys must be there."""
    if not isinstance(item, dict):
        raise RsirError(f"{where} is not an object")
    for key in keys:
        if key not in item:
            raise RsirError(
                f"{where} has no key {key!r} (it has {some(sorted(item)) or 'none'})"
            )
    name = item[next(iter(keys))]
    if not isinstance(name, str) or not name.strip():
        raise RsirError(f"{where} has an empty {next(iter(keys))!r} ({name!r})")
    return name.strip()


def parse_karpathy(source: Path, expect: str = "") -> list[Record]:
    """The records of a Karpathy JSON, in file order.

    `images`, each with `filename`, `split` and `sentences` that hold
    `raw`; RSITMD adds keywords. `expect`: the data set it should be.
    """
    data = _load_json(source)
    if not isinstance(data, dict) or "images" not in data or "annotations" in data:
        raise RsirError(
            f"{source} has no key 'images' with sentences, it is "
            f"{_kind_of_json(data)}; {_OTHER_WAY}"
        )
    says = str(data.get("dataset", "")).lower().replace("_captions", "")
    if expect in CATALOG and says in set(CATALOG) - {expect}:
        raise RsirError(
            f"{source} is the data set {says!r} by its own words, "
            f"not {expect!r}; give the folder of {expect}"
        )
    if not isinstance(data["images"], list):
        raise RsirError(f"{source}: 'images' is not a list")
    return [_karpathy(source, f"images[{i}]", x) for i, x in enumerate(data["images"])]


def _karpathy(source: Path, at: str, item) -> Record:
    name = _need(item, ("filename", "split", "sentences"), f"{source}: {at}")
    where = f"{source}: {at} ({name})"
    if not isinstance(item["sentences"], list):
        raise RsirError(f"{where}: 'sentences' is not a list")
    captions, words = [], _words(item)
    for j, sentence in enumerate(item["sentences"]):
        raw = sentence.get("raw") if isinstance(sentence, dict) else sentence
        if not isinstance(raw, str):
            raise RsirError(f"{where}: sentences[{j}] has no text under 'raw'")
        captions.append(one_line(raw))
        words += _words(sentence)
    split = _split_name(item["split"], where)
    return Record(name, tuple(captions), split, at, tuple(dict.fromkeys(words)) or None)


def _words(item) -> list[str]:
    if not isinstance(item, dict):
        return []
    found = item.get("keywords", item.get("keyword"))
    found = found.split(",") if isinstance(found, str) else found
    found = found if isinstance(found, list) else []
    return [w.strip() for w in found if isinstance(w, str) and w.strip()]


def find_lists(folder: Path, name: str = "") -> dict[str, Path]:
    """`NAME_train.json`, `NAME_val.json`, `NAME_test.json` -> paths."""
    groups: dict[str, dict[str, Path]] = {}
    for lower, path in _inside(folder).items():
        found = re.fullmatch(r"(?:(.*)[_-])?(train|val|test)\.json", lower)
        if found:
            groups.setdefault(found[1] or "", {})[found[2]] = path
    if name:
        return groups.get(name, groups.get("", {}))
    if len(groups) > 1:
        raise RsirError(
            f"{folder} has JSON lists of several data sets ({some(sorted(groups))}); "
            "keep those of one of them there"
        )
    return next(iter(groups.values()), {})


def parse_lists(files: dict[str, Path]) -> list[Record]:
    """The records of one JSON list a split, as PIR and HarMA have them.

    Items are `{"image": ..., "caption": ...}`; the caption is a string
    or a list of them, and an image may have several items.
    """
    records = []
    for part in (p for p in SPLIT_NAMES if p in files):
        data, found = _load_json(files[part]), {}
        if not isinstance(data, list):
            raise RsirError(
                f"{files[part]} is {_kind_of_json(data)}, not a list of objects "
                f"with 'image' and 'caption'; {_OTHER_WAY}"
            )
        for i, item in enumerate(data):
            name = _need(item, ("image", "caption"), f"{files[part]}: [{i}]")
            captions = item["caption"]
            for text in captions if isinstance(captions, list) else [captions]:
                if not isinstance(text, str):
                    raise RsirError(
                        f"{files[part]}: [{i}] ({name}): a caption is {text!r:.40}, "
                        "not text"
                    )
                _add(found, name, text, part, f"{files[part].name} [{i}]")
        records += found.values()
    return records


def _add(found: dict, name: str, caption: str, part: str, where: str) -> None:
    """Add one caption to the record of its image."""
    r = found.get((name, part)) or Record(name, (), part, where)
    found[name, part] = replace(r, captions=(*r.captions, one_line(caption)))


# ----------------------------------------------------------------------
# Text: the `*_precomp` files, a CSV, and rows of any source.


def parse_precomp(folder: Path, captions_per_image: int | None = 5) -> list[Record]:
    """The records of `*_caps.txt` and `*_filename.txt`.

    One caption a line, the captions of one image in a row; names once
    an image or once a caption. A `val` pair is read if it is there;
    the `*_verify` files of one unseeded shuffle are not.
    """
    records = []
    for part in SPLIT_NAMES:
        if part != "val" or (folder / "val_caps.txt").exists():
            records += _precomp_pair(folder, part, captions_per_image)
    return records


def _precomp_pair(folder: Path, part: str, captions_per_image) -> list[Record]:
    caps_path, names_path = folder / f"{part}_caps.txt", folder / f"{part}_filename.txt"
    # a blank line is a blank caption: every line below counts by its number
    caps = [one_line(c.strip()) for c in read_lines(caps_path, "caption file")]
    names = [n.strip() for n in read_lines(names_path, "list of image names")]
    if not names:
        raise RsirError(f"{names_path} is empty; it must name images")
    if "" in names:
        raise RsirError(
            f"{names_path}: line {names.index('') + 1} is blank; every line "
            "must name an image"
        )
    each = captions_per_image or (len(caps) // len(names) or 1)
    runs = [(k, each) for k in names]
    if len(names) == len(caps) and len(set(names)) < len(names):
        runs = [(k, len(list(g))) for k, g in groupby(names)]
    elif each * len(names) != len(caps):
        raise RsirError(
            f"{caps_path} has {len(caps):,} lines and {names_path} has "
            f"{len(names):,}; expected {each} captions a name "
            f"({each * len(names):,} lines) or one name a caption"
        )
    records, at = [], 0
    for key, count in runs:
        where = f"{part}_caps.txt line {at + 1}"
        records.append(Record(key, tuple(caps[at : at + count]), part, where))
        at += count
    return records


def find_csv(folder: Path) -> Path | None:
    """`captions.csv`, or else the only CSV or TSV, or None."""
    inside = _inside(folder)
    found = [n for n in inside if n.endswith((".csv", ".tsv")) and n[0] != "."]
    if len(found) > 1 and "captions.csv" not in found:
        raise RsirError(
            f"{folder} has several CSV files ({some(found)}); name the one with "
            "the captions captions.csv"
        )
    return inside.get("captions.csv", inside[found[0]] if found else None)


def parse_csv(source: Path) -> list[Record]:
    """The records of a CSV, images in order of first appearance.

    Columns `filename`, `caption` and, if wanted, `split`, separated by
    a comma, semicolon, tab or bar; one row per caption.
    """
    text = read_text(source, "caption table")
    for sign in ",;\t|":
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=sign, strict=True)
        try:
            head = [c.strip().lower() for c in next(rows, [])]
            if {"filename", "caption"} <= set(head):
                return _csv_records(source, head, rows, sign)
        except csv.Error as error:
            raise RsirError(
                f"{source}: line {rows.line_num} is not CSV ({error}); "
                "put captions with commas or quotes in double quotes"
            ) from None
    first = text.split("\n", 1)[0].strip()
    lacks = "filename" if "filename" not in first.lower() else "caption"
    raise RsirError(
        f"{source} has no column {lacks!r} (its first line is {first[:60]!r}); "
        "the columns are filename, caption and, if wanted, split, separated by "
        "a comma, semicolon, tab or bar"
    )


def _csv_records(source: Path, head: list[str], rows, sign: str) -> list[Record]:
    found: dict[tuple[str, str], Record] = {}
    for row in rows:
        where = f"line {rows.line_num}"
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(head):
            raise RsirError(
                f"{source}: {where} has {len(row)} fields, the first line has "
                f"{len(head)}; the separator is {sign!r}, put captions with it in "
                "double quotes"
            )
        cells = {key: cell.strip() for key, cell in zip(head, row, strict=True)}
        name, part = cells["filename"], ""
        if not name:
            raise RsirError(f"{source}: {where} names no image")
        if "split" in cells:
            part = _split_name(cells["split"], f"{source}: {where}")
        _add(found, name, cells["caption"], part, where)
    return list(found.values())


def read_pairs(
    rows: Iterable[tuple],
    name: str,
    root: Path,
    pixels: PixelOptions | None = None,
    part: str | None = None,
    **rules,
) -> Splits | Split:
    """`Splits.from_pairs`; with `part`, that one split, nothing cut."""
    found: dict[tuple[str, str], Record] = {}
    for i, row in enumerate(rows):
        row = tuple(row)
        good = len(row) == 2 or (len(row) == 3 and part is None)
        if not (
            good and isinstance(row[0], (str, os.PathLike)) and isinstance(row[1], str)
        ):
            raise RsirError(
                f"row {i} is {row!r:.80}; give (image path, caption), one row per "
                "caption, or for Splits (image path, caption, split)"
            )
        split = _split_name(row[2], f"row {i}") if len(row) == 3 else part or ""
        _add(found, Path(row[0]).as_posix(), row[1], split, f"row {i}")
    records = list(found.values())
    if len({bool(r.split) for r in records}) > 1:
        raise RsirError("some rows have a split and some have none; give it to all")

    def find(names):
        paths = [root.expanduser() / n for n in names]
        return [p if p.is_file() else None for p in paths]

    if part is not None:
        records, paths = _checked(records, find, Rules(**rules), "rows")
        return replace(_split(name, part, records, paths), pixels=pixels)
    splits = assemble(name, root, records, find, Rules(**rules), "rows")
    return with_pixels(splits, pixels)


# ----------------------------------------------------------------------
# Find the files of a data set, and read them.


@dataclass(frozen=True)
class Located:
    """Where the files of one data set are."""

    name: str
    layout: str  # "karpathy", "precomp", "lists" or "folder" (a CSV)
    folder: Path
    source: Path  # the JSON or CSV; else the folder of the files
    images: Path
    entry: Entry | None = None  # of the catalogue; None for a reader's own

    def records(self, captions_per_image: int | None = None) -> list[Record]:
        """What the annotations list, unchecked."""
        known = self.entry.name if self.entry else ""
        if self.layout == "karpathy":
            return parse_karpathy(self.source, expect=known)
        if self.layout == "precomp":
            return parse_precomp(self.source, captions_per_image)
        if self.layout == "lists":
            return parse_lists(find_lists(self.source, known))
        return parse_csv(self.source)

    def read(self, **options) -> Splits:
        """The checked splits; options are the fields of `Rules`."""
        known = [f.name for f in fields(Rules)]
        for wrong in set(options) - set(known):
            raise RsirError(
                f"unknown option {wrong!r} of load_dataset; there are "
                f"{', '.join(known)}, pixels, verify and images"
            )
        rules = Rules(**{"captions_per_image": 5 if self.entry else None, **options})
        return assemble(
            self.name,
            self.folder,
            self.records(rules.captions_per_image),
            ImageFolder(self.images).find_all,
            rules,
            self.source,
            partial(scene_of, self.name) if self.entry else None,
        )


def _inside(folder: Path) -> dict[str, Path]:
    """Names in a folder, lower case -> path; {} if it is none."""
    try:
        return {p.name.lower(): p for p in sorted(folder.iterdir())}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except PermissionError:
        raise RsirError(
            f"no permission to list the folder {folder}; change its mode (chmod u+rx)"
        ) from None


def annotation(folder: Path, what: Entry | None = None) -> tuple[str, Path] | None:
    """(layout, source) of the annotations in a folder, or None.

    The first that is there: a Karpathy JSON, `*_precomp` files, a
    list a split, a CSV. `what`: whose names to look for, None: any.
    """
    inside = _inside(folder)
    names = [n for n in inside if n.startswith("dataset") and n.endswith(".json")]
    if what is not None:
        names = [n for n in map(str.lower, what.annotations) if n in inside]
    if names:
        return "karpathy", inside[names[0]]
    for place in [folder, *(p for n, p in inside.items() if n.endswith("_precomp"))]:
        if "train_caps.txt" in _inside(place):
            return "precomp", place
    if find_lists(folder, what.name if what else ""):
        return "lists", folder
    if what is None and find_csv(folder):
        return "folder", find_csv(folder)
    return None


def image_folder(folder: Path, source: Path, names: Sequence[str]) -> Path:
    """The image folder: by name, else the one that holds images."""
    for place in dict.fromkeys((folder, source, folder.parent)):
        inside = _inside(place)
        for name in map(str.lower, names):
            if name in inside and inside[name].is_dir():
                return inside[name]

    def has_images(path: Path) -> bool:
        return any(n.endswith(SUFFIXES) for n in _inside(path))

    holders = [p for p in _inside(folder).values() if has_images(p)]
    if len(holders) == 1 or has_images(folder):
        return holders[0] if len(holders) == 1 else folder
    if holders:
        raise RsirError(
            f"{folder} has several folders with images "
            f"({some([p.name for p in holders])}); name one with images=..."
        )
    raise RsirError(
        f"no image folder in {folder}; expected {names[0]}/ there, or "
        "name it with images=..."
    )


def locate(what: Entry, root: Path, images: Path | None = None) -> Located:
    """The files of a named data set, in `root` or a folder below it."""
    below = _inside(root)
    # a folder of the set's own name wins over loose files in the root
    places = [below[n.lower()] for n in what.folders if n.lower() in below]
    for folder in dict.fromkeys([*(p for p in places if p.is_dir()), root]):
        found = annotation(folder, what)
        if found is not None:
            names = [*what.image_folders]
            if found[0] != "karpathy":
                names += what.folders
            images = images or image_folder(folder, found[1], names)
            return Located(what.name, found[0], folder, found[1], images, what)
    why = f"the data root {root} does not exist"
    if root.is_dir():
        why = f"{root} holds no {what.annotations[0]} or train_caps.txt, nor does "
        why += f"{root / what.name}"
    raise RsirError(
        f"{what.name} not found: {why}; run `rsir data fetch {what.name}`, or "
        "name the root with root=... or RSIR_DATA"
    )


def locate_folder(folder: Path, images: Path | None = None) -> Located:
    """The files of a reader's own folder."""
    found = annotation(folder)
    if found is None:
        other = _unknown_layout(folder)
        if other:
            raise RsirError(f"{folder} holds {other}, which is not read; {_OTHER_WAY}")
        raise RsirError(
            f"no captions in {folder}; put a captions.csv there with "
            "the columns filename, caption and, if wanted, split"
        )
    kind, source = found
    if images is None and kind == "folder":
        # the folder itself, unless the names fit images/ or imgs/ alone
        names = [r.id for r in parse_csv(source)]
        places = [p for p in (folder, folder / "images", folder / "imgs") if p.is_dir()]
        images = next(
            (p for p in places if any(ImageFolder(p).find_all(names))), folder
        )
    images = images or image_folder(folder, source, ("images", "imgs"))
    return Located(folder.resolve().name or "folder", kind, folder, source, images)


def _unknown_layout(folder: Path) -> str:
    """Captions in a layout that is not read, in words, or ""."""
    paths = sorted([*folder.glob("*"), *folder.glob("*/*")])
    pictures = {p.with_suffix("") for p in paths if p.suffix.lower() in SUFFIXES}
    for path in paths:
        if path.suffix == ".json":
            return f"{path.name}, {_kind_of_json(_load_json(path))}"
        if path.suffix in _OTHER_TABLES:
            return f"{path.name}, {_OTHER_TABLES[path.suffix]}"
        if path.suffix == ".txt":
            beside = path.with_suffix("") in pictures
            return "a .txt file beside each picture" if beside else path.name
    return ""


def find_dataset(
    name: str | os.PathLike,
    root: str | os.PathLike | None = None,
    images: str | os.PathLike | None = None,
) -> Located:
    """The files of a data set, by its name or its own folder."""
    images = Path(images).expanduser() if images else None
    if isinstance(name, str) and name in CATALOG:
        return locate(CATALOG[name], data_root(root), images)
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise RsirError(
            f"unknown data set {str(name)!r}; there are toy, {', '.join(CATALOG)}, "
            "or the path of a folder with images and captions.csv"
        )
    if root is not None:
        raise RsirError(
            f"{folder} is a folder and needs no root; leave out root={str(root)!r}"
        )
    return locate_folder(folder, images)
