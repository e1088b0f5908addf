"""How alike a caption is to those of an image: S(T, T_I).

AMFMN, eq. (29), takes S in [0, 1] from "BLEU and METEOR" of a caption T against
the five captions T_I of an image I; the dynamic margin shrinks as S grows. The
released code has no such part: this is our reading. Explained in chapter 02.
"""

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from rsir.data.text import stem, tokenize
from rsir.utils.errors import RsirError


class CaptionSimilarity:
    """S = weight * BLEU + (1 - weight) * METEOR, in blocks.

    A sentence becomes the set of its (n-gram, k-th time) pairs: the clipped
    matches of two sentences are the size of a common set, a sparse product.

    **BLEU.** Clipped n-gram precisions up to `max_n` against all captions of
    the image together, add one above and below for n >= 2, geometric mean,
    brevity penalty with the closest caption length (of a tie, the shorter).

    **METEOR.** Matched stems m; precision P and recall R of them,
    F = 10 P R / (R + 9 P); penalty 0.5 * ((chunks - 1) / (m - 1))^3; the best
    caption counts. Unlike METEOR: no synonyms; chunks are not aligned but
    estimated, m minus the matched pairs of neighbouring stems; the penalty is
    0 for one chunk, so that a sentence is exactly 1 to itself.

    A caption without a word is 1 to an image that has such a caption, else 0.

    Args:
        captions: sentences, [n_captions].
        owner: image of each caption, [n_captions].
        weight: of BLEU, from 0 to 1.
        max_n: longest n-gram of BLEU.

    Raises:
        RsirError: owner does not fit, an image has no caption, or a weight out
            of range.
    """

    def __init__(
        self,
        captions: Sequence[str],
        owner: np.ndarray,
        *,
        weight: float = 0.5,
        max_n: int = 4,
    ):
        owner = np.asarray(owner, dtype=np.int64)
        if owner.shape != (len(captions),) or not len(captions):
            raise RsirError(
                f"owner has shape {owner.shape} for {len(captions)} "
                "captions; give one owner per caption, at least one"
            )
        if not 0 <= weight <= 1 or max_n < 1:
            raise RsirError(
                f"weight={weight} must lie in 0..1 and max_n={max_n} be at least 1"
            )
        counts = np.bincount(owner) if owner.min() >= 0 else [0]
        if np.min(counts) < 1:
            raise RsirError("every image from 0 to owner.max() needs a caption")
        self.weight, self.max_n = float(weight), int(max_n)
        self.n_texts, self.n_images = len(captions), len(counts)

        number: dict[tuple[str, ...], int] = {}
        self._row = np.array(
            [number.setdefault(tuple(tokenize(c)), len(number)) for c in captions]
        )  # caption -> distinct text
        words = list(number)
        stems = [tuple(stem(w) for w in ws) for ws in words]
        self._len = np.array([len(ws) for ws in words], dtype=float)

        belongs = sparse.csr_array(
            (np.ones(len(owner), np.float32), (owner, self._row)),
            shape=(self.n_images, len(words)),
        )  # duplicates are summed
        belongs.data[:] = 1
        belongs.sort_indices()
        self._refs = belongs
        self._grams, self._unions = [], []
        for n in range(1, max_n + 1):
            x = _pairs(words, n)  # [distinct, features]
            union = (belongs @ x).tocsr()
            union.data[:] = 1  # max over the captions
            self._grams.append(x)
            self._unions.append(union)
        self._stems = [_pairs(stems, n) for n in (1, 2)]

    def block(self, text_indices, image_indices) -> np.ndarray:
        """S for some captions and some images.

        Args:
            text_indices: captions, [n_texts] int.
            image_indices: images, [n_images] int.

        Returns:
            float32 [n_texts, n_images], each in [0, 1].
        """
        texts, back = np.unique(
            self._row[np.asarray(text_indices, dtype=np.int64)],
            return_inverse=True,
        )
        images = np.asarray(image_indices, dtype=np.int64)
        if images.size and not (0 <= images.min() and images.max() < self.n_images):
            raise IndexError(f"images run from 0 to {self.n_images - 1}")
        if not texts.size or not images.size:
            return np.zeros((len(back), images.size), np.float32)
        score = np.zeros((len(texts), len(images)))
        if self.weight > 0:
            score += self.weight * self._bleu(texts, images)
        if self.weight < 1:
            score += (1 - self.weight) * self._meteor(texts, images)
        return np.clip(score, 0, 1).astype(np.float32)[back.ravel()]

    def _references(self, images):
        """Distinct texts of the images, and where each image starts."""
        rows = self._refs[images]
        return rows.indices, rows.indptr[:-1]

    def _bleu(self, texts, images) -> np.ndarray:
        length = self._len[texts][:, None]  # [T, 1]
        log = np.zeros((len(texts), len(images)))  # [T, I]
        none = np.zeros_like(log, dtype=bool)
        for n in range(1, self.max_n + 1):
            match = _common(
                self._grams[n - 1][texts], self._unions[n - 1][images]
            )  # [T, I]
            total = np.maximum(length - n + 1, 0)
            if n == 1:
                none = match == 0
                match = np.where(none, 1, match)
                log += np.log(match / np.maximum(total, 1))
            else:
                log += np.log((match + 1) / (total + 1))
        refs, start = self._references(images)
        ref_len = self._len[refs][None, :]  # [1, R]
        # twice the distance, odd if longer: the shorter wins a tie
        off = 2 * np.abs(ref_len - length) + (ref_len > length)
        near = np.minimum.reduceat(off, start, axis=1)  # [T, I]
        sign = np.where(near % 2 == 1, 1, -1)
        closest = length + sign * (near // 2)
        brevity = np.minimum(0, 1 - closest / np.maximum(length, 1))
        bleu = np.exp(log / self.max_n + brevity)
        bleu[none] = 0
        return self._wordless(bleu, texts, refs, start)

    def _meteor(self, texts, images) -> np.ndarray:
        refs, start = self._references(images)
        distinct, place = np.unique(refs, return_inverse=True)
        one, two = self._stems
        m = _common(one[texts], one[distinct])  # [T, D]
        pairs = _common(two[texts], two[distinct])
        p = m / np.maximum(self._len[texts][:, None], 1)
        r = m / np.maximum(self._len[distinct][None, :], 1)
        f = 10 * p * r / np.maximum(r + 9 * p, 1e-12)
        chunks = np.maximum(m - pairs, 1)
        apart = (chunks - 1) / np.maximum(m - 1, 1)
        score = (f * (1 - 0.5 * apart**3))[:, place.ravel()]
        best = np.maximum.reduceat(score, start, axis=1)
        return self._wordless(best, texts, refs, start)

    def _wordless(self, score, texts, refs, start) -> np.ndarray:
        empty = self._len[texts] == 0
        if empty.any():
            has = np.logical_or.reduceat(self._len[refs] == 0, start)
            score[empty] = has[None, :]
        return score


def _pairs(sentences, n: int) -> sparse.csr_array:
    """Rows of ones at the (n-gram, k-th time) pairs of a sentence."""
    number: dict[tuple, int] = {}
    columns, starts = [], [0]
    for words in sentences:
        times: dict[tuple, int] = {}
        for i in range(len(words) - n + 1):
            gram = words[i : i + n]
            k = times[gram] = times.get(gram, 0) + 1
            columns.append(number.setdefault((gram, k), len(number)))
        starts.append(len(columns))
    return sparse.csr_array(
        (np.ones(len(columns), np.float32), columns, starts),
        shape=(len(sentences), max(1, len(number))),
    )


def _common(a: sparse.csr_array, b: sparse.csr_array) -> np.ndarray:
    """Sizes of common sets, float64 [rows of a, rows of b]."""
    return (a @ b.T).toarray().astype(float)
