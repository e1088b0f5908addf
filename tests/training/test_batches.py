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
    dataset = PairDataset(encoded, seed=3)
    seen, picked = [], []
    for start in range(0, 24, 6):
        batch = dataset.__getitems__(range(start, start + 6))
        seen += batch["image"].tolist()
        owners = splits.train.owner[batch["caption"]]
        assert owners.tolist() == batch["image"].tolist()
        for row, (caption, text) in enumerate(zip(batch["caption"], batch["text"])):
            assert text == encoded.text_id[caption]
            ids = encoded.inputs["ids"][text]
            assert torch.equal(batch["texts"]["ids"][row], ids)
            image = batch["image"][row]
            assert np.array_equal(
                batch["images"]["pooled"][row], encoded.features["pooled"][image]
            )
            picked.append((caption - 2 * image).item())
    assert sorted(seen) == list(range(24)) and seen != sorted(seen)
    assert set(picked) == {0, 1}  # both captions get their turn


@pytest.mark.parametrize("own", [range(8), range(4, 8)])
def test_what_is_read_ahead_is_what_is_asked_for(encoded, own):
    """The whole batch, and the half of the second of two processes."""
    ahead, plain = PairDataset(encoded, 1, stride=8), PairDataset(encoded, 1)
    reads = []
    ahead.read = lambda places: reads.append(places) or plain.read(places)
    for epoch in range(2):
        reads.clear()
        ahead.draw(epoch), plain.draw(epoch)
        wanted = [[place + start for place in own] for start in (0, 8, 16)]
        for places in wanted:
            a, b = ahead.__getitems__(places), plain.read(places)
            assert torch.equal(a["image"], b["image"])
            assert torch.equal(a["images"]["pooled"], b["images"]["pooled"])
        assert reads == wanted  # each once, and nothing past the end
    ahead.__getitems__(own)  # an epoch that stops half way leaves nothing behind
    ahead.draw(6), plain.draw(6)
    second = [place + 8 for place in own]
    found = ahead.__getitems__(second)["image"]
    assert torch.equal(found, plain.read(second)["image"])


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
