"""Losses on a score matrix. Explained in chapter 02.

All take `scores` `[B, B]`: row i is image i, column j is caption j, and
caption i belongs to image i. `positive` `[B, B]` is True where a caption
describes an image, the diagonal included: in these data sets the same
sentence stands beside several images (chapter 01).
"""

import math

import torch
from torch import Tensor


def triplet_all(
    scores: Tensor, margin: Tensor | float = 0.2, positive: Tensor | None = None
) -> Tensor:
    """Bidirectional triplet loss over all negatives: the mean over anchors.

    Source: AMFMN paper, eq. (28), divided by B, so that batches compare.

    Args:
        margin: a number, or `[B, B]` from `dynamic_margin`.
        positive: these pairs are no negatives; None, as released: the diagonal.
    """
    captions, images = _hinges(scores, margin, positive)
    return (captions.sum() + images.sum()) / len(scores)  # (28)


def triplet_hard(
    scores: Tensor, margin: Tensor | float = 0.2, positive: Tensor | None = None
) -> Tensor:
    """The same on the hardest negative only. Source: AMFMN paper, eq. (30)."""
    captions, images = _hinges(scores, margin, positive)
    return captions.amax(1).mean() + images.amax(0).mean()  # (30)


def _hinges(scores, margin, positive) -> tuple[Tensor, Tensor]:
    positive = _positive(scores, positive)
    own = scores.diagonal()
    captions = (margin + scores - own[:, None]).clamp(min=0)  # anchor: the image
    images = (margin + scores - own[None, :]).clamp(min=0)  # anchor: the caption
    return captions.masked_fill(positive, 0), images.masked_fill(positive, 0)


def _positive(scores, positive) -> Tensor:
    if positive is None:
        return torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    return positive


def dynamic_margin(similarity: Tensor, gamma: float = 0.6, beta: float = 5.0) -> Tensor:
    """The margin that shrinks as a caption fits another image's captions.

    Source: AMFMN paper, eq. (29).

    Args:
        similarity: S in [0, 1], any shape.
        gamma: margin at S = 0; at S = 1 it is 0.
        beta: how late the margin falls; positive.
    """
    top = math.exp(beta)
    return gamma * (top - torch.exp(beta * similarity)) / (top - 1)  # (29)


def contrastive(
    scores: Tensor, temperature: Tensor | float, positive: Tensor | None = None
) -> Tensor:
    """InfoNCE: the mean of both directions.

    A row with several positives spreads its target evenly over them; without
    `positive`, it has the one on the diagonal.
    """
    logits = scores / temperature
    target = _positive(scores, positive).to(logits.dtype)
    rows = target / target.sum(1, keepdim=True)
    columns = target / target.sum(0, keepdim=True)
    i2t = -(rows * logits.log_softmax(1)).sum(1).mean()
    t2i = -(columns * logits.log_softmax(0)).sum(0).mean()
    return (i2t + t2i) / 2
