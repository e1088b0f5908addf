"""The noun of the data part: a `Split` of images and captions.

Chapter: notebooks/01_data_and_protocol.ipynb.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from rsir.data.images import PixelOptions, open_image
from rsir.utils.errors import RsirError

SPLIT_NAMES = ("train", "val", "test")


class DataRepairWarning(UserWarning):
    """A fault of the files that was repaired, and how."""


@dataclass(frozen=True)
class Box:
    """One object of a scene, in pixels of the stored picture.

    `label` such as "plane"; x1 > x0, y1 > y0; `attributes` such as
    {"colour": "white"}.
    """

    label: str
    x0: float
    y0: float
    x1: float
    y1: float
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Images, captions, and which image each caption belongs to.

    The order is that of the annotation file; captions per image may vary.

    Attributes:
        dataset: name of the data set, e.g. "rsicd".
        name: "train", "val" or "test".
        images: paths, [n_images].
        captions: sentences as the file has them, [n_captions].
        owner: int64 index into `images`, [n_captions], read-only.
        ids: names the annotation file uses, [n_images].
        labels: scene kind per image where known, else None.
        objects: boxes per image (toy scenes), else None.
        keywords: words per image (RSITMD), else None.
        pixels: how `open` reads the pictures; None for 8-bit pictures.

    Raises:
        RsirError: the lengths do not fit, or an owner is no image.
    """

    dataset: str
    name: str
    images: tuple[Path, ...]
    captions: tuple[str, ...]
    owner: np.ndarray
    ids: tuple[str, ...]
    labels: tuple[str, ...] | None = None
    objects: tuple[tuple[Box, ...], ...] | None = None
    keywords: tuple[tuple[str, ...], ...] | None = None
    pixels: PixelOptions | None = None

    def __post_init__(self):
        n, where = len(self.images), f"{self.dataset} {self.name}"
        owner = np.array(self.owner, dtype=np.int64)  # [n_captions]
        owner.setflags(write=False)
        put = object.__setattr__
        put(self, "owner", owner)
        put(self, "images", tuple(Path(p) for p in self.images))
        put(self, "captions", tuple(self.captions))
        if owner.shape != (len(self.captions),):
            raise RsirError(
                f"{where}: owner has shape {owner.shape}, but there are "
                f"{len(self.captions)} captions; give one owner per caption"
            )
        if owner.size and not (0 <= owner.min() <= owner.max() < n):
            raise RsirError(
                f"{where}: owner runs from {owner.min()} to {owner.max()}, but "
                f"there are {n} images; it must be an index from 0 to {n - 1}"
            )
        for key in ("ids", "labels", "objects", "keywords"):
            value = getattr(self, key)
            if value is not None and len(value) != n:
                raise RsirError(
                    f"{where}: {len(value)} {key} for {n} images; give one per image"
                )
            put(self, key, None if value is None else tuple(value))
        order = np.argsort(owner, kind="stable")
        put(self, "_order", order)
        put(self, "_starts", np.searchsorted(owner[order], np.arange(n + 1)))

    @classmethod
    def from_pairs(
        cls,
        rows: Iterable[tuple[str | os.PathLike, str]],
        *,
        dataset: str = "own",
        name: str = "test",
        root: str | os.PathLike = ".",
        pixels: PixelOptions | None = None,
    ) -> Split:
        """A split from (image path, caption) rows, of any source.

        Rows of one image may stand anywhere; images keep the order of
        their first row. Relative paths start from `root`.

        Raises:
            RsirError: a row is wrong, an image is missing.
        """
        from rsir.data.readers import read_pairs

        return read_pairs(rows, dataset, Path(root), pixels, part=name)

    @property
    def n_images(self) -> int:
        return len(self.images)

    @property
    def n_captions(self) -> int:
        return len(self.captions)

    def __len__(self) -> int:
        return len(self.images)

    def open(self, i: int) -> Image.Image:
        """Image `i` in mode RGB, read as `pixels` says."""
        return open_image(self.images[i], self.pixels)

    def caption_indices(self, i: int) -> np.ndarray:
        """Indices of the captions of image `i`, in file order."""
        i = range(self.n_images)[i]
        return self._order[self._starts[i] : self._starts[i + 1]]

    def captions_of(self, i: int) -> list[str]:
        """The captions of image `i`, in file order."""
        return [self.captions[j] for j in self.caption_indices(i)]

    def counts(self) -> np.ndarray:
        """Captions per image, [n_images] int64."""
        return np.diff(self._starts)

    def subset(self, indices: Sequence[int]) -> Split:
        """The images at `indices`, in that order, with captions."""
        indices = np.asarray(indices)
        if indices.dtype == bool:
            indices = np.flatnonzero(indices)
        keep = [range(self.n_images)[int(i)] for i in indices]
        rows = [self.caption_indices(i) for i in keep]
        facts = {}
        for key in ("images", "ids", "labels", "objects", "keywords"):
            value = getattr(self, key)
            facts[key] = value and [value[i] for i in keep]
        return replace(
            self,
            captions=[self.captions[j] for own in rows for j in own],
            owner=np.repeat(np.arange(len(keep)), [len(own) for own in rows]),
            **facts,
        )

    def unique_texts(self) -> tuple[list[str], np.ndarray]:
        """Distinct captions and the number of each caption's text.

        Returns:
            texts: distinct sentences in order of first appearance.
            text_id: int64 index into `texts`, [n_captions].
        """
        number: dict[str, int] = {}
        ids = [number.setdefault(c, len(number)) for c in self.captions]
        return list(number), np.array(ids, dtype=np.int64)

    def digest(self) -> str:
        """16 hexadecimal digits that tell this list of pairs apart.

        sha256 over ids, captions and owners in their order, and over
        `pixels` where set. What the picture files hold does not enter.
        """
        facts = [self.ids, self.captions, self.owner.tolist()]
        if self.pixels is not None:
            facts.append(self.pixels.to_dict())
        text = json.dumps(facts)  # ASCII, so that any string has bytes
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __repr__(self) -> str:
        return (
            f"Split({self.dataset} {self.name}: {self.n_images:,} "
            f"images, {self.n_captions:,} captions)"
        )


