"""Ground that looks like ground: two or three colours mixed by noise."""

import math

import numpy as np

from toyscenes.geometry import SIZE
from toyscenes.noise import crop

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


def mix(low, high, amount):
    """Two colours mixed: `[3, H, W]` for an amount `[H, W]`."""
    low = np.asarray(low, np.float32)[:, None, None]
    high = np.asarray(high, np.float32)[:, None, None]
    return low + (high - low) * amount


def smooth(x, low, high):
    """0 below `low`, 1 above `high`, a smooth step between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def ground(rng, name, shift=6.0):
    """A textured ground `[3, 256, 256]`, float32, 0..255.

    Args:
        rng: the picture's random generator.
        name: a key of `GROUNDS`.
        shift: how far the colour as a whole may wander.
    """
    first, second, third, blotch, grain = GROUNDS[name]
    drift = rng.normal(0, shift / 4, 3) + rng.normal(0, shift)
    soft = smooth(crop(rng, "cloud"), -1.4, 1.4)
    base = mix(np.add(first, drift), np.add(second, drift), soft)
    spots = smooth(crop(rng, "mottle"), 0.3, 2.0) * blotch
    third = np.add(third, drift).astype(np.float32)[:, None, None]
    base += (third - base) * spots
    light = 1 + grain * crop(rng, "grain") + 0.5 * grain * crop(rng, "mottle")
    return base * light


def rows(rng, angle, period, jitter=0.6):
    """Parallel rows `[256, 256]` in -1..1, as of crops or ripples."""
    y, x = grid()
    across = x * math.cos(angle) + y * math.sin(angle)
    across = across + jitter * crop(rng, "mottle")
    return np.sin(across * (2 * np.pi / period))


def grid():
    """Pixel coordinates `(y, x)`, each `[256, 256]` float32."""
    return _GRID


_GRID = tuple(np.mgrid[0:SIZE, 0:SIZE].astype(np.float32))
