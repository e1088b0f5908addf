"""S(T, T_I) against a plain loop written from the definition."""

import math
from collections import Counter

import numpy as np
import pytest

from rsir.data.text import stem, tokenize
from rsir.models.caption_similarity import CaptionSimilarity
from rsir.utils.errors import RsirError

SENTENCE = (
    "a plane planes is are parked near the green green tree trees road "
    "roads white house 2"
)
WORDS = SENTENCE.split()


def grams(words, n):
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def bleu_loop(text, refs, max_n):
    if not text:
        return float(any(not r for r in refs))
    logs = []
    for n in range(1, max_n + 1):
        own = grams(text, n)
        top = Counter()
        for r in refs:
            top |= grams(r, n)
        match, total = sum((own & top).values()), sum(own.values())
        if n == 1:
            if not match:
                return 0.0
            logs.append(math.log(match / total))
        else:
            logs.append(math.log((match + 1) / (total + 1)))
    closest = min(map(len, refs), key=lambda x: (abs(x - len(text)), x))
    brevity = min(0.0, 1 - closest / len(text))
    return math.exp(sum(logs) / max_n + brevity)


def meteor_loop(text, refs):
    if not text:
        return float(any(not r for r in refs))
    best = 0.0
    text = [stem(w) for w in text]
    for ref in refs:
        ref = [stem(w) for w in ref]
        m = sum((grams(text, 1) & grams(ref, 1)).values())
        if not m:
            continue
        p, r = m / len(text), m / len(ref)
        f = 10 * p * r / (r + 9 * p)
        chunks = max(1, m - sum((grams(text, 2) & grams(ref, 2)).values()))
        apart = (chunks - 1) / (m - 1) if m > 1 else 0
        best = max(best, f * (1 - 0.5 * apart**3))
    return best


def random_captions(seed, n_images=7):
    rng = np.random.default_rng(seed)
    owner = np.repeat(range(n_images), rng.integers(1, 6, n_images))
    owner = rng.permutation(owner)
    return [
        " ".join(rng.choice(WORDS, rng.integers(0, 9))) + " ." for _ in owner
    ], owner


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("weight, max_n", [(0.5, 4), (1, 2), (0, 4)])
def test_agrees_with_the_loop(seed, weight, max_n):
    captions, owner = random_captions(seed)
    fast = CaptionSimilarity(captions, owner, weight=weight, max_n=max_n)
    texts = np.arange(len(captions))[::-1]
    images = np.array([3, 0, 6, 6, 1])
    got = fast.block(texts, images)
    words = [tokenize(c) for c in captions]
    want = np.zeros_like(got)
    for a, t in enumerate(texts):
        for b, i in enumerate(images):
            refs = [w for w, o in zip(words, owner, strict=True) if o == i]
            bleu, meteor = bleu_loop(words[t], refs, max_n), meteor_loop(words[t], refs)
            want[a, b] = weight * bleu + (1 - weight) * meteor
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, atol=1e-6)
    assert want.std() > 0.05


def test_empty_blocks_and_bad_input():
    s = CaptionSimilarity(["a road", "a lake"], [0, 1])
    assert s.block([], [0]).shape == (0, 1)
    assert s.block([0, 1], []).shape == (2, 0)
    for captions, owner, options, says in (
        (["a road"], [0, 1], {}, "one owner per caption"),
        (["a road", "a lake"], [0, 2], {}, "needs a caption"),
        (["a road"], [0], {"weight": 2}, "weight=2"),
    ):
        with pytest.raises(RsirError, match=says):
            CaptionSimilarity(captions, owner, **options)
