"""Scaled dot products of attention, in the form that trains fastest.

A fused kernel saves memory on long sequences. On a CPU its backward
pass is slower than plain matrix products where there are few tokens.
"""

import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel


def attend(query: Tensor, key: Tensor, value: Tensor,
           mask: Tensor | None = None, dropout: float = 0.0) -> Tensor:
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
            query, key, value, mask, dropout_p=dropout)
    with sdpa_kernel(SDPBackend.MATH):
        return F.scaled_dot_product_attention(
            query, key, value, mask, dropout_p=dropout)
