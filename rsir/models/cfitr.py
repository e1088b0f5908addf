"""CFITR: hash codes make the list, a joint transformer reads its top.

Source: Zhou, Wu and Deng, GRSL 22, 2024/25 (doi 10.1109/LGRS.2024.3494543),
read from the abstract, one figure and the released code; the paper's text and
recalls were not at hand. The paper's: DSHM, LFEM and SSM on one shared
transformer, and PPSR, which is `rsir.retrieval.rerank.ppsr`. Ours is what
`CFITRConfig` says "ours" of: with a BERT in place of ViLT the picture's
tokens come from a frozen convolution. Explained in chapter 05.

    x    = lower blocks(tokens)           either side alone, same weights
    x_v  = LFEM(x_v)                      picture
    h    = tanh(MLP(pool(x)))             DSHM
    code = sign(h), score = -Hamming      coarse
    f    = rank(upper blocks([x_t; x_v])) SSM, fine

    loss = triplet + 0.001 quantisation + 0.01 balance + choice of SSM
"""

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rsir.encoders.encoded_split import EncodedSplit
from rsir.encoders.image import ImageEncoder
from rsir.encoders.text import TextEncoder, masked_mean, token_mask, trim
from rsir.models import Config
from rsir.models.cross_encoder import (
    CrossEncoder,
    Sides,
    attention_bias,
    choice_loss,
    hard_negatives,
    own_rows,
    trim_tokens,
)
from rsir.models.layers import Standardise
from rsir.models.losses import triplet_hard
from rsir.utils.errors import RsirError

#: what the released code does by mistake:
#: table: the codes that h is drawn to are random in the first epoch and all
#:     zeros after it
#: lfem: the call of LFEM is commented out; its weights are there
#: patches: tokens come in a new random order at every call
#: false: a false sentence may be a copy of the true one
RELEASED_BUGS = ("table", "lfem", "patches", "false")
COARSE = ("hash", "float")
MARGIN = 0.2  # of the triplet loss, as released
#: pictures in the authors' micro-batch: hash losses are sums over so many, and
#: the hardest negative is one of so many. Among a hundred, codes collapse
MICRO = 8


@dataclass(frozen=True)
class CFITRConfig(Config):
    """CFITR.

    Attributes:
        bits: of a code.
        hidden: units of DSHM's heads.
        pool: of DSHM: "position" (as released: a weight for each place) or
            "mean".
        grid: tokens on a side of the picture; 0: as many as the map has.
        image_blocks: blocks that picture and sentence share, one at a time.
        joint_blocks: blocks of the SSM (with a ViLT: all that are left).
        ssm: False: train the codes alone.
        false_texts: wrong sentences a picture in the SSM's loss.
        hard_texts: how many of them the coarse scores draw.
        joint_share: share of a batch that the SSM reads.
        quantise, balance: weights of these losses.
        dropout: on pooled tokens.
        released_bugs: some of `RELEASED_BUGS`.
        coarse: what makes the list: "hash", or "float" for cosines of h.
        ppsr: neighbours of PPSR on the coarse scores; 0: none. As released
            10. It looks at all queries at once.
        gallery: a name in `rsir.evaluation.metrics`; as released
            "deduplicated".
        selects: the split on which epoch and list length are chosen; as
            released "test", which no other number may rest on.
        rerank_top: M, how far down a list the SSM may read; how far it does
            is chosen on `selects`. As released 70, always.
    """

    method: str = "cfitr"
    bits: int = 128
    hidden: int = 4096
    pool: str = "position"
    grid: int = 0
    image_blocks: int = 6
    joint_blocks: int = 6
    ssm: bool = True
    false_texts: int = 15
    hard_texts: int = 5  # ours: random ones only teach kinds, which codes know
    joint_share: float = 1.0  # ours: reading pairs is the expensive part
    quantise: float = 0.001
    balance: float = 0.01
    dropout: float = 0.0  # ours: frozen features are soon learnt by heart
    released_bugs: tuple[str, ...] = ()
    coarse: str = "hash"
    ppsr: int = 0
    gallery: str = "full"
    selects: str = "val"
    rerank_top: int = 70

    TITLE = "CFITR"
    YEAR = 2024
    MEASURED = ("rerank_top", "ppsr", "coarse", "gallery")


