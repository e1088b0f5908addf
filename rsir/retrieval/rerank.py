"""Re-ranking: a second look at a finished score matrix.

Both take `scores[n_images, n_captions]` (higher is closer) and give float32
of the same shape, whichever side asks.

As published an answer is judged by how the rest of the test set likes it:
transductive, and out of reach for one live query. With a *bank*, training
queries take their place, and every query is answered alone: inductive.

Every sort is stable: of equal scores the earlier row or column stands first,
of equal reverse positions the one that stood first in the first list. (The
authors' sort is unstable. "released" recalls put the later one first.)
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
    """MR (GaLR, Yuan et al. 2022): mix first list, reverse lists and a share.

    For query i and its candidate t at place j (from 0) of its top k:

        new[i, t] = w_sig * c_sig + c_fwd + w_rev * c_rev
        c_fwd = exp(-xi (j + 1))
        c_sig = s[i, t] / sum over the queries q of s[q, t]
        c_rev = exp(-xi (p + 1))

    Let r be the place of i in the reverse list of t: all queries, by how
    well t finds them. In style "released" p is the place of t when the k
    candidates are sorted by their r. In style "figure" (of the README)
    p = r, and c_rev is 0 unless r is below k (our reading).

    Outside the top k all is 0: look at recalls up to K = k, of this
    direction. Identical captions do not stay tied. Where the scores of a
    candidate nearly cancel, c_sig drowns the rest. Chapter 03.

    Args:
        scores: [n_images, n_captions], finite, float or int.
        direction: "i2t": images ask; "t2i": captions ask.
        k: candidates a query; "released" takes at least 10.
        w_sig, w_rev, xi: the released script's weights and decay.
        style: "released" or "figure".
        bank: scores of training queries with the same gallery,
            [n_bank, n_captions] for "i2t", [n_images, n_bank] for "t2i".
            The reverse list of t, and the sum in c_sig, are then of the
            bank and the query i alone (first of its ties).

    Raises:
        ValueError: names the argument, what is wrong, and the remedy.
    """
    for name, value, known in (
        ("direction", direction, ANSWERS),
        ("style", style, STYLES),
    ):
        if value not in known:
            raise ValueError(f"{name}: {value!r}; give one of {', '.join(known)}.")
    for name, value in (("w_sig", w_sig), ("w_rev", w_rev), ("xi", xi)):
        if not np.isfinite(value) or (name == "xi" and value < 0):
            raise ValueError(f"{name}: {value}; give a finite number, xi 0 or more.")
    s, k = _finite(scores), _whole(k)
    bank = _bank("bank", bank, s, axis=1 if direction == "i2t" else 0)
    limit = max(k, LEAST) if style == "released" else k
    out = rows = np.zeros(s.shape, np.float32)
    if direction == "t2i":  # (n_queries, n_gallery), (n_bank, n_gallery)
        s, rows, bank = s.T, out.T, None if bank is None else bank.T

    top = _descending(s)[:, :limit]  # (n_queries, k)
    r, total = _look_back(s, top, bank)  # (n_queries, k) each
    c_fwd = np.exp(-xi * (np.arange(top.shape[1]) + 1.0))[None]
    if style == "released":
        p = _inverse(r.argsort(axis=1, kind="stable"))
        c_rev = np.exp(-xi * (p + 1.0))
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
    np.put_along_axis(rows, top, new, axis=1)
    return out


def ppsr(scores, *, k=10, image_bank=None, caption_bank=None) -> np.ndarray:
    """PPSR (CFITR): take from each score how popular its two ends are.

        new[i, j] = 2 s[i, j] - mean of the k largest of row i
                              - mean of the k largest of column j

    By its formula the CSLS of Lample et al. (2018), as released with
    k = 10. Identical captions stay tied. Chapter 05.

    Args:
        scores: [n_images, n_captions], finite, float or int.
        k: how many neighbours count; all, if there are fewer.
        image_bank: [n_bank, n_captions], scores of training images, for
            their columns. It makes i2t inductive.
        caption_bank: [n_images, n_bank], scores of training captions, for
            their rows. It makes t2i inductive.

    Raises:
        ValueError: names the argument, what is wrong, and the remedy.
    """
    s, k = _finite(scores), _whole(k)
    of_captions = _bank("image_bank", image_bank, s, axis=1)
    of_images = _bank("caption_bank", caption_bank, s, axis=0)
    rows = _top_mean(s if of_images is None else of_images, k)
    columns = _top_mean((s if of_captions is None else of_captions).T, k)
    return (2.0 * s - rows[:, None] - columns).astype(np.float32)


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


def _descending(s):
    """Columns of each row, best first, ties in their order."""
    return s.shape[1] - 1 - s[:, ::-1].argsort(axis=1, kind="stable")[:, ::-1]


def _inverse(order):
    """The place of each column in the orders of the rows."""
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(order.shape[1])[None], axis=1)
    return places


def _look_back(s, top, bank=None):
    """Look back from every candidate at the query that found it.

    Both [n_queries, k], as `top`: the place of the query in the
    candidate's list (from 0), and the sum of that list, float64.
    """
    lists = np.ascontiguousarray((s if bank is None else bank).T)
    total = lists.sum(axis=1, dtype=np.float64)[top]
    if bank is None:
        return _inverse(_descending(lists)).T[np.arange(len(s))[:, None], top], total
    own = np.take_along_axis(s, top, axis=1)
    r = [(lists[t] > x[:, None]).sum(axis=1) for t, x in zip(top, own)]
    return np.array(r), total + own


def _top_mean(lines, k) -> np.ndarray:
    """Mean of the k largest of each row, float64 [n_lines]."""
    k = min(k, lines.shape[1])
    # sorted, so that the same values give the same sum anywhere
    best = [np.sort(np.partition(line, -k)[-k:]) for line in lines]
    return np.mean(best, axis=1, dtype=np.float64)
