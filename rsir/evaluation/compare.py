"""Two and more systems on one test set, from their ranks (chapter 06)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri, stdtrit

from rsir.evaluation.bootstrap import (
    by_name,
    intervals,
    p_values,
    resample,
    resample_seeds,
)
from rsir.evaluation.metrics import KS, hits, mean_recalls, per_image_hits
from rsir.evaluation.ranks import Ranks

Runs = Sequence[Ranks]


@dataclass(frozen=True)
class Comparison:
    """A paired comparison: a minus b, in percent points.

    ci95 is of images and, where both have the same number of runs and more
    than one, of seeds: run s of a and of b is then a pair.
    """

    a: dict  # {"i2t": {"R@1": ..}, "t2i": {..}, "mR": ..}
    b: dict
    difference: dict
    ci95: dict  # as in `Report`, of the difference
    p: dict  # two-sided
    ties: str
    n_images: int
    runs: tuple[int, int]  # how many stand behind a and behind b
    run_se: float | None  # standard error of the difference from seed to seed
    seeds: tuple[int, ...] = (1,)  # pairs of runs a set; 1: of images alone

    @property
    def over(self) -> str:
        """What was resampled: "210 images and 3 seeds", "210 images alone", ..."""
        if max(self.seeds) == 1:
            runs = "" if max(self.runs) == 1 else ", {} and {} runs".format(*self.runs)
            return f"{self.n_images} images alone{runs}"
        alone = "" if min(self.seeds) > 1 else " (1: images alone)"
        said = " + ".join(map(str, self.seeds))
        return f"{self.n_images} images and {said} seeds{alone}"

    def __str__(self) -> str:
        low, high = self.ci95["mR"]
        return (
            f"mR {self.a['mR']:.2f} against {self.b['mR']:.2f}: "
            f"{self.difference['mR']:+.2f} [{low:+.2f}, {high:+.2f}], "
            f"p = {self.p['mR']:.2g} ({self.over})"
        )


def compare(
    a: Ranks | Runs, b: Ranks | Runs, *, ties="expected", ks=KS, draws=10_000, seed=0
) -> Comparison:
    """Is a better than b on the same test set? Paired, over images and seeds.

    Several runs are taken for pairs in their order: give both the same
    seeds. Of unequal numbers of runs, or of one, the interval is of images
    alone: runs are averaged query by query first.
    `ties` and `ks` as in `rsir.evaluation.metrics.evaluate`.

    Raises:
        ValueError: the two were not measured on the same queries.
    """
    return pool([(a, b)], ties=ties, ks=ks, draws=draws, seed=seed)


def pool(
    pairs: Sequence[tuple[Ranks | Runs, Ranks | Runs]],
    *,
    ties="expected",
    ks=KS,
    draws=10_000,
    seed=0,
) -> Comparison:
    """`compare` over several test sets at once, one pair (a, b) a set.

    A set weighs as much as it has pictures with captions. Images are drawn
    within their set, and seeds within theirs. What one seed does to one image
    is in the draws of images; those of seeds add what a seed does to all.

    Raises:
        ValueError: no pair, or one was not measured on the same queries.
    """
    if not pairs:
        raise ValueError("pairs: none; give the ranks of one test set or more.")
    pairs = [[[x] if isinstance(x, Ranks) else list(x) for x in ab] for ab in pairs]
    for a, b in pairs:
        _check_same_queries(a, b)
    sizes = np.array([len(np.unique(a[0].owner[a[0].owner >= 0])) for a, _ in pairs])
    shares = sizes / sizes.sum()
    drawn, means, seeds, noise = 0, [], [], 0.0
    for number, ((a, b), share) in enumerate(zip(pairs, shares)):
        *hits_a, captions = _mean_hits(a, ties, ks)
        *hits_b, _ = _mean_hits(b, ties, ks)
        gaps = _gaps(a, b, ties, ks)
        every = hits_a, hits_b, [gap.mean(axis=0) for gap in gaps]
        means.append([mean_recalls(*one, captions, ks) for one in every])
        one = resample(*every[2], captions, draws, [seed, number])
        runs = np.array([_flat(mean_recalls(*gap, captions, ks)) for gap in zip(*gaps)])
        seeds.append(len(runs))
        if len(runs) > 1:
            scale = _seed_scale(runs[:, -1], gaps, captions)
            one = one + resample_seeds(runs[:, :-1], scale, draws, [seed, number, 1])
            noise += share**2 * runs[:, -1].var(ddof=1) / len(runs)
        # rounded, so that equal hits differ by 0 and by no crumb of it
        drawn = drawn + share * one.round(9)
    mean_a, mean_b, difference = (
        by_name((shares @ np.array([*map(_flat, x)])).tolist(), ks) for x in zip(*means)
    )
    return Comparison(
        a=mean_a,
        b=mean_b,
        difference=difference,
        ci95=intervals(drawn, ks),
        p=p_values(drawn, ks),
        ties=ties,
        n_images=int(sizes.sum()),
        runs=tuple(sum(map(len, side)) for side in zip(*pairs)),
        run_se=float(np.sqrt(noise)) if max(seeds) > 1 else None,
        seeds=tuple(seeds),
    )


def _seed_scale(mRs: np.ndarray, gaps, captions: np.ndarray) -> float:
    """What draws of seeds are multiplied by.

    Less than all, since the draws of images hold what one seed does to one
    image: the share of the variance of mR that is of the seed itself. More,
    since few seeds know their spread badly: as much as Student's t is above
    the normal, 2.2 times for three seeds and 1.4 for five.
    """
    total = mRs.var(ddof=1)
    of_images = _spread(gaps, captions).both ** 2 / len(captions)
    own = max(0.0, 1 - of_images / total) if total else 0.0
    return np.sqrt(own) * stdtrit(len(mRs) - 1, 0.975) / ndtri(0.975)


def _gaps(a: Runs, b: Runs, ties, ks) -> list[np.ndarray]:
    """Hits of a minus those of b, twice [n_pairs, n_images, n_k]."""
    if len(a) != len(b):
        means = [_mean_hits(side, ties, ks) for side in (a, b)]
        return [(x - y)[None] for x, y in zip(means[0][:2], means[1][:2])]
    each = [[per_image_hits(run, ties, ks)[:2] for run in side] for side in (a, b)]
    gaps = [[x - y for x, y in zip(*one)] for one in zip(*each)]
    return [np.stack(part) for part in zip(*gaps)]


def _flat(recalls: dict) -> list[float]:
    """The values of a `by_name` dict, in its order, mR last."""
    return [*recalls["i2t"].values(), *recalls["t2i"].values(), recalls["mR"]]


class Spread(NamedTuple):
    """How a paired difference of mR varies: standard deviations in points."""

    images: float  # what an image does under every seed
    seeds: float  # what a seed does to every image
    both: float  # the rest, which is of one image under one seed


def spread(a: Runs, b: Runs) -> Spread:
    """How the difference of two systems varies over images and seeds.

    From the mean squares of the table [seed, image] (two-way analysis of
    variance); a variance that comes out below 0 is 0.

    Raises:
        ValueError: not two runs or more of each, or not of the same queries.
    """
    _check_same_queries(a, b)
    if not len(a) == len(b) > 1:
        raise ValueError(
            f"runs: {len(a)} and {len(b)}; give two seeds or more, the same of both."
        )
    return _spread(_gaps(a, b, "expected", KS), per_image_hits(a[0])[2])


def _spread(gaps: Sequence[np.ndarray], captions: np.ndarray) -> Spread:
    i2t, t2i = gaps
    table = 50 * (i2t.mean(axis=2) + t2i.mean(axis=2) / captions.mean())
    n_seeds, n_images = table.shape  # each image's part of mR
    by_image, by_seed = table.mean(axis=0), table.mean(axis=1)
    rest = table - by_image - by_seed[:, None] + table.mean()
    both = (rest**2).sum() / ((n_seeds - 1) * (n_images - 1))
    images = by_image.var(ddof=1) - both / n_seeds
    seeds = by_seed.var(ddof=1) - both / n_images
    return Spread(*np.sqrt(np.maximum([images, seeds, both], 0)).tolist())


def told(varies: Spread, images: int, seeds: int, power: float = 0.8) -> float:
    """The gain in points of mR that so many test images and seeds tell from 0.

    Of such a true gain a share `power` of experiments has its 95 % interval
    above 0. What varies is taken for known: Student's t is not in it.

    Args:
        varies: of the paired difference, see `spread`.
        images, seeds: how many.
    """
    images_part = (varies.images**2 + varies.both**2 / seeds) / images
    error = np.sqrt(images_part + varies.seeds**2 / seeds)
    return float((ndtri(0.975) + ndtri(power)) * error)


def needed(step: float, varies: Spread, power: float = 0.8) -> tuple[int, int]:
    """How many (test images, seeds) tell a gain of `step` points, as `told` says.

    Seeds are so many that half of the variance is left to the images. With
    more of the one, fewer of the other will do.
    """
    if not (step > 0 and 0 < power < 1):
        raise ValueError(
            f"step: {step}, power: {power}; give a step above 0, a power within 0..1."
        )
    allowed = (step / (ndtri(0.975) + ndtri(power))) ** 2  # squared standard error
    seeds = max(1, int(np.ceil(2 * varies.seeds**2 / allowed)))
    left = allowed - varies.seeds**2 / seeds
    images = np.ceil((varies.images**2 + varies.both**2 / seeds) / left)
    return max(1, int(images)), seeds


def _mean_hits(runs: Runs, ties="expected", ks=KS) -> list[np.ndarray]:
    """`per_image_hits`, averaged over the runs."""
    every = zip(*(per_image_hits(run, ties, ks) for run in runs))
    return [np.stack(part).mean(axis=0) for part in every]


def _check_same_queries(*systems: Runs) -> None:
    if not all(systems):
        raise ValueError("runs: none; give the ranks of one or more.")
    every = [one for runs in systems for one in runs]
    if len({(x.n_images, x.duplicate_aware, *x.owner.tolist()) for x in every}) > 1:
        raise ValueError(
            "runs: they have different queries (owner or gallery), or only some count "
            "identical captions as correct; measure all on the same test set, by one "
            "protocol."
        )


def mean_interval(runs: Runs) -> tuple[float, float, float]:
    """Mean mR of some runs, and its 95 % interval over test images.

    In percent: mR, low, high. The spread from run to run is not in it.
    """
    _check_same_queries(runs)
    mean = _mean_hits(runs)
    return mean_recalls(*mean)["mR"], *intervals(resample(*mean), KS)["mR"]


def all_pairs(systems: Mapping[str, Runs], draws: int = 10_000):
    """Every system against every other: a data frame, a row a pair.

    Columns "a", "b", "difference" in points of mR, "low", "high" (95 %),
    "p", and "p_holm", raised for the number of pairs looked at.
    """
    import pandas as pd
    from statsmodels.stats.multitest import multipletests

    rows = []
    for (a, runs_a), (b, runs_b) in combinations(systems.items(), 2):
        pair = compare(runs_a, runs_b, draws=draws)
        rows.append((a, b, pair.difference["mR"], *pair.ci95["mR"], pair.p["mR"]))
    table = pd.DataFrame(rows, columns=["a", "b", "difference", "low", "high", "p"])
    raised = multipletests(table["p"], method="holm")[1] if rows else []
    return table.assign(p_holm=raised)


def solved(runs: Runs, k: int = 1, side: str = "t2i") -> np.ndarray:
    """Queries [n_queries] with a hit at k in more than half of the runs."""
    return np.mean([hits(getattr(one, side), k) for one in runs], axis=0) > 0.5


def agreement(systems: Mapping[str, Runs], k: int = 1):
    """Correlation (phi) of the caption queries that two systems solve.

    A square table: 1 for the same queries, 0 for what chance would share.
    """
    import pandas as pd

    columns = np.array([solved(runs, k) for runs in systems.values()], float)
    with np.errstate(invalid="ignore", divide="ignore"):
        phi = np.atleast_2d(np.corrcoef(columns))
    return pd.DataFrame(phi, list(systems), list(systems))


def solved_alone(systems: Mapping[str, Runs], k: int = 1) -> dict[str, np.ndarray]:
    """{name: the caption queries that this system solves and no other does}."""
    every = {n: solved(runs, k) for n, runs in systems.items()}
    count = np.sum(list(every.values()), axis=0)
    return {n: np.flatnonzero(own & (count == 1)) for n, own in every.items()}
