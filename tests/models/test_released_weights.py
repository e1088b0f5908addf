"""Released checkpoints of AMFMN give their own scores under our names."""

import pytest
import released_amfmn as released
import torch

from rsir.data.text import Vocabulary
from rsir.models.amfmn import AMFMN
from rsir.utils.errors import RsirError

ATTENTIONS = ["soft", "fusion", "sim"]
EMBEDDING = "text_feature.seq2vec.embedding.weight"
GATE = "cross_attention_s.cross_attention.0.weight"


@pytest.fixture(scope="module")
def inputs():
    draw = torch.Generator().manual_seed(5)
    images = torch.randn(3, 3, 256, 256, generator=draw)
    ids = torch.randint(1, released.WORDS, (4, 9), generator=draw)
    ids[1, 4:] = 0
    ids[2, 1:] = 0
    ids[:, 7:] = 0  # columns that pad every row
    ids[3] = 0  # a blank caption
    return images, ids


@pytest.fixture(scope="module")
def state():
    return released.random_state("soft")


def test_the_written_names_are_those_of_the_release():
    assert [len(released.names(a)) for a in ATTENTIONS] == [150, 152, 152]


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_scores_are_those_of_the_release(attention, inputs):
    weights = released.random_state(attention)
    expected = released.scores(weights, attention, *inputs)
    model = AMFMN.from_official(weights, attention=attention)
    assert not model.training
    with torch.no_grad():
        found = model(*inputs)
    assert found.shape == (3, 4) and expected.std() > 0.01
    assert (found - expected).abs().max() < 1e-5
    with torch.no_grad():  # once more: nothing is drawn at random
        assert torch.equal(model(*inputs), found)


def test_parts_agree_before_they_meet(state, inputs):
    images, ids = inputs
    model = AMFMN.from_official(state)
    with torch.no_grad():
        v = model.encode_images(model.image_features(images))["v"]
        t = model.encode_texts(model.text_features(ids))["t"]
        for ours, theirs in (
            (v, released.image_vectors(state, images)),
            (t, released.text_vectors(state, ids)),
        ):
            far = (ours - theirs).abs().max() / theirs.abs().max()
            assert far < 1e-4 and theirs.std() > 0


def same_weights(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(
        torch.equal(a[k], b[k]) for k in a if not k.endswith("num_batches_tracked")
    )


def test_wrappings_of_a_checkpoint_are_taken_off(state):
    plain = AMFMN.from_official(state)
    for wrapped in (
        {"epoch": 7, "model": state, "best_rsum": 1.0},
        {"state_dict": {f"module.{k}": v for k, v in state.items()}},
        {
            k: v
            for k, v in state.items()  # an older torch has none
            if not k.endswith("num_batches_tracked")
        },
        {
            k: v
            for k, v in state.items()  # never called when released
            if not k.startswith("vgmf_gate.") and ".fc." not in k
        },
    ):
        assert same_weights(AMFMN.from_official(wrapped), plain)


def test_no_skip_thought_file_is_asked_for(state, monkeypatch):
    import rsir.encoders.text as text

    def refuse(*_):
        raise AssertionError("asked for skip-thought files")

    monkeypatch.setattr(text, "load_tables", refuse)
    model = AMFMN.from_official(state)
    assert model.text_encoder.embedding.num_embeddings == released.WORDS


def fails(state, says, **options):
    with pytest.raises(RsirError, match=says) as caught:
        AMFMN.from_official(state, **options)
    return str(caught.value)


def test_every_fault_is_listed(state):
    broken = dict(state)
    gone = [
        EMBEDDING,
        "mvsa.LF_conv.weight",
        "extract_feature.resnet.layer4.1.bn2.running_var",
    ]
    for name in gone:
        del broken[name]
    broken["mvsa.extra.weight"] = torch.zeros(1)
    broken["text_feature.seq2vec.rnn.oops"] = torch.zeros(1)
    broken["text_feature.to_out.weight"] = torch.zeros(512, 100)
    text = fails(broken, "missing: ")
    for name in gone:
        assert name in text.split("unexpected")[0]
    unexpected = text.split("unexpected: ")[1]
    assert "mvsa.extra.weight" in unexpected
    assert "text_feature.seq2vec.rnn.oops" in unexpected
    assert (
        "shape of text_feature.to_out.weight: (512, 100), expected (512, 2400)"
    ) in text


def test_another_kind_of_attention_is_not_accepted(state):
    text = fails(state, "AMFMN \\(fusion\\)", attention="fusion")
    assert "cross_attention_s.cross_attention_fc1.0.weight" in text
    assert GATE in text.split("unexpected: ")[1]
    fails(state, "attention is 'hard'", attention="hard")


def test_what_is_no_state_dict_is_named():
    fails({}, "empty")
    fails({"epoch": 3, "lr": 0.1}, "not a tensor: epoch, lr")
    fails([1, 2], "got list")
    other = fails({"conv1.weight": torch.zeros(1)}, "unexpected: conv1")
    assert EMBEDDING in other and GATE in other


def test_a_vocabulary_must_have_the_rows_of_the_table(state):
    words = [f"word{i}" for i in range(released.WORDS - 2)]
    fits = Vocabulary(["<pad>", "<unk>", *words])
    model = AMFMN.from_official(state, fits)
    ids = model.text_encoder.tokenize(["word3 word0", "never-seen"])
    assert ids.tolist() == [[5, 2], [1, 0]]
    few = Vocabulary(["<pad>", "<unk>"])
    fails(state, "2 words, but the checkpoint has 51", vocabulary=few)
    wordless = AMFMN.from_official(state)
    with pytest.raises(RsirError, match="vocabulary"):
        wordless.text_encoder.tokenize(["word3"])
