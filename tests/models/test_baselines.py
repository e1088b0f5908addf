"""Heads that map into the space of comparison, and the MLP baseline."""

import torch
import torch.nn.functional as F
from rsir.models.recipes import recipe
from torch import nn

from rsir.models import build, losses
from rsir.models.amfmn import VGMF
from rsir.models.cross_encoder import contrasted
from rsir.models.layers import head


def test_a_head_is_two_layers_or_one_matrix():
    assert isinstance(head(5, 3, 0), nn.Linear)
    two, x = head(5, 3, 7), torch.randn(4, 5)
    one, _, other = two
    assert torch.allclose(two(x), other(F.relu(one(x))))
    assert one.weight.shape == (7, 5) and other.weight.shape == (3, 7)


def test_the_mlp_bends_what_the_linear_baseline_cannot():
    plain, bent = (build(recipe(name, "toy")).eval() for name in ("linear", "mlp"))
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(2, bent.image_encoder.dim, generator=draw)

    def curve(model):  # f(a) + f(b) - f(a + b) - f(0), raw
        f = model.to_image
        both = f(x[:1]) + f(x[1:]) - f(x[:1] + x[1:]) - f(0 * x[:1])
        return both.abs().max()

    assert curve(plain) < 1e-4 < 1e-2 < curve(bent)


def test_the_gate_adds_a_second_loss():
    torch.manual_seed(0)
    v, t = (F.normalize(torch.randn(4, 6), dim=1) for _ in range(2))
    positive = torch.eye(4).bool()
    alone = contrasted({"v": v}, {"t": t}, None, 0.1, positive)
    assert set(alone) == {"contrastive"}
    assert torch.equal(alone["contrastive"], losses.contrastive(v @ t.T, 0.1, positive))
    gate = VGMF(6, "soft", "paper")
    images = {"v": v} | gate.image_side(v)
    both = contrasted(images, {"t": t}, gate, 0.1, positive)
    assert torch.equal(both["contrastive"], alone["contrastive"])
    slow = F.cosine_similarity(v[:, None], images["gate"][:, None] * t[None], dim=-1)
    assert torch.allclose(
        both["weighing"], losses.contrastive(slow, 0.1, positive), atol=1e-5
    )
