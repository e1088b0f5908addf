"""What is kept of a score matrix: a few small numbers per query.

The place of the first correct item needs no sorted list: count what is
scored above it, and what is tied with it. Every tie rule, interval and
comparison of `rsir.evaluation` starts from these counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np

from rsir.utils.io import atomic_write

BLOCK = 1 << 18


@dataclass(frozen=True)
class QueryRanks:
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


FIELDS = [
    (side, name) for side in ("i2t", "t2i") for name in QueryRanks.__dataclass_fields__
]


@dataclass(frozen=True)
class Ranks:
    """All that a recall needs to know of a score matrix.

    i2t: of the images that have captions, in their order.
    t2i: of the captions that have an image, in their order.
    owner: [n_captions], the image of each caption, -1 for none.
    duplicate_aware: identical captions counted as correct (not the
        published protocol).
    images: size of the image gallery, if some have no caption.
    """

    i2t: QueryRanks
    t2i: QueryRanks
    owner: np.ndarray
    duplicate_aware: bool = False
    images: int | None = None

    @property
    def n_images(self) -> int:
        """Images in the gallery, with captions or without."""
        return self.images or len(self.i2t.better)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Arrays for an .npz: i2t_better, ..., t2i_released, owner."""
        arrays = {
            f"{s}_{n}": _smallest(getattr(getattr(self, s), n)) for s, n in FIELDS
        }
        arrays["owner"] = _smallest(self.owner)
        arrays["duplicate_aware"] = np.array(self.duplicate_aware)
        if self.images is not None:
            arrays["images"] = np.array(self.images)
        return arrays

    @classmethod
    def from_arrays(cls, arrays) -> "Ranks":
        """The inverse of `to_arrays`.

        Raises:
            ValueError: an array is missing.
        """
        need = [f"{side}_{name}" for side, name in FIELDS] + ["owner"]
        missing = [name for name in need if name not in arrays]
        if missing:
            raise ValueError(
                f"ranks: missing {', '.join(missing)}; write the file with Ranks.save."
            )
        wide = [arrays[name].astype(np.int64) for name in need]
        return cls(
            QueryRanks(*wide[:4]),
            QueryRanks(*wide[4:8]),
            wide[8],
            bool(arrays.get("duplicate_aware", False)),
            int(arrays["images"]) if "images" in arrays else None,
        )

    def save(self, path) -> None:
        """Write an .npz, aside first and then in place at once."""
        with atomic_write(path, "wb") as file:
            np.savez_compressed(file, **self.to_arrays())

    @classmethod
    def load(cls, path) -> "Ranks":
        """Read what `save` wrote. No pickle is ever loaded."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls.from_arrays(dict(arrays))


def compute_ranks(
    scores, owner=None, captions: Sequence[str] | None = None, *, scores_t2i=None
) -> Ranks:
    """Find the place of the first correct item of every query.

    Args:
        scores: [n_images, n_captions], float or int, higher is closer.
            Infinities are allowed (-inf is a mask), NaN is not.
        owner: [n_captions] ints, the image of each caption, from 0. Any
            number of captions an image; an image without one, and a
            caption whose owner is -1, are wrong answers that ask
            nothing. None gives every image as many, in order: caption
            j belongs to image j // (n_captions / n_images).
        captions: texts. Given, a caption identical to one of the image's
            own counts as correct too. This is not the published
            protocol; report it beside, never instead.
        scores_t2i: a second matrix of the same shape, from which the
            captions are answered, e.g. where re-ranking makes one for
            each direction. None: `scores` for both.

    Raises:
        ValueError: says which argument, what is wrong, and the remedy.
    """
    scores = check_scores(scores)
    other = scores if scores_t2i is None else check_scores(scores_t2i, "scores_t2i")
    if other.shape != scores.shape:
        turned = other.shape == scores.shape[::-1]
        raise ValueError(
            f"scores_t2i: shape {other.shape}, but scores has {scores.shape}; give "
            + ("scores_t2i.T." if turned else "both as [n_images, n_captions].")
        )
    given = owner is not None
    owner = check_owner(owner, *scores.shape)
    refuse_repeated_rows(scores, owner, given)
    image, caption = correct_pairs(owner, captions)
    asks = owner[caption] >= 0
    i2t = _rank_images(scores, image, caption)
    t2i = _rank_captions(other, image[asks], caption[asks])
    bare = len(i2t.better) < len(scores)
    images = len(scores) if bare else None
    return Ranks(i2t, t2i, owner, captions is not None, images)


def _rank_images(scores, image, caption) -> QueryRanks:
    """Every image asks: count along its row."""
    asks, best, own, last = _best(scores, image, caption)
    better, level, later = np.zeros((3, len(asks)), np.int64)
    for q, i in enumerate(asks):
        row = _exact(scores[i])
        same = row == best[q]
        better[q] = np.count_nonzero(row > best[q])
        level[q] = np.count_nonzero(same)
        later[q] = np.count_nonzero(same[last[q] + 1 :])
    # reversed, a stable argsort puts the later of two tied items first
    return QueryRanks(better, level - own, own, better + later)


def _rank_captions(scores, image, caption) -> QueryRanks:
    """Every caption asks: each image in turn is one more answer to all."""
    asks, best, own, last = _best(scores.T, caption, image)
    better, level, later = np.zeros((3, len(asks)), np.int64)
    every = len(asks) == scores.shape[1]
    for i, row in enumerate(scores):
        row = _exact(row if every else row[asks])
        same = row == best
        better += row > best
        level += same
        later += same & (last < i)
    return QueryRanks(better, level - own, own, better + later)


def _best(view, query, item):
    """Of each query: its line, best correct score, ties of it, last tie.

    view: [n, n_gallery]; query, item: [n_pairs], the correct pairs.
    """
    values = _exact(view[query, item])
    asks, query = np.unique(query, return_inverse=True)
    best = np.full(len(asks), values.min())
    np.maximum.at(best, query, values)
    tied = values == best[query]
    own = np.bincount(query[tied], minlength=len(asks))
    last = np.zeros(len(asks), np.int64)
    np.maximum.at(last, query[tied], item[tied])
    return asks, best, own, last


def _exact(values):
    """Half floats are slow to compare; as float32 they are the same."""
    return values.astype(np.float32) if values.dtype == np.float16 else values


def _smallest(array):
    """The same whole numbers in the smallest type that holds them."""
    low, high = int(array.min(initial=0)), int(array.max(initial=0))
    return array.astype(
        np.result_type(np.min_scalar_type(low), np.min_scalar_type(high))
    )


def check_scores(scores, name: str = "scores") -> np.ndarray:
    """`scores` as an array [n_images, n_captions] of real numbers.

    Raises:
        ValueError: no array, not 2-d, empty, not real numbers, or NaN.
    """
    if np.ma.is_masked(scores):
        raise ValueError(
            f"{name}: a masked array; give scores.filled(-numpy.inf), so that "
            "what is masked comes last."
        )
    scores = _array(scores, name)
    if scores.ndim != 2:
        raise ValueError(
            f"{name}: shape {scores.shape} has {scores.ndim} axes; give a "
            "matrix [n_images, n_captions]."
        )
    if scores.size == 0:
        raise ValueError(
            f"{name}: shape {scores.shape} is empty; at least one image and "
            "one caption are needed."
        )
    if scores.dtype.kind not in "fiub":
        raise ValueError(
            f"{name}: type {scores.dtype} cannot be ranked; give real numbers "
            f"(float or int){_as_real(scores.dtype)}."
        )
    if scores.dtype.kind == "f" and np.isnan(scores.min()):
        bad = np.isnan(scores)
        i, j = np.argwhere(bad)[0]
        raise ValueError(
            f"{name}: {bad.sum()} value(s) are NaN, the first at image {i}, "
            f"caption {j}; find the division by zero or the overflow behind them."
        )
    return scores


def _array(values, name: str) -> np.ndarray:
    try:
        return np.asarray(values)
    except Exception as error:  # each library raises its own
        raise ValueError(
            f"{name}: cannot be made an array ({' '.join(str(error).split())}); "
            "of a tensor give tensor.detach().float().cpu().numpy()."
        ) from error


def _as_real(dtype) -> str:
    """How to make real numbers of this type, if there is a way."""
    if dtype == np.dtype("V2"):  # numpy.save forgets the name of bfloat16
        return (
            "; if these are bfloat16: (scores.view(numpy.uint16)"
            ".astype(numpy.uint32) << 16).view(numpy.float32)"
        )
    if dtype.kind == "O" or dtype.name.startswith(("bfloat", "float")):
        return ": scores.astype(numpy.float32)"
    return ": scores.real" if dtype.kind == "c" else ""


def check_owner(owner, n_images: int, n_captions: int) -> np.ndarray:
    """`owner` as int64 [n_captions]; None: as many captions an image.

    Raises:
        ValueError: wrong length, type or range, or a count that does
            not divide.
    """
    if owner is None:
        if n_captions % n_images:
            raise ValueError(
                f"owner: missing, and {n_captions} captions cannot be dealt "
                f"evenly to {n_images} images; give owner, the image of each "
                "caption (and look that scores is [n_images, n_captions])."
            )
        return np.arange(n_captions) // (n_captions // n_images)
    owner = _array(owner, "owner")
    if owner.shape != (n_captions,):
        hint = "."
        if owner.size == n_captions:
            hint = ", as owner.ravel()."
        elif owner.shape == (n_images,):
            hint = " (is scores transposed?)."
        raise ValueError(
            f"owner: shape {owner.shape}, but scores has {n_captions} columns; "
            f"give one image number for each caption{hint}"
        )
    if owner.dtype.kind not in "iu":
        whole = owner.dtype.kind == "f" and (owner % 1 == 0).all()
        raise ValueError(
            f"owner: type {owner.dtype} is not integer; give "
            + ("owner.astype(int)." if whole else "image numbers; these are not whole.")
        )
    low, high = int(owner.min()), int(owner.max())
    if low < -1 or high >= n_images:
        hint = " (subtract 1)" if (low, high) == (1, n_images) else ""
        raise ValueError(
            f"owner: image numbers run from {low} to {high}, but scores has "
            f"{n_images} rows; they must lie in 0..{n_images - 1}{hint}, or be "
            "-1 for a caption of no image."
        )
    if high < 0:
        raise ValueError("owner: all are -1; at least one caption needs its image.")
    return owner.astype(np.int64)


def refuse_repeated_rows(scores, owner, given: bool) -> None:
    """Raise where each image stands once for every caption of its own.

    That is the layout [n_captions, n_captions] of several released
    codes. Counted as it is, an image would be n images, and its copies
    would tie. A matrix with one and the same row everywhere passes.

    Args:
        scores, owner: checked.
        given: False: the owners are a guess.
    """
    n, n_captions = scores.shape
    square, last = n == n_captions, owner.max()
    same = np.array_equal
    group = n  # all changes from row to row lie at multiples of it
    for i in range(1, n):
        if group > 1 and not same(scores[i], scores[i - 1]):
            group = gcd(group, i)
    if group == n:
        return
    images, first, of = np.unique(owner, return_index=True, return_inverse=True)
    if (
        given
        and square
        and len(images) == last + 1 < n
        and not same(owner, np.arange(n) // group)
        and all(same(scores[j], scores[first[i]]) for j, i in enumerate(of))
    ):
        how = "repeat as the owners do"
        remedy = "scores[numpy.unique(owner, return_index=True)[1]]"
    elif group > 1 and (square or not given or last < n // group):
        how = f"come in equal groups of {group}"
        remedy = f"scores[::{group}]"
        if given and last >= n // group:
            remedy += f", with owner // {group}"
    elif (period := _period(scores)) and (square or not given or last < period):
        how = f"repeat from row {period} on"
        remedy = f"scores[:{period}], and owner, the image of each caption"
    else:
        return
    raise ValueError(
        f"scores: the rows {how}, as if an image stood there once for each of "
        f"its captions; give each image once: {remedy}."
    )


def _period(scores) -> int:
    """After how many rows all rows come again, in order; 0: never."""
    for i in np.flatnonzero(scores[1:, 0] == scores[0, 0]) + 1:
        if len(scores) % i == 0 and np.array_equal(scores[i:], scores[:-i]):
            return int(i)
    return 0


def correct_pairs(owner, captions=None) -> tuple[np.ndarray, np.ndarray]:
    """The correct (image, caption) pairs, as two int arrays [n_pairs].

    By the published protocol a caption is correct for its own image
    only. With `captions` (texts) it is correct for every image that
    owns the same text.
    """
    if captions is None:
        caption = np.flatnonzero(owner >= 0)
        return owner[caption], caption
    check_captions(captions, owner)
    owners_of = {}
    for text, image in zip(captions, owner.tolist()):
        if image >= 0:
            owners_of.setdefault(text, set()).add(image)
    pairs = [
        (image, j)
        for j, text in enumerate(captions)
        for image in sorted(owners_of.get(text, ()))
    ]
    image, caption = np.array(pairs).T
    return image, caption


def check_captions(captions, owner) -> None:
    """Raise unless there is one text for each owner."""
    if len(captions) != len(owner):
        raise ValueError(
            f"captions: {len(captions)} texts for {len(owner)} captions (columns "
            "of scores); give one text for each."
        )
