"""Shapes as lists of points, in pixels of the finished picture."""

import math

SIZE = 256
MIDDLE = SIZE / 2


class Frame:
    """Local coordinates `(u, v)` about `(x, y)`, turned by `angle` radians."""

    def __init__(self, angle, x=MIDDLE, y=MIDDLE):
        self.angle, self.x, self.y = angle, x, y
        self.cos, self.sin = math.cos(angle), math.sin(angle)

    def at(self, u, v):
        """The point of the picture at `(u, v)`."""
        return (
            self.x + u * self.cos - v * self.sin,
            self.y + u * self.sin + v * self.cos,
        )

    def local(self, x, y):
        """`(u, v)` of a point of the picture."""
        u, v = x - self.x, y - self.y
        return u * self.cos + v * self.sin, -u * self.sin + v * self.cos

    def points(self, *local):
        """Several points of the picture."""
        return [self.at(u, v) for u, v in local]

    def quad(self, u0, v0, u1, v1):
        """The corners of the local box from `(u0, v0)` to `(u1, v1)`."""
        return self.points((u0, v0), (u1, v0), (u1, v1), (u0, v1))

    def rect(self, u, v, width, length):
        """A rectangle about `(u, v)`, its sides along the axes."""
        return rect(*self.at(u, v), width, length, self.angle)

    def row(self, v):
        """A line along u right through the picture."""
        return self.points((-200, v), (200, v))

    def column(self, u):
        """A line along v right through the picture."""
        return self.points((u, -200), (u, 200))

    def grid(self, count, columns, wide, high):
        """The middles of `count` cells of a grid about the origin, row by row."""
        rows = -(-count // columns)
        for k in range(count):
            down, right = divmod(k, columns)
            yield self.at(
                (right - (columns - 1) / 2) * wide, (down - (rows - 1) / 2) * high
            )

    def facing(self, sun, nx, ny, *strength):
        """The light on a slope that looks to the local `(nx, ny)`."""
        across = nx * self.cos - ny * self.sin
        return sun.facing(across, nx * self.sin + ny * self.cos, *strength)


def across(angle, offset=0.0, bend=0.0):
    """A line of 25 points right through the picture, from edge to edge.

    `offset` is its distance from the middle, `bend` how far it bows, in pixels.
    """
    frame = Frame(angle)
    steps = [-1 + k / 12 for k in range(25)]
    bow = [offset + bend * (math.cos(t * 2.4) - 0.4) for t in steps]
    return [frame.at(t * 195, v) for t, v in zip(steps, bow)]


def rect(cx, cy, width, length, angle=0.0):
    """Four corners of a rectangle; `width` along x before turning."""
    w, h = width / 2, length / 2
    return Frame(angle, cx, cy).quad(-w, -h, w, h)


def turn(points, cx, cy, angle, scale=1.0):
    """Local points, scaled, turned by `angle` radians, then moved."""
    c, s = math.cos(angle) * scale, math.sin(angle) * scale
    return [(cx + x * c - y * s, cy + x * s + y * c) for x, y in points]


def polar(radius, angle, cx=MIDDLE, cy=MIDDLE):
    """The point at a distance and a direction from a middle."""
    return cx + radius * math.cos(angle), cy + radius * math.sin(angle)


def ellipse(cx, cy, rx, ry, angle=0.0, steps=28, start=0.0, end=2 * math.pi):
    """Points on an ellipse or on an arc of it (radians)."""
    turns = [start + (end - start) * k / steps for k in range(steps + 1)]
    out = [(rx * math.cos(t), ry * math.sin(t)) for t in turns]
    return turn(out, cx, cy, angle)


def lobed(rng, cx, cy, rx, ry, angle, rough):
    """A small rounded patch with a random outline."""
    waves = [
        (k, rough * rng.uniform(0.2, 1) * 2 / k, rng.uniform(0, 6.3)) for k in (2, 3, 4)
    ]
    out = []
    for t in (2 * math.pi * j / 30 for j in range(30)):
        r = 1 + sum(a * math.cos(k * t + p) for k, a, p in waves)
        out.append((rx * r * math.cos(t), ry * r * math.sin(t)))
    return turn(out, cx, cy, angle)


def rounded(cx, cy, width, length, radius, angle, steps=5):
    """A rectangle with round corners."""
    w, h = width / 2 - radius, length / 2 - radius
    out = []
    for k, (sx, sy) in enumerate([(1, 1), (-1, 1), (-1, -1), (1, -1)]):
        for j in range(steps + 1):
            t = (k + j / steps) * math.pi / 2
            out.append((sx * w + radius * math.cos(t), sy * h + radius * math.sin(t)))
    return turn(out, cx, cy, angle)


def bezier(*corners):
    """A cubic curve of 25 points from four corners."""
    out = []
    for t in (k / 24 for k in range(25)):
        shares = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        out.append([sum(a * p[i] for a, p in zip(shares, corners)) for i in (0, 1)])
    return out


def shifted(points, offset):
    """A line beside a line: each point moved along its normal."""
    out = []
    for k, (x, y) in enumerate(points):
        x0, y0 = points[max(k - 1, 0)]
        x1, y1 = points[min(k + 1, len(points) - 1)]
        length = math.hypot(x1 - x0, y1 - y0) or 1.0
        out.append((x - (y1 - y0) / length * offset, y + (x1 - x0) / length * offset))
    return out


def along(points, step, start=0.0):
    """Places every `step` pixels along a line: `(x, y, direction)`."""
    out, due = [], start
    for (x0, y0), (x1, y1) in zip(points, points[1:]):
        length = math.hypot(x1 - x0, y1 - y0)
        angle = math.atan2(y1 - y0, x1 - x0)
        while due < length:
            t = due / length
            out.append((x0 + (x1 - x0) * t, y0 + (y1 - y0) * t, angle))
            due += step
        due -= length
    return out


def bounds(points):
    """The box `(x0, y0, x1, y1)` around some points."""
    xs, ys = zip(*points)
    return min(xs), min(ys), max(xs), max(ys)


def place_of(x, y):
    """The name of a place in the picture, on a grid of three by three."""
    across = "left" if x < 96 else "right" if x > 160 else ""
    down = "upper" if y < 96 else "lower" if y > 160 else ""
    if across and down:
        return f"{down} {across}"
    return across or {"upper": "top", "lower": "bottom"}.get(down, "middle")
