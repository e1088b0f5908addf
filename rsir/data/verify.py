"""What a folder of data holds: counts, split, faults, duplicates.

The official split is known by the sha256 of caption files that AMFMN
and GaLR ship. A Karpathy JSON is written out in the same form (one
raw sentence a line; test names once per caption, train names once per
image; " ." for a caption of no word), which for RSICD gives the same
bytes, all four files.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rsir.data import load_dataset
from rsir.data.catalog import Entry, entry
from rsir.data.images import image_hashes, unreadable
from rsir.data.readers import Located, Record, locate, parse_karpathy, some
from rsir.data.split import DataRepairWarning, Splits
from rsir.utils.errors import RsirError
from rsir.utils.io import data_root, read_bytes


@dataclass(frozen=True)
class Verification:
    """The outcome of `verify`.

    Attributes:
        name, folder, layout: what was looked at.
        splits: what was read, or None.
        identity: which split it is, in a sentence.
        hashes: (caption file, its sha256, "same" | "other" |
            "not known") for each.
        notes: facts worth knowing, such as duplicates.
        repairs: what the reader repaired, with its warning.
        problems: what makes the data unfit; empty if all is well.
    """

    name: str
    folder: Path
    layout: str
    splits: Splits | None
    identity: str
    hashes: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...]
    repairs: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


def verify(
    name: str,
    root: str | os.PathLike | None = None,
    *,
    decode: bool = True,
    **options,
) -> Verification:
    """Look at a data set from all sides. Nothing is changed.

    Args:
        name: "ucm", "rsicd", "rsitmd" or "sydney".
        root: as for load_dataset.
        decode: open every image, about 1 ms each.
        **options: as for load_dataset.

    Raises:
        RsirError: unknown name, or no such data there. What the
            reader refuses is a problem of the result instead.
    """
    what = entry(name)
    place = locate(
        what,
        data_root(root),
        options.get("layout", "auto"),
        options.get("images"),
    )
    problems, splits, repairs = [], None, ()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            splits = load_dataset(name, root, **options)
        except RsirError as error:
            problems.append(str(error))
    repairs = tuple(
        str(w.message) for w in caught if issubclass(w.category, DataRepairWarning)
    )
    hashes: tuple = ()
    if splits is not None:
        hashes = compare_hashes(what, caption_hashes(place))
        problems += _count_problems(what, splits)
    notes = []
    if splits is not None:
        notes += _caption_notes(splits)
        if decode:
            bad, seen = _image_facts(splits)
            problems += bad
            notes += seen
    return Verification(
        name,
        place.folder,
        place.layout,
        splits,
        identify(what, splits, hashes),
        hashes,
        tuple(notes),
        repairs,
        tuple(problems),
    )


def caption_hashes(place: Located) -> dict[str, str]:
    """sha256 of each caption file, as it is or as it would be.

    Returns:
        Keys `<split>_<caps|filename>`. For a JSON, "train" is train
        and val together, in the order of the file.
    """
    if place.layout == "precomp":
        found = {}
        for part in ("train", "val", "test"):
            for kind in ("caps", "filename"):
                path = place.source / f"{part}_{kind}.txt"
                if path.exists():
                    found[f"{part}_{kind}"] = hashlib.sha256(
                        read_bytes(path).replace(b"\r\n", b"\n")
                    ).hexdigest()
        return found
    return record_hashes(parse_karpathy(place.source))


def record_hashes(records: Iterable[Record]) -> dict[str, str]:
    """The same for records of a JSON."""
    lines: dict[str, list[str]] = {
        "train_caps": [],
        "train_filename": [],
        "test_caps": [],
        "test_filename": [],
    }
    for r in records:
        part = "test" if r.split == "test" else "train"
        times = len(r.captions) if part == "test" else 1
        lines[f"{part}_caps"] += [" ." if c == "." else c for c in r.captions]
        lines[f"{part}_filename"] += [r.id] * times
    return {
        key: hashlib.sha256("".join(line + "\n" for line in value).encode()).hexdigest()
        for key, value in lines.items()
    }


def compare_hashes(what: Entry, found: dict[str, str]):
    """(key, digest, "same" | "other" | "not known") for each file."""
    known = dict(what.hashes)
    return tuple(
        (
            key,
            digest,
            "not known"
            if key not in known
            else "same"
            if known[key] == digest
            else "other",
        )
        for key, digest in found.items()
    )


def identify(what: Entry, splits: Splits | None, hashes) -> str:
    """Which split this is, in a sentence."""
    if splits is None:
        return "cannot be told, since the data cannot be read"
    told = {key: state for key, _, state in hashes}
    counts = tuple(len(s) for s in splits)
    test = [told.get(f"test_{k}") for k in ("caps", "filename")]
    if test == ["same", "same"]:
        text = "test is the official list, captions and order"
    elif test[0] == "same":
        text = "test has the official captions, under other file names"
    elif test[1] == "same":
        text = "test has the official images, with other captions"
    elif "other" in test:
        text = "test is NOT the official list"
    else:
        text = "no checksum of the official test list is known"
    if told.get("train_filename") == "same":
        text += "; train and val together are the official train list"
    for known, title in what.known:
        if counts == known:
            text += f"; counts {counts} are {title}"
    return text


def _count_problems(what: Entry, splits: Splits) -> list[str]:
    total = sum(len(s) for s in splits)
    captions = sum(s.n_captions for s in splits)
    found = []
    for have, want, noun in (
        (total, what.images, "images"),
        (captions, what.captions, "captions"),
        (len(splits.test), what.splits[2], "test images"),
    ):
        if have != want:
            found.append(f"{have:,} {noun}, but {what.title} has {want:,}")
    return found


def _caption_notes(splits: Splits) -> list[str]:
    notes = []
    train = set(splits.train.captions)
    for s in splits:
        texts, number = s.unique_texts()
        pairs = set(zip(s.owner.tolist(), number.tolist(), strict=True))
        owners = Counter(t for _, t in pairs)
        shared = sum(owners[t] > 1 for t in number.tolist())
        per_image = Counter(i for i, _ in pairs)
        repeated = sum(per_image[i] < n for i, n in enumerate(s.counts().tolist()))
        text = (
            f"{s.name}: {len(texts):,} of {s.n_captions:,} captions "
            f"are distinct; {repeated:,} images repeat a caption of "
            f"their own, {shared:,} captions stand at other images too"
        )
        if s.name != "train":
            also = sum(c in train for c in s.captions)
            text += f", {also:,} stand in train word for word"
        notes.append(text)
    return notes


def _image_facts(splits: Splits) -> tuple[list[str], list[str]]:
    paths = [p for s in splits for p in s.images]
    names = [f"{s.name}/{i}" for s in splits for i in s.ids]
    bad = unreadable(paths)
    problems = [reason for _, reason in bad[:5]]
    if len(bad) > 5:
        problems.append(f"{len(bad) - 5:,} more images cannot be read")
    groups: dict[str, list[str]] = {}
    lost = {path for path, _ in bad}
    good = [(n, p) for n, p in zip(names, paths, strict=True) if p not in lost]
    digests = image_hashes([p for _, p in good])
    for (n, _), digest in zip(good, digests, strict=True):
        groups.setdefault(digest, []).append(n)
    twins = [g for g in groups.values() if len(g) > 1]
    across = [g for g in twins if len({n.split("/")[0] for n in g}) > 1]
    notes = [f"{len(good):,} of {len(paths):,} images can be read"]
    if twins:
        notes.append(
            f"{len(twins):,} pictures stand under several names, "
            f"{len(across):,} of them across splits ("
            f"{some([' = '.join(g) for g in (across or twins)], 2)})"
        )
    return problems, notes
