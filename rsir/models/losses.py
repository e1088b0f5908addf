"""Losses on a score matrix: pure functions, no models, no data.

All take `scores` `[B, B]`: row i is image i, column j is caption j,
and caption i belongs to image i. `positive` `[B, B]` is True where a
caption describes an image, the diagonal included: in these data sets
the same sentence stands beside several images (chapter 01).
Explained in chapter 02.
"""

import math

import torch
from torch import Tensor


def _check_square(scores: Tensor) -> None:
    if scores.ndim != 2 or scores.shape[0] != scores.shape[1]:
        raise ValueError(f"scores: shape {tuple(scores.shape)}, expected [B, B]")


def _hinges(
    scores: Tensor, margin: Tensor | float, positive: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Hinge of every negative, for both directions: two `[B, B]`."""
    _check_square(scores)
    own = scores.diagonal()
    # image i against caption j: the row's own score is the anchor
    captions = (margin + scores - own[:, None]).clamp(min=0)
    # caption j against image i: the column's own score
    images = (margin + scores - own[None, :]).clamp(min=0)
    skip = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    if positive is not None:
        skip = skip | positive
    return captions.masked_fill(skip, 0), images.masked_fill(skip, 0)


def triplet_all(
    scores: Tensor, margin: Tensor | float = 0.2, positive: Tensor | None = None
) -> Tensor:
    """Bidirectional triplet loss, summed over all negatives.

    Source: AMFMN paper, eq. (28). As released, `positive` is None:
    equal captions of other images count as negatives. The sum over
    negatives is divided by B, so that batches compare.

    Args:
        scores: `[B, B]`.
        margin: a number, or `[B, B]` from `dynamic_margin`.
        positive: `[B, B]` bool; these pairs are not negatives.

    Returns:
        A scalar: the mean over anchors.
    """
    captions, images = _hinges(scores, margin, positive)
    return (captions.sum() + images.sum()) / len(scores)


def triplet_hard(
    scores: Tensor, margin: Tensor | float = 0.2, positive: Tensor | None = None
) -> Tensor:
    """Bidirectional triplet loss on the hardest negative only.

    Source: AMFMN paper, eq. (30), with `margin` from eq. (29).

    Args and return as in `triplet_all`.
    """
    captions, images = _hinges(scores, margin, positive)
    return captions.amax(1).mean() + images.amax(0).mean()


def dynamic_margin(similarity: Tensor, gamma: float = 0.6, beta: float = 5.0) -> Tensor:
    """The margin that shrinks as a caption fits another image's text.

    Source: AMFMN paper, eq. (29):
    gamma (e^beta - e^(beta S)) / (e^beta - 1).

    Args:
        similarity: S in [0, 1], any shape: caption j against the
            captions of image i.
        gamma: margin at S = 0; the paper takes 0.6.
        beta: how late the margin falls; the paper takes 5.

    Returns:
        The margins, same shape: `gamma` at S = 0, 0 at S = 1.
    """
    if not 0 < gamma < 1:
        raise ValueError(f"gamma is {gamma}: must lie between 0 and 1")
    if beta <= 0:
        raise ValueError(f"beta is {beta}: must be positive")
    top = math.exp(beta)
    return gamma * (top - torch.exp(beta * similarity)) / (top - 1)


def contrastive(
    scores: Tensor, temperature: Tensor | float, positive: Tensor | None = None
) -> Tensor:
    """InfoNCE both ways; shared captions are soft targets.

    A row with several positives spreads its target evenly over them.
    Not a loss of AMFMN: the linear baseline uses it (chapter 01).

    Args:
        scores: `[B, B]`.
        temperature: the scores are divided by it.
        positive: `[B, B]` bool; None: the diagonal.

    Returns:
        A scalar: the mean of both directions.
    """
    _check_square(scores)
    logits = scores / temperature
    if positive is None:
        positive = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    target = positive.to(logits.dtype)
    rows = target / target.sum(1, keepdim=True)
    columns = target / target.sum(0, keepdim=True)
    i2t = -(rows * logits.log_softmax(1)).sum(1).mean()
    t2i = -(columns * logits.log_softmax(0)).sum(0).mean()
    return (i2t + t2i) / 2
