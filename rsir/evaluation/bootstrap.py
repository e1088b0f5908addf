"""How far a recall can be trusted: resampling over test images, in percent."""

import numpy as np


def by_name(values, ks) -> dict:
    """{"i2t": {"R@1": ..}, "t2i": {..}, "mR": ..} of a list [2 * n_k + 1]."""
    names, n = [f"R@{k}" for k in ks], len(ks)
    i2t, t2i = dict(zip(names, values)), dict(zip(names, values[n:]))
    return {"i2t": i2t, "t2i": t2i, "mR": values[2 * n]}


def resample(i2t, t2i, captions, draws=1000, seed=0) -> np.ndarray:
    """Recalls of resampled images [draws, 2 * n_k], i2t then t2i.

    Images are drawn with replacement, each with its caption queries,
    which stand or fall together. The gallery stays as it is. Equal seeds
    draw equal images, which makes a comparison paired.

    Args:
        i2t, t2i, captions: as `rsir.evaluation.metrics.per_image_hits`.
        draws: number of resamples.
        seed: of the generator.
    """
    if draws < 1:
        raise ValueError(f"draws: {draws}; give 1 or more.")
    n_images, n_k = i2t.shape
    rng = np.random.default_rng(seed)
    sums = np.column_stack([i2t, t2i, captions])  # (n_images, 2 n_k + 1)
    out = []
    step = max(1, 4_000_000 // n_images)  # bounds the memory of a draw
    for start in range(0, draws, step):
        picks = rng.integers(0, n_images, (min(step, draws - start), n_images))
        counts = np.array([np.bincount(pick, minlength=n_images) for pick in picks])
        total = counts @ sums
        images, asked = total[:, :n_k] / n_images, total[:, n_k:-1] / total[:, -1:]
        out.append(np.hstack([images, asked]))
    return 100 * np.concatenate(out)


def resample_seeds(runs, scale=1.0, draws=1000, seed=0) -> np.ndarray:
    """How far the mean of resampled seeds lies from that of all [draws, width].

    Seeds are drawn with replacement, one fewer than there are: so the variance
    has no bias (Rao and Wu 1988), which matters where seeds are few.

    Args:
        runs: values of each seed [n_seeds, width], two seeds or more.
        scale: of what is drawn.
        draws, seed: as for `resample`.
    """
    runs = np.asarray(runs)
    rng = np.random.default_rng(seed)
    picks = rng.integers(0, len(runs), (draws, len(runs) - 1))
    return scale * (runs[picks].mean(axis=1) - runs.mean(axis=0))


def intervals(draws, ks) -> dict:
    """95 % percentile intervals of resampled recalls [draws, 2 * n_k].

    As `by_name`, with [low, high] for each value.
    """
    every = np.column_stack([draws, draws.mean(axis=1)])
    tail = 50 * (1 - 0.95)
    return by_name(np.percentile(every, [tail, 100 - tail], axis=0).T.tolist(), ks)


def p_values(draws, ks) -> dict:
    """Two-sided bootstrap p of differences [draws, 2 * n_k], as `by_name`.

    Twice the smaller share of draws on either side of zero, with one
    draw added to each side, so that it is never exactly 0.
    """
    every = np.column_stack([draws, draws.mean(axis=1)])
    below, above = ((side <= 0).sum(axis=0) + 1 for side in (every, -every))
    p = np.minimum(1, 2 * np.minimum(below, above) / (len(draws) + 1))
    return by_name(p.tolist(), ks)
