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

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rsir.data import Split, Splits
from rsir.data.caption_statistics import to_choose_on
from rsir.evaluation.metrics import Ranks, ranks, recalls_from_ranks
from rsir.evaluation.metrics import ranks as rank
from rsir.models.base import JointRetriever, pair_scorer
from rsir.models.recipes import ROWS, Recipe, recipe
from rsir.retrieval.rerank import ppsr
from rsir.training.batches import Corpus
from rsir.training.trainer import encode_corpus

DIRECTIONS = ("i2t", "t2i")
TIED = ("extend", "draw")
BLOCK = 1 << 22  # scores looked at together

ScorePairs = Callable[[np.ndarray], np.ndarray]

__all__ = ["DIRECTIONS", "TIED", "rescore", "rescore_both", "short_pairs"]


def short_pairs(
    scores, k: int, direction: str, *, tied: str = "extend", seed: int = 0
) -> np.ndarray:
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
        block = np.asarray(lists[start : start + step])
        edge = np.partition(block, n_items - k, axis=1)[
            :, n_items - k, None
        ]  # the k-th best
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


def rescore(
    scores,
    score_pairs: ScorePairs,
    k: int,
    direction: str,
    *,
    weight: float = 0.0,
    tied: str = "extend",
    seed: int = 0,
    batch: int = 65536,
) -> np.ndarray:
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


def rescore_both(
    scores,
    score_pairs: ScorePairs,
    k: int,
    *,
    weight: float = 0.0,
    tied: str = "extend",
    seed: int = 0,
    batch: int = 65536,
) -> dict[str, np.ndarray]:
    """Both directions; a pair on both lists is scored once.

    Args: as in `rescore`.

    Returns:
        {"i2t": matrix, "t2i": matrix, "pairs": how many were scored}.
    """
    lists = {d: short_pairs(scores, k, d, tied=tied, seed=seed) for d in DIRECTIONS}
    n_texts = np.shape(scores)[1]
    codes = {d: p[:, 0] * n_texts + p[:, 1] for d, p in lists.items()}
    every = np.unique(np.concatenate(list(codes.values())))
    values = _valued(np.column_stack(np.divmod(every, n_texts)), score_pairs, batch)
    out = {
        d: _merged(
            scores, lists[d], values[np.searchsorted(every, codes[d])], d, weight
        )
        for d in DIRECTIONS
    }
    return out | {"pairs": len(every)}


def _valued(pairs, score_pairs, batch) -> np.ndarray:
    values = np.empty(len(pairs))
    for i in range(0, len(pairs), batch):
        part = pairs[i : i + batch]
        given = np.asarray(score_pairs(part), dtype=np.float64)
        if given.shape != (len(part),):
            raise ValueError(
                f"score_pairs: shape {given.shape} for {len(part)} "
                "pairs; give one score a pair."
            )
        if np.isnan(given).any():
            raise ValueError("score_pairs: NaN among the scores; give numbers.")
        values[i : i + batch] = given
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
            f"scores: shape {scores.shape}; give a matrix [n_images, n_texts]."
        )
    if np.isnan(scores).any() or np.isposinf(scores).any():
        raise ValueError(
            "scores: NaN or +inf among them; give numbers, and -inf "
            "for what no list may hold."
        )
    if k < 1 or int(k) != k:
        raise ValueError(f"k: {k!r}; give a whole number from 1.")
    for name, value, known in (
        ("direction", direction, DIRECTIONS),
        ("tied", tied, TIED),
    ):
        if value not in known:
            raise ValueError(
                f"{name}: {value!r} is unknown; use one of {', '.join(known)}."
            )
    return scores


# ----------------------------------------------------------------------
# A split scored in two stages: a list by vectors, its top by reading.
#
# For systems with a `joint` score (chapters 04 and 05).


@dataclass(frozen=True)
class TwoStage:
    """Both stages of a split.

    Attributes:
        coarse: `[n_images, n_captions]`, of the first stage.
        i2t, t2i: the same with the top k of each list re-scored,
            for image queries and for caption queries.
        k: length of the re-scored part, in different texts or in
            images.
        reading: how much of what was read counted.
        pairs: how many pairs were read together.
        seconds: wall time of "encode", "list" and "rescore".
        owner: `[n_captions]`, the image of each caption.
    """

    coarse: np.ndarray
    i2t: np.ndarray
    t2i: np.ndarray
    k: int
    reading: float
    pairs: int
    seconds: dict[str, float]
    owner: np.ndarray

    def ranks(self) -> Ranks:
        """Places after re-scoring, each direction from its own."""
        return Ranks(
            ranks(self.i2t, self.owner).i2t,
            ranks(self.t2i, self.owner).t2i,
            np.asarray(self.owner),
        )

    def coarse_ranks(self) -> Ranks:
        """Places before it."""
        return ranks(self.coarse, self.owner)


