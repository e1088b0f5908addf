"""Two and more systems on one test set, from their ranks (chapter 06)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from rsir.evaluation.bootstrap import intervals, p_values, resample
from rsir.evaluation.metrics import (
    KS,
    hits,
    mean_recalls,
    per_image_hits,
    recalls_from_ranks,
)
from rsir.evaluation.ranks import Ranks

Runs = Sequence[Ranks]


@dataclass(frozen=True)
class Comparison:
    """A paired comparison: a minus b, in percent points.

    ci95 is of images, not of runs.
    """

    a: dict  # {"i2t": {"R@1": ..}, "t2i": {..}, "mR": ..}
    b: dict
    difference: dict
    ci95: dict  # as in `Report`, of the difference
    p: dict  # two-sided
    ties: str
    n_images: int
    runs: tuple[int, int]  # how many stand behind a and behind b
    run_se: float | None  # standard error of the difference from run to run

    def __str__(self) -> str:
        low, high = self.ci95["mR"]
        return (
            f"mR {self.a['mR']:.2f} against {self.b['mR']:.2f}: "
            f"{self.difference['mR']:+.2f} [{low:+.2f}, {high:+.2f}], "
            f"p = {self.p['mR']:.2g} ({self.n_images} images, "
            f"{self.runs[0]} and {self.runs[1]} runs)"
        )


def compare(
    a: Ranks | Runs, b: Ranks | Runs, *, ties="expected", ks=KS, draws=10_000, seed=0
) -> Comparison:
    """Is a better than b on the same test set? Paired, over images.

    Several runs (seeds) of a system are averaged query by query first.
    `ties` and `ks` as in `rsir.evaluation.metrics.evaluate`.

    Raises:
        ValueError: the two were not measured on the same queries.
    """
    a, b = ([x] if isinstance(x, Ranks) else list(x) for x in (a, b))
    _check_same_queries(a, b)
    *mean_a, captions = _mean_hits(a, ties, ks)
    *mean_b, _ = _mean_hits(b, ties, ks)
    gap = [x - y for x, y in zip(mean_a, mean_b)]
    drawn = resample(*gap, captions, draws, seed)
    run_se = None
    if min(len(a), len(b)) > 1:
        mRs = [[recalls_from_ranks(x, ties, ks)["mR"] for x in runs] for runs in (a, b)]
        run_se = float(np.sqrt(sum(np.var(x, ddof=1) / len(x) for x in mRs)))
    return Comparison(
        a=mean_recalls(*mean_a, captions, ks),
        b=mean_recalls(*mean_b, captions, ks),
        difference=mean_recalls(*gap, captions, ks),
        ci95=intervals(drawn, ks),
        p=p_values(drawn, ks),
        ties=ties,
        n_images=len(captions),
        runs=(len(a), len(b)),
        run_se=run_se,
    )


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
