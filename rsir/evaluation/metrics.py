"""Recall@K both ways and mR, with the tie rule said aloud.

The protocol of AMFMN and GaLR (Yuan et al. 2021, 2022), for any
`scores[n_images, n_captions]` (higher is closer) and `owner`, the image
of each caption:

* i2t, "sentence retrieval": every image is a query; a hit is any of
  its own captions among the first K of all captions.
* t2i, "image retrieval": every caption is a query; a hit is its own
  image among the first K of all images.
* mR is the mean of the six recalls at K = 1, 5, 10. All in percent.

Identical captions get identical scores, so on these data sets a recall
depends on how ties are ordered. `ties` names the rule:

* "expected": the exact mean over all orders of what is tied (default);
* "optimistic", "pessimistic": correct items first, or last;
* "released": as the authors' code sorts, `argsort` reversed, made
  reproducible by a stable sort: of two tied items the later one comes
  first. (Their own sort is unstable and depends on the processor.)

`gallery` names what is searched:

* "full": all captions, the field's protocol;
* "deduplicated": of each image every text once, as the code released
  with CFITR does before it tests. The two do not compare (chapter 05).

Chapter 01 explains and plays with all of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

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
    """Probability [n_queries], 0..1, of a correct item in the first k.

    Under "expected", `better` items stand first for certain, and the
    k - better places that are left go to the tied ones in random order:
    1 - C(equal, m) / C(equal + own, m), m = k - better. The other
    rules know the place, so they give 0 or 1.
    """
    if ties == "expected":
        free = np.maximum(k - places.better, 0)
        return chance(places.equal, places.own, free)
    return (positions(places, ties) <= k).astype(float)


def positions(places: QueryRanks, ties: str = "expected") -> np.ndarray:
    """1-based position [n_queries] of the first correct item.

    Under "expected" its mean: `equal` wrong items fall evenly into the
    own + 1 gaps around the correct ones, so equal / (own + 1) of them
    stand before the first.
    """
    _check(ties)
    if ties == "released":
        return places.released + 1
    before = {
        "expected": places.equal / (places.own + 1),
        "optimistic": 0,
        "pessimistic": places.equal,
    }[ties]
    return places.better + before + 1


def recalls_from_ranks(ranks: Ranks, ties="expected", ks=KS) -> dict:
    """{"i2t": {"R@1": ..}, "t2i": {..}, "mR": ..} in percent."""
    _check(ties, ks)
    sides = ranks.i2t, ranks.t2i
    return _recalls(
        [100 * hits(side, k, ties).mean() for side in sides for k in ks], ks
    )


def per_image_hits(ranks: Ranks, ties="expected", ks=KS):
    """Hits of images, hits summed over the captions of each, their count.

    Images without a caption are left out.

    Returns:
        Arrays [n_images, n_k], [n_images, n_k], [n_images].
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

    i2t, t2i: {"R@1": .., "R@5": .., "R@10": ..}.
    mR: mean of the six.
    median_rank: {"i2t", "t2i"}, median of the positions, from 1.
    n_images, n_captions: size of the galleries.
    ci95: {"i2t": {"R@1": [low, high]}, "t2i": .., "mR": ..}, from a
        bootstrap over images; None where it was not asked for.
    ranks: what it was computed from, for `compare` and records.
    gallery, left_out: its name, and how many captions it leaves out.
    notes: what a reader of the number should know, in sentences.
    """

    i2t: dict
    t2i: dict
    mR: float
    median_rank: dict
    ties: str
    n_images: int
    n_captions: int
    ci95: dict | None = None
    ranks: Ranks | None = field(default=None, repr=False, compare=False)
    gallery: str = field(default="full", repr=False)
    left_out: int = field(default=0, repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)

    def to_dict(self) -> dict:
        """Plain numbers and strings, ready for JSON.

        "gallery", "duplicate_aware" and "notes" only where they say
        something.
        """
        names = "i2t t2i mR ties n_images n_captions ci95 median_rank"
        out = {name: getattr(self, name) for name in names.split()}
        if self.gallery != "full":
            out["gallery"] = self.gallery
        if self.ranks is not None and self.ranks.duplicate_aware:
            out["duplicate_aware"] = True
        if self.notes:
            out["notes"] = list(self.notes)
        return out

    def __str__(self) -> str:
        names = list(self.i2t)
        table = [["", *names, "median rank"]]
        for side in ("i2t", "t2i"):
            cells = [self._cell(getattr(self, side)[k], side, k) for k in names]
            table.append([side, *cells, f"{self.median_rank[side]:g}"])
        widths = [max(map(len, column)) for column in zip(*table)]
        lines = [
            "  ".join(c.rjust(w) for c, w in zip(row, widths)).rstrip() for row in table
        ]
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
        at = self.ci95
        if at is None:
            return f"{value:.2f}"
        for key in where:
            at = at[key]
        return f"{value:.2f} [{at[0]:.1f}, {at[1]:.1f}]"


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
            each image and each caption once. Infinities are allowed,
            NaN is not.
        owner: [n_captions] ints, the image of each caption, from 0.
            Images without a caption, and captions with owner -1, stand
            in the gallery and ask nothing. None gives every image as
            many captions, in order.
        scores_t2i: of the same shape; answers the captions, while
            `scores` answers the images. None: `scores` does both.
        ties: one of `TIES`.
        gallery: one of `GALLERIES`. Of identical texts of one image the
            first is kept; as released it is one at random, which only
            the tie rule "released" can tell.
        captions: [n_captions] texts. The gallery "deduplicated" needs
            them. With "full" they change the protocol: a caption that is
            identical to one of the image's own counts as correct too.
        ks: list lengths; a list longer than the gallery is a sure hit.
        bootstrap: draws behind the 95 % intervals; 0 leaves them out.
        seed: of the bootstrap.

    Raises:
        ValueError: says which argument, what is wrong, and the remedy.
    """
    _check(ties, ks)
    options = {"ties": ties, "ks": ks, "bootstrap": bootstrap, "seed": seed}
    if gallery == "full":
        found = compute_ranks(scores, owner, captions, scores_t2i=scores_t2i)
        return evaluate_ranks(found, **options)
    if captions is None and gallery in GALLERIES:
        raise ValueError(
            f"captions: missing; gallery {gallery!r} needs the text of each caption."
        )
    scores = check_scores(scores)
    owner = check_owner(owner, *scores.shape)
    keep = kept(captions, owner, gallery)
    if scores_t2i is not None:
        scores_t2i = check_scores(scores_t2i, "scores_t2i")[:, keep]
    found = compute_ranks(scores[:, keep], owner[keep], scores_t2i=scores_t2i)
    report = evaluate_ranks(found, **options)
    return replace(report, gallery=gallery, left_out=int((~keep).sum()))


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
    sides = {"i2t": ranks.i2t, "t2i": ranks.t2i}
    return Report(
        **recalls_from_ranks(ranks, ties, ks),
        median_rank={
            name: float(np.median(positions(side, ties)))
            for name, side in sides.items()
        },
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
    """Which captions belong to a gallery, bool [n_captions].

    Args:
        captions: texts. Two are the same if they are equal to the letter.
        owner: [n_captions] ints, the image of each caption.
        gallery: one of `GALLERIES`.

    Raises:
        ValueError: an unknown gallery, or not a text for each owner.
    """
    if gallery not in GALLERIES:
        raise ValueError(
            f"gallery: {gallery!r} is unknown; use one of {', '.join(GALLERIES)}."
        )
    owner = np.asarray(owner)
    check_captions(captions, owner)
    keep = np.ones(len(owner), bool)
    if gallery == "deduplicated":
        seen = set()
        for j, pair in enumerate(zip(owner.tolist(), captions)):
            keep[j] = pair not in seen
            seen.add(pair)
    return keep


def random_baseline(owner, ks=KS, n_images: int | None = None) -> dict:
    """Exact expected recalls of a ranking drawn at random, in percent.

    An image with c of N captions misses the first K with probability
    C(N - c, K) / C(N, K); a caption meets its one image among n with
    probability K / n.

    Args:
        owner: [n_captions], image of each caption, -1 for none.
        ks: list lengths.
        n_images: size of the gallery, if not all images have captions.

    Returns:
        {"i2t": {"R@1": ..}, "t2i": {..}, "mR": ..}; mR 0.49 at the
        size of RSICD's test set, 2.52 at that of UCM's.
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
    j < correct, which needs no factorials and is exact at 0 and 1.

    wrong, correct, k: integers or int arrays that broadcast.
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

    Equal texts get equal scores from any model that reads only the
    text, and ties are broken at random. Each direction is bounded on
    its own.

    t2i: all queries with one text share one ranking of the images; the
    best one puts the images that own the text most often first.
    "t2i_tied": these images cannot be told apart either; the mean of
    min(K, m) / m over queries whose text m images own.
    i2t: the captions with one text stand together. A group of n that
    holds c of the image's own and n - c < K others is a sure hit;
    otherwise it fills the first K by itself, so the best single group
    decides: max over own texts of 1 - C(n - c, K) / C(n, K).

    Args:
        captions, owner: [n_captions]; all images appear.
        ks: list lengths.

    Returns:
        As `random_baseline`, and "t2i_tied", "n_captions", "n_texts"
        (unique), "shared_captions" (whose text another image owns too),
        "shared_images" (with such a caption).
    """
    owner = np.asarray(owner)
    check_captions(captions, owner)
    _, text = np.unique(np.asarray(captions, object), return_inverse=True)
    n_images, n_texts = owner.max() + 1, text.max() + 1
    size = np.bincount(text)  # (n_texts,)
    # one entry per (text, image) that occurs, and how often it does
    code, own = np.unique(text * n_images + owner, return_counts=True)
    of_text, of_image = np.divmod(code, n_images)
    others = size[of_text] - own
    order = np.lexsort([-own, of_text])
    first = np.searchsorted(of_text, np.arange(n_texts))
    place = np.empty(len(code), int)  # of the image in its text's list
    place[order] = np.arange(len(code)) - first[of_text[order]]
    owners = np.bincount(of_text)[text]  # (n_captions,)
    i2t, t2i, tied = [], [], {}
    for k in ks:
        best = np.zeros(n_images)
        np.maximum.at(best, of_image, chance(others, own, k))
        i2t.append(100 * best.mean())
        t2i.append(100 * own[place < k].sum() / len(owner))
        tied[f"R@{k}"] = float(100 * np.minimum(k / owners, 1).mean())
    shared = others > 0
    return {
        **_recalls([*i2t, *t2i], ks),
        "t2i_tied": tied,
        "n_captions": len(owner),
        "n_texts": int(n_texts),
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
