"""CFITR's two scores, its losses and its slips."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_cfitr import batch, encoded, small
from torch import nn

from rsir.models.cross_encoder import SLIPS
from rsir.utils.errors import RsirError


def test_coarse_scores_are_minus_the_bits_that_differ():
    model = small()
    images, texts = encoded(model)
    far = (images["code"][:, None] != texts["code"][None]).sum(-1)
    assert torch.equal(model.score(images, texts), -far.float())
    model.coarse = "float"
    cosine = F.cosine_similarity(images["h"][:, None], texts["h"][None], dim=-1)
    assert torch.allclose(model.score(images, texts), cosine, atol=1e-6)
    with pytest.raises(RsirError, match="here it may be hash, float; "):
        small(coarse="vectors")


def test_joint_scores_depend_on_the_pair_and_on_nothing_else():
    model = small(from_coarse=True)
    images, texts = encoded(model)
    pairs = torch.tensor([[i, t] for i in range(6) for t in range(6)])
    with torch.inference_mode():
        whole = model.joint(images, texts, pairs)
        for n in (0, 7, 33):
            one = model.joint(images, texts, pairs[n : n + 1])
            assert torch.allclose(one[0], whole[n], atol=1e-5)
        nn.init.zeros_(model.ssm.rank.weight)
        plain = model.joint(images, texts, pairs).view(6, 6)
    model.coarse = "float"
    order = model.score(images, texts).argsort(1)
    assert torch.equal(plain.argsort(1), order)
    both = small(from_coarse=True, vectors=12, coarse="vectors")
    nn.init.zeros_(both.ssm.rank.weight)
    images, texts = encoded(both)
    with torch.inference_mode():
        plain = both.joint(images, texts, pairs).view(6, 6)
    assert torch.equal(plain.argsort(1), both.score(images, texts).argsort(1))


def test_the_fine_score_starts_at_gated_vectors_and_h_beside():
    model = small(from_coarse=True, vectors=12, gate=True, beside=0.3)
    nn.init.zeros_(model.ssm.rank.weight)
    images, texts = encoded(model)
    pairs = torch.tensor([[i, t] for i in range(6) for t in range(6)])
    with torch.inference_mode():
        fine = model.joint(images, texts, pairs).view(6, 6)
    gated = images["gate"][:, None] * texts["t"][None]
    cosine = F.cosine_similarity(images["v"][:, None], gated, dim=-1)
    cosine = cosine + 0.3 * F.cosine_similarity(
        images["h"][:, None], texts["h"][None], dim=-1
    )
    assert torch.allclose(fine, model.log_scale.exp() * cosine, atol=1e-4)
    model.coarse = "gated"
    assert torch.allclose(model.score(images, texts), cosine, atol=1e-5)
    with pytest.raises(RsirError, match="coarse is 'gated'"):
        small(coarse="gated", vectors=12)
    terms = model.train().training_losses(batch(), lambda x: x)
    terms["vectors"].backward()
    assert model.gate.gate.weight.grad.abs().sum() > 0


def test_every_part_that_should_learn_gets_a_gradient():
    model = small(false_images=2, grid=2).train()
    terms = model.training_losses(batch(), lambda x: x)
    assert set(terms) == {"triplet", "quantise", "balance", "ssm"}
    sum(terms.values()).backward()
    idle = [
        n for n, p in model.named_parameters() if p.requires_grad and p.grad is None
    ]
    assert idle == ["log_scale"]  # only read from the coarse score
    assert model.ssm.blocks[0].query.weight.grad.abs().sum() > 0
    more = small(vectors=12).train().training_losses(batch(), lambda x: x)
    assert "vectors" in more and more["vectors"] > 0
    assert "ssm" not in small(ssm=0.0).train().training_losses(batch(), lambda x: x)


def test_own_captions_are_no_false_texts_unless_as_released(monkeypatch):
    drawn = {}
    import rsir.models.cross_encoder as module

    real = module.hard_negatives

    def spy(scores, positive, n, temperature):
        drawn.setdefault("positive", []).append(positive.clone())
        return real(scores, positive, n, temperature)

    monkeypatch.setattr(module, "hard_negatives", spy)
    shared = batch()
    shared["pairs"]["positive"][0, 3] = True  # the same sentence
    for slips, kept in (((), True), (("false",), False)):
        drawn.clear()
        small(slips=slips, false_images=1).train().training_losses(shared, lambda x: x)
        *texts, pictures = drawn["positive"]
        assert all(bool(x[0, 3]) == kept for x in texts)
        assert bool(pictures[0, 3])  # a slip of texts alone


def test_slips_are_switched_one_by_one_or_all_at_once():
    assert small().slips == frozenset()
    assert small(variant="released").slips == frozenset(SLIPS)
    one = small(slips=("lfem",))
    assert one.lfem.variant == "released"
    assert one.dshm.variant == "paper"
    calm, shaky = small(pool="position"), small(pool="position", slips=("patches",))
    a, b = (encoded(calm)[0]["h"] for _ in range(2))
    assert torch.equal(a, b)
    a, b = (encoded(shaky)[0]["h"] for _ in range(2))
    assert not torch.equal(a, b)
    with pytest.raises(RsirError, match="slip 'x': unknown"):
        small(slips=("x",))


def test_wrong_options_are_user_errors():
    for options, says in (
        ({"variant": "new"}, "variant is 'new'"),
        ({"coarse": "bits"}, "coarse is 'bits'"),
        (
            {"coarse": "gated", "vectors": 8},
            "may be hash, float, vectors; .* 'gated' gate=True",
        ),
        ({"hard_texts": 9}, "hard_texts is 9"),
        ({"image_blocks": 4}, "image_blocks is 4"),
        ({"pool": "max"}, "pool is 'max'"),
        ({"gate": True}, "gate is True and warm 0: both need"),
        ({"warm": 3}, "gate is False and warm 3: both need"),
    ):
        with pytest.raises(RsirError, match=says):
            small(**options)


def test_a_model_learns_six_pairs_by_heart():
    model = small(from_coarse=True, quantise=1e-4, balance=1e-4)
    optimiser = torch.optim.Adam(
        [p for p in model.parameters() if p.requires_grad], 5e-3
    )
    model.train()
    for _ in range(150):
        optimiser.zero_grad()
        sum(model.training_losses(batch(), lambda x: x).values()).backward()
        optimiser.step()
    images, texts = encoded(model)
    scores = model.score(images, texts).numpy()
    hits = (scores.argmax(1) == np.arange(6)).mean()
    pairs = torch.tensor([[i, t] for i in range(6) for t in range(6)])
    with torch.inference_mode():
        fine = model.joint(images, texts, pairs).view(6, 6)
    assert hits >= 5 / 6
    assert (fine.argmax(1) == torch.arange(6)).all()
