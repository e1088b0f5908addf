"""Released checkpoints of the authors, under our names.

Names and shapes were read from the public code. Only tensors of a checkpoint
are looked at; nothing in it is executed.
"""

from collections.abc import Mapping

import torch
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


def _block(name: str, **attentions: str) -> dict[str, str]:
    """Names of one block of GaLR's fusion."""
    linear = {"v": "value", "k": "key", "q": "query", "merge": "merge"}
    names = {"ffn.mlp.fc.linear.": "feed.0.", "ffn.mlp.linear.": "feed.3."}
    for old, new in attentions.items():
        names |= {f"{old}.linear_{a}.": f"{new}.{b}." for a, b in linear.items()}
    for i in (1, 2, 3):
        names |= {f"norm{i}.a_2": f"norm{i}.weight", f"norm{i}.b_2": f"norm{i}.bias"}
    return {f"fusion.{name}.{old}": f"midf.{name}.{new}" for old, new in names.items()}


GALR_NAMES = {
    "local_feature.": "gcn.",
    "fusion.dynamic_weight.": "midf.dynamic_weight.",
    **_block("g2g_SA", mhatt="attend"),
    **_block("l2l_SA", mhatt="attend"),
    **_block("g2l_SGA", mhatt1="attend", mhatt2="guide"),
    **_block("l2g_SGA", mhatt1="attend", mhatt2="guide"),
}

#: built in the released code, never called: accepted and dropped
UNUSED = ("vgmf_gate.", "extract_feature.resnet.fc.")


def load(cls, config, state_dict: Mapping, vocabulary):
    """A model with released weights, in evaluation mode.

    Args:
        cls, config: of the model; its encoders take the checkpoint's sizes.
        state_dict: perhaps under "model" or "state_dict", and with names that
            have the "module." of DataParallel.
        vocabulary: the words behind the ids, or None.

    Raises:
        RsirError: no tensors, another number of words, or released names that
            are missing, unexpected or of another shape; all are listed.
    """
    fault = "state dict: expected names with tensors"
    if not isinstance(state_dict, Mapping):
        raise RsirError(f"{fault}, got {type(state_dict).__name__}")
    for key in ("model", "state_dict"):
        if isinstance(state_dict.get(key), Mapping):
            state_dict = state_dict[key]
    wrong = [str(k) for k, v in state_dict.items() if not isinstance(v, Tensor)]
    if wrong or not state_dict:
        what = ", ".join(wrong[:5]) or "(it is empty)"
        raise RsirError(f"{fault}; not a tensor: {what}")
    state = {k.removeprefix("module."): v for k, v in state_dict.items()}
    state = {k: v for k, v in state.items() if not k.startswith(UNUSED)}
    # what is missing is named below, with all other faults
    words = state.get("text_feature.seq2vec.embedding.weight", torch.empty(0, 620))
    cell = "text_feature.seq2vec.rnn.gru_cell.weight_hr.weight"
    if vocabulary is not None and len(words) not in (0, len(vocabulary)):
        raise RsirError(
            f"vocabulary: {len(vocabulary)} words, but the checkpoint has "
            f"{len(words)}; pass the vocabulary it was trained with"
        )
    sizes = {"embed": words.shape[1], "hidden": len(state.get(cell, range(2400)))}
    text = UniSkip(vocabulary, words=len(words) or 2400, **sizes)
    model = cls(ResNet18(size=256, pretrained=False), text, config)
    form = getattr(config, "attention", None)
    names = SHARED | (AMFMN_NAMES[form] if form else GALR_NAMES)
    ours = {
        old + key.removeprefix(new): (key, tuple(value.shape))
        for key, value in model.state_dict().items()
        for old, new in names.items()
        if key.startswith(new) and ".resnet.fc." not in key
    }
    late = "num_batches_tracked"  # an older torch had none
    missing = [k for k in sorted(ours.keys() - state) if not k.endswith(late)]
    sides = {"missing": missing, "unexpected": sorted(state.keys() - ours)}
    faults = [f"{side}: {', '.join(found)}" for side, found in sides.items() if found]
    for name in sorted(state.keys() & ours):
        found, (_, want) = tuple(state[name].shape), ours[name]
        if found != want:
            faults.append(f"shape of {name}: {found}, expected {want}")
    if faults:
        what = f"{config.TITLE} ({form})" if form else config.TITLE
        raise RsirError(f"not a released {what} checkpoint; " + "; ".join(faults))
    model.load_state_dict({ours[k][0]: v for k, v in state.items()}, strict=False)
    return model.eval()
