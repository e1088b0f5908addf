"""Plain forms from the definitions, to hold the package to."""

import numpy as np
import pytest


@pytest.fixture
def uneven_owner():
    """One to six captions an image, in shuffled order."""

    def make(rng, n_images):
        owner = np.repeat(np.arange(n_images), rng.integers(1, 7, n_images))
        return rng.permutation(owner)

    return make


@pytest.fixture
def queries():
    """(scores of the gallery, correct items) of every query, both ways."""

    def of(scores, owner, scores_t2i=None):
        owner = np.asarray(owner)
        other = scores if scores_t2i is None else scores_t2i
        own = [set(np.flatnonzero(owner == i)) for i in range(len(scores))]
        i2t = [(scores[i], own[i]) for i in range(len(scores)) if own[i]]
        t2i = [(other[:, j], {i}) for j, i in enumerate(owner) if i >= 0]
        return i2t, t2i

    return of
