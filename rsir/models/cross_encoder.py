"""Small parts of what joint systems learn: whom to read, what to hide.

Explained in chapters 04 and 05.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from rsir.models import losses
from rsir.models.amfmn import VGMF
from rsir.models.base import hard_negatives
from rsir.utils.errors import RsirError


def contrasted(
    images: Mapping[str, Tensor],
    texts: Mapping[str, Tensor],
    gate: VGMF | None,
    temperature: float,
    positive: Tensor,
) -> dict[str, Tensor]:
    """InfoNCE of the cosines, and of the gated ones.

    Args:
        images: "v" `[B, D]` of unit length, and what the gate gives
            for them.
        texts: "t" `[B, D]` of unit length.
        gate: weighs the sentence by the picture, or None.
        temperature: divides the cosines.
        positive: `[B, B]`.

    Returns:
        "contrastive", and "weighing" where there is a gate.
    """

    def nce(scores):
        return losses.contrastive(scores, temperature, positive)

    # bf16 keeps three digits: too few for what divides by 0.07
    with torch.autocast(positive.device.type, enabled=False):
        found = {"contrastive": nce(images["v"] @ texts["t"].T)}
        if gate is not None:
            found["weighing"] = nce(gate.score(images, texts))
    return found


def hidden_words(ids: Tensor, lots: Tensor, tokenizer, share: float) -> Tensor:
    """Which word pieces the masked-word task hides: `[B, L]` bool.

    One a sentence at least, so that no caption is idle; never a
    special token.

    Args:
        ids: `[B, L]`.
        lots: `[B, L]`, drawn from [0, 1).
        tokenizer: says which ids are special.
        share: of all pieces.
    """
    special = torch.isin(
        ids, torch.tensor(tokenizer.all_special_ids, device=ids.device)
    )
    lots = lots.masked_fill(special, 2.0)
    return (lots < share) | (lots == lots.amin(1, keepdim=True)) & ~special


def gathered(value: Tensor, gather) -> Tensor:
    """Joined over processes; a mask keeps its type."""
    if value.dtype == torch.bool:
        return gather(value.float()) > 0
    return gather(value)


def false_partners(
    scores: Tensor,
    positive: Tensor,
    hard: int,
    easy: int,
    pictures: int,
    temperature: float = 0.05,
    barred: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Wrong partners: some look right, some are drawn by chance.

    Args:
        scores: `[B, B]` of the list-making score.
        positive: `[B, B]`, True where a text is the image's own.
        hard, easy: wrong texts a picture, of each kind.
        pictures: wrong pictures a text, of the hard kind.
        temperature: of the draw of hard ones.
        barred: `[B, B]`, texts that are never drawn; None: `positive`.

    Returns:
        Texts `[B, hard + easy]` and pictures `[B, pictures]`; -1 where
        none is left.
    """
    chance = torch.zeros_like(scores)
    barred = positive if barred is None else barred
    return torch.cat(
        [
            hard_negatives(scores, barred, hard, temperature)[0],
            hard_negatives(chance, barred, easy, 1.0)[0],
        ],
        1,
    ), hard_negatives(scores, positive, pictures, temperature)[1]


def choice_loss(logits: Tensor, there: Tensor) -> Tensor:
    """Cross-entropy of the first of each row among those there.

    Args:
        logits: `[N, n]`.
        there: `[N, n]` bool, True in the first column.
    """
    logits = logits.masked_fill(~there, float("-inf"))
    return -logits.log_softmax(1)[:, 0].mean()


# ----------------------------------------------------------------------
# Options of joint systems that make no sense together are refused.
#
# Explained in chapters 04 and 05.


#: what CFITR's released code does otherwise, by mistake
SLIPS = ("table", "lfem", "patches", "false")


def check_tasks(contrastive: float, matching: float, mlm: float, text_encoder) -> None:
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


def check_stages(
    *,
    coarse: str,
    false_texts: int,
    hard_texts: int,
    vectors: int,
    warm: int,
    gate: bool,
    raw: bool,
) -> None:
    """The same for CFITR's two stages.

    Args:
        raw: the picture's tokens are ViLT's patches.
        others: as in `CFITR`.

    Raises:
        RsirError: with the name of the option.
    """
    known = ["hash", "float"] + ["vectors"] * (vectors > 0) + ["gated"] * bool(gate)
    if coarse not in known:
        raise RsirError(
            f"coarse is {coarse!r}: here it may be {', '.join(known)}; "
            "'vectors' needs vectors=512, 'gated' gate=True as well"
        )
    if not 0 <= hard_texts <= false_texts:
        raise RsirError(
            f"hard_texts is {hard_texts}: 0 to false_texts, which is {false_texts}"
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
        raise RsirError(f"slip {min(odd)!r}: unknown; there are {', '.join(SLIPS)}")
    return frozenset(SLIPS if variant == "released" else slips)
