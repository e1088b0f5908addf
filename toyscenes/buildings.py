"""Houses, halls, tanks and towers."""

import math

from toyscenes.canvas import tone
from toyscenes.geometry import ellipse, rect, turn


def house(c, x, y, width, length, angle, colour, height=5.0, hip=None):
    """A house with a ridge along its longer side.

    Args:
        c: canvas.
        x, y: middle of the house.
        width, length: sides in pixels, `width` along the local x.
        angle: turning in radians.
        colour: the roof's colour.
        height: of the roof.
        hip: inset of the ridge's ends (0 for a gable); random if None.
    """
    if width > length:
        width, length, angle = length, width, angle + math.pi / 2
    w, h = width / 2, length / 2
    inset = w * c.rng.choice((0.0, 0.75)) if hip is None else hip
    corners = [(-w, -h), (w, -h), (w, h), (-w, h)]
    top, bottom = (0, -h + inset), (0, h - inset)
    cos, sin = math.cos(angle), math.sin(angle)
    c.poly(turn(corners, x, y, angle), tone(colour, 0.8), height)
    faces = [
        ([corners[0], top, bottom, corners[3]], (-1, 0)),
        ([corners[1], top, bottom, corners[2]], (1, 0)),
    ]
    if inset:
        faces += [
            ([corners[0], top, corners[1]], (0, -1)),
            ([corners[3], bottom, corners[2]], (0, 1)),
        ]
    for points, (nx, ny) in faces:
        light = c.sun.facing(nx * cos - ny * sin, nx * sin + ny * cos, 0.24)
        c.poly(turn(points, x, y, angle), tone(colour, light), None)
    c.line(turn([top, bottom], x, y, angle), 0.5, tone(colour, 1.18))
    if c.rng.random() < 0.6:
        u, v = c.rng.uniform(-0.5, 0.5) * w, c.rng.uniform(-0.5, 0.5) * h
        ((px, py),) = turn([(u, v)], x, y, angle)
        c.poly(rect(px, py, 1.6, 1.6, angle), tone(colour, 0.72), height + 1.5)
    return turn(corners, x, y, angle)


def wing_house(c, x, y, size, angle, colour, height=5.0):
    """A house of two wings, an L seen from above."""
    long, deep = size, size * c.rng.uniform(0.42, 0.55)
    side = c.rng.choice((-1, 1))
    ((bx, by),) = turn([(side * (long - deep) / 2, deep * 0.55)], x, y, angle)
    house(
        c, bx, by, deep * 0.95, deep * 1.7, angle, colour, height - 0.5, hip=deep * 0.4
    )
    return house(c, x, y, long, deep, angle, colour, height, hip=deep * 0.4)


def block(c, x, y, width, length, angle, colour, height=12.0, units=3):
    """A flat-roofed building with a parapet and things on its roof."""
    outline = rect(x, y, width, length, angle)
    c.poly(outline, tone(colour, 1.12), height)
    inner = rect(x, y, width - 2, length - 2, angle)
    c.poly(inner, colour, height - 1)
    rng = c.rng
    for _ in range(units):
        u = rng.uniform(-0.36, 0.36) * width
        v = rng.uniform(-0.36, 0.36) * length
        ((px, py),) = turn([(u, v)], x, y, angle)
        a, b = rng.uniform(1.6, 4.0, 2)
        c.poly(
            rect(px, py, a, b, angle), tone(colour, rng.choice((0.75, 1.2))), height + 2
        )
    return outline


