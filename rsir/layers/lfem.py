"""LFEM: local features among the tokens of a picture.

Source: CFITR as released (Zhou et al. 2024). Explained in chapter 05.
"""

import math

from torch import Tensor, nn

from rsir.errors import RsirError


class LFEM(nn.Module):
    """Local feature enhancement: three convolutions and a residual.

    The tokens are laid out as the grid that they come from, so their
    order matters: row by row.

        y = ReLU(x + Conv3(Conv5(Conv3(x))))

    Each convolution has a batch norm, the first two a ReLU; the inner
    ones have half the channels.

    Args:
        channels: of the tokens (768 in ViLT).
        variant: "paper" or "released". As released the call is
            commented out: the weights are there, tokens pass by.
    """

    def __init__(self, channels: int = 768, variant: str = "paper"
                 ) -> None:
        super().__init__()
        if variant not in ("paper", "released"):
            raise RsirError(
                f"variant is {variant!r}: 'paper' or 'released'"
            )
        self.variant = variant
        half = channels // 2
        self.net = nn.Sequential(
            nn.Conv2d(channels, half, 3, padding=1),
            nn.BatchNorm2d(half), nn.ReLU(),
            nn.Conv2d(half, half, 5, padding=2),
            nn.BatchNorm2d(half), nn.ReLU(),
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
                f"LFEM: {x.shape[1]} tokens are no square grid; leave "
                "the class token out"
            )
        if self.variant == "released":
            return x
        maps = x.transpose(1, 2).unflatten(2, (side, side))
        maps = self.relu(maps + self.net(maps))   # (B, C, h, w)
        return maps.flatten(2).transpose(1, 2)