def through(
    blocks: Iterable[nn.Module], x: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Tokens `[B, L, D]` through blocks of a BERT or a ViLT.

    Args:
        blocks: of transformers.
        x: `[B, L, D]`.
        mask: `[B, L]`, True where a token is real; None: all are.
    """
    bias = None if mask is None else attention_bias(mask)
    for block in blocks:
        x = block(x, bias)
        if isinstance(x, tuple):
            x = x[0]
    return x


class LFEM(nn.Module):
    """Local feature enhancement: three convolutions and a residual.

    Source: as released, with its state-dict names. The tokens are laid out
    as the grid that they come from, so their order matters: row by row.

    Args:
        channels: of the tokens (768 in ViLT); inside half as many.
    """

    def __init__(self, channels: int = 768) -> None:
        super().__init__()
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
                f"LFEM: {x.shape[1]} tokens are no square grid; leave the class "
                "token out"
            )
        maps = x.transpose(1, 2).unflatten(2, (side, side))  # (B, C, h, w)
        maps = self.relu(maps + self.net(maps))  # LFEM
        return maps.flatten(2).transpose(1, 2)  # (B, h * w, C)


class DSHM(nn.Module):
    """Dual-stream hashing: pooling, and a head for each side.

    Source: as released. Losses are sums over the authors' micro-batch of
    eight pictures, whatever the batch is.

    Args:
        dim: length of a token.
        places: tokens of a picture and of a sentence.
        config: see `CFITRConfig`.
    """

    def __init__(self, dim: int, places: tuple[int, int], config) -> None:
        super().__init__()
        self.config = config
        self.over = nn.ModuleDict()
        if config.pool == "position":
            for side, n in zip(("image", "text"), places, strict=True):
                self.over[side] = nn.Linear(n, 1)
        self.drop = nn.Dropout(config.dropout)
        self.head = nn.ModuleDict(
            {
                side: nn.Sequential(
                    nn.Linear(dim, config.hidden),
                    nn.BatchNorm1d(config.hidden),
                    nn.ReLU(),
                    nn.Linear(config.hidden, config.bits),
                    nn.Tanh(),
                )
                for side in ("image", "text")
            }
        )
        # for the bug "table": pictures seen so far, pictures of an epoch
        self.register_buffer("seen", torch.tensor(0))
        self.register_buffer("epoch", torch.tensor(0))

    def forward(self, tokens: Tensor, mask: Tensor, side: str) -> Tensor:
        """h in (-1, 1), `[B, bits]`.

        Args:
            tokens: `[B, L, dim]`.
            mask: `[B, L]`, True where a token is real.
            side: "image" or "text".
        """
        if self.config.pool == "position":
            missing = self.over[side].in_features - tokens.shape[1]
            tokens = F.pad(tokens, (0, 0, 0, missing))
            z = self.over[side](tokens.transpose(1, 2))[..., 0].tanh()  # (B, dim)
        else:
            z = masked_mean(tokens, mask)
        return self.head[side](self.drop(z))  # h

    def table(self, h_i: Tensor, h_t: Tensor) -> Tensor:
        """B, the codes that h is drawn to: `[B, bits]`."""
        if "table" not in self.config.released_bugs:
            return (h_i + h_t).detach().sign()
        self.seen += len(h_i)
        if self.seen <= self.epoch:
            return torch.randn_like(h_i).sign()
        return torch.zeros_like(h_i)

    def losses(self, h_i: Tensor, h_t: Tensor) -> dict[str, Tensor]:
        """Quantisation and balance, weighted; h_i, h_t `[B, bits]`."""
        b = self.table(h_i, h_t)
        quant = (b - h_i).square().sum(1) + (b - h_t).square().sum(1)
        bal = h_i.sum(1).square() + h_t.sum(1).square()
        return {
            "quantise": self.config.quantise * MICRO * quant.mean(),  # L_quant
            "balance": self.config.balance * MICRO * bal.mean(),  # L_bal
        }


def triplet_loss(scores: Tensor, positive: Tensor) -> Tensor:
    """L_tri: hardest negatives of micro-batches; scores, positive `[B, B]`."""
    parts = [slice(i, i + MICRO) for i in range(0, len(scores), MICRO)]
    losses = [triplet_hard(scores[p, p], MARGIN, positive[p, p]) for p in parts]
    return torch.stack(losses).mean()


def code_of(h: Tensor) -> Tensor:
    """sign(h) without zeros: -1 or 1, float, no gradient."""
    return torch.where(h.detach() > 0, 1.0, -1.0)


def cosines(one: Tensor, other: Tensor) -> Tensor:
    """`[B, D]` and `[T, D]` to cosines `[B, T]`."""
    return F.normalize(one, dim=1) @ F.normalize(other, dim=1).T


class SSM(nn.Module):
    """Single-stream module: the upper blocks read both sides as one.

    Source: as released: tanh of the first token, one linear layer.

    Args:
        blocks: the upper half of the transformer.
        norm: what stands above its last block.
        dim: length of a token.
    """

    def __init__(self, blocks: nn.ModuleList, norm: nn.Module, dim: int) -> None:
        super().__init__()
        self.blocks, self.norm = blocks, norm
        self.kind = nn.Embedding(2, dim)  # of words and of pictures
        nn.init.zeros_(self.kind.weight)
        self.pooler = nn.Linear(dim, dim)
        self.rank = nn.Linear(dim, 1)

    def forward(self, words: Tensor, mask: Tensor, picture: Tensor) -> Tensor:
        """Scores `[N]`, higher is closer.

        Args:
            words: `[N, L, D]`.
            mask: `[N, L]`.
            picture: tokens `[N, P, D]`.
        """
        words, picture = words + self.kind.weight[0], picture + self.kind.weight[1]
        x = torch.cat([words, picture], 1)  # (N, L + P, D)
        mask = F.pad(mask, (0, picture.shape[1]), value=True)
        x = self.norm(through(self.blocks, x, mask)[:, 0])
        return self.rank(self.pooler(x).tanh())[:, 0]


class CFITR(CrossEncoder):
    """One shared transformer, two ways to score.

    With a ViLT, as in the paper, its lower blocks are shared and its upper
    ones become the SSM. With a BERT a sentence passes all blocks, a picture
    the last `image_blocks` of them, and the SSM starts as a copy of the last
    `joint_blocks`.

    Args:
        image_encoder: frozen; "vilt_patches" with a ViLT.
        text_encoder: a ViLT, or a BERT such as "minilm".
        config: see `CFITRConfig`.
    """

    Config = CFITRConfig
    reads_text = ("tokens", "mask")

    def __init__(
        self, image_encoder: ImageEncoder, text_encoder: TextEncoder, config
    ) -> None:
        super().__init__(image_encoder, text_encoder, config)
        _check(config)
        dim, side = text_encoder.dim, image_encoder.map_sizes()[3][1]
        layers = getattr(getattr(text_encoder, "model", None), "encoder", None)
        layers = getattr(layers, "layer", None)
        if layers is None or not 0 <= config.image_blocks <= len(layers):
            raise RsirError(
                f"image_blocks is {config.image_blocks}: text encoder "
                f"{text_encoder.name!r} has {len(layers or ())} blocks to share "
                "with pictures; take 'minilm' or another BERT, and fewer blocks"
            )
        model = text_encoder.model
        self.vilt = hasattr(model.embeddings, "patch_embeddings")
        self.grid = side if self.vilt else config.grid or side
        self.norm: nn.Module = nn.Identity()  # a BERT has one in each block
        if self.vilt:
            self.reads = ("f1",)
            lower, upper = layers[: config.image_blocks], layers[config.image_blocks :]
            model.encoder.layer = lower
            self.norm = copy.deepcopy(model.layernorm)
            most = model.config.max_position_embeddings  # 40 words
            text_encoder.max_length = min(text_encoder.max_length, most)
        else:
            self.reads = ("f3", "f4", "pooled")
            lower = layers[len(layers) - config.image_blocks :]
            upper = copy.deepcopy(layers[len(layers) - config.joint_blocks :])
            cells = 4 * image_encoder.channels[2] + image_encoder.channels[3]
            self.standardise = Standardise(image_encoder.dim)
            self.cells = Standardise(cells)
            self.to_first = nn.Linear(image_encoder.dim, dim)
            self.to_tokens = nn.Linear(cells, dim)
            self.places = nn.Parameter(0.02 * torch.randn(self.grid**2, dim))
        self.lower = tuple(lower)  # no second home: they are the text encoder's
        self.lfem = LFEM(dim)
        places = (1 + self.grid**2, text_encoder.max_length)
        self.dshm = DSHM(dim, places, config)
        upper.requires_grad_(True)
        self.ssm = SSM(upper, copy.deepcopy(self.norm), dim) if config.ssm else None

    def fit_statistics(self, train: EncodedSplit) -> None:
        """Measure the scale of cells, and how many pictures an epoch has."""
        super().fit_statistics(train)
        n = train.split.n_images
        self.dshm.epoch.fill_(n)
        if not self.vilt:
            some = train.images(range(0, n, max(1, n // 512)))
            cells = self._cells(some).flatten(0, 1)
            self.cells.fit(cells.to(self.places.device))

    # -- the picture --------------------------------------------------------

    def _cells(self, features: Sides) -> Tensor:
        """Cells of the last map, with the four of stride 16 below each."""
        fine = F.pixel_unshuffle(features["f3"].float(), 2)  # (B, 4 * C3, h, w)
        maps = torch.cat([fine, features["f4"].float()], 1)  # (B, C, h, w)
        if self.grid != maps.shape[-1]:
            maps = F.adaptive_avg_pool2d(maps, self.grid)
        return maps.flatten(2).transpose(1, 2)  # (B, grid * grid, C)

    def picture(self, features: Sides) -> Tensor:
        """Class token and cells after LFEM: `[B, 1 + grid * grid, D]`."""
        if self.vilt:
            embed = self.text_encoder.model.embeddings
            x = features["f1"].float().flatten(2).transpose(1, 2)  # (B, P, D)
            x = torch.cat([embed.cls_token.expand(len(x), -1, -1), x], 1)
            x = x + embed.position_embeddings + embed.token_type_embeddings.weight[1]
        else:
            first = self.to_first(self.standardise(features["pooled"].float()))
            x = self.to_tokens(self.cells(self._cells(features))) + self.places
            x = torch.cat([first[:, None], x], 1)
        if "patches" in self.config.released_bugs:
            order = 1 + torch.randperm(x.shape[1] - 1, device=x.device)
            x = torch.cat([x[:, :1], x[:, order]], 1)
        x = through(self.lower, x)
        if "lfem" in self.config.released_bugs:
            return x
        return torch.cat([x[:, :1], self.lfem(x[:, 1:])], 1)

    def encode_images(self, features: Sides) -> dict[str, Tensor]:
        """Code and tokens of pictures.

        Returns:
            "h" `[B, bits]` in (-1, 1), "code" `[B, bits]` of -1 and 1,
            "image_tokens" `[B, P, D]`.
        """
        x = self.picture(features)
        every = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        h = self.dshm(self.norm(x), every, "image")
        return {"h": h, "code": code_of(h), "image_tokens": x}

    # -- the sentence -------------------------------------------------------

    def text_features(self, inputs: Tensor | Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Words after the shared blocks, see `TwoTower`."""
        if not self.vilt:
            return super().text_features(inputs)
        if not isinstance(inputs, Tensor):
            if "ids" not in inputs:
                return dict(inputs)
            inputs = inputs["ids"]
        ids, embed = trim(inputs), self.text_encoder.model.embeddings
        mask = token_mask(ids)
        x = embed.text_embeddings(ids) + embed.token_type_embeddings.weight[0]
        x = through(self.lower, x, mask)  # (T, l, D)
        missing = inputs.shape[1] - ids.shape[1]
        return {
            "tokens": F.pad(x, (0, 0, 0, missing)),
            "mask": F.pad(mask, (0, missing)),
        }

    def encode_texts(self, features: Sides) -> dict[str, Tensor]:
        """Code and words of sentences.

        Returns:
            "h" and "code" as for pictures, "text_tokens" `[T, L, D]`,
            "text_mask" `[T, L]`.
        """
        x, mask = features["tokens"].float(), features["mask"]
        h = self.dshm(self.norm(x), mask, "text")
        return {"h": h, "code": code_of(h), "text_tokens": x, "text_mask": mask}

    # -- both ---------------------------------------------------------------

    def score(
        self,
        images: Sides,
        texts: Sides,
        coarse: str | None = None,
    ) -> Tensor:
        """Coarse scores `[B, T]`.

        Args:
            coarse: "hash": minus the bits that differ; "float": cosines of
                h; None: as the config says.
        """
        if (coarse or self.config.coarse) == "float":
            return cosines(images["h"], texts["h"])
        one, other = images["code"], texts["code"]
        return (one @ other.T - one.shape[1]) / 2  # -(q - b b') / 2

    def score_pairs(self, images: Sides, texts: Sides, pairs: Tensor) -> Tensor:
        """Fine scores `[N]` of chosen pairs: the SSM's alone, as released."""
        if self.ssm is None:
            raise RsirError("ssm is False: this model has no fine stage; rerank_top=0")
        image, text = pairs.unbind(1)
        words, mask = trim_tokens(texts["text_tokens"][text], texts["text_mask"][text])
        return self.ssm(words, mask, images["image_tokens"][image])

    # -- training -----------------------------------------------------------

    def training_losses(self, batch, gather) -> dict[str, Tensor]:
        """L_tri + L_quant + L_bal + L_ssm, by name.

        Each process has negatives of its own, as micro-batches had.
        """
        images = self.encode_images(batch["images"])
        texts = self.encode_texts(self.text_features(batch["texts"]))
        h_i, h_t = images["h"].float(), texts["h"].float()
        rows = own_rows(len(h_i))
        positive = batch["pairs"]["positive"][rows, rows]
        if "false" in self.config.released_bugs:
            positive = torch.eye(len(h_i), dtype=torch.bool, device=h_i.device)
        with torch.autocast(positive.device.type, enabled=False):
            scores = cosines(h_i, h_t)
            losses = {"triplet": triplet_loss(scores, positive)}  # L_tri
            losses |= self.dshm.losses(h_i, h_t)
        if self.ssm is not None:
            losses["ssm"] = self.ssm_loss(images, texts, positive)  # L_ssm
        return losses

    def ssm_loss(self, images, texts, positive: Tensor) -> Tensor:
        """Find the true sentence of a picture among false ones.

        Args:
            images, texts: encoded sides of one batch.
            positive: `[B, B]`, pairs that are not drawn as false ones.
        """
        config, scores = self.config, cosines(images["h"], texts["h"])
        n = max(1, round(config.joint_share * len(scores)))
        hard = hard_negatives(scores, positive, config.hard_texts, 0.05)
        taken = positive.scatter(1, hard.clamp(min=0), True)
        easy = config.false_texts - config.hard_texts
        easy = hard_negatives(torch.zeros_like(scores), taken, easy, 1.0)
        wrong = torch.cat([hard, easy], 1)[:n]
        own = torch.arange(n, device=scores.device)[:, None]
        text = torch.cat([own, wrong], 1)  # (n, 1 + false_texts), -1: none left
        pairs = torch.stack([own.expand_as(text), text.clamp(min=0)], 2)
        logits = self.score_pairs(images, texts, pairs.flatten(0, 1)).float()
        return choice_loss(logits.view(text.shape), text >= 0)


def _check(config: CFITRConfig) -> None:
    config.check("pool", ("position", "mean"))
    config.check("coarse", COARSE)
    config.check("released_bugs", RELEASED_BUGS)
    if config.bits < 8 or config.bits % 8:
        raise RsirError(
            f"bits is {config.bits}: codes are stored in bytes, take a multiple of 8"
        )
    if not 0 <= config.hard_texts <= config.false_texts:
        raise RsirError(
            f"hard_texts is {config.hard_texts}: 0 to false_texts, which is "
            f"{config.false_texts}"
        )


# -- presets and variants ----------------------------------------------------

# ours: MiniLM has pooled by the mean since it was trained; weights of the hash
# losses that leave the ranking room; sizes that two cores can train
_SMALL = {
    "pool": "mean",
    "text_layers": 1,
    "image_blocks": 1,
    "hidden": 2048,
    "quantise": 0.0001,
    "balance": 0.0003,
    "dropout": 0.2,
    "lr": 5e-4,
}

PRESETS = {
    "toy": _SMALL
    | {
        "image_size": 128,
        "grid": 3,
        "hidden": 512,
        "joint_blocks": 1,
        "false_texts": 5,
        "hard_texts": 3,
        "joint_share": 0.25,
        "epochs": 8,
        "batch": 64,
        "eval_every": 4,
        "precision": "no",
        "rerank_top": 20,
    },
    "cpu": _SMALL
    | {
        "tta_views": (0, 1, 6),
        "grid": 5,
        "joint_blocks": 2,
        "false_texts": 5,
        "hard_texts": 3,
        "joint_share": 0.25,
        "epochs": 8,
        "batch": 128,
        "eval_every": 2,
        "rerank_top": 20,
    },
    # as released, but for the frozen patch projection, and for the false texts:
    # they are drawn from the batch, which must hold enough (released: 8 x 32)
    "paper": {
        "image_encoder": "vilt_patches",
        "image_size": 384,
        "text_encoder": "dandelin/vilt-b32-mlm",
        "text_layers": None,
        "epochs": 50,
        "patience": 50,
        "batch": 32,
        "accumulate": 8,
        "lr": 1e-4,
        "text_lr": 1e-4,
        "ppsr": 10,
    },
}

_HASH = {"rerank_top": 0, "ppsr": 0}

VARIANTS = {
    "coarse-to-fine": {},
    "hash": _HASH,
    "float": _HASH | {"coarse": "float"},
    "hash-ppsr": {"rerank_top": 0, "ppsr": 10},
    "coarse-to-fine-ppsr": {"ppsr": 10},
    "minus-lfem": {"released_bugs": ("lfem",)},
    "minus-ssm": _HASH | {"ssm": False},
    "slip-table": _HASH | {"released_bugs": ("table",)},
    "slip-patches": {"released_bugs": ("patches",)},
    "slip-false": {"released_bugs": ("false",)},
    "slip-val": {"selects": "test", "eval_every": 1},
    "slip-gallery": {"gallery": "deduplicated"},
    "released": {"released_bugs": RELEASED_BUGS},
}
