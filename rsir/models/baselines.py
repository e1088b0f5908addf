"""Two baselines on two frozen encoders: one matrix on each side, or two.

Not published systems. `Linear` says how far the encoders alone go; `MLP` can
also bend what they say. Explained in chapter 02.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from rsir.models import Config as BaseConfig
from rsir.models import losses
from rsir.models.base import TwoTower
from rsir.models.layers import Standardise, head


@dataclass(frozen=True)
class Config(BaseConfig):
    """The linear baseline.

    Attributes:
        dim: length of the joint space.
        dropout: on pictures' vectors while training.
        temperature: divides the cosines in the loss.
    """

    method: str = "linear"
    text_layers: int | None = 0
    epochs: int = 30
    patience: int = 10
    dim: int = 512
    dropout: float = 0.3
    temperature: float = 0.07

    TITLE = "linear baseline"


@dataclass(frozen=True)
class MLPConfig(Config):
    """The MLP baseline: `hidden` units between two layers on each side."""

    method: str = "mlp"
    hidden: int = 2048

    TITLE = "MLP baseline"


class Linear(TwoTower):
    """cos(W_v v, W_t t) with InfoNCE; duplicates count as positives."""

    Config = Config
    reads = ("pooled",)

    def __init__(self, image_encoder, text_encoder, config: Config) -> None:
        super().__init__(image_encoder, text_encoder, config)
        self.standardise = Standardise(image_encoder.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.to_image = nn.Linear(image_encoder.dim, config.dim)
        self.to_text = nn.Linear(text_encoder.dim, config.dim)

    def encode_images(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        pooled = self.standardise(features["pooled"].float())
        v = self.to_image(self.dropout(pooled))  # (B, dim)
        return {"v": F.normalize(v, dim=1)}

    def encode_texts(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"t": F.normalize(self.to_text(features["pooled"]), dim=1)}

    def score(self, images: Mapping[str, Tensor], texts: Mapping[str, Tensor]):
        return images["v"] @ texts["t"].T  # (B, T)

    def losses(self, scores: Tensor, pairs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        loss = losses.contrastive(scores, self.config.temperature, pairs["positive"])
        return {"contrastive": loss}


class MLP(Linear):
    """cos(f(v), g(t)) with InfoNCE; f and g have two layers."""

    Config = MLPConfig

    def __init__(self, image_encoder, text_encoder, config: MLPConfig) -> None:
        # the matrices are drawn first and dropped: so the records were made
        super().__init__(image_encoder, text_encoder, config)
        self.to_image = head(image_encoder.dim, config.dim, config.hidden)
        self.to_text = head(text_encoder.dim, config.dim, config.hidden)


PRESETS = {
    "toy": {"batch": 128, "image_size": 128, "precision": "no"},
    "cpu": {"tta_views": (0, 1, 6)},
    "paper": {},
}
VARIANTS = {"linear": {}, "one-view": {"tta_views": (0,)}}

MLP_PRESETS = PRESETS | {"toy": PRESETS["toy"] | {"hidden": 512}}
MLP_VARIANTS = {"mlp": {}}
