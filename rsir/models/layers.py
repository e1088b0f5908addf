"""Small layers that several systems share."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Standardise(nn.Module):
    """(x - mean) / std of each of `dim` features; before `fit`, x."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("std", torch.ones(dim))

    def fit(self, features: Tensor) -> None:
        """Measure features `[n, dim]` of the train split."""
        features = features.float()
        self.mean.copy_(features.mean(0))
        self.std.copy_(features.std(0).clamp(min=1e-3))

    def forward(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.std


def head(dim: int, out: int, hidden: int) -> nn.Module:
    """`dim` to `out`: two layers with `hidden` units; 0: one matrix. Ours."""
    if not hidden:
        return nn.Linear(dim, out)
    return nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, out))


def up2(x: Tensor) -> Tensor:
    """`[B, C, H, W]` to `[B, C, 2H, 2W]`, each cell four times."""
    return F.interpolate(x, scale_factor=2, mode="nearest")
