"""Attention blocks of GaLR's fusion: SA and SGA.

Source: as released by GaLR's authors, in the style of MCAN. A block
adds, then normalises; it has no positions. Explained in chapter 03.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from rsir.errors import RsirError

EPS = 1e-6


class LayerNorm(nn.LayerNorm):
    """(x - mean) / (std + 1e-6) * weight + bias, as released.

    The deviation is the unbiased one and the small number is added to
    it, not to the variance: torch's own layer differs in both.
    """

    def forward(self, x: Tensor) -> Tensor:
        mean, std = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
        return self.weight * (x - mean) / (std + EPS) + self.bias


class Attention(nn.Module):
    """Multi-head scaled dot-product attention.

    Over a sequence of length 1 the softmax is 1, whatever query and
    key are: what is left is `merge(value(y))`, a linear map, and
    `query` and `key` learn nothing.

    Args:
        dim: length of the vectors (512).
        heads: each takes `dim / heads` of it (8 heads of 64).
        dropout: on the attention weights while training.
    """

    def __init__(self, dim: int, heads: int = 8, dropout: float = 0.1
                 ) -> None:
        super().__init__()
        if dim % heads:
            raise RsirError(
                f"dim is {dim}: {heads} heads need a multiple of {heads}"
            )
        self.heads, self.dropout = heads, dropout
        self.value = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.query = nn.Linear(dim, dim)
        self.merge = nn.Linear(dim, dim)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """What x `[B, L, dim]` reads in y `[B, M, dim]`."""
        mixed = F.scaled_dot_product_attention(
            self._split(self.query(x)), self._split(self.key(y)),
            self._split(self.value(y)),
            dropout_p=self.dropout if self.training else 0.0,
        )                                         # (B, heads, L, d)
        return self.merge(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        """`[B, L, dim]` to `[B, heads, L, dim / heads]`."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


def feed_forward(dim: int, hidden: int, dropout: float) -> nn.Module:
    """Linear, ReLU, dropout, linear: `dim` to `hidden` and back."""
    return nn.Sequential(
        nn.Linear(dim, hidden), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(hidden, dim),
    )


class SA(nn.Module):
    """Self-attention, then a feed-forward net; each with a residual.

    Args:
        dim: length of the vectors (512).
        heads: of the attention (8).
        hidden: units between (1024); None: twice `dim`.
        dropout: 0.1 as released.
    """

    def __init__(self, dim: int, heads: int = 8,
                 hidden: int | None = None, dropout: float = 0.1
                 ) -> None:
        super().__init__()
        self.attend = Attention(dim, heads, dropout)
        self.feed = feed_forward(dim, hidden or 2 * dim, dropout)
        self.norm1, self.norm2 = LayerNorm(dim), LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, L, dim]` to the same shape."""
        x = self.norm1(x + self.dropout(self.attend(x, x)))
        return self.norm2(x + self.dropout(self.feed(x)))


class SGA(nn.Module):
    """Self-attention, attention to a guide, then a feed-forward net.

    Args:
        dim, heads, hidden, dropout: as in `SA`.
    """

    def __init__(self, dim: int, heads: int = 8,
                 hidden: int | None = None, dropout: float = 0.1
                 ) -> None:
        super().__init__()
        self.attend = Attention(dim, heads, dropout)
        self.guide = Attention(dim, heads, dropout)
        self.feed = feed_forward(dim, hidden or 2 * dim, dropout)
        self.norm1, self.norm2 = LayerNorm(dim), LayerNorm(dim)
        self.norm3 = LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """x `[B, L, dim]` guided by `[B, M, dim]`; x's shape."""
        x = self.norm1(x + self.dropout(self.attend(x, x)))
        x = self.norm2(x + self.dropout(self.guide(x, guide)))
        return self.norm3(x + self.dropout(self.feed(x)))
