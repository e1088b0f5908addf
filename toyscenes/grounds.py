"""Courts, pitches, pools, tracks: things painted on the ground."""

import math

from toyscenes.canvas import tone
from toyscenes.geometry import ellipse, rect, rounded, turn

LINE = (228, 228, 222)


def stripes(c, x, y, width, length, angle, colour, count=10):
    """A mown lawn of light and dark bands."""
    for k in range(count):
        v = -length / 2 + (k + 0.5) * length / count
        ((px, py),) = turn([(0, v)], x, y, angle)
        shade = 1.05 if k % 2 else 0.95
        c.poly(rect(px, py, width, length / count + 0.5, angle), tone(colour, shade))


def pitch(c, x, y, width, length, angle, colour=(84, 120, 62)):
    """A football pitch with its lines; `length` along the local y."""
    stripes(c, x, y, width, length, angle, colour)
    w, h = width / 2 - 2, length / 2 - 2
    c.line(
        turn([(-w, -h), (w, -h), (w, h), (-w, h)], x, y, angle), 0.6, LINE, close=True
    )
    c.line(turn([(-w, 0), (w, 0)], x, y, angle), 0.6, LINE)
    c.line(ellipse(x, y, width * 0.13, width * 0.13), 0.5, LINE)
    for side in (-1, 1):
        area = [
            (-w * 0.55, side * h),
            (-w * 0.55, side * h * 0.74),
            (w * 0.55, side * h * 0.74),
            (w * 0.55, side * h),
        ]
        c.line(turn(area, x, y, angle), 0.5, LINE)
    return rect(x, y, width, length, angle)


def track(
    c, x, y, width, length, angle, colour, lanes=6, wide=9.0, infield=(84, 120, 62)
):
    """A running track around a pitch; sizes are of the outer edge."""
    outline = rounded(x, y, width, length, width / 2 - 0.1, angle, 10)
    c.poly(outline, colour)
    for k in range(1, lanes):
        inset = 2 * wide * k / lanes
        lane = rounded(
            x, y, width - inset, length - inset, (width - inset) / 2 - 0.1, angle, 10
        )
        c.line(lane, 0.4, tone(colour, 1.25), close=True)
    inner = rounded(
        x, y, width - 2 * wide, length - 2 * wide, width / 2 - wide - 0.1, angle, 10
    )
    c.poly(inner, tone(infield, 0.94))
    pitch(
        c,
        x,
        y,
        (width - 2 * wide) * 0.86,
        length - 2 * wide - (width - 2 * wide) * 0.5,
        angle,
        infield,
    )
    return outline


def tennis(c, x, y, scale, angle, apron, surface):
    """A tennis court with its apron; `scale` is the apron's width."""
    width, length = scale, scale * 2.0
    outline = rect(x, y, width, length, angle)
    c.poly(outline, apron)
    w, h = scale * 0.30, scale * 0.66
    c.poly(rect(x, y, 2 * w, 2 * h, angle), surface)
    wide = max(0.5, scale / 46)
    for points in (
        [(-w, -h), (w, -h), (w, h), (-w, h), (-w, -h)],
        [(-w * 0.75, -h), (-w * 0.75, h)],
        [(w * 0.75, -h), (w * 0.75, h)],
        [(-w * 0.75, -h * 0.54), (w * 0.75, -h * 0.54)],
        [(-w * 0.75, h * 0.54), (w * 0.75, h * 0.54)],
        [(0, -h * 0.54), (0, h * 0.54)],
    ):
        c.line(turn(points, x, y, angle), wide, LINE)
    c.line(
        turn([(-w * 1.15, 0), (w * 1.15, 0)], x, y, angle),
        max(0.6, wide),
        (70, 72, 74),
        1.5,
    )
    c.line(outline, 0.5, (96, 102, 96), 2.0, close=True)
    return outline


def basketball(c, x, y, scale, angle, apron, surface):
    """A basketball court; `scale` is its width."""
    width, length = scale, scale * 1.85
    outline = rect(x, y, width, length, angle)
    c.poly(outline, apron)
    w, h = width * 0.42, length * 0.44
    c.poly(rect(x, y, 2 * w, 2 * h, angle), surface)
    wide = max(0.6, scale / 50)
    c.line(rect(x, y, 2 * w, 2 * h, angle), wide, LINE, close=True)
    c.line(turn([(-w, 0), (w, 0)], x, y, angle), wide, LINE)
    c.line(ellipse(x, y, w * 0.26, w * 0.26), wide, LINE)
    for side in (-1, 1):
        ((px, py),) = turn([(0, side * h * 0.82)], x, y, angle)
        c.poly(rect(px, py, w * 0.62, h * 0.36, angle), apron)
        c.line(rect(px, py, w * 0.62, h * 0.36, angle), wide, LINE, close=True)
        start = math.pi if side > 0 else 0.0
        ((qx, qy),) = turn([(0, side * h)], x, y, angle)
        c.line(
            ellipse(qx, qy, w * 0.82, h * 0.5, angle, start=start, end=start + math.pi),
            wide,
            LINE,
        )
        ((bx, by),) = turn([(0, side * h * 0.96)], x, y, angle)
        c.poly(rect(bx, by, w * 0.14, 1.0, angle), (232, 232, 228), 5)
    return outline


def pool(c, points, colour=(92, 176, 196), deck=(206, 198, 182)):
    """A swimming pool with a bright rim."""
    c.line(points, 4.0, deck, 0, close=True)
    c.poly(points, colour)
    cx = sum(p[0] for p in points) / len(points)
    cy = sum(p[1] for p in points) / len(points)
    inner = [(cx + (px - cx) * 0.72, cy + (py - cy) * 0.72) for px, py in points]
    c.poly(inner, tone(colour, 0.90))
    c.line(points, 0.7, (222, 228, 224), close=True)
    return points
