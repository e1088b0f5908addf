"""The dual baseline: its scores, its start on stored vectors, its symmetries."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_models import TEXTS, encoded, images_of, small_model

from rsir.encoders.image import dihedral


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_the_score_is_a_sum_of_cosines(weight):
    model = small_model("dual", second_head=weight)
    images, texts = encoded(model)
    want = sum(
        w * F.cosine_similarity(images[k][:, None], texts[k][None], dim=-1)
        for k, w in {"v": 1.0, "h": weight}.items()
        if w
    )
    torch.testing.assert_close(model.score(images, texts), want)
    assert ("h" in images) == bool(weight)


def test_a_vector_does_not_know_where_north_is():
    seen = images_of()
    around = seen | {"f3": dihedral(seen["f3"], 6)}
    for on in (True, False):
        model = small_model("dual", start="f3", dihedral=on)
        a, b = (encoded(model, images=x)[0]["v"] for x in (seen, around))
        assert torch.allclose(a, b, atol=1e-5) == on


def test_heads_start_on_stored_vectors_and_leave_no_trace():
    model = small_model("dual", head_epochs=40, start="f4")
    captions = model.text_encoder.tokenize(TEXTS)
    pooled = images_of()["pooled"]
    train = SimpleNamespace(
        features={"pooled": pooled.numpy()},
        inputs={"ids": captions},
        texts_of=np.arange(6)[:, None],
        n_captions_of=np.ones(6, dtype=np.int64),
    )
    stages = [p.clone() for p in model.stages.parameters()]
    model.train()
    model.fit_statistics(train)
    assert model.training and all(p.grad is None for p in model.parameters())
    for a, b in zip(stages, model.stages.parameters(), strict=True):
        assert torch.equal(a, b)
    again = small_model("dual", head_epochs=40, start="f4")
    again.fit_statistics(train)
    assert torch.equal(again.to_image[0].weight, model.to_image[0].weight)
    with torch.no_grad():
        model.eval()
        sides = model.encode_images({"pooled": pooled})
        texts = model.encode_texts(model.text_features(captions))
    assert (model.score(sides, texts).argmax(1) == torch.arange(6)).all()
