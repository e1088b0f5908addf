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
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rsir.data.caption_statistics import duplicate_facts
from rsir.data.catalog import CATALOG, Entry, entry
from rsir.data.images import ImageFolder, PixelOptions, image_hashes, in_threads
from rsir.data.readers import Located, Record, find_dataset, some, with_pixels
from rsir.data.split import DataRepairWarning, Splits
from rsir.utils.errors import RsirError
from rsir.utils.io import read_bytes


@dataclass
class Verification:
    """The outcome of `verify`.

    Attributes:
        splits: what was read, or None.
        identity: which split it is, in a sentence.
        hashes: (caption file, its sha256, "same" | "other" |
            "not known") for each.
        notes, repairs: facts worth knowing; what the reader repaired.
        problems: what makes the data unfit; empty if all is well.
    """

    name: str
    folder: Path
    layout: str
    splits: Splits | None = None
    identity: str = "cannot be told, since the data cannot be read"
    hashes: tuple[tuple[str, str, str], ...] = ()
    notes: list[str] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems


def verify(
    name: str | os.PathLike,
    root: str | os.PathLike | None = None,
    *,
    decode: bool = True,
    pixels: PixelOptions | None = None,
    images: str | os.PathLike | None = None,
    **options,
) -> Verification:
    """Look at a data set from all sides. Nothing is changed.

    Args:
        name: "ucm", "rsicd", "rsitmd", "sydney", or a folder.
        root, pixels, images, options: as for load_dataset.
        decode: open every image, about 1 ms each.

    Raises:
        RsirError: unknown name, or no such data there. What the
            reader refuses is a problem of the result instead.
    """
    if name == "toy":
        entry(name)  # says why not
    place = find_dataset(name, root, images)
    seen = Verification(place.name, place.folder, place.layout)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            seen.splits = with_pixels(place.read(**options), pixels)
        except RsirError as error:
            seen.problems.append(str(error))
            return seen
    seen.repairs = [
        str(w.message) for w in caught if issubclass(w.category, DataRepairWarning)
    ]
    seen.identity = "a reader's own"
    what = place.entry or _known_by_counts(seen)
    if what:
        _compare(seen, place, what)
    _look_at_captions(seen)
    if decode:
        _look_at_images(seen, place, what)
    return seen


def _known_by_counts(seen: Verification) -> Entry | None:
    """A known set that lies in a folder of another name."""
    images, captions = (
        sum(getattr(s, f"n_{side}") for s in seen.splits)
        for side in ("images", "captions")
    )
    for what in CATALOG.values():
        if (images, captions) == (what.images, what.captions):
            seen.notes.append(f"as many images and captions as {what.title} has")
            return what
    return None


def record_hashes(records: Iterable[Record]) -> dict[str, str]:
    """sha256 of each `<split>_<caps|filename>` file of these records.

    "train" is train and val together, in their order.
    """
    keys = ("train_caps", "train_filename", "test_caps", "test_filename")
    lines = {key: hashlib.sha256() for key in keys}
    for r in records:
        part = "test" if r.split == "test" else "train"
        captions = "".join(f"{' .' if c == '.' else c}\n" for c in r.captions)
        names = f"{r.id}\n" * (len(r.captions) if part == "test" else 1)
        for kind, text in (("caps", captions), ("filename", names)):
            lines[f"{part}_{kind}"].update(text.encode("utf-8", "surrogatepass"))
    return {key: value.hexdigest() for key, value in lines.items()}


