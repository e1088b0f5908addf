"""Small layers: standardisation of frozen features."""

import torch
from torch import Tensor, nn


class Standardise(nn.Module):
    """(x - mean) / std per feature, with numbers of the train split.

    Frozen features differ in scale by orders of magnitude. `fit`
    measures mean and standard deviation once; before that the layer
    does nothing, so that released checkpoints are not touched.

    Args:
        dim: number of features.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("std", torch.ones(dim))

    def fit(self, features: Tensor) -> None:
        """Measure `[n, dim]` features of the train split."""
        features = features.float()
        self.mean.copy_(features.mean(0))
        self.std.copy_(features.std(0).clamp(min=1e-3))

    def forward(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.std
