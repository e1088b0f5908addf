"""S(T, T_I) against a plain loop written from the definition."""

import math
from collections import Counter

import numpy as np
import pytest

from rsir.data.text import stem, tokenize
from rsir.models.caption_similarity import CaptionSimilarity
from rsir.utils.errors import RsirError

WORDS = (
    "a plane planes is are parked near the green green tree trees road "
    "roads white house 2"
).split()


def grams(words, n):
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def bleu_loop(text, refs):
    logs = []
    for n in range(1, 5):
        own, top = grams(text, n), Counter()
        for r in refs:
            top |= grams(r, n)
        match, total = sum((own & top).values()), sum(own.values())
        if n == 1 and not match:
            return 0.0
        logs.append(math.log((match + (n > 1)) / (total + (n > 1))))
    closest = min(map(len, refs), key=lambda x: (abs(x - len(text)), x))
    return math.exp(sum(logs) / 4 + min(0.0, 1 - closest / len(text)))


def meteor_loop(text, ref):
    text, ref = ([stem(w) for w in words] for words in (text, ref))
    m = sum((grams(text, 1) & grams(ref, 1)).values())
    if not m:
        return 0.0
    p, r = m / len(text), m / len(ref)
    chunks = max(1, m - sum((grams(text, 2) & grams(ref, 2)).values()))
    apart = (chunks - 1) / (m - 1) if m > 1 else 0
    return 10 * p * r / (r + 9 * p) * (1 - 0.5 * apart**3)


def similarity_loop(text, refs):
    if not text:
        return float(any(not r for r in refs))
    return (bleu_loop(text, refs) + max(meteor_loop(text, r) for r in refs)) / 2


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_the_loop(seed):
    rng = np.random.default_rng(seed)
    owner = rng.permutation(np.repeat(range(7), rng.integers(1, 6, 7)))
    words = [list(rng.choice(WORDS, rng.integers(0, 9))) for _ in owner]
    captions = [" ".join(some) + " ." for some in words]
    texts, images = np.arange(len(captions))[::-1], np.array([3, 0, 6, 6, 1])
    got = CaptionSimilarity(captions, owner).block(texts, images)
    refs = [[w for w, o in zip(words, owner, strict=True) if o == i] for i in images]
    want = np.array([[similarity_loop(words[t], r) for r in refs] for t in texts])
    assert got.dtype == np.float32 and want.std() > 0.05
    np.testing.assert_allclose(got, want, atol=1e-6)
    assert tokenize(captions[0]) == words[0]


def test_empty_blocks():
    s = CaptionSimilarity(["a road", "a lake"], [0, 1])
    assert s.block([], [0]).shape == (0, 1)
    assert s.block([0, 1], []).shape == (2, 0)


@pytest.mark.parametrize(
    "owner, says", [([0], "1 for 2 captions"), ([0, 2], "captions of 3 images")]
)
def test_owners_that_do_not_fit_are_told(owner, says):
    with pytest.raises(RsirError, match=says):
        CaptionSimilarity(["a road", "a lake"], owner)
