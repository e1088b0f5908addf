"""GaLR: its modules against their equations, and its switches."""

import pytest
import torch
import torch.nn.functional as F
from tiny import TinyEncoder
from torch import nn

from rsir.models.galr import FUSIONS, GCN, MIDF, SA, SGA, Attention, GaLR, LayerNorm
from rsir.utils.errors import RsirError

DIM = 16


class Text(nn.Module):
    """Stands for a text encoder: only its length is asked for."""

    pretrained = False
    dim = 12


def galr(**options):
    torch.manual_seed(0)
    model = GaLR(TinyEncoder(64), Text(), **({"dim": DIM} | options))
    return model.eval()


@pytest.fixture
def features():
    draw = torch.Generator().manual_seed(1)
    images = {
        f"f{i}": torch.randn(5, *s, generator=draw)
        for i, s in enumerate(TinyEncoder(64).map_sizes(), 1)
    }
    images["pooled"] = torch.randn(5, 6, generator=draw)
    images["nodes"] = torch.randn(5, 20, 20, generator=draw)
    images["adjacency"] = torch.rand(5, 20, 20, generator=draw) / 10
    return images, {"pooled": torch.randn(5, 12, generator=draw)}


# -- layers -----------------------------------------------------------


def test_attention_over_one_item_is_a_linear_map():
    torch.manual_seed(0)
    attention = Attention(DIM, heads=4).eval()
    x = torch.randn(5, 1, DIM)
    one, two = torch.randn(5, 1, DIM), torch.randn(5, 1, DIM)
    read = attention(x, one)
    linear = attention.merge(attention.value(one))
    torch.testing.assert_close(read, linear)
    torch.testing.assert_close(read, attention(torch.randn_like(x), one))
    torch.testing.assert_close(
        attention(x, 0.3 * one + 0.7 * two), 0.3 * read + 0.7 * attention(x, two)
    )
    read.pow(2).sum().backward()
    for idle in (attention.query, attention.key):
        assert idle.weight.grad.abs().max() < 1e-6
    assert attention.value.weight.grad.abs().max() > 1e-3


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


def test_layer_norm_is_the_released_one():
    norm = LayerNorm(4)
    nn.init.constant_(norm.weight, 2.0)
    nn.init.constant_(norm.bias, 0.5)
    x = torch.tensor([[1.0, 2.0, 3.0, 6.0]])
    std = (14 / 3) ** 0.5  # unbiased
    expected = (x - 3) / (std + 1e-6) * 2 + 0.5
    torch.testing.assert_close(norm(x), expected)
    small = x * 1e-6  # the small number is added to the deviation
    expected = (small - 3e-6) / (std * 1e-6 + 1e-6) * 2 + 0.5
    torch.testing.assert_close(norm(small), expected)


def test_blocks_forget_scale_and_drop_only_in_training():
    torch.manual_seed(0)
    x, y = torch.randn(3, 1, DIM), torch.randn(3, 1, DIM)
    for block, inputs in ((SA(DIM), (x,)), (SGA(DIM), (x, y))):
        block.eval()
        still = block(*inputs)
        assert torch.equal(still, block(*inputs))
        assert still.mean(-1).abs().max() < 1e-5
        torch.testing.assert_close(
            still.std(-1), torch.ones(3, 1), atol=1e-4, rtol=1e-4
        )
        block.train()
        assert (block(*inputs) - still).abs().max() > 0.01
    guided = SGA(DIM).eval()
    assert (guided(x, y) - guided(x, -y)).abs().max() > 0.01


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


@pytest.mark.parametrize(
    "A, X, says",
    [
        ((2, 20, 20), (2, 19, 20), "X: shape \\(2, 19, 20\\)"),
        ((3, 20, 20), (2, 20, 20), "A: shape \\(3, 20, 20\\)"),
        ((2, 20), (2, 20, 20), "expected \\(2, 20, 20\\)"),
    ],
)
def test_wrong_shapes_of_a_graph_are_named(A, X, says):
    with pytest.raises(RsirError, match=says):
        GCN()(torch.zeros(A), torch.zeros(X))


# -- fusion -----------------------------------------------------------


def test_midf_weighs_two_terms():
    torch.manual_seed(0)
    midf = MIDF(DIM).eval()
    g, loc = torch.randn(5, DIM), torch.randn(5, DIM)
    with torch.no_grad():
        one, two, gamma = midf.terms(g, loc)
        torch.testing.assert_close(gamma.sum(1), torch.ones(5))
        mended = midf(g, loc)
        expected = gamma[:, :1] * one + gamma[:, 1:] * two
        torch.testing.assert_close(mended, expected)
        midf.released = True
        slipped = midf(g, loc)
        torch.testing.assert_close(slipped, gamma[:, :1] * (one + two))
        # the factor cancels: the head decides nothing about a score
        direction = F.normalize(slipped, dim=1)
        midf.dynamic_weight[3].bias += torch.tensor([2.0, -1.0])
        assert (midf(g, loc) - slipped).abs().max() > 0.01
        torch.testing.assert_close(F.normalize(midf(g, loc), dim=1), direction)
        # with both weights it decides
        midf.released = False
        assert (
            F.normalize(midf(g, loc), dim=1) - F.normalize(mended, dim=1)
        ).abs().max() > 0.01


