"""MVSA, the multi-scale visual self-attention of AMFMN and GaLR.

Source: AMFMN paper, eqs. (6)-(9) and (14)-(19), and as released.
Explained in chapter 02.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rsir.errors import RsirError


class MVSA(nn.Module):
    """From four maps to a mask over the global vector.

    Low maps f1, f2 are compressed to the grid of f3 and joined with
    the compressed high maps f3, f4. Two 1x1 convolutions, one of them
    a gate, leave one value a cell; a linear layer turns the grid into
    a mask in (0, 1) that tells which parts of the global vector count.

    The paper has five maps, the released code four; both variants
    here read four.

    Args:
        channels: of the maps with strides 4, 8, 16, 32.
        side: height and width of f3 (input size / 16).
        dim: length of the mask (512).
        variant: "paper": PReLU after compression, the channel mean of
            the uncompressed high maps is added, L2 norm before the
            1x1 convolutions. "released": none of these; the mean of
            the compressed high map is added.
        width: channels after compression (3).
    """

    def __init__(self, channels: tuple[int, ...], side: int, dim: int,
                 variant: str = "paper", width: int = 3) -> None:
        super().__init__()
        if variant not in ("paper", "released"):
            raise RsirError(
                f"variant is {variant!r}: 'paper' or 'released'"
            )
        c1, c2, c3, c4 = channels
        self.variant = variant
        self.low = nn.Conv2d(c1 + c2, width, 3, stride=4)
        self.high = nn.Conv2d(c3 + c4, width, 1)
        self.main = nn.Conv2d(2 * width, 1, 1)
        self.gate = nn.Conv2d(2 * width, 1, 1)
        self.mask = nn.Linear(side * side, dim)
        if variant == "paper":
            self.prelu_low = nn.PReLU()
            self.prelu_high = nn.PReLU()

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        """The mask `[B, dim]`, values in (0, 1).

        Args:
            maps: `[B, C, H, W]` with strides 4, 8, 16 and 32.
        """
        return torch.sigmoid(
            self.mask(self.salience(maps).flatten(1))
        )

    def salience(self, maps: tuple[Tensor, ...]) -> Tensor:
        """The gated one-channel map `[B, 1, side, side]`, eq. (19)."""
        f1, f2, f3, f4 = (f.float() for f in maps)  # stored as half
        low = compress_low(self.low, f1, f2)     # (B, 3, s, s)
        high = compress_high(self.high, f3, f4)  # (B, 3, s, s)
        if self.variant == "paper":
            low = self.prelu_low(low)            # eq. (14)
            high = self.prelu_high(high)         # eq. (15)
            mean = mean_of_high(f3, f4)          # (B, 1, s, s)
        else:
            mean = high.mean(1, keepdim=True)
        both = torch.cat([low, high], 1) + mean  # (B, 6, s, s), (16)
        if self.variant == "paper":
            both = F.normalize(both, dim=1)      # L2 in (17), (18)
        return self.main(both) * torch.sigmoid(self.gate(both))


def compress_low(conv: nn.Conv2d, f1: Tensor, f2: Tensor) -> Tensor:
    """`conv(Cat(f1, up2(f2)))` without building the joint map.

    A 3x3 window with stride 4 on the doubled f2 sees rows
    2i, 2i, 2i+1 of f2: a 2x2 window with stride 2 and summed weights.

    Args:
        conv: kernel 3, stride 4, no padding.
        f1, f2: maps with strides 4 and 8.

    Returns:
        `[B, width, s, s]` where s is a quarter of f1's side.
    """
    c1 = f1.shape[1]
    w1, w2 = conv.weight[:, :c1], conv.weight[:, c1:]
    # rows 0 and 1 of the kernel meet the same row of f2
    w2 = torch.stack([w2[:, :, 0] + w2[:, :, 1], w2[:, :, 2]], 2)
    w2 = torch.stack([w2[..., 0] + w2[..., 1], w2[..., 2]], 3)
    # only 9 of 16 cells of f1 meet the kernel: take these, then matmul
    seen = f1.unfold(2, 3, 4).unfold(3, 3, 4)  # (B, C, s, s, 3, 3)
    fine = torch.einsum("bchwij,ocij->bohw", seen, w1)
    coarse = F.conv2d(f2, w2, conv.bias, stride=2)
    return fine + coarse


def compress_high(conv: nn.Conv2d, f3: Tensor, f4: Tensor) -> Tensor:
    """`conv(Cat(f3, up2(f4)))` with the 1x1 convolution done first."""
    c3 = f3.shape[1]
    coarse = F.conv2d(f4, conv.weight[:, c3:])
    return F.conv2d(f3, conv.weight[:, :c3], conv.bias) + up2(coarse)


def mean_of_high(f3: Tensor, f4: Tensor) -> Tensor:
    """Channel mean of `Cat(f3, up2(f4))`: `[B, 1, s, s]`."""
    total = f3.sum(1, keepdim=True) + up2(f4.sum(1, keepdim=True))
    return total / (f3.shape[1] + f4.shape[1])


def up2(x: Tensor) -> Tensor:
    """Nearest-neighbour doubling of height and width."""
    return F.interpolate(x, scale_factor=2, mode="nearest")
