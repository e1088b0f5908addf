"""How alike a caption is to those of an image: S(T, T_I).

AMFMN, eq. (29), takes it from "BLEU and METEOR" of a caption T against the
captions T_I of an image I. Not released: our reading. Explained in chapter 02.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy import sparse

from rsir.data.text import stem, tokenize
from rsir.utils.errors import RsirError

MAX_N = 4  # longest n-gram of BLEU


class CaptionSimilarity:
    """S = (BLEU + METEOR) / 2, in blocks.

    A sentence becomes the set of its (n-gram, k-th time) pairs: the clipped
    matches of two sentences are the size of a common set, a sparse product.

    **BLEU.** Clipped n-gram precisions up to 4 against all captions of the
    image together, add one above and below for n >= 2, geometric mean,
    brevity penalty with the closest caption length (of a tie, the shorter).

    **METEOR.** Matched stems m; precision P and recall R of them,
    F = 10 P R / (R + 9 P); penalty 0.5 * ((chunks - 1) / (m - 1))^3; the best
    caption counts. Unlike METEOR: no synonyms; chunks are not aligned but
    estimated, m minus the matched pairs of neighbouring stems; the penalty is
    0 for one chunk, so that a sentence is exactly 1 to itself.

    A caption without a word is 1 to an image that has such a caption, else 0.

    Args:
        captions: sentences, [n_captions].
        owner: image of each caption, [n_captions]; each image has a caption.
    """

    def __init__(self, captions: Sequence[str], owner: np.ndarray):
        owner = np.asarray(owner, dtype=np.int64)
        n_images = owner.max(initial=0) + 1
        if len(owner) != len(captions) or set(owner) != set(range(n_images)):
            raise RsirError(
                f"owner: {len(owner)} for {len(captions)} captions of {n_images} "
                "images; give one owner per caption, and each image a caption"
            )
        number: dict[tuple[str, ...], int] = {}
        self._row = np.array(
            [number.setdefault(tuple(tokenize(c)), len(number)) for c in captions]
        )  # caption -> distinct text
        words = list(number)
        stems = [tuple(stem(w) for w in ws) for ws in words]
        self._len = np.array([len(ws) for ws in words], dtype=float)
        own = np.ones(len(owner), np.float32), (owner, self._row)
        self._refs = sparse.csr_array(own, shape=(n_images, len(words)))
        self._refs.sort_indices()
        self._refs.data[:] = 1  # duplicates were summed
        self._grams = [_pairs(words, n) for n in range(1, MAX_N + 1)]
        self._unions = [(self._refs @ x).tocsr() for x in self._grams]
        for union in self._unions:
            union.data[:] = 1  # max over the captions
        self._stems = [_pairs(stems, n) for n in (1, 2)]

    def block(self, text_indices, image_indices) -> np.ndarray:
        """S in [0, 1] of some captions and some images: float32 [n_texts, n_images]."""
        texts = self._row[np.asarray(text_indices, dtype=np.int64)]
        images = np.asarray(image_indices, dtype=np.int64)
        rows = self._refs[images]
        refs, start = rows.indices, rows.indptr[:-1]  # texts of image after image
        score = 0.5 * self._bleu(texts, images, refs, start)
        score += 0.5 * self._meteor(texts, refs, start)
        has = np.logical_or.reduceat(self._len[refs] == 0, start)
        score[self._len[texts] == 0] = has
        return np.clip(score, 0, 1).astype(np.float32)

    def _bleu(self, texts, images, refs, start) -> np.ndarray:
        length = self._len[texts][:, None]  # [T, 1]
        log = np.zeros((len(texts), len(images)))  # [T, I]
        for n, (grams, unions) in enumerate(zip(self._grams, self._unions)):
            match = _common(grams[texts], unions[images])  # [T, I]
            total, one = np.maximum(length - n, 0), n > 0
            with np.errstate(divide="ignore"):  # no match: exp(-inf) is 0
                log += np.log((match + one) / np.maximum(total + one, 1))
        ref_len = self._len[refs][None, :]  # [1, R]
        # twice the distance, odd if longer: the shorter wins a tie
        off = 2 * np.abs(ref_len - length) + (ref_len > length)
        near = np.minimum.reduceat(off, start, axis=1)  # [T, I]
        brevity = 1 - (length + near // 2) / np.maximum(length, 1)
        brevity[near % 2 == 0] = 0  # the closest is not longer
        return np.exp(log / MAX_N + brevity)

    def _meteor(self, texts, refs, start) -> np.ndarray:
        m, pairs = (_common(x[texts], x[refs]) for x in self._stems)  # [T, R]
        p = m / np.maximum(self._len[texts][:, None], 1)
        r = m / np.maximum(self._len[refs][None, :], 1)
        f = 10 * p * r / np.maximum(r + 9 * p, 1e-12)
        chunks = np.maximum(m - pairs, 1)
        apart = (chunks - 1) / np.maximum(m - 1, 1)
        score = f * (1 - 0.5 * apart**3)
        return np.maximum.reduceat(score, start, axis=1)


def _pairs(sentences, n: int) -> sparse.csr_array:
    """Rows of ones at the (n-gram, k-th time) pairs of a sentence."""
    number: dict[tuple, int] = {}
    columns, starts = [], [0]
    for words in sentences:
        times = Counter()
        for i in range(len(words) - n + 1):
            times[gram := words[i : i + n]] += 1
            columns.append(number.setdefault((gram, times[gram]), len(number)))
        starts.append(len(columns))
    return sparse.csr_array(
        (np.ones(len(columns), np.float32), columns, starts),
        shape=(len(sentences), max(1, len(number))),
    )


def _common(a: sparse.csr_array, b: sparse.csr_array) -> np.ndarray:
    """Sizes of common sets, float64 [rows of a, rows of b]."""
    return (a @ b.T).toarray().astype(float)
