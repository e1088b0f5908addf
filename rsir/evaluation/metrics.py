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
depends on how equals are ordered. `ties` names the rule:

* "expected": the exact mean over all orders of the equals (default);
* "optimistic", "pessimistic": correct items first, or last;
* "released": as the authors' code sorts, `argsort` reversed, made
  reproducible by a stable sort: of two equals the later one comes
  first. (Their own sort is unstable and depends on the processor.)

Only numpy is needed. Chapter 01 explains and plays with all of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from rsir.evaluation.bootstrap import (
    KS,
    as_recalls,
    ceilings,
    chance,
    intervals,
    p_values,
    random_baseline,
    resample,
)
from rsir.evaluation.ranks import (
    Places,
    Ranks,
    check_owner,
    check_scores,
    correct_pairs,
    count_places,
)

TIES = ("expected", "optimistic", "pessimistic", "released")

__all__ = [
    "GALLERIES",
    "GalleryReport",
    "evaluate_gallery",
    "kept",
    "KS",
    "TIES",
    "Comparison",
    "Places",
    "Ranks",
    "Report",
    "ceilings",
    "compare",
    "evaluate",
    "evaluate_ranks",
    "hits",
    "positions",
    "random_baseline",
    "ranks",
    "recalls_from_ranks",
]


def ranks(scores, owner=None, *, captions=None) -> Ranks:
    """Find the place of the first correct item of every query.

    Args:
        scores: [n_images, n_captions], float or int, higher is closer.
            Infinities are allowed (-inf is a mask), NaN is not.
        owner: [n_captions] ints, the image of each caption. Any number
            of captions an image, at least one. None deals them evenly
            in order: caption j to image j // (n_captions / n_images).
        captions: texts. Given, a caption equal to one of the image's
            own counts as correct too. This is not the published
            protocol; report it beside, never instead.

    Raises:
        ValueError: says which argument, what is wrong, and the remedy.
    """
    scores = check_scores(scores)
    owner = check_owner(owner, *scores.shape)
    pairs = correct_pairs(owner, captions)
    i2t, t2i = count_places(scores, pairs)
    return Ranks(Places(**i2t), Places(**t2i), owner, captions is not None)


def hits(places: Places, k: int, ties: str = "expected") -> np.ndarray:
    """Probability [n_queries], 0..1, of a correct item in the first k.

    Under "expected", `better` items stand first for certain, and the
    k - better places that are left go to the equals in random order:
    1 - C(equal, m) / C(equal + own, m), m = k - better. The other
    rules know the place, so they give 0 or 1.
    """
    if ties == "expected":
        free = np.maximum(k - places.better, 0)
        return chance(places.equal, places.own, free)
    return (positions(places, ties) <= k).astype(float)


def positions(places: Places, ties: str = "expected") -> np.ndarray:
    """1-based position [n_queries] of the first correct item.

    Under "expected" its mean: `equal` wrong items fall evenly into the
    own + 1 gaps around the correct ones, so equal / (own + 1) of them
    stand before the first.
    """
    _check_ties(ties)
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
    _check_ties(ties)
    _check_ks(ks)
    return as_recalls(
        [100 * hits(ranks.i2t, k, ties).mean() for k in ks],
        [100 * hits(ranks.t2i, k, ties).mean() for k in ks],
        ks,
    )


