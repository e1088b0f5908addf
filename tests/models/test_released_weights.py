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
def galr():
    """A released state, and our model of it."""
    state = random_state(released_galr.names())
    return state, GaLR.from_official(state)


def same(found, expected):
    assert found.shape == (3, 4) and expected.std() > 0.01
    assert (found - expected).abs().max() < 1e-5


def test_the_written_names_are_those_of_the_release():
    found = [released_amfmn.names(a) for a in ATTENTIONS] + [released_galr.names()]
    assert [len(names) for names in found] == [150, 152, 152, 239]


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_scores_of_amfmn_are_those_of_the_release(attention, inputs):
    images, _, _, ids = inputs
    weights = random_state(released_amfmn.names(attention))
    model = AMFMN.from_official(weights, attention=attention)
    assert not model.training
    with torch.no_grad():
        found = model(images, ids)
    same(found, released_amfmn.scores(weights, attention, images, ids))


@pytest.mark.parametrize("bugs", [("gamma",), ()])
def test_scores_of_galr_are_those_of_the_release(bugs, galr, inputs, monkeypatch):
    state, model = galr
    images, X, A, ids = inputs
    monkeypatch.setattr(model.midf, "released_bugs", bugs)
    with torch.no_grad():
        found = model(images, X, A, ids)
        doubles = model(images, X.double(), A.double(), ids)  # as numpy has them
    same(found, released_galr.scores(state, *inputs, mended=not bugs))
    assert torch.equal(doubles, found)


def test_wrappings_of_a_checkpoint_are_taken_off(galr):
    state, model = galr
    # never called when released, or unknown to an older torch
    unused = "vgmf_gate|resnet.fc|num_batches_tracked"
    few = {k: v for k, v in state.items() if not re.search(unused, k)}
    assert len(few) < len(state)
    for wrapped in (
        {"epoch": 7, "model": few, "best_rsum": 1.0},
        {"state_dict": {f"module.{k}": v for k, v in state.items()}},
    ):
        found = GaLR.from_official(wrapped).state_dict()
        for name, value in model.state_dict().items():
            assert torch.equal(found[name], value) or re.search(unused, name)


def fails(cls, state, says, **options):
    with pytest.raises(RsirError, match=says) as caught:
        cls.from_official(state, **options)
    return str(caught.value)


GONE = [
    "text_feature.seq2vec.embedding.weight",
    "extract_feature.resnet.layer4.1.bn2.running_var",
    "fusion.g2l_SGA.mhatt2.linear_q.weight",
    "fusion.l2g_SGA.norm3.a_2",
]
EXTRA = ["fusion.g2g_SA.norm3.a_2", "mvsa.extra.weight", "text_feature.oops"]
WRONG = "fusion.dynamic_weight.3.weight"


def test_every_fault_is_listed(galr):
    broken = {name: value for name, value in galr[0].items() if name not in GONE}
    broken |= {name: torch.zeros(1) for name in EXTRA} | {WRONG: torch.zeros(3, 512)}
    text = fails(GaLR, broken, "not a released GaLR checkpoint; missing: ")
    missing, rest = text.split("unexpected: ")
    assert all(name in missing for name in GONE)
    assert all(name in rest for name in EXTRA)
    assert f"shape of {WRONG}: (3, 512), expected (2, 512)" in rest


@pytest.mark.parametrize(
    "state, says",
    [
        ({}, "empty"),
        ({"epoch": 3, "lr": 0.1}, "not a tensor: epoch, lr"),
        ([1, 2], "got list"),
        (
            {"mvsa.gate": torch.zeros(1)},
            "a released AMFMN .soft. .* unexpected: mvsa.g",
        ),
    ],
)
def test_what_is_no_released_state_is_named(state, says):
    fails(AMFMN, state, says)


def test_a_vocabulary_must_have_the_rows_of_the_table(galr):
    state, wordless = galr
    few = Vocabulary(["<pad>", "<unk>"])
    fails(GaLR, state, "2 words, but the checkpoint has 51", vocabulary=few)
    with pytest.raises(RsirError, match="vocabulary"):
        wordless.text_encoder.tokenize(["word3"])
    words = [f"word{i}" for i in range(WORDS - 2)]
    model = GaLR.from_official(state, Vocabulary(["<pad>", "<unk>", *words]))
    ids = model.text_encoder.tokenize(["word3 word0", "never-seen"])
    assert ids.tolist() == [[5, 2], [1, 0]]
