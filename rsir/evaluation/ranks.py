"""What is kept of a score matrix: a few small numbers per query.

The place of the first correct item needs no sorted list, only counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np

from rsir.utils.io import atomic_write


@dataclass(frozen=True)
class QueryRanks:
    """Where the first correct item of each query stands. [n_queries]"""

    better: np.ndarray  # wrong items scored strictly above the best correct one
    equal: np.ndarray  # wrong items tied with it
    own: np.ndarray  # correct items tied with it, itself included
    released: np.ndarray  # 0-based place under a stable argsort, reversed


FIELDS = [f"{s}_{name}" for s in ("i2t", "t2i") for name in QueryRanks.__annotations__]
FIELDS.append("owner")


@dataclass(frozen=True)
class Ranks:
    """All that a recall needs to know of a score matrix."""

    i2t: QueryRanks  # of the images that have captions, in their order
    t2i: QueryRanks  # of the captions that have an image, in their order
    owner: np.ndarray  # [n_captions], the image of each caption, -1 for none
    duplicate_aware: bool = False  # identical captions counted as correct
    images: int | None = None  # size of the image gallery, if some have no caption

    @property
    def n_images(self) -> int:
        """Images in the gallery, with captions or without."""
        return self.images or len(self.i2t.better)

    def save(self, path) -> None:
        """Write an .npz of `FIELDS`, aside first and then in place at once."""
        values = *vars(self.i2t).values(), *vars(self.t2i).values(), self.owner
        arrays = dict(zip(FIELDS, map(_smallest, values), strict=True))
        arrays["duplicate_aware"] = np.array(self.duplicate_aware)
        if self.images is not None:
            arrays["images"] = np.array(self.images)
        with atomic_write(path, "wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path) -> "Ranks":
        """Read what `save` wrote, or ValueError. No pickle is ever loaded."""
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
        if missing := [name for name in FIELDS if name not in arrays]:
            raise ValueError(
                f"{path}: ranks: missing {', '.join(missing)}; write the file "
                "with Ranks.save."
            )
        *wide, owner = (arrays[name].astype(np.int64) for name in FIELDS)
        return cls(
            QueryRanks(*wide[:4]),
            QueryRanks(*wide[4:]),
            owner,
            bool(arrays.get("duplicate_aware", False)),
            int(arrays["images"]) if "images" in arrays else None,
        )


def _smallest(array):
    """The same whole numbers in the smallest type that holds them."""
    ends = (np.min_scalar_type(int(end(initial=0))) for end in (array.min, array.max))
    return array.astype(np.result_type(*ends))


def compute_ranks(
    scores, owner=None, captions: Sequence[str] | None = None, *, scores_t2i=None
) -> Ranks:
    """Find the place of the first correct item of every query.

    Arguments and errors as in `rsir.evaluation.metrics.evaluate`; with
    `captions` an identical one counts as correct too.
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
    _refuse_repeated_rows(scores, owner, given)
    caption = np.flatnonzero(owner >= 0)
    image = owner[caption]  # the correct pairs
    if captions is not None:
        check_captions(captions, owner)
        _, text = np.unique(np.asarray(captions, object), return_inverse=True)
        says = np.zeros((text.max() + 1, len(scores)), bool)
        says[text[caption], image] = True
        caption, image = np.nonzero(says[text])
    i2t = _rank(scores, image, caption)
    asks = owner[caption] >= 0
    t2i = _rank(np.ascontiguousarray(other.T), caption[asks], image[asks])
    images = len(scores) if len(i2t.better) < len(scores) else None
    return Ranks(i2t, t2i, owner, captions is not None, images)


def _rank(lists, query, item) -> QueryRanks:
    """Count along the lists [n, n_gallery]; correct pairs are (query, item)."""
    values = lists[query, item]
    asks, query = np.unique(query, return_inverse=True)
    best = np.full(len(asks), values.min())
    np.maximum.at(best, query, values)
    tied = values == best[query]
    own = np.bincount(query[tied], minlength=len(asks))
    last = np.zeros(len(asks), np.int64)
    np.maximum.at(last, query[tied], item[tied])
    better, level, later = np.zeros((3, len(asks)), np.int64)
    for q, row in enumerate(asks):
        same = lists[row] == best[q]
        better[q] = np.count_nonzero(lists[row] > best[q])
        level[q] = np.count_nonzero(same)
        if level[q] > own[q]:
            later[q] = np.count_nonzero(same[last[q] + 1 :])
    # reversed, a stable argsort puts the later of two tied items first
    return QueryRanks(better, level - own, own, better + later)


def check_scores(scores, name: str = "scores") -> np.ndarray:
    """`scores` as an array [n_images, n_captions] without NaN, or ValueError."""
    if np.ma.is_masked(scores):
        raise ValueError(
            f"{name}: a masked array; give scores.filled(-numpy.inf), so that "
            "what is masked comes last."
        )
    scores = _array(scores, name)
    if scores.ndim != 2 or not scores.size:
        what = "is empty" if scores.ndim == 2 else f"has {scores.ndim} axes"
        raise ValueError(
            f"{name}: shape {scores.shape} {what}; give a matrix [n_images, "
            "n_captions] of at least one image and one caption."
        )
    if scores.dtype.kind not in "fiub":
        raise ValueError(
            f"{name}: type {scores.dtype} cannot be ranked; give real numbers "
            f"(float or int){_as_real(scores.dtype)}."
        )
    if scores.dtype.kind == "f" and np.isnan(scores.min()):
        bad = np.argwhere(np.isnan(scores))
        raise ValueError(
            f"{name}: {len(bad)} value(s) are NaN, the first at image {bad[0, 0]}, "
            f"caption {bad[0, 1]}; find the division by zero or the overflow behind "
            "them."
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
    """`owner` as int64 [n_captions], or ValueError; None: dealt evenly."""
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
        hint = " (is scores transposed?)" if owner.shape == (n_images,) else ""
        hint = ", as owner.ravel()" if owner.size == n_captions else hint
        raise ValueError(
            f"owner: shape {owner.shape}, but scores has {n_captions} columns; "
            f"give one image number for each caption{hint}."
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


def _refuse_repeated_rows(scores, owner, given: bool) -> None:
    """Raise where each image stands once for every caption of its own.

    So several released codes lay it out; the copies of an image would tie.
    One row everywhere passes. given: False: owners are a guess.
    """
    n, last, same = len(scores), owner.max(), np.array_equal
    square = n == scores.shape[1]
    group = n  # all changes from row to row lie at multiples of it
    for i in range(1, n):
        if group > 1 and not same(scores[i], scores[i - 1]):
            group = gcd(group, i)
    if group == n:
        return
    images, first, of = np.unique(owner, return_index=True, return_inverse=True)
    each = given and square and len(images) == last + 1 < n
    if (
        each
        and not same(owner, np.arange(n) // group)
        and all(same(scores[j], scores[first[i]]) for j, i in enumerate(of))
    ):
        how = "repeat as the owners do"
        remedy = "scores[numpy.unique(owner, return_index=True)[1]]"
    elif group > 1 and (square or not given or last < n // group):
        how, remedy = f"come in equal groups of {group}", f"scores[::{group}]"
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


def check_captions(captions, owner) -> None:
    """Raise unless there is one text for each owner."""
    if captions is None or len(captions) != len(owner):
        what = "missing" if captions is None else f"{len(captions)} texts"
        raise ValueError(
            f"captions: {what} for {len(owner)} captions (columns of scores); give "
            "one text for each."
        )
