"""Re-ranking at RSICD's size: the published loops against arrays.

    python benchmarks/rerank.py [--quick]

* loop: GaLR's multivariate rerank written from its definition in the
  published form: sort all rows and all columns, then walk over queries
  and candidates; for each, add up a column and search it for the query.
  As there: numpy's default sort, an array of positions that grows, and
  one write to the matrix for each component. (The answers are compared
  with a stable sort, which is not timed.)
* arrays: `rsir.retrieval.rerank.multivariate_rerank`, the same numbers.

Both in one run, in processor time, so that the ratio means something
on a busy machine too. PPSR is timed beside them, in units of a plain
copy of the matrix.
"""

import argparse

import numpy as np
from recall import seconds

from rsir.retrieval import rerank

K, W_SIG, W_REV, XI = 30, 0.3, 1.1, 0.05


def loop_form(scores, direction, kind=None):
    """MR, query by query and candidate by candidate."""
    s = scores if direction == "i2t" else scores.T
    first = np.argsort(-s, axis=1, kind=kind)
    back = np.argsort(-s, axis=0, kind=kind)
    new = np.zeros(s.shape, np.float32)
    for i in range(len(s)):
        positions = np.array([])
        for j in range(K):
            t = first[i][j]
            new[i][t] = W_SIG * s[i][t] / np.sum(s[:, t])
            new[i][t] += np.exp(-XI * (j + 1))
            place = np.where(back[:, t] == i)[0][0]
            positions = np.append(positions, place)
        for p, j in enumerate(np.argsort(positions, kind=kind)):
            new[i][first[i][j]] += W_REV * np.exp(-XI * (p + 1))
    return new if direction == "i2t" else new.T


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a quarter of the images")
    n_images = 273 if parser.parse_args().quick else 1093
    rng = np.random.default_rng(0)
    shape = n_images, 5 * n_images
    free = rng.random(shape, dtype=np.float32)
    twins = free.copy()  # equal captions have equal columns
    twins[:, 1::5] = twins[:, ::5]
    matrices = {"random": free, "equal captions": twins}
    print(f"{shape[0]} x {shape[1]}, k = {K}, milliseconds of one core")
    print(f"{'scores':>15} {'':>4} {'arrays':>8} {'loop':>8} {'ratio':>6}")
    totals = np.zeros(2)
    for name, scores in matrices.items():
        for direction in rerank.ANSWERS:
            mr = rerank.multivariate_rerank
            ours, got = seconds(mr, scores, direction, repeats=5)
            loop, _ = seconds(loop_form, scores, direction)
            want = loop_form(scores, direction, kind="stable")
            assert np.allclose(got, want, rtol=1e-5, atol=1e-6), name
            totals += loop, ours
            times = f"{1e3 * ours:8.0f} {1e3 * loop:8.0f}"
            print(f"{name:>15} {direction:>4} {times} {loop / ours:6.0f}")
    print(f"MR, all: the arrays are {totals[0] / totals[1]:.0f} times faster")
    copy, _ = seconds(np.copy, free, repeats=5)
    ours, _ = seconds(rerank.ppsr, free, repeats=5)
    print(f"PPSR: {1e3 * ours:.0f} ms, {ours / copy:.0f} copies of the matrix")


if __name__ == "__main__":
    main()
