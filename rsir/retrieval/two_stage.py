"""From coarse to fine: a cheap score makes a list, an expensive one its top.

A model that reads a picture and a sentence at once is too slow for a whole
gallery: stored vectors make the list and the reader orders its first M. The
idea of EnVLF (chapter 04) and of CFITR (chapter 05). Each direction has
lists, and so a matrix, of its own: take the image queries' places from "i2t"
and the caption queries' from "t2i".

**Ties.** Duplicate captions are one text: read once, tied in the end. Of
items that tie with the M-th of a list, either all are re-ordered
(`tied="extend"`: the list grows, the result depends on no order) or as many
as fit, drawn at random (`tied="draw"`: the cost is fixed).
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import torch

from rsir.data import Splits
from rsir.data.caption_statistics import to_choose_on
from rsir.encoders.encoded_split import EncodedSplit
from rsir.evaluation.metrics import kept, recalls_from_ranks
from rsir.evaluation.ranks import Ranks, check_scores, compute_ranks
from rsir.models import Config
from rsir.models import config as config_of
from rsir.models import variants as variants_of
from rsir.models.base import TwoTower, encode_sides
from rsir.models.cross_encoder import pair_scorer
from rsir.retrieval.rerank import ppsr

DIRECTIONS = ("i2t", "t2i")
TIED = ("extend", "draw")
LENGTHS = (0, 1, 2, 4, 8, 16, 32, 64)  # that `choose_length` tries


def short_pairs(
    scores, m: int, direction: str, *, tied: str = "extend", seed: int = 0
) -> np.ndarray:
    """The pairs on the short lists of all queries, int64 `[N, 2]`.

    (image, text), ordered by query.

    Args:
        scores: `[n_images, n_texts]`; items at -inf are out for good.
        m: length of a list; one longer than the gallery is all of it.
        direction: "i2t": every image has a list of texts; "t2i".
        tied, seed: see above; `seed` of "draw".

    Raises:
        ValueError: for an unknown name, an m below 1, or scores that are no
            matrix or hold NaN or +inf.
    """
    scores = check_scores(scores)
    for bad, message in (
        (np.isposinf(scores).any(), "scores: +inf among them; give finite numbers"),
        (m < 1 or int(m) != m, f"m: {m!r}; give a whole number from 1"),
        (direction not in DIRECTIONS, f"direction: {direction!r}; give i2t or t2i"),
        (tied not in TIED, f"tied: {tied!r}; give extend or draw"),
    ):
        if bad:
            raise ValueError(f"{message}.")
    lists = scores if direction == "i2t" else scores.T
    m = min(int(m), lists.shape[1])
    edge = np.partition(lists, -m, axis=1)[:, -m, None]
    chosen = lists >= edge  # the m-th best, and all that tie with it
    if tied == "draw":
        above, on = lists > edge, lists == edge
        free = m - above.sum(axis=1, keepdims=True)
        key = np.where(on, np.random.default_rng(seed).random(lists.shape), np.inf)
        chosen = above | (on & (key.argsort(1).argsort(1) < free))
    pairs = np.argwhere(chosen & (lists > -np.inf))
    return pairs if direction == "i2t" else pairs[:, ::-1].copy()


def rescore(
    scores,
    score_pairs: Callable[[np.ndarray], np.ndarray],
    m: int,
    direction: str,
    *,
    tied: str = "extend",
) -> np.ndarray:
    """Order the top m of every list anew: float64 `[n_images, n_texts]`.

    In the lists of `direction` the re-ordered items stand above all others,
    which keep their scores. The other direction has no meaning. `score_pairs`
    maps pairs `[N, 2]` (image, text) to scores `[N]` on any scale.

    Raises:
        ValueError: as in `short_pairs`, or for what `score_pairs` gives.
    """
    pairs = short_pairs(scores, m, direction, tied=tied)
    new = np.asarray(score_pairs(pairs), dtype=np.float64)
    if new.shape != (len(pairs),) or np.isnan(new).any():
        raise ValueError(
            f"score_pairs: shape {new.shape} for {len(pairs)} pairs, or NaN among "
            "them; give one number a pair."
        )
    out = np.array(scores, dtype=np.float64)
    image, text = pairs.T
    query, axis = (image, 1) if direction == "i2t" else (text, 0)
    # the best that is left on each list, the least new score on it
    left = out.copy()
    left[image, text] = -np.inf
    best = left.max(axis=axis)
    best[~np.isfinite(best)] = 0.0
    least = np.full(len(best), np.inf)
    np.minimum.at(least, query, new)
    out[image, text] = best[query] + 1.0 + (new - least[query])
    return out


class TwoStage:
    """A split, encoded once; its coarse and fine scores.

    Args:
        model: is put into evaluation mode.
        encoded: the split as the model reads it.
        keep: `[n_images]` bool, the pictures that count, with their captions.
        tied: see the module.

    Attributes:
        images, texts: encoded sides, `[n_images, ...]`, `[n_texts, ...]`.
        owner, columns: `[n_captions]`, image and text of each caption.
        n_read, seconds: pairs read, each once; of "encode" and "read".
    """

    def __init__(
        self,
        model: TwoTower,
        encoded: EncodedSplit,
        *,
        keep: np.ndarray | None = None,
        tied: str = "extend",
    ) -> None:
        start = time.perf_counter()
        self.model, self.tied = model, tied
        split = encoded.split
        keep = np.ones(split.n_images, bool) if keep is None else keep
        mine = keep[split.owner]
        self.owner = (np.cumsum(keep) - 1)[split.owner[mine]]
        self.captions = [split.captions[i] for i in np.flatnonzero(mine)]
        rows, self.columns = np.unique(encoded.text_id[mine], return_inverse=True)
        images, texts = encode_sides(model, encoded)
        self.images = {k: v[torch.from_numpy(keep)] for k, v in images.items()}
        self.texts = {k: v[torch.from_numpy(rows)] for k, v in texts.items()}
        self.seconds = {"encode": time.perf_counter() - start, "read": 0.0}
        self.n_read = 0
        self._known = np.full((int(keep.sum()), len(rows)), np.nan, np.float32)

    def coarse(self, kind: str | None = None, neighbours: int = 0) -> np.ndarray:
        """Coarse scores `[n_images, n_texts]`, float32.

        kind: for a `model.score` that has several. neighbours: of PPSR over
        all queries of the split; 0: none.
        """
        more = {} if kind is None else {"coarse": kind}
        with torch.inference_mode():
            scores = self.model.score(self.images, self.texts, **more)
        scores = scores.float().cpu().numpy()
        if neighbours:
            # duplicates stay tied, so one of each will do after
            first = np.unique(self.columns, return_index=True)[1]
            scores = ppsr(scores[:, self.columns], k=neighbours)[:, first]
        return scores

    def fine(self, pairs: np.ndarray) -> np.ndarray:
        """Fine scores of pairs `[N, 2]` (image, text)."""
        image, text = pairs.T
        new = np.isnan(self._known[image, text])
        if new.any():
            start = time.perf_counter()
            some = np.unique(pairs[new], axis=0)
            read = pair_scorer(self.model, self.images, self.texts)
            self._known[some[:, 0], some[:, 1]] = read(some)
            self.seconds["read"] += time.perf_counter() - start
            self.n_read += len(some)
        return self._known[image, text]

    def lists(self, coarse: np.ndarray, m: int = 0) -> dict[str, np.ndarray]:
        """Both directions' scores, the top m of every list by `fine`."""
        if not m:
            return dict.fromkeys(DIRECTIONS, coarse)
        return {d: rescore(coarse, self.fine, m, d, tied=self.tied) for d in DIRECTIONS}

    def pairs(self, coarse: np.ndarray, m: int) -> int:
        """How many pairs the lists of both directions hold; one is once."""
        if not m:
            return 0
        both = [short_pairs(coarse, m, d, tied=self.tied) for d in DIRECTIONS]
        return len(np.unique(np.concatenate(both), axis=0))

    def ranks(self, coarse: np.ndarray, m: int = 0, gallery: str = "full") -> Ranks:
        """Places on a named gallery, see `rsir.evaluation.metrics.kept`."""
        keep = kept(self.captions, self.owner, gallery)
        owner, lists = self.owner[keep], self.lists(coarse, m)
        i2t, t2i = (
            compute_ranks(lists[d][:, self.columns[keep]], owner) for d in DIRECTIONS
        )
        return replace(i2t, t2i=t2i.t2i)

    def choose_length(self, coarse: np.ndarray, longest: int) -> tuple[int, list[dict]]:
        """How far down to read, up to `longest`; ask it of a validation split.

        M of the best mR (of ties the shortest), and a row for each that was
        tried: "k" and "mR".
        """
        lengths = [m for m in LENGTHS if m < longest] + [longest]
        found = (recalls_from_ranks(self.ranks(coarse, m)) for m in lengths)
        rows = [{"k": m, "mR": one["mR"]} for m, one in zip(lengths, found)]
        return max(rows, key=lambda row: (row["mR"], -row["k"]))["k"], rows