def two_stages(
    model: JointRetriever,
    corpus: Corpus,
    ks: tuple[int, ...],
    *,
    reading: float = 1.0,
    tied: str = "extend",
    batch: int = 256,
) -> list[TwoStage]:
    """Score a split, and order the top k of every list anew.

    Equal captions are one text: read once, equal in the end.

    Args:
        model: is put into evaluation mode.
        corpus: the split as the model reads it.
        ks: lengths of the re-scored part; one result each. 0: the
            first stage alone.
        reading: how much of what is read counts, see `choose`.
        tied: as in `rsir.retrieval.two_stage`.
        batch: pairs read at a time.
    """
    start = time.perf_counter()
    images, texts = encode_corpus(model, corpus)
    encoded = time.perf_counter()
    scores = model.score(images, texts).float().cpu().numpy()
    listed = time.perf_counter()
    owner, columns = corpus.split.owner, corpus.text_id
    coarse = np.ascontiguousarray(scores[:, columns])
    score_pairs = reader(model, images, texts, reading, batch)
    out = []
    for k in ks:
        start_k = time.perf_counter()
        new = {"i2t": scores, "t2i": scores, "pairs": 0}
        if k:
            new = rescore_both(scores, score_pairs, k, tied=tied)
        seconds = {
            "encode": encoded - start,
            "list": listed - encoded,
            "rescore": time.perf_counter() - start_k,
        }
        out.append(
            TwoStage(
                coarse,
                new["i2t"][:, columns],
                new["t2i"][:, columns],
                k,
                reading,
                new["pairs"],
                seconds,
                owner,
            )
        )
    return out


def reader(
    model: JointRetriever, images, texts, reading: float, batch: int = 256
) -> Callable[[np.ndarray], np.ndarray]:
    """`pair_scorer`, with `model.reading` set while it scores."""
    score_pairs = pair_scorer(model, images, texts, batch)

    def read(pairs: np.ndarray) -> np.ndarray:
        was, model.reading = model.reading, reading
        try:
            return score_pairs(pairs)
        finally:
            model.reading = was

    return read


#: what `choose` tries: lengths, and how much of the reading counts
LENGTHS, READINGS = (1, 2, 4, 8, 16, 32), (0.0, 0.25, 0.5, 1.0)


def choose(
    model: JointRetriever,
    corpus: Corpus,
    longest: int,
    *,
    lengths: Sequence[int] = LENGTHS,
    tied: str = "extend",
    keep: np.ndarray | None = None,
) -> tuple[int, float, list[dict]]:
    """How far down to read, and how far to trust the reader.

    Every pair is read once, for the longest list; the rest is sorting.
    The joint score is a line in `reading`, so that its two ends give
    all between.

    Args:
        model: is put into evaluation mode.
        corpus: of the validation split, never of the test split.
        longest: the longest list that is tried.
        lengths: those that are tried beside it, if they are shorter.
        tied: as in `rsir.retrieval.two_stage`.
        keep: `[n_images]` bool, images that count, with their
            captions; see `rsir.data.caption_statistics.to_choose_on`. None:
            all.

    Returns:
        k and reading of the best mR (of equals the shortest list),
        and a row for each that was tried: "k", "reading", "mR".
    """
    images, texts = encode_corpus(model, corpus)
    owner = corpus.split.owner
    keep = np.ones(corpus.split.n_images, bool) if keep is None else keep
    mine = keep[owner]
    left, columns = np.unique(corpus.text_id[mine], return_inverse=True)
    owner, row = (np.cumsum(keep) - 1)[owner[mine]], np.flatnonzero(keep)
    scores = model.score(images, texts).float().cpu().numpy()
    scores = np.ascontiguousarray(scores[np.ix_(row, left)])
    ends = [
        (
            np.full(scores.shape, np.nan, dtype=np.float32),
            reader(model, images, texts, end),
        )
        for end in (0.0, 1.0)
    ]

    def between(reading):
        def score_pairs(pairs):
            image, text = pairs.T
            for known, read in ends:
                new = pairs[np.isnan(known[image, text])]
                known[new[:, 0], new[:, 1]] = read(
                    np.stack([row[new[:, 0]], left[new[:, 1]]], axis=1)
                )
            none, full = (known[image, text] for known, _ in ends)
            return none + reading * (full - none)

        return score_pairs

    rows = []
    for k in [k for k in lengths if k < longest] + [longest]:
        for reading in READINGS if k > 1 else (1.0,):
            both = rescore_both(scores, between(reading), k, tied=tied)
            found = [
                getattr(ranks(both[d][:, columns], owner), d) for d in ("i2t", "t2i")
            ]
            rows.append(
                {
                    "k": k,
                    "reading": reading,
                    "mR": recalls_from_ranks(Ranks(*found, owner))["mR"],
                }
            )
    best = max(rows, key=lambda row: (row["mR"], -row["k"]))
    return best["k"], best["reading"], rows


# ----------------------------------------------------------------------
# One training of CFITR, measured in several ways.
#
# Hash alone, with PPSR, with floats in place of codes, from coarse to
# fine at several depths: all of these are one set of weights. A record
# is written for every row of the recipe that asks for it. Explained in
# chapter 05.


#: length of the lists on which val chooses how much reading counts
CHOSEN_AT = 20


