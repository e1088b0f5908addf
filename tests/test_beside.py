"""A second pair of heads: in both scores, and it learns by itself."""

import torch
import torch.nn.functional as F
from small_envlf import TEXTS, batch_of, images_of, small_model

from rsir.models.dual import Beside


def sides(model):
    with torch.no_grad():
        return (
            model.encode_images(images_of(model)),
            model.encode_texts(model.text_features(model.text_encoder.tokenize(TEXTS))),
        )


def test_both_scores_hold_the_weighted_cosine_of_h():
    model = small_model(beside=0.3).eval()
    images, texts = sides(model)
    n = len(TEXTS)
    h = 0.3 * F.cosine_similarity(images["h"][:n, None], texts["h"][None], dim=-1)
    listed = images["v"][:n] @ texts["t"].T + h
    assert torch.allclose(model.score(images, texts)[:n], listed, atol=1e-5)
    pairs = torch.cartesian_prod(torch.arange(n), torch.arange(n))
    model.reading = 0.0
    weighed = images["gate"][:n, None] * texts["t"][None]
    second = model.log_scale.exp() * (
        h + F.cosine_similarity(images["v"][:n, None], weighed, dim=-1)
    )
    with torch.no_grad():
        found = model.joint(images, texts, pairs).view(n, n)
    assert torch.allclose(found, second, atol=1e-3)


def test_its_loss_teaches_the_second_heads_and_not_the_first():
    model = small_model()
    terms = model.training_losses(batch_of(model), lambda x: x)
    terms["beside"].backward()
    moved = {
        name.split(".")[0]
        for name, x in model.named_parameters()
        if x.grad is not None and x.grad.abs().sum() > 0
    }
    assert "beside" in moved
    assert not moved & {"to_image", "to_text", "guidance", "fusion"}


def test_a_shared_caption_is_no_negative():
    torch.manual_seed(0)
    heads = Beside(6, 5, 8, 0.5, 0.07).eval()
    one, other = heads.image(torch.randn(4, 6)), heads.text(torch.randn(4, 5))
    apart, shared = torch.eye(4).bool(), torch.ones(4, 4).bool()
    hinges = [
        heads.loss(one, other, x) - heads_infonce(heads, one, other, x)
        for x in (apart, shared)
    ]
    assert hinges[0] > 0.05 and abs(hinges[1]) < 1e-5


def heads_infonce(heads, one, other, positive):
    from rsir.models.losses import contrastive

    return contrastive(heads.dshm.compared(one, other), 0.07, positive)


def test_without_a_weight_there_are_no_second_heads():
    model = small_model(beside=0.0).eval()
    images, texts = sides(model)
    assert model.beside is None and "h" not in images | texts
    assert torch.equal(model.score(images, texts), images["v"] @ texts["t"].T)
