"""Small layers: standardisation of frozen features."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel


class Standardise(nn.Module):
    """(x - mean) / std per feature, with numbers of the train split.

    Frozen features differ in scale by orders of magnitude. `fit`
    measures mean and standard deviation once; before that the layer
    does nothing, so that released checkpoints are not touched.

    Args:
        dim: number of features.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("std", torch.ones(dim))

    def fit(self, features: Tensor) -> None:
        """Measure `[n, dim]` features of the train split."""
        features = features.float()
        self.mean.copy_(features.mean(0))
        self.std.copy_(features.std(0).clamp(min=1e-3))

    def forward(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.std


# ----------------------------------------------------------------------
# Scaled dot products of attention, in the form that trains fastest.
#
# A fused kernel saves memory on long sequences. On a CPU its backward
# pass is slower than plain matrix products where there are few tokens.


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """softmax(q k^T / sqrt(d)) v.

    Args:
        query: `[B, heads, L, d]`.
        key, value: `[B, heads, M, d]`.
        mask: bool, spreads to `[B, heads, L, M]`; False where there
            is nothing to read.
        dropout: on the weights.

    Returns:
        `[B, heads, L, d]`.
    """
    if query.is_cuda or not query.requires_grad:
        return F.scaled_dot_product_attention(
            query, key, value, mask, dropout_p=dropout
        )
    with sdpa_kernel(SDPBackend.MATH):
        return F.scaled_dot_product_attention(
            query, key, value, mask, dropout_p=dropout
        )


# ----------------------------------------------------------------------
# What maps an encoder's vector into the space of comparison.


def head(dim: int, out: int, hidden: int) -> nn.Module:
    """Two layers with a ReLU between, or one matrix. Ours.

    Args:
        dim: length of the encoder's vector.
        out: length of the vectors that are compared.
        hidden: units between; 0: one matrix.
    """
    if not hidden:
        return nn.Linear(dim, out)
    return nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, out))
