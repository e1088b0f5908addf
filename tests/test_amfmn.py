"""AMFMN: its score, its modules and its switches, from the equations."""

import pytest
import torch
import torch.nn.functional as F
from tiny import TinyEncoder
from torch import nn

from rsir.models.amfmn import (
    AMFMN,
    MVSA,
    VGMF,
    compress_high,
    compress_low,
    mean_of_high,
    up2,
)
from rsir.models.base import in_chunks
from rsir.utils.errors import RsirError

DIM = 16
KINDS = [(a, v) for a in ("soft", "fusion", "sim") for v in ("paper", "released")]


class Text(nn.Module):
    """Stands for a text encoder: only its length is asked for."""

    pretrained = False

    def __init__(self, dim):
        super().__init__()
        self.dim = dim


def amfmn(text_dim=DIM, **options):
    torch.manual_seed(0)
    model = AMFMN(TinyEncoder(64), Text(text_dim), **({"dim": DIM} | options))
    return model.eval()


def features(n_images=5, n_texts=7, text_dim=DIM):
    draw = torch.Generator().manual_seed(1)
    sides = TinyEncoder(64).map_sizes()
    images = {
        f"f{i}": torch.randn(n_images, *s, generator=draw)
        for i, s in enumerate(sides, 1)
    }
    images["pooled"] = torch.randn(n_images, 6, generator=draw)
    return images, {
        "pooled": torch.randn(n_texts, text_dim, generator=draw),
        "keywords": torch.randn(n_texts, text_dim, generator=draw),
    }


def guided(vgmf, v, t):
    """t' of one picture and one sentence, from the equations."""
    if vgmf.attention == "soft":  # (20)
        return torch.sigmoid(vgmf.gate(v)) * t
    if vgmf.attention == "fusion":  # (21)(22)
        f = torch.cat([v, t])
        if vgmf.variant == "released":
            return torch.sigmoid(vgmf.fc1(f)) * vgmf.fc2(f)
        return vgmf.fc1(f) * torch.sigmoid(vgmf.fc2(f))
    fv, ft = vgmf.visual(v), vgmf.text(t)  # (23)(24)
    if vgmf.variant == "released":
        return torch.sigmoid(fv * ft) * ft
    return torch.sigmoid(F.cosine_similarity(fv, ft, dim=0)) * ft  # (25)


def plain_scores(model, images, texts):
    """Eq. (4), pair by pair."""
    v_g = model.project(model.standardise(images["pooled"]))
    mask = model.mvsa([images[f"f{i}"] for i in range(1, 5)])
    t = model.to_text(texts["pooled"])
    if model.variant == "released":
        t = t.clamp(min=0)
    rows = [
        [F.cosine_similarity(v, guided(model.guidance, v, s), dim=0) for s in t]
        for v in v_g * mask
    ]
    return torch.stack([torch.stack(row) for row in rows])


