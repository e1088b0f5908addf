"""EnVLF: vision and language encoded apart, then read together.

Source: Liu et al., Mathematics 2023, 11(10), 2279
(doi 10.3390/math11102279), read from the abstract alone. The paper's: three
encoders (vision, language, multi-modal), end-to-end training on several
tasks, image tokens in place of a detector's objects, the multi-modal encoder
at work on the head of the list. It gives no equation, size or weight. Where
it is silent this is ALBEF's plain reading (Li et al., NeurIPS 2021), and
`EnVLFConfig` says "ours". Explained in chapter 04.

    tokens = ViT blocks(cells of the picture)        vision
    words  = sentence transformer                    language
    score  = cos(mean of tokens, mean of words)      makes the list
    match  = multi-modal encoder(words, tokens)      orders its head

    loss   = contrastive + matching + masked words
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rsir.encoders.encoded_split import EncodedSplit
from rsir.encoders.image import ImageEncoder, upper_stages
from rsir.encoders.text import TextEncoder
from rsir.models import Config
from rsir.models.cross_encoder import (
    CrossEncoder,
    Sides,
    attention_bias,
    hard_negatives,
    own_rows,
    trim_tokens,
)
from rsir.models.layers import Standardise
from rsir.models.losses import contrastive
from rsir.utils.errors import RsirError

TASKS = ("contrastive", "matching", "masked_words")


@dataclass(frozen=True)
class EnVLFConfig(Config):
    """EnVLF. All sizes are ours: the abstract names none.

    Attributes:
        dim: length of the vectors that are compared.
        start: map where the image stages that learn begin, "f1" to "f4".
        image_blocks: transformer blocks on the cells of the picture.
        joint_blocks: blocks of the multi-modal encoder.
        dropout: in all new blocks.
        temperature: divides cosines, in the loss and in the draw of hard
            negatives.
        tasks: some of "contrastive" (which makes the list and must be
            there), "matching" and "masked_words"; each has weight 1.
        masked: share of the words that are hidden.
        joint_share: share of a batch that the multi-modal encoder reads.
        rerank_top: how far down a list the multi-modal encoder may read;
            how far it does is chosen on validation.
    """

    method: str = "envlf"
    dim: int = 256  # ours: ALBEF's
    start: str = "f3"  # ours: below it a convolution fits aerial pictures as it is
    image_blocks: int = 2  # ours
    joint_blocks: int = 2  # ours
    dropout: float = 0.1  # ours
    temperature: float = 0.07  # ours: where ALBEF's starts
    tasks: tuple[str, ...] = TASKS  # ours: the abstract says "multitask"
    masked: float = 0.15  # ours: BERT's
    joint_share: float = 1.0  # ours: reading pairs is the expensive part
    rerank_top: int = 32  # ours: the abstract speaks of the first five

    TITLE = "EnVLF"
    YEAR = 2023


class CrossBlock(nn.Module):
    """Words read each other, then the picture; then a feed-forward net.

    After ALBEF: a block of a BERT, with attention to the picture put between
    its two parts. The block starts as a copy of one that reads sentences.

    Args:
        block: of a BERT.
        dim, heads: of the attention to the picture.
        dropout: of the same.
    """

    def __init__(self, block: nn.Module, dim: int, heads: int, dropout: float):
        super().__init__()
        self.block = copy.deepcopy(block).requires_grad_(True)
        self.cross = nn.MultiheadAttention(dim, heads, dropout, batch_first=True)
        self.norm = nn.LayerNorm(dim)

    def forward(
        self, words: Tensor, mask: Tensor, tokens: Tensor, weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Words that have read the picture, and where they looked.

        Args:
            words, mask: `[N, L, dim]` and `[N, L]`, True where a word is.
            tokens: `[N, P, dim]`, of each row's picture.
            weights: also give the attention.

        Returns:
            `[N, L, dim]`, and `[N, L, P]` (rows sum to 1) or None.
        """
        block = self.block
        x = block.attention(words, attention_bias(mask))[0]
        y, attention = self.cross(x, tokens, tokens, need_weights=weights)  # read
        x = self.norm(x + y)
        return block.output(block.intermediate(x), x), attention