class Stages:
    """A split, encoded once; its coarse and fine scores.

    Args:
        model: is put into evaluation mode.
        corpus: the split as the model reads it.
        batch: pairs read at a time.

    Attributes:
        owner: `[n_captions]`.
        images, texts: encoded sides.
        read: how many pairs have been read together.
        seconds: of "encode" and of "pairs".
    """

    def __init__(self, model: JointRetriever, corpus: Corpus, batch: int = 256) -> None:
        start = time.perf_counter()
        self.model, self.corpus = model, corpus
        self.owner, self.columns = corpus.split.owner, corpus.text_id
        self.images, self.texts = encode_corpus(model, corpus)
        self.seconds = {"encode": time.perf_counter() - start, "pairs": 0.0}
        self.first = np.unique(self.columns, return_index=True)[1]
        self._pairs = pair_scorer(model, self.images, self.texts, batch)
        shape = corpus.split.n_images, len(self.first)
        self._known = np.full(shape, np.nan, np.float32)
        self.read = 0

    def coarse(self, kind: str = "hash", neighbours: int = 0) -> np.ndarray:
        """Coarse scores `[n_images, n_texts]`, float32.

        Args:
            kind: as `coarse` of `CFITR`.
            neighbours: of PPSR on the whole split; 0: none. Captions
                count as often as they stand there.
        """
        was, self.model.coarse = self.model.coarse, kind
        try:
            scores = self.model.score(self.images, self.texts)
        finally:
            self.model.coarse = was
        scores = scores.float().cpu().numpy()
        if neighbours:
            # equal captions stay equal, so one of each will do after
            scores = ppsr(scores[:, self.columns], k=neighbours)
            scores = scores[:, self.first]
        return scores

    def fine(self, pairs: np.ndarray) -> np.ndarray:
        """Fine scores of pairs `[N, 2]`; each pair is read once."""
        image, text = pairs.T
        new = np.isnan(self._known[image, text])
        if new.any():
            start = time.perf_counter()
            some = np.unique(pairs[new], axis=0)
            self._known[some[:, 0], some[:, 1]] = self._pairs(some)
            self.seconds["pairs"] += time.perf_counter() - start
            self.read += len(some)
        return self._known[image, text]

    def ranks(self, coarse: np.ndarray, m: int = 0) -> Ranks:
        """Places, with the top m of every list ordered by `fine`."""
        if not m:
            return rank(coarse[:, self.columns], self.owner)
        both = rescore_both(coarse, self.fine, m)
        self.pairs = both["pairs"]
        return Ranks(
            rank(both["i2t"][:, self.columns], self.owner).i2t,
            rank(both["t2i"][:, self.columns], self.owner).t2i,
            np.asarray(self.owner),
        )

    def seconds_for(self, pairs: int) -> float:
        """To encode the split and read so many pairs, at our rate."""
        rate = self.seconds["pairs"] / max(1, self.read)
        return self.seconds["encode"] + pairs * rate


def twins(asked: Recipe, preset: str) -> dict[str, Recipe]:
    """Rows that are one training: they differ in `MEASURED` alone."""

    def training(one: Recipe) -> dict:
        return {k: v for k, v in one.to_dict().items() if k not in asked.MEASURED}

    rows = {
        name: recipe(asked.method, preset, name, seed=asked.seed)
        for name in ROWS[asked.method]
    }
    return {name: one for name, one in rows.items() if training(one) == training(asked)}


def choose_reading(
    model: JointRetriever, val: Split, train: Split
) -> tuple[float, list[dict]]:
    """How much of the reading should count, by lists of `CHOSEN_AT`.

    Args:
        model: is put into evaluation mode.
        val: its images that are fresh decide, see `to_choose_on`.
        train: what has been read.

    Returns:
        The share of the best mR, and a row for each that was tried.
    """
    corpus = Corpus(val, model, progress=False)
    return choose(model, corpus, CHOSEN_AT, lengths=(), keep=to_choose_on(val, train))[
        1:
    ]


def measured(
    model: JointRetriever, splits: Splits, asked: Recipe, preset: str
) -> Iterator[tuple[str, Ranks, float, dict]]:
    """Row, ranks, seconds and facts of all rows that share a training.

    Pairs that several rows read are read once; the seconds of a row
    are those it would take alone, at the measured rate. How much of
    the reading counts is chosen on val, once for all rows, with
    lists of `CHOSEN_AT`.
    """
    start = time.perf_counter()
    rows = twins(asked, preset)
    reading, tried = 1.0, []
    if any(row.rescore for row in rows.values()):
        reading, tried = choose_reading(model, splits.val, splits.train)
    chosen = {"choose": time.perf_counter() - start}
    model.reading = reading
    stages = Stages(model, Corpus(splits.test, model, progress=False))
    for name, row in rows.items():
        coarse = stages.coarse(row.coarse, row.ppsr)
        stages.pairs = 0
        found = stages.ranks(coarse, row.rescore)
        facts = (
            {
                "seconds": chosen,
                "rescored": {
                    "k": row.rescore,
                    "reading": reading,
                    "pairs": stages.pairs,
                    "tried": tried,
                },
            }
            if row.rescore
            else {}
        )
        yield name, found, stages.seconds_for(stages.pairs), facts
