"""Recall@K both ways and mR, with the tie rule said aloud (chapter 01).

The protocol of AMFMN and GaLR (Yuan et al. 2021, 2022), for any
`scores[n_images, n_captions]` (higher is closer) and `owner`, the image
of each caption. i2t: every image is a query; a hit is any of its own
captions among the first K of all captions. t2i: every caption is a query;
a hit is its own image among the first K of all images. mR is the mean of
the six recalls at K = 1, 5, 10. All in percent.

`ties` names the rule for equal scores:

* "expected": the exact mean over all orders of what is tied (default);
* "optimistic", "pessimistic": correct items first, or last;
* "released": as the authors' code sorts, `argsort` reversed, but with a
  stable sort (theirs depends on the processor): of two tied items the
  later one comes first.

`gallery` names what is searched: "full", all captions, the field's
protocol; or "deduplicated", of each image every text once, as the code
released with CFITR does before it tests (chapter 05).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np

from rsir.evaluation.bootstrap import by_name, intervals, resample
from rsir.evaluation.ranks import (
    QueryRanks,
    Ranks,
    check_captions,
    check_owner,
    check_scores,
    compute_ranks,
)

KS = (1, 5, 10)
TIES = ("expected", "optimistic", "pessimistic", "released")
GALLERIES = ("full", "deduplicated")


def hits(places: QueryRanks, k: int, ties: str = "expected") -> np.ndarray:
    """Probability [n_queries], 0..1, of a correct item in the first k."""
    if ties == "expected":
        free = np.maximum(k - places.better, 0)
        return chance(places.equal, places.own, free)
    return (positions(places, ties) <= k).astype(float)


def positions(places: QueryRanks, ties: str = "expected") -> np.ndarray:
    """1-based position [n_queries] of the first correct item, or its mean."""
    _check(ties)
    if ties == "released":
        return places.released + 1
    before = {
        "expected": places.equal / (places.own + 1),  # own + 1 gaps
        "optimistic": 0,
        "pessimistic": places.equal,
    }[ties]
    return places.better + before + 1


def recalls_from_ranks(ranks: Ranks, ties="expected", ks=KS) -> dict:
    """{"i2t": {"R@1": ..}, "t2i": {..}, "mR": ..} in percent."""
    _check(ties, ks)
    every = [hits(side, k, ties) for side in (ranks.i2t, ranks.t2i) for k in ks]
    return _recalls([100 * one.mean() for one in every], ks)


def per_image_hits(ranks: Ranks, ties="expected", ks=KS):
    """Hits of images, hits summed over the captions of each, their count.

    [n_images, n_k], [n_images, n_k], [n_images], of images with captions.
    """
    _check(ties, ks)
    asks = ranks.owner[ranks.owner >= 0]
    _, image, count = np.unique(asks, return_inverse=True, return_counts=True)
    i2t = [hits(ranks.i2t, k, ties) for k in ks]
    t2i = [np.bincount(image, hits(ranks.t2i, k, ties)) for k in ks]
    return np.column_stack(i2t), np.column_stack(t2i), count


def mean_recalls(i2t, t2i, captions, ks=KS) -> dict:
    """The recalls in percent of what `per_image_hits` gives."""
    both = [*100 * i2t.mean(axis=0), *100 * t2i.sum(axis=0) / captions.sum()]
    return _recalls(both, ks)


@dataclass(frozen=True)
class Report:
    """Recalls in percent, with intervals and the rule they rest on.

    ci95 is {"i2t": {"R@1": [low, high]}, "t2i": .., "mR": ..}, from a
    bootstrap over images; None where it was not asked for.
    """

    i2t: dict  # {"R@1": .., "R@5": .., "R@10": ..}
    t2i: dict
    mR: float  # mean of the six
    median_rank: dict  # {"i2t", "t2i"}, median of the positions, from 1
    ties: str
    n_images: int
    n_captions: int
    ci95: dict | None = None
    ranks: Ranks | None = field(default=None, repr=False, compare=False)
    gallery: str = field(default="full", repr=False)
    left_out: int = field(default=0, repr=False)  # captions
    notes: tuple[str, ...] = field(default=(), repr=False)  # for a reader

    def to_dict(self) -> dict:
        """For JSON; "gallery", "duplicate_aware", "notes" if they say anything."""
        names = "i2t t2i mR ties n_images n_captions ci95 median_rank"
        out = {name: getattr(self, name) for name in names.split()}
        if self.gallery != "full":
            out["gallery"] = self.gallery
        if self.ranks is not None and self.ranks.duplicate_aware:
            out["duplicate_aware"] = True
        return out | ({"notes": list(self.notes)} if self.notes else {})

    def __str__(self) -> str:
        table = [["", *self.i2t, "median rank"]]
        for side in ("i2t", "t2i"):
            cells = [self._cell(x, side, k) for k, x in getattr(self, side).items()]
            table.append([side, *cells, f"{self.median_rank[side]:g}"])
        widths = [max(map(len, column)) for column in zip(*table)]
        lines = ["  ".join(map(str.rjust, row, widths)).rstrip() for row in table]
        foot = (
            f"mR {self._cell(self.mR, 'mR')}   ties: {self.ties}, "
            f"{self.n_images} images, {self.n_captions} captions"
        )
        if self.ranks is not None and self.ranks.duplicate_aware:
            foot += ", identical captions count as correct"
        if self.gallery != "full":
            foot += f", gallery {self.gallery} ({self.left_out} left out)"
        return "\n".join([*lines, foot, *(f"note: {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        return f"<pre>{self}</pre>"

    def _cell(self, value, *where) -> str:
        if self.ci95 is None:
            return f"{value:.2f}"
        low, high = reduce(dict.get, where, self.ci95)
        return f"{value:.2f} [{low:.1f}, {high:.1f}]"


def evaluate(
    scores,
    owner=None,
    *,
    scores_t2i=None,
    ties="expected",
    gallery="full",
    captions: Sequence[str] | None = None,
    ks=KS,
    bootstrap=1000,
    seed=0,
) -> Report:
    """Score a similarity matrix, or one for each direction.

    Args:
        scores: [n_images, n_captions], float or int, higher is closer,
            each image and each caption once. Infinities are allowed.
        owner: [n_captions] ints, the image of each caption, from 0.
            Images without a caption, and captions with owner -1, stand
            in the gallery and ask nothing. None: dealt evenly, in order.
        scores_t2i: of the same shape, answers the captions instead.
        ties, gallery: of `TIES` and `GALLERIES`. Of identical texts of
            one image the first is kept.
        captions: [n_captions] texts, for "deduplicated". With "full" they
            change the protocol: a caption that is identical to one of the
            image's own counts as correct too.
        ks: list lengths; a list longer than the gallery is a sure hit.
        bootstrap: draws behind the 95 % intervals; 0 leaves them out.
        seed: of the bootstrap.

    Raises:
        ValueError: says which argument, what is wrong, and the remedy.
    """
    left_out = 0
    if gallery != "full":
        scores = check_scores(scores)
        owner = check_owner(owner, *scores.shape)
        keep = kept(captions, owner, gallery)
        if scores_t2i is not None:
            scores_t2i = check_scores(scores_t2i, "scores_t2i")[:, keep]
        scores, owner, captions = scores[:, keep], owner[keep], None
        left_out = int((~keep).sum())
    found = compute_ranks(scores, owner, captions, scores_t2i=scores_t2i)
    report = evaluate_ranks(found, ties=ties, ks=ks, bootstrap=bootstrap, seed=seed)
    return replace(report, gallery=gallery, left_out=left_out)


def evaluate_ranks(
    ranks: Ranks, *, ties="expected", ks=KS, bootstrap=1000, seed=0
) -> Report:
    """The report of stored ranks: `evaluate` without the matrix."""
    if bootstrap < 0:
        raise ValueError(f"bootstrap: {bootstrap} draws; give 0 or more.")
    ci95 = None
    if bootstrap:
        drawn = resample(*per_image_hits(ranks, ties, ks), bootstrap, seed)
        ci95 = intervals(drawn, ks)
    middle = (float(np.median(positions(x, ties))) for x in (ranks.i2t, ranks.t2i))
    return Report(
        **recalls_from_ranks(ranks, ties, ks),
        median_rank=dict(zip(("i2t", "t2i"), middle)),
        ties=ties,
        n_images=ranks.n_images,
        n_captions=len(ranks.owner),
        ci95=ci95,
        ranks=ranks,
        notes=tuple(_notes(ranks, ks)),
    )


def _notes(ranks: Ranks, ks):
    """What is unusual about a result, in sentences."""
    owner, n_images = ranks.owner, ranks.n_images
    if bare := n_images - len(ranks.i2t.better):
        yield (
            f"{bare} of {n_images} images have no caption: in the gallery, but no "
            "queries." + (" Does owner count from 1?" if owner.min() == 1 else "")
        )
    if foreign := len(owner) - len(ranks.t2i.better):
        yield (
            f"{foreign} of {len(owner)} captions have no image (-1): in the gallery, "
            "but no queries."
        )
    i2t, t2i, count = per_image_hits(ranks, "expected", ks)
    share = 50 * (i2t.mean(axis=1) + t2i.mean(axis=1) / count.mean())
    error = share.std() / np.sqrt(len(share))  # of its mean, mR
    floor = random_baseline(owner, ks, n_images)["mR"]
    if share.mean() + 3 * error < floor - 1e-9:
        yield (
            f"below chance: a random ranking has mR {floor:.2f}. Are these "
            "distances (then give -scores), or is the matrix transposed or owner "
            "in another order?"
        )


def kept(captions: Sequence[str], owner, gallery: str = "full") -> np.ndarray:
    """Which captions belong to one of `GALLERIES`, bool [n_captions].

    Texts are the same if they are equal to the letter.

    Raises:
        ValueError: an unknown gallery, or not a text for each owner.
    """
    if gallery not in GALLERIES:
        raise ValueError(
            f"gallery: {gallery!r} is unknown; use one of {', '.join(GALLERIES)}."
        )
    check_captions(captions, owner)
    if gallery == "full":
        return np.ones(len(owner), bool)
    first = {}
    pairs = enumerate(zip(np.asarray(owner).tolist(), captions))
    return np.array([first.setdefault(pair, j) == j for j, pair in pairs])


def random_baseline(owner, ks=KS, n_images: int | None = None) -> dict:
    """Exact expected recalls of a ranking drawn at random, in percent.

    An image with c of N captions misses the first K with probability
    C(N - c, K) / C(N, K); a caption meets its image with K / n_images
    (None: images with captions). mR 0.49 at the size of RSICD's test set.
    """
    owner = np.asarray(owner)
    _, count = np.unique(owner[owner >= 0], return_counts=True)
    n = n_images or len(count)
    i2t = [100 * np.mean(chance(len(owner) - count, count, k)) for k in ks]
    return _recalls([*i2t, *(100 * min(k, n) / n for k in ks)], ks)


def chance(wrong, correct, k):
    """P(a correct item among the first k) when all stand in random order.

    1 - C(wrong, k) / C(wrong + correct, k), by the product form
    prod_j (wrong + correct - k - j) / (wrong + correct - j) over
    j < correct, exact at 0 and 1. Int arrays that broadcast.
    """
    wrong, correct, k = np.broadcast_arrays(wrong, correct, k)
    miss = np.ones(wrong.shape)
    for j in range(int(correct.max(initial=0))):
        left = wrong + correct - j
        factor = np.maximum(left - k, 0) / np.maximum(left, 1)
        miss *= np.where(j < correct, factor, 1)
    return 1 - miss


def ceilings(captions, owner, ks=KS) -> dict:
    """The best recalls that identical captions leave possible.

    Equal texts get equal scores; ties are broken at random. Each
    direction is bounded on its own. All images need a caption.

    t2i: all queries with one text share a ranking; the best one puts the
    images that own it most often first. "t2i_tied": these cannot be told
    apart either; mean of min(K, m) / m, m the owners of the query's text.
    i2t: of the n captions with one text an image owns c, a sure hit if
    n - c < K; the best text decides: max of 1 - C(n - c, K) / C(n, K).

    As `random_baseline`, and "t2i_tied", "n_captions", "n_texts", and
    "shared_captions", "shared_images" of texts that several images own.
    """
    owner = np.asarray(owner)
    check_captions(captions, owner)
    _, text = np.unique(np.asarray(captions, object), return_inverse=True)
    n_images, size = owner.max() + 1, np.bincount(text)
    # one entry per (text, image) that occurs, and how often it does
    code, own = np.unique(text * n_images + owner, return_counts=True)
    of_text, of_image = np.divmod(code, n_images)
    others = size[of_text] - own
    owners = np.bincount(of_text)  # (n_texts,)
    order = np.lexsort([-own, of_text])
    place = np.empty(len(code), int)  # of the image in its text's list
    place[order] = np.arange(len(code)) - (np.cumsum(owners) - owners)[of_text]
    i2t, t2i, tied = [], [], {}
    for k in ks:
        best = np.zeros(n_images)
        np.maximum.at(best, of_image, chance(others, own, k))
        i2t.append(100 * best.mean())
        t2i.append(100 * own[place < k].sum() / len(owner))
        tied[f"R@{k}"] = float(100 * np.minimum(k / owners[text], 1).mean())
    shared = others > 0
    return {
        **_recalls([*i2t, *t2i], ks),
        "t2i_tied": tied,
        "n_captions": len(owner),
        "n_texts": len(size),
        "shared_captions": int(own[shared].sum()),
        "shared_images": len(np.unique(of_image[shared])),
    }


def _recalls(both, ks) -> dict:
    """[2 * n_k] percentages, i2t then t2i, by name, with their mean."""
    return by_name([*map(float, both), float(np.mean(both))], ks)


def _check(ties, ks=KS) -> None:
    if ties not in TIES:
        raise ValueError(f"ties: {ties!r} is not a rule; use one of {', '.join(TIES)}.")
    if not len(ks) or any(k < 1 or int(k) != k for k in ks):
        raise ValueError(f"ks: {ks!r}; give whole numbers from 1.")
