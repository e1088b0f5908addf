"""Re-scoring: the top of a list, ordered by a dearer scorer.

A model that reads a picture and a sentence at once is too slow for a
whole gallery. So a cheap score makes the list and the dear one orders
its first k. The two directions have lists of their own, and so each
gets a matrix of its own: take the image queries' places from "i2t"
and the caption queries' from "t2i".

Any function from pairs to numbers will do. Nothing here knows models.
The idea of EnVLF (He et al. 2023; chapter 04) and of CFITR's coarse
and fine stages (Zhou et al. 2024; chapter 05).

**Equals.** Columns that are one text get one score whichever way, so
give the matrix one column a text and spread it over the captions
after. Of items that tie with the k-th of a list, either all are
re-scored (`tied="extend"`: the list grows, the result depends on no
order) or as many as fit, drawn at random (`tied="draw"`: the cost is
fixed; for scores with few values, such as Hamming distances).
"""

from collections.abc import Callable

import numpy as np

DIRECTIONS = ("i2t", "t2i")
TIED = ("extend", "draw")
BLOCK = 1 << 22  # scores looked at together

ScorePairs = Callable[[np.ndarray], np.ndarray]

__all__ = ["DIRECTIONS", "TIED", "rescore", "rescore_both",
           "short_pairs"]


def short_pairs(scores, k: int, direction: str, *,
                tied: str = "extend", seed: int = 0) -> np.ndarray:
    """The pairs on the short lists of all queries.

    Args:
        scores: `[n_images, n_texts]`, higher is closer. Items at
            -inf are out of the list for good.
        k: length of a list; one longer than the gallery is all of it.
        direction: "i2t": every image is a query and texts are
            listed; "t2i": the other way round.
        tied: see above.
        seed: of "draw".

    Returns:
        int64 `[N, 2]`, (image, text), ordered by query.

    Raises:
        ValueError: for an unknown name, a k below 1, or scores that
            are no matrix or hold NaN or +inf.
    """
    scores = _checked(scores, k, direction, tied)
    lists = scores if direction == "i2t" else scores.T
    n_queries, n_items = lists.shape
    k = min(int(k), n_items)
    draw = np.random.default_rng(seed)
    found = []
    step = max(1, BLOCK // max(1, n_items))
    for start in range(0, n_queries, step):
        block = np.asarray(lists[start:start + step])
        edge = np.partition(block, n_items - k, axis=1)[
            :, n_items - k, None]                 # the k-th best
        chosen = block >= edge
        if tied == "draw":
            chosen &= _drawn(block, edge, k, draw)
        query, item = np.nonzero(chosen & (block > -np.inf))
        found.append(np.column_stack([query + start, item]))
    pairs = np.concatenate(found) if found else np.empty((0, 2))
    pairs = pairs.astype(np.int64, copy=False)
    return pairs if direction == "i2t" else pairs[:, ::-1].copy()


def _drawn(block, edge, k, draw):
    """All above the edge, and of those on it as many as fit."""
    above, on = block > edge, block == edge
    free = k - above.sum(axis=1, keepdims=True)
    lot = np.where(on, draw.random(block.shape), np.inf)
    place = lot.argsort(axis=1).argsort(axis=1)
    return above | (on & (place < free))


def rescore(scores, score_pairs: ScorePairs, k: int, direction: str, *,
            weight: float = 0.0, tied: str = "extend", seed: int = 0,
            batch: int = 65536) -> np.ndarray:
    """Order the top k of every list anew.

    Args:
        scores: `[n_images, n_texts]`, higher is closer.
        score_pairs: int64 pairs `[N, 2]` (image, text) to `[N]`
            scores, higher is closer, on any scale.
        k, direction, tied, seed: as in `short_pairs`.
        weight: of the first score in the new one:
            new = score_pairs + weight * scores.
        batch: at most so many pairs are handed over at a time.

    Returns:
        float64 `[n_images, n_texts]`. In the lists of `direction`
        re-scored items stand above all others, in the new order;
        the others keep their scores. Only the order along
        `direction` has a meaning.

    Raises:
        ValueError: as in `short_pairs`, or if `score_pairs` gives
            another number of scores, or NaN.
    """
    pairs = short_pairs(scores, k, direction, tied=tied, seed=seed)
    values = _valued(pairs, score_pairs, batch)
    return _merged(scores, pairs, values, direction, weight)


def rescore_both(scores, score_pairs: ScorePairs, k: int, *,
                 weight: float = 0.0, tied: str = "extend",
                 seed: int = 0, batch: int = 65536
                 ) -> dict[str, np.ndarray]:
    """Both directions; a pair on both lists is scored once.

    Args: as in `rescore`.

    Returns:
        {"i2t": matrix, "t2i": matrix, "pairs": how many were scored}.
    """
    lists = {
        d: short_pairs(scores, k, d, tied=tied, seed=seed)
        for d in DIRECTIONS
    }
    n_texts = np.shape(scores)[1]
    codes = {d: p[:, 0] * n_texts + p[:, 1] for d, p in lists.items()}
    every = np.unique(np.concatenate(list(codes.values())))
    values = _valued(
        np.column_stack(np.divmod(every, n_texts)), score_pairs, batch
    )
    out = {
        d: _merged(scores, lists[d],
                   values[np.searchsorted(every, codes[d])], d, weight)
        for d in DIRECTIONS
    }
    return out | {"pairs": len(every)}


def _valued(pairs, score_pairs, batch) -> np.ndarray:
    values = np.empty(len(pairs))
    for i in range(0, len(pairs), batch):
        part = pairs[i:i + batch]
        given = np.asarray(score_pairs(part), dtype=np.float64)
        if given.shape != (len(part),):
            raise ValueError(
                f"score_pairs: shape {given.shape} for {len(part)} "
                "pairs; give one score a pair."
            )
        if np.isnan(given).any():
            raise ValueError(
                "score_pairs: NaN among the scores; give numbers."
            )
        values[i:i + batch] = given
    return values


def _merged(scores, pairs, values, direction, weight) -> np.ndarray:
    out = np.array(scores, dtype=np.float64)
    image, text = pairs.T
    query = image if direction == "i2t" else text
    axis = 1 if direction == "i2t" else 0
    if weight:
        values = values + weight * out[image, text]
    n = out.shape[1 - axis]
    # the best that is left on each list, the least new score on it
    left = out.copy()
    left[image, text] = -np.inf
    best = left.max(axis=axis)
    best[~np.isfinite(best)] = 0.0
    least = np.full(n, np.inf)
    np.minimum.at(least, query, values)
    out[image, text] = best[query] + 1.0 + (values - least[query])
    return out


def _checked(scores, k, direction, tied) -> np.ndarray:
    scores = np.asanyarray(scores)
    if scores.ndim != 2 or not scores.size:
        raise ValueError(
            f"scores: shape {scores.shape}; give a matrix "
            "[n_images, n_texts]."
        )
    if np.isnan(scores).any() or np.isposinf(scores).any():
        raise ValueError(
            "scores: NaN or +inf among them; give numbers, and -inf "
            "for what no list may hold."
        )
    if k < 1 or int(k) != k:
        raise ValueError(f"k: {k!r}; give a whole number from 1.")
    for name, value, known in (("direction", direction, DIRECTIONS),
                               ("tied", tied, TIED)):
        if value not in known:
            raise ValueError(
                f"{name}: {value!r} is unknown; use one of "
                f"{', '.join(known)}."
            )
    return scores
