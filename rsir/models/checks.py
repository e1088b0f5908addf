"""Options of joint systems that make no sense together are refused.

Explained in chapters 04 and 05.
"""

from collections.abc import Sequence

from rsir.errors import RsirError

#: what CFITR's released code does otherwise, by mistake
SLIPS = ("table", "lfem", "patches", "false")


def check_tasks(contrastive: float, matching: float, mlm: float,
                text_encoder) -> None:
    """Refuse weights that teach nothing, or ask what nobody can do.

    Raises:
        RsirError: with the name of the weight.
    """
    if not (contrastive or matching):
        raise RsirError(
            "contrastive and matching are both 0: nothing would "
            "teach the model to rank; keep one"
        )
    if mlm and getattr(text_encoder, "tokenizer", None) is None:
        raise RsirError(
            f"text encoder {text_encoder.name!r}: the masked-word "
            "task needs a sentence transformer such as 'minilm'; "
            "or set mlm=0"
        )
    if mlm and text_encoder.layers_trained == 0:
        raise RsirError(
            "text_layers is 0: sentences are read once, before "
            "any word can be masked; set mlm=0, or keep a block "
            "and set text_lr=0"
        )


def check_stages(*, coarse: str, false_texts: int, hard_texts: int,
                 vectors: int, warm: int, gate: bool, raw: bool) -> None:
    """The same for CFITR's two stages.

    Args:
        raw: the picture's tokens are ViLT's patches.
        others: as in `CFITR`.

    Raises:
        RsirError: with the name of the option.
    """
    known = ["hash", "float"] + ["vectors"] * (vectors > 0) \
        + ["gated"] * bool(gate)
    if coarse not in known:
        raise RsirError(
            f"coarse is {coarse!r}: here it may be {', '.join(known)}; "
            "'vectors' needs vectors=512, 'gated' gate=True as well"
        )
    if not 0 <= hard_texts <= false_texts:
        raise RsirError(
            f"hard_texts is {hard_texts}: 0 to false_texts, which "
            f"is {false_texts}"
        )
    if (gate or warm) and (raw or not vectors):
        raise RsirError(
            f"gate is {gate} and warm {warm}: both need float vectors "
            "of a frozen encoder; set vectors=512, or gate=False and "
            "warm=0"
        )


def chosen_slips(variant: str, slips: Sequence[str]) -> frozenset[str]:
    """Slips by name; "released" is all of them.

    Raises:
        RsirError: for another name.
    """
    if variant not in ("paper", "released"):
        raise RsirError(f"variant is {variant!r}: 'paper' or 'released'")
    odd = set(slips) - set(SLIPS)
    if odd:
        raise RsirError(
            f"slip {min(odd)!r}: unknown; there are {', '.join(SLIPS)}"
        )
    return frozenset(SLIPS if variant == "released" else slips)
