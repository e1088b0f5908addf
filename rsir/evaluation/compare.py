"""Two and more systems on one test set: differences and agreement.

All of it is counted from the ranks of the queries that records keep;
nothing is trained or scored again. Explained in chapter 06.
"""

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

    def equivalent(self, margin: float = 0.5) -> bool:
        """Whether the interval of mR lies within +-margin points."""
        low, high = self.ci95["mR"]
        return -margin < low and high < margin

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

    Both systems answer the same queries, so in every bootstrap draw
    they are compared on the same images. Several runs (seeds) of a
    system are averaged query by query first.

    Args:
        a, b: ranks of one run, or of several.
        ties, ks: as in `rsir.evaluation.metrics.evaluate`.
        draws, seed: of the bootstrap.

    Raises:
        ValueError: the two were not measured on the same queries.
    """
    a, b = ([x] if isinstance(x, Ranks) else list(x) for x in (a, b))
    if not a or not b:
        raise ValueError("compare: a or b is empty; give the ranks of runs.")
    _check_same_queries([*a, *b])
    *mean_a, captions = (x.mean(axis=0) for x in hits_of_runs(a, ties, ks))
    *mean_b, _ = (x.mean(axis=0) for x in hits_of_runs(b, ties, ks))
    gap = [x - y for x, y in zip(mean_a, mean_b)]
    drawn = resample(*gap, captions, draws, seed)
    mRs = [[recalls_from_ranks(r, ties, ks)["mR"] for r in runs] for runs in (a, b)]
    run_se = None
    if min(len(a), len(b)) > 1:
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


def hits_of_runs(runs: Runs, ties="expected", ks=KS):
    """`per_image_hits` of every run: arrays with one more axis in front.

    What resamples runs as well as images starts here; their mean over
    the first axis is what `resample` takes.

    Raises:
        ValueError: no run, or runs on different queries.
    """
    _check_same_queries(runs)
    every = zip(*(per_image_hits(run, ties, ks) for run in runs))
    return tuple(np.stack(part) for part in every)


def _check_same_queries(runs: Runs) -> None:
    if not runs:
        raise ValueError("runs: none; give the ranks of one or more.")
    for other in runs[1:]:
        if other.n_images != runs[0].n_images or not np.array_equal(
            other.owner, runs[0].owner
        ):
            raise ValueError(
                "runs: they have different queries (owner differs); measure all "
                "on the same test set."
            )
        if other.duplicate_aware != runs[0].duplicate_aware:
            raise ValueError(
                "runs: one counts identical captions as correct, another does "
                "not; use one protocol for all."
            )


def mean_interval(
    runs: Runs, draws: int = 1000, seed: int = 0
) -> tuple[float, float, float]:
    """Mean mR of some runs, and its 95 % interval over test images.

    A query's hits are averaged over the runs, then images are drawn
    with replacement. The spread from run to run is not in it.

    Returns:
        mR, low, high in percent.

    Raises:
        ValueError: the runs were not measured on the same queries.
    """
    mean = [x.mean(axis=0) for x in hits_of_runs(list(runs))]
    low, high = intervals(resample(*mean, draws, seed), KS)["mR"]
    return mean_recalls(*mean, KS)["mR"], low, high


def all_pairs(systems: Mapping[str, Runs], draws: int = 10_000):
    """Every system against every other, paired over images.

    Args:
        systems: {name: ranks of its runs}, all on the same queries.
        draws: of the bootstrap.

    Returns:
        A data frame, a row a pair: "a", "b", "difference" in points of
        mR, "low", "high" (95 %), "p", and "p_holm", which Holm's
        procedure has raised for the number of pairs looked at.
    """
    import pandas as pd
    from statsmodels.stats.multitest import multipletests

    rows = []
    for (a, runs_a), (b, runs_b) in combinations(systems.items(), 2):
        pair = compare(runs_a, runs_b, draws=draws)
        rows.append((a, b, pair.difference["mR"], *pair.ci95["mR"], pair.p["mR"]))
    table = pd.DataFrame(rows, columns=["a", "b", "difference", "low", "high", "p"])
    table["p_holm"] = multipletests(table["p"], method="holm")[1] if rows else []
    return table


def solved(runs: Runs, k: int = 1, side: str = "t2i") -> np.ndarray:
    """Which queries a system solves: [n_queries] bool.

    A query is solved if a correct item stands among the first k in
    more than half of the runs; ties at their expectation.
    """
    return np.mean([hits(getattr(one, side), k) for one in runs], axis=0) > 0.5


def agreement(systems: Mapping[str, Runs], k: int = 1, side: str = "t2i"):
    """How much two systems solve the same queries: phi, a square table.

    The correlation of two columns of solved and not solved: 1 for the
    same queries, 0 for what chance would share at these recalls.
    """
    import pandas as pd

    columns = np.array([solved(runs, k, side) for runs in systems.values()], float)
    with np.errstate(invalid="ignore", divide="ignore"):
        phi = np.atleast_2d(np.corrcoef(columns))
    return pd.DataFrame(phi, list(systems), list(systems))


def solved_alone(
    systems: Mapping[str, Runs], k: int = 1, side: str = "t2i"
) -> dict[str, np.ndarray]:
    """{name: the queries that this system solves and no other does}."""
    every = {n: solved(runs, k, side) for n, runs in systems.items()}
    count = np.sum(list(every.values()), axis=0)
    return {n: np.flatnonzero(own & (count == 1)) for n, own in every.items()}
