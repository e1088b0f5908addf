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

import re
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rsir.data.images import ImageFolder, unreadable
from rsir.data.split import SPLIT_NAMES, DataRepairWarning, Split, Splits
from rsir.errors import RsirError

BLANK = "."
"""What stands in for a blank caption."""

SPLIT_ALIASES = {
    "train": "train", "training": "train", "restval": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
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
            raise RsirError(
                f"val_fraction is {share}; it must lie between 0 and 1"
            )
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
    while frame.f_back and frame.f_globals.get(
        "__name__", ""
    ).startswith("rsir."):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, DataRepairWarning, stacklevel=level)


def split_name(text: str, where: str) -> str:
    """"train", "val" or "test" for what a file calls it."""
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
            name, part, [records[i] for i in rows],
            [paths[i] for i in rows], label_of,
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
        owner=np.repeat(
            np.arange(len(records)), [len(r.captions) for r in records]
        ),
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
            r = replace(r, captions=tuple(
                c if c.strip() else BLANK for c in r.captions
            ))
        wordless += sum(
            not re.search(r"[^\W\d_]", c) for c in r.captions
        ) - empty
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
            + (f"; then {some([p.name for p, _ in bad[1:]])}"
               if bad[1:] else "")
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
        r if r.split == "test"
        else replace(r, split="val" if i in val else "train")
        for i, r in enumerate(records)
    ]
