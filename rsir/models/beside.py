"""A second pair of heads beside the first, since two err differently.

Ours, not in the papers: CFITR's heads, but nothing is hashed. They
read the frozen picture and the sentence, are short and squashed, and
learn to agree in signs. Their cosine is added to that of the vectors.
Explained in chapter 04.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rsir import losses
from rsir.layers.hashing import DSHM, cosines
from rsir.models.warmstart import Codes

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

    def __init__(self, image_dim: int, text_dim: int, hidden: int,
                 weight: float, temperature: float) -> None:
        super().__init__()
        self.weight, self.temperature = weight, temperature
        self.first = nn.Linear(image_dim, text_dim)
        self.dshm = DSHM(text_dim, LENGTH, hidden, quantise=0.0,
                         balance=0.0, straight=True)
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

    def loss(self, images: Tensor, texts: Tensor, positive: Tensor
             ) -> Tensor:
        """Hardest triplets and InfoNCE, on the cosines of signs.

        Args:
            images, texts: h, `[B, 128]` each.
            positive: `[B, B]`; such pairs are never negatives.
        """
        with torch.autocast(positive.device.type, enabled=False):
            scores = self.dshm.compared(images.float(), texts.float())
            return losses.triplet_hard(scores, MARGIN, positive) + \
                losses.contrastive(scores, self.temperature, positive)

    def codes(self) -> Codes:
        """What a warm start teaches of it."""
        return Codes(self.first, self.dshm, self.loss)
