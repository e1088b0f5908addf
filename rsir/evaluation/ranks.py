"""What is kept of a score matrix: a few small numbers per query.

`rsir.evaluation.metrics` makes them and turns them into recalls.
"""

import os
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Places:
    """Where the first correct item of each query stands. [n_queries]

    better: wrong items scored strictly above the best correct one.
    equal: wrong items tied with it.
    own: correct items tied with it, itself included.
    released: 0-based place under a stable argsort, reversed.
    """

    better: np.ndarray
    equal: np.ndarray
    own: np.ndarray
    released: np.ndarray


@dataclass(frozen=True)
class Ranks:
    """All that a recall needs to know of a score matrix.

    Small enough to keep beside a record; every tie rule, interval and
    comparison can be recomputed from it without the matrix.

    i2t: places for the image queries, [n_images].
    t2i: places for the caption queries, [n_captions].
    owner: [n_captions], the image of each caption.
    duplicate_aware: equal captions counted as correct (not the
        published protocol).
    """

    i2t: Places
    t2i: Places
    owner: np.ndarray
    duplicate_aware: bool = False

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Arrays for an .npz: i2t_better, ..., t2i_released, owner."""
        arrays = {
            f"{side}_{name}": array
            for side in ("i2t", "t2i")
            for name, array in vars(getattr(self, side)).items()
        }
        arrays["owner"] = self.owner
        arrays["duplicate_aware"] = np.array(self.duplicate_aware)
        return {k: _smallest(v) for k, v in arrays.items()}

    @classmethod
    def from_arrays(cls, arrays) -> "Ranks":
        """The inverse of `to_arrays`; takes an open .npz as well.

        Raises:
            ValueError: an array is missing.
        """
        need = [
            f"{side}_{name}"
            for side in ("i2t", "t2i")
            for name in Places.__dataclass_fields__
        ]
        missing = [k for k in [*need, "owner"] if k not in arrays]
        if missing:
            raise ValueError(
                f"ranks: missing {', '.join(missing)}; write the file with Ranks.save."
            )
        wide = [arrays[k].astype(np.int64) for k in need]
        return cls(
            Places(*wide[:4]),
            Places(*wide[4:]),
            arrays["owner"].astype(np.int64),
            bool(arrays.get("duplicate_aware", False)),
        )

    def save(self, path) -> None:
        """Write an .npz, aside first and then in place at once."""
        aside = f"{os.fspath(path)}.{os.getpid()}.part"
        with open(aside, "wb") as file:
            np.savez_compressed(file, **self.to_arrays())
        os.replace(aside, path)

    @classmethod
    def load(cls, path) -> "Ranks":
        """Read what `save` wrote. No pickle is ever loaded."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls.from_arrays(dict(arrays))


def _smallest(array):
    """The same numbers in the smallest unsigned type that holds them."""
    if array.dtype == bool:
        return array
    return array.astype(np.min_scalar_type(int(array.max(initial=0))))


# ----------------------------------------------------------------------
# Places in a ranking, found by counting instead of sorting.
#
# The place of the first correct item needs no sorted list: count what
# stands above it and what stands level with it. One walk over the matrix
# in blocks that stay in the processor's cache counts for images and for
# captions at once. `rsir.evaluation.metrics` is the public face of this file.


ROWS, COLUMNS = 128, 65_536  # one block; ROWS must stay below 256


def check_scores(scores) -> np.ndarray:
    """`scores` as an array [n_images, n_captions] of real numbers.

    Raises:
        ValueError: not 2-d, empty, or not real numbers. (NaN is looked
            for where it is cheap to see: in `count_places`.)
    """
    scores = np.asarray(scores)
    if scores.ndim != 2:
        raise ValueError(
            f"scores: shape {scores.shape} has {scores.ndim} axes; give "
            "a matrix [n_images, n_captions]."
        )
    if scores.size == 0:
        raise ValueError(
            f"scores: shape {scores.shape} is empty; at least one image "
            "and one caption are needed."
        )
    if scores.dtype.kind not in "fiub":
        raise ValueError(
            f"scores: type {scores.dtype} cannot be ranked; give real "
            "numbers (float or int)."
        )
    return scores