def hall(c, x, y, width, length, angle, colour, height=9.0, ribs=6.0):
    """A long shed: shallow ridge, sheet-metal seams, skylights."""
    if width > length:
        width, length, angle = length, width, angle + math.pi / 2
    w, h = width / 2, length / 2
    cos, sin = math.cos(angle), math.sin(angle)
    outline = rect(x, y, width, length, angle)
    c.poly(outline, colour, height)
    for side in (-1, 1):
        light = c.sun.facing(side * cos, side * sin, 0.11)
        face = [(0, -h), (side * w, -h), (side * w, h), (0, h)]
        c.poly(turn(face, x, y, angle), tone(colour, light), None)
    v = -h + ribs / 2
    sky = c.rng.random() < 0.5
    while v < h:
        for side in (-1, 1):
            light = c.sun.facing(side * cos, side * sin, 0.11)
            seam = turn([(0, v), (side * w, v)], x, y, angle)
            c.line(seam, 0.5, tone(colour, light * 0.92))
            if sky:
                spot = turn([(side * w * 0.35, v), (side * w * 0.7, v)], x, y, angle)
                c.line(spot, 1.0, tone(colour, light * 1.12))
        v += ribs
    c.line(turn([(0, -h), (0, h)], x, y, angle), 0.6, tone(colour, 1.15))
    c.line(outline, 0.5, tone(colour, 0.8), close=True)
    return outline


def tank(c, x, y, radius, colour, floating=False, height=8.0):
    """A storage tank: a low cylinder, its roof fixed or sunk inside."""
    c.disc(x, y, radius, tone(colour, 0.96), height)
    if floating:
        c.disc(x, y, radius - 1.0, tone(colour, 0.80), height - 5)
        c.disc(x, y, radius * 0.55, tone(colour, 0.84), None)
        c.line([(x, y), (x + radius * 0.9, y)], 0.8, tone(colour, 1.1))
    else:
        shift = radius * 0.10
        for share, light in ((0.93, 1.0), (0.66, 1.03), (0.36, 1.06)):
            c.disc(
                x - c.sun.dx * shift * (1 - share) * 2,
                y - c.sun.dy * shift * (1 - share) * 2,
                radius * share,
                tone(colour, light),
                None,
            )
        c.disc(x, y, max(radius * 0.06, 0.8), tone(colour, 0.7), None)
    ring = ellipse(x, y, radius - 0.5, radius - 0.5, steps=36)
    c.line(ring, 0.6, tone(colour, 0.74))
    angle = c.rng.uniform(0, 6.28)
    spoke = [
        (x + math.cos(angle) * radius * t, y + math.sin(angle) * radius * t)
        for t in (0.4, 1.1)
    ]
    c.line(spoke, 0.7, tone(colour, 0.7))
    return ring


def dome(c, x, y, radius, colour, height=12.0, ribs=12):
    """A round roof, lit on its sunny side."""
    c.disc(x, y, radius, tone(colour, 0.85), height * 0.6)
    for k in range(1, 9):
        share = 1 - k / 9
        push = radius * 0.32 * (1 - share)
        c.disc(
            x - c.sun.dx * push,
            y - c.sun.dy * push,
            radius * share,
            tone(colour, 0.85 + 0.035 * k),
            height * (0.6 + 0.4 * (1 - share**2)),
        )
    for k in range(ribs):
        a = 2 * math.pi * k / ribs
        c.line(
            [
                (x, y),
                (x + radius * 0.97 * math.cos(a), y + radius * 0.97 * math.sin(a)),
            ],
            0.4,
            tone(colour, 0.82),
        )
    return ellipse(x, y, radius, radius)


def pyramid(c, x, y, width, colour, angle=0.0, height=10.0):
    """A square roof rising to a point."""
    w = width / 2
    corners = [(-w, -w), (w, -w), (w, w), (-w, w)]
    cos, sin = math.cos(angle), math.sin(angle)
    outline = turn(corners, x, y, angle)
    c.poly(outline, colour, height)
    sides = ((0, -1), (1, 0), (0, 1), (-1, 0))
    for k, (nx, ny) in enumerate(sides):
        light = c.sun.facing(nx * cos - ny * sin, nx * sin + ny * cos)
        face = turn([corners[k], corners[(k + 1) % 4], (0, 0)], x, y, angle)
        c.poly(face, tone(colour, light), None)
    return outline
