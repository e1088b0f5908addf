"""Soft shapes of the ground: distances to an edge, negative inside.

`angle` turns a shape; `fray` is the raggedness of its edge in pixels.
"""

import math

import numpy as np

from toyscenes.drawing.geometry import SIZE
from toyscenes.drawing.noise import crop, wavy
from toyscenes.drawing.texture import GRID


def turned(angle, cx=SIZE / 2, cy=SIZE / 2):
    """Coordinates `(u, v)` about a point, turned by `angle`."""
    y, x = GRID
    x, y = x - cx, y - cy
    cos, sin = math.cos(angle), math.sin(angle)
    return x * cos + y * sin, -x * sin + y * cos


def nowhere():
    """A field that is far from any edge everywhere."""
    return np.full((SIZE, SIZE), 99.0, np.float32)


def blob(rng, cx, cy, rx, ry, angle, rough, fray=0.8):
    """A roundish patch with a random outline: a lake, a lawn.

    `rough` is the size of its lobes, as a share of the radius.
    """
    u, v = turned(angle, cx, cy)
    u, v = u / rx, v / ry
    around = np.arctan2(v, u)
    edge = np.ones_like(u)
    for k in (2, 3, 4, 6):
        lobe = rough * rng.uniform(0.2, 1) * (2 / k)
        edge += lobe * np.cos(k * around + rng.uniform(0, 6.3))
    field = (np.hypot(u, v) - edge) * min(rx, ry)
    return field + fray * crop(rng, "mottle")


def band(rng, angle, offset, width, bend, wave, fray=0.6):
    """A winding band right across the picture: a river, a path.

    `offset` is the distance of its line from the middle, `bend` how far it
    swings, `wave` the length of a swing. Returns the field, and the signed
    distance to the line.
    """
    u, v = turned(angle)
    line, slope = wavy(rng, u, bend, wave, 2)
    across = (v - offset - line) / np.sqrt(1 + slope * slope)
    field = np.abs(across) - width / 2
    return (field + fray * crop(rng, "mottle") if fray else field), across


def half(rng, angle, offset, bend, wave):
    """Everything on one side of a wavy line: a sea, a wood.

    Inside is where the turned coordinate v exceeds `offset`.
    """
    u, v = turned(angle)
    line, slope = wavy(rng, u, bend, wave)
    field = (offset + line - v) / np.sqrt(1 + slope * slope)
    return field + crop(rng, "mottle")


def value(field, x, y):
    """The field at a point, the nearest one inside the picture."""
    i = int(min(max(y, 0), SIZE - 1))
    j = int(min(max(x, 0), SIZE - 1))
    return float(field[i, j])
