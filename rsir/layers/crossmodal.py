"""Transformer blocks: one modality by itself, and one reading another.

Pre-norm blocks in the style of ViT (`Block`) and of ALBEF's multi-
modal encoder (`CrossBlock`); EnVLF's abstract names such parts and
gives no equations, so these are our choice. Explained in chapter 04.
"""

from torch import Tensor, nn

from rsir.errors import RsirError
from rsir.layers.dotproduct import attend


class MultiHead(nn.Module):
    """Multi-head attention, keys and values computed apart.

    Many sentences read the same picture: its keys and values are
    computed once (`memory`) and taken by row.

    Args:
        dim: length of the vectors.
        heads: each takes `dim / heads` of it.
        dropout: on the attention weights while training.
    """

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        if dim % heads:
            raise RsirError(
                f"width is {dim}: {heads} heads need a multiple of "
                f"{heads}"
            )
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.merge = nn.Linear(dim, dim)

    def memory(self, y: Tensor) -> Tensor:
        """Keys and values of y `[B, M, dim]`: `[B, 2, h, M, d]`."""
        both = self.key_value(y).unflatten(2, (2, self.heads, -1))
        return both.permute(0, 2, 3, 1, 4)

    def forward(self, x: Tensor, memory: Tensor,
                mask: Tensor | None = None) -> Tensor:
        """What x `[B, L, dim]` reads in a memory.

        Args:
            memory: `[B, 2, h, M, d]`.
            mask: `[B, M]`, False where there is nothing to read.
        """
        key, value = memory.unbind(1)
        mixed = attend(
            self._split(self.query(x)), key, value,
            None if mask is None else mask[:, None, None, :],
            self.dropout if self.training else 0.0,
        )                                         # (B, h, L, d)
        return self.merge(mixed.transpose(1, 2).flatten(2))

    def weights(self, x: Tensor, memory: Tensor) -> Tensor:
        """Where x looks: `[B, heads, L, M]`, rows sum to 1."""
        query = self._split(self.query(x))
        key = memory[:, 0]
        scale = query.shape[-1] ** -0.5
        return (query @ key.transpose(2, 3) * scale).softmax(-1)

    def _split(self, x: Tensor) -> Tensor:
        """`[B, L, dim]` to `[B, heads, L, dim / heads]`."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


def feed_forward(dim: int, ratio: int, dropout: float) -> nn.Module:
    """Linear, GELU, linear: `dim` to `ratio * dim` and back."""
    return nn.Sequential(
        nn.Linear(dim, ratio * dim), nn.GELU(), nn.Dropout(dropout),
        nn.Linear(ratio * dim, dim),
    )


class Block(nn.Module):
    """Self-attention, then a feed-forward net: a block of a ViT.

    Args:
        dim, heads, dropout: as in `MultiHead`.
        ratio: of the feed-forward net's hidden units to `dim`.
    """

    def __init__(self, dim: int, heads: int = 8, ratio: int = 2,
                 dropout: float = 0.1) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attend = MultiHead(dim, heads, dropout)
        self.feed = feed_forward(dim, ratio, dropout)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """`[B, L, dim]` to the same shape; `mask` `[B, L]`."""
        y = self.norm1(x)
        y = self.attend(y, self.attend.memory(y), mask)
        x = x + self.drop(y)
        return x + self.drop(self.feed(self.norm2(x)))


class CrossBlock(nn.Module):
    """Words read each other, then the picture, then think.

    Self-attention among words, cross-attention from words to image
    tokens, feed-forward net; each with a residual.

    Args: as in `Block`.
    """

    def __init__(self, dim: int, heads: int = 8, ratio: int = 2,
                 dropout: float = 0.1) -> None:
        super().__init__()
        self.own = Block(dim, heads, ratio, dropout)
        self.norm = nn.LayerNorm(dim)
        self.cross = MultiHead(dim, heads, dropout)
        self.drop = nn.Dropout(dropout)

    def memory(self, tokens: Tensor) -> Tensor:
        """Keys and values of image tokens `[B, P, dim]`."""
        return self.cross.memory(tokens)

    def forward(self, words: Tensor, mask: Tensor, memory: Tensor
                ) -> Tensor:
        """Words `[N, L, dim]` that have read `memory`, same shape.

        Args:
            words: `[N, L, dim]`.
            mask: `[N, L]`, True where a word is.
            memory: of each row's picture, `[N, 2, h, P, d]`.
        """
        own = self.own
        y = own.norm1(words)
        y = own.attend(y, own.attend.memory(y), mask)
        x = words + own.drop(y)
        x = x + self.drop(self.cross(self.norm(x), memory))
        return x + own.drop(own.feed(own.norm2(x)))

    def looks(self, words: Tensor, mask: Tensor, memory: Tensor
              ) -> Tensor:
        """Where each word looks in the picture: `[N, heads, L, P]`."""
        own = self.own
        y = own.norm1(words)
        x = words + own.attend(y, own.attend.memory(y), mask)
        return self.cross.weights(self.norm(x), memory)


class Fusion(nn.Module):
    """The multi-modal encoder: words that read the picture.

    Args:
        width: length of words and tokens.
        depth: blocks.
        heads, dropout: of the attention.
    """

    def __init__(self, width: int, depth: int, heads: int,
                 dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            CrossBlock(width, heads, dropout=dropout)
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, words: Tensor, mask: Tensor, tokens: Tensor,
                rows: Tensor) -> Tensor:
        """Words `[N, L, width]` that have read their picture.

        Args:
            words: `[N, L, width]`.
            mask: `[N, L]`, True where a word is.
            tokens: `[B, P, width]` of all pictures.
            rows: `[N]`, the picture of each row of words.
        """
        used, rows = rows.unique(return_inverse=True)
        tokens = tokens[used]
        for block in self.blocks:
            # once a picture, however many sentences read it
            memory = block.memory(tokens)[rows]
            words = block(words, mask, memory)
        return self.norm(words)

    def looks(self, words: Tensor, mask: Tensor, tokens: Tensor
              ) -> Tensor:
        """Where words look in the last block: `[N, heads, L, P]`."""
        *first, last = self.blocks
        for block in first:
            words = block(words, mask, block.memory(tokens))
        return last.looks(words, mask, last.memory(tokens))
