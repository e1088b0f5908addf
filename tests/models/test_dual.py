"""The dual baseline: its scores, its encoders, its start, its symmetries."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_models import TEXTS, encoded, images_of, small_config, small_model

from rsir.encoders.image import dihedral
from rsir.encoders.several import Several
from rsir.models.losses import contrastive
from rsir.retrieval.index import one_vector
from rsir.utils.errors import RsirError


@pytest.mark.parametrize("heads", [1, 3])
def test_the_score_is_the_mean_of_the_heads_cosines(heads):
    model = small_model("dual", heads=heads)
    images, texts = encoded(model)
    seen = model.standardise(images_of()["pooled"])
    said = model.text_features(model.text_encoder.tokenize(TEXTS))["pooled"]
    want = torch.zeros(6, 6)
    with torch.no_grad():
        for to_image, to_text in zip(model.to_image, model.to_text, strict=True):
            v, t = to_image(seen), to_text(said)
            want += F.cosine_similarity(v[:, None], t[None], dim=-1) / heads
    torch.testing.assert_close(model.score(images, texts), want)
    # one vector of length 1 each: what an index holds
    rows = one_vector(images, model)
    assert rows.shape == (6, heads * 16)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)


def test_each_pair_of_heads_has_a_loss_of_its_own():
    model = small_model("dual", heads=2)
    images, texts = encoded(model)
    positive = torch.eye(6, dtype=torch.bool)
    positive[5, 1] = True
    found = model.losses_of_sides(images, texts, {"positive": positive})
    each = [
        contrastive(F.normalize(v, dim=1) @ F.normalize(t, dim=1).T, 0.07, positive)
        for v, t in zip(images["v"].split(16, 1), texts["t"].split(16, 1))
    ]
    assert each[0] != each[1]
    torch.testing.assert_close(found["contrastive"], sum(each) / 2)


def test_more_encoders_stand_behind_the_first(splits, cached):
    model = small_model("dual", more_encoders=("efficientnet_lite0",), start="f4")
    assert isinstance(model.image_encoder, Several)
    assert model.to_image[0][0].in_features == 2 * 1280
    own = model.encode_split(splits.val, progress=False)
    assert own.features["pooled"].shape == (8, 2560)
    assert own.features["f4"].shape == (8, 320, 2, 2)
    # stored vectors are what a picture gives that comes alone
    picture = torch.from_numpy(model.image_encoder.pixels(splits.val.open(3)))[None]
    with torch.inference_mode():
        model.eval()
        alone = model.image_features(model.image_encoder.normalise(picture))
        assert alone.keys() == own.features.keys()
        a = model.encode_images({k: v.half() for k, v in alone.items()})["v"]
        b = model.encode_images(own.images([3]))["v"]
    torch.testing.assert_close(a, b, atol=2e-3, rtol=0)
    with pytest.raises(RsirError, match="image_trained is 'all': several encoders"):
        small_config("dual", more_encoders=("resnet18",), image_trained="all")


def test_a_vector_does_not_know_where_north_is():
    seen = images_of()
    around = seen | {"f3": dihedral(seen["f3"], 6)}
    for on in (True, False):
        model = small_model("dual", start="f3", dihedral=on)
        a, b = (encoded(model, images=x)[0]["v"] for x in (seen, around))
        assert torch.allclose(a, b, atol=1e-5) == on


def test_heads_start_on_stored_vectors_and_leave_no_trace():
    model = small_model("dual", head_epochs=40, start="f4", heads=2)
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
    again = small_model("dual", head_epochs=40, start="f4", heads=2)
    again.fit_statistics(train)
    first, second = (m.to_image[0][0].weight for m in (again, model))
    assert torch.equal(first, second)
    with torch.no_grad():
        model.eval()
        sides = model.encode_images({"pooled": pooled})
        texts = model.encode_texts(model.text_features(captions))
    assert (model.score(sides, texts).argmax(1) == torch.arange(6)).all()
