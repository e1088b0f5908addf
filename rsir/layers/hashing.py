"""DSHM: pooling, and a hashing head for each side.

Source: CFITR as released (Zhou et al. 2024). Explained in chapter 05.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rsir.encoders.text import masked_mean
from rsir.errors import RsirError

MICRO = 8  # pictures in the authors' micro-batch


class DSHM(nn.Module):
    """Dual-stream hashing: pooling, and a head for each side.

    Source: as released. Sums over the batch are taken as they are
    for the authors' micro-batch of 8, whatever the batch is.

    Args:
        dim: length of a token.
        bits: of a code (128).
        hidden: units of the heads (4096).
        pool: "mean" (ours) or "position". Mean: a sentence is the
            mean of its words; a picture is its class token plus the
            mean of its cells, each number of which has a weight that
            starts at 0. Position: one weight for each place, then
            tanh, as released.
        places: tokens of a picture and of a sentence, for "position".
        variant: "paper" or "released". The table of codes that the
            heads are drawn to is sign((h_i + h_t) / 2); as released
            it is random in the first epoch and all zeros after.
        quantise, balance: weights of the two losses.
        dropout, text_dropout: on pooled vectors while training (ours).
        straight: compare signs while training, too; their gradient
            is that of h (ours).
    """

    def __init__(self, dim: int, bits: int = 128, hidden: int = 4096, *,
                 pool: str = "mean", places: tuple[int, int] = (145, 40),
                 variant: str = "paper", quantise: float = 0.001,
                 balance: float = 0.01, dropout: float = 0.0,
                 text_dropout: float = 0.0, straight: bool = False
                 ) -> None:
        super().__init__()
        if pool not in ("mean", "position"):
            raise RsirError(f"pool is {pool!r}: 'mean' or 'position'")
        if bits < 8 or bits % 8:
            raise RsirError(
                f"bits is {bits}: codes are stored in bytes, take a "
                "multiple of 8"
            )
        self.bits, self.variant, self.pool = bits, variant, pool
        self.quantise, self.balance = quantise, balance
        self.straight = straight
        self.dropout = nn.ModuleDict({
            "image": nn.Dropout(dropout),
            "text": nn.Dropout(text_dropout),
        })
        if pool == "position":
            self.over = nn.ModuleDict({
                side: nn.Linear(n, 1)
                for side, n in zip(("image", "text"), places)
            })
        else:
            self.cells = nn.Parameter(torch.zeros(dim))
        self.head = nn.ModuleDict({side: nn.Sequential(
            nn.Linear(dim, hidden), nn.BatchNorm1d(hidden), nn.ReLU(),
            nn.Linear(hidden, bits), nn.Tanh(),
        ) for side in ("image", "text")})
        # as released the table is random in the first epoch only
        self.register_buffer("seen", torch.tensor(0))
        self.register_buffer("epoch", torch.tensor(0))

    def forward(self, tokens: Tensor, mask: Tensor | None, side: str
                ) -> Tensor:
        """h in (-1, 1), `[B, bits]`.

        Args:
            tokens: `[B, L, dim]`.
            mask: `[B, L]`, True where a token is real; None: all are.
            side: "image" or "text".
        """
        if self.pool == "position":
            n = self.over[side].in_features
            tokens = F.pad(tokens, (0, 0, 0, n - tokens.shape[1]))
            z = self.over[side](tokens.transpose(1, 2))[..., 0].tanh()
        elif mask is None:
            z = tokens[:, 0] + self.cells * tokens[:, 1:].mean(1)
        else:
            z = masked_mean(tokens, mask)         # (B, dim)
        return self.head[side](self.dropout[side](z))

    def compared(self, h_i: Tensor, h_t: Tensor) -> Tensor:
        """Cosines `[B, T]` that the ranking loss sees."""
        if self.straight:
            h_i, h_t = (h + (code_of(h) - h).detach()
                        for h in (h_i, h_t))
        return cosines(h_i, h_t)

    def table(self, h_i: Tensor, h_t: Tensor) -> Tensor:
        """B, the codes that h is drawn to: `[B, bits]`."""
        if self.variant == "paper":
            return (h_i + h_t).detach().sign()
        self.seen += len(h_i)
        if self.seen <= self.epoch:
            return torch.randn_like(h_i).sign()
        return torch.zeros_like(h_i)

    def losses(self, h_i: Tensor, h_t: Tensor) -> dict[str, Tensor]:
        """Quantisation and balance, weighted; h_i, h_t `[B, bits]`.

        L_quant = |B - h_i|^2 + |B - h_t|^2, L_bal the square of the
        sum over a code's bits, both summed over eight pictures.
        """
        b = self.table(h_i, h_t)
        away = (b - h_i).square().sum(1) + (b - h_t).square().sum(1)
        tilt = h_i.sum(1).square() + h_t.sum(1).square()
        return {"quantise": self.quantise * MICRO * away.mean(),
                "balance": self.balance * MICRO * tilt.mean()}


def code_of(h: Tensor) -> Tensor:
    """sign(h) without zeros: -1 or 1, float, no gradient."""
    return torch.where(h.detach() > 0, 1.0, -1.0)


def cosines(one: Tensor, other: Tensor) -> Tensor:
    """`[B, D]` and `[T, D]` to cosines `[B, T]`."""
    return F.normalize(one, dim=1) @ F.normalize(other, dim=1).T
