"""Transformer blocks: one modality by itself, and one reading another.

Pre-norm blocks in the style of ViT (`Block`) and of ALBEF's multi-
modal encoder (`CrossBlock`); EnVLF's abstract names such parts and
gives no equations, so these are our choice. Explained in chapter 04.
"""

import math
from collections.abc import Mapping

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from rsir.encoders.image import ImageEncoder, turned, turned_by_lot, upper_stages
from rsir.encoders.text import TextEncoder
from rsir.models.amfmn import VGMF
from rsir.models.base import JointRetriever, hard_negatives, trim_tokens
from rsir.models.cross_encoder import check_tasks, contrasted, gathered, hidden_words
from rsir.models.dual import Beside, Heads, warm_start
from rsir.models.layers import Standardise, attend, head
from rsir.utils.errors import RsirError


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
            raise RsirError(f"width is {dim}: {heads} heads need a multiple of {heads}")
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.merge = nn.Linear(dim, dim)

    def memory(self, y: Tensor) -> Tensor:
        """Keys and values of y `[B, M, dim]`: `[B, 2, h, M, d]`."""
        both = self.key_value(y).unflatten(2, (2, self.heads, -1))
        return both.permute(0, 2, 3, 1, 4)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        """What x `[B, L, dim]` reads in a memory.

        Args:
            memory: `[B, 2, h, M, d]`.
            mask: `[B, M]`, False where there is nothing to read.
        """
        key, value = memory.unbind(1)
        mixed = attend(
            self._split(self.query(x)),
            key,
            value,
            None if mask is None else mask[:, None, None, :],
            self.dropout if self.training else 0.0,
        )  # (B, h, L, d)
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
        nn.Linear(dim, ratio * dim),
        nn.GELU(),
        nn.Dropout(dropout),
        nn.Linear(ratio * dim, dim),
    )


