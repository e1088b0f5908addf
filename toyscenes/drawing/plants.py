"""Trees as little height fields, so that the sun can shade them."""

from functools import lru_cache

import numpy as np

from toyscenes.drawing.noise import TILE

UNIT = 2  # supersampled pixels per picture pixel


@lru_cache(maxsize=None)
def crowns(radius):
    """Some crowns of one radius (in supersampled pixels).

    Returns:
        A list of uint8 arrays `[2r+1, 2r+1]`, height, 0 outside.
    """
    rng = np.random.default_rng([77, radius])
    axis = np.arange(-radius, radius + 1, dtype=np.float32) / radius
    y, x = np.meshgrid(axis, axis, indexing="ij")
    angle = np.arctan2(y, x)
    out = []
    for _ in range(8):
        edge = 0.86 + 0.0 * angle
        for k in (2, 3, 5, 7):
            edge += rng.uniform(0.0, 0.07) * np.cos(k * angle + rng.uniform(0, 6.3))
        dome = 1 - (np.hypot(x, y) / edge) ** 2.4
        lumps = np.zeros_like(dome)
        for _ in range(9):
            cx, cy = rng.uniform(-0.7, 0.7, 2)
            lumps = np.maximum(lumps, 1 - np.hypot(x - cx, y - cy) / 0.42)
        height = np.where(dome > 0, 0.45 + 0.4 * dome + 0.3 * lumps, 0)
        out.append(np.clip(height * radius * 1.7, 0, 255).astype(np.uint8))
    return out


def stamp(field, rng, x, y, radius):
    """Plant one tree: raise `field` (uint8) where the crown is higher.

    All lengths are in supersampled pixels.
    """
    r = max(int(radius), 2)
    crown = crowns(r)[rng.integers(8)]
    x0, y0 = int(x) - r, int(y) - r
    x1, y1 = x0 + 2 * r + 1, y0 + 2 * r + 1
    height, width = field.shape
    cx, cy = max(-x0, 0), max(-y0, 0)
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    if x0 >= x1 or y0 >= y1:
        return
    part = field[y0:y1, x0:x1]
    np.maximum(part, crown[cy : cy + y1 - y0, cx : cx + x1 - x0], out=part)


@lru_cache(maxsize=None)
def canopy(radius):
    """A closed canopy tile `[1024, 1024]` uint8 of crowns about `radius`.

    The tile is in supersampled pixels and wraps around.
    """
    rng = np.random.default_rng([78, radius])
    field = np.zeros((TILE + 128, TILE + 128), np.uint8)
    count = int(0.8 * (TILE / radius) ** 2)
    spots = rng.uniform(64, TILE + 64, (count, 2))
    sizes = radius * rng.uniform(0.6, 1.3, count)
    for (x, y), r in zip(spots, sizes):
        stamp(field, rng, x, y, r)
    inner = field[64:-64, 64:-64].copy()
    inner[:64] = np.maximum(inner[:64], field[-64:, 64:-64])
    inner[-64:] = np.maximum(inner[-64:], field[:64, 64:-64])
    inner[:, :64] = np.maximum(inner[:, :64], field[64:-64, -64:])
    inner[:, -64:] = np.maximum(inner[:, -64:], field[64:-64, :64])
    return inner
