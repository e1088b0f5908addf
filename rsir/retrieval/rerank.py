"""Re-ranking: a second look at a finished score matrix.

Every function takes `scores[n_images, n_captions]` (float or int,
higher is closer) and gives float32 of the same shape and orientation,
whichever side asks. None of them needs the model.

* `multivariate_rerank`: GaLR's MR (Yuan et al. 2022, TGRS), here as
  released and as the README's figure draws it. Chapter 03.
* `ppsr`: CFITR's training-free re-ranking of the coarse scores; by its
  formula the CSLS of Lample et al. (2018). Chapter 05.

**Transductive or inductive.** MR and PPSR judge an answer by how the
other queries like it. As published the other queries are the rest of
the test set, so the score of one query depends on who else was asked:
transductive, and out of reach for one live query. Report such recalls
apart. With a *bank*, training queries scored against the same gallery
take their place. Then every query is answered alone: inductive.

**Ties.** Every sort is stable: of equal scores the earlier row or
column stands first, in the first list and in the reverse lists; of
equal reverse positions the one that stood first in the first list.
(The authors sort negated scores with numpy's unstable default, so their
order among ties depends on the processor. The recall of
`rsir.evaluation.metrics` under ties="released" puts the later one first:
there the authors turn an ascending list around.)
"""

import numpy as np

from rsir.evaluation.ranks import check_scores

STYLES = ("released", "figure")
LEAST = 10  # the released code never takes fewer candidates
ANSWERS = {"i2t": "caption", "t2i": "image"}  # direction: the gallery


def multivariate_rerank(
    scores,
    direction,
    *,
    k=30,
    w_sig=0.3,
    w_rev=1.1,
    xi=0.05,
    style="released",
    bank=None,
) -> np.ndarray:
    """MR: mix the first list, the reverse lists and a share.

    For query i and its candidate t at place j (from 0) of its top k:

        new[i, t] = w_sig * c_sig + c_fwd + w_rev * c_rev
        c_fwd = exp(-xi (j + 1))
        c_sig = s[i, t] / sum over the queries q of s[q, t]
        c_rev = exp(-xi (p + 1))

    Let r be the place of i in the reverse list of t: all queries, by
    how well t finds them. In style "released" p is the place of t when
    the k candidates are sorted by their r. In style "figure" p = r, and
    c_rev is 0 unless r is below k (the figure speaks of a top list; that
    it is as long as the first one is our reading).

    Everything outside the top k is 0, so no order is left there: look
    at recalls up to K = k only. Identical captions do not stay tied:
    their places differ. Where the scores of a candidate sum to less
    than 0, c_sig has the wrong sign; where they nearly cancel it drowns
    the rest (and below 0 a candidate falls behind the items outside).

    Args:
        scores: [n_images, n_captions], finite, float or int.
        direction: "i2t": images ask; "t2i": captions ask. A matrix is
            re-ranked for one direction; look at no other recall of it.
        k: candidates a query. "released" takes at least 10, as the
            authors do. A shorter gallery is re-ranked whole.
        w_sig, w_rev, xi: the released script's weights (the defaults of
            its functions are 1.0 and 0.7) and decay.
        style: "released" or "figure".
        bank: scores of other queries, from the training split, with the
            same gallery: [n_bank, n_captions] for "i2t", [n_images,
            n_bank] for "t2i". The reverse list of t is then the bank and
            the query i alone (first of its ties), and so is the sum in
            c_sig. None: the queries of `scores` themselves.

    Returns:
        float32 [n_images, n_captions].

    Raises:
        ValueError: names the argument, what is wrong, and the remedy.
    """
    if direction not in ANSWERS:
        raise ValueError(
            f"direction: {direction!r} is unknown; give i2t (images ask) or t2i "
            "(captions ask)."
        )
    if style not in STYLES:
        raise ValueError(
            f"style: {style!r} is unknown; use one of {', '.join(STYLES)}."
        )
    for name, value in (("w_sig", w_sig), ("w_rev", w_rev), ("xi", xi)):
        if not np.isfinite(value):
            raise ValueError(f"{name}: {value}; give a finite number.")
    if xi < 0:
        raise ValueError(f"xi: {xi} rewards late places; give 0 or more.")
    scores = _finite(scores)
    bank = _bank("bank", bank, scores, axis=1 if direction == "i2t" else 0)
    limit = max(_whole(k), LEAST) if style == "released" else _whole(k)
    s = scores if direction == "i2t" else scores.T  # (n_queries, n_gallery)
    if direction == "t2i" and bank is not None:
        bank = bank.T  # (n_bank, n_gallery)

    top = _top(s, limit)  # (n_queries, k)
    r, total = _look_back(s, top, bank)  # (n_queries, k) each
    c_fwd = np.exp(-xi * (np.arange(top.shape[1]) + 1.0))[None]
    if style == "released":
        c_rev = np.exp(-xi * (_places(r) + 1.0))
    else:
        c_rev = np.exp(-xi * (r + 1.0)) * (r < limit)
    new = c_fwd + w_rev * c_rev
    if w_sig:
        if not total.all():
            raise ValueError(
                f"scores: those of {ANSWERS[direction]} {top[total == 0].min()} sum "
                "to 0, so no share of them (c_sig) can be taken; set w_sig to 0, or "
                "add a constant to all scores."
            )
        new += w_sig * (np.take_along_axis(s, top, axis=1) / total)  # c_sig
    out = np.zeros(scores.shape, np.float32)
    np.put_along_axis(out if direction == "i2t" else out.T, top, new, axis=1)
    return out


