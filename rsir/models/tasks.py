"""Small parts of EnVLF's tasks: words that hide, batches that join.

Explained in chapter 04.
"""

import torch
from torch import Tensor

from rsir.errors import RsirError


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
