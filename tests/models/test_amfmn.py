"""AMFMN: its score, its modules and its switches, from the equations."""

import dataclasses
import functools

import pytest
import torch
import torch.nn.functional as F
from tiny import tiny_config
from torch import nn
from tower_samples import features, make, pairs

from rsir.models import _mvsa_fast, build
from rsir.models.amfmn import ALL_RELEASED, AMFMN, FORMS, MVSA, Soft
from rsir.models.base import in_chunks
from rsir.models.layers import up2
from rsir.utils.errors import RsirError

PAIRWISE = [("fusion", ()), ("fusion", ("fusion",)), ("sim", ("sim",))]
KINDS = [("soft", ()), ("sim", ()), ("soft", ALL_RELEASED), *PAIRWISE]


def guided(form, bugs, vgmf, v, t):
    """t' of one picture and one sentence, from the equations."""
    if form == "soft":  # (20)
        return torch.sigmoid(vgmf.gate(v)) * t
    if form == "fusion":  # (21)(22)
        f = torch.cat([v, t])
        if "fusion" in bugs:
            return torch.sigmoid(vgmf.fc1(f)) * vgmf.fc2(f)
        return vgmf.fc1(f) * torch.sigmoid(vgmf.fc2(f))
    fv, ft = vgmf.visual(v), vgmf.text(t)  # (23)(24)
    if "sim" in bugs:
        return torch.sigmoid(fv * ft) * ft
    return torch.sigmoid(F.cosine_similarity(fv, ft, dim=0)) * ft  # (25)


def plain_scores(pictures, texts, guide):
    """Eq. (4), pair by pair."""
    cosine = F.cosine_similarity
    rows = [[cosine(v, guide(v, *t), dim=0) for t in zip(*texts)] for v in pictures]
    return torch.stack([torch.stack(row) for row in rows])


@pytest.mark.parametrize("attention, bugs", KINDS)
def test_scores_and_gradients_are_those_of_equation_4(attention, bugs):
    model = make(AMFMN, attention=attention, released_bugs=bugs)
    images, texts = features()
    found = model(images, texts)
    v_g = model.project(model.standardise(images["pooled"]))
    pictures = v_g * model.mvsa([images[f"f{i}"] for i in range(1, 5)])
    guide = functools.partial(guided, attention, bugs, model.guidance)
    plain = plain_scores(pictures, [model.to_text(texts["pooled"])], guide)
    assert found.shape == (5, 7) and found.std() > 0.05
    torch.testing.assert_close(found, plain, atol=1e-5, rtol=1e-4)
    weight, names = torch.randn(5, 7), dict(model.named_parameters())
    ours, theirs = (
        torch.autograd.grad((x * weight).sum(), names.values(), allow_unused=True)
        for x in (found, plain)
    )
    idle = set()
    for name, one, other in zip(names, ours, theirs):
        if one is not None:
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)
        elif other is not None:
            assert other.abs().max() < 1e-4
            idle.add(name)
    # in "sim" a positive factor cancels in the cosine: W_v learns nothing
    cancels = {"guidance.visual.weight", "guidance.visual.bias"}
    assert idle == (cancels if (attention, bugs) == KINDS[1] else set())


@pytest.mark.parametrize("attention, bugs", [("soft", ()), *PAIRWISE])
def test_chunks_change_nothing(attention, bugs, monkeypatch):
    model = make(AMFMN, attention=attention, released_bugs=bugs)
    images, texts = features()
    with torch.no_grad():
        whole = model(images, texts)
        small = functools.partial(in_chunks, cells=2 * 7 * 16)
        if attention == "soft":
            small = None  # it needs no [B, T, dim] at all
        monkeypatch.setattr("rsir.models.amfmn.in_chunks", small)
        torch.testing.assert_close(model(images, texts), whole)


