"""One transformer for two streams: lower blocks apart, upper together.

A picture and a sentence pass the lower blocks one at a time, with the
same weights. The upper blocks, in `SSM`, read both at once. Where the
weights come from, a BERT or a ViLT, an adapter knows. Explained in
chapter 05.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rsir.encoders.text import TextEncoder, token_mask, trim
from rsir.errors import RsirError
from rsir.layers.dotproduct import attend


class Block(nn.Module):
    """A transformer block whose keys may come from elsewhere, too.

    Args:
        dim: length of a token.
        heads: of the attention.
        hidden: units of the feed-forward net.
        before: normalise before each part (ViLT), or after (BERT).
        dropout: while training.
        eps: of the norms.
    """

    def __init__(self, dim: int, heads: int, hidden: int, *,
                 before: bool, dropout: float = 0.1,
                 eps: float = 1e-12) -> None:
        super().__init__()
        self.heads, self.before, self.drop = heads, before, dropout
        self.query = nn.Linear(dim, dim)
        self.key, self.value = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.merge = nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.norm2 = nn.LayerNorm(dim, eps=eps)

    def memory(self, y: Tensor) -> Tensor:
        """Keys and values of other tokens: `[B, M, D]` to `[B, 2, M, D]`.

        They can be stored: what reads them changes nothing in them.
        """
        if self.before:
            y = self.norm1(y)
        return torch.stack([self.key(y), self.value(y)], 1)

    def forward(self, x: Tensor, mask: Tensor | None = None,
                memory: Tensor | None = None, first: bool = False
                ) -> Tensor:
        """Tokens that have read each other, and a memory if given.

        Args:
            x: `[B, L, D]`.
            mask: `[B, L]`, True where a token is real; None: all are.
            memory: `[B, 2, M, D]`, all of it real.
            first: only the first token is wanted.

        Returns:
            `[B, L, D]`, or `[B, 1, D]`.
        """
        y = self.norm1(x) if self.before else x
        key, value = self.key(y), self.value(y)
        if memory is not None:
            key = torch.cat([key, memory[:, 0]], 1)
            value = torch.cat([value, memory[:, 1]], 1)
            if mask is not None:
                mask = F.pad(mask, (0, memory.shape[2]), value=True)
        if first:
            x, y = x[:, :1], y[:, :1]
        mixed = attend(
            self._split(self.query(y)), self._split(key),
            self._split(value),
            None if mask is None else mask[:, None, None, :],
            self.drop if self.training else 0.0,
        )                                         # (B, heads, L, d)
        y = self._drop(self.merge(mixed.transpose(1, 2).flatten(2)))
        x = x + y if self.before else self.norm1(x + y)
        y = self.norm2(x) if self.before else x
        y = self._drop(self.down(F.gelu(self.up(y))))
        return x + y if self.before else self.norm2(x + y)

    def _split(self, x: Tensor) -> Tensor:
        """`[B, L, D]` to `[B, heads, L, D / heads]`."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.drop, self.training)

    @classmethod
    def copy_of(cls, layer: nn.Module, config) -> "Block":
        """A block with the weights of a BertLayer or a ViltLayer."""
        before = hasattr(layer, "layernorm_before")
        inner = layer.attention
        own = inner.attention if before else inner.self
        block = cls(
            config.hidden_size, config.num_attention_heads,
            config.intermediate_size, before=before,
            dropout=config.hidden_dropout_prob,
            eps=config.layer_norm_eps,
        )
        pairs = {
            "query": own.query, "key": own.key, "value": own.value,
            "merge": inner.output.dense,
            "up": layer.intermediate.dense, "down": layer.output.dense,
            "norm1": layer.layernorm_before if before
            else inner.output.LayerNorm,
            "norm2": layer.layernorm_after if before
            else layer.output.LayerNorm,
        }
        for name, module in pairs.items():
            getattr(block, name).load_state_dict(module.state_dict())
        return block