@dataclass(frozen=True)
class Report:
    """Recalls in percent, with intervals and the rule they rest on.

    i2t, t2i: {"R@1": .., "R@5": .., "R@10": ..}.
    mR: mean of the six.
    median_rank: {"i2t", "t2i"}, median of the positions, from 1.
    ci95: {"mR": [low, high], "i2t": {"R@1": [..]}, "t2i": ..}, from a
        bootstrap over images; None where it was not asked for.
    ranks: what it was computed from, for `compare` and records.
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

    def to_dict(self) -> dict:
        """Plain numbers and strings, ready for JSON."""
        out = {
            name: getattr(self, name)
            for name in (
                "i2t",
                "t2i",
                "mR",
                "ties",
                "n_images",
                "n_captions",
                "ci95",
                "median_rank",
            )
        }
        if self.ranks is not None and self.ranks.duplicate_aware:
            out["duplicate_aware"] = True
        return out

    def rows(self) -> list[list[str]]:
        """The table as text: header first, one row per direction."""
        names = list(self.i2t)
        table = [["", *names, "median rank"]]
        for side in ("i2t", "t2i"):
            recalls = getattr(self, side)
            cells = [self._cell(recalls[k], side, k) for k in names]
            rank = f"{self.median_rank[side]:g}"
            table.append([side, *cells, rank])
        return table

    def _cell(self, value, *where) -> str:
        text = f"{value:.2f}"
        if self.ci95 is not None:
            at = self.ci95
            for key in where:
                at = at[key]
            text += f" [{at[0]:.1f}, {at[1]:.1f}]"
        return text

    def _foot(self) -> str:
        aware = "duplicate_aware" in self.to_dict()
        return (
            f"mR {self._cell(self.mR, 'mR')}   ties: {self.ties}, "
            f"{self.n_images} images, {self.n_captions} captions"
            + (", equal captions count as correct" if aware else "")
        )

    def __str__(self) -> str:
        table = self.rows()
        widths = [max(map(len, column)) for column in zip(*table)]
        lines = [
            "  ".join(c.rjust(w) for c, w in zip(row, widths)).rstrip() for row in table
        ]
        return "\n".join([*lines, self._foot()])

    def _repr_html_(self) -> str:
        head, *body = self.rows()
        cells = "".join(f"<th>{c}</th>" for c in head)
        html = f"<table><thead><tr>{cells}</tr></thead><tbody>"
        for side, *rest in body:
            cells = "".join(f"<td>{c}</td>" for c in rest)
            html += f"<tr><th>{side}</th>{cells}</tr>"
        return html + f"</tbody></table><p>{self._foot()}</p>"


def evaluate(
    scores,
    owner=None,
    *,
    ties="expected",
    ks=KS,
    bootstrap=1000,
    seed=0,
    captions=None,
) -> Report:
    """Score a similarity matrix. Arguments as in `ranks`, and:

    Args:
        ties: one of `TIES`.
        ks: list lengths; a list longer than the gallery is a sure hit.
        bootstrap: draws behind the 95 % intervals; 0 leaves them out.
        seed: of the bootstrap.
    """
    _check_ties(ties)
    _check_ks(ks)
    found = ranks(scores, owner, captions=captions)
    return evaluate_ranks(found, ties=ties, ks=ks, bootstrap=bootstrap, seed=seed)


def evaluate_ranks(
    ranks: Ranks, *, ties="expected", ks=KS, bootstrap=1000, seed=0
) -> Report:
    """The report of stored ranks: `evaluate` without the matrix."""
    if bootstrap < 0:
        raise ValueError(f"bootstrap: {bootstrap} draws; give 0 or more.")
    recalls = recalls_from_ranks(ranks, ties, ks)
    ci95 = None
    if bootstrap:
        sums = _per_image(ranks, ties, ks)
        ci95 = intervals(resample(*sums, bootstrap, seed), ks)
    return Report(
        **recalls,
        median_rank={
            side: float(np.median(positions(getattr(ranks, side), ties)))
            for side in ("i2t", "t2i")
        },
        ties=ties,
        n_images=len(ranks.i2t.better),
        n_captions=len(ranks.owner),
        ci95=ci95,
        ranks=ranks,
    )


@dataclass(frozen=True)
class Comparison:
    """A paired comparison: a minus b, in percent points.

    a, b, difference: {"i2t": {"R@1": ..}, "t2i": {..}, "mR": ..}.
    ci95: as in `Report`, of the difference. p: two-sided.
    runs: how many runs (seeds) stand behind a and behind b.
    run_se: standard error of the mR difference from run to run, None
        unless both sides have at least two runs. The interval does not
        hold it: images are resampled, runs are not.
    """

    a: dict
    b: dict
    difference: dict
    ci95: dict
    p: dict
    ties: str
    n_images: int
    runs: tuple[int, int]
    run_se: float | None

    def __str__(self) -> str:
        low, high = self.ci95["mR"]
        return (
            f"mR {self.a['mR']:.2f} against {self.b['mR']:.2f}: "
            f"{self.difference['mR']:+.2f} [{low:+.2f}, {high:+.2f}], "
            f"p = {self.p['mR']:.2g} ({self.n_images} images, "
            f"{self.runs[0]} and {self.runs[1]} runs)"
        )


def compare(
    a: Ranks | Sequence[Ranks],
    b: Ranks | Sequence[Ranks],
    *,
    ties="expected",
    ks=KS,
    draws=10_000,
    seed=0,
) -> Comparison:
    """Is a better than b on the same test set? Paired, over images.

    Both systems answer the same queries, so in every bootstrap draw
    they are compared on the same images. Several runs (seeds) of a
    system are averaged query by query first.

    Raises:
        ValueError: the two were not measured on the same queries.
    """
    _check_ties(ties)
    _check_ks(ks)
    a = [a] if isinstance(a, Ranks) else list(a)
    b = [b] if isinstance(b, Ranks) else list(b)
    if not a or not b:
        raise ValueError("compare: a or b is empty; give ranks of runs.")
    for other in (*a, *b):
        if not np.array_equal(other.owner, a[0].owner):
            raise ValueError(
                "compare: the runs have different queries (owner "
                "differs); measure both on the same test set."
            )
        if other.duplicate_aware != a[0].duplicate_aware:
            raise ValueError(
                "compare: one run counts equal captions as correct, "
                "another does not; use one protocol for both."
            )
    means, sums = [], []
    for runs in (a, b):
        every = [_per_image(run, ties, ks) for run in runs]
        i2t, t2i, captions = (np.mean(x, axis=0) for x in zip(*every))
        sums.append((i2t, t2i))
        means.append(
            as_recalls(
                100 * i2t.mean(axis=0),
                100 * t2i.sum(axis=0) / captions.sum(),
                ks,
            )
        )
    gap_i2t, gap_t2i = (x - y for x, y in zip(*sums))
    drawn = resample(gap_i2t, gap_t2i, captions, draws, seed)
    return Comparison(
        a=means[0],
        b=means[1],
        difference=as_recalls(
            100 * gap_i2t.mean(axis=0),
            100 * gap_t2i.sum(axis=0) / captions.sum(),
            ks,
        ),
        ci95=intervals(drawn, ks),
        p=p_values(drawn, ks),
        ties=ties,
        n_images=len(a[0].i2t.better),
        runs=(len(a), len(b)),
        run_se=_run_se(
            [[recalls_from_ranks(r, ties, ks)["mR"] for r in runs] for runs in (a, b)]
        ),
    )


def _per_image(ranks: Ranks, ties, ks):
    """Hits per image, caption hits summed per image, and caption count.

    Shapes [n_images, n_k], [n_images, n_k], [n_images].
    """
    n = len(ranks.i2t.better)
    i2t = np.column_stack([hits(ranks.i2t, k, ties) for k in ks])
    t2i = np.column_stack(
        [np.bincount(ranks.owner, hits(ranks.t2i, k, ties), minlength=n) for k in ks]
    )
    return i2t, t2i, np.bincount(ranks.owner, minlength=n)


def _run_se(mrs) -> float | None:
    if min(map(len, mrs)) < 2:
        return None
    return float(np.sqrt(sum(np.var(m, ddof=1) / len(m) for m in mrs)))


def _check_ties(ties) -> None:
    if ties not in TIES:
        raise ValueError(f"ties: {ties!r} is not a rule; use one of {', '.join(TIES)}.")


def _check_ks(ks) -> None:
    if not len(ks) or any(k < 1 or int(k) != k for k in ks):
        raise ValueError(f"ks: {ks!r}; give whole numbers from 1.")


# ----------------------------------------------------------------------
# The gallery that is searched, by name.
#
# * "full": all captions. The field's protocol.
# * "deduplicated": of each picture every text once. The code released
#   with CFITR does so before it tests. Fewer wrong texts stand in the
#   way of a picture, and fewer captions ask.
#
# Both are recalls, and they do not compare. Only numpy is needed.
# Explained in chapter 05.


GALLERIES = ("full", "deduplicated")


@dataclass(frozen=True)
class GalleryReport(Report):
    """A report that says which gallery was searched.

    Attributes:
        gallery: one of `GALLERIES`.
        left_out: captions that were not part of it.
    """

    gallery: str = "full"
    left_out: int = 0

    def to_dict(self) -> dict:
        """As of `Report`, with the name of the gallery."""
        return super().to_dict() | {"gallery": self.gallery}

    def _foot(self) -> str:
        return super()._foot() + (
            f", gallery {self.gallery} ({self.left_out} left out)"
        )


def kept(captions: Sequence[str], owner, gallery: str = "full") -> np.ndarray:
    """Which captions belong to a gallery, bool [n_captions].

    Args:
        captions: texts. Two are the same if they are equal to the
            letter.
        owner: [n_captions] ints, the image of each caption.
        gallery: one of `GALLERIES`. Of equal texts of one image the
            first is kept; as released it is one at random. Only the
            tie rule "released" can tell.

    Raises:
        ValueError: an unknown gallery, or not a text for each owner.
    """
    if gallery not in GALLERIES:
        raise ValueError(
            f"gallery: {gallery!r} is none; use one of {', '.join(GALLERIES)}."
        )
    owner = np.asarray(owner)
    if len(captions) != len(owner):
        raise ValueError(
            f"captions: {len(captions)} texts for {len(owner)} "
            "columns of scores; give one text for each."
        )
    keep = np.ones(len(owner), bool)
    if gallery == "deduplicated":
        seen = set()
        for place, pair in enumerate(zip(owner.tolist(), captions)):
            keep[place] = pair not in seen
            seen.add(pair)
    return keep


def evaluate_gallery(
    scores, owner, captions: Sequence[str], gallery: str = "full", **options
) -> GalleryReport:
    """Score a similarity matrix on a gallery of this name.

    Args:
        scores, owner: as for `evaluate`; of all captions.
        captions, gallery: as for `kept`.
        options: of `evaluate`.

    Raises:
        ValueError: as `kept` and `evaluate` do.
    """
    scores = check_scores(scores)
    owner = check_owner(owner, *scores.shape)
    keep = kept(captions, owner, gallery)
    report = evaluate(scores[:, keep], owner[keep], **options)
    same = {f.name: getattr(report, f.name) for f in fields(report)}
    return GalleryReport(**same, gallery=gallery, left_out=int((~keep).sum()))
