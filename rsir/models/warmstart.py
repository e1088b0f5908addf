"""A start that costs little: small heads learn on frozen vectors.

A system whose encoders learn computes every picture anew in every
epoch. What its heads, gate and codes can learn on the frozen encoders'
vectors, they learn here first, from vectors that are computed once.
The long training then starts near the MLP baseline, not at chance.
Ours, not in the papers. Explained in chapter 04.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rsir.layers.hashing import DSHM
from rsir.models.amfmn import VGMF
from rsir.models.base import Retriever
from rsir.models.tasks import contrasted

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

    def loss(self, images: Tensor, texts: Tensor, positive: Tensor
             ) -> Tensor:
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

    def loss(self, images: Tensor, texts: Tensor, positive: Tensor,
             temperature: float) -> Tensor:
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
        loss = sum(contrasted(
            sides, {"t": F.normalize(t, dim=1)}, self.gate,
            temperature, positive).values())
        if self.codes is not None:
            loss = loss + self.codes.loss(images, texts, positive)
        return loss


def warm_start(model: Retriever, heads: Heads, corpus, epochs: int,
               temperature: float,
               pooled: Callable[[Mapping[str, Tensor]], Tensor]) -> None:
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
        images = model.standardise(torch.from_numpy(np.array(
            corpus.features["pooled"])).to(device).float())
        texts = torch.cat([
            pooled(model._text_inputs({
                k: v[i:i + 256].to(device)
                for k, v in corpus.inputs.items()})).float()
            for i in range(0, len(corpus.texts), 256)])
    for module in heads.modules():
        module.train()
    _fit(heads, images, texts, corpus, epochs, temperature)
    model.train(was)


def _fit(heads: Heads, images: Tensor, texts: Tensor, corpus,
         epochs: int, temperature: float) -> None:
    texts_of = torch.from_numpy(corpus.texts_of).to(texts.device)
    known = torch.from_numpy(corpus.n_captions_of).to(texts.device)
    n = len(texts_of)
    batch = min(BATCH, n)
    steps = epochs * (n // batch)
    optimiser = torch.optim.AdamW(
        [p for m in heads.modules() for p in m.parameters()], lr=RATE,
        weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda s: min((s + 1) / (0.1 * steps), 0.5 + 0.5
                                 * math.cos(math.pi * s / steps)))
    for _ in range(epochs):
        order = torch.randperm(n).to(texts.device)
        for rows in order[: n - n % batch].split(batch):
            lot = torch.rand(batch).to(texts.device)
            own = texts_of[rows]
            text = own.gather(
                1, (lot * known[rows]).long()[:, None])[:, 0]
            loss = heads.loss(
                images[rows], texts[text],
                (own[:, :, None] == text).any(1), temperature)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    optimiser.zero_grad()  # nothing is left for the next optimiser