@pytest.mark.parametrize("attention, variant", KINDS)
def test_score_is_equation_4_of_every_pair(attention, variant):
    model = amfmn(attention=attention, variant=variant)
    images, texts = features()
    with torch.no_grad():
        found = model(images, texts)
        plain = plain_scores(model, images, texts)
    assert found.shape == (5, 7)
    assert found.std() > 0.05
    torch.testing.assert_close(found, plain, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("attention, variant", KINDS)
def test_gradients_are_those_of_the_pairs(attention, variant):
    model = amfmn(attention=attention, variant=variant)
    images, texts = features()
    weight = torch.randn(5, 7)
    found = []
    for scores in (model(images, texts), plain_scores(model, images, texts)):
        model.zero_grad()
        (scores * weight).sum().backward()
        found.append(
            {
                k: p.grad.clone()
                for k, p in model.named_parameters()
                if p.grad is not None
            }
        )
    ours, plain = found
    unused = set(plain) - set(ours)
    if (attention, variant) == ("sim", "paper"):
        # a positive factor cancels in the cosine: W_v learns nothing
        assert unused == {"guidance.visual.weight", "guidance.visual.bias"}
        assert all(plain[k].abs().max() < 1e-5 for k in unused)
    else:
        assert not unused
    for name, grad in ours.items():
        torch.testing.assert_close(grad, plain[name], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    "attention, variant",
    [("fusion", "paper"), ("fusion", "released"), ("sim", "released")],
)
def test_chunks_change_nothing(attention, variant, monkeypatch):
    model = amfmn(attention=attention, variant=variant)
    images, texts = features()
    with torch.no_grad():
        whole = model(images, texts)
        sizes = []

        def small(pairwise, images, texts):
            def spy(part, texts):
                sizes.append(len(part["v"]))
                return pairwise(part, texts)

            return in_chunks(spy, images, texts, cells=2 * 7 * DIM)

        monkeypatch.setattr("rsir.models.amfmn.in_chunks", small)
        parts = model(images, texts)
    assert sizes == [2, 2, 1]
    torch.testing.assert_close(parts, whole)


def test_soft_needs_no_tensor_of_all_pairs():
    """2,000 x 3,000 pairs: their [B, T, dim] would be 0.4 GB."""
    vgmf = VGMF(DIM, "soft", "paper")
    v, t = torch.randn(2000, DIM), torch.randn(3000, DIM)
    largest = []

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, call, types, args=(), kwargs=None):
            out = call(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                largest.append(out.numel())
            return out

    with torch.no_grad(), Watch():
        image = {"v": v} | vgmf.image_side(v)
        vgmf.score(image, vgmf.text_side(t))
    assert max(largest) == 2000 * 3000


def test_a_sentence_of_zeros_scores_zero():
    model = amfmn(variant="released")
    images, texts = features()
    with torch.no_grad():
        model.to_text.bias.fill_(-100)  # ReLU leaves nothing
    scores = model(images, texts)
    assert (scores == 0).all()
    scores.sum().backward()
    assert all(
        p.grad.isfinite().all() for p in model.parameters() if p.grad is not None
    )


# -- MVSA -------------------------------------------------------------


@pytest.fixture
def maps():
    draw = torch.Generator().manual_seed(2)
    return [
        torch.randn(2, *shape, generator=draw) for shape in TinyEncoder(64).map_sizes()
    ]


def test_compression_equals_convolution_of_joint_maps(maps):
    f1, f2, f3, f4 = maps
    torch.manual_seed(3)
    low = nn.Conv2d(2 + 3, 3, 3, stride=4)
    high = nn.Conv2d(4 + 5, 3, 1)
    joint_low = torch.cat([f1, up2(f2)], 1)
    joint_high = torch.cat([f3, up2(f4)], 1)
    torch.testing.assert_close(
        compress_low(low, f1, f2), low(joint_low), atol=1e-5, rtol=1e-4
    )
    torch.testing.assert_close(
        compress_high(high, f3, f4), high(joint_high), atol=1e-5, rtol=1e-4
    )
    torch.testing.assert_close(
        mean_of_high(f3, f4), joint_high.mean(1, keepdim=True), atol=1e-6, rtol=1e-4
    )


@pytest.mark.parametrize("side", [56, 64])
def test_compression_reaches_the_grid_of_f3(side):
    conv = nn.Conv2d(2, 3, 3, stride=4)
    f1, f2 = torch.randn(1, 1, side, side), torch.randn(1, 1, side // 2, side // 2)
    out = compress_low(conv, f1, f2)
    assert out.shape == (1, 3, side // 4, side // 4)


@pytest.mark.parametrize("variant", ["paper", "released"])
def test_mvsa_is_equations_14_to_19(variant, maps):
    torch.manual_seed(0)
    mvsa = MVSA((2, 3, 4, 5), 4, DIM, variant)
    if variant == "paper":
        nn.init.constant_(mvsa.prelu_low.weight, 0.1)
        nn.init.constant_(mvsa.prelu_high.weight, 0.4)
    f1, f2, f3, f4 = maps
    v_l = torch.cat([f1, up2(f2)], 1)
    v_h = torch.cat([f3, up2(f4)], 1)
    low, high = mvsa.low(v_l), mvsa.high(v_h)
    if variant == "paper":
        low = torch.where(low > 0, low, 0.1 * low)  # (14)
        high = torch.where(high > 0, high, 0.4 * high)  # (15)
        both = v_h.mean(1, keepdim=True) + torch.cat([low, high], 1)
        both = both / both.norm(dim=1, keepdim=True)
    else:
        both = high.mean(1, keepdim=True) + torch.cat([low, high], 1)
    kept = mvsa.main(both) * torch.sigmoid(mvsa.gate(both))  # (17)-(19)
    torch.testing.assert_close(mvsa.salience(maps), kept, atol=1e-5, rtol=1e-4)
    mask = torch.sigmoid(mvsa.mask(kept.flatten(1)))
    torch.testing.assert_close(mvsa(maps), mask, atol=1e-5, rtol=1e-4)
    stored = [m.half() for m in maps]  # as features lie on disk
    torch.testing.assert_close(mvsa(stored), mask, atol=1e-2, rtol=1e-2)


# -- keywords, ablations, losses --------------------------------------


@pytest.mark.parametrize("attention", ["soft", "fusion", "sim"])
def test_keywords_are_fused_as_in_26_and_27(attention):
    model = amfmn(attention=attention, keywords=True)
    images, texts = features()
    with torch.no_grad():
        found = model(images, texts)
        v = model.encode_images(images)["v"]
        s, k = texts["pooled"], model.to_keywords(texts["keywords"])
        for i in range(5):
            for j in range(7):
                s_v = guided(model.guidance, v[i], s[j])
                k_v = guided(model.guidance_k, v[i], k[j])
                unit = [x / x.norm() for x in (s_v, k_v)]
                w = torch.sigmoid(model.balance(torch.cat(unit)))
                t = s_v * w + k_v * (1 - w)
                one = F.cosine_similarity(v[i], t, dim=0)
                assert found[i, j].item() == pytest.approx(one.item(), abs=1e-5)
    with pytest.raises(RsirError, match="needs the keywords"):
        model(images, {"pooled": texts["pooled"]})


def test_each_part_can_be_left_out():
    images, texts = features()
    with torch.no_grad():
        plain = amfmn(mvsa=False, guidance=False)
        assert plain.reads == ("pooled",)
        assert plain.mvsa is None and plain.guidance is None
        only = {"pooled": images["pooled"]}
        v = plain.project(images["pooled"])  # v(g) + s(g)
        expected = F.normalize(v) @ F.normalize(texts["pooled"]).T
        torch.testing.assert_close(plain(only, texts), expected)
        masked = amfmn(guidance=False)  # F_v + s(g)
        v = masked.encode_images(images)["v"]
        expected = F.normalize(v) @ F.normalize(texts["pooled"]).T
        torch.testing.assert_close(masked(images, texts), expected)
        assert (v - masked.project(images["pooled"])).abs().max() > 0.01


def test_text_is_projected_only_where_it_must_be():
    assert isinstance(amfmn().to_text, nn.Identity)
    assert amfmn(text_dim=9).to_text.in_features == 9
    assert amfmn(variant="released").to_text.in_features == DIM


def test_losses_follow_the_switches():
    scores = torch.rand(4, 4)
    pairs = {"positive": torch.eye(4, dtype=torch.bool), "similarity": torch.rand(4, 4)}
    fixed = amfmn(margin=0.2, loss="all")
    assert not fixed.wants_similarity
    one = fixed.losses(scores, {"positive": pairs["positive"]})
    assert set(one) == {"triplet_all"}
    moving = amfmn(margin=None, loss="both", gamma=0.6)
    assert moving.wants_similarity
    two = moving.losses(scores, pairs)
    assert set(two) == {"triplet_all", "triplet_hard"}
    pairs["similarity"] = torch.ones(4, 4)  # no margin is left
    none = moving.losses(torch.ones(4, 4), pairs)
    assert sum(none.values()).item() == pytest.approx(0, abs=1e-5)
    pairs["positive"][0, 1] = True
    masked = amfmn(margin=0.2, mask_shared=True)
    less = masked.losses(scores, pairs)["triplet_all"]
    more = fixed.losses(scores, pairs)["triplet_all"]
    assert less < more


@pytest.mark.parametrize(
    "options, says",
    [
        ({"attention": "hard"}, "attention is 'hard'"),
        ({"variant": "mine"}, "variant is 'mine'"),
        ({"variant": "mine", "mvsa": False}, "variant is 'mine'"),
        ({"loss": "some"}, "loss is 'some'"),
        ({"keywords": True, "guidance": False}, "keywords need guidance"),
        ({"margin": None, "gamma": 2.0}, "gamma is 2.0"),
    ],
)
def test_wrong_options_are_named(options, says):
    with pytest.raises(RsirError, match=says):
        amfmn(**options)
