"""Pieces of scenery that several kinds share."""

import math

from rsir.data.toy import buildings, vehicles
from rsir.data.toy.geometry import SIZE, along, rect, shifted
from rsir.data.toy.paint import paint, roof

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
    for side, turn in ((-1, math.pi), (1, 0.0)):
        lane = shifted(points, side * width / 4)
        for x, y, angle in along(lane, gap, rng.uniform(0, gap)):
            x += rng.normal(0, 5) * math.cos(angle)
            y += rng.normal(0, 5) * math.sin(angle)
            if rng.random() < 0.65 and -5 < x < 261 and -5 < y < 261:
                name = str(rng.choice(vehicles.TRAFFIC))
                body = vehicles.car(s.c, x, y, angle + turn,
                                    paint(rng, name))
                s.mark(label, body, colour=name)


def scatter(s, count, radius=(3.0, 5.5), avoid=None, tries=4):
    """Trees in clumps and alone, where `avoid(x, y)` is not true."""
    rng = s.rng
    for _ in range(count):
        x, y = rng.uniform(0, SIZE, 2)
        clump = rng.random() < 0.35
        for _ in range(int(rng.integers(3, 9)) if clump else 1):
            for _ in range(tries):
                px, py = rng.normal((x, y), 9 if clump else 4)
                if 0 < px < SIZE and 0 < py < SIZE and not (
                        avoid and avoid(px, py)):
                    s.c.tree(px, py, rng.uniform(*radius))
                    break


def near_marks(s, gap=6.0):
    """A test for `scatter`: whether a point is near a recorded box."""
    boxes = [m.box for m in s.marks]

    def near(x, y):
        return any(b[0] - gap < x < b[2] + gap
                   and b[1] - gap < y < b[3] + gap for b in boxes)

    return near


def tree_row(s, points, step=11.0, radius=3.6, wobble=1.2):
    """Trees planted along a line."""
    rng = s.rng
    for x, y, _ in along(points, step, rng.uniform(0, step)):
        if rng.random() < 0.9:
            s.c.tree(x + rng.normal(0, wobble), y + rng.normal(0, wobble),
                     radius * rng.uniform(0.75, 1.2))


def filler_blocks(s, area, colours, label="building", size=(18, 40),
                  tries=14, angle=0.0, height=(6, 16)):
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
        buildings.block(s.c, x, y, w, h, angle, roof(rng, name), tall,
                        int(w * h / 220))
        s.mark(label, points, colour=name)


def driveway(c, x0, y0, x1, y1, width=5.0):
    """A short paved strip."""
    c.line([(x0, y0), (x1, y1)], width, (172, 166, 156))
