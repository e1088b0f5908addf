"""One training of CFITR, measured in several ways.

Hash alone, with PPSR, with floats in place of codes, from coarse to
fine at several depths: all of these are one set of weights. A record
is written for every row of the recipe that asks for it. Explained in
chapter 05.
"""

import time
from collections.abc import Iterator

import numpy as np

from rsir.batches import Corpus
from rsir.data import Split, Splits
from rsir.data.duplicates import to_choose_on
from rsir.metrics import Ranks
from rsir.metrics import ranks as rank
from rsir.models.joint import JointRetriever, pair_scorer
from rsir.recipes import ROWS, Recipe, recipe
from rsir.rerank import ppsr
from rsir.rescore import rescore_both
from rsir.train import encode_corpus
from rsir.twostage import choose

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

    def __init__(self, model: JointRetriever, corpus: Corpus,
                 batch: int = 256) -> None:
        start = time.perf_counter()
        self.model, self.corpus = model, corpus
        self.owner, self.columns = corpus.split.owner, corpus.text_id
        self.images, self.texts = encode_corpus(model, corpus)
        self.seconds = {"encode": time.perf_counter() - start,
                        "pairs": 0.0}
        self.first = np.unique(self.columns, return_index=True)[1]
        self._pairs = pair_scorer(model, self.images, self.texts, batch)
        shape = corpus.split.n_images, len(self.first)
        self._known = np.full(shape, np.nan, np.float32)
        self.read = 0

    def coarse(self, kind: str = "hash", neighbours: int = 0
               ) -> np.ndarray:
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
        return {k: v for k, v in one.to_dict().items()
                if k not in asked.MEASURED}

    rows = {name: recipe(asked.method, preset, name, seed=asked.seed)
            for name in ROWS[asked.method]}
    return {name: one for name, one in rows.items()
            if training(one) == training(asked)}


def choose_reading(model: JointRetriever, val: Split, train: Split
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
    return choose(model, corpus, CHOSEN_AT, lengths=(),
                  keep=to_choose_on(val, train))[1:]


def measured(model: JointRetriever, splits: Splits, asked: Recipe,
             preset: str
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
        reading, tried = choose_reading(
            model, splits.val, splits.train)
    chosen = {"choose": time.perf_counter() - start}
    model.reading = reading
    stages = Stages(model, Corpus(splits.test, model, progress=False))
    for name, row in rows.items():
        coarse = stages.coarse(row.coarse, row.ppsr)
        stages.pairs = 0
        found = stages.ranks(coarse, row.rescore)
        facts = {"seconds": chosen, "rescored": {
            "k": row.rescore, "reading": reading, "pairs": stages.pairs,
            "tried": tried}} if row.rescore else {}
        yield name, found, stages.seconds_for(stages.pairs), facts