def check_owner(owner, n_images: int, n_captions: int) -> np.ndarray:
    """`owner` as int64 [n_captions], or the even deal where it is None.

    Dealt evenly in order, caption j belongs to image
    j // (n_captions / n_images), as in the caption files.

    Raises:
        ValueError: wrong length, type or range, an image without a
            caption, or a count that does not divide.
    """
    if owner is None:
        if n_captions % n_images:
            raise ValueError(
                f"owner: missing, and {n_captions} captions cannot be "
                f"dealt evenly to {n_images} images; give owner, the "
                "image of each caption (and look that scores is "
                "[n_images, n_captions])."
            )
        return np.arange(n_captions) // (n_captions // n_images)
    owner = np.asarray(owner)
    if owner.ndim != 1 or len(owner) != n_captions:
        turned = owner.ndim == 1 and len(owner) == n_images
        raise ValueError(
            f"owner: shape {owner.shape}, but scores has {n_captions} "
            "columns; give one image number for each caption"
            + (" (is scores transposed?)." if turned else ".")
        )
    if owner.dtype.kind not in "iu":
        raise ValueError(
            f"owner: type {owner.dtype} is not integer; give image "
            "numbers, e.g. owner.astype(int)."
        )
    low, high = int(owner.min()), int(owner.max())
    if low < 0 or high >= n_images:
        from_one = low == 1 and high == n_images
        raise ValueError(
            f"owner: image numbers run from {low} to {high}, but scores "
            f"has {n_images} rows; they must lie in 0..{n_images - 1}"
            + (" (subtract 1)." if from_one else ".")
        )
    owner = owner.astype(np.int64)
    bare = np.flatnonzero(np.bincount(owner, minlength=n_images) == 0)
    if len(bare):
        raise ValueError(
            f"owner: {len(bare)} image(s) have no caption, the first is "
            f"image {bare[0]}; drop their rows or add captions."
        )
    return owner


def correct_pairs(owner, captions=None) -> tuple[np.ndarray, np.ndarray]:
    """The correct (image, caption) pairs, as two int arrays [n_pairs].

    By the published protocol a caption is correct for its own image
    only. With `captions` (texts) it is correct for every image that
    owns the same text.
    """
    if captions is None:
        return owner, np.arange(len(owner))
    if len(captions) != len(owner):
        raise ValueError(
            f"captions: {len(captions)} texts for {len(owner)} captions; "
            "give one text for each."
        )
    owners_of = {}
    for text, image in zip(captions, owner, strict=True):
        owners_of.setdefault(text, set()).add(int(image))
    pairs = [
        (image, j)
        for j, text in enumerate(captions)
        for image in sorted(owners_of[text])
    ]
    image, caption = np.array(pairs).T
    return image, caption


def count_places(scores, pairs) -> tuple[dict, dict]:
    """Count what stands above and level with the first correct item.

    Args:
        scores: [n_images, n_captions], checked; may be memory-mapped.
        pairs: the correct pairs, from `correct_pairs`.

    Returns:
        Two dicts of int arrays [n_queries], for images as queries and
        for captions as queries: better, equal, own, released.

    Raises:
        ValueError: scores hold NaN.
    """
    image, caption = pairs
    n_images, n_captions = scores.shape
    values = _comparable(scores[image, caption])
    if values.dtype.kind == "f" and np.isnan(values).any():
        _raise_nan(scores)
    rows = _first_correct(values, image, caption, n_images)
    cols = _first_correct(values, caption, image, n_captions)

    # What is neither above nor below stands level. A NaN would, too, so
    # it shows up as a tie, and only a matrix with ties is searched.
    (above_r, below_r), (above_c, below_c) = _count(
        scores, (_above, _below), rows, cols
    )
    equal_r = n_captions - above_r - below_r - rows["own"]
    equal_c = n_images - above_c - below_c - cols["own"]
    later_r = later_c = 0
    if equal_r.any() or equal_c.any():
        if scores.dtype.kind == "f":
            _raise_nan(scores)
        (later_r,), (later_c,) = _count(scores, (_level_and_later,), rows, cols)
    return tuple(
        {
            "better": above,
            "equal": equal,
            "own": side["own"],
            "released": above + later,  # equals: later index first
        }
        for side, above, equal, later in (
            (rows, above_r, equal_r, later_r),
            (cols, above_c, equal_c, later_c),
        )
    )