def head_gradients(model, features):
    """Largest gradients: of the fusion's head, and of the GCN."""
    images, texts = features
    scores = model(images, texts)
    pairs = {"positive": torch.eye(5, dtype=torch.bool)}
    sum(model.losses(scores, pairs).values()).backward()
    grads = [p.grad for p in model.midf.dynamic_weight.parameters()]
    assert all(g is not None for g in grads)
    return (
        max(g.abs().max().item() for g in grads),
        model.gcn.fc1.weight.grad.abs().max().item(),
    )


@pytest.mark.parametrize(
    "options, learns",
    [
        ({"variant": "paper"}, True),
        ({"variant": "released"}, False),
        ({"variant": "paper", "fusion": "midf-released"}, False),
    ],
)
def test_the_released_head_gets_no_gradient(options, learns, features):
    head, graph = head_gradients(galr(**options), features)
    assert graph > 1e-3
    if learns:
        assert head > 1e-3 * graph
    else:
        assert head < 1e-5 * graph


# -- the model --------------------------------------------------------


@pytest.mark.parametrize("fusion", FUSIONS)
def test_score_is_the_cosine_of_two_sides(fusion, features):
    images, texts = features
    model = galr(fusion=fusion)
    with torch.no_grad():
        found = model(images, texts)
        visual = {"global": model.global_vector, "local": model.local_vector}
        if fusion in visual:
            v = visual[fusion](images)
        else:
            g, loc = (f(images) for f in visual.values())
            torch.testing.assert_close(g.norm(dim=1), torch.ones(5))
            torch.testing.assert_close(loc.norm(dim=1), torch.ones(5))
            v = g + loc if fusion == "sum" else model.midf(g, loc)
        t = model.to_text(texts["pooled"])
        expected = F.cosine_similarity(v[:, None], t[None], dim=-1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert found.std() > 0.05


def test_each_part_can_be_left_out(features):
    images, texts = features
    alone = galr(fusion="local")
    assert alone.reads == () and not hasattr(alone, "standardise")
    needed = {k: images[k] for k in alone.reads_local}
    torch.testing.assert_close(alone(needed, texts), alone(images, texts))
    alone = galr(fusion="global", mvsa=False)
    assert (alone.reads, alone.reads_local) == (("pooled",), ())
    assert alone.gcn is None and alone.midf is None
    alone({"pooled": images["pooled"]}, texts)
    assert galr(fusion="sum").midf is None
    with pytest.raises(RsirError, match="nodes and adjacency: missing"):
        galr()({"pooled": images["pooled"]}, texts)


def test_pictures_and_graphs_go_in_side_by_side(features):
    images, texts = features
    X, A = images["nodes"], images["adjacency"]
    model = galr()
    pictures = torch.randn(5, 3, 64, 64)
    with torch.no_grad():
        found = model(pictures, X, A, texts)
        encoded = model.image_features(pictures)
        encoded |= {"nodes": X, "adjacency": A}
        assert torch.equal(found, model(encoded, texts))
        alone = galr(fusion="local")
        assert torch.equal(alone(pictures, X, A, texts), alone(images, texts))
    with pytest.raises(RsirError, match="3 arguments"):
        model(pictures, X, texts)


def test_half_precision_features_are_read(features):
    images, texts = features
    model = galr()
    stored = {k: v.half() for k, v in images.items()}
    torch.testing.assert_close(
        model(stored, texts), model(images, texts), atol=1e-2, rtol=0.1
    )


def test_released_text_has_no_negative_numbers(features):
    _, texts = features
    t = galr(variant="released").encode_texts(texts)["t"]
    assert t.min() == 0 and t.max() > 0
    assert galr().encode_texts(texts)["t"].min() < 0


def test_losses_follow_the_switches():
    scores = torch.rand(4, 4)
    pairs = {"positive": torch.eye(4, dtype=torch.bool), "similarity": torch.rand(4, 4)}
    fixed = galr()
    assert not fixed.wants_similarity
    assert set(fixed.losses(scores, pairs)) == {"triplet_all"}
    moving = galr(margin=None, loss="both")
    assert moving.wants_similarity
    assert set(moving.losses(scores, pairs)) == {"triplet_all", "triplet_hard"}
    pairs["positive"][0, 1] = True
    less = galr(mask_shared=True).losses(scores, pairs)["triplet_all"]
    assert less < fixed.losses(scores, pairs)["triplet_all"]


@pytest.mark.parametrize(
    "options, says",
    [
        ({"fusion": "mean"}, "fusion is 'mean'"),
        ({"variant": "mine"}, "variant is 'mine'"),
        ({"loss": "some"}, "loss is 'some'"),
        ({"margin": None, "gamma": 2.0}, "gamma is 2.0"),
        ({"dim": 12}, "8 heads need a multiple of 8"),
    ],
)
def test_wrong_options_are_named(options, says):
    with pytest.raises(RsirError, match=says):
        galr(**options)


def test_a_dropped_picture_is_its_global_vector_alone(features):
    images, _ = features
    model = galr(fusion="sum", local_dropout=0.5)
    whole = model.local_vector(images)
    torch.testing.assert_close(whole.norm(dim=1), torch.ones(len(whole)))
    model.train()
    torch.manual_seed(3)
    lengths = torch.cat([model.local_vector(images).norm(dim=1) for _ in range(40)])
    none = (lengths == 0).float().mean()
    assert 0.3 < none < 0.7
    assert torch.allclose(lengths[lengths > 0], torch.tensor(1.0))
    alone = galr(fusion="local", local_dropout=0.5).train()
    assert (alone.local_vector(images).norm(dim=1) > 0).all()
