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
    "text_feature.to_out.": "to_text.",
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

#: inside GaLR's attention blocks: released -> ours
_ATTENTION = {
    "linear_v.": "value.",
    "linear_k.": "key.",
    "linear_q.": "query.",
    "linear_merge.": "merge.",
}
_REST = {
    "ffn.mlp.fc.linear.": "feed.0.",
    "ffn.mlp.linear.": "feed.3.",
} | {
    f"norm{i}.{old}": f"norm{i}.{new}"
    for i in (1, 2, 3)
    for old, new in (("a_2", "weight"), ("b_2", "bias"))
}


def _block(name: str, attentions: Mapping[str, str]) -> dict[str, str]:
    """Names of one block of the fusion."""
    names = {
        f"{old}.{a}": f"{new}.{b}"
        for old, new in attentions.items()
        for a, b in _ATTENTION.items()
    } | _REST
    return {f"fusion.{name}.{a}": f"midf.{name}.{b}" for a, b in names.items()}


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

    Accepts a checkpoint that holds it under "model" or "state_dict",
    and names with the "module." prefix of DataParallel.

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


def rename(
    state: Mapping[str, Tensor], names: Mapping[str, str]
) -> tuple[dict[str, Tensor], list[str]]:
    """Translate prefixes; return the rest that has no translation."""
    ours, unknown = {}, []
    for key, value in state.items():
        if key.startswith(UNUSED):
            continue
        for old, new in names.items():
            if key.startswith(old):
                ours[new + key.removeprefix(old)] = value
                break
        else:
            unknown.append(key)
    return ours, unknown


def load_checked(
    model, state: Mapping[str, Tensor], names: Mapping[str, str], what: str
) -> None:
    """Load a released state dict, or say all that does not fit.

    Raises:
        RsirError: with released names that are missing, unexpected
            or of another shape.
    """
    ours, unknown = rename(state, names)
    back = {new: old for old, new in names.items()}

    def released(key: str) -> str:
        for new, old in back.items():
            if key.startswith(new):
                return old + key.removeprefix(new)
        return key

    expected = {
        k: v
        for k, v in model.state_dict().items()
        if k.startswith(tuple(back)) and not k.startswith("image_encoder.resnet.fc.")
    }
    optional = {k for k in expected if k.endswith("num_batches_tracked")}
    faults = []
    missing = sorted(set(expected) - set(ours) - optional)
    if missing:
        faults.append("missing: " + ", ".join(map(released, missing)))
    unknown += [released(k) for k in set(ours) - set(expected)]
    if unknown:
        faults.append("unexpected: " + ", ".join(sorted(unknown)))
    for key in sorted(set(ours) & set(expected)):
        found, want = tuple(ours[key].shape), tuple(expected[key].shape)
        if found != want:
            faults.append(f"shape of {released(key)}: {found}, expected {want}")
    if faults:
        raise RsirError(f"not a released {what} checkpoint; " + "; ".join(faults))
    model.load_state_dict(ours, strict=False)


def released_encoders(state: Mapping[str, Tensor], vocabulary, what: str):
    """ResNet-18 and the uni-skip GRU in the sizes of a checkpoint.

    Raises:
        RsirError: if the vocabulary has another number of words.
    """
    name = "text_feature.seq2vec.embedding.weight"
    cell = "text_feature.seq2vec.rnn.gru_cell.weight_hr.weight"

    def shape_of(key: str, released: tuple[int, int]):
        # what is missing is named later, with all other faults
        fits = key in state and state[key].ndim == 2
        return tuple(state[key].shape) if fits else released

    words, embed = shape_of(name, (1, 620))
    hidden, _ = shape_of(cell, (2400, 2400))
    if name in state and vocabulary is not None and len(vocabulary) != words:
        raise RsirError(
            f"vocabulary: {len(vocabulary)} words, but the checkpoint "
            f"has {words}; pass the vocabulary it was trained with"
        )
    image = ResNet18(size=256, pretrained=False)
    text = UniSkip(vocabulary, embed=embed, hidden=hidden, words=words)
    return image, text


def load_amfmn(cls, state_dict: Mapping, vocabulary, attention: str):
    """See `AMFMN.from_official`."""
    if attention not in AMFMN_NAMES:
        raise RsirError(f"attention is {attention!r}: 'soft', 'fusion' or 'sim'")
    what = f"AMFMN ({attention})"
    state = unwrap(state_dict)
    image, text = released_encoders(state, vocabulary, what)
    model = cls(
        image, text, attention=attention, variant="released", margin=0.2, loss="all"
    )
    load_checked(model, state, SHARED | AMFMN_NAMES[attention], what)
    return model.eval()


def load_galr(cls, state_dict: Mapping, vocabulary):
    """See `GaLR.from_official`."""
    state = unwrap(state_dict)
    image, text = released_encoders(state, vocabulary, "GaLR")
    model = cls(image, text, variant="released", margin=0.2, loss="all")
    load_checked(model, state, SHARED | GALR_NAMES, "GaLR")
    return model.eval()