def same_training(config: Config, preset: str) -> dict[str, Config]:
    """Variants of a preset that differ from `config` in `MEASURED` fields alone."""
    measured, found = {f: getattr(config, f) for f in config.MEASURED}, {}
    for name in variants_of(config.method):
        one = config_of(config.method, preset, name, seed=config.seed)
        if replace(one, **measured) == config:
            found[name] = one
    return found


def measure(
    model: TwoTower, splits: Splits, config: Config, variants: Mapping[str, Config]
) -> Iterator[tuple[str, Ranks, float, dict]]:
    """Variant, ranks, seconds and facts of all `same_training` of `config`.

    Where pairs are read, M is chosen on validation, where the pictures that are
    new to training count. A pair that several variants read is read once; the
    seconds of a variant are those it would take alone, at the measured rate.

    Facts are empty, or "seconds" of "choose" and "rescored" with the M chosen
    ("k"), "pairs" and "tried"; and "gallery" with the mR of "galleries", where
    it is not the full one.
    """
    test = TwoStage(model, model.encode_split(splits.test, progress=False))
    on = splits[getattr(config, "selects", "val")]

    @cache
    def chooser() -> TwoStage:
        keep = None if on is splits.test else to_choose_on(on, splits.train)
        return TwoStage(model, model.encode_split(on, progress=False), keep=keep)

    @cache
    def chosen(longest: int, *ways) -> tuple[int, list[dict], float]:
        start = time.perf_counter()
        found = chooser().choose_length(chooser().coarse(*ways), longest)
        return *found, time.perf_counter() - start

    for name, one in variants.items():
        ways = getattr(one, "coarse", None), getattr(one, "ppsr", 0)
        coarse, m, pairs, facts = test.coarse(*ways), 0, 0, {}
        if one.rerank_top:
            m, tried, seconds = chosen(one.rerank_top, *ways)
            pairs = test.pairs(coarse, m)
            facts["seconds"] = {"choose": seconds}
            facts["rescored"] = {"k": m, "pairs": pairs, "tried": tried}
        gallery = getattr(one, "gallery", "full")
        ranks = test.ranks(coarse, m, gallery)
        if gallery != "full":
            both = {"full": test.ranks(coarse, m), gallery: ranks}
            mR = {g: recalls_from_ranks(x)["mR"] for g, x in both.items()}
            facts["gallery"] = gallery
            facts["galleries"] = {g: round(x, 4) for g, x in mR.items()}
        rate = test.seconds["read"] / max(1, test.n_read)
        yield name, ranks, test.seconds["encode"] + pairs * rate, facts
