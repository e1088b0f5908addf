"""Pictures as training sees them: crops and rotations, drawn anew each epoch.

Explained in chapter 02. A draw rests on (seed, epoch, image) alone, so a
resumed run, or another process, sees what an undisturbed one would have seen.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

#: how much larger than the input a picture is kept that crops are cut from:
#: 278 pixels for 256, as released with AMFMN and GaLR
MARGIN = 278 / 256


def kept_size(augment: str, size: int) -> int:
    """Side in pixels at which pictures are kept for an input of `size`."""
    return round(size * MARGIN) if augment.startswith("crop") else size


def augmented(
    pixels: Tensor, augment: str, size: int, seed: int, epoch: int, images: Sequence
) -> Tensor:
    """A batch of pictures, each changed by a draw of its own.

    Args:
        pixels: uint8 `[B, 3, S, S]`, S from `kept_size`.
        augment: a key of `AUGMENTATIONS`.
        size: side of the result.
        seed, epoch, images: what the draws rest on; `images` numbers the B
            pictures within the split.

    Returns:
        uint8 `[B, 3, size, size]`.
    """
    change = AUGMENTATIONS[augment]
    draws = (np.random.default_rng([seed, epoch, 5, int(i)]) for i in images)
    return torch.stack([change(p, size, d) for p, d in zip(pixels, draws, strict=True)])


def crop(picture: Tensor, size: int, draw: np.random.Generator) -> Tensor:
    """A random square of `size` pixels. Source: AMFMN as released, whose
    rotation by 0 to 90 degrees is in truth one by 0."""
    top, left = draw.integers(picture.shape[-1] - size + 1, size=2)
    return picture[:, top : top + size, left : left + size]


def crop_rotate(picture: Tensor, size: int, draw: np.random.Generator) -> Tensor:
    """A rotation by 0 to 90 degrees, corners black, then a crop. Source: AMFMN
    and GaLR; GaLR as released."""
    return crop(F.rotate(picture, draw.uniform(0, 90)), size, draw)


def randaugment(picture: Tensor, size: int, draw: np.random.Generator) -> Tensor:
    """Two random changes of strength 9 of 10. Source: RandAugment(2, 9) of
    ViLT, from which CFITR's recipe comes."""
    names = draw.choice(list(CHANGES), 2)
    for name in names:
        picture = CHANGES[name](picture, size, 0.9 * draw.choice([-1, 1]))
    return picture


def _shift(picture: Tensor, turn: float = 0, x: float = 0, y: float = 0, shear=(0, 0)):
    return F.affine(picture, turn, [round(x), round(y)], 1.0, list(shear))


#: name -> change of a uint8 picture, its size, and strength t in [-1, 1]
CHANGES: dict[str, Callable[[Tensor, int, float], Tensor]] = {
    "autocontrast": lambda p, s, t: F.autocontrast(p),
    "equalize": lambda p, s, t: F.equalize(p),
    "invert": lambda p, s, t: F.invert(p),
    "rotate": lambda p, s, t: _shift(p, turn=30 * t),
    "posterize": lambda p, s, t: F.posterize(p, 8 - round(4 * abs(t))),
    "solarize": lambda p, s, t: F.solarize(p, 255 * (1 - abs(t))),
    "color": lambda p, s, t: F.adjust_saturation(p, 1 + 0.9 * t),
    "contrast": lambda p, s, t: F.adjust_contrast(p, 1 + 0.9 * t),
    "brightness": lambda p, s, t: F.adjust_brightness(p, 1 + 0.9 * t),
    "sharpness": lambda p, s, t: F.adjust_sharpness(p, 1 + 0.9 * t),
    "shear x": lambda p, s, t: _shift(p, shear=(17 * t, 0)),
    "shear y": lambda p, s, t: _shift(p, shear=(0, 17 * t)),
    "shift x": lambda p, s, t: _shift(p, x=0.45 * s * t),
    "shift y": lambda p, s, t: _shift(p, y=0.45 * s * t),
}

AUGMENTATIONS: dict[str, Callable[[Tensor, int, np.random.Generator], Tensor]] = {
    "none": lambda picture, size, draw: picture,
    "crop": crop,
    "crop-rotate": crop_rotate,
    "randaugment": randaugment,
}
