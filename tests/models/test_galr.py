"""GaLR: its modules against their equations, its switches, its graphs."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny import tiny_config
from torch import nn
from tower_samples import features, make, pairs

from rsir.models import build
from rsir.models.base import score_split
from rsir.models.galr import ALL_RELEASED, GCN, Attention, GaLR, LayerNorm
from rsir.utils.errors import RsirError

DIM = 16
BOTH = ("midf", "sum")


def test_attention_over_many_items_is_torchs():
    """The same weights in `nn.MultiheadAttention`."""
    torch.manual_seed(0)
    ours = Attention(DIM, heads=4).eval()
    theirs = nn.MultiheadAttention(DIM, 4, batch_first=True).eval()
    parts = (ours.query, ours.key, ours.value)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([p.weight for p in parts]))
        theirs.in_proj_bias.copy_(torch.cat([p.bias for p in parts]))
        theirs.out_proj.weight.copy_(ours.merge.weight)
        theirs.out_proj.bias.copy_(ours.merge.bias)
        x, y = torch.randn(2, 3, DIM), torch.randn(2, 5, DIM)
        torch.testing.assert_close(ours(x, y), theirs(x, y, y)[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_layer_norm_is_the_released_one(scale):
    norm = LayerNorm(4)
    nn.init.constant_(norm.weight, 2.0)
    nn.init.constant_(norm.bias, 0.5)
    x = torch.tensor([[1.0, 2.0, 3.0, 6.0]]) * scale
    std = (14 / 3) ** 0.5 * scale  # unbiased; the small number is added to it
    torch.testing.assert_close(norm(x), (x - 3 * scale) / (std + 1e-6) * 2 + 0.5)


def test_gcn_is_its_equations_node_by_node():
    torch.manual_seed(0)
    gcn = GCN(nodes=4, width=6, dim=5)
    A, X = torch.rand(2, 4, 4), torch.randn(2, 4, 6)
    for b in range(2):
        x = X[b]
        for layer in (gcn.fc1, gcn.fc2, gcn.fc3):
            rows = []
            for i in range(4):
                heard = sum(A[b, i, j] * x[j] for j in range(4))
                rows.append((layer.weight @ heard).clamp(min=0))
            x = torch.stack(rows)
        expected = gcn.out.weight @ x.reshape(-1) + gcn.out.bias
        torch.testing.assert_close(gcn(A, X)[b], expected)
    assert gcn.fc2.out_features == 3


@pytest.mark.parametrize("fusion", [*BOTH, "global", "local"])
def test_score_is_the_cosine_of_two_sides(fusion):
    images, texts = features(text_dim=12)
    model = make(GaLR, 12, fusion=fusion)
    with torch.no_grad():
        found = model(images, texts)
        sides = {"global": model.global_vector, "local": model.local_vector}
        parts = [f(images) for name, f in sides.items() if fusion in (name, *BOTH)]
        for part in parts:
            torch.testing.assert_close(part.norm(dim=1), torch.ones(5))
        v = model.midf(*parts) if fusion == "midf" else sum(parts)
        t = model.to_text(texts["pooled"])
        expected = F.cosine_similarity(v[:, None], t[None], dim=-1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert found.std() > 0.05


@pytest.mark.parametrize(
    "options, says",
    [
        ({"fusion": "mean"}, "fusion is 'mean'"),
        ({"released_bugs": ("sim",)}, "released_bugs is 'sim'.* gamma"),
        ({"dim": 12}, "8 heads need a multiple of 8"),
        ({"regions": "yolo"}, "regions 'yolo': unknown"),
    ],
)
def test_wrong_options_are_named(options, says):
    with pytest.raises(RsirError, match=says):
        make(GaLR, **options)


def test_a_picture_needs_a_graph_of_twenty_nodes():
    model, (images, texts) = make(GaLR, 12), features(text_dim=12)
    with pytest.raises(RsirError, match=r"\(20, 9\)\), expected .*\(20, 20\)\)"):
        model(images | {"nodes": images["looks"]}, texts)
    del images["nodes"]
    with pytest.raises(RsirError, match="nodes: missing; .* fusion='global'"):
        model(images, texts)


def test_missing_nodes_stay_silent():
    model, (images, _) = make(GaLR, fusion="local", look_width=6), features()
    for name in ("nodes", "adjacency"):
        images[name][:, 5:] = 0
    images["adjacency"][:, :, 5:] = 0
    looks = images["looks"].clone()
    before = model.local_vector(images)
    looks[:, 5:] = 7
    assert torch.equal(model.local_vector(images | {"looks": looks}), before)
    looks[:, 4] = 7
    after = model.local_vector(images | {"looks": looks})
    assert (before - after).abs().max() > 1e-4


@pytest.mark.parametrize("fusion", ["midf", "local", "global"])
def test_a_split_feeds_the_branches(fusion, splits, cached):
    small = tiny_config("galr", regions="pyramid", fusion=fusion, look_width=6)
    model = build(small, splits.train)
    found = model.encode_split(splits.val, progress=False).features
    assert set(found) == {*model.reads, *model.reads_local}
    assert ("looks" in found) == (fusion != "global")
    scores = score_split(model, splits.val)
    assert scores.shape == (8, 16) and np.isfinite(scores).all()


@pytest.mark.parametrize(
    "bugs, learns", [((), True), (ALL_RELEASED, False), (("gamma",), False)]
)
def test_the_released_head_gets_no_gradient(bugs, learns):
    model, (images, texts) = make(GaLR, 12, released_bugs=bugs), features(5, 5, 12)
    sum(model.losses(model(images, texts), pairs(5)).values()).backward()
    grads = [p.grad.abs().max() for p in model.midf.dynamic_weight.parameters()]
    graph = model.gcn.fc1.weight.grad.abs().max()
    assert graph > 1e-3
    assert (max(grads) > 1e-3 * graph) if learns else (max(grads) < 1e-5 * graph)


def test_attention_over_one_item_is_a_linear_map():
    torch.manual_seed(0)
    attention = Attention(DIM, heads=4).eval()
    x = torch.randn(5, 1, DIM)
    one, two = torch.randn(5, 1, DIM), torch.randn(5, 1, DIM)
    read = attention(x, one)
    torch.testing.assert_close(read, attention.merge(attention.value(one)))
    torch.testing.assert_close(read, attention(torch.randn_like(x), one))
    mixed = attention(x, 0.3 * one + 0.7 * two)
    torch.testing.assert_close(mixed, 0.3 * read + 0.7 * attention(x, two))
    read.pow(2).sum().backward()
    for idle in (attention.query, attention.key):
        assert idle.weight.grad.abs().max() < 1e-6
    assert attention.value.weight.grad.abs().max() > 1e-3
