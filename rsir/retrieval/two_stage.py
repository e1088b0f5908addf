"""From coarse to fine: a cheap score makes a list, an expensive one its top.

A model that reads a picture and a sentence at once is too slow for a whole
gallery. So stored vectors make the list and the reader orders its first M.
The two directions have lists of their own, and so each gets a matrix of its
own: take the image queries' places from "i2t" and the caption queries' from
"t2i". The idea of EnVLF (chapter 04) and of CFITR (chapter 05).

**Ties.** Duplicate captions are one text: read once, tied in the end. Of
items that tie with the M-th of a list, either all are re-ordered
(`tied="extend"`: the list grows, the result depends on no order) or as many
as fit, drawn at random (`tied="draw"`: the cost is fixed).
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch

from rsir.data import Splits
from rsir.data.caption_statistics import to_choose_on
from rsir.encoders.encoded_split import EncodedSplit
from rsir.evaluation.metrics import kept, recalls_from_ranks
from rsir.evaluation.ranks import Ranks, compute_ranks
from rsir.models import Config
from rsir.models import config as config_of
from rsir.models import variants as variants_of
from rsir.models.base import TwoTower, encode_sides
from rsir.models.cross_encoder import CrossEncoder, pair_scorer
from rsir.retrieval.rerank import ppsr

DIRECTIONS = ("i2t", "t2i")
TIED = ("extend", "draw")
LENGTHS = (0, 1, 2, 4, 8, 16, 32, 64)  # that `choose_length` tries
BLOCK = 1 << 22  # scores looked at together

ScorePairs = Callable[[np.ndarray], np.ndarray]


# -- lists, and their tops in a new order --------------------------------------


def short_pairs(
    scores, m: int, direction: str, *, tied: str = "extend", seed: int = 0
) -> np.ndarray:
    """The pairs on the short lists of all queries.

    Args:
        scores: `[n_images, n_texts]`, higher is closer. Items at -inf are
            out of the list for good.
        m: length of a list; one longer than the gallery is all of it.
        direction: "i2t": every image is a query and texts are listed;
            "t2i": the other way round.
        tied: see above.
        seed: of "draw".

    Returns:
        int64 `[N, 2]`, (image, text), ordered by query.

    Raises:
        ValueError: for an unknown name, an m below 1, or scores that are no
            matrix or hold NaN or +inf.
    """
    scores = _checked(scores, m, direction, tied)
    lists = scores if direction == "i2t" else scores.T
    n_queries, n_items = lists.shape
    m = min(int(m), n_items)
    draw = np.random.default_rng(seed)
    found = []
    step = max(1, BLOCK // n_items)
    for start in range(0, n_queries, step):
        block = np.asarray(lists[start : start + step])
        edge = np.partition(block, n_items - m, axis=1)[:, n_items - m, None]
        chosen = block >= edge  # the m-th best, and all that tie with it
        if tied == "draw":
            above, on = block > edge, block == edge
            free = m - above.sum(axis=1, keepdims=True)
            key = np.where(on, draw.random(block.shape), np.inf)
            chosen = above | (on & (key.argsort(1).argsort(1) < free))
        query, item = np.nonzero(chosen & (block > -np.inf))
        found.append(np.column_stack([query + start, item]))
    pairs = np.concatenate(found)
    return pairs if direction == "i2t" else pairs[:, ::-1].copy()


def rescore(
    scores,
    score_pairs: ScorePairs,
    m: int,
    direction: str,
    *,
    tied: str = "extend",
    seed: int = 0,
) -> np.ndarray:
    """Order the top m of every list anew.

    Args:
        scores: `[n_images, n_texts]`, higher is closer.
        score_pairs: int64 pairs `[N, 2]` (image, text) to `[N]` scores,
            higher is closer, on any scale.
        m, direction, tied, seed: as in `short_pairs`.

    Returns:
        float64 `[n_images, n_texts]`. In the lists of `direction` the
        re-ordered items stand above all others, in the new order; the
        others keep their scores. Only the order along `direction` has a
        meaning.

    Raises:
        ValueError: as in `short_pairs`, or if `score_pairs` gives another
            number of scores, or NaN.
    """
    pairs = short_pairs(scores, m, direction, tied=tied, seed=seed)
    new = np.asarray(score_pairs(pairs), dtype=np.float64)
    if new.shape != (len(pairs),):
        raise ValueError(
            f"score_pairs: shape {new.shape} for {len(pairs)} pairs; give one "
            "score a pair."
        )
    if np.isnan(new).any():
        raise ValueError("score_pairs: NaN among the scores; give numbers.")
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


def _checked(scores, m, direction, tied) -> np.ndarray:
    scores = np.asanyarray(scores)
    if scores.ndim != 2 or not scores.size:
        raise ValueError(
            f"scores: shape {scores.shape}; give a matrix [n_images, n_texts]."
        )
    if np.isnan(scores).any() or np.isposinf(scores).any():
        raise ValueError(
            "scores: NaN or +inf among them; give numbers, and -inf for what no "
            "list may hold."
        )
    if m < 1 or int(m) != m:
        raise ValueError(f"m: {m!r}; give a whole number from 1.")
    if direction not in DIRECTIONS:
        raise ValueError(f"direction: {direction!r} is unknown; use i2t or t2i.")
    if tied not in TIED:
        raise ValueError(f"tied: {tied!r} is unknown; use extend or draw.")
    return scores


# -- a split in two stages -----------------------------------------------------


class TwoStage:
    """A split, encoded once; its coarse and fine scores.

    Args:
        model: is put into evaluation mode.
        encoded: the split as the model reads it.
        keep: `[n_images]` bool, the pictures that count, with their
            captions; None: all.
        batch: pairs read at a time; memory grows with it.
        tied: see the module.

    Attributes:
        images, texts: encoded sides, `[n_images, ...]`, `[n_texts, ...]`.
        owner, columns: `[n_captions]`, image and text of each caption.
        captions: as strings.
        n_read: pairs that have been read; each is read once.
        seconds: of "encode" and "read".
    """

    def __init__(
        self,
        model: TwoTower,
        encoded: EncodedSplit,
        *,
        keep: np.ndarray | None = None,
        batch: int = 256,
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
        self._read = (
            pair_scorer(model, self.images, self.texts, batch)
            if isinstance(model, CrossEncoder)
            else None
        )

    def coarse(self, kind: str | None = None, neighbours: int = 0) -> np.ndarray:
        """Coarse scores `[n_images, n_texts]`, float32.

        Args:
            kind: handed to `model.score` where a model has several; None:
                its own.
            neighbours: of PPSR over all queries of the split, captions as
                often as they stand there; 0: none.
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
            self._known[some[:, 0], some[:, 1]] = self._read(some)
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
        both = [short_pairs(coarse, m, d, tied=self.tied) for d in DIRECTIONS if m]
        return len(np.unique(np.concatenate(both), axis=0)) if both else 0

    def ranks(self, coarse: np.ndarray, m: int = 0, gallery: str = "full") -> Ranks:
        """Places on a named gallery, see `rsir.evaluation.metrics.kept`."""
        keep = kept(self.captions, self.owner, gallery)
        owner, lists = self.owner[keep], self.lists(coarse, m)
        i2t, t2i = (
            compute_ranks(lists[d][:, self.columns[keep]], owner) for d in DIRECTIONS
        )
        return replace(i2t, t2i=t2i.t2i)

    def choose_length(self, coarse: np.ndarray, longest: int) -> tuple[int, list[dict]]:
        """How far down to read; ask this of a validation split.

        Args:
            coarse: scores of this split.
            longest: the longest list that is tried.

        Returns:
            M of the best mR (of ties the shortest), and a row for each that
            was tried: "k" and "mR".
        """
        rows = []
        for m in [m for m in LENGTHS if m < longest] + [longest]:
            mR = recalls_from_ranks(self.ranks(coarse, m))["mR"]
            rows.append({"k": m, "mR": mR})
        return max(rows, key=lambda row: (row["mR"], -row["k"]))["k"], rows


