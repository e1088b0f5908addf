"""Released checkpoints of the authors, under our names.

Names and shapes were read from the public code. Nothing of a
checkpoint is executed: only tensors are looked at.
"""

from collections.abc import Mapping

from torch import Tensor

from rsir.encoders.image import ResNet18
from rsir.encoders.text import UniSkip
from rsir.utils.errors import RsirError

#: prefixes that AMFMN and GaLR share: released -> ours
SHARED = {
    "extract_feature.resnet.": "image_encoder.resnet.",
    "extract_feature.linear.": "project.",
    "mvsa.LF_conv.": "mvsa.low.",
    "mvsa.HF_conv.": "mvsa.high.",
    "mvsa.conv1x1_1.": "mvsa.main.",
    "mvsa.conv1x1_2.": "mvsa.gate.",
    "mvsa.solo_attention.": "mvsa.mask.",
    "text_feature.seq2vec.": "text_encoder.",
    "text_feature.to_out.": "to_text.0.",
}

AMFMN_NAMES = {
    "soft": {"cross_attention_s.cross_attention.0.": "guidance.gate."},
    "fusion": {
        "cross_attention_s.cross_attention_fc1.0.": "guidance.fc1.",
        "cross_attention_s.cross_attention_fc2.0.": "guidance.fc2.",
    },
    "sim": {
        "cross_attention_s.fc_visual.0.": "guidance.visual.",
        "cross_attention_s.fc_text.0.": "guidance.text.",
    },
}


def _block(name: str, attentions: Mapping[str, str]) -> dict[str, str]:
    """Names of one block of GaLR's fusion."""
    linear = {"v": "value", "k": "key", "q": "query", "merge": "merge"}
    names = {"ffn.mlp.fc.linear": "feed.0", "ffn.mlp.linear": "feed.3"}
    for old, new in attentions.items():
        names |= {f"{old}.linear_{a}": f"{new}.{b}" for a, b in linear.items()}
    names = {f"{old}.": f"{new}." for old, new in names.items()}
    for i in (1, 2, 3):
        names |= {f"norm{i}.a_2": f"norm{i}.weight", f"norm{i}.b_2": f"norm{i}.bias"}
    return {f"fusion.{name}.{old}": f"midf.{name}.{new}" for old, new in names.items()}


GALR_NAMES = {
    "local_feature.": "gcn.",
    "fusion.dynamic_weight.": "midf.dynamic_weight.",
    **_block("g2g_SA", {"mhatt": "attend"}),
    **_block("l2l_SA", {"mhatt": "attend"}),
    **_block("g2l_SGA", {"mhatt1": "attend", "mhatt2": "guide"}),
    **_block("l2g_SGA", {"mhatt1": "attend", "mhatt2": "guide"}),
}

#: built in the released code, never called: accepted and dropped
UNUSED = ("vgmf_gate.", "extract_feature.resnet.fc.")


def unwrap(state_dict: Mapping) -> dict[str, Tensor]:
    """The bare state dict of a checkpoint.

    It may stand under "model" or "state_dict", and its names may have the
    "module." prefix of DataParallel.

    Raises:
        RsirError: if what is left is not names with tensors.
    """
    if not isinstance(state_dict, Mapping):
        raise RsirError(
            f"state dict: expected names with tensors, got {type(state_dict).__name__}"
        )
    for key in ("model", "state_dict"):
        if isinstance(state_dict.get(key), Mapping):
            state_dict = state_dict[key]
    wrong = [k for k, v in state_dict.items() if not isinstance(v, Tensor)]
    if wrong or not state_dict:
        raise RsirError(
            "state dict: expected names with tensors; not a tensor: "
            f"{', '.join(map(str, wrong[:5])) or '(it is empty)'}"
        )
    return {k.removeprefix("module."): v for k, v in state_dict.items()}


def translate(key: str, names: Mapping[str, str]) -> str | None:
    """A name with its prefix replaced; None: no prefix fits."""
    for old, new in names.items():
        if key.startswith(old):
            return new + key.removeprefix(old)
    return None


def load_checked(
    model, state: Mapping[str, Tensor], names: Mapping[str, str], what: str
) -> None:
    """Load a released state dict, or say all that does not fit.

    Raises:
        RsirError: with released names that are missing, unexpected or of
            another shape.
    """
    back = {new: old for old, new in names.items()}
    expected = {
        translate(k, back): (k, v)
        for k, v in model.state_dict().items()
        if k.startswith(tuple(back)) and not k.startswith("image_encoder.resnet.fc.")
    }
    state = {k: v for k, v in state.items() if not k.startswith(UNUSED)}
    faults = []
    missing = sorted(set(expected) - set(state))
    missing = [k for k in missing if not k.endswith("num_batches_tracked")]
    if missing:
        faults.append("missing: " + ", ".join(missing))
    if unexpected := sorted(set(state) - set(expected)):
        faults.append("unexpected: " + ", ".join(unexpected))
    for name in sorted(set(state) & set(expected)):
        found, want = tuple(state[name].shape), tuple(expected[name][1].shape)
        if found != want:
            faults.append(f"shape of {name}: {found}, expected {want}")
    if faults:
        raise RsirError(f"not a released {what} checkpoint; " + "; ".join(faults))
    model.load_state_dict({expected[k][0]: v for k, v in state.items()}, strict=False)


def released_encoders(state: Mapping[str, Tensor], vocabulary):
    """ResNet-18 and the uni-skip GRU in the sizes of a checkpoint.

    Raises:
        RsirError: if the vocabulary has another number of words.
    """
    words = state.get("text_feature.seq2vec.embedding.weight")
    cell = state.get("text_feature.seq2vec.rnn.gru_cell.weight_hr.weight")
    # what is missing is named later, with all other faults
    n_words, embed = (2400, 620) if words is None else words.shape
    hidden = 2400 if cell is None else len(cell)
    if words is not None and vocabulary is not None and len(vocabulary) != n_words:
        raise RsirError(
            f"vocabulary: {len(vocabulary)} words, but the checkpoint has "
            f"{n_words}; pass the vocabulary it was trained with"
        )
    text = UniSkip(vocabulary, embed=embed, hidden=hidden, words=n_words)
    return ResNet18(size=256, pretrained=False), text


def load_amfmn(cls, state_dict: Mapping, vocabulary, attention: str):
    """See `AMFMN.from_official`."""
    if attention not in AMFMN_NAMES:
        raise RsirError(f"attention is {attention!r}: 'soft', 'fusion' or 'sim'")
    state = unwrap(state_dict)
    config = cls.Config(
        attention=attention, released_bugs=cls.Config.BUGS, loss="all", margin=0.2
    )
    model = cls(*released_encoders(state, vocabulary), config)
    names = SHARED | AMFMN_NAMES[attention]
    load_checked(model, state, names, f"AMFMN ({attention})")
    return model.eval()


def load_galr(cls, state_dict: Mapping, vocabulary):
    """See `GaLR.from_official`."""
    state = unwrap(state_dict)
    config = cls.Config(released_bugs=cls.Config.BUGS, loss="all", margin=0.2)
    model = cls(*released_encoders(state, vocabulary), config)
    load_checked(model, state, SHARED | GALR_NAMES, "GaLR")
    return model.eval()
