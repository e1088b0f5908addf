"""LFEM: local features among the tokens of a picture.

Source: CFITR as released (Zhou et al. 2024). Explained in chapter 05.
"""

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rsir.encoders.image import ImageEncoder, ViLTPatches, turned, upper_stages
from rsir.encoders.text import TextEncoder, masked_mean, token_mask, trim
from rsir.models import losses
from rsir.models.amfmn import VGMF
from rsir.models.base import JointRetriever, trim_tokens
from rsir.models.cross_encoder import (
    check_stages,
    choice_loss,
    chosen_slips,
    contrasted,
    false_partners,
)
from rsir.models.dual import DSHM, Codes, Heads, code_of, cosines, warm_start
from rsir.models.layers import Standardise, attend, head
from rsir.utils.errors import RsirError


class LFEM(nn.Module):
    """Local feature enhancement: three convolutions and a residual.

    The tokens are laid out as the grid that they come from, so their
    order matters: row by row.

        y = ReLU(x + Conv3(Conv5(Conv3(x))))

    Each convolution has a batch norm, the first two a ReLU; the inner
    ones have half the channels.

    Args:
        channels: of the tokens (768 in ViLT).
        variant: "paper" or "released". As released the call is
            commented out: the weights are there, tokens pass by.
    """

    def __init__(self, channels: int = 768, variant: str = "paper") -> None:
        super().__init__()
        if variant not in ("paper", "released"):
            raise RsirError(f"variant is {variant!r}: 'paper' or 'released'")
        self.variant = variant
        half = channels // 2
        self.net = nn.Sequential(
            nn.Conv2d(channels, half, 3, padding=1),
            nn.BatchNorm2d(half),
            nn.ReLU(),
            nn.Conv2d(half, half, 5, padding=2),
            nn.BatchNorm2d(half),
            nn.ReLU(),
            nn.Conv2d(half, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
        )
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Tokens `[B, h * w, C]` of a square grid to the same shape.

        Raises:
            RsirError: if their number is no square.
        """
        side = math.isqrt(x.shape[1])
        if side * side != x.shape[1]:
            raise RsirError(
                f"LFEM: {x.shape[1]} tokens are no square grid; leave "
                "the class token out"
            )
        if self.variant == "released":
            return x
        maps = x.transpose(1, 2).unflatten(2, (side, side))
        maps = self.relu(maps + self.net(maps))  # (B, C, h, w)
        return maps.flatten(2).transpose(1, 2)


# ----------------------------------------------------------------------
# One transformer for two streams: lower blocks apart, upper together.
#
# A picture and a sentence pass the lower blocks one at a time, with the
# same weights. The upper blocks, in `SSM`, read both at once. Where the
# weights come from, a BERT or a ViLT, an adapter knows. Explained in
# chapter 05.


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

    def __init__(
        self,
        dim: int,
        heads: int,
        hidden: int,
        *,
        before: bool,
        dropout: float = 0.1,
        eps: float = 1e-12,
    ) -> None:
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

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        memory: Tensor | None = None,
        first: bool = False,
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
            self._split(self.query(y)),
            self._split(key),
            self._split(value),
            None if mask is None else mask[:, None, None, :],
            self.drop if self.training else 0.0,
        )  # (B, heads, L, d)
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
            config.hidden_size,
            config.num_attention_heads,
            config.intermediate_size,
            before=before,
            dropout=config.hidden_dropout_prob,
            eps=config.layer_norm_eps,
        )
        pairs = {
            "query": own.query,
            "key": own.key,
            "value": own.value,
            "merge": inner.output.dense,
            "up": layer.intermediate.dense,
            "down": layer.output.dense,
            "norm1": layer.layernorm_before if before else inner.output.LayerNorm,
            "norm2": layer.layernorm_after if before else layer.output.LayerNorm,
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
        self.norm = nn.LayerNorm(dim) if self.blocks[0].before else nn.Identity()
        self.pooler = nn.Linear(dim, dim)
        self.rank = nn.Linear(dim, 1)
        nn.init.zeros_(self.rank.weight)
        nn.init.zeros_(self.rank.bias)

    def memory(self, tokens: Tensor) -> Tensor:
        """What the blocks read of a picture: `[B, n, 2, P, D]`."""
        return torch.stack([b.memory(tokens) for b in self.blocks], 1)

    def forward(self, words: Tensor, mask: Tensor, picture: Tensor) -> Tensor:
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
            x = block(
                x, mask, None if self.rewrite else picture[:, i], first=i == last
            )  # only it is read
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
            "layer",
            None,
        )
        if blocks is None:
            raise RsirError(
                f"text encoder {encoder.name!r}: has no blocks to share "
                "with pictures; take 'minilm' or another BERT of the hub"
            )
        if not 0 <= depth <= len(blocks):
            raise RsirError(
                f"image_blocks is {depth}: {encoder.name!r} has {len(blocks)} blocks"
            )
        self.blocks = blocks[len(blocks) - depth :]
        self.dim = encoder.dim

    def words(
        self, encoder: TextEncoder, ids: Tensor, stem: Tensor | None
    ) -> tuple[Tensor, Tensor]:
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
        return [
            Block.copy_of(layer, encoder.model.config)
            for layer in layers[len(layers) - n :]
        ]


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
        encoder.max_length = min(getattr(encoder, "max_length", most), most)

    def words(
        self, encoder: TextEncoder, ids: Tensor, stem: Tensor | None
    ) -> tuple[Tensor, Tensor]:
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
        return (
            tokens + embed.position_embeddings + embed.token_type_embeddings.weight[1]
        )

    @staticmethod
    def upper(encoder: TextEncoder, n: int) -> list[Block]:
        """Blocks from `n` on; they are taken out of the encoder."""
        model = encoder.model
        blocks = [
            Block.copy_of(layer, model.config) for layer in model.encoder.layer[n:]
        ]
        model.encoder.layer = model.encoder.layer[:n]
        return blocks


def adapter(encoder: TextEncoder) -> type[Sentences]:
    """ViLT or any BERT, by what the encoder's model has."""
    embed = getattr(getattr(encoder, "model", None), "embeddings", None)
    return ViLT if hasattr(embed, "patch_embeddings") else Sentences


# ----------------------------------------------------------------------
# CFITR: codes make the list, a transformer reads its top.
#
# Source: Zhou, Wu and Deng, GRSL 22, 2024/25
# (doi 10.1109/LGRS.2024.3494543), read from the abstract, one figure
# and the released code; the paper's text, its recalls and its timings
# were not at hand. Explained in chapter 05.
#
#     DSHM   code = sign(h), h = tanh(MLP(pool(tokens)))    coarse
#     LFEM   convolutions among the picture's tokens
#     SSM    rank(joint blocks([words; picture]))           fine
#
# PPSR, which re-ranks the coarse scores, is `rsir.retrieval.rerank.ppsr`.


TEMPERATURE = 0.07  # divides cosines in InfoNCE


class CFITR(JointRetriever):
    """The model: one shared transformer, two ways to score.

    Args:
        image_encoder: frozen; its maps are the picture's tokens.
        text_encoder: a BERT of which the last blocks are shared, or a
            ViLT.
        bits: of a code.
        hidden: units of DSHM's heads, and of those of the vectors.
        pool: of DSHM; "mean" or "position".
        start: None: tokens come from the frozen maps of strides 16
            and 32; "f3": from stages above f3 that learn, too.
        grid: tokens on a side; None: as many as the last map has.
        image_blocks: shared blocks that the picture passes.
        joint_blocks: of the SSM (ViLT: all that are left).
        rewrite: see `SSM`.
        lfem: False leaves LFEM out.
        variant: "paper" or "released"; released is all slips.
        slips: single ones: "table" (see `DSHM`), "lfem" (see `LFEM`),
            "patches" (tokens in a new random order at every call),
            "false" (random false texts that may be true).
        coarse: what `score` compares: "hash", "float" for h,
            "vectors", or "gated": where the fine score starts.
        false_texts: wrong sentences a picture in the SSM's loss (15).
        hard_texts: how many of them the coarse stage draws.
        false_images: wrong pictures a sentence (ours; 0 as released).
        share: of the batch that the SSM reads.
        from_coarse: the fine score starts at a cosine (ours): of the
            vectors, or of h where there are none.
        beside: weight of h's cosine beside that of the vectors.
        vectors: length of float vectors, too (ours); 0: none.
        gate: AMFMN's: the picture weighs the sentence's vector.
        warm: epochs of `warm_start` before the first step; 0: none.
        ssm: weight of its loss; 0: the SSM is not trained.
        margin, mask_shared: of the triplet loss.
        contrastive: weight of InfoNCE beside each triplet loss, lest
            bits repeat each other (in the release, never called).
        quantise, balance, straight: of DSHM.
        dropout, text_dropout: on what all heads read.
        turns: turn maps while training; not if captions say "left".
    """

    def __init__(
        self,
        image_encoder: ImageEncoder,
        text_encoder: TextEncoder,
        *,
        bits: int = 128,
        hidden: int = 4096,
        pool: str = "mean",
        start: str | None = None,
        grid: int | None = None,
        image_blocks: int = 1,
        joint_blocks: int = 2,
        rewrite: bool = False,
        lfem: bool = True,
        variant: str = "paper",
        slips: Sequence[str] = (),
        coarse: str = "hash",
        false_texts: int = 15,
        hard_texts: int = 5,
        false_images: int = 0,
        share: float = 1.0,
        from_coarse: bool = False,
        beside: float = 0.0,
        vectors: int = 0,
        gate: bool = False,
        warm: int = 0,
        ssm: float = 1.0,
        margin: float = 0.2,
        mask_shared: bool = False,
        contrastive: float = 0.0,
        quantise: float = 0.001,
        balance: float = 0.01,
        dropout: float = 0.1,
        text_dropout: float = 0.0,
        straight: bool = False,
        turns: bool = False,
    ) -> None:
        super().__init__()
        self.slips = chosen_slips(variant, slips)
        self.raw = isinstance(image_encoder, ViLTPatches)
        check_stages(
            coarse=coarse,
            vectors=vectors,
            gate=gate,
            warm=warm,
            raw=self.raw,
            false_texts=false_texts,
            hard_texts=hard_texts,
        )
        self.image_encoder = image_encoder
        self.text_encoder = text_encoder
        self.coarse, self.turns, self.start = coarse, turns, start
        self.margin, self.mask_shared = margin, mask_shared
        self.false_texts, self.hard_texts = false_texts, hard_texts
        self.false_images, self.share = false_images, share
        self.from_coarse, self.contrastive = from_coarse, contrastive
        self.beside, self.ssm_weight, self.warm = beside, ssm, warm
        self.shared = adapter(text_encoder)(text_encoder, image_blocks)
        dim = self.shared.dim
        # parts with pretrained weights, trained at `image_lr`
        self.stages = nn.ModuleDict()
        if self.raw:
            self.reads, cells = ("f1", "pooled"), None
        elif start is None:
            self.reads = ("f3", "f4", "pooled")
            cells = 4 * image_encoder.channels[2] + image_encoder.channels[3]
        else:
            self.reads = (start, "pooled")
            self.stages["image"] = upper_stages(image_encoder, start)
            cells = image_encoder.dim
        side = image_encoder.map_sizes()[3][1]
        self.grid = grid or side
        if not self.raw:
            self.standardise = Standardise(image_encoder.dim)
            self.cells = Standardise(cells)
            self.to_tokens = nn.Linear(cells, dim)
            self.to_first = nn.Linear(image_encoder.dim, dim)
            self.places = nn.Parameter(0.02 * torch.randn(self.grid**2, dim))
            # what blocks say to the class token starts at nothing
            self.silent = nn.Parameter(torch.zeros(dim))
        self.stages["joint"] = SSM(
            self.shared.upper(text_encoder, image_blocks if self.raw else joint_blocks),
            rewrite,
        )
        self.lfem = (
            LFEM(dim, "released" if "lfem" in self.slips else "paper")
            if lfem
            else nn.Identity()
        )
        self.kind = nn.Parameter(torch.zeros(2, dim))
        self.dshm = DSHM(
            dim,
            bits,
            hidden,
            pool=pool,
            places=(self.grid**2 + 1, text_encoder.max_length),
            variant="released" if "table" in self.slips else "paper",
            quantise=quantise,
            balance=balance,
            dropout=dropout,
            text_dropout=text_dropout,
            straight=straight,
        )
        self.log_scale = nn.Parameter(torch.tensor(math.log(20.0)))
        self.vectors = None
        if vectors:
            first = dim if self.raw else image_encoder.dim
            self.vectors = nn.ModuleDict(
                {
                    "first": head(first, vectors, hidden),
                    "image": nn.Linear(dim, vectors),
                    "text": head(dim, vectors, hidden),
                }
            )
            if warm:  # cells say nothing yet
                nn.init.zeros_(self.vectors["image"].weight)
                nn.init.zeros_(self.vectors["image"].bias)
        self.gate = VGMF(vectors, "soft", "paper") if gate else None

    @property
    def ssm(self) -> SSM:
        return self.stages["joint"]

    def fit(self, corpus) -> None:
        """Measure the cells' scale and an epoch; start warm.

        Args:
            corpus: of the train split.
        """
        n = corpus.split.n_images
        self.dshm.epoch.fill_(n)
        if not self.raw:
            rows = range(0, n, max(1, n // 512))
            with torch.no_grad():
                device = self.places.device
                some = {k: v.to(device) for k, v in corpus.images(rows).items()}
                self.cells.fit(self._cells(some).flatten(0, 1))
        if self.warm:
            drop = self.dshm.dropout
            warm_start(
                self,
                Heads(
                    self.vectors["first"],
                    self.vectors["text"],
                    drop["image"].p,
                    drop["text"].p,
                    self.gate,
                    Codes(self.to_first, self.dshm, self._ranking),
                ),
                corpus,
                self.warm,
                TEMPERATURE,
                lambda x: masked_mean(x["tokens"].float(), x["mask"]),
            )

    # -- the picture --------------------------------------------------

    def _cells(self, features: Mapping[str, Tensor]) -> Tensor:
        """The last map's cells, row by row: `[B, grid^2, channels]`."""
        view = int(torch.randint(8, ())) if self.training and self.turns else 0
        if self.start is not None:
            maps = turned(features[self.start].float(), view)
            cells = self.stages["image"](maps)  # (B, side^2, C)
            side = math.isqrt(cells.shape[1])
            maps = cells.transpose(1, 2).unflatten(2, (side, side))
        else:
            fine, maps = (turned(features[x].float(), view) for x in ("f3", "f4"))
            maps = torch.cat([F.pixel_unshuffle(fine, 2), maps], 1)
        if self.grid != maps.shape[-1]:
            maps = F.adaptive_avg_pool2d(maps, self.grid)
        return maps.flatten(2).transpose(1, 2)

    def picture(self, features: Mapping[str, Tensor]) -> Tensor:
        """Class token and cells after LFEM: `[B, 1 + grid^2, D]`."""
        if self.raw:
            patches = features["f1"].float().flatten(2).transpose(1, 2)
            tokens = self.shared.places(self.text_encoder, patches)
        else:
            pooled = self.standardise(features["pooled"].float())
            cells = self.cells(self._cells(features))
            tokens = torch.cat(
                [self.to_first(pooled)[:, None], self.to_tokens(cells) + self.places], 1
            )
        if "patches" in self.slips:
            order = 1 + torch.randperm(tokens.shape[1] - 1)
            tokens = torch.cat([tokens[:, :1], tokens[:, order]], 1)
        first = tokens[:, :1]
        tokens = self.shared.apart(tokens)
        # the class token keeps what the frozen encoder has said
        first = tokens[:, :1] if self.raw else first + self.silent * tokens[:, :1]
        return torch.cat([first, self.lfem(tokens[:, 1:])], 1)

    def encode_images(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Code and tokens of pictures.

        Returns:
            "h" `[B, bits]` in (-1, 1), "code" `[B, bits]` of -1 and 1,
            "v" and "gate" `[B, vectors]` where there are any,
            "image_tokens" `[B, P, D]`, or, where the SSM only reads
            them, its memory `[B, n, 2, P, D]`.
        """
        tokens, drop = self.picture(features), self.dshm.dropout
        h = self.dshm(tokens, None, "image")
        out = {"h": h, "code": code_of(h)}
        if self.vectors:
            first = (
                tokens[:, 0]
                if self.raw
                else self.standardise(features["pooled"].float())
            )
            v = self.vectors["image"](tokens[:, 1:].mean(1))
            v = v + self.vectors["first"](drop["image"](first))
            out["v"] = F.normalize(v, dim=1)
            if self.gate is not None:
                out |= self.gate.image_side(v)
        tokens = tokens + self.kind[1]
        if not self.ssm.rewrite:
            tokens = self.ssm.memory(tokens)
        return out | {"image_tokens": tokens}

    # -- the sentence -------------------------------------------------

    def text_features(
        self,
        token_ids: Tensor,
        keyword_ids: Tensor | None = None,
        stem: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Words after the text stream, as wide as `token_ids`."""
        tokens, mask = self.shared.words(self.text_encoder, token_ids, stem)
        missing = token_ids.shape[1] - tokens.shape[1]
        return {
            "tokens": F.pad(tokens, (0, 0, 0, missing)),
            "mask": F.pad(mask, (0, missing)),
        }

    def encode_texts(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Code and words of sentences.

        Gives "h" and "code" as for pictures, "text_tokens"
        `[T, L, D]`, "text_mask" `[T, L]`, and "t" where there is "v".
        """
        tokens, mask = features["tokens"].float(), features["mask"]
        drop = self.dshm.dropout
        h = self.dshm(tokens, mask, "text")
        out = {
            "h": h,
            "code": code_of(h),
            "text_tokens": tokens + self.kind[0],
            "text_mask": mask,
        }
        if self.vectors:
            t = self.vectors["text"](drop["text"](masked_mean(tokens, mask)))
            out["t"] = F.normalize(t, dim=1)
        return out

    # -- both ---------------------------------------------------------

    def score(
        self, images: Mapping[str, Tensor], texts: Mapping[str, Tensor]
    ) -> Tensor:
        """Minus the bits that differ, or cosines: `[B, T]`."""
        if self.coarse == "float":
            return cosines(images["h"], texts["h"])
        if self.coarse == "vectors":
            return images["v"] @ texts["t"].T
        if self.coarse == "gated":
            return self.gate.score(images, texts) + self.beside * cosines(
                images["h"], texts["h"]
            )
        one, other = images["code"], texts["code"]
        return (one @ other.T - one.shape[1]) / 2  # -Hamming

    def joint(
        self, images: Mapping[str, Tensor], texts: Mapping[str, Tensor], pairs: Tensor
    ) -> Tensor:
        """Fine scores `[N]` of chosen pairs, see the base."""
        image, text = pairs.unbind(1)
        fine = torch.zeros(len(pairs), device=pairs.device)
        if self.reading:
            words, mask = trim_tokens(
                texts["text_tokens"][text], texts["text_mask"][text]
            )
            fine = fine + self.reading * self.ssm(
                words, mask, images["image_tokens"][image]
            )
        if self.from_coarse:
            h = F.cosine_similarity(images["h"][image], texts["h"][text])
            if self.vectors:
                t = texts["t"][text]
                if self.gate is not None:
                    t = images["gate"][image] * t
                h = self.beside * h + F.cosine_similarity(images["v"][image], t)
            fine = fine + self.log_scale.exp() * h
        return fine

    # -- training -----------------------------------------------------

    def training_losses(self, batch, gather) -> dict[str, Tensor]:
        """L_tri + L_quant + L_bal + L_ssm, and that of the vectors."""
        images = self.encode_images(batch["images"])
        texts = self.encode_texts(self._text_inputs(batch["texts"]))
        h_i, h_t = gather(images["h"]).float(), gather(texts["h"]).float()
        positive = batch["pairs"]["positive"]
        with torch.autocast(positive.device.type, enabled=False):
            terms = {"triplet": self._ranking(h_i, h_t, positive)}
            if self.vectors:
                terms["vectors"] = sum(
                    contrasted(
                        {
                            k: gather(images[k]).float()
                            for k in ("v", "gate")
                            if k in images
                        },
                        {"t": gather(texts["t"]).float()},
                        self.gate,
                        TEMPERATURE,
                        positive,
                    ).values()
                )
            terms |= self.dshm.losses(images["h"].float(), texts["h"].float())
        if self.ssm_weight:
            own = (
                images["v"] @ texts["t"].T
                if self.vectors
                else cosines(images["h"], texts["h"])
            )
            same = (
                positive
                if len(positive) == len(own)
                else torch.eye(len(own), dtype=torch.bool, device=own.device)
            )
            terms["ssm"] = self.ssm_weight * self.ssm_loss(images, texts, own, same)
        return terms

    def _ranking(self, h_i: Tensor, h_t: Tensor, positive: Tensor) -> Tensor:
        """Hardest triplets, and InfoNCE where it is asked for."""
        scores = self.dshm.compared(h_i, h_t)
        loss = losses.triplet_hard(
            scores, self.margin, positive if self.mask_shared else None
        )
        if self.contrastive:
            loss = loss + self.contrastive * losses.contrastive(
                scores, TEMPERATURE, positive
            )
        return loss

    def ssm_loss(self, images, texts, scores: Tensor, positive: Tensor) -> Tensor:
        """Find the true sentence among false ones (and pictures).

        Args:
            images, texts: encoded sides of one batch.
            scores: `[B, B]`, cosines of the coarse stage.
            positive: `[B, B]`, True where a text is the image's own.
        """
        n = max(1, round(self.share * len(scores)))
        own = torch.arange(n, device=scores.device)[:, None]
        hard, barred = self.hard_texts, None
        if "false" in self.slips:  # copies of the true one are drawn
            hard, barred = (
                0,
                torch.eye(len(scores), dtype=torch.bool, device=scores.device),
            )
        wrong, pictures = false_partners(
            scores,
            positive,
            hard,
            self.false_texts - hard,
            self.false_images,
            barred=barred,
        )
        texts_of = torch.cat([own, wrong[:n]], 1)
        pictures = pictures[:n]
        pairs = torch.cat(
            [
                torch.stack([own.expand_as(texts_of), texts_of], 2),
                torch.stack([pictures, own.expand_as(pictures)], 2),
            ],
            1,
        )
        logits = (
            self.joint(images, texts, pairs.flatten(0, 1).clamp(min=0))
            .float()
            .view(n, -1)
        )
        m = texts_of.shape[1]
        loss = choice_loss(logits[:, :m], texts_of >= 0)
        if not self.false_images:
            return loss
        there = torch.cat([own, pictures], 1) >= 0
        other = torch.cat([logits[:, :1], logits[:, m:]], 1)
        return (loss + choice_loss(other, there)) / 2
