"""Several encoders as one: the vectors of all, each stored under its own name."""

import numpy as np
import pytest
import torch
from tiny import TinyEncoder

from rsir.encoders.feature_cache import cached_features, feature_sets
from rsir.encoders.several import Several, stored_vectors
from rsir.utils.errors import RsirError


def test_maps_are_the_firsts_and_vectors_stand_in_a_row():
    a, b = TinyEncoder(seed=0, tta_views=(0, 6)), TinyEncoder(seed=1, tta_views=(0, 6))
    both = Several([a, b]).eval()
    images = torch.randn(3, 3, 32, 32)
    with torch.inference_mode():
        found, first, second = (e(images) for e in (both, a, b))
    assert both.name == "tiny+tiny" and both.dim == 12
    assert torch.equal(found.maps[2], first.maps[2])
    want = torch.cat([first.pooled, second.pooled], 1)
    torch.testing.assert_close(found.pooled, want)


def test_each_has_vectors_of_its_own_in_the_store(splits, tmp_path, monkeypatch):
    monkeypatch.setenv("RSIR_CACHE", str(tmp_path))
    a, b = TinyEncoder(seed=0), TinyEncoder(seed=1)
    alone = cached_features(a, splits.val, ["pooled"], progress=False)["pooled"]
    found = stored_vectors(Several([a, b]), splits.val, progress=False)
    assert found.dtype == np.float16 and found.shape == (8, 12)
    assert np.array_equal(found[:, :6], alone)
    assert len(list(feature_sets())) == 2
    assert np.array_equal(stored_vectors(a, splits.val), alone)


def test_members_must_read_the_same_pixels():
    other = TinyEncoder()
    other.mean = (0.5,) * 3
    with pytest.raises(RsirError, match="'tiny': takes pixels in another range"):
        Several([TinyEncoder(), other])
