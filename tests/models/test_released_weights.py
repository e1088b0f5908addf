"""Released checkpoints give their own scores under our names."""

import re

import pytest
import released_amfmn
import released_galr
import torch
from released_amfmn import WORDS, random_state

from rsir.data.text import Vocabulary
from rsir.models.amfmn import AMFMN
from rsir.models.galr import GaLR
from rsir.utils.errors import RsirError

ATTENTIONS = ["soft", "fusion", "sim"]
EMBEDDING = "text_feature.seq2vec.embedding.weight"
GATE = "cross_attention_s.cross_attention.0.weight"
GUIDE = "fusion.g2l_SGA.mhatt2.linear_q.weight"


@pytest.fixture(scope="module")
def inputs():
    """Pictures, X, A and ids."""
    draw = torch.Generator().manual_seed(5)
    images = torch.randn(3, 3, 256, 256, generator=draw)
    X = torch.randn(3, 20, 20, generator=draw)
    A = torch.rand(3, 20, 20, generator=draw) / 10  # not symmetric
    X[1, 7:] = A[1, 7:] = A[1, :, 7:] = 0
    ids = torch.randint(1, WORDS, (4, 9), generator=draw)
    ids[1, 4:] = 0
    ids[2, 1:] = 0
    ids[:, 7:] = 0  # columns that pad every row
    ids[3] = 0  # a blank caption
    return images, X, A, ids


@pytest.fixture(scope="module")
def states():
    """A released state of each system, and our model of it."""
    found = {
        AMFMN: random_state(released_amfmn.names("soft")),
        GaLR: random_state(released_galr.names()),
    }
    return {cls: (state, cls.from_official(state)) for cls, state in found.items()}


def test_the_written_names_are_those_of_the_release():
    found = [released_amfmn.names(a) for a in ATTENTIONS] + [released_galr.names()]
    assert [len(names) for names in found] == [150, 152, 152, 239]


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_scores_of_amfmn_are_those_of_the_release(attention, inputs):
    images, _, _, ids = inputs
    weights = random_state(released_amfmn.names(attention))
    expected = released_amfmn.scores(weights, attention, images, ids)
    model = AMFMN.from_official(weights, attention=attention)
    assert not model.training
    with torch.no_grad():
        found = model(images, ids)
    assert found.shape == (3, 4) and expected.std() > 0.01
    assert (found - expected).abs().max() < 1e-5


def test_scores_of_galr_are_those_of_the_release(states, inputs, monkeypatch):
    state, model = states[GaLR]
    images, X, A, ids = inputs
    for bugs, mended in ((("gamma",), False), ((), True)):
        expected = released_galr.scores(state, *inputs, mended=mended)
        monkeypatch.setattr(model.midf, "released_bugs", bugs)
        with torch.no_grad():
            found = model(images, X, A, ids)
            doubles = model(images, X.double(), A.double(), ids)  # as numpy has them
        assert found.shape == (3, 4) and expected.std() > 0.01
        assert (found - expected).abs().max() < 1e-5
        assert torch.equal(doubles, found)


@pytest.mark.parametrize("cls", [AMFMN, GaLR])
def test_wrappings_of_a_checkpoint_are_taken_off(cls, states):
    state, model = states[cls]
    # never called when released, or unknown to an older torch
    unused = "vgmf_gate|resnet.fc|num_batches_tracked"
    few = {k: v for k, v in state.items() if not re.search(unused, k)}
    assert len(few) < len(state)
    for wrapped in (
        {"epoch": 7, "model": few, "best_rsum": 1.0},
        {"state_dict": {f"module.{k}": v for k, v in state.items()}},
    ):
        found = cls.from_official(wrapped).state_dict()
        for name, value in model.state_dict().items():
            assert torch.equal(found[name], value) or re.search(unused, name)


def fails(cls, state, says, **options):
    with pytest.raises(RsirError, match=says) as caught:
        cls.from_official(state, **options)
    return str(caught.value)


FAULTS = {
    AMFMN: {
        "gone": [EMBEDDING, "extract_feature.resnet.layer4.1.bn2.running_var"],
        "extra": ["mvsa.extra.weight", "text_feature.seq2vec.rnn.oops"],
        "wrong": ("text_feature.to_out.weight", (512, 100), (512, 2400)),
    },
    GaLR: {
        "gone": [EMBEDDING, GUIDE, "fusion.l2g_SGA.norm3.a_2"],
        "extra": ["fusion.g2g_SA.norm3.a_2", "fusion.extra.weight"],
        "wrong": ("fusion.dynamic_weight.3.weight", (3, 512), (2, 512)),
    },
}


@pytest.mark.parametrize("cls", [AMFMN, GaLR])
def test_every_fault_is_listed(cls, states):
    broken, faults = dict(states[cls][0]), FAULTS[cls]
    for name in faults["gone"]:
        del broken[name]
    for name in faults["extra"]:
        broken[name] = torch.zeros(1)
    wrong, found, expected = faults["wrong"]
    broken[wrong] = torch.zeros(found)
    text = fails(cls, broken, f"not a released {cls.__name__}.*checkpoint; missing: ")
    missing, rest = text.split("unexpected: ")
    assert all(name in missing for name in faults["gone"])
    assert all(name in rest for name in faults["extra"])
    assert f"shape of {wrong}: {found}, expected {expected}" in rest


def test_what_is_no_state_dict_is_named():
    fails(AMFMN, {}, "empty")
    fails(AMFMN, {"epoch": 3, "lr": 0.1}, "not a tensor: epoch, lr")
    fails(GaLR, [1, 2], "got list")


@pytest.mark.parametrize("cls", [AMFMN, GaLR])
def test_a_vocabulary_must_have_the_rows_of_the_table(cls, states):
    state, wordless = states[cls]
    few = Vocabulary(["<pad>", "<unk>"])
    fails(cls, state, "2 words, but the checkpoint has 51", vocabulary=few)
    with pytest.raises(RsirError, match="vocabulary"):
        wordless.text_encoder.tokenize(["word3"])
    words = [f"word{i}" for i in range(WORDS - 2)]
    model = cls.from_official(state, Vocabulary(["<pad>", "<unk>", *words]))
    ids = model.text_encoder.tokenize(["word3 word0", "never-seen"])
    assert ids.tolist() == [[5, 2], [1, 0]]
