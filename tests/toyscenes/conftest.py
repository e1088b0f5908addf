"""Scenes that the tests of this room share."""

import pytest

from toyscenes.generate import stream
from toyscenes.language.captions import describe
from toyscenes.scenes import SCENES
from toyscenes.scenes.common import Scenery


@pytest.fixture(scope="session")
def stages():
    """Every kind drawn twice, for the captions alone."""
    out = []
    for k, (kind, scene) in enumerate(SCENES.items()):
        for i in (0, 1):
            out.append(Scenery(kind, 0.1, stream(3, i, k, 0), stream(3, i, k, 1)))
            scene(out[-1])
    return out


@pytest.fixture(scope="session")
def told(stages):
    """Each stage with thirty specific captions of it."""
    return [
        (s, [t for j in range(6) for t in describe(s, stream(4, j, n, 2), 0.0)])
        for n, s in enumerate(stages)
    ]
