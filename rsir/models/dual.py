"""DSHM: pooling, and a hashing head for each side.

Source: CFITR as released (Zhou et al. 2024). Explained in chapter 05.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rsir.encoders.text import masked_mean
from rsir.models import losses
from rsir.models.amfmn import VGMF
from rsir.models.base import Retriever
from rsir.models.cross_encoder import contrasted
from rsir.utils.errors import RsirError

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

    def __init__(
        self,
        dim: int,
        bits: int = 128,
        hidden: int = 4096,
        *,
        pool: str = "mean",
        places: tuple[int, int] = (145, 40),
        variant: str = "paper",
        quantise: float = 0.001,
        balance: float = 0.01,
        dropout: float = 0.0,
        text_dropout: float = 0.0,
        straight: bool = False,
    ) -> None:
        super().__init__()
        if pool not in ("mean", "position"):
            raise RsirError(f"pool is {pool!r}: 'mean' or 'position'")
        if bits < 8 or bits % 8:
            raise RsirError(
                f"bits is {bits}: codes are stored in bytes, take a multiple of 8"
            )
        self.bits, self.variant, self.pool = bits, variant, pool
        self.quantise, self.balance = quantise, balance
        self.straight = straight
        self.dropout = nn.ModuleDict(
            {
                "image": nn.Dropout(dropout),
                "text": nn.Dropout(text_dropout),
            }
        )
        if pool == "position":
            self.over = nn.ModuleDict(
                {side: nn.Linear(n, 1) for side, n in zip(("image", "text"), places)}
            )
        else:
            self.cells = nn.Parameter(torch.zeros(dim))
        self.head = nn.ModuleDict(
            {
                side: nn.Sequential(
                    nn.Linear(dim, hidden),
                    nn.BatchNorm1d(hidden),
                    nn.ReLU(),
                    nn.Linear(hidden, bits),
                    nn.Tanh(),
                )
                for side in ("image", "text")
            }
        )
        # as released the table is random in the first epoch only
        self.register_buffer("seen", torch.tensor(0))
        self.register_buffer("epoch", torch.tensor(0))

    def forward(self, tokens: Tensor, mask: Tensor | None, side: str) -> Tensor:
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
            z = masked_mean(tokens, mask)  # (B, dim)
        return self.head[side](self.dropout[side](z))

    def compared(self, h_i: Tensor, h_t: Tensor) -> Tensor:
        """Cosines `[B, T]` that the ranking loss sees."""
        if self.straight:
            h_i, h_t = (h + (code_of(h) - h).detach() for h in (h_i, h_t))
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
        return {
            "quantise": self.quantise * MICRO * away.mean(),
            "balance": self.balance * MICRO * tilt.mean(),
        }


def code_of(h: Tensor) -> Tensor:
    """sign(h) without zeros: -1 or 1, float, no gradient."""
    return torch.where(h.detach() > 0, 1.0, -1.0)


def cosines(one: Tensor, other: Tensor) -> Tensor:
    """`[B, D]` and `[T, D]` to cosines `[B, T]`."""
    return F.normalize(one, dim=1) @ F.normalize(other, dim=1).T


# ----------------------------------------------------------------------
# A start that costs little: small heads learn on frozen vectors.
#
# A system whose encoders learn computes every picture anew in every
# epoch. What its heads, gate and codes can learn on the frozen encoders'
# vectors, they learn here first, from vectors that are computed once.
# The long training then starts near the MLP baseline, not at chance.
# Ours, not in the papers. Explained in chapter 04.


#: chosen on RSICD's val
BATCH, RATE, DECAY = 256, 1e-3, 0.3


@dataclass
class Codes:
    """Hashing heads on frozen vectors.

    Attributes:
        first: maps the image encoder's vector to a class token.
        dshm: hashes the token and the sentence's vector.
        ranking: a loss of h, h and "positive": `[B, bits]` twice,
            `[B, B]`.
    """

    first: nn.Linear
    dshm: DSHM
    ranking: Callable[[Tensor, Tensor, Tensor], Tensor]

    def loss(self, images: Tensor, texts: Tensor, positive: Tensor) -> Tensor:
        """Ranking, quantisation and balance, see `Heads.loss`."""
        head = self.dshm.head
        h_i = head["image"](self.first(images))
        h_t = head["text"](texts)
        shape = self.dshm.losses(h_i, h_t)
        return self.ranking(h_i, h_t, positive) + sum(shape.values())


@dataclass
class Heads:
    """What learns on frozen vectors.

    Attributes:
        image: maps the image encoder's pooled vector.
        text: maps the sentence's pooled vector.
        dropout, text_dropout: on the vectors that they read.
        gate: weighs the sentence by the picture, or None.
        codes: learn beside them, or None.
    """

    image: nn.Module
    text: nn.Module
    dropout: float
    text_dropout: float
    gate: VGMF | None = None
    codes: Codes | None = None

    def modules(self) -> list[nn.Module]:
        """All that learns."""
        parts = [self.image, self.text, self.gate]
        if self.codes is not None:
            parts += [self.codes.first, self.codes.dshm.head]
        return [m for m in parts if m is not None]

    def loss(
        self, images: Tensor, texts: Tensor, positive: Tensor, temperature: float
    ) -> Tensor:
        """InfoNCE of the cosine, of the gated one, and the codes'.

        Args:
            images: `[B, D]`, texts: `[B, D']`, of frozen encoders.
            positive: `[B, B]`.
            temperature: divides the cosines.
        """
        images = F.dropout(images, self.dropout)
        texts = F.dropout(texts, self.text_dropout)
        v, t = self.image(images), self.text(texts)
        sides = {"v": F.normalize(v, dim=1)}
        if self.gate is not None:
            sides |= self.gate.image_side(v)
        loss = sum(
            contrasted(
                sides, {"t": F.normalize(t, dim=1)}, self.gate, temperature, positive
            ).values()
        )
        if self.codes is not None:
            loss = loss + self.codes.loss(images, texts, positive)
        return loss


def warm_start(
    model: Retriever,
    heads: Heads,
    corpus,
    epochs: int,
    temperature: float,
    pooled: Callable[[Mapping[str, Tensor]], Tensor],
) -> None:
    """Train the heads with InfoNCE; nothing else moves.

    Args:
        model: has `standardise`, fitted.
        heads: parts of it.
        corpus: of the train split.
        epochs: passes over the pictures, each with one caption.
        temperature: divides the cosines.
        pooled: what `text_features` gave, to one vector a sentence.

    Draws come from torch's generator.
    """
    was = model.training
    model.eval()
    device = next(model.parameters()).device
    with torch.no_grad():
        images = model.standardise(
            torch.from_numpy(np.array(corpus.features["pooled"])).to(device).float()
        )
        texts = torch.cat(
            [
                pooled(
                    model._text_inputs(
                        {k: v[i : i + 256].to(device) for k, v in corpus.inputs.items()}
                    )
                ).float()
                for i in range(0, len(corpus.texts), 256)
            ]
        )
    for module in heads.modules():
        module.train()
    _fit(heads, images, texts, corpus, epochs, temperature)
    model.train(was)


def _fit(
    heads: Heads, images: Tensor, texts: Tensor, corpus, epochs: int, temperature: float
) -> None:
    texts_of = torch.from_numpy(corpus.texts_of).to(texts.device)
    known = torch.from_numpy(corpus.n_captions_of).to(texts.device)
    n = len(texts_of)
    batch = min(BATCH, n)
    steps = epochs * (n // batch)
    optimiser = torch.optim.AdamW(
        [p for m in heads.modules() for p in m.parameters()],
        lr=RATE,
        weight_decay=DECAY,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda s: min(
            (s + 1) / (0.1 * steps), 0.5 + 0.5 * math.cos(math.pi * s / steps)
        ),
    )
    for _ in range(epochs):
        order = torch.randperm(n).to(texts.device)
        for rows in order[: n - n % batch].split(batch):
            lot = torch.rand(batch).to(texts.device)
            own = texts_of[rows]
            text = own.gather(1, (lot * known[rows]).long()[:, None])[:, 0]
            loss = heads.loss(
                images[rows], texts[text], (own[:, :, None] == text).any(1), temperature
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    optimiser.zero_grad()  # nothing is left for the next optimiser


# ----------------------------------------------------------------------
# A second pair of heads beside the first, since two err differently.
#
# Ours, not in the papers: CFITR's heads, but nothing is hashed. They
# read the frozen picture and the sentence, are short and squashed, and
# learn to agree in signs. Their cosine is added to that of the vectors.
# Explained in chapter 04.


LENGTH, MARGIN = 128, 0.2  # numbers in h, of the triplet loss


class Beside(nn.Module):
    """The second heads.

    Of several processes each normalises its own rows, as BatchNorm
    does; the loss sees the whole batch.

    Args:
        image_dim: length of the image encoder's pooled vector.
        text_dim: of the sentence's.
        hidden: units of each head.
        weight: of their cosine beside the first.
        temperature: divides it in InfoNCE.
    """

    def __init__(
        self,
        image_dim: int,
        text_dim: int,
        hidden: int,
        weight: float,
        temperature: float,
    ) -> None:
        super().__init__()
        self.weight, self.temperature = weight, temperature
        self.first = nn.Linear(image_dim, text_dim)
        self.dshm = DSHM(
            text_dim, LENGTH, hidden, quantise=0.0, balance=0.0, straight=True
        )
        self.dshm.cells.requires_grad_(False)  # no cells are read

    def image(self, pooled: Tensor) -> Tensor:
        """h of pictures `[B, image_dim]`, in (-1, 1): `[B, 128]`."""
        return self.dshm.head["image"](self.first(pooled))

    def text(self, pooled: Tensor) -> Tensor:
        """h of sentences `[T, text_dim]`, in (-1, 1): `[T, 128]`."""
        return self.dshm.head["text"](pooled)

    def score(self, images: Tensor, texts: Tensor) -> Tensor:
        """Weighted cosines of h and h: `[B, T]`."""
        return self.weight * cosines(images, texts)

    def of_pairs(self, images: Tensor, texts: Tensor) -> Tensor:
        """The same, row by row: `[N]`."""
        return self.weight * F.cosine_similarity(images, texts)

    def loss(self, images: Tensor, texts: Tensor, positive: Tensor) -> Tensor:
        """Hardest triplets and InfoNCE, on the cosines of signs.

        Args:
            images, texts: h, `[B, 128]` each.
            positive: `[B, B]`; such pairs are never negatives.
        """
        with torch.autocast(positive.device.type, enabled=False):
            scores = self.dshm.compared(images.float(), texts.float())
            return losses.triplet_hard(scores, MARGIN, positive) + losses.contrastive(
                scores, self.temperature, positive
            )

    def codes(self) -> Codes:
        """What a warm start teaches of it."""
        return Codes(self.first, self.dshm, self.loss)
