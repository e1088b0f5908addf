"""From the files of a data set to checked splits.

Every layout is parsed to `Record`s, and `assemble` treats faults alike.
A caption count that is not the one asked for, a name listed twice or in
two splits, a missing image, an empty test split, a caption that is a
list or an empty cell written as text: an error. Two things are a
`DataRepairWarning`: a blank caption becomes `BLANK`, as RSICD has of its
own, so that caption 5i still belongs to image i; a caption with no
letter, such as "1 .", stays.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
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
SPLIT_ALIASES = {
    **dict.fromkeys(("train", "training", "restval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}

_OPTIONS = ("seed", "val_fraction", "captions_per_image")
_OTHER_WAY = (
    "for another layout, read the rows yourself and pass them to "
    "Splits.from_pairs (book/bring_your_own.md has examples)"
)
_OTHER_LAYOUTS = {
    ".jsonl": "JSON lines",
    ".parquet": "a parquet table",
    ".arrow": "an Arrow table",
    ".xlsx": "an Excel table",
    ".tar": "a tar archive, as of WebDataset",
    ".txt": "a text file (such as one beside each picture)",
}
_LETTER = re.compile(r"[^\W\d_]")
_SLIP = re.compile(
    r"""\s*([\[{(]\s*(['"]).*\2\s*,?\s*[\]})]|(?i:nan|none|null|<na>|n/a))\s*""", re.S
)


@dataclass(frozen=True)
class Record:
    """One image as an annotation file lists it."""

    id: str
    captions: tuple[str, ...]
    split: str  # "" if the file has none
    where: str  # place in the file, for messages
    keywords: tuple[str, ...] = ()
    path: Path | None = None


def some(items: Sequence, limit: int = 4) -> str:
    """The first few, and how many more there are."""
    text = ", ".join(str(item) for item in items[:limit])
    more = len(items) - limit
    return f"{text} and {more:,} more" if more > 0 else text


def one_line(text: str) -> str:
    """A caption on one line: a line break in it becomes a space."""
    return re.sub(r"[\r\n]+", " ", text.strip("\r\n"))


def _warn(message: str) -> None:
    frame, level = sys._getframe(1), 2  # point at the caller of rsir
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("rsir."):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, DataRepairWarning, stacklevel=level)


def _split_name(text, where: str) -> str:
    name = SPLIT_ALIASES.get(str(text).strip().lower())
    if name is None:
        raise RsirError(f"{where}: unknown split {text!r}; use train, val or test")
    return name


def assemble(
    name: str,
    root: Path,
    records: Sequence[Record],
    find: Callable[[list[str]], list[Path | None]],
    source: Path | str,
    named: bool = False,
    *,
    seed: int = 0,
    val_fraction: float | None = None,
    captions_per_image: int | None = None,
) -> Splits:
    """Check the records, cut val where needed, build the splits.

    `find` gives the file of each name, as `ImageFolder.find_all`;
    `source` is for messages; `named`: names tell the scene kind.

    Raises:
        RsirError: see the head of this module.
    """
    if val_fraction is not None and not 0 < val_fraction < 1:
        raise RsirError(f"val_fraction is {val_fraction}; it must lie between 0 and 1")
    if captions_per_image is not None and captions_per_image < 1:
        raise RsirError(
            f"captions_per_image is {captions_per_image}; give a count from 1 up, "
            "or None"
        )
    records = _checked(records, find, source, captions_per_image)
    parts = _cut([r.split for r in records], seed, val_fraction)
    if "test" not in parts:
        raise RsirError(
            f"{source}: the test split is empty; the file must assign images to test"
        )
    made = []
    for part in SPLIT_NAMES:
        mine = [r for r, to in zip(records, parts, strict=True) if to == part]
        made.append(_split(name, part, mine, named))
    return Splits(name, Path(root), *made)


def _split(name: str, part: str, mine: list[Record], named: bool = False) -> Split:
    labels = tuple(scene_of(name, r.id) if named else "" for r in mine)
    keywords = tuple(r.keywords for r in mine)
    return Split(
        dataset=name,
        name=part,
        images=tuple(r.path for r in mine),
        captions=tuple(c for r in mine for c in r.captions),
        owner=np.repeat(np.arange(len(mine)), [len(r.captions) for r in mine]),
        ids=tuple(r.id for r in mine),
        labels=labels if any(labels) else None,
        keywords=keywords if any(keywords) else None,
    )


def _checked(records, find, source, count: int | None = None) -> list[Record]:
    """The records with their paths; a blank caption is filled."""
    if not records:
        raise RsirError(f"{source} lists no images")
    paths = find([r.id for r in records])
    seen: dict[str, Record] = {}
    taken: dict[Path, str] = {}
    missing, blank, wordless, found = [], Counter(), 0, []
    for r, path in zip(records, paths, strict=True):
        where = f"{source}: {r.where} ({r.id})"
        first = seen.setdefault(r.id, r)
        if not r.id:
            raise RsirError(f"{source}: {r.where} names no image; write its name there")
        if not r.captions or count not in (None, len(r.captions)):
            raise RsirError(
                f"{where} has {len(r.captions)} captions, not "
                f"{count or 'one or more'}; correct the file, or pass "
                "captions_per_image=None to take any count from 1 up"
            )
        if first is not r:
            how = "listed twice"
            if first.split != r.split:
                how = f"in two splits, {first.split} and {r.split}"
            raise RsirError(
                f"{where} is {how}, first at {first.where}; keep it in one place"
            )
        for text in r.captions:
            if not text.strip():
                blank[r.id] += 1
            elif not _LETTER.search(text):
                wordless += 1
            elif _SLIP.fullmatch(text):
                raise RsirError(
                    f"{where}: the caption {text[:40]!r} is a list or an empty cell "
                    "written as text; write one row per caption, and none for an "
                    "empty cell (pandas: ast.literal_eval, explode, dropna)"
                )
        if path is None:
            missing.append(r.id)
        elif taken.setdefault(path, r.id) != r.id:
            raise RsirError(
                f"{source}: {taken[path]} and {r.id} are one and the same file, "
                f"{path}; the names must differ in more than the suffix"
            )
        captions = tuple(c if c.strip() else BLANK for c in r.captions)
        found.append(replace(r, path=path, captions=captions))
    if missing:
        raise RsirError(
            f"{len(missing):,} of {len(records):,} images that {source} lists "
            f"are missing: {some(missing)}; fetch the images again, correct "
            "the names, or name the image folder with images=..."
        )
    file = Path(source).name
    if blank:
        _warn(
            f"{file}: {blank.total()} blank captions in {len(blank)} images "
            f"({some([*blank])}); each now reads {BLANK!r}, so that positions stay"
        )
    if wordless:
        _warn(
            f"{file}: {wordless} captions hold no word (such as '.'); "
            "they are kept as they are"
        )
    return found


def _cut(parts: list[str], seed: int, share: float | None) -> list[str]:
    """The split of each image, where need be by a seeded shuffle.

    * The file has no split: 10 % of the images are test.
    * The file has val or only test, and no share is given: as it is.
    * No val: it gets as many images as test, at most a fifth of train.
    * A share is given: train and val are joined and cut anew; 0.2 is
      what AMFMN and GaLR release (their shuffle has no seed).
    """
    n, drawn = len(parts), not any(parts)
    if drawn:
        order = np.random.default_rng([seed, 1]).permutation(n)
        test = {*order[: max(1, round(0.1 * n))].tolist()}
        parts = ["test" if i in test else "train" for i in range(n)]
    pool = [i for i, part in enumerate(parts) if part != "test"]
    size = len(pool)
    if share is None and not drawn and (not pool or "val" in parts):
        return parts
    if size < 2:
        raise RsirError(
            f"{n} images, {n - size} of them in test, are too few to cut train and "
            "val; give at least 2 that are not in test"
        )
    wanted = min(n - size, size // 5) if share is None else round(share * size)
    order = np.random.default_rng([seed, 0]).permutation(size)
    val = {pool[i] for i in order[: min(max(1, wanted), size - 1)]}
    return [
        part if part == "test" else "val" if i in val else "train"
        for i, part in enumerate(parts)
    ]


def check_readable(splits: Splits) -> None:
    """Decode every picture; RsirError names the first that fails."""
    paths = [p for s in splits for p in s.images]
    bad = unreadable(paths, splits.test.pixels)
    if bad:
        raise RsirError(
            f"{len(bad):,} of {len(paths):,} images cannot be read "
            f"({some([p.name for p, _ in bad])}); the first: {bad[0][1]}"
        )


def with_pixels(splits: Splits, pixels: PixelOptions | None) -> Splits:
    """The same splits, read with these options.

    Percentiles are measured on train (on test where train is empty).
    """
    if pixels is None:
        return splits
    pixels = pixels.measured(splits.train.images or splits.test.images)
    return replace(splits, **{s.name: replace(s, pixels=pixels) for s in splits})


def _load_json(source: Path):
    text = read_text(source, "annotation file")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RsirError(
            f"{source} is not JSON ({error}); it may be cut off, fetch it again"
        ) from None


def _kind_of_json(data) -> str:
    if not isinstance(data, dict):
        return "a list" if isinstance(data, list) else f"{data!r:.40}"
    if "annotations" in data:
        return "COCO JSON"
    match [*data.values()]:
        case [[{"raw": _}, *_], *_] if "images" not in data:
            return "the JSON of NWPU-Captions (a list for each class)"
    return f"an object with the keys {some(sorted(data)) or 'none'}"


def _values(item, where, **kinds: type) -> list:
    """What an object has under the keys, each of its kind."""
    good = isinstance(item, dict) and "annotations" not in item
    for key, kind in kinds.items():
        if not good or not isinstance(item.get(key), kind):
            it = _kind_of_json(item.get(key, item) if good else item)
            raise RsirError(
                f"{where} has no {'list' if kind is list else 'text'} under {key!r}, "
                f"it is {it}; correct it, or {_OTHER_WAY}"
            )
    return [item[key] for key in kinds]


def parse_karpathy(source: Path, expect: str = "") -> list[Record]:
    """The records of a Karpathy JSON, as the authors have them.

    `images`, each with `filename`, `split` and `sentences` that hold
    `raw`; RSITMD adds keywords. `expect`: the data set it should be.
    """
    data, records = _load_json(source), []
    [images] = _values(data, source, images=list)
    says = str(data.get("dataset", "")).lower().replace("_captions", "")
    if expect and says != expect and says in CATALOG:
        raise RsirError(
            f"{source} is the data set {says!r} by its own words, "
            f"not {expect!r}; give the folder of {expect}"
        )
    for i, item in enumerate(images):
        at = f"images[{i}]"
        name, split, sentences = _values(
            item, f"{source}: {at}", filename=str, split=str, sentences=list
        )
        where = f"{source}: {at} ({name})"
        captions, words = [], _words(item)
        for j, x in enumerate(sentences):
            x = {"raw": x} if isinstance(x, str) else x
            [raw] = _values(x, f"{where}: sentences[{j}]", raw=str)
            captions.append(one_line(raw))
            words += _words(x)
        part, words = _split_name(split, where), tuple(dict.fromkeys(words))
        records.append(Record(name.strip(), tuple(captions), part, at, words))
    return records


def _words(item: dict) -> list[str]:
    found = item.get("keywords", item.get("keyword"))
    found = found.split(",") if isinstance(found, str) else found
    found = found if isinstance(found, list) else []
    return [w.strip() for w in found if isinstance(w, str) and w.strip()]


def _grouped(rows: Iterable[tuple], source="rows") -> list[Record]:
    """One record an image, from rows of (name, caption, split or None, where)."""
    found: dict[tuple[str, str], tuple[list[str], str]] = {}
    for name, caption, split, where in rows:
        part = "" if split is None else _split_name(split, f"{source}: {where}")
        found.setdefault((name, part), ([], where))[0].append(one_line(caption))
    return [Record(n, tuple(c), p, where) for (n, p), (c, where) in found.items()]


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
    rows = []
    for part in SPLIT_NAMES:
        data = _load_json(files[part]) if part in files else []
        if not isinstance(data, list):
            raise RsirError(
                f"{files[part]} is {_kind_of_json(data)}, not a list of objects "
                f"with 'image' and 'caption'; {_OTHER_WAY}"
            )
        for i, item in enumerate(data):
            where = f"{files[part]}: [{i}]"
            name, texts = _values(item, where, image=str, caption=(str, list))
            for x in [texts] if isinstance(texts, str) else texts:
                x = {"caption": x} if isinstance(x, str) else x
                [text] = _values(x, f"{where} ({name})", caption=str)
                rows.append((name.strip(), text, part, f"{files[part].name} [{i}]"))
    return _grouped(rows)


def parse_precomp(folder: Path, captions_per_image: int | None = None) -> list[Record]:
    """The records of `*_caps.txt` and `*_filename.txt`.

    One caption a line, the captions of one image in a row; names once
    an image or once a caption. A `val` pair is read if it is there;
    the `*_verify` files of one unseeded shuffle are not.
    """
    records = []
    for part in SPLIT_NAMES:
        caps_path = folder / f"{part}_caps.txt"
        names_path = folder / f"{part}_filename.txt"
        if part == "val" and not caps_path.exists():
            continue
        # a blank line is a blank caption: every line below counts by its number
        caps = [one_line(c.strip()) for c in read_lines(caps_path, "caption file")]
        names = [n.strip() for n in read_lines(names_path, "list of image names")]
        blank = [*names, ""].index("")
        if not names or blank < len(names):
            raise RsirError(
                f"{names_path}: line {blank + 1} is blank; every line must name an "
                "image"
            )
        each = captions_per_image or (len(caps) // len(names) or 1)
        runs = [(name, each) for name in names]
        if len(names) == len(caps) and len(set(names)) < len(names):
            runs = [(name, len([*same])) for name, same in groupby(names)]
        elif each * len(names) != len(caps):
            raise RsirError(
                f"{caps_path} has {len(caps):,} lines and {names_path} has "
                f"{len(names):,}; expected {each} captions a name "
                f"({each * len(names):,} lines) or one name a caption"
            )
        at = 0
        for name, count in runs:
            where = f"{caps_path.name} line {at + 1}"
            records.append(Record(name, tuple(caps[at : at + count]), part, where))
            at += count
    return records


def parse_csv(source: Path) -> list[Record]:
    """The records of a CSV, images in order of first appearance.

    Columns `filename`, `caption` and, if wanted, `split`, separated by
    a comma, semicolon, tab or bar; one row per caption.
    """
    content = read_text(source, "caption table")
    for sign in ",;\t|":
        table = csv.reader(
            io.StringIO(content, newline=""), delimiter=sign, strict=True
        )
        try:
            head = [c.strip().lower() for c in next(table, [])]
            if not {"filename", "caption"} <= set(head):
                continue
            lines = [(table.line_num, [cell.strip() for cell in r]) for r in table]
        except csv.Error as error:
            raise RsirError(
                f"{source}: line {table.line_num} is not CSV ({error}); "
                "put captions with commas or quotes in double quotes"
            ) from None
        rows = []
        for line, row in ((line, row) for line, row in lines if any(row)):
            if len(row) != len(head):
                raise RsirError(
                    f"{source}: line {line} has {len(row)} fields, the first line has "
                    f"{len(head)}; the separator is {sign!r}, put captions with it "
                    "in double quotes"
                )
            cells = dict(zip(head, row, strict=True))
            name, text, split = map(cells.get, ("filename", "caption", "split"))
            rows.append((name, text, split, f"line {line}"))
        return _grouped(rows, source)
    first = content.split("\n", 1)[0].strip()
    lacks = "filename" if "filename" not in first.lower() else "caption"
    raise RsirError(
        f"{source} has no column {lacks!r} (its first line is {first[:60]!r}); "
        "the columns are filename, caption and, if wanted, split, separated by "
        "a comma, semicolon, tab or bar"
    )


def read_pairs(
    rows: Iterable[tuple],
    name: str,
    root: Path,
    pixels: PixelOptions | None = None,
    part: str | None = None,
    **rules,
) -> Splits | Split:
    """`Splits.from_pairs`; with `part`, that one split, nothing cut."""
    checked = []
    for i, row in enumerate(rows):
        match tuple(row):
            case (str() | os.PathLike() as path, str(text)):
                split = None
            case (str() | os.PathLike() as path, str(text), word) if part is None:
                split = str(word)
            case wrong:
                raise RsirError(
                    f"row {i} is {wrong!r:.80}; give (image path, caption), one row "
                    "per caption, or for Splits (image path, caption, split)"
                )
        checked.append((Path(path).as_posix(), text, split, f"row {i}"))
    records = _grouped(checked)
    if len({bool(r.split) for r in records}) > 1:
        raise RsirError("some rows have a split and some have none; give it to all")

    def find(names):
        paths = [root.expanduser() / n for n in names]
        return [p if p.is_file() else None for p in paths]

    if part is not None:
        split = _split(name, part, _checked(records, find, "rows"))
        return replace(split, pixels=pixels)
    return with_pixels(assemble(name, root, records, find, "rows", **rules), pixels)


@dataclass(frozen=True)
class Located:
    """Where the files of one data set are."""

    name: str
    folder: Path
    layout: str  # "karpathy", "precomp", "lists" or "folder" (a CSV)
    source: Path  # the JSON or CSV; else the folder of the files
    records: Callable[..., list[Record]]  # parses them; takes captions_per_image
    images: Path
    entry: Entry | None = None  # of the catalogue; None for a reader's own

    def read(self, **options) -> Splits:
        """The checked splits; options are those of `load_dataset`."""
        for wrong in options.keys() - set(_OPTIONS):
            raise RsirError(
                f"unknown option {wrong!r} of load_dataset; there are "
                f"{', '.join(_OPTIONS)}, pixels, verify and images"
            )
        options.setdefault("captions_per_image", 5 if self.entry else None)
        records = self.records(options["captions_per_image"])
        find = ImageFolder(self.images).find_all
        named = bool(self.entry)
        return assemble(
            self.name, self.folder, records, find, self.source, named, **options
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


def annotation(folder: Path, what: Entry | None = None) -> tuple | None:
    """Layout, source and parser of the annotations in a folder, or None.

    The first that is there: a Karpathy JSON, `*_precomp` files, a
    list a split, a CSV. `what`: whose names to look for, None: any.
    """
    inside, known = _inside(folder), what.name if what else ""
    names = [n for n in inside if n.startswith("dataset") and n.endswith(".json")]
    if what is not None:
        names = [n for n in map(str.lower, what.annotations) if n in inside]
    if names:
        source = inside[names[0]]
        return "karpathy", source, lambda count=None: parse_karpathy(source, known)
    for place in [folder, *(p for n, p in inside.items() if n.endswith("_precomp"))]:
        if "train_caps.txt" in _inside(place):
            return "precomp", place, partial(parse_precomp, place)
    if lists := find_lists(folder, known):
        return "lists", folder, lambda count=None: parse_lists(lists)
    tables = [n for n in inside if n.endswith((".csv", ".tsv")) and n[0] != "."]
    if what is not None or not tables:
        return None
    if len(tables) > 1 and "captions.csv" not in tables:
        raise RsirError(
            f"{folder} has several CSV files ({some(tables)}); name the one with "
            "the captions captions.csv"
        )
    table = inside.get("captions.csv", inside[tables[0]])
    return "folder", table, lambda count=None: parse_csv(table)


def image_folder(folder: Path, source: Path, names: Sequence[str]) -> Path:
    """The image folder: by name, else the one that holds images."""
    for place in (folder, source, folder.parent):
        inside = _inside(place)
        for name in map(str.lower, names):
            if name in inside and inside[name].is_dir():
                return inside[name]
    places = [folder, *_inside(folder).values()]
    holders = [p for p in places if any(n.endswith(SUFFIXES) for n in _inside(p))]
    below = [p for p in holders if p != folder]
    if len(below) == 1 or folder in holders:
        return below[0] if len(below) == 1 else folder
    if below:
        raise RsirError(
            f"{folder} has several folders with images "
            f"({some([p.name for p in below])}); name one with images=..."
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
    for folder in [*(p for p in places if p.is_dir()), root]:
        found = annotation(folder, what)
        if found is not None:
            names = [*what.image_folders]
            if found[0] != "karpathy":
                names += what.folders
            images = images or image_folder(folder, found[1], names)
            return Located(what.name, folder, *found, images, what)
    why = f"no {what.annotations[0]} or train_caps.txt there or in {what.name}/"
    raise RsirError(
        f"{what.name} not found in {root} ({why if root.is_dir() else 'does not exist'}); "
        f"run `rsir data fetch {what.name}`, or name the root with root=... or "
        "RSIR_DATA"
    )


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
    found = annotation(folder)
    if found is None:
        raise _unknown_layout(folder)
    layout, source, records = found
    if images is None and layout == "folder":
        # the folder itself, unless the names fit images/ or imgs/ alone
        names = [r.id for r in records()]
        places = [p for p in (folder, folder / "images", folder / "imgs") if p.is_dir()]
        fits = (p for p in places if any(ImageFolder(p).find_all(names)))
        images = next(fits, folder)
    images = images or image_folder(folder, source, ("images", "imgs"))
    return Located(folder.resolve().name or "folder", folder, *found, images)


def _unknown_layout(folder: Path) -> RsirError:
    for path in sorted([*folder.glob("*"), *folder.glob("*/*")]):
        kind = _OTHER_LAYOUTS.get(path.suffix)
        if path.suffix == ".json":
            kind = _kind_of_json(_load_json(path))
        if kind:
            why = f"{folder} holds {path.name}, {kind}, which is not read"
            return RsirError(f"{why}; {_OTHER_WAY}")
    return RsirError(
        f"no captions in {folder}; put a captions.csv there with "
        "the columns filename, caption and, if wanted, split"
    )