def ppsr(scores, *, k=10, image_bank=None, caption_bank=None) -> np.ndarray:
    """PPSR: take from each score how popular its two ends are.

        new[i, j] = 2 s[i, j] - mean of the k largest of row i
                              - mean of the k largest of column j

    A caption that is close to every image (a hub) falls, and one that
    few images like rises. As released, with k = 10. One matrix serves
    both directions: within a query its own mean is a constant. Identical
    captions stay tied. Hamming scores (-distance) may be int; the means
    break most of their ties.

    Args:
        scores: [n_images, n_captions], finite, float or int.
        k: how many neighbours count. A line that is shorter is averaged
            whole.
        image_bank: [n_bank, n_captions], scores of training images with
            the captions: their columns give the popularity of a caption.
            It makes i2t inductive.
        caption_bank: [n_images, n_bank], scores of the images with
            training captions: its rows give the popularity of an image.
            It makes t2i inductive.

    Returns:
        float32 [n_images, n_captions].

    Raises:
        ValueError: names the argument, what is wrong, and the remedy.
    """
    scores = _finite(scores)
    k = _whole(k)
    of_captions = _bank("image_bank", image_bank, scores, axis=1)
    of_images = _bank("caption_bank", caption_bank, scores, axis=0)
    rows = _top_mean(scores if of_images is None else of_images, k)
    columns = _top_mean((scores if of_captions is None else of_captions).T, k)
    out = np.empty(scores.shape, np.float32)
    for i, row in enumerate(scores):
        out[i] = 2.0 * row - rows[i] - columns
    return out


def _finite(scores, name="scores") -> np.ndarray:
    """A checked matrix without infinities; small types as float32."""
    scores = check_scores(scores, name)
    bad = ~np.isfinite(scores)
    if bad.any():
        i, j = np.argwhere(bad)[0]
        raise ValueError(
            f"{name}: row {i}, column {j} is inf; scores are added up, so all must "
            "be finite."
        )
    small = scores.dtype.itemsize < 4  # float32 holds those exactly
    return scores.astype(np.float32) if small else scores


def _bank(name, bank, scores, axis):
    """A bank that shares the gallery, axis `axis`, with `scores`."""
    if bank is None:
        return None
    bank = _finite(bank, name)
    if bank.shape[axis] != scores.shape[axis]:
        side = ("images (rows)", "captions (columns)")[axis]
        raise ValueError(
            f"{name}: shape {bank.shape}, but the gallery of scores has "
            f"{scores.shape[axis]} {side}; score the bank's queries against the "
            "same gallery."
        )
    return bank


def _whole(k) -> int:
    if not isinstance(k, (int, np.integer)) or k < 1:
        raise ValueError(f"k: {k!r}; give a whole number from 1.")
    return int(k)


def _descending(values):
    """Indices of a line, best first, ties in their order."""
    return len(values) - 1 - values[::-1].argsort(kind="stable")[::-1]


def _places(values):
    """Place of each in its row, smallest first, ties in order."""
    return np.argsort(np.argsort(values, axis=1, kind="stable"), axis=1)


def _top(s, k) -> np.ndarray:
    """The k best of every row, best first: int [n_queries, k]."""
    k = min(k, s.shape[1])
    s = np.ascontiguousarray(s)
    edges = np.partition(s, -k, axis=1)[:, -k]  # the k-th best
    top = np.empty((len(s), k), np.int64)
    for q, row in enumerate(s):
        near = (row >= edges[q]).nonzero()[0]  # more than k if there are ties
        top[q] = near[_descending(row[near])[:k]]
    return top


def _look_back(s, top, bank=None):
    """Look back from every candidate at the query that found it.

    s: [n_queries, n_gallery]. top: [n_queries, k], indices into the
    gallery. bank: [n_bank, n_gallery] or None.

    Returns:
        r int64 and total float64, both [n_queries, k]: the place of the
        query in the candidate's list (from 0), and the sum of that list.
    """
    r, total = np.empty(top.size, np.int64), np.empty(top.size)
    pairs = np.argsort(top, axis=None, kind="stable")  # by candidate
    found, start = np.unique(top.ravel()[pairs], return_index=True)
    lists = np.ascontiguousarray(s.T)  # (n_gallery, n_queries)
    others = lists if bank is None else np.ascontiguousarray(bank.T)
    ranked = np.sort(others, axis=1)  # ascending
    sums = others.sum(axis=1, dtype=np.float64)
    for t, pair in zip(found, np.split(pairs, start[1:])):
        query = pair // top.shape[1]
        own = lists[t, query]
        upto = ranked[t].searchsorted(own, side="right")
        r[pair] = len(ranked[t]) - upto
        total[pair] = sums[t]
        if bank is not None:
            total[pair] += own
        elif (ranked[t].searchsorted(own) < upto - 1).any():
            r[pair] = _descending(lists[t]).argsort()[query]  # ties in order
    return r.reshape(top.shape), total.reshape(top.shape)


def _top_mean(lines, k) -> np.ndarray:
    """Mean of the k largest of each row, float64 [n_lines]."""
    k = min(k, lines.shape[1])
    # sorted, so that the same values give the same sum anywhere
    best = [np.sort(np.partition(line, -k)[-k:]) for line in lines]
    return np.mean(best, axis=1, dtype=np.float64)
