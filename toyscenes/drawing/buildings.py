"""Houses, halls, tanks and towers.

Each function takes a canvas, the middle, sides in pixels (`width` along
the local x), an angle in radians, a colour, and a height.
"""

import math

from toyscenes.drawing.canvas import tone
from toyscenes.drawing.geometry import Frame, ellipse, polar, rect


def house(c, x, y, width, length, angle, colour, height, hip=None):
    """A house with a ridge along its longer side.

    `hip` is the inset of the ridge's ends: 0 for a gable, random if None.
    """
    if width > length:
        width, length, angle = length, width, angle + math.pi / 2
    f = Frame(angle, x, y)
    w, h = width / 2, length / 2
    inset = w * c.rng.choice((0.0, 0.75)) if hip is None else hip
    corners = [(-w, -h), (w, -h), (w, h), (-w, h)]
    top, bottom = (0, -h + inset), (0, h - inset)
    c.poly(f.points(*corners), tone(colour, 0.8), height)
    a, b, e, d = corners
    faces = [((a, top, bottom, d), (-1, 0)), ((b, top, bottom, e), (1, 0))]
    if inset:
        faces += [((a, top, b), (0, -1)), ((d, bottom, e), (0, 1))]
    for face, side in faces:
        light = f.facing(c.sun, *side, 0.24)
        c.poly(f.points(*face), tone(colour, light), None)
    c.line(f.points(top, bottom), 0.5, tone(colour, 1.18))
    if c.rng.random() < 0.6:
        u, v = c.rng.uniform(-0.5, 0.5) * w, c.rng.uniform(-0.5, 0.5) * h
        c.poly(f.rect(u, v, 1.6, 1.6), tone(colour, 0.72), height + 1.5)
    return f.points(*corners)


def wing_house(c, x, y, size, angle, colour, height):
    """A house of two wings, an L seen from above."""
    deep = size * c.rng.uniform(0.42, 0.55)
    side, hip = c.rng.choice((-1, 1)), deep * 0.4
    bx, by = Frame(angle, x, y).at(side * (size - deep) / 2, deep * 0.55)
    house(c, bx, by, deep * 0.95, deep * 1.7, angle, colour, height - 0.5, hip)
    house(c, x, y, size, deep, angle, colour, height, hip)


def block(c, x, y, width, length, angle, colour, height, units):
    """A flat-roofed building with a parapet and `units` on its roof."""
    f, rng = Frame(angle, x, y), c.rng
    c.poly(rect(x, y, width, length, angle), tone(colour, 1.12), height)
    c.poly(rect(x, y, width - 2, length - 2, angle), colour, height - 1)
    for _ in range(units):
        u = rng.uniform(-0.36, 0.36) * width
        v = rng.uniform(-0.36, 0.36) * length
        unit = f.rect(u, v, *rng.uniform(1.6, 4.0, 2))
        c.poly(unit, tone(colour, rng.choice((0.75, 1.2))), height + 2)


def hall(c, x, y, width, length, angle, colour, height, ribs=6.0):
    """A long shed: shallow ridge, sheet-metal seams, skylights."""
    if width > length:
        width, length, angle = length, width, angle + math.pi / 2
    f = Frame(angle, x, y)
    w, h = width / 2, length / 2
    outline = rect(x, y, width, length, angle)
    c.poly(outline, colour, height)
    lights = {side: f.facing(c.sun, side, 0, 0.11) for side in (-1, 1)}
    for side, light in lights.items():
        face = f.points((0, -h), (side * w, -h), (side * w, h), (0, h))
        c.poly(face, tone(colour, light), None)
    v = -h + ribs / 2
    sky = c.rng.random() < 0.5
    while v < h:
        for side, light in lights.items():
            c.line(f.points((0, v), (side * w, v)), 0.5, tone(colour, light * 0.92))
            if sky:
                spot = f.points((side * w * 0.35, v), (side * w * 0.7, v))
                c.line(spot, 1.0, tone(colour, light * 1.12))
        v += ribs
    c.line(f.points((0, -h), (0, h)), 0.6, tone(colour, 1.15))
    c.line(outline, 0.5, tone(colour, 0.8), close=True)
    return outline


def tank(c, x, y, radius, colour, floating, height):
    """A storage tank: a low cylinder, its roof fixed or sunk inside."""
    c.disc(x, y, radius, tone(colour, 0.96), height)
    if floating:
        c.disc(x, y, radius - 1.0, tone(colour, 0.80), height - 5)
        c.disc(x, y, radius * 0.55, tone(colour, 0.84), None)
        c.line([(x, y), (x + radius * 0.9, y)], 0.8, tone(colour, 1.1))
    else:
        shift = radius * 0.10
        for share, light in ((0.93, 1.0), (0.66, 1.03), (0.36, 1.06)):
            dx = c.sun.dx * shift * (1 - share) * 2
            dy = c.sun.dy * shift * (1 - share) * 2
            c.disc(x - dx, y - dy, radius * share, tone(colour, light), None)
        c.disc(x, y, max(radius * 0.06, 0.8), tone(colour, 0.7), None)
    ring = ellipse(x, y, radius - 0.5, radius - 0.5, steps=36)
    c.line(ring, 0.6, tone(colour, 0.74))
    a = c.rng.uniform(0, 6.28)
    cos, sin = math.cos(a), math.sin(a)
    spoke = [(x + cos * radius * t, y + sin * radius * t) for t in (0.4, 1.1)]
    c.line(spoke, 0.7, tone(colour, 0.7))
    return ring


def dome(c, x, y, radius, colour, height):
    """A round roof, lit on its sunny side."""
    c.disc(x, y, radius, tone(colour, 0.85), height * 0.6)
    for k in range(1, 9):
        share = 1 - k / 9
        push = radius * 0.32 * (1 - share)
        spot = (x - c.sun.dx * push, y - c.sun.dy * push, radius * share)
        level = height * (0.6 + 0.4 * (1 - share**2))
        c.disc(*spot, tone(colour, 0.85 + 0.035 * k), level)
    for k in range(12):
        end = polar(radius * 0.97, 2 * math.pi * k / 12, x, y)
        c.line([(x, y), end], 0.4, tone(colour, 0.82))


def pyramid(c, x, y, width, colour, angle, height):
    """A square roof rising to a point."""
    f, w = Frame(angle, x, y), width / 2
    corners = [(-w, -w), (w, -w), (w, w), (-w, w)]
    c.poly(f.points(*corners), colour, height)
    for k, side in enumerate(((0, -1), (1, 0), (0, 1), (-1, 0))):
        face = f.points(corners[k], corners[(k + 1) % 4], (0, 0))
        c.poly(face, tone(colour, f.facing(c.sun, *side)), None)