@dataclass(frozen=True, eq=False, repr=False)
class Splits:
    """The three splits of one data set; iterates train, val, test.

    `root` is the folder it was read from. Train and val are empty in a
    set that is only for testing.
    """

    name: str
    root: Path
    train: Split
    val: Split
    test: Split

    @classmethod
    def from_pairs(
        cls,
        rows: Iterable[tuple],
        *,
        name: str = "own",
        root: str | os.PathLike = ".",
        pixels: PixelOptions | None = None,
        **rules,
    ) -> Splits:
        """Splits from rows of (image path, caption[, split]).

        All rows have a split, or none has: then the images are cut by a
        seeded shuffle. Else as `Split.from_pairs`; `rules` are seed,
        val_fraction and captions_per_image of `load_dataset`.

        Raises:
            RsirError: a row is wrong, an image is missing or in two
                splits.
        """
        from rsir.data.readers import read_pairs

        return read_pairs(rows, name, Path(root), pixels, **rules)

    def __iter__(self) -> Iterator[Split]:
        return iter((self.train, self.val, self.test))

    def __getitem__(self, name: str) -> Split:
        if name not in SPLIT_NAMES:
            raise RsirError(
                f"no split {name!r} in {self.name}; there are train, val and test"
            )
        return getattr(self, name)

    def __repr__(self) -> str:
        lines = [f"{self.name:<8} {'images':>8} {'captions':>9} {'distinct':>9}"]
        for s in self:
            lines.append(
                f"{s.name:<8} {s.n_images:>8,} {s.n_captions:>9,}"
                f" {len(set(s.captions)):>9,}"
            )
        return "\n".join(lines)
