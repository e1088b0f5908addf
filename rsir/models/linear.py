"""The linear baseline: two frozen encoders, one matrix on each side.

Not a published system. It says how far the encoders alone go, so
that a chapter can tell what a method's own modules add. Chapter 01.
"""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from rsir import losses
from rsir.encoders.image import ImageEncoder
from rsir.encoders.text import TextEncoder
from rsir.layers import Standardise
from rsir.models.base import Retriever


class Linear(Retriever):
    """cos(W_v v, W_t t) with InfoNCE; shared captions count as one.

    Args:
        image_encoder, text_encoder: frozen.
        dim: length of the joint space.
        dropout: on pictures' vectors while training.
        temperature: divides the cosines in the loss.
    """

    reads = ("pooled",)

    def __init__(self, image_encoder: ImageEncoder,
                 text_encoder: TextEncoder, *, dim: int = 512,
                 dropout: float = 0.3, temperature: float = 0.07
                 ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.text_encoder = text_encoder
        self.temperature = temperature
        self.standardise = Standardise(image_encoder.dim)
        self.dropout = nn.Dropout(dropout)
        self.to_image = nn.Linear(image_encoder.dim, dim)
        self.to_text = nn.Linear(text_encoder.dim, dim)

    def encode_images(
        self, features: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        pooled = self.standardise(features["pooled"].float())
        v = self.to_image(self.dropout(pooled))
        return {"v": F.normalize(v, dim=1)}

    def encode_texts(
        self, features: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        t = self.to_text(features["pooled"])
        return {"t": F.normalize(t, dim=1)}

    def score(self, images: Mapping[str, Tensor],
              texts: Mapping[str, Tensor]) -> Tensor:
        return images["v"] @ texts["t"].T

    def losses(self, scores: Tensor, pairs: Mapping[str, Tensor]
               ) -> dict[str, Tensor]:
        return {"contrastive": losses.contrastive(
            scores, self.temperature, pairs["positive"]
        )}
