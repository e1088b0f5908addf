"""How far a recall can be trusted, and how far it can go.

Resampling over test images, the ceilings that identical captions set,
and the floor of a random ranking. Everything is in percent. The public
face is `rsir.evaluation.metrics`; chapter 01 shows these at work.
"""

import numpy as np

KS = (1, 5, 10)


def as_recalls(i2t, t2i, ks) -> dict:
    """{"i2t": {"R@1": ..}, "t2i": {..}, "mR": ..} from two rows.

    i2t, t2i: percent, [len(ks)]. mR is the mean of all of them, six by
    the published protocol.
    """
    names = [f"R@{k}" for k in ks]
    return {
        "i2t": dict(zip(names, map(float, i2t), strict=True)),
        "t2i": dict(zip(names, map(float, t2i), strict=True)),
        "mR": float(np.mean([*i2t, *t2i])),
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
    n_images = len(i2t)
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
        n_k = i2t.shape[1]
        out.append(
            np.hstack(
                [
                    total[:, :n_k] / n_images,
                    total[:, n_k:-1] / total[:, -1:],
                ]
            )
        )
    return 100 * np.concatenate(out)


def intervals(draws, ks, level=0.95) -> dict:
    """Percentile intervals of resampled recalls [draws, 2 * n_k].

    Returns:
        {"mR": [low, high], "i2t": {"R@1": [low, high], ..}, "t2i": ..}
    """
    tail = 50 * (1 - level)
    every = np.column_stack([draws, draws.mean(axis=1)])
    low, high = np.percentile(every, [tail, 100 - tail], axis=0)
    pairs = np.stack([low, high], axis=1).tolist()
    names = [f"R@{k}" for k in ks]
    n_k = len(ks)
    return {
        "mR": pairs[-1],
        "i2t": dict(zip(names, pairs[:n_k], strict=True)),
        "t2i": dict(zip(names, pairs[n_k:-1], strict=True)),
    }


def p_values(draws, ks) -> dict:
    """Two-sided bootstrap p of differences [draws, 2 * n_k] against 0.

    Twice the smaller share of draws on either side of zero, with one
    draw added to each side, so that it is never exactly 0.
    """
    every = np.column_stack([draws, draws.mean(axis=1)])
    below = (every <= 0).sum(axis=0) + 1
    above = (every >= 0).sum(axis=0) + 1
    p = np.minimum(1, 2 * np.minimum(below, above) / (len(draws) + 1))
    names = [f"R@{k}" for k in ks]
    n_k = len(ks)
    return {
        "mR": float(p[-1]),
        "i2t": dict(zip(names, p[:n_k].tolist(), strict=True)),
        "t2i": dict(zip(names, p[n_k:-1].tolist(), strict=True)),
    }


def random_baseline(owner, ks=KS) -> dict:
    """Exact expected recalls of a ranking drawn at random, in percent.

    An image with c of N captions misses the first K with probability
    C(N - c, K) / C(N, K); a caption meets its one image among n with
    probability K / n.

    Args:
        owner: [n_captions], image of each caption; all images appear.
        ks: list lengths.

    Returns:
        {"i2t": {"R@1": ..}, "t2i": {..}, "mR": ..}; mR 0.49 at the
        size of RSICD's test set, 2.52 at that of UCM's.
    """
    per_image = np.bincount(np.asarray(owner))  # (n_images,)
    n_images, n_captions = len(per_image), len(owner)
    i2t = [100 * np.mean(chance(n_captions - per_image, per_image, k)) for k in ks]
    t2i = [100 * min(k, n_images) / n_images for k in ks]
    return as_recalls(i2t, t2i, ks)


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

    t2i: all queries with one text share one ranking of the images, so
    the best one puts the images that own the text most often first.
    "t2i_tied" is a little lower: what is left when the images that own
    a text cannot be told apart either, the mean of min(K, m) / m over
    queries whose text m images own.
    i2t: the captions with one text stand together. A group of n that
    holds c of the image's own and n - c < K others is a sure hit;
    otherwise it fills the first K by itself, so the best single group
    decides: max over own texts of 1 - C(n - c, K) / C(n, K).

    Args:
        captions: [n_captions] texts, compared as they are.
        owner: [n_captions], image of each caption.
        ks: list lengths.

    Returns:
        {"i2t": {"R@1": ..}, "t2i": {..}, "mR": .., "t2i_tied": {..},
        "n_captions", "n_texts": unique texts, "shared_captions":
        captions whose text another image owns too, "shared_images":
        images with such a caption}.
    """
    owner = np.asarray(owner)
    if len(captions) != len(owner):
        raise ValueError(
            f"captions: {len(captions)} texts for {len(owner)} owners; "
            "give one text for each."
        )
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
        **as_recalls(i2t, t2i, ks),
        "t2i_tied": tied,
        "n_captions": len(owner),
        "n_texts": int(n_texts),
        "shared_captions": int(own[shared].sum()),
        "shared_images": len(np.unique(of_image[shared])),
    }