class Block(nn.Module):
    """Self-attention, then a feed-forward net: a block of a ViT.

    Args:
        dim, heads, dropout: as in `MultiHead`.
        ratio: of the feed-forward net's hidden units to `dim`.
    """

    def __init__(
        self, dim: int, heads: int = 8, ratio: int = 2, dropout: float = 0.1
    ) -> None:
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

    def __init__(
        self, dim: int, heads: int = 8, ratio: int = 2, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.own = Block(dim, heads, ratio, dropout)
        self.norm = nn.LayerNorm(dim)
        self.cross = MultiHead(dim, heads, dropout)
        self.drop = nn.Dropout(dropout)

    def memory(self, tokens: Tensor) -> Tensor:
        """Keys and values of image tokens `[B, P, dim]`."""
        return self.cross.memory(tokens)

    def forward(self, words: Tensor, mask: Tensor, memory: Tensor) -> Tensor:
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

    def looks(self, words: Tensor, mask: Tensor, memory: Tensor) -> Tensor:
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

    def __init__(self, width: int, depth: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            CrossBlock(width, heads, dropout=dropout) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)

    def forward(
        self, words: Tensor, mask: Tensor, tokens: Tensor, rows: Tensor
    ) -> Tensor:
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

    def looks(self, words: Tensor, mask: Tensor, tokens: Tensor) -> Tensor:
        """Where words look in the last block: `[N, heads, L, P]`."""
        *first, last = self.blocks
        for block in first:
            words = block(words, mask, block.memory(tokens))
        return last.looks(words, mask, last.memory(tokens))


# ----------------------------------------------------------------------
# EnVLF: vision and language, encoded apart and then together.
#
# Source: He et al., Mathematics 2023, 11(10), 2279
# (doi 10.3390/math11102279), read from the abstract alone. It states
# three encoders (vision, language, multi-modal), end-to-end training
# on several tasks, image tokens in place of a detector's objects, and
# the multi-modal encoder at work on the head of the list. It gives no
# equation: losses, sizes and weights below are our choice, after ALBEF
# and its kin. Explained in chapter 04.
#
#     tokens = ViT blocks(upper stages(f3))     vision
#     words  = MiniLM                           language
#     score  = cos(v, t) + b                    makes the list
#     joint  = scale * (cos(v, gate * t) + b) + match(fusion)
#     fusion = words that look at tokens
#
# The gate is AMFMN's: the picture weighs what the sentence says. b is
# the weighted cosine of a second pair of heads.


class EnVLF(JointRetriever):
    """Vision, language and multi-modal encoder, trained together.

    Args:
        image_encoder: its lower stages stay frozen; their map is
            kept on disk.
        text_encoder: a sentence transformer.
        dim: length of the vectors that are compared.
        hidden: units of the heads that make them; 0: one matrix.
        width: length of image tokens and words in the fusion.
        start: map where the stages that learn begin, "f1" to "f4".
        stages_trained: False: these stages stay frozen, too.
        vector: what the image's vector is made of: "both" (pooled
            features and tokens) or "tokens" (the tokens alone).
        image_blocks: transformer blocks on the image tokens.
        joint_blocks: blocks of the multi-modal encoder.
        heads: of every attention.
        dropout, text_dropout: on vectors before the heads.
        block_dropout: inside of blocks.
        turns: show maps in one of the eight symmetries of the square
            while training, and take the mean of all when encoding;
            captions that say "left" need False.
        contrastive, weighing, matching, mlm: weights of the tasks; 0
            leaves one out, and weighing=0 the gate with it.
        beside: weight of a second pair of heads; 0: none.
        temperature: divides cosines in the contrastive tasks, and in
            the draw of hard negatives.
        negatives: hard negatives a pair in the matching task.
        masked: share of the words that the mlm task hides.
        mlm_share, matching_share: of the batch that a task reads.
        warm: epochs of `warm_start` on the frozen encoders' vectors
            before the first step; 0: start from chance.
    """

    def __init__(
        self,
        image_encoder: ImageEncoder,
        text_encoder: TextEncoder,
        *,
        dim: int = 512,
        hidden: int = 2048,
        width: int = 256,
        start: str = "f3",
        stages_trained: bool = True,
        vector: str = "both",
        image_blocks: int = 2,
        joint_blocks: int = 2,
        heads: int = 8,
        dropout: float = 0.1,
        text_dropout: float = 0.0,
        block_dropout: float = 0.1,
        turns: bool = True,
        contrastive: float = 1.0,
        weighing: float = 1.0,
        matching: float = 1.0,
        mlm: float = 0.3,
        beside: float = 0.0,
        temperature: float = 0.05,
        negatives: int = 2,
        masked: float = 0.25,
        mlm_share: float = 0.5,
        matching_share: float = 1.0,
        warm: int = 0,
    ) -> None:
        super().__init__()
        check_tasks(contrastive, matching, mlm, text_encoder)
        if vector not in ("both", "tokens"):
            raise RsirError(f"vector is {vector!r}: 'both' or 'tokens'")
        self.image_encoder = image_encoder
        self.text_encoder = text_encoder
        self.start, self.turns, self.vector = start, turns, vector
        self.reads = (start, "pooled")
        self.weights = {
            "contrastive": contrastive,
            "weighing": weighing,
            "matching": matching,
            "mlm": mlm,
        }
        self.temperature, self.negatives = temperature, negatives
        self.masked, self.mlm_share = masked, mlm_share
        self.matching_share, self.warm = matching_share, warm

        # vision: stages that learn, then transformer blocks
        self.stages = upper_stages(image_encoder, start)
        self.stages.requires_grad_(stages_trained)
        self.standardise = Standardise(image_encoder.dim)
        self.to_tokens = nn.Sequential(
            nn.LayerNorm(self.stages.dim),
            nn.Linear(self.stages.dim, width),
        )
        self.places = nn.Parameter(0.02 * torch.randn(self.stages.grid**2, width))
        self.blocks = nn.ModuleList(
            Block(width, heads, dropout=block_dropout) for _ in range(image_blocks)
        )
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.text_dropout = nn.Dropout(text_dropout)
        self.to_image = head(image_encoder.dim, dim, hidden)
        self.tokens_to_image = nn.Linear(width, dim)

        # language
        self.to_text = head(text_encoder.dim, dim, hidden)
        self.to_words = nn.Linear(text_encoder.dim, width)

        # both
        self.beside = (
            Beside(image_encoder.dim, text_encoder.dim, hidden, beside, temperature)
            if beside
            else None
        )
        self.weights |= {"beside": 1.0} if beside else {}
        self.guidance = VGMF(dim, "soft", "paper") if weighing else None
        self.fusion = Fusion(width, joint_blocks, heads, block_dropout)
        self.match = nn.Linear(width, 1)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))
        self.to_vocabulary = nn.Sequential(
            nn.Linear(width, text_encoder.dim),
            nn.GELU(),
            nn.LayerNorm(text_encoder.dim),
        )
        if mlm:
            size = text_encoder.model.config.vocab_size
            self.word_bias = nn.Parameter(torch.zeros(size))
            self.register_buffer("known", torch.ones(size, dtype=torch.uint8))

    def train(self, mode: bool = True) -> "EnVLF":
        """As usual, but stages keep the statistics they came with."""
        super().train(mode)
        self.stages.eval()
        return self

    def fit(self, corpus) -> None:
        """Note the words of `corpus`, the train split; start warm."""
        if self.weights["mlm"]:
            ids = self.text_encoder.tokenize(corpus.texts)
            self.known.zero_()
            self.known[ids.unique()] = 1
        if self.warm and self.weights["contrastive"] and self.vector == "both":
            codes = self.beside and self.beside.codes()
            warm_start(
                self,
                Heads(
                    self.to_image,
                    self.to_text,
                    self.dropout.p,
                    self.text_dropout.p,
                    self.guidance,
                    codes,
                ),
                corpus,
                self.warm,
                self.temperature,
                lambda texts: texts["pooled"],
            )
            nn.init.zeros_(self.tokens_to_image.weight)
            nn.init.zeros_(self.tokens_to_image.bias)

    # -- vision -------------------------------------------------------

    def encode_images(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The picture as one vector and as tokens.

        Args:
            features: the map `start` `[B, C, H, W]`, and "pooled"
                `[B, C']`, the frozen encoder's own vector.

        Returns:
            "v" `[B, dim]` of unit length, "image_tokens"
            `[B, P, width]` (P = 49), "gate" `[B, dim]` in (0, 1),
            "h" `[B, 128]` of the second heads.
        """
        maps = features[self.start].float()
        pooled = self.standardise(features["pooled"].float())
        if self.training:
            vector, tokens = self._seen(turned_by_lot(maps) if self.turns else maps)
        else:
            vector, tokens = self._seen(maps)
            for view in range(1, 8) if self.turns else ():
                vector = vector + self._seen(turned(maps, view))[0]
            vector = vector / (8 if self.turns else 1)
        if self.vector == "both":
            # one head: the frozen vector and the one that learns
            vector = vector + self.to_image(self.dropout(pooled)) / 2
        sides = {"v": F.normalize(vector, dim=1), "image_tokens": tokens}
        if self.guidance is not None:
            sides |= self.guidance.image_side(vector)
        if self.beside is not None:
            sides["h"] = self.beside.image(self.dropout(pooled))
        return sides

    def _seen(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """One look: a vector `[B, dim]`, tokens `[B, P, width]`."""
        maps = maps.contiguous(memory_format=torch.channels_last)
        cells = self.stages(maps)  # (B, P, C')
        tokens = self.to_tokens(cells) + self.places
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.norm(tokens)  # (B, P, width)
        vector = self.tokens_to_image(tokens.mean(1))
        if self.vector == "both":
            own = self.standardise(cells.mean(1))  # (B, C')
            vector = vector + self.to_image(self.dropout(own)) / 2
        return vector, tokens

    # -- language -----------------------------------------------------

    def encode_texts(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The sentence as one vector and as words.

        Gives "t" `[T, dim]` of unit length, "text_tokens"
        `[T, L, width]`, "text_mask" `[T, L]`, and "h" as for images.
        """
        pooled = self.text_dropout(features["pooled"])
        sides = {
            "t": F.normalize(self.to_text(pooled), dim=1),
            "text_tokens": self.to_words(features["tokens"]),
            "text_mask": features["mask"],
        }
        if self.beside is not None:
            sides["h"] = self.beside.text(pooled)
        return sides

    def score(
        self, images: Mapping[str, Tensor], texts: Mapping[str, Tensor]
    ) -> Tensor:
        """Cosines `[B, T]`, the second beside: what makes the list."""
        scores = images["v"] @ texts["t"].T
        if self.beside is not None:
            scores = scores + self.beside.score(images["h"], texts["h"])
        return scores

    # -- both ---------------------------------------------------------

    def joint(
        self, images: Mapping[str, Tensor], texts: Mapping[str, Tensor], pairs: Tensor
    ) -> Tensor:
        """scale * (cos(v, t') + b) + reading * match(fusion), `[N]`."""
        image, text = pairs.unbind(1)
        t = texts["t"][text]
        if self.guidance is not None:
            t = images["gate"][image] * t  # t', eq. (20)
        score = F.cosine_similarity(images["v"][image], t)
        if self.beside is not None:
            score = score + self.beside.of_pairs(images["h"][image], texts["h"][text])
        score = self.log_scale.exp() * score
        if not self.reading:
            return score
        words, mask = trim_tokens(texts["text_tokens"][text], texts["text_mask"][text])
        read = self.fusion(words, mask, images["image_tokens"], image)
        return score + self.reading * self.match(read[:, 0])[:, 0]

    def looks(
        self, images: Mapping[str, Tensor], texts: Mapping[str, Tensor], pairs: Tensor
    ) -> Tensor:
        """Where the words of chosen pairs look in their pictures.

        Returns:
            `[N, L, P]`, the mean over heads; each row sums to 1.
        """
        image, text = pairs.unbind(1)
        return self.fusion.looks(
            texts["text_tokens"][text],
            texts["text_mask"][text],
            images["image_tokens"][image],
        ).mean(1)

    # -- tasks --------------------------------------------------------

    def training_losses(self, batch, gather) -> dict[str, Tensor]:
        """Weighted losses of the tasks that are switched on.

        Negatives come from all processes: each contrasts the whole
        joint batch, and matches its own pairs with partners from it.
        """
        images = self.encode_images(batch["images"])
        texts = self.encode_texts(self._text_inputs(batch["texts"]))
        mine = len(images["v"])
        whole_i = {k: gathered(v, gather) for k, v in images.items()}
        whole_t = {k: gathered(v, gather) for k, v in texts.items()}
        positive = batch["pairs"]["positive"]
        several = dist.is_available() and dist.is_initialized()
        first = mine * (dist.get_rank() if several else 0)
        own = torch.arange(
            first,
            first + max(1, round(self.matching_share * mine)),
            device=positive.device,
        )
        with torch.autocast(positive.device.type, enabled=False):
            scores = self.score(whole_i, whole_t)
        terms = contrasted(whole_i, whole_t, self.guidance, self.temperature, positive)
        if not self.weights["contrastive"]:
            del terms["contrastive"]
        if self.beside is not None:
            terms["beside"] = self.beside.loss(whole_i["h"], whole_t["h"], positive)
        if self.weights["matching"]:
            terms["matching"] = self.matching_loss(
                scores, positive, whole_i, whole_t, own
            )
        if self.weights["mlm"]:
            terms["mlm"] = self.mlm_loss(
                images["image_tokens"],
                batch["texts"]["ids"],
                first,
                len(scores),
                gather,
            )
        return {k: self.weights[k] * v for k, v in terms.items()}

    def matching_loss(
        self,
        scores: Tensor,
        positive: Tensor,
        images: Mapping[str, Tensor],
        texts: Mapping[str, Tensor],
        own: Tensor,
    ) -> Tensor:
        """Find the true partner among hard negatives, both ways.

        Args:
            scores: `[B, B]` of the list-making score.
            positive: `[B, B]`; such pairs are never negatives.
            images, texts: of the joint batch.
            own: rows that this process reads.

        Returns:
            Cross-entropy of the true one of 1 + `negatives`, the mean
            of both directions.
        """
        wrong_t, wrong_i = hard_negatives(
            scores, positive, self.negatives, self.temperature
        )
        wrong = torch.cat([wrong_t[own], wrong_i[own]])  # (2b, n)
        b, n = len(own), self.negatives
        there = wrong >= 0
        wrong = wrong.clamp(min=0)
        again = own[:, None].expand(b, n)
        pairs = torch.cat(
            [
                torch.stack([own, own], 1),
                torch.stack([again, wrong[:b]], 2).flatten(0, 1),
                torch.stack([wrong[b:], again], 2).flatten(0, 1),
            ]
        )  # (b + 2bn, 2)
        logits = self.joint(images, texts, pairs).float()
        right = logits[:b].repeat(2)[:, None]  # (2b, 1)
        others = logits[b:].view(2 * b, n).masked_fill(~there, float("-inf"))
        return -torch.cat([right, others], 1).log_softmax(1)[:, 0].mean()

    def mlm_loss(
        self, tokens: Tensor, ids: Tensor, first: int, total: int, gather=lambda x: x
    ) -> Tensor:
        """Say the hidden words, from the others and the picture.

        Args:
            tokens: image tokens `[b, P, width]` of this process.
            ids: word pieces `[b, L]` of its captions.
            first: its first row in the joint batch.
            total: rows of the joint batch.
            gather: joins a tensor over processes.

        Returns:
            Mean cross-entropy over hidden words; the answers are all
            words of the train split. A process that hides more words
            than the others weighs more, as in one joint batch.
        """
        tokenizer = self.text_encoder.tokenizer
        lots = torch.rand(total, ids.shape[1], device=ids.device)
        n = max(1, round(self.mlm_share * len(ids)))
        lots, ids, tokens = lots[first : first + n], ids[:n], tokens[:n]
        hidden = hidden_words(ids, lots, tokenizer, self.masked)
        shown = ids.masked_fill(hidden, tokenizer.mask_token_id)
        features = self.text_features(shown)
        words, mask = trim_tokens(self.to_words(features["tokens"]), features["mask"])
        rows = torch.arange(len(ids), device=ids.device)
        read = self.fusion(words, mask, tokens, rows)
        hidden = hidden[:, : mask.shape[1]]
        guess = self.to_vocabulary(read[hidden])  # (M, text dim)
        known = self.known.nonzero()[:, 0]
        table = self.text_encoder.model.get_input_embeddings().weight
        logits = guess @ table[known].T + self.word_bias[known]
        place = torch.cumsum(self.known, 0) - 1  # id -> row of table
        answers = place[ids[:, : mask.shape[1]][hidden]]
        wrong = F.cross_entropy(logits.float(), answers, reduction="sum")
        return wrong / gather(hidden.sum()[None].float()).mean()