def _comparable(values):
    """Contiguous, half floats as float32 (exact); values unchanged."""
    if values.dtype == np.float16:
        return values.astype(np.float32, order="C")
    return np.ascontiguousarray(values)


def _first_correct(values, query, item, n_queries) -> dict:
    """Per query: best correct score, how many reach it, and the last.

    values, query, item: [n_pairs]; every query has at least one pair.
    """
    order = np.argsort(query, kind="stable")
    starts = np.searchsorted(query[order], np.arange(n_queries))
    best = np.maximum.reduceat(values[order], starts)  # (n_queries,)
    tied = values == best[query]
    own = np.bincount(query[tied], minlength=n_queries)
    last = np.maximum.reduceat(np.where(tied, item, -1)[order], starts)
    return {"best": best, "own": own, "last": last.astype(np.int32)}


def _above(tile, best, place, last, out):
    np.greater(tile, best, out=out)


def _below(tile, best, place, last, out):
    np.less(tile, best, out=out)


def _level_and_later(tile, best, place, last, out):
    """Level with the best correct item, and after it in the file."""
    np.equal(tile, best, out=out)
    out &= place > last


def _count(scores, tests, rows, cols):
    """How often each test holds, per row and per column.

    Walks over the matrix once, block by block. The answers of a block
    are bytes 0 or 1; they are added down the columns in uint8 (ROWS is
    below 256) and along the rows eight at a time, as 64-bit words.

    Returns:
        int64 arrays [n_tests, n_images] and [n_tests, n_captions].
    """
    n_rows, n_cols = scores.shape
    per_row = np.zeros((len(tests), n_rows), np.int64)
    per_col = np.zeros((len(tests), n_cols), np.int64)
    for c in range(0, n_cols, COLUMNS):
        width = min(COLUMNS, n_cols - c)
        col = slice(c, c + width)
        j = np.arange(c, c + width, dtype=np.int32)  # (width,)
        best_c, last_c = cols["best"][col], cols["last"][col]
        # padded with zeros to whole words
        flags = np.zeros((ROWS, -(-width // 8) * 8), bool)
        for r in range(0, n_rows, ROWS):
            tile = _comparable(scores[r : r + ROWS, col])
            row = slice(r, r + len(tile))
            i = np.arange(r, row.stop, dtype=np.int32)[:, None]
            best_r = rows["best"][row, None]  # (rows, 1)
            last_r = rows["last"][row, None]
            padded = flags[: len(tile)]
            out = padded[:, :width]
            for t, test in enumerate(tests):
                test(tile, best_r, j, last_r, out)
                per_row[t, row] += _add_along_rows(padded)
                test(tile, best_c, i, last_c, out)
                per_col[t, col] += np.add.reduce(
                    out.view(np.uint8), axis=0, dtype=np.uint8
                )
    return per_row, per_col


def _add_along_rows(flags):
    """Sum of each row of bytes 0/1; whole words, no carry below 256."""
    words = flags.view(np.uint64)  # (rows, n_words)
    starts = np.arange(0, words.shape[1], 255)
    sums = np.add.reduceat(words, starts, axis=1)  # (rows, n_parts)
    return sums.view(np.uint8).sum(axis=1, dtype=np.int64)


def _raise_nan(scores) -> None:
    """Say how many scores are NaN and where the first one is."""
    count, first = 0, None
    for r in range(0, len(scores), ROWS):
        bad = np.isnan(scores[r : r + ROWS])
        if bad.any():
            count += int(bad.sum())
            if first is None:
                i, j = np.argwhere(bad)[0]
                first = r + int(i), int(j)
    if count:
        raise ValueError(
            f"scores: {count} value(s) are NaN, the first at image "
            f"{first[0]}, caption {first[1]}; find the division by zero "
            "or the overflow behind them."
        )