def _compare(seen: Verification, place: Located, what: Entry) -> None:
    """With the catalogue: which split this is, and whether all is there."""
    splits = seen.splits
    if place.layout != "precomp":
        found = record_hashes(place.records())
    else:
        found = {
            path.stem: hashlib.sha256(
                read_bytes(path).replace(b"\r\n", b"\n")
            ).hexdigest()
            for path in sorted(place.source.glob("*.txt"))
            if re.fullmatch("(train|val|test)_(caps|filename)", path.stem)
        }
    state = {True: "same", False: "other", None: "not known"}
    told = {
        k: state[what.hashes.get(k) and what.hashes[k] == v] for k, v in found.items()
    }
    seen.hashes = tuple((key, found[key], told[key]) for key in found)
    match [told.get(f"test_{k}") for k in ("caps", "filename")]:
        case ["same", "same"]:
            text = "test is the official list, captions and order"
        case ["same", _]:
            text = "test has the official captions, under other file names"
        case [_, "same"]:
            text = "test has the official images, with other captions"
        case test if "other" in test:
            text = "test is NOT the official list"
        case _:
            text = "no checksum of the official test list is known"
    if told.get("train_filename") == "same":
        text += "; train and val together are the official train list"
    counts = [len(s) for s in splits]
    for known, title in what.known:
        if counts == known:
            text += f"; counts {tuple(counts)} are {title}"
    seen.identity = text
    total = sum(s.n_captions for s in splits)
    for have, want, noun in (
        (sum(counts), what.images, "images"),
        (total, what.captions, "captions"),
        (counts[2], what.splits[2], "test images"),
    ):
        if have != want:
            seen.problems.append(f"{have:,} {noun}, but {what.title} has {want:,}")


def _look_at_captions(seen: Verification) -> None:
    train = set(seen.splits.train.captions)
    for s in seen.splits:
        if not len(s):
            seen.notes.append(f"{s.name} is empty")
            continue
        facts = duplicate_facts(s)
        text = (
            f"{s.name}: {facts['n_texts']:,} of {s.n_captions:,} captions are "
            f"distinct; {facts['repeating_images']:,} images repeat a caption of "
            f"their own, {facts['shared_captions']:,} captions stand at other "
            "images too"
        )
        if s.name != "train":
            also = sum(c in train for c in s.captions)
            text += f", {also:,} stand in train word for word"
        seen.notes.append(text)


def _look_at_images(seen: Verification, place: Located, what: Entry | None) -> None:
    """Unreadable, of another size, unlisted, twice under two names."""
    listed = {
        path: (f"{s.name}/{s.ids[i]}", s, i)
        for s in seen.splits
        for i, path in enumerate(s.images)
    }

    def size(item):
        _, split, i = item
        try:
            return split.open(i).size
        except RsirError as error:
            return str(error)

    sizes = dict(zip(listed, in_threads(size, listed.values()), strict=True))
    bad = [s for s in sizes.values() if isinstance(s, str)]
    good = {path: s for path, s in sizes.items() if not isinstance(s, str)}
    seen.problems += bad[:5]
    if len(bad) > 5:
        seen.problems.append(f"{len(bad) - 5:,} more images cannot be read")
    seen.notes.append(f"{len(good):,} of {len(listed):,} images can be read")

    count = Counter(good.values())
    shown = [f"{w}x{h} ({n:,})" for (w, h), n in count.most_common()]
    seen.notes.append(f"sizes in pixels: {some(shown, 3) or 'none'}")
    if what:
        want = [int(n) for n in re.findall(r"\d+", what.pixels)]
        other = sum(
            any(abs(a / b - 1) > 0.1 for a, b in zip(s, want, strict=True))
            for s in good.values()
        )
        if other:
            seen.problems.append(
                f"{other:,} pictures are of another size than {what.title} has "
                f"({what.pixels}); are they of another data set?"
            )

    there = ImageFolder(place.images).images
    unlisted = [p.relative_to(place.images) for p in there if p not in listed]
    text = (
        f"{len(unlisted):,} of {len(there):,} pictures in {place.images} are in no "
        f"split ({some(unlisted, 3)})"
    )
    if unlisted and what:
        seen.problems.append(f"{text}; are they, or the captions, of another data set?")
    elif unlisted:
        seen.notes.append(text)

    groups = defaultdict(list)
    for path, digest in zip(good, image_hashes([*good]), strict=True):
        groups[digest].append(listed[path][0])
    twins = [g for g in groups.values() if len(g) > 1]
    across = [g for g in twins if len({n.split("/")[0] for n in g}) > 1]
    if twins:
        examples = some([" = ".join(g) for g in (across or twins)], 2)
        seen.notes.append(
            f"{len(twins):,} pictures stand under several names, {len(across):,} "
            f"of them across splits ({examples})"
        )