class SSM(nn.Module):
    """Single-stream module: the joint half and its verdict.

    Source: as released: [words; picture] through the upper blocks, a
    norm where the blocks have none, tanh of the first token, one
    linear layer.

    Args:
        blocks: of the joint half.
        rewrite: the picture's tokens are rewritten by the sentence,
            as in the paper. False (ours): they are only read, their
            keys and values are computed once a picture, and a pair
            costs a fifth.
    """

    def __init__(self, blocks: Sequence[Block], rewrite: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.rewrite = rewrite
        dim = self.blocks[0].query.in_features
        self.norm = nn.LayerNorm(dim) if self.blocks[0].before \
            else nn.Identity()
        self.pooler = nn.Linear(dim, dim)
        self.rank = nn.Linear(dim, 1)
        nn.init.zeros_(self.rank.weight)
        nn.init.zeros_(self.rank.bias)

    def memory(self, tokens: Tensor) -> Tensor:
        """What the blocks read of a picture: `[B, n, 2, P, D]`."""
        return torch.stack([b.memory(tokens) for b in self.blocks], 1)

    def forward(self, words: Tensor, mask: Tensor, picture: Tensor
                ) -> Tensor:
        """Verdicts `[N]`, higher is closer.

        Args:
            words: `[N, L, D]`.
            mask: `[N, L]`.
            picture: tokens `[N, P, D]` if they are rewritten, else
                their memory `[N, n, 2, P, D]`.
        """
        x = words
        if self.rewrite:
            x = torch.cat([words, picture], 1)
            mask = F.pad(mask, (0, picture.shape[1]), value=True)
        last = len(self.blocks) - 1
        for i, block in enumerate(self.blocks):
            x = block(x, mask, None if self.rewrite else picture[:, i],
                      first=i == last)            # only it is read
        x = self.norm(x[:, 0])
        return self.rank(self.pooler(x).tanh())[:, 0]


class Sentences:
    """How a BERT-like encoder lends its blocks to pictures.

    The sentence goes through all of its blocks; the picture through
    the last `depth` of the same ones. The joint half starts as a copy
    of the last blocks.

    Args:
        encoder: a sentence transformer.
        depth: blocks that the picture passes.
    """

    def __init__(self, encoder: TextEncoder, depth: int) -> None:
        blocks = getattr(
            getattr(getattr(encoder, "model", None), "encoder", None),
            "layer", None,
        )
        if blocks is None:
            raise RsirError(
                f"text encoder {encoder.name!r}: has no blocks to share "
                "with pictures; take 'minilm' or another BERT of the hub"
            )
        if not 0 <= depth <= len(blocks):
            raise RsirError(
                f"image_blocks is {depth}: {encoder.name!r} has "
                f"{len(blocks)} blocks"
            )
        self.blocks = blocks[len(blocks) - depth:]
        self.dim = encoder.dim

    def words(self, encoder: TextEncoder, ids: Tensor,
              stem: Tensor | None) -> tuple[Tensor, Tensor]:
        """Tokens `[T, l, D]` and mask `[T, l]` of the text stream."""
        encoded = encoder(ids) if stem is None else encoder(ids, stem)
        return encoded.tokens, encoded.mask

    def places(self, encoder: TextEncoder, tokens: Tensor) -> Tensor:
        """The picture's tokens as the first shared block wants them."""
        return tokens

    def apart(self, tokens: Tensor) -> Tensor:
        """The picture `[B, P, D]` through the shared blocks."""
        for block in self.blocks:
            tokens = block(tokens)
            if isinstance(tokens, tuple):
                tokens = tokens[0]
        return tokens

    @staticmethod
    def upper(encoder: TextEncoder, n: int) -> list[Block]:
        """The joint half: copies of the last n blocks."""
        layers = encoder.model.encoder.layer
        return [Block.copy_of(layer, encoder.model.config)
                for layer in layers[len(layers) - n:]]


class ViLT(Sentences):
    """ViLT: the lower half of its blocks apart, the upper together.

    Source: CFITR as released, ViLT-B/32, blocks 0-5 and 6-11. The
    text encoder holds the whole model; its upper blocks move out of
    it, into the joint half.
    """

    def __init__(self, encoder: TextEncoder, depth: int) -> None:
        super().__init__(encoder, 0)
        layers = encoder.model.encoder.layer
        if not 0 < depth < len(layers):
            raise RsirError(
                f"image_blocks is {depth}: ViLT has {len(layers)} "
                "blocks, of which some must be apart and some joint"
            )
        self.blocks = layers[:depth]
        # ViLT knows 40 places for words
        most = encoder.model.config.max_position_embeddings
        encoder.max_length = min(getattr(encoder, "max_length", most),
                                 most)

    def words(self, encoder: TextEncoder, ids: Tensor,
              stem: Tensor | None) -> tuple[Tensor, Tensor]:
        ids = trim(ids)
        mask = token_mask(ids)
        embed = encoder.model.embeddings
        kind = embed.token_type_embeddings.weight[0]
        tokens = embed.text_embeddings(ids) + kind
        hide = torch.zeros(mask.shape, device=ids.device)
        hide = hide.masked_fill(~mask, torch.finfo(hide.dtype).min)
        for block in self.blocks:
            tokens = block(tokens, hide[:, None, None, :])
            if isinstance(tokens, tuple):
                tokens = tokens[0]
        return tokens, mask

    def places(self, encoder: TextEncoder, tokens: Tensor) -> Tensor:
        """Patches `[B, P, D]` with class token, places and kind."""
        embed = encoder.model.embeddings
        first = embed.cls_token.expand(len(tokens), -1, -1)
        tokens = torch.cat([first, tokens], 1)
        return tokens + embed.position_embeddings + \
            embed.token_type_embeddings.weight[1]

    @staticmethod
    def upper(encoder: TextEncoder, n: int) -> list[Block]:
        """Blocks from `n` on; they are taken out of the encoder."""
        model = encoder.model
        blocks = [Block.copy_of(layer, model.config)
                  for layer in model.encoder.layer[n:]]
        model.encoder.layer = model.encoder.layer[:n]
        return blocks


def adapter(encoder: TextEncoder) -> type[Sentences]:
    """ViLT or any BERT, by what the encoder's model has."""
    embed = getattr(getattr(encoder, "model", None), "embeddings", None)
    return ViLT if hasattr(embed, "patch_embeddings") else Sentences
