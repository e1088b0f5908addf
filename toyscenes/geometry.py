"""Shapes as lists of points, in pixels of the finished picture."""

import math

SIZE = 256


def rect(cx, cy, width, length, angle=0.0):
    """Four corners of a rectangle; `width` along x before turning."""
    w, h = width / 2, length / 2
    return turn([(-w, -h), (w, -h), (w, h), (-w, h)], cx, cy, angle)


def turn(points, cx, cy, angle=0.0, scale=1.0):
    """Local points, scaled, turned by `angle` radians, then moved."""
    c, s = math.cos(angle) * scale, math.sin(angle) * scale
    return [(cx + x * c - y * s, cy + x * s + y * c) for x, y in points]


def ellipse(cx, cy, rx, ry, angle=0.0, steps=28, start=0.0, end=None):
    """Points on an ellipse or on an arc of it (radians)."""
    end = 2 * math.pi if end is None else end
    out = []
    for k in range(steps + 1):
        t = start + (end - start) * k / steps
        out.append((rx * math.cos(t), ry * math.sin(t)))
    return turn(out, cx, cy, angle)


def lobed(rng, cx, cy, rx, ry, angle=0.0, rough=0.16):
    """A small rounded patch with a random outline."""
    waves = [
        (k, rough * rng.uniform(0.2, 1) * 2 / k, rng.uniform(0, 6.3)) for k in (2, 3, 4)
    ]
    out = []
    for j in range(30):
        t = 2 * math.pi * j / 30
        r = 1 + sum(a * math.cos(k * t + p) for k, a, p in waves)
        out.append((rx * r * math.cos(t), ry * r * math.sin(t)))
    return turn(out, cx, cy, angle)


def rounded(cx, cy, width, length, radius, angle=0.0, steps=5):
    """A rectangle with round corners."""
    w, h = width / 2 - radius, length / 2 - radius
    out = []
    for k, (sx, sy) in enumerate([(1, 1), (-1, 1), (-1, -1), (1, -1)]):
        for j in range(steps + 1):
            t = (k + j / steps) * math.pi / 2
            out.append((sx * w + radius * math.cos(t), sy * h + radius * math.sin(t)))
    return turn(out, cx, cy, angle)


def bezier(p0, p1, p2, p3, steps=24):
    """A cubic curve as a list of points."""
    out = []
    for k in range(steps + 1):
        t = k / steps
        a, b, c, d = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        out.append(
            (
                a * p0[0] + b * p1[0] + c * p2[0] + d * p3[0],
                a * p0[1] + b * p1[1] + c * p2[1] + d * p3[1],
            )
        )
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
    """Places every `step` pixels along a line.

    Returns:
        A list of `(x, y, angle)`; the angle is the line's direction.
    """
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
    xs = [p[0] for p in points]
    ys = [p[1] for p in points]
    return min(xs), min(ys), max(xs), max(ys)


def place_of(x, y):
    """The name of a place in the picture, on a grid of three by three."""
    across = "left" if x < 96 else "right" if x > 160 else ""
    down = "upper" if y < 96 else "lower" if y > 160 else ""
    if across and down:
        return f"{down} {across}"
    return across or {"upper": "top", "lower": "bottom"}.get(down, "middle")
