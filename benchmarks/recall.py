"""Counting against sorting: what a recall costs.

    python benchmarks/recall.py [--quick | --large]

All in one run, so that the ratios mean something on any machine:

* read once: the largest value of every row and of every column;
* counting: `rsir.evaluation.ranks.compute_ranks` (all tie rules at once);
* loop: one argsort a query, reversed, and a search for the correct
  items in it, written from the definition of the released protocol,
  with numpy's default sort, as there. (The counts are checked against
  the same loop with a stable sort, which is not timed.)

Prints a small table for 1,000 x 5,000 scores (250 x 1,250 with --quick,
5,000 x 25,000 with --large). Times are the best of several calls.
"""

import argparse
import time

import numpy as np

from rsir.evaluation.metrics import KS, recalls_from_ranks
from rsir.evaluation.ranks import compute_ranks


def read_once(scores):
    """The least that any evaluation must do: look at every score."""
    return scores.max(axis=1), scores.max(axis=0)


def loop_form(scores, owner, kind=None):
    """mR in percent, query by query, with an argsort, reversed."""
    n_images, n_captions = scores.shape
    i2t = np.empty(n_images, int)
    for i in range(n_images):
        order = np.argsort(scores[i], kind=kind)[::-1]
        i2t[i] = min(np.where(order == j)[0][0] for j in np.where(owner == i)[0])
    t2i = np.empty(n_captions, int)
    for j in range(n_captions):
        order = np.argsort(scores[:, j], kind=kind)[::-1]
        t2i[j] = np.where(order == owner[j])[0][0]
    recalls = [(r < k).mean() for r in (i2t, t2i) for k in KS]
    return 100 * np.mean(recalls)


def seconds(function, *args, repeats=1):
    """Best processor time of several calls, and the last result."""
    best = np.inf
    for _ in range(repeats):
        start = time.process_time()
        result = function(*args)
        best = min(best, time.process_time() - start)
    return best, result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="250 images")
    size.add_argument("--large", action="store_true", help="5,000 images")
    given = parser.parse_args()
    n_images = 250 if given.quick else 5000 if given.large else 1000
    repeats = 3 if given.large else 9
    owner = np.repeat(np.arange(n_images), 5)
    shape = n_images, 5 * n_images
    free = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    matrices = {
        "no ties": free,
        "many ties": np.round(4 * free),
        "Hamming, int16": np.round(16 * free).astype(np.int16),
    }
    print(f"{n_images} x {5 * n_images}, milliseconds (best of {repeats})")
    print(f"{'scores':>15} {'read once':>10} {'counting':>9} {'loop':>8} {'ratio':>6}")
    for name, scores in matrices.items():
        read, _ = seconds(read_once, scores, repeats=repeats)
        count, ranks = seconds(compute_ranks, scores, owner, repeats=repeats)
        loop, _ = seconds(loop_form, scores, owner)
        want = loop_form(scores, owner, kind="stable")
        got = recalls_from_ranks(ranks, "released")["mR"]
        assert abs(got - want) < 1e-9, (got, want)
        times = f"{1e3 * read:10.1f} {1e3 * count:9.1f} {1e3 * loop:8.0f}"
        print(f"{name:>15} {times} {loop / count:6.0f}")


if __name__ == "__main__":
    main()
