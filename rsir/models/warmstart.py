"""A start that costs seconds: the two maps of a joint space.

A system whose encoders learn computes every picture anew in every
epoch. What two matrices can learn on the frozen encoders' vectors,
they learn here first, from vectors that are computed once. The long
training then starts near the linear baseline, not at chance. Ours, not
in the papers. Explained in chapter 04.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rsir import losses
from rsir.models.base import Retriever

#: chosen on RSICD's val; dropout falls on pictures alone
BATCH, RATE, DECAY, DROPOUT = 256, 1e-3, 0.01, 0.3


def warm_start(model: Retriever, corpus, epochs: int,
               temperature: float) -> None:
    """Train `model.to_image` and `model.to_text` with InfoNCE.

    Args:
        model: also has `standardise`, fitted.
        corpus: of the train split.
        epochs: passes over the pictures, each with one caption.
        temperature: divides the cosines.

    Draws come from torch's generator.
    """
    was = model.training
    model.eval()
    device = next(model.parameters()).device
    with torch.no_grad():
        images = model.standardise(torch.from_numpy(np.array(
            corpus.features["pooled"])).to(device).float())
        texts = torch.cat([
            model._text_inputs({
                k: v[i:i + 256].to(device)
                for k, v in corpus.inputs.items()})["pooled"].float()
            for i in range(0, len(corpus.texts), 256)])
    _fit(model.to_image, model.to_text, images, texts, corpus, epochs,
         temperature)
    model.train(was)


def _fit(to_image: nn.Linear, to_text: nn.Linear, images: Tensor,
         texts: Tensor, corpus, epochs: int, temperature: float
         ) -> None:
    texts_of = torch.from_numpy(corpus.texts_of).to(texts.device)
    known = torch.from_numpy(corpus.n_captions_of).to(texts.device)
    n = len(texts_of)
    batch = min(BATCH, n)
    steps = epochs * (n // batch)
    optimiser = torch.optim.AdamW(
        [*to_image.parameters(), *to_text.parameters()], lr=RATE,
        weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda s: min((s + 1) / (0.1 * steps), 0.5 + 0.5
                                 * math.cos(math.pi * s / steps)))
    for _ in range(epochs):
        order = torch.randperm(n).to(texts.device)
        for rows in order[: n - n % batch].split(batch):
            lot = torch.rand(batch).to(texts.device)
            own = texts_of[rows]
            text = own.gather(1, (lot * known[rows]).long()[:, None])
            v = to_image(F.dropout(images[rows], DROPOUT))
            t = to_text(texts[text[:, 0]])
            scores = F.normalize(v, dim=1) @ F.normalize(t, dim=1).T
            loss = losses.contrastive(
                scores, temperature,
                (own[:, :, None] == text[:, 0]).any(1))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    optimiser.zero_grad()  # nothing is left for the next optimiser
