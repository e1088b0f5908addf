"""One sun per picture: shadows, shaded crowns, and the camera's faults."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from toyscenes.drawing.noise import crop

SHADE = np.array((0.40, 0.44, 0.53), np.float32)  # bluish shadow


@dataclass(frozen=True)
class Sun:
    """Where shadows fall: a unit vector, and length per unit of height."""

    dx: float
    dy: float
    length: float

    @classmethod
    def draw(cls, rng):
        """A sun in the south, as over most photographed cities."""
        angle = math.radians(rng.uniform(-155, -25))
        return cls(math.cos(angle), math.sin(angle), float(rng.uniform(0.55, 1.15)))

    def facing(self, nx, ny, strength=0.3):
        """Brightness of a slope whose outward side looks to (nx, ny)."""
        size = math.hypot(nx, ny) or 1.0
        return 1.0 - strength * (nx * self.dx + ny * self.dy) / size


def moved(field, dx, dy):
    """`field` moved by whole pixels; what comes in is 0."""
    out = np.zeros_like(field)
    height, width = field.shape
    ys = slice(max(-dy, 0), height - max(dy, 0))
    yd = slice(max(dy, 0), height - max(-dy, 0))
    xs = slice(max(-dx, 0), width - max(dx, 0))
    xd = slice(max(dx, 0), width - max(-dx, 0))
    out[yd, xd] = field[ys, xs]
    return out


def cast(height, sun):
    """The level below which a point lies in shadow.

    The highest of `h(x - t d) - t` over all t up to 127, found by
    doubling: each pass takes in twice as long a stretch as the last.
    `height` is int16 `[H, W]`, in pixels of shadow length.
    """
    level = height
    for k in range(7):
        step = 1 << k
        dx, dy = round(sun.dx * step), round(sun.dy * step)
        if dx or dy:
            level = np.maximum(level, moved(level, dx, dy) - step)
    return level


def halve(field):
    """Mean over blocks of two by two: `[2H, 2W]` to `[H, W]`."""
    field = field.astype(np.float32)
    return 0.25 * (
        field[::2, ::2] + field[1::2, ::2] + field[::2, 1::2] + field[1::2, 1::2]
    )


def develop(rgb, height, plants, sun, rng, tone):
    """Light the scene and take the picture: uint8 `[256, 256, 3]`.

    `rgb` is a PIL image of 512 x 512, colours without light. `height` and
    `plants` are uint8 `[512, 512]`: pixels of shadow length, and the height of
    crowns. `tone` is the colour of foliage, three numbers.
    """
    image = np.asarray(rgb.reduce(2), np.float32)
    solid = height.astype(np.int16)
    light = 1 + 0.022 * crop(rng, "grain")
    light = light + 0.018 * crop(rng, "mottle") + 0.02 * crop(rng, "cloud")
    if plants.any():
        leaves = plants.astype(np.int16)
        dx, dy = round(sun.dx * 2.6), round(sun.dy * 2.6)
        slope = halve(leaves - moved(leaves, dx, dy))
        cover = halve(plants > 2)[..., None]
        high = halve(leaves)
        lit = np.clip(0.74 + 0.052 * slope + 0.022 * high, 0.36, 1.5)
        lit = lit * (1 + 0.09 * crop(rng, "mottle") + 0.07 * crop(rng, "grain"))
        warm = np.array((1.0, 0.35, -0.3), np.float32)
        hue = 1 + 0.055 * crop(rng, "cloud")[..., None] * warm
        green = np.asarray(tone, np.float32) * lit[..., None] * hue
        image += (green - image) * cover
        solid = np.maximum(solid, (leaves * sun.length).astype(np.int16))
    gap = cast(solid, sun) - solid
    dark = halve(np.clip(gap, 0, 4)) * 0.25
    image *= 1 - dark[..., None] * (1 - SHADE)
    image *= light[..., None]
    return expose(image, rng)


def expose(image, rng):
    """Haze, cast, contrast, blur and noise of a satellite camera."""
    gain = rng.normal(1.0, 0.012, 3) * rng.uniform(0.93, 1.07)
    haze = np.array((120, 130, 140)) * rng.uniform(0.0, 0.10)
    contrast = rng.uniform(0.97, 1.10)
    offset = 110 * (1 - contrast)
    gray = image @ np.array((0.3, 0.5, 0.2), np.float32)
    image += (gray[..., None] - image) * np.float32(rng.uniform(0.08, 0.26))
    image *= (gain * contrast).astype(np.float32)
    image += (haze + offset).astype(np.float32)
    image = np.clip(image, 0, 255).astype(np.uint8)
    soft = Image.fromarray(image).filter(ImageFilter.BoxBlur(rng.uniform(0.25, 0.55)))
    image = np.asarray(soft, np.float32)
    image += (1.5 * crop(rng, "grain", zoom=2))[..., None]
    return np.clip(image + 0.5, 0, 255).astype(np.uint8)


def hillshade(relief, sun, strength=1.0):
    """Light on a relief `[256, 256]` (in pixels), about 1 where flat.

    Lambert's cosine law with the sun 45 degrees high, and some light
    from the sky in the shade.
    """
    gy, gx = np.gradient(relief)
    slope = (gx * sun.dx + gy * sun.dy) * strength
    facing = np.maximum(1 + slope, 0) / np.sqrt(1 + strength * (gx * gx + gy * gy))
    return np.clip(0.34 + 0.66 * facing, 0, 1.4)
