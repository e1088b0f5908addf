"""A split as models read it: who is whose, and what is encoded once."""

import dataclasses

import numpy as np
import pytest
import torch
from tiny import TinyEncoder

from rsir.data.text import Vocabulary
from rsir.encoders import feature_cache, text_encoder
from rsir.encoders.encoded_split import EncodedSplit, text_features

pytestmark = pytest.mark.usefixtures("cached")
EVERY = ("pooled", "tokens", "mask")


@pytest.fixture(scope="module")
def gru(splits):
    vocabulary = Vocabulary.build(splits.train.captions, 1)
    return text_encoder("gru", vocabulary, embed=5, hidden=4)


def encoded(split, text, reads=("f4", "pooled"), *args, **options):
    return EncodedSplit(
        split, TinyEncoder(), text, reads, *args, progress=False, **options
    )


def test_equal_captions_are_one_text(splits, gru):
    train = splits.train
    found = encoded(train, gru)
    assert len(found.texts) == len(set(train.captions)) < train.n_captions
    assert [found.texts[t] for t in found.text_id] == list(train.captions)
    for image in range(train.n_images):
        n = found.n_captions_of[image]
        of = [found.texts[t] for t in found.texts_of[image, :n]]
        assert of == train.captions_of(image)
        own = train.caption_indices(image)
        assert found.captions_of[image, :n].tolist() == own.tolist()
    assert torch.equal(found.text_rows([2])["ids"], gru.tokenize(found.texts)[2:3])


def test_images_have_any_number_of_captions(splits, gru):
    split, owner = splits.val.subset(range(4)), np.array([1, 1, 3, 0, 1])
    split = dataclasses.replace(split, captions=tuple("abcab"), owner=owner)
    found = encoded(split, gru, reads=())
    assert found.features == {}
    no = [-1] * 3
    assert found.captions_of.tolist() == [[3, -1, -1], [0, 1, 4], no, [2, -1, -1]]
    assert found.texts_of.tolist() == [[0, -1, -1], [0, 1, 1], no, [2, -1, -1]]


@pytest.mark.parametrize("layers", [0, 1])
def test_what_is_frozen_is_computed_once(splits, layers):
    text = text_encoder("minilm", layers_trained=layers)
    found = encoded(splits.val, text, (), EVERY)
    assert set(found.inputs) == (set(EVERY) if not layers else {"ids", "frozen_prefix"})
    ids = text.tokenize(found.texts)
    inputs = found.inputs
    if layers:
        assert torch.equal(inputs["ids"], ids)
        inputs = text_features(text.eval(), inputs, EVERY)
    with torch.no_grad():
        for row in (0, 3):
            one = text(text.tokenize([found.texts[row]]))
            close = {"atol": 3e-3 if layers else 1e-5, "rtol": 1e-2}
            torch.testing.assert_close(inputs["pooled"][row], one.pooled[0], **close)
            n = one.tokens.shape[1]
            tokens, mask = inputs["tokens"][row], inputs["mask"][row]
            torch.testing.assert_close(tokens[:n], one.tokens[0], **close)
            assert mask[:n].all() and not mask[n:].any()


@pytest.mark.parametrize("layers, name", [(0, "pooled"), (1, "frozen_prefix")])
def test_texts_are_encoded_once_for_all_runs(
    splits, tmp_path, monkeypatch, layers, name
):
    monkeypatch.setenv("RSIR_CACHE", str(tmp_path))
    monkeypatch.setattr(feature_cache, "FEW", 1)
    text, split = text_encoder("minilm", layers_trained=layers), splits.val
    first = encoded(split, text, ()).inputs[name]
    passes = []
    text.model.register_forward_hook(lambda *_: passes.append(1))
    for part in text.model.encoder.layer[6 - layers :].parameters():
        part.data += 1.0  # a run that has learned
    again = encoded(split, text, ()).inputs[name]
    assert torch.equal(again, first) and again.dtype == first.dtype
    assert len(passes) == layers  # one sentence, to see what is frozen
    assert [facts["split"] for _, facts, _ in feature_cache.feature_sets()] == ["val"]
    text.model.embeddings.word_embeddings.weight.data += 1.0  # another encoder
    other = encoded(split, text, ()).inputs[name]
    assert not torch.equal(other, first)


@pytest.mark.parametrize("name", ["gru", "minilm"])
def test_extra_texts_stand_beside_each_caption(splits, gru, name):
    text = gru if name == "gru" else text_encoder("minilm", layers_trained=0)
    split = splits.val
    words = [" ".join(c.split()[:2]) for c in split.captions]
    found = encoded(split, text, (), extra_texts={"keywords": words})
    assert found.texts == list(split.captions)
    assert found.text_id.tolist() == list(range(split.n_captions))
    inputs = found.inputs
    if name == "gru":  # it learns: ids are kept
        assert torch.equal(inputs["keywords_ids"], gru.tokenize(words))
        inputs = text_features(gru.eval(), inputs, ("pooled",))
    assert set(inputs) == {"pooled", "keywords"}
    with torch.no_grad():
        plain = text(text.tokenize(words)).pooled
    torch.testing.assert_close(inputs["keywords"], plain, atol=1e-5, rtol=1e-4)
