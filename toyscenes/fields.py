"""Soft shapes of the ground: distances to an edge, negative inside."""

import math

import numpy as np

from toyscenes.geometry import SIZE
from toyscenes.noise import crop, wavy
from toyscenes.texture import grid


def turned(angle):
    """Coordinates `(u, v)` about the middle, turned by `angle`."""
    y, x = grid()
    x, y = x - SIZE / 2, y - SIZE / 2
    cos, sin = math.cos(angle), math.sin(angle)
    return x * cos + y * sin, -x * sin + y * cos


def blob(rng, cx, cy, rx, ry, angle=0.0, rough=0.12, fray=0.8):
    """A roundish patch with a random outline: a lake, a lawn.

    Args:
        rng: random generator.
        cx, cy: its middle.
        rx, ry: its half-axes.
        angle: turning.
        rough: size of its lobes, as a share of the radius.
        fray: raggedness of the edge in pixels.
    """
    y, x = grid()
    dx, dy = x - cx, y - cy
    cos, sin = math.cos(angle), math.sin(angle)
    u, v = (dx * cos + dy * sin) / rx, (-dx * sin + dy * cos) / ry
    around = np.arctan2(v, u)
    edge = np.ones_like(u)
    for k in (2, 3, 4, 6):
        edge += (
            rough
            * rng.uniform(0.2, 1)
            * (2 / k)
            * np.cos(k * around + rng.uniform(0, 6.3))
        )
    field = (np.hypot(u, v) - edge) * min(rx, ry)
    if fray:
        field = field + fray * crop(rng, "mottle")
    return field


def band(rng, angle, offset, width, bend=18.0, wave=300.0, fray=0.6):
    """A winding band right across the picture: a river, a path.

    Args:
        rng: random generator.
        angle: direction.
        offset: distance of its line from the middle.
        width: its width.
        bend: how far it swings.
        wave: length of a swing.
        fray: raggedness of the edge in pixels.

    Returns:
        The field, and the signed distance to the line.
    """
    u, v = turned(angle)
    line, slope = wavy(rng, u, bend, wave, 2)
    across = (v - offset - line) / np.sqrt(1 + slope * slope)
    field = np.abs(across) - width / 2
    if fray:
        field = field + fray * crop(rng, "mottle")
    return field, across


def half(rng, angle, offset, bend=10.0, wave=320.0, fray=0.8):
    """Everything on one side of a wavy line: a sea, a wood.

    Inside is where the turned coordinate v exceeds `offset`.
    """
    u, v = turned(angle)
    line, slope = wavy(rng, u, bend, wave)
    field = (offset + line - v) / np.sqrt(1 + slope * slope)
    if fray:
        field = field + fray * crop(rng, "mottle")
    return field


def box(cx, cy, width, length, angle=0.0):
    """A rectangle."""
    y, x = grid()
    dx, dy = x - cx, y - cy
    cos, sin = math.cos(angle), math.sin(angle)
    u, v = dx * cos + dy * sin, -dx * sin + dy * cos
    return np.maximum(np.abs(u) - width / 2, np.abs(v) - length / 2)


def value(field, x, y):
    """The field at a point, the nearest one inside the picture."""
    i = int(min(max(y, 0), SIZE - 1))
    j = int(min(max(x, 0), SIZE - 1))
    return float(field[i, j])
