"""Systems that also read a picture and a sentence together.

Reading every pair is expensive. So such a system has two scores: `score`
compares stored vectors and makes the list; `score_pairs` reads the tokens of
chosen pairs and orders the top of it. Explained in chapters 04 and 05.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.functional import pad

from rsir.models.base import Sides, TwoTower


class CrossEncoder(TwoTower):
    """A two-tower model that can also read both sides at once.

    `encode_images` also gives "image_tokens" `[B, ...]`, `encode_texts`
    "text_tokens" `[T, L, D]` and "text_mask" `[T, L]`, True where a token is
    real: pictures and sentences are read once, however many pairs follow.
    """

    reads_text = ("pooled", "tokens", "mask")

    def score_pairs(self, images: Sides, texts: Sides, pairs: Tensor) -> Tensor:
        """Match scores `[N]` of chosen pairs, on a scale of their own.

        Args:
            images, texts: what `encode_images` and `encode_texts` gave.
            pairs: int64 `[N, 2]`: row in `images`, row in `texts`.
        """
        raise NotImplementedError


def own_rows(n: int) -> slice:
    """The n rows of this process in the batch of all processes."""
    several = dist.is_available() and dist.is_initialized()
    first = n * dist.get_rank() if several else 0
    return slice(first, first + n)


def attention_bias(mask: Tensor) -> Tensor:
    """What blocks of a BERT add to their logits: `[B, L]` to `[B, 1, 1, L]`."""
    bias = torch.zeros(mask.shape, device=mask.device)
    return bias.masked_fill(~mask, torch.finfo(bias.dtype).min)[:, None, None]


def trim_tokens(tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Cut tokens `[N, L, D]` and mask `[N, L]`, True at first, to the longest row."""
    longest = max(1, int(mask.sum(1).max()))
    return tokens[:, :longest], mask[:, :longest]


def hard_negatives(
    scores: Tensor, barred: Tensor, n: int, temperature: float
) -> Tensor:
    """Wrong texts for each picture, drawn by their score: `[B, n]`.

    Drawn without replacement with probability proportional to
    exp(score / temperature), as in ALBEF: the hardest alone would often be
    a text that fits as well. -1 where no wrong partner is left.

    Args:
        scores: `[B, T]`; transposed for wrong pictures, zeros for any.
        barred: `[B, T]`, pairs that are never drawn.
        n: how many a row.
        temperature: a small one draws the hardest.
    """
    noise = -torch.empty_like(scores).exponential_().log()  # Gumbel
    keys = scores.detach() / temperature + noise
    keys = keys.masked_fill(barred, float("-inf"))
    best = keys.topk(min(n, keys.shape[1]), dim=1)
    found = best.indices.masked_fill(best.values.isinf(), -1)
    return pad(found, (0, n - found.shape[1]), value=-1)


def choice_loss(logits: Tensor, there: Tensor) -> Tensor:
    """Cross-entropy of the first of each row `[N, n]` among those `there`."""
    logits = logits.masked_fill(~there, float("-inf"))
    return -logits.log_softmax(1)[:, 0].mean()


def pair_scorer(
    model: CrossEncoder, images: Sides, texts: Sides, batch: int = 256
) -> Callable[[np.ndarray], np.ndarray]:
    """A function that maps int pairs `[N, 2]` (image, text) to float32 `[N]`.

    Args:
        model: is put into evaluation mode.
        images, texts: what `encode_sides` gave.
        batch: pairs read at a time.
    """
    model.eval()
    device = next(model.parameters()).device
    lengths = texts["text_mask"].sum(1).cpu().numpy()

    @torch.inference_mode()
    def score(pairs: np.ndarray) -> np.ndarray:
        pairs = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
        # like lengths together: little of a batch is padding then
        order = np.lexsort((pairs[:, 0], lengths[pairs[:, 1]]))
        out = np.empty(len(pairs), dtype=np.float32)
        for i in range(0, len(order), batch):
            rows = order[i : i + batch]
            part = torch.as_tensor(pairs[rows], device=device)
            found = model.score_pairs(images, texts, part)
            out[rows] = found.float().cpu().numpy()
        return out

    return score
