"""Re-ranking: a second look at a finished score matrix.

Every function takes `scores[n_images, n_captions]` (float or int,
higher is closer) and gives float32 of the same shape and orientation,
whichever side asks. None of them needs the model.

* `multivariate_rerank`: GaLR's MR (Yuan et al. 2022, TGRS), here as
  released and as the README's figure draws it. Chapter 03.
* `reverse_only_rerank`: its plainer forerunner, the RR of MTFN (Wang
  et al. 2019), which GaLR's code holds as a baseline. Chapter 03.
* `ppsr`: CFITR's training-free re-ranking of the coarse scores; by its
  formula the CSLS of Lample et al. (2018). Chapter 05.

**Transductive or inductive.** MR and PPSR judge an answer by how the
other queries like it. As published the other queries are the rest of
the test set, so the score of one query depends on who else was asked:
transductive, and out of reach for one live query. Report such recalls
apart. With a *bank*, training queries scored against the same gallery
take their place. Then every query is answered alone: inductive.

**Equals.** Every sort is stable: of equal scores the earlier row or
column stands first, in the first list and in the reverse lists; of
equal reverse positions the one that stood first in the first list.
(The authors sort negated scores with numpy's unstable default, so their
order among equals depends on the processor. The recall of
`rsir.evaluation.metrics` under ties="released" puts the later one first: there
the authors turn an ascending list around.)
"""

import numpy as np

STYLES = ("released", "figure")
LEAST = 10  # the released code never takes fewer candidates
BLOCK = 1 << 18  # scores worked on at a time; they stay in the cache
ANSWERS = {"i2t": "caption", "t2i": "image"}  # direction: the gallery

__all__ = [
    "ANSWERS",
    "STYLES",
    "multivariate_rerank",
    "ppsr",
    "reverse_only_rerank",
]


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
    at recalls up to K = k only. Equal captions do not stay equal: their
    places differ. Where the scores of a candidate sum to less than 0,
    c_sig has the wrong sign; where they nearly cancel it drowns the rest
    (and below 0 a candidate falls behind the items outside).

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
            the query i alone (before its equals), and so is the sum in
            c_sig. None: the queries of `scores` themselves.

    Returns:
        float32 [n_images, n_captions].

    Raises:
        ValueError: names the argument, what is wrong, and the remedy.
    """
    scores, bank = _inputs(scores, direction, bank)
    k = _whole(k)
    for name, value in (("w_sig", w_sig), ("w_rev", w_rev), ("xi", xi)):
        if not np.isfinite(value):
            raise ValueError(f"{name}: {value}; give a finite number.")
    if xi < 0:
        raise ValueError(f"xi: {xi} rewards late places; give 0 or more.")
    if style not in STYLES:
        raise ValueError(
            f"style: {style!r} is unknown; use one of {', '.join(STYLES)}."
        )
    view = _asking(scores, direction)  # (n_queries, n_gallery)
    limit = max(k, LEAST) if style == "released" else k
    candidates = _top(view, limit)  # (n_queries, k)
    reverse, total = _reverse(view, candidates, _asking(bank, direction))

    places = np.arange(candidates.shape[1])  # (k,)
    new = np.exp(-xi * (places + 1.0))[None]  # c_fwd
    if style == "released":
        c_rev = np.exp(-xi * (_places(reverse) + 1.0))
    else:
        c_rev = np.exp(-xi * (reverse + 1.0)) * (reverse < limit)
    new = new + w_rev * c_rev
    if w_sig:
        if not total.all():
            first = candidates[total == 0].min()
            raise ValueError(
                f"scores: those of {ANSWERS[direction]} {first} sum to "
                "0, so no share of them (c_sig) can be taken; set w_sig "
                "to 0, or add a constant to all scores."
            )
        own = np.take_along_axis(view, candidates, axis=1)
        new += w_sig * (own / total)  # c_sig
    return _spread(new, candidates, scores.shape, direction)


def reverse_only_rerank(scores, direction, *, k=30, bank=None):
    """RR: order the top k by their reverse position alone.

    The reverse position of candidate t is the place of the query in the
    list that t retrieves. Of equal positions the better place in the
    first list wins. The best candidate gets k, the next k - 1, the last
    1; everything outside the top k is 0 (MTFN leaves it in its order, so
    take k at least as large as the largest K that you report).

    Arguments, answer, errors: as in `multivariate_rerank`; k as given.
    """
    scores, bank = _inputs(scores, direction, bank)
    view = _asking(scores, direction)
    candidates = _top(view, _whole(k))  # (n_queries, k)
    reverse, _ = _reverse(view, candidates, _asking(bank, direction))
    new = candidates.shape[1] - _places(reverse)
    return _spread(new, candidates, scores.shape, direction)


def ppsr(scores, *, k=10, image_bank=None, caption_bank=None):
    """PPSR: take from each score how popular its two ends are.

        new[i, j] = 2 s[i, j] - mean of the k largest of row i
                              - mean of the k largest of column j

    A caption that is close to every image (a hub) falls, and one that
    few images like rises. As released, with k = 10. One matrix serves
    both directions: within a query its own mean is a constant. Equal
    captions stay equal. Hamming scores (-distance) may be int; the means
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
    scores = _matrix("scores", scores)
    k = _whole(k)
    of_captions = _bank("image_bank", image_bank, scores, axis=1)
    of_images = _bank("caption_bank", caption_bank, scores, axis=0)
    rows = _top_mean(scores if of_images is None else of_images, k)
    columns = _top_mean((scores if of_captions is None else of_captions).T, k)
    out = np.empty(scores.shape, np.float32)
    for part in _blocks(*scores.shape):
        out[part] = 2.0 * scores[part] - rows[part, None] - columns
    return out


