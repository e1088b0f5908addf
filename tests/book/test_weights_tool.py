"""The tool that trains the weights: several data sets as one, features stored once."""

import numpy as np
from tiny import TinyEncoder, cache, cached, draw, folder, splits  # noqa: F401

import weights
from rsir.data import load_dataset
from rsir.encoders import feature_cache
from rsir.encoders.several import Several

SIX = {"R@1": 1.0, "R@5": 2.0, "R@10": 3.0}
CARD = {
    "name": "dual",
    "use": "search uses it",
    "trained on": {"ucm": {"train": "ab12", "images": 1680, "captions": 8400}},
    "selected on": "val",
    "val mR": 51.5,
    "never seen": "test",
    "not for": {"rsitmd": "it has seen its test"},
    "seed": 0,
    "commit": "0123456789abcdef",
    "licence": "MIT",
    "recalls": {"ucm": {"i2t": SIX, "t2i": SIX, "mR": 2.0}},
}


def test_several_sets_are_one_split_in_their_order(splits, tmp_path):
    other = load_dataset(str(draw(tmp_path / "others", (6, 3, 3)))).train
    whole = weights.joined([splits.train, other])
    assert whole.n_images == 30 and whole.dataset == "squares+others"
    for i in range(6):
        assert whole.captions_of(24 + i) == other.captions_of(i)
        assert whole.images[24 + i] == other.images[i]
    assert whole.captions_of(5) == splits.train.captions_of(5)
    assert len({*whole.ids}) == 30


def test_features_of_the_parts_serve_the_whole(splits, tmp_path, monkeypatch):
    monkeypatch.setenv("RSIR_CACHE", str(tmp_path))

    class Model:
        image_encoder = Several([TinyEncoder(seed=0), TinyEncoder(seed=1)])
        reads = ("f3", "pooled")

    parts = [splits.val, splits.test]
    whole = weights.joined(parts)
    weights.copy_features(Model, whole, parts)
    monkeypatch.setattr(feature_cache, "_compute", None)  # all of it is there
    for member, names in zip(Model.image_encoder.members, (Model.reads, ["pooled"])):
        found = feature_cache.cached_features(member, whole, names)
        for name in names:
            one = [feature_cache.cached_features(member, p, names)[name] for p in parts]
            assert np.array_equal(found[name], np.concatenate(one))


def test_the_card_is_a_page():
    page = weights.page(CARD)
    assert "| ucm test | 1.00 | 2.00 | 3.00 | 1.00 | 2.00 | 3.00 | 2.00 |" in page
    assert "1,680 pictures" in page and "rsitmd: it has seen its test" in page
