"""A split scored in two stages: a list by vectors, its top by reading.

For systems with a `joint` score (chapters 04 and 05).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rsir.batches import Corpus
from rsir.metrics import Ranks, ranks, recalls_from_ranks
from rsir.models.joint import JointRetriever, pair_scorer
from rsir.rescore import rescore_both
from rsir.train import encode_corpus


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


def two_stages(model: JointRetriever, corpus: Corpus,
               ks: tuple[int, ...], *, reading: float = 1.0,
               tied: str = "extend", batch: int = 256
               ) -> list[TwoStage]:
    """Score a split, and order the top k of every list anew.

    Equal captions are one text: read once, equal in the end.

    Args:
        model: is put into evaluation mode.
        corpus: the split as the model reads it.
        ks: lengths of the re-scored part; one result each. 0: the
            first stage alone.
        reading: how much of what is read counts, see `choose`.
        tied: as in `rsir.rescore`.
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
            "encode": encoded - start, "list": listed - encoded,
            "rescore": time.perf_counter() - start_k,
        }
        out.append(TwoStage(
            coarse, new["i2t"][:, columns], new["t2i"][:, columns],
            k, reading, new["pairs"], seconds, owner,
        ))
    return out


def reader(model: JointRetriever, images, texts, reading: float,
           batch: int = 256) -> Callable[[np.ndarray], np.ndarray]:
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


def choose(model: JointRetriever, corpus: Corpus, longest: int, *,
           lengths: Sequence[int] = LENGTHS, tied: str = "extend",
           keep: np.ndarray | None = None
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
        tied: as in `rsir.rescore`.
        keep: `[n_images]` bool, images that count, with their
            captions; see `rsir.data.duplicates.to_choose_on`. None:
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
    ends = [(np.full(scores.shape, np.nan, dtype=np.float32),
             reader(model, images, texts, end)) for end in (0.0, 1.0)]

    def between(reading):
        def score_pairs(pairs):
            image, text = pairs.T
            for known, read in ends:
                new = pairs[np.isnan(known[image, text])]
                known[new[:, 0], new[:, 1]] = read(np.stack(
                    [row[new[:, 0]], left[new[:, 1]]], axis=1))
            none, full = (known[image, text] for known, _ in ends)
            return none + reading * (full - none)

        return score_pairs

    rows = []
    for k in [k for k in lengths if k < longest] + [longest]:
        for reading in READINGS if k > 1 else (1.0,):
            both = rescore_both(scores, between(reading), k, tied=tied)
            found = [
                getattr(ranks(both[d][:, columns], owner), d)
                for d in ("i2t", "t2i")
            ]
            rows.append({
                "k": k, "reading": reading, "mR": recalls_from_ranks(
                    Ranks(*found, owner))["mR"],
            })
    best = max(rows, key=lambda row: (row["mR"], -row["k"]))
    return best["k"], best["reading"], rows