class MultiModalEncoder(nn.Module):
    """Blocks in which the words of a sentence read a picture.

    Args:
        blocks: of a BERT; copied.
        dim, heads, dropout: see `CrossBlock`.
    """

    def __init__(self, blocks: nn.ModuleList, dim: int, heads: int, dropout: float):
        super().__init__()
        every = (CrossBlock(block, dim, heads, dropout) for block in blocks)
        self.blocks = nn.ModuleList(every)

    def forward(
        self, words: Tensor, mask: Tensor, tokens: Tensor, weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """As `CrossBlock`; the attention is that of the last block."""
        for block in self.blocks:
            words, attention = block(words, mask, tokens, weights)
        return words, attention


class EnVLF(CrossEncoder):
    """Vision, language and multi-modal encoder, trained together.

    Args:
        image_encoder: the map `start` is kept on disk; what stands above
            it is copied, and learns.
        text_encoder: a sentence transformer; its width is that of all
            tokens, its number of heads that of all attentions.
        config: see `EnVLFConfig`.
    """

    Config = EnVLFConfig

    def __init__(
        self, image_encoder: ImageEncoder, text_encoder: TextEncoder, config
    ) -> None:
        super().__init__(image_encoder, text_encoder, config)
        _check(config, text_encoder)
        self.reads = (config.start,)
        width = text_encoder.dim
        heads = text_encoder.model.config.num_attention_heads

        # vision
        self.stages = upper_stages(image_encoder, config.start)
        self.standardise = Standardise(self.stages.dim)
        self.to_tokens = nn.Linear(self.stages.dim, width)
        self.places = nn.Parameter(0.02 * torch.randn(self.stages.grid**2, width))
        sizes = (width, heads, 4 * width, config.dropout, "gelu")
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(*sizes, batch_first=True, norm_first=True)
            for _ in range(config.image_blocks)
        )
        self.norm = nn.LayerNorm(width)
        self.to_image = nn.Linear(width, config.dim)

        # language
        self.to_text = nn.Linear(width, config.dim)

        # both
        layers = text_encoder.model.encoder.layer
        layers = layers[len(layers) - config.joint_blocks :]
        self.joint = MultiModalEncoder(layers, width, heads, config.dropout)
        self.match = nn.Linear(width, 1)
        self.to_vocabulary = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width)
        )
        words = text_encoder.model.config.vocab_size
        self.word_bias = nn.Parameter(torch.zeros(words))

    def train(self, mode: bool = True) -> "EnVLF":
        """As usual, but stages keep the statistics they came with."""
        super().train(mode)
        self.stages.eval()
        return self

    def fit_statistics(self, train: EncodedSplit) -> None:
        """Measure the scale of cells on 512 pictures of train."""
        n = train.split.n_images
        maps = train.images(range(0, n, max(1, n // 512)))[self.config.start]
        with torch.no_grad():
            cells = self.stages(maps.float().to(self.places.device))
        self.standardise.fit(cells.flatten(0, 1))

    # -- vision -------------------------------------------------------------

    def encode_images(self, features: Sides) -> dict[str, Tensor]:
        """The picture as one vector and as tokens.

        Args:
            features: the map `start`, `[B, C, H, W]`.

        Returns:
            "v" `[B, dim]` of unit length, "image_tokens" `[B, P, width]`.
        """
        cells = self.stages(features[self.config.start].float())  # (B, P, C)
        x = self.to_tokens(self.standardise(cells)) + self.places
        for block in self.blocks:
            x = block(x)  # (B, P, width)
        tokens = self.norm(x)  # vision
        v = F.normalize(self.to_image(tokens.mean(1)), dim=1)  # (B, dim)
        return {"v": v, "image_tokens": tokens}

    # -- language -----------------------------------------------------------

    def encode_texts(self, features: Sides) -> dict[str, Tensor]:
        """The sentence as one vector and as words.

        Returns:
            "t" `[T, dim]` of unit length, "text_tokens" `[T, L, width]`,
            "text_mask" `[T, L]`.
        """
        return {
            "t": F.normalize(self.to_text(features["pooled"].float()), dim=1),
            "text_tokens": features["tokens"].float(),  # language
            "text_mask": features["mask"],
        }

    def score(self, images: Sides, texts: Sides) -> Tensor:
        """Cosines `[B, T]`, which make the list."""
        return images["v"] @ texts["t"].T  # cos(v, t)

    # -- both ---------------------------------------------------------------

    def score_pairs(self, images: Sides, texts: Sides, pairs: Tensor) -> Tensor:
        """Match scores `[N]` of chosen pairs: logits, higher is closer."""
        words, mask, tokens = _of_pairs(images, texts, pairs)
        read, _ = self.joint(words, mask, tokens)  # (N, L, width)
        return self.match(read[:, 0])[:, 0]  # match

    @torch.no_grad()
    def attention(self, images: Sides, texts: Sides, pairs: Tensor) -> Tensor:
        """Where the words of chosen pairs look: `[N, L, P]`, rows sum to 1."""
        words, mask, tokens = _of_pairs(images, texts, pairs)
        return self.joint(words, mask, tokens, weights=True)[1]

    # -- tasks --------------------------------------------------------------

    def training_losses(self, batch, gather) -> dict[str, Tensor]:
        """The losses of all tasks, by name.

        Negatives come from all processes: each contrasts the whole batch,
        and matches its own pairs with partners from all of it.
        """
        images = self.encode_images(batch["images"])
        texts = self.encode_texts(self.text_features(batch["texts"]))
        n = len(images["v"])
        first = own_rows(n).start
        read = max(1, round(self.config.joint_share * n))
        positive = batch["pairs"]["positive"]

        every = {k: gather(x.float()) for k, x in (images | texts).items()}
        every["text_mask"] = every["text_mask"] > 0
        # bf16 keeps three digits: too few for what is divided by 0.07
        with torch.autocast(positive.device.type, enabled=False):
            scores = self.score(every, every)
            loss = contrastive(scores, self.config.temperature, positive)
        losses = {"contrastive": loss}
        if "matching" in self.config.tasks:
            rows = torch.arange(first, first + read, device=positive.device)
            losses["matching"] = self.matching_loss(every, scores, positive, rows)
        if "masked_words" in self.config.tasks:
            tokens, ids = images["image_tokens"], batch["texts"]["ids"]
            losses["masked_words"] = self.masked_words_loss(
                tokens[:read], ids[:read], (first, len(scores)), gather
            )
        return losses

    def matching_loss(
        self, encoded: Sides, scores: Tensor, positive: Tensor, rows: Tensor
    ) -> Tensor:
        """Is this the sentence of this picture? Binary cross-entropy.

        Each row is asked about its own pair, about a hard wrong text and
        about a hard wrong picture.

        Args:
            encoded: both sides of the whole batch.
            scores: `[B, B]`, cosines that negatives are drawn by.
            positive: `[B, B]`; such pairs are never negatives.
            rows: `[b]` int64, that this process reads.
        """
        heat = self.config.temperature
        text = hard_negatives(scores, positive, 1, heat)[rows, 0]
        image = hard_negatives(scores.T, positive.T, 1, heat)[rows, 0]
        pairs = torch.stack(
            [torch.cat([rows, rows, image]), torch.cat([rows, text, rows])], 1
        )  # (3b, 2): image, text
        answer = torch.arange(len(pairs), device=rows.device) < len(rows)
        there = (pairs >= 0).all(1)  # a row may have no wrong partner
        logits = self.score_pairs(encoded, encoded, pairs[there]).float()
        loss = F.binary_cross_entropy_with_logits(
            logits, answer[there].float(), reduction="sum"
        )
        return loss / len(pairs)

    def masked_words_loss(
        self,
        tokens: Tensor,
        ids: Tensor,
        place: tuple[int, int],
        gather: Callable[[Tensor], Tensor] = lambda x: x,
    ) -> Tensor:
        """Say the hidden words, from the others and the picture.

        Args:
            tokens: `[b, P, width]` of this process.
            ids: word pieces `[b, L]` of their captions.
            place: its first row in the whole batch, and rows of that.
            gather: joins a tensor over processes.

        Returns:
            Mean cross-entropy over the hidden words of all processes.
        """
        encoder, (first, total) = self.text_encoder, place
        draws = torch.rand(total, ids.shape[1], device=ids.device)
        draws = draws[first : first + len(ids)]
        special = encoder.tokenizer.all_special_ids
        hidden = hidden_words(ids, draws, special, self.config.masked)
        shown = ids.masked_fill(hidden, encoder.tokenizer.mask_token_id)
        features = self.text_features(shown)
        words, mask = trim_tokens(features["tokens"], features["mask"])
        read, _ = self.joint(words, mask, tokens)  # (b, l, width)
        hidden = hidden[:, : mask.shape[1]]
        guess = self.to_vocabulary(read[hidden])  # (M, width)
        table = encoder.model.get_input_embeddings().weight  # (V, width)
        logits = guess @ table.T + self.word_bias
        answer = ids[:, : mask.shape[1]][hidden]
        wrong = F.cross_entropy(logits.float(), answer, reduction="sum")
        return wrong / gather(hidden.sum()[None].float()).mean()


def hidden_words(ids: Tensor, draws: Tensor, special: list[int], share: float):
    """Which word pieces to hide: `[B, L]` bool.

    One a sentence at least, so that no caption is idle; never a special
    token.

    Args:
        ids, draws: `[B, L]`; draws from [0, 1).
        special: ids that are never hidden.
        share: of all pieces.
    """
    never = torch.isin(ids, torch.tensor(special, device=ids.device))
    draws = draws.masked_fill(never, 2.0)
    least = draws == draws.amin(1, keepdim=True)
    return (draws < share) | (least & ~never)


def _of_pairs(images, texts, pairs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Words, mask and image tokens of each pair."""
    image, text = pairs.unbind(1)
    words, mask = trim_tokens(texts["text_tokens"][text], texts["text_mask"][text])
    return words, mask, images["image_tokens"][image]


def _check(config: EnVLFConfig, text_encoder: TextEncoder) -> None:
    config.check("tasks", TASKS)
    if "contrastive" not in config.tasks:
        raise RsirError(
            "tasks lack 'contrastive', without which nothing makes the list"
        )
    if getattr(text_encoder, "tokenizer", None) is None:
        raise RsirError(
            f"text_encoder is {text_encoder.name!r}: EnVLF needs a sentence "
            "transformer such as 'minilm'"
        )
    if "masked_words" in config.tasks and config.text_layers == 0:
        raise RsirError(
            "text_layers is 0: sentences are read once, before a word can be "
            "hidden; leave 'masked_words' out of tasks, or set text_layers=1"
        )


# -- presets and variants ----------------------------------------------------

PRESETS = {
    "toy": {
        "image_size": 128,
        "start": "f4",
        "text_layers": 1,
        "image_blocks": 1,
        "joint_blocks": 1,
        "dropout": 0.0,
        "joint_share": 0.25,
        "epochs": 6,
        "batch": 64,
        "lr": 3e-4,
        "image_lr": 3e-4,
        "eval_every": 3,
        "precision": "no",
    },
    "cpu": {
        "text_layers": 2,
        "joint_share": 0.5,
        "epochs": 6,
        "batch": 128,
        "lr": 3e-4,
        "image_lr": 2e-4,
        "eval_every": 2,
        "rerank_top": 16,
    },
    # ours: the abstract names no sizes
    "paper": {
        "image_encoder": "vit_base",
        "start": "f1",
        "text_encoder": "google-bert/bert-base-uncased",
        "text_layers": None,
        "image_blocks": 0,
        "joint_blocks": 6,
        "epochs": 30,
        "batch": 128,
        "lr": 1e-4,
        "image_lr": 2e-5,
        "text_lr": 2e-5,
    },
}

_FROZEN = {"image_lr": 0.0, "text_lr": 0.0}
_ALONE = {"tasks": ("contrastive",), "rerank_top": 0}

VARIANTS = {
    "rescored": {},
    "uni": {"rerank_top": 0},
    "contrastive-alone": _ALONE,
    "minus-matching": {"tasks": ("contrastive", "masked_words"), "rerank_top": 0},
    "minus-mlm": {"tasks": ("contrastive", "matching")},
    "frozen": _FROZEN,
    # frozen encoders and one task, beside GaLR's local branch
    "tokens": _FROZEN | _ALONE,
}