def _inputs(scores, direction, bank):
    """`scores` and `bank`, checked, for a rerank in `direction`."""
    if direction not in ANSWERS:
        raise ValueError(
            f"direction: {direction!r} is unknown; give i2t (images ask) "
            "or t2i (captions ask)."
        )
    scores = _matrix("scores", scores)
    axis = 1 if direction == "i2t" else 0
    return scores, _bank("bank", bank, scores, axis)


def _matrix(name, array) -> np.ndarray:
    """A real, finite, filled matrix; small types as float32."""
    array = np.asarray(array)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(
            f"{name}: shape {array.shape}; give a filled matrix [n_images, n_captions]."
        )
    if array.dtype.kind not in "fiub":
        raise ValueError(
            f"{name}: type {array.dtype} cannot be ranked; give real "
            "numbers (float or int)."
        )
    if array.dtype.kind == "f":
        for part in _blocks(*array.shape):
            bad = ~np.isfinite(array[part])
            if bad.any():
                i, j = np.argwhere(bad)[0]
                value = "NaN" if np.isnan(array[part][i, j]) else "inf"
                raise ValueError(
                    f"{name}: row {part.start + i}, column {j} is "
                    f"{value}; scores are added up, so all must be finite."
                )
    small = array.dtype.itemsize < 4  # float32 holds those exactly
    return array.astype(np.float32) if small else array


def _bank(name, bank, scores, axis):
    """A bank that shares the gallery, axis `axis`, with `scores`."""
    if bank is None:
        return None
    bank = _matrix(name, bank)
    if bank.shape[axis] != scores.shape[axis]:
        side = ("images (rows)", "captions (columns)")[axis]
        raise ValueError(
            f"{name}: shape {bank.shape}, but the gallery of scores has "
            f"{scores.shape[axis]} {side}; score the bank's queries "
            "against the same gallery."
        )
    return bank


def _whole(k) -> int:
    if not isinstance(k, (int, np.integer)) or k < 1:
        raise ValueError(f"k: {k!r}; give a whole number from 1.")
    return int(k)


def _asking(matrix, direction):
    """The matrix with one row a query (a view, no copy)."""
    return matrix if matrix is None or direction == "i2t" else matrix.T


