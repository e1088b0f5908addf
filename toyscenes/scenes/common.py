"""Pieces of scenery that several kinds share."""

import math

import numpy as np

from toyscenes import buildings, fields, vehicles
from toyscenes.geometry import SIZE, along, rect, shifted, turn
from toyscenes.paint import paint, roof
from toyscenes.texture import ground

KERB = (158, 154, 146)


def across(s, angle, offset=0.0, bend=0.0):
    """A line right through the picture.

    Args:
        s: stage.
        angle: direction in radians.
        offset: distance of the line from the middle.
        bend: how far the line bows, in pixels.

    Returns:
        Points from beyond one edge to beyond the other.
    """
    dx, dy = math.cos(angle), math.sin(angle)
    mid = SIZE / 2
    out = []
    for k in range(25):
        t = -1 + k / 12
        u, v = t * 195, offset + bend * (math.cos(t * 2.4) - 0.4)
        out.append((mid + u * dx - v * dy, mid + u * dy + v * dx))
    return out


def traffic(s, points, width, gap=46.0, label="car"):
    """Cars in both lanes of a road; recorded, not counted on."""
    rng = s.rng
    for side, back in ((-1, math.pi), (1, 0.0)):
        lane = shifted(points, side * width / 4)
        for x, y, angle in along(lane, gap, rng.uniform(0, gap)):
            x += rng.normal(0, 5) * math.cos(angle)
            y += rng.normal(0, 5) * math.sin(angle)
            if rng.random() < 0.65 and -5 < x < 261 and -5 < y < 261:
                name = str(rng.choice(vehicles.TRAFFIC))
                body = vehicles.car(s.c, x, y, angle + back, paint(rng, name))
                s.mark(label, body, colour=name)


def scatter(s, count, radius=(3.0, 5.5), avoid=None, tries=3):
    """Trees in clumps and alone, where `avoid(x, y)` is not true."""
    rng = s.rng
    middles = rng.uniform(0, SIZE, (count, 2))
    clumped = rng.random(count) < 0.35
    size = np.where(clumped, rng.integers(3, 9, count), 1)
    near = np.repeat(middles, size, 0)  # (trees, 2)
    reach = np.repeat(np.where(clumped, 9.0, 4.0), size)
    shift = rng.normal(0, 1, (tries, len(near), 2))
    spots = (near + reach[:, None] * shift).transpose(1, 0, 2).tolist()
    radii = rng.uniform(*radius, len(near)).tolist()
    for choices, r in zip(spots, radii):
        for x, y in choices:
            if 0 < x < SIZE and 0 < y < SIZE and not (avoid and avoid(x, y)):
                s.c.tree(x, y, r)
                break


def near_marks(s, gap=6.0):
    """A test for `scatter`: whether a point is near a recorded box."""
    boxes = [m.box for m in s.marks]

    def near(x, y):
        return any(
            b[0] - gap < x < b[2] + gap and b[1] - gap < y < b[3] + gap for b in boxes
        )

    return near


def tree_row(s, points, step=11.0, radius=3.6, wobble=1.2):
    """Trees planted along a line."""
    rng = s.rng
    for x, y, _ in along(points, step, rng.uniform(0, step)):
        if rng.random() < 0.9:
            s.c.tree(
                x + rng.normal(0, wobble),
                y + rng.normal(0, wobble),
                radius * rng.uniform(0.75, 1.2),
            )


def filler_blocks(
    s,
    area,
    colours,
    label="building",
    size=(18, 40),
    tries=14,
    angle=0.0,
    height=(6, 16),
):
    """Buildings set at random in an area, none touching another.

    Args:
        s: stage.
        area: `(x0, y0, x1, y1)`.
        colours: names of roof colours.
        label: what to record them as.
        size: shortest and longest side.
        tries: number of attempts.
        angle: turning of them all.
        height: lowest and highest.
    """
    rng = s.rng
    x0, y0, x1, y1 = area
    for _ in range(tries):
        x, y = rng.uniform(x0, x1), rng.uniform(y0, y1)
        w, h = rng.uniform(*size, 2)
        points = rect(x, y, w, h, angle)
        if not s.clear(points, 6):
            continue
        name = str(rng.choice(colours))
        tall = rng.uniform(*height)
        buildings.block(s.c, x, y, w, h, angle, roof(rng, name), tall, int(w * h / 220))
        s.mark(label, points, colour=name)


def driveway(c, x0, y0, x1, y1, width=5.0):
    """A short paved strip."""
    c.line([(x0, y0), (x1, y1)], width, (172, 166, 156))


def outskirts(s, angle, share=0.55):
    """Other ground towards some edges: the neighbor's land.

    To be called before the first stroke. The middle of the picture,
    84 pixels each way, stays as it is.
    """
    rng = s.rng
    u, v = fields.turned(angle)
    for along_, far in ((u, -1), (v, -1), (u, 1), (v, 1)):
        if rng.random() > share:
            continue
        name = str(rng.choice(("lawn", "dry grass", "grass", "bare soil", "paved")))
        edge = rng.uniform(86, 116) - far * along_
        s.c.lay(edge, ground(rng, name), 1.5)
        s.c.lay(np.abs(edge) - 1.0, ground(rng, "concrete"), 1.5)


def car_lot(s, x, y, width, length, angle, share=0.6):
    """A car park beside the main thing, its rows along `length`."""
    c, rng = s.c, s.rng
    c.poly(rect(x, y, width, length, angle), (112, 111, 111))
    c.line(rect(x, y, width, length, angle), 1.0, KERB, close=True)
    u = -width / 2 + 6
    while u < width / 2 - 4:
        v = -length / 2 + 4
        while v < length / 2 - 3:
            if rng.random() < share:
                ((px, py),) = turn([(u, v)], x, y, angle)
                name = str(rng.choice(vehicles.TRAFFIC))
                body = vehicles.car(c, px, py, angle, paint(rng, name), 6.4, 3.2)
                s.mark("car", body, colour=name)
            v += 4.6
        u += 13.5
