"""The linear and the MLP baseline, and the head that they share."""

import torch
import torch.nn.functional as F
from tower_samples import features, make, pairs

from rsir.models import losses
from rsir.models.baselines import Linear
from rsir.models.layers import Standardise


def test_the_score_is_a_cosine_of_standardised_features_with_infonce():
    (images, texts), model = features(), make(Linear, temperature=0.1)
    stored = {"pooled": images["pooled"].numpy()}
    model.fit_statistics(type("Encoded", (), {"features": stored}))
    scaled = (images["pooled"] - images["pooled"].mean(0)) / images["pooled"].std(0)
    with torch.no_grad():
        v, t = model.to_image(scaled), model.to_text(texts["pooled"])
        found = model(images, texts)
    expected = F.cosine_similarity(v[:, None], t[None], dim=-1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    known, square = pairs(5), found[:, :5]
    loss = model.losses(square, known)["contrastive"]
    assert torch.equal(loss, losses.contrastive(square, 0.1, known["positive"]))


def test_features_are_scaled_by_the_train_split():
    layer, x = Standardise(3), torch.randn(50, 3) * torch.tensor([1.0, 100, 0]) + 5
    assert torch.equal(layer(x), x)  # before `fit`
    layer.fit(x)
    scaled = layer(x)
    assert scaled.mean(0).abs().max() < 1e-4
    torch.testing.assert_close(scaled.std(0)[:2], torch.ones(2))
    assert scaled[:, 2].abs().max() == 0  # what never changes stays finite