# -- one training, measured in several ways ------------------------------------


def same_training(config: Config, preset: str, **changes) -> dict[str, Config]:
    """Variants that differ from `config` in `MEASURED` fields alone.

    Args:
        config: of the training.
        preset, changes: that it was made with.
    """

    def trained(one: Config) -> Config:
        return replace(one, **{f: getattr(config, f) for f in config.MEASURED})

    every = {
        name: config_of(
            config.method, preset, name, **(changes | {"seed": config.seed})
        )
        for name in variants_of(config.method)
    }
    return {name: one for name, one in every.items() if trained(one) == config}


def measure(
    model: TwoTower, splits: Splits, config: Config, variants: Mapping[str, Config]
) -> Iterator[tuple[str, Ranks, float, dict]]:
    """Variant, ranks, seconds and facts of all variants of one training.

    A model of two towers is scored. Of one that reads pairs, too, M is chosen
    on validation, where the pictures that are new to training count; a pair
    that several variants read is read once, and the seconds of a variant are
    those that it would take alone, at the measured rate.

    Args:
        model: is put into evaluation mode.
        splits: "test" is measured.
        config: of the training.
        variants: by name; see `same_training`.

    Yields:
        Facts are empty, or "seconds" of "choose" and "rescored" with the M
        chosen ("k"), "pairs" and "tried"; and "gallery" with the mR of
        "galleries", where it is not the full one.
    """
    test = TwoStage(model, model.encode_split(splits.test, progress=False))
    on, chooser, chosen = splits[getattr(config, "selects", "val")], None, {}
    for name, one in variants.items():
        ways = getattr(one, "coarse", None), getattr(one, "ppsr", 0)
        coarse, m, pairs, facts = test.coarse(*ways), 0, 0, {}
        if one.rerank_top:
            asked = (*ways, one.rerank_top)
            if asked not in chosen:
                start = time.perf_counter()
                if chooser is None:
                    encoded = model.encode_split(on, progress=False)
                    keep = None if on is splits.test else to_choose_on(on, splits.train)
                    chooser = TwoStage(model, encoded, keep=keep)
                found = chooser.choose_length(chooser.coarse(*ways), one.rerank_top)
                chosen[asked] = *found, time.perf_counter() - start
            m, tried, seconds = chosen[asked]
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
