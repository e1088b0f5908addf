"""From a split to batches: who is paired with whom."""

import dataclasses

import numpy as np
import pytest
import torch
from tiny import StubConfig

from rsir.models.caption_similarity import CaptionSimilarity
from rsir.training import trainer
from rsir.training.batches import PairDataset, PositivePairs
from rsir.utils.errors import RsirError


@pytest.fixture
def encoded(splits, stub):
    return trainer.build(StubConfig(), splits.train).encode_split(splits.train)


def test_an_epoch_shows_each_picture_once(encoded, splits):
    batch = PairDataset(encoded, seed=3).read(range(24))
    image, caption, text = (batch[k].numpy() for k in ("image", "caption", "text"))
    assert sorted(image) == list(range(24)) and (np.diff(image) < 0).any()
    assert (splits.train.owner[caption] == image).all()
    assert {*(caption - 2 * image)} == {0, 1}  # both captions get their turn
    assert (text == encoded.text_id[caption]).all()
    assert torch.equal(batch["texts"]["ids"], encoded.inputs["ids"][text])
    pooled = encoded.features["pooled"][image]
    assert np.array_equal(batch["images"]["pooled"], pooled)


@pytest.mark.parametrize("own", [range(8), range(4, 8)])
def test_what_is_read_ahead_is_what_is_asked_for(encoded, own):
    """The whole batch, and the half of the second of two processes."""
    ahead, plain = PairDataset(encoded, 1, stride=8), PairDataset(encoded, 1)
    reads = []
    ahead.read = lambda places: reads.append(places) or plain.read(places)
    wanted = [[place + start for place in own] for start in (0, 8, 16)]
    for epoch in range(2):
        reads.clear()
        ahead.draw(epoch), plain.draw(epoch)
        for places in wanted:
            a, b = ahead.__getitems__(places), plain.read(places)
            assert torch.equal(a["image"], b["image"])
            assert torch.equal(a["images"]["pooled"], b["images"]["pooled"])
        assert reads == wanted  # each once, and nothing past the end
    ahead.__getitems__(wanted[0])  # an epoch that stops half way leaves nothing
    ahead.draw(6), plain.draw(6)
    found = ahead.__getitems__(wanted[1])["image"]
    assert torch.equal(found, plain.read(wanted[1])["image"])


def test_pairs_know_shared_captions_and_similarity(encoded, splits):
    train = splits.train
    batch = PairDataset(encoded, seed=0).read(range(24))
    pairs = PositivePairs(encoded, similarity=True)(batch)
    truth = [
        [train.captions[c] in train.captions_of(i) for c in batch["caption"]]
        for i in batch["image"]
    ]
    assert pairs["positive"].tolist() == truth
    assert sum(map(sum, truth)) > 24  # some captions are shared
    whole = CaptionSimilarity(train.captions, train.owner).block(range(48), range(24))
    expected = whole[batch["caption"]][:, batch["image"]].T
    np.testing.assert_allclose(pairs["similarity"], expected)
    assert "similarity" not in PositivePairs(encoded, similarity=False)(batch)


def test_a_picture_without_caption_cannot_be_learned(splits, stub):
    train = splits.train
    bare = dataclasses.replace(
        train, captions=train.captions[2:], owner=train.owner[2:]
    )
    encoded = trainer.build(StubConfig(), train).encode_split(bare)
    with pytest.raises(RsirError, match=f"{train.ids[0]} has no caption"):
        PairDataset(encoded, seed=0)
