"""Small parts of what joint systems learn: whom to read, what to hide.

Explained in chapters 04 and 05.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from rsir import losses
from rsir.models.amfmn import VGMF
from rsir.models.joint import hard_negatives


def contrasted(images: Mapping[str, Tensor],
               texts: Mapping[str, Tensor], gate: VGMF | None,
               temperature: float, positive: Tensor
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


def hidden_words(ids: Tensor, lots: Tensor, tokenizer, share: float
                 ) -> Tensor:
    """Which word pieces the masked-word task hides: `[B, L]` bool.

    One a sentence at least, so that no caption is idle; never a
    special token.

    Args:
        ids: `[B, L]`.
        lots: `[B, L]`, drawn from [0, 1).
        tokenizer: says which ids are special.
        share: of all pieces.
    """
    special = torch.isin(ids, torch.tensor(
        tokenizer.all_special_ids, device=ids.device
    ))
    lots = lots.masked_fill(special, 2.0)
    return (lots < share) | (
        lots == lots.amin(1, keepdim=True)) & ~special


def gathered(value: Tensor, gather) -> Tensor:
    """Joined over processes; a mask keeps its type."""
    if value.dtype == torch.bool:
        return gather(value.float()) > 0
    return gather(value)


def false_partners(
    scores: Tensor, positive: Tensor, hard: int, easy: int,
    pictures: int, temperature: float = 0.05,
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
    return torch.cat([
        hard_negatives(scores, barred, hard, temperature)[0],
        hard_negatives(chance, barred, easy, 1.0)[0],
    ], 1), hard_negatives(scores, positive, pictures, temperature)[1]


def choice_loss(logits: Tensor, there: Tensor) -> Tensor:
    """Cross-entropy of the first of each row among those there.

    Args:
        logits: `[N, n]`.
        there: `[N, n]` bool, True in the first column.
    """
    logits = logits.masked_fill(~there, float("-inf"))
    return -logits.log_softmax(1)[:, 0].mean()
