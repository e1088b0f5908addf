"""From a split to batches: who is paired with whom."""

import dataclasses

import numpy as np
import pytest
import torch
from tiny import (  # noqa: F401
    cache,
    cached,
    folder,
    splits,
    tiny_recipe,
)

from rsir.models import build
from rsir.models.caption_similarity import CaptionSimilarity
from rsir.training.batches import Batches, Corpus, Pairs, over_texts
from rsir.utils.errors import RsirError

pytestmark = pytest.mark.usefixtures("cached")


@pytest.fixture(scope="module")
def model(splits):
    return build(tiny_recipe(), splits.train)


@pytest.fixture
def corpus(splits, model, cached):
    return Corpus(splits.train, model, progress=False)


def test_equal_captions_are_one_text(corpus, splits):
    train = splits.train
    assert len(corpus.texts) == len(set(train.captions)) < 48
    for caption, text in zip(train.captions, corpus.text_id):
        assert corpus.texts[text] == caption
    for image in range(24):
        of = [corpus.texts[t] for t in corpus.texts_of[image] if t >= 0]
        assert of == train.captions_of(image)


def test_an_epoch_shows_each_picture_once(corpus, splits):
    batches = Batches(corpus, seed=3)
    seen, picked = [], []
    for start in range(0, 24, 6):
        batch = batches.__getitems__(list(range(start, start + 6)))
        seen += batch["image"].tolist()
        owners = splits.train.owner[batch["caption"]]
        assert owners.tolist() == batch["image"].tolist()
        for row, (caption, text) in enumerate(zip(batch["caption"], batch["text"])):
            assert text == corpus.text_id[caption]
            ids = corpus.inputs["ids"][text]
            assert torch.equal(batch["texts"]["ids"][row], ids)
            image = batch["image"][row]
            assert np.array_equal(
                batch["images"]["pooled"][row], corpus.features["pooled"][image]
            )
            picked.append((caption - 2 * image).item())
    assert sorted(seen) == list(range(24)) and seen != sorted(seen)
    assert set(picked) == {0, 1}  # both captions get their turn


def test_order_follows_seed_and_epoch(corpus):
    def order(seed, epoch):
        batches = Batches(corpus, seed)
        batches.draw(epoch)
        return batches.order.tolist(), batches.pick.tolist()

    assert order(0, 4) == order(0, 4)
    assert len({str(order(s, e)) for s in (0, 1) for e in (0, 1)}) == 4


def test_accelerate_finds_no_epoch_of_its_own(corpus):
    """It would count from 0 again in a resumed run."""
    assert not hasattr(Batches(corpus, 0), "set_epoch")


def test_pairs_know_shared_captions_and_similarity(corpus, splits):
    train = splits.train
    batches = Batches(corpus, seed=0)
    batch = batches.__getitems__(list(range(24)))
    pairs = Pairs(corpus, similarity=True)(batch)
    truth = [
        [train.captions[c] in train.captions_of(i) for c in batch["caption"]]
        for i in batch["image"]
    ]
    assert pairs["positive"].tolist() == truth
    assert sum(map(sum, truth)) > 24  # some captions are shared
    whole = CaptionSimilarity(train.captions, train.owner).block(range(48), range(24))
    for row, image in enumerate(batch["image"]):
        for column, caption in enumerate(batch["caption"]):
            assert pairs["similarity"][row, column] == pytest.approx(
                whole[caption, image]
            )
    assert "similarity" not in Pairs(corpus, similarity=False)(batch)


def test_texts_come_back_in_order():
    ids = torch.tensor([[1, 2, 3], [4, 0, 0], [5, 6, 0], [7, 0, 0]])
    widths = []

    def encode(part):
        widths.append((part["ids"] != 0).sum(1).tolist())
        return {"first": part["ids"][:, 0], "x": part["x"]}

    x = torch.arange(4.0)
    out = over_texts({"ids": ids, "x": x}, encode, batch=2)
    assert out["first"].tolist() == [1, 4, 5, 7]
    assert torch.equal(out["x"], x)
    assert widths == [[1, 1], [2, 3]]  # short ones together


def test_a_picture_without_caption_cannot_be_learned(splits, model):
    train = splits.train
    bare = dataclasses.replace(
        train, captions=train.captions[2:], owner=train.owner[2:]
    )
    corpus = Corpus(bare, model, progress=False)
    with pytest.raises(RsirError, match=f"{train.ids[0]} has no caption"):
        Batches(corpus, seed=0)


def test_frozen_text_is_encoded_once(splits):
    recipe = tiny_recipe("linear", text_encoder="minilm", text_layers=0)
    model = build(recipe)
    corpus = Corpus(splits.val, model, progress=False)
    assert set(corpus.inputs) == {"pooled"}
    with torch.no_grad():
        one = model.text_encoder(model.text_encoder.tokenize([corpus.texts[3]]))
    torch.testing.assert_close(
        corpus.inputs["pooled"][3], one.pooled[0], atol=1e-5, rtol=1e-4
    )
    assert not corpus.inputs["pooled"].is_inference()


def test_keywords_are_those_of_the_picture(splits):
    model = build(tiny_recipe(keywords=True), splits.train)
    with pytest.raises(RsirError, match="no keywords"):
        Corpus(splits.val, model, progress=False)
    words = tuple(c.split()[:2] for c in splits.val.captions[::2])
    split = dataclasses.replace(splits.val, keywords=words)
    corpus = Corpus(split, model, progress=False)
    assert len(corpus.texts) == split.n_captions == 16
    for caption, image in enumerate(split.owner):
        told = corpus.inputs["keyword_ids"][caption]
        expected = model.text_encoder.tokenize([" ".join(words[image])])
        assert told[told != 0].tolist() == expected[0].tolist()
