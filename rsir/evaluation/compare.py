"""Several systems on one test set: intervals, pairs, agreement.

All of it is counted from the ranks of the queries that records keep;
nothing is trained or scored again. Explained in chapter 06.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from rsir.evaluation.bootstrap import as_recalls, intervals, resample
from rsir.evaluation.metrics import KS, Ranks, _per_image, compare, hits

Runs = Sequence[Ranks]


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
    i2t, t2i, captions = _mean_hits(runs)
    mR = as_recalls(100 * i2t.mean(axis=0), 100 * t2i.sum(axis=0) / captions.sum(), KS)[
        "mR"
    ]
    drawn = resample(i2t, t2i, captions, draws, seed)
    return mR, *intervals(drawn, KS)["mR"]


def all_pairs(systems: Mapping[str, Runs], draws: int = 10_000) -> pd.DataFrame:
    """Every system against every other, paired over images.

    Args:
        systems: {name: ranks of its runs}, all on the same queries.
        draws: of the bootstrap.

    Returns:
        A row a pair: "a", "b", "difference" in points of mR, "low",
        "high" (95 %), "p", and "p_holm", which Holm's procedure has
        raised for the number of pairs looked at.
    """
    from statsmodels.stats.multitest import multipletests

    rows = []
    for (a, runs_a), (b, runs_b) in combinations(systems.items(), 2):
        pair = compare(runs_a, runs_b, draws=draws)
        low, high = pair.ci95["mR"]
        rows.append(
            {
                "a": a,
                "b": b,
                "difference": pair.difference["mR"],
                "low": low,
                "high": high,
                "p": pair.p["mR"],
            }
        )
    columns = ["a", "b", "difference", "low", "high", "p"]
    table = pd.DataFrame(rows, columns=columns)
    table["p_holm"] = multipletests(table["p"], method="holm")[1] if rows else []
    return table


def solved(runs: Runs, k: int = 1, side: str = "t2i") -> np.ndarray:
    """Which queries a system solves: [n_queries] bool.

    A query is solved if a correct item stands among the first k in
    more than half of the runs; ties at their expectation.
    """
    every = [hits(getattr(one, side), k) for one in runs]
    return np.mean(every, axis=0) > 0.5


def agreement(
    systems: Mapping[str, Runs], k: int = 1, side: str = "t2i"
) -> pd.DataFrame:
    """How much two systems solve the same queries: phi, a square table.

    The correlation of two columns of solved and not solved: 1 for the
    same queries, 0 for what chance would share at these recalls.
    """
    columns = np.array(
        [solved(runs, k, side) for runs in systems.values()], dtype=float
    )
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


def _mean_hits(runs: Runs):
    """Hits per image, caption hits summed per image, caption count."""
    runs = list(runs)
    if not runs:
        raise ValueError("runs: none; give the ranks of one or more.")
    for other in runs[1:]:
        if not np.array_equal(other.owner, runs[0].owner):
            raise ValueError(
                "runs: they have different queries (owner differs); "
                "measure all on the same test set."
            )
    every = zip(*(_per_image(run, "expected", KS) for run in runs))
    return tuple(np.mean(part, axis=0) for part in every)
