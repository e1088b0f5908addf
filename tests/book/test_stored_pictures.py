"""Stored figures: large ones get a palette, and stay what they were."""

import base64
import io

import numpy as np
from nbkit.pictures import LARGE, smaller
from PIL import Image, PngImagePlugin


def encoded(size):
    pixels = np.random.default_rng(0).integers(0, 255, (size, size, 3))
    said = PngImagePlugin.PngInfo()
    said.add_text("Software", "Matplotlib version 3")
    out = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(out, "PNG", pnginfo=said)
    return base64.b64encode(out.getvalue()).decode()


def test_a_large_picture_shrinks_and_keeps_its_signature():
    before = encoded(256)
    after = smaller(before)
    assert len(after) < 0.6 * len(before)
    picture = Image.open(io.BytesIO(base64.b64decode(after)))
    assert picture.size == (256, 256)
    assert picture.info["Software"].startswith("Matplotlib")
    assert smaller(after) == after


def test_a_small_picture_is_not_touched():
    before = encoded(32)
    assert len(before) < LARGE and smaller(before) == before
