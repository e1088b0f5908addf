"""How far a recall can be trusted: resampling over test images.

Everything is in percent. Chapter 01 shows it at work.
"""

import numpy as np


def by_name(values, ks) -> dict:
    """{"i2t": {"R@1": ..}, "t2i": {..}, "mR": ..} of one row of values.

    values: list [2 * n_k + 1], i2t, t2i and mR.
    """
    names = [f"R@{k}" for k in ks]
    *values, mR = values
    return {
        "i2t": dict(zip(names, values[: len(ks)], strict=True)),
        "t2i": dict(zip(names, values[len(ks) :], strict=True)),
        "mR": mR,
    }


def resample(i2t, t2i, captions, draws=1000, seed=0) -> np.ndarray:
    """Bootstrap over images, in percent.

    Images are drawn with replacement, and the caption queries of an
    image go with it, since they stand or fall together. The gallery
    stays as it is: what is resampled are the outcomes of the queries.
    A draw is a vector of counts, so all draws are one matrix product.

    Args:
        i2t: [n_images, n_k], hit (or its probability) of each image.
        t2i: [n_images, n_k], sum of hits over the image's captions.
        captions: [n_images], number of captions of each image.
        draws: number of resamples.
        seed: of the generator; equal seeds draw equal images, which
            is what makes a comparison paired.

    Returns:
        [draws, 2 * n_k], recalls i2t then t2i.
    """
    if draws < 1:
        raise ValueError(f"draws: {draws}; give 1 or more.")
    n_images, n_k = i2t.shape
    rng = np.random.default_rng(seed)
    sums = np.column_stack([i2t, t2i, captions])  # (n_images, 2 n_k + 1)
    out = []
    step = max(1, 4_000_000 // n_images)  # bounds the memory of a draw
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        picks = rng.integers(0, n_images, (rows, n_images))
        picks += np.arange(rows)[:, None] * n_images
        counts = np.bincount(picks.ravel(), minlength=rows * n_images)
        total = counts.reshape(rows, n_images) @ sums  # (rows, 2 n_k + 1)
        images, asked = total[:, :n_k] / n_images, total[:, n_k:-1] / total[:, -1:]
        out.append(np.hstack([images, asked]))
    return 100 * np.concatenate(out)


def intervals(draws, ks, level=0.95) -> dict:
    """Percentile intervals of resampled recalls [draws, 2 * n_k].

    Returns:
        As `by_name`, with [low, high] for each value.
    """
    tail = 50 * (1 - level)
    every = np.column_stack([draws, draws.mean(axis=1)])
    return by_name(np.percentile(every, [tail, 100 - tail], axis=0).T.tolist(), ks)


def p_values(draws, ks) -> dict:
    """Two-sided bootstrap p of differences [draws, 2 * n_k] against 0.

    Twice the smaller share of draws on either side of zero, with one
    draw added to each side, so that it is never exactly 0.

    Returns:
        As `by_name`.
    """
    every = np.column_stack([draws, draws.mean(axis=1)])
    below = (every <= 0).sum(axis=0) + 1
    above = (every >= 0).sum(axis=0) + 1
    p = np.minimum(1, 2 * np.minimum(below, above) / (len(draws) + 1))
    return by_name(p.tolist(), ks)
