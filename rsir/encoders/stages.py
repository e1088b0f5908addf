"""Encoders cut in two: lower stages kept on disk, upper ones learn.

The lower stages of a pretrained network cost the most time and fit
aerial pictures well as they are. Their map is computed once and kept;
what stands above it is copied and may learn. Explained in chapter 04.
"""

import copy

import torch
from torch import Tensor, nn

from rsir.encoders.base import FEATURES
from rsir.encoders.image import EfficientNetLite0, ImageEncoder, ResNet18
from rsir.encoders.vit import ViT
from rsir.errors import RsirError

STARTS = FEATURES[:4]


class Depthwise(nn.Module):
    """A grouped convolution; backward in bf16 it is slow on a CPU."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        if x.is_cuda:
            return self.conv(x)
        with torch.autocast("cpu", enabled=False):
            return self.conv(x.float())


class Stages(nn.Sequential):
    """What stands above a map; gives cells to tokens of one grid.

    Attributes:
        dim: channels of the cells.
        grid: cells on a side.
    """

    def __init__(self, parts: list[nn.Module], dim: int, grid: int
                 ) -> None:
        super().__init__(*parts)
        for module in list(self.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, nn.Conv2d) and child.groups > 1:
                    setattr(module, name, Depthwise(child))
        self.dim, self.grid = dim, grid

    def forward(self, maps: Tensor) -> Tensor:
        """`[B, C, H, W]` to cells `[B, grid * grid, dim]`."""
        return super().forward(maps).flatten(2).transpose(1, 2)


class Blocks(nn.Module):
    """Transformer blocks on a map `[B, C, H, W]`, and their norm."""

    def __init__(self, blocks: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.blocks, self.norm = blocks, norm

    def forward(self, maps: Tensor) -> Tensor:
        tokens = maps.flatten(2).transpose(1, 2)  # (B, H*W, C)
        tokens = self.norm(self.blocks(tokens))
        return tokens.transpose(1, 2).unflatten(2, maps.shape[2:])


def upper_stages(encoder: ImageEncoder, start: str) -> Stages:
    """A copy of all that stands above the map `start`.

    Args:
        encoder: pretrained; it is not changed.
        start: "f1" to "f4", the map that the copy reads.

    Returns:
        Stages whose weights start at the encoder's. The mean of its
        cells is what the encoder calls "pooled" (for one view).

    Raises:
        RsirError: for another map, or an encoder that cannot be cut.
    """
    if start not in STARTS:
        raise RsirError(
            f"start is {start!r}: one of {', '.join(STARTS)}"
        )
    level = STARTS.index(start)
    if isinstance(encoder, EfficientNetLite0):
        net, first = encoder.net, encoder.LEVELS[level] + 1
        parts = [*net.blocks[first:], net.conv_head, net.bn2]
    elif isinstance(encoder, ResNet18):
        net = encoder.resnet
        parts = [net.layer2, net.layer3, net.layer4][level:]
    elif isinstance(encoder, ViT):
        parts = [Blocks(*encoder.upper(level))]
    else:
        raise RsirError(
            f"image encoder {encoder.name!r}: cannot be cut in two; "
            "use efficientnet_lite0, resnet18 or vit_base"
        )
    grid = encoder.map_sizes()[3][1]
    return Stages(copy.deepcopy(parts), encoder.dim, grid)