def _blocks(n_lines, length):
    """Slices of lines that hold about BLOCK scores each."""
    step = max(1, BLOCK // length)
    for start in range(0, n_lines, step):
        yield slice(start, min(start + step, n_lines))


def _descending(values):
    """Indices of the last axis, best first, equals in their order."""
    turned = values[..., ::-1]
    order = np.argsort(turned, axis=-1, kind="stable")
    return (values.shape[-1] - 1 - order)[..., ::-1]


def _top(view, k) -> np.ndarray:
    """The k best of every row, best first: int [n_queries, k]."""
    n_queries, n_gallery = view.shape
    k = min(k, n_gallery)
    found = np.empty((n_queries, k), np.int64)
    for part in _blocks(n_queries, n_gallery):
        rows = np.ascontiguousarray(view[part])  # (rows, n_gallery)
        edge = np.partition(rows, n_gallery - k, axis=1)
        edge = edge[:, n_gallery - k, None]  # the k-th best, (rows, 1)
        inside = rows >= edge
        index = np.flatnonzero(inside)
        if len(index) > k * len(rows):  # too many equals at an edge
            spare = np.count_nonzero(inside, axis=1) - k
            for row in np.flatnonzero(spare):
                equals = np.flatnonzero(rows[row] == edge[row])
                inside[row, equals[-spare[row] :]] = False
            index = np.flatnonzero(inside)
        index = index.reshape(-1, k) % n_gallery
        order = _descending(np.take_along_axis(rows, index, axis=1))
        found[part] = np.take_along_axis(index, order, axis=1)
    return found


def _reverse(view, candidates, bank=None):
    """Look back from every candidate at the query that found it.

    Lists of candidates in use are sorted once each, block by block. A
    query's place is found by bisection; where it has equals, once more
    in a list without any.

    Args:
        view: [n_queries, n_gallery].
        candidates: [n_queries, k], indices into the gallery.
        bank: [n_bank, n_gallery] or None.

    Returns:
        place int64 and total float64, both [n_queries, k]: of the query
        in the candidate's list (from 0), and the sum of that list.
    """
    k = candidates.shape[1]
    pairs = np.argsort(candidates, axis=None, kind="stable")
    found = candidates.ravel()[pairs]  # candidate by candidate
    used, start = np.unique(found, return_index=True)
    start = np.append(start, len(pairs))
    place = np.empty(candidates.shape, np.int64)
    total = np.empty(candidates.shape)
    length = len(view) if bank is None else max(len(view), len(bank))
    for part in _blocks(len(used), length):
        pair = pairs[start[part.start] : start[part.stop]]
        query = pair // k
        line = np.repeat(  # the list of each pair, within the block
            np.arange(part.stop - part.start),
            np.diff(start[part.start : part.stop + 1]),
        )
        lists = np.ascontiguousarray(view.T[used[part]])
        value = lists[line, query]
        others = lists if bank is None else bank.T[used[part]]
        sums = others.sum(axis=1, dtype=np.float64)[line]
        ranked = np.sort(others, axis=1)  # ascending
        upto = _bisect(ranked, line, value)
        where = ranked.shape[1] - upto
        if bank is None:
            tied = (upto > 1) & (ranked[line, upto - 2] == value)
            if tied.any():
                again = np.bincount(line[tied], minlength=len(lists)) > 0
                here = again[line]
                row = (np.cumsum(again) - 1)[line[here]]
                keys = _distinct(lists[again])
                own = keys[row, query[here]]
                keys.sort(axis=1)
                where[here] = keys.shape[1] - _bisect(keys, row, own)
        else:
            sums = sums + value
        place.ravel()[pair], total.ravel()[pair] = where, sums
    return place, total


def _distinct(lists):
    """int64 keys in the same order, the earlier of equals larger."""
    if lists.dtype.itemsize > 4 or lists.dtype == np.uint32:
        return -_inverse(_descending(lists))
    if lists.dtype.kind == "f":  # order the bits; + 0 ends -0.0
        lists = (lists + np.float32(0)).view(np.int32)
        lists = lists ^ ((lists >> 31) & 0x7FFFFFFF)
    return (lists.astype(np.int64) << 32) + np.arange(len(lists[0]))[::-1]


def _bisect(ranked, line, value):
    """How many of row `line` of `ranked` (ascending) are <= `value`.

    ranked: [n_lines, length]; line, value, answer: [n_pairs].
    """
    length = ranked.shape[1]
    flat, base = ranked.ravel(), line * length - 1
    count = np.zeros(len(line), np.int64)
    for bit in reversed(range(length.bit_length())):
        more = count + (1 << bit)
        fits = more <= length
        fits &= flat[base + np.minimum(more, length)] <= value
        count = np.where(fits, more, count)
    return count


def _places(values):
    """Place of each in its row, smallest first, equals in order."""
    return _inverse(np.argsort(values, axis=1, kind="stable"))


def _inverse(order):
    """The place of each index in every row of `order`, [n, length]."""
    place = np.empty_like(order)
    index = np.broadcast_to(np.arange(order.shape[1]), order.shape)
    np.put_along_axis(place, order, index, axis=1)
    return place


def _spread(new, candidates, shape, direction):
    """New scores [n_queries, k] into a matrix of zeros, float32."""
    out = np.zeros(shape, np.float32)
    np.put_along_axis(_asking(out, direction), candidates, new, axis=1)
    return out


def _top_mean(lines, k) -> np.ndarray:
    """Mean of the k largest of each row, float64 [n_lines]."""
    n_lines, length = lines.shape
    k = min(k, length)
    means = np.empty(n_lines)
    for part in _blocks(n_lines, length):
        block = np.ascontiguousarray(lines[part])
        best = np.partition(block, length - k, axis=1)[:, length - k :]
        # sorted, so that the same values give the same sum anywhere
        means[part] = np.sort(best, axis=1).mean(axis=1, dtype=np.float64)
    return means
