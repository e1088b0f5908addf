"""Released checkpoints of GaLR give their own scores under our names."""

import pytest
import released_galr as released
import torch
from released_amfmn import WORDS

from rsir.data.text import Vocabulary
from rsir.models.galr import GaLR
from rsir.utils.errors import RsirError

EMBEDDING = "text_feature.seq2vec.embedding.weight"
SLOT = "fusion.g2l_SGA.mhatt2.linear_q.weight"


@pytest.fixture(scope="module")
def inputs():
    draw = torch.Generator().manual_seed(5)
    images = torch.randn(3, 3, 256, 256, generator=draw)
    X = torch.randn(3, 20, 20, generator=draw)
    A = torch.rand(3, 20, 20, generator=draw) / 10  # not symmetric
    X[1, 7:] = 0
    A[1, 7:] = 0
    A[1, :, 7:] = 0
    ids = torch.randint(1, WORDS, (4, 9), generator=draw)
    ids[1, 4:] = 0
    ids[2] = 0  # a blank caption
    return images, X, A, ids


@pytest.fixture(scope="module")
def state():
    return released.random_state()


@pytest.fixture(scope="module")
def model(state):
    return GaLR.from_official(state)


def test_the_written_names_are_those_of_the_release(state):
    assert len(state) == 239
    shapes = {k: tuple(v.shape) for k, v in state.items()}
    assert shapes == released.names()


def test_scores_are_those_of_the_release(state, model, inputs):
    expected = released.scores(state, *inputs)
    assert not model.training
    with torch.no_grad():
        found = model(*inputs)
    assert found.shape == (3, 4) and expected.std() > 0.01
    assert (found - expected).abs().max() < 1e-5
    images, X, A, ids = inputs  # as numpy gives them
    with torch.no_grad():
        doubles = model(images, X.double(), A.double(), ids)
    assert torch.equal(doubles, found)


def test_each_part_agrees_before_they_meet(state, model, inputs):
    images, X, A, _ = inputs
    close = {"atol": 3e-5, "rtol": 1e-4}  # float32, any threads
    with torch.no_grad():
        features = model.image_features(images) | {"nodes": X, "adjacency": A}
        g, loc = (model.global_vector(features), model.local_vector(features))
        torch.testing.assert_close(loc, released.local_vectors(state, X, A), **close)
        for mended in (False, True):
            model.midf.released = not mended
            torch.testing.assert_close(
                model.midf(g, loc),
                released.image_vectors(state, images, X, A, mended),
                **close,
            )
    assert model.midf.released is False
    model.midf.released = True


def test_inputs_are_not_interchangeable(state, inputs):
    """The reference feels X, A and the order of guiding."""
    images, X, A, ids = inputs
    plain = released.scores(state, images, X, A, ids)
    for other in ((images, X, A.mT, ids), (images, X.mT, A, ids)):
        moved = released.scores(state, *other)
        assert (moved - plain).abs().max() > 1e-4
    swapped = dict(state)
    for name in state:
        if name.startswith("fusion.g2l_SGA."):
            twin = name.replace("g2l_SGA", "l2g_SGA")
            swapped[name], swapped[twin] = state[twin], state[name]
    moved = released.scores(swapped, *inputs)
    assert (moved - plain).abs().max() > 1e-4


def test_wrappings_of_a_checkpoint_are_taken_off(state, model):
    wrapped = {
        "epoch": 7,
        "model": {
            f"module.{k}": v
            for k, v in state.items()
            if not k.endswith("num_batches_tracked") and ".fc." not in k or ".mlp." in k
        },
    }
    ours, plain = GaLR.from_official(wrapped), model
    ours, plain = ours.state_dict(), plain.state_dict()
    assert ours.keys() == plain.keys()
    assert all(
        torch.equal(ours[k], plain[k])
        for k in ours
        if not k.endswith("num_batches_tracked")
    )


def fails(state, says, **options):
    with pytest.raises(RsirError, match=says) as caught:
        GaLR.from_official(state, **options)
    return str(caught.value)


def test_every_fault_is_listed(state):
    broken = dict(state)
    gone = [EMBEDDING, SLOT, "local_feature.fc2.weight", "fusion.l2g_SGA.norm3.a_2"]
    for name in gone:
        del broken[name]
    broken["fusion.g2g_SA.norm3.a_2"] = torch.zeros(512)
    broken["fusion.extra.weight"] = torch.zeros(1)
    broken["fusion.dynamic_weight.3.weight"] = torch.zeros(3, 512)
    broken["fusion.l2l_SA.ffn.mlp.fc.linear.bias"] = torch.zeros(7)
    text = fails(broken, "not a released GaLR checkpoint; missing: ")
    missing, rest = text.split("unexpected: ")
    for name in gone:
        assert name in missing
    assert "fusion.g2g_SA.norm3.a_2" in rest
    assert "fusion.extra.weight" in rest
    assert (
        "shape of fusion.dynamic_weight.3.weight: (3, 512), expected (2, 512)"
    ) in rest
    assert "shape of fusion.l2l_SA.ffn.mlp.fc.linear.bias: (7,)" in rest


def test_a_checkpoint_of_amfmn_is_not_accepted():
    text = fails(released.amfmn.random_state("soft"), "unexpected: ")
    assert "cross_attention_s.cross_attention.0.weight" in text
    assert SLOT in text


def test_a_vocabulary_must_have_the_rows_of_the_table(state):
    few = Vocabulary(["<pad>", "<unk>"])
    fails(state, "2 words, but the checkpoint has 51", vocabulary=few)
