"""Ground that looks like ground: two or three colours mixed by noise."""

import math

import numpy as np

from toyscenes.drawing.geometry import SIZE
from toyscenes.drawing.noise import crop

# main colour, second colour, blotches; amount of blotches, of grain
GROUNDS = {
    "grass": ((96, 110, 66), (74, 92, 52), (128, 124, 82), 0.6, 0.05),
    "lawn": ((88, 116, 60), (76, 104, 54), (104, 124, 70), 0.3, 0.05),
    "dry grass": ((136, 126, 88), (116, 114, 74), (158, 140, 108), 0.7, 0.05),
    "bare soil": ((154, 130, 100), (136, 112, 84), (172, 152, 124), 0.7, 0.04),
    "red soil": ((158, 110, 78), (138, 94, 66), (174, 134, 100), 0.7, 0.04),
    "sand": ((206, 188, 150), (194, 172, 132), (216, 200, 166), 0.4, 0.03),
    "rock": ((138, 126, 110), (112, 102, 90), (156, 146, 130), 0.7, 0.05),
    "snow": ((226, 230, 236), (206, 212, 222), (240, 242, 246), 0.4, 0.03),
    "concrete": ((168, 164, 156), (156, 152, 146), (180, 176, 168), 0.4, 0.03),
    "asphalt": ((108, 107, 106), (98, 98, 98), (120, 118, 114), 0.5, 0.04),
    "paved": ((150, 142, 132), (138, 132, 124), (166, 158, 146), 0.5, 0.05),
    "floor": ((58, 72, 46), (50, 62, 40), (76, 84, 54), 0.5, 0.08),
    "clay": ((172, 110, 76), (162, 100, 68), (182, 124, 90), 0.4, 0.04),
}


def flat(colour):
    """A colour as a texture `[3, 1, 1]`."""
    return np.asarray(colour, np.float32)[:, None, None]


def mix(low, high, amount):
    """Two colours mixed: `[3, H, W]` for an amount `[H, W]`."""
    low, high = flat(low), flat(high)
    return low + (high - low) * amount


def smooth(x, low, high):
    """0 below `low`, 1 above `high`, a smooth step between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def ground(rng, name):
    """A ground of `GROUNDS` as a texture `[3, 256, 256]`, float32, 0..255."""
    first, second, third, blotch, grain = GROUNDS[name]
    drift = rng.normal(0, 1.5, 3) + rng.normal(0, 6)
    soft = smooth(crop(rng, "cloud"), -1.4, 1.4)
    base = mix(np.add(first, drift), np.add(second, drift), soft)
    spots = smooth(crop(rng, "mottle"), 0.3, 2.0) * blotch
    base += (flat(np.add(third, drift)) - base) * spots
    light = 1 + grain * crop(rng, "grain") + 0.5 * grain * crop(rng, "mottle")
    return base * light


def rows(rng, angle, period, jitter):
    """Parallel rows `[256, 256]` in -1..1, as of crops or ripples."""
    y, x = GRID
    across = x * math.cos(angle) + y * math.sin(angle)
    across = across + jitter * crop(rng, "mottle")
    return np.sin(across * (2 * np.pi / period))


# pixel coordinates (y, x), each [256, 256] float32
GRID = tuple(np.mgrid[0:SIZE, 0:SIZE].astype(np.float32))
