"""GaLR in the loop: graphs on disk, batches, training, presets."""

import dataclasses

import numpy as np
import pytest
import torch
from tiny import (  # noqa: F401
    TinyEncoder,
    cache,
    cached,
    folder,
    splits,
    tiny_recipe,
)

from rsir.encoders.object_graph import (
    DREA,
    cached_graphs,
    graph_of,
    graphs_seconds,
    region_source,
    regions_of_pyramid,
)
from rsir.models import build
from rsir.models.recipes import ROWS, recipe
from rsir.training.batches import Corpus
from rsir.training.trainer import score_split, train
from rsir.utils.errors import RsirError

pytestmark = pytest.mark.usefixtures("cached")


def pyramid_recipe(**changes):
    return tiny_recipe("galr", **({"regions": "pyramid"} | changes))


def test_graphs_are_made_once(splits, monkeypatch):
    source, encoder = region_source("pyramid"), TinyEncoder()
    first = cached_graphs(source, encoder, splits.val, progress=False)
    assert first["nodes"].shape == (8, 20, 20)
    assert first["adjacency"].shape == (8, 20, 20)
    assert first["looks"].shape == (8, 20, 4 + 5)
    assert graphs_seconds(source, encoder, splits.val) > 0

    def never(*_, **__):
        raise AssertionError("made twice")

    monkeypatch.setattr("rsir.encoders.object_graph.local_of_split", never)
    again = cached_graphs(source, encoder, splits.val, progress=False)
    for name, x in first.items():
        assert np.array_equal(again[name], x)
    for other in (
        (source, TinyEncoder(seed=1), True),
        (source, TinyEncoder(64), True),
        (source, encoder, DREA(boost=0)),
        (region_source("pyramid", seed=1), encoder, True),
    ):
        with pytest.raises(AssertionError, match="made twice"):
            cached_graphs(other[0], other[1], splits.val, other[2], progress=False)


def test_other_boxes_are_other_graphs(splits):
    source = region_source("boxes")
    from rsir.data import Box

    def made(x1):
        boxes = ((Box("roof", 20, 16, x1, 48),),) * 8
        split = dataclasses.replace(splits.val, objects=boxes)
        return cached_graphs(source, None, split, progress=False)

    assert not np.array_equal(made(44)["nodes"], made(60)["nodes"])


def test_a_damaged_graph_is_named(splits):
    source, encoder = region_source("pyramid"), TinyEncoder(seed=3)
    found = cached_graphs(source, encoder, splits.val, progress=False)
    path = found["looks"].filename
    del found
    with open(path, "wb") as file:
        file.write(b"no array")
    with pytest.raises(RsirError, match="damaged.*rsir cache clear"):
        cached_graphs(source, encoder, splits.val, progress=False)


def test_a_look_is_the_mean_over_the_merged():
    draw = np.random.default_rng(0)
    f3 = draw.standard_normal((4, 4, 4)).astype("f4")
    f4 = draw.standard_normal((5, 2, 2)).astype("f4")
    f4[:, 0, 0] = f4[:, 1, 1] = 9  # one thing in two places
    regions = regions_of_pyramid(f3, f4)
    looks = graph_of(regions, DREA(threshold=0.999))["looks"]
    both = regions.look[[16, 19]].mean(axis=0)
    near = np.abs(looks.astype("f4") - both).max(axis=1)
    assert near.min() < 1e-2
    assert not graph_of(regions)["looks"][-1].any()


@pytest.mark.parametrize("fusion", ["midf", "local", "global"])
def test_a_corpus_feeds_the_branches(fusion, splits):
    model = build(pyramid_recipe(fusion=fusion, look_width=6), splits.train)
    corpus = Corpus(splits.val, model, progress=False)
    assert set(corpus.features) == {*model.reads, *model.reads_local}
    assert ("looks" in corpus.features) == (fusion != "global")
    assert model.features_seconds(splits.val) > 0
    scores = score_split(model, splits.val)
    assert scores.shape == (8, 16) and np.isfinite(scores).all()


def test_missing_nodes_stay_silent():
    torch.manual_seed(0)
    from rsir.models.galr import GaLR

    class Text(torch.nn.Module):
        pretrained, dim = False, 12

    model = GaLR(TinyEncoder(), Text(), dim=16, fusion="local", look_width=6).eval()
    X = torch.randn(2, 20, 20)
    A = torch.rand(2, 20, 20)
    looks = torch.randn(2, 20, 9)
    X[:, 5:], A[:, 5:], A[:, :, 5:] = 0, 0, 0
    features = {"nodes": X, "adjacency": A, "looks": looks}
    before = model.local_vector(features)
    looks = looks.clone()
    looks[:, 5:] = 7
    after = model.local_vector(features | {"looks": looks})
    assert torch.equal(before, after)
    looks[:, 4] = 7
    after = model.local_vector(features | {"looks": looks})
    assert (before - after).abs().max() > 1e-4


def test_training_moves_both_branches(splits):
    run = train(pyramid_recipe(look_width=6), splits, progress=False)
    fresh = build(pyramid_recipe(look_width=6), splits.train)
    torch.manual_seed(0)
    for name in (
        "gcn.fc1.weight",
        "see.weight",
        "project.weight",
        "midf.dynamic_weight.3.weight",
    ):
        now = run.model.state_dict()[name]
        assert (now - fresh.state_dict()[name]).abs().max() > 1e-3
    assert run.val_mR > 100 * 7 / 24  # better than chance


def test_the_rows_differ_in_what_they_say():
    rows = {name: recipe("galr", "cpu", name) for name in ROWS["galr"]}
    assert list(rows)[0] == "midf"
    base = rows["midf"].to_dict()
    for name, row in rows.items():
        differs = {k for k, v in row.to_dict().items() if base[k] != v}
        assert len(differs) == (name != "midf"), name


def test_the_same_encoders_as_amfmn():
    for preset in ("toy", "cpu"):
        ours, theirs = (recipe(m, preset) for m in ("galr", "amfmn"))
        for name in (
            "image_encoder",
            "image_size",
            "views",
            "text_encoder",
            "text_layers",
            "lr",
            "batch",
            "loss",
            "gamma",
            "margin",
        ):
            assert getattr(ours, name) == getattr(theirs, name), name