@pytest.mark.parametrize("bugs", [(), ("prelu",), ("mean",), ("norm",), ALL_RELEASED])
def test_mvsa_is_equations_6_to_19(bugs):
    torch.manual_seed(0)
    mvsa = MVSA((2, 3, 4, 5), 4, 16, bugs)
    slopes = (1.0, 1.0) if "prelu" in bugs else (0.1, 0.4)
    for layer, slope in zip((mvsa.prelu_low, mvsa.prelu_high), slopes):
        for weight in layer.parameters():
            nn.init.constant_(weight, slope)
    maps = [features()[0][f"f{i}"] for i in range(1, 5)]
    v_l = torch.cat([maps[0], up2(maps[1])], 1)
    v_h = torch.cat([maps[2], up2(maps[3])], 1)
    low, high = mvsa.low(v_l), mvsa.high(v_h)
    low = torch.where(low > 0, low, slopes[0] * low)  # (14)
    high = torch.where(high > 0, high, slopes[1] * high)  # (15)
    added = high if "mean" in bugs else v_h
    both = added.mean(1, keepdim=True) + torch.cat([low, high], 1)  # (16)
    if "norm" not in bugs:
        both = both / both.norm(dim=1, keepdim=True)
    kept = mvsa.main(both) * torch.sigmoid(mvsa.gate(both))  # (17)-(19)
    mask = torch.sigmoid(mvsa.mask(kept.flatten(1)))
    torch.testing.assert_close(mvsa(maps), mask, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("side", [56, 64])
def test_the_fast_compression_is_the_plain_one(side):
    torch.manual_seed(3)
    low, high = nn.Conv2d(2 + 3, 3, 3, stride=4), nn.Conv2d(4 + 5, 3, 1)
    sizes = zip((2, 3, 4, 5), (1, 2, 4, 8))
    maps = [torch.randn(2, c, side // s, side // s) for c, s in sizes]
    weights = (low.weight, low.bias, high.weight, high.bias)
    results = []
    for levels in (MVSA.levels, _mvsa_fast.levels):
        found = levels(low, high, *maps)
        total = sum((x * x).sum() for x in found)
        results.append([*found, *torch.autograd.grad(total, weights)])
    assert results[0][0].shape == (2, 3, side // 4, side // 4)
    torch.testing.assert_close(*results, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("attention", FORMS)
def test_keywords_are_fused_as_in_26_and_27(attention):
    model = make(AMFMN, attention=attention, keywords=True)
    images, texts = features()

    def guide(v, s, k):
        s, k = (
            guided(attention, (), vgmf, v, t)
            for vgmf, t in ((model.guidance, s), (model.guidance_k, k))
        )
        w = torch.sigmoid(model.balance(torch.cat([s / s.norm(), k / k.norm()])))
        return s * w + k * (1 - w)

    with torch.no_grad():
        sides = texts["pooled"], model.to_keywords(texts["keywords"])
        plain = plain_scores(model.encode_images(images)["v"], sides, guide)
        torch.testing.assert_close(model(images, texts), plain, atol=1e-5, rtol=1e-4)
    with pytest.raises(RsirError, match="needs the keywords, too"):
        model(images, {"pooled": texts["pooled"]})


def test_a_query_has_the_keywords_of_its_picture(splits, cached):
    model = build(tiny_config(keywords=True, mvsa=False), splits.train).eval()
    with pytest.raises(RsirError, match="no keywords; set keywords=False"):
        model.encode_split(splits.val)
    words = (("roof",), ("ground", "one")) * 4
    split = dataclasses.replace(splits.val, keywords=words)
    encoded = model.encode_split(split, progress=False)
    assert encoded.texts == list(split.captions)  # none stands for another
    told = model.text_encoder.tokenize([" ".join(words[i]) for i in split.owner])
    assert torch.equal(encoded.inputs["keywords_ids"], told)
    scores = model(encoded.images(range(8)), encoded.inputs)
    assert scores.shape == (8, 16) and scores.isfinite().all()


def test_soft_needs_no_tensor_of_all_pairs():
    """2,000 x 3,000 pairs: their [B, T, dim] would be 0.4 GB."""
    vgmf = Soft(16)
    v, t = torch.randn(2000, 16), torch.randn(3000, 16)
    largest = []

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, call, types, args=(), kwargs=None):
            out = call(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                largest.append(out.numel())
            return out

    with torch.no_grad(), Watch():
        vgmf.score({"v": v} | vgmf.image_side(v), vgmf.text_side(t))
    assert max(largest) == 2000 * 3000


@pytest.mark.parametrize("mvsa", [True, False])
def test_each_part_can_be_left_out(mvsa):
    images, texts = features()
    model = make(AMFMN, mvsa=mvsa, guidance=False)
    assert ("f1" in model.reads) == mvsa and model.guidance is None
    with torch.no_grad():
        v = model.project(images["pooled"])  # v(g)
        if mvsa:
            v = v * model.mvsa([images[f"f{i}"] for i in range(1, 5)])  # F_v
        expected = F.normalize(v) @ F.normalize(texts["pooled"]).T
        only = {k: images[k] for k in model.reads}
        torch.testing.assert_close(model(only, texts), expected)


def test_losses_follow_the_switches():
    torch.manual_seed(0)
    scores, known = torch.rand(4, 4), pairs(4)
    scores[0, 1] = 1  # a wrong text that stands above the right one
    fixed = make(AMFMN, margin=0.2, loss="all")
    one = fixed.losses(scores, {"positive": known["positive"]})
    assert set(one) == {"triplet_all"} and not fixed.wants_similarity
    moving = make(AMFMN, margin=None, loss="both", gamma=0.6)
    assert moving.wants_similarity
    known["similarity"] = torch.ones(4, 4)  # no margin is left
    none = moving.losses(torch.ones(4, 4), known)
    assert set(none) == {"triplet_all", "triplet_hard"}
    assert sum(none.values()).item() == pytest.approx(0, abs=1e-5)
    known["positive"][0, 1] = True
    masked = make(AMFMN, margin=0.2, loss="all", mask_shared=True)
    assert masked.losses(scores, known)["triplet_all"] < one["triplet_all"]


@pytest.mark.parametrize(
    "options, says",
    [
        ({"attention": "hard"}, "attention is 'hard'; choose one of soft, fusion, sim"),
        ({"released_bugs": ("gamma",)}, "'gamma'; choose one of prelu"),
        ({"keywords": True, "guidance": False}, "keywords need guidance"),
        ({"margin": None, "gamma": 2.0}, "gamma is 2.0"),
    ],
)
def test_wrong_options_are_named(options, says):
    with pytest.raises(RsirError, match=says):
        AMFMN.Config(**options)
