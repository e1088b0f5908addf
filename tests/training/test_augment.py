"""What augmentation does to a picture, against plain references."""

import numpy as np
import pytest
import torch
from PIL import Image

from rsir.training.augment import AUGMENTATIONS, augmented, kept_size

SIDE, SIZE = 70, 64


@pytest.fixture
def pixels():
    return torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (5, 3, SIDE, SIDE), np.uint8)
    )


def draws(seed, epoch, image):
    return np.random.default_rng([seed, epoch, 5, image])


def test_pictures_are_kept_at_the_released_size():
    assert kept_size("crop-rotate", 256) == kept_size("crop", 256) == 278
    assert kept_size("none", 256) == kept_size("randaugment", 256) == 256


def test_a_crop_is_a_window_of_its_picture(pixels):
    found = augmented(pixels, "crop", SIZE, 1, 2, range(5))
    for image, one in enumerate(found):
        top, left = draws(1, 2, image).integers(SIDE - SIZE + 1, size=2)
        window = pixels[image, :, top : top + SIZE, left : left + SIZE]
        assert torch.equal(one, window)


def test_a_rotation_is_that_of_pillow(pixels):
    found = augmented(pixels, "crop-rotate", SIZE, 1, 2, range(5))
    for image, one in enumerate(found):
        draw = draws(1, 2, image)
        angle = draw.uniform(0, 90)
        top, left = draw.integers(SIDE - SIZE + 1, size=2)
        whole = Image.fromarray(pixels[image].permute(1, 2, 0).numpy()).rotate(angle)
        window = np.asarray(whole)[top : top + SIZE, left : left + SIZE]
        same = (one.permute(1, 2, 0).numpy() == window).all(2)
        assert same.mean() > 0.98  # the nearest of two equally near cells
        assert 0 < angle < 90


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_draws_rest_on_seed_epoch_and_image_alone(pixels, name):
    size = SIDE if kept_size(name, SIZE) == SIZE else SIZE
    first = augmented(pixels, name, size, 1, 2, range(5))
    torch.manual_seed(9)
    again = augmented(pixels[[3, 1]], name, size, 1, 2, [3, 1])
    assert torch.equal(again, first[[3, 1]])
    assert first.shape == (5, 3, size, size) and first.dtype == torch.uint8
    if name != "none":
        assert not torch.equal(augmented(pixels, name, size, 1, 3, range(5)), first)
        assert not torch.equal(augmented(pixels, name, size, 2, 2, range(5)), first)


def test_every_change_of_randaugment_is_drawn():
    picture = torch.randint(0, 256, (1, 3, SIDE, SIDE), dtype=torch.uint8)
    many = augmented(
        picture.expand(300, -1, -1, -1), "randaugment", SIDE, 0, 0, range(300)
    )
    assert len({bytes(one.numpy().tobytes()) for one in many}) > 100
