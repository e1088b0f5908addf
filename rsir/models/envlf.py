"""EnVLF: vision and language encoded apart, then read together.

Source: Liu et al., Mathematics 2023, 11(10), 2279 (doi 10.3390/math11102279),
read from the abstract alone. The paper's: three encoders (vision, language,
multi-modal), end-to-end training on several tasks, image tokens in place of a
detector's objects, the multi-modal encoder at work on the head of the list.
Where it is silent this is ALBEF's plain reading (Li et al., NeurIPS 2021), and
`EnVLFConfig` says "ours". Explained in chapter 04.

    tokens = ViT blocks(cells of the picture)        vision
    words  = sentence transformer                    language
    score  = cos(mean of tokens, mean of words)      makes the list
    match  = multi-modal encoder(words, tokens)      orders its head

    loss   = contrastive + matching + masked words
"""

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rsir.encoders.encoded_split import EncodedSplit
from rsir.encoders.image import upper_stages
from rsir.models import END_TO_END, Config
from rsir.models.base import Sides
from rsir.models.cross_encoder import (
    CrossEncoder,
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
    """EnVLF. All sizes are ours: the abstract names none."""

    method: str = "envlf"
    dim: int = 256  #: length of the vectors that are compared; ours, as ALBEF's
    #: map where the image stages that learn begin, "f1" to "f4"; ours, below
    #: it a convolution fits aerial pictures as it is
    start: str = "f3"
    image_blocks: int = 2  #: transformer blocks on the cells of the picture
    joint_blocks: int = 2  #: blocks of the multi-modal encoder
    dropout: float = 0.1  #: in all new blocks
    #: divides cosines, in the loss and in the draw of hard negatives; ours,
    #: where ALBEF's starts
    temperature: float = 0.07
    #: some of `TASKS`, "contrastive" among them, for it makes the list; each
    #: has weight 1; ours: the abstract says "multitask"
    tasks: tuple[str, ...] = TASKS
    masked: float = 0.15  #: share of the words that are hidden; ours, as BERT's
    #: share of a batch that the multi-modal encoder reads; ours, reading pairs
    #: is the expensive part
    joint_share: float = 1.0
    #: how far down a list the multi-modal encoder may read; how far it does is
    #: chosen on validation; ours: the abstract speaks of the first five
    rerank_top: int = 32

    TITLE = "EnVLF"
    YEAR = 2023

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("tasks", TASKS)
        if "contrastive" not in self.tasks:
            raise RsirError(
                "tasks lack 'contrastive', without which nothing makes the list"
            )
        if "masked_words" in self.tasks and self.text_layers == 0:
            raise RsirError(
                "text_layers is 0: sentences are read once, before a word can be "
                "hidden; leave 'masked_words' out of tasks, or set text_layers=1"
            )


class CrossBlock(nn.Module):
    """Words read each other, then the picture; then a feed-forward net.

    After ALBEF: a copy of a BERT's block, with attention to the picture (of
    `dim`, `heads` and `dropout`) put between its two parts.
    """

    def __init__(self, block: nn.Module, dim: int, heads: int, dropout: float):
        super().__init__()
        self.block = copy.deepcopy(block).requires_grad_(True)
        self.cross = nn.MultiheadAttention(dim, heads, dropout, batch_first=True)
        self.norm = nn.LayerNorm(dim)

    def forward(self, words: Tensor, mask: Tensor, tokens: Tensor, weights=False):
        """Words `[N, L, dim]`, masked `[N, L]`, that have read the tokens
        `[N, P, dim]` of their pictures, and with `weights` where they looked:
        `[N, L, P]`, rows sum to 1.
        """
        block = self.block
        x = block.attention(words, attention_bias(mask))[0]
        y, attention = self.cross(x, tokens, tokens, need_weights=weights)  # read
        x = self.norm(x + y)
        return block.output(block.intermediate(x), x), attention


class MultiModalEncoder(nn.Module):
    """Blocks in which the words of a sentence read a picture, see `CrossBlock`."""

    def __init__(self, blocks: nn.ModuleList, *sizes):
        super().__init__()
        self.blocks = nn.ModuleList(CrossBlock(block, *sizes) for block in blocks)

    def forward(self, words: Tensor, mask: Tensor, tokens: Tensor, weights=False):
        """As `CrossBlock`; where the words looked in the last block."""
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

    def __init__(self, image_encoder, text_encoder, config: EnVLFConfig) -> None:
        super().__init__(image_encoder, text_encoder, config)
        if getattr(text_encoder, "tokenizer", None) is None:
            raise RsirError(
                f"text_encoder is {text_encoder.name!r}: EnVLF needs a sentence "
                "transformer such as 'minilm'"
            )
        self.reads = (config.start,)
        width, bert = text_encoder.dim, text_encoder.model
        heads = bert.config.num_attention_heads

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
        layers = bert.encoder.layer
        layers = layers[len(layers) - config.joint_blocks :]
        self.joint = MultiModalEncoder(layers, width, heads, config.dropout)
        self.match = nn.Linear(width, 1)
        self.to_vocabulary = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width)
        )
        self.word_bias = nn.Parameter(torch.zeros(bert.config.vocab_size))

    def fit_statistics(self, train: EncodedSplit) -> None:
        """Measure the scale of frozen cells on 512 pictures of train."""
        if self.image_encoder.learns:
            return
        n = train.split.n_images
        maps = train.images(range(0, n, max(1, n // 512)))[self.config.start]
        with torch.no_grad():
            cells = self.stages(maps.float().to(self.places.device))
        self.standardise.fit(cells.flatten(0, 1))

    def encode_images(self, features: Sides) -> dict[str, Tensor]:
        """Pictures: "v" `[B, dim]` of unit length, "image_tokens" `[B, P, width]`."""
        cells = self.stages(features[self.config.start].float())  # (B, P, C)
        x = self.to_tokens(self.standardise(cells)) + self.places
        for block in self.blocks:
            x = block(x)  # (B, P, width)
        tokens = self.norm(x)  # vision
        v = F.normalize(self.to_image(tokens.mean(1)), dim=1)  # (B, dim)
        return {"v": v, "image_tokens": tokens}

    def encode_texts(self, features: Sides) -> dict[str, Tensor]:
        """Sentences: "t" `[T, dim]` of unit length, "text_tokens" `[T, L, width]`
        and "text_mask" `[T, L]`.
        """
        return {
            "t": F.normalize(self.to_text(features["pooled"].float()), dim=1),
            "text_tokens": features["tokens"].float(),  # language
            "text_mask": features["mask"],
        }

    def score(self, images: Sides, texts: Sides) -> Tensor:
        """Cosines `[B, T]`, which make the list."""
        return images["v"] @ texts["t"].T  # cos(v, t)

    def _read(self, images: Sides, texts: Sides, pairs: Tensor, weights=False):
        image, text = pairs.unbind(1)
        words, mask = trim_tokens(texts["text_tokens"][text], texts["text_mask"][text])
        return self.joint(words, mask, images["image_tokens"][image], weights)

    def score_pairs(self, images: Sides, texts: Sides, pairs: Tensor) -> Tensor:
        """Match scores `[N]` of chosen pairs: logits, higher is closer."""
        read, _ = self._read(images, texts, pairs)  # (N, L, width)
        return self.match(read[:, 0])[:, 0]  # match

    @torch.no_grad()
    def attention(self, images: Sides, texts: Sides, pairs: Tensor) -> Tensor:
        """Where the words of chosen pairs look: `[N, L, P]`, rows sum to 1."""
        return self._read(images, texts, pairs, weights=True)[1]

    def training_losses(self, batch, gather) -> dict[str, Tensor]:
        """The losses of all tasks, by name.

        Each process contrasts the whole batch, and matches its own pairs with
        partners from all of it.
        """
        images = self.encode_images(self.image_features(batch["images"]))
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

        Each of `rows` `[b]` of the batch `encoded` is asked about its own pair,
        about a hard wrong text and about a hard wrong picture, drawn by `scores`
        `[B, B]`, and never `positive` `[B, B]`.
        """
        heat = self.config.temperature
        text = hard_negatives(scores, positive, 1, heat)[rows, 0]
        image = hard_negatives(scores.T, positive.T, 1, heat)[rows, 0]
        both = torch.cat([rows, rows, image]), torch.cat([rows, text, rows])
        pairs = torch.stack(both, 1)  # (3b, 2): image, text
        answer = torch.arange(len(pairs), device=rows.device) < len(rows)
        there = (pairs >= 0).all(1)  # a row may have no wrong partner
        logits = self.score_pairs(encoded, encoded, pairs[there]).float()
        loss = F.binary_cross_entropy_with_logits(
            logits, answer[there].float(), reduction="sum"
        )
        return loss / len(pairs)

    def masked_words_loss(
        self, tokens: Tensor, ids: Tensor, place: tuple[int, int], gather=lambda x: x
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
    """Which word pieces to hide: `[B, L]` bool; of each sentence at least one.

    Args:
        ids, draws: `[B, L]`; draws from [0, 1).
        special: ids that are never hidden.
        share: of all pieces.
    """
    never = torch.isin(ids, torch.tensor(special, device=ids.device))
    draws = draws.masked_fill(never, 2.0)
    least = draws == draws.amin(1, keepdim=True)
    return (draws < share) | (least & ~never)


PRESETS = {
    "toy": {
        "image_size": 128,
        "start": "f4",
        "text_layers": 1,
        "image_blocks": 1,
        "joint_blocks": 1,
        "dropout": 0.0,
        "joint_share": 0.125,
        "epochs": 4,
        "batch": 64,
        "lr": 3e-4,
        "image_lr": 3e-4,
        "eval_every": 4,
        "rerank_top": 8,
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
    "world": {
        "image_size": 160,
        "start": "f4",
        "text_layers": 1,
        "image_blocks": 0,
        "joint_blocks": 2,
        "dropout": 0.0,
        "joint_share": 0.25,
        "tasks": ("contrastive", "matching"),
        "epochs": 12,
        "batch": 256,
        "lr": 5e-4,
        "image_lr": 3e-4,
        "eval_every": 12,
        "rerank_top": 10,
        "precision": "no",
    },
    "paper": END_TO_END | {"start": "f4", "image_blocks": 0, "joint_blocks": 6},
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
