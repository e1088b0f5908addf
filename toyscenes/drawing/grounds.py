"""Courts, pitches, pools, tracks: things painted on the ground."""

import math

from toyscenes.drawing.canvas import tone
from toyscenes.drawing.geometry import Frame, ellipse, rect, rounded

LINE = (228, 228, 222)
LAWN = (84, 120, 62)


def pitch(c, x, y, width, length, angle, colour=LAWN):
    """A mown football pitch with its lines; `length` along the local y."""
    f = Frame(angle, x, y)
    for k in range(10):
        v = -length / 2 + (k + 0.5) * length / 10
        shade = 1.05 if k % 2 else 0.95
        c.poly(f.rect(0, v, width, length / 10 + 0.5), tone(colour, shade))
    w, h = width / 2 - 2, length / 2 - 2
    c.line(f.quad(-w, -h, w, h), 0.6, LINE, close=True)
    c.line(f.points((-w, 0), (w, 0)), 0.6, LINE)
    c.line(ellipse(x, y, width * 0.13, width * 0.13), 0.5, LINE)
    for end in (-h, h):
        box = [(-w * 0.55, end), (-w * 0.55, end * 0.74)]
        box += [(w * 0.55, end * 0.74), (w * 0.55, end)]
        c.line(f.points(*box), 0.5, LINE)


def track(c, x, y, width, length, angle, colour, infield):
    """A running track around a pitch; sizes are of the outer edge."""

    def oval(inset):
        w, h = width - inset, length - inset
        return rounded(x, y, w, h, w / 2 - 0.1, angle, 10)

    c.poly(oval(0), colour)
    for k in range(1, 6):
        c.line(oval(18.0 * k / 6), 0.4, tone(colour, 1.25), close=True)
    c.poly(oval(18.0), tone(infield, 0.94))
    w, h = (width - 18.0) * 0.86, length - 18.0 - (width - 18.0) * 0.5
    pitch(c, x, y, w, h, angle, infield)
    return oval(0)


def tennis(c, x, y, scale, angle, apron, surface):
    """A tennis court with its apron; `scale` is the apron's width."""
    f = Frame(angle, x, y)
    outline = rect(x, y, scale, scale * 2.0, angle)
    c.poly(outline, apron)
    w, h = scale * 0.30, scale * 0.66
    c.poly(rect(x, y, 2 * w, 2 * h, angle), surface)
    wide = max(0.5, scale / 46)
    a, b = w * 0.75, h * 0.54
    lines = [(-a, -h, -a, h), (a, -h, a, h), (-a, -b, a, -b), (-a, b, a, b)]
    c.line(f.points((-w, -h), (w, -h), (w, h), (-w, h), (-w, -h)), wide, LINE)
    for line in (*lines, (0, -b, 0, b)):
        c.line(f.points(line[:2], line[2:]), wide, LINE)
    net = f.points((-w * 1.15, 0), (w * 1.15, 0))
    c.line(net, max(0.6, wide), (70, 72, 74), 1.5)
    c.line(outline, 0.5, (96, 102, 96), 2.0, close=True)
    return outline


def basketball(c, x, y, scale, angle, apron, surface):
    """A basketball court; `scale` is its width."""
    f = Frame(angle, x, y)
    width, length = scale, scale * 1.85
    outline = rect(x, y, width, length, angle)
    c.poly(outline, apron)
    w, h = width * 0.42, length * 0.44
    floor = rect(x, y, 2 * w, 2 * h, angle)
    c.poly(floor, surface)
    wide = max(0.6, scale / 50)
    c.line(floor, wide, LINE, close=True)
    c.line(f.points((-w, 0), (w, 0)), wide, LINE)
    c.line(ellipse(x, y, w * 0.26, w * 0.26), wide, LINE)
    for side in (-1, 1):
        key = f.rect(0, side * h * 0.82, w * 0.62, h * 0.36)
        c.poly(key, apron)
        c.line(key, wide, LINE, close=True)
        start = math.pi if side > 0 else 0.0
        arc = (angle, 28, start, start + math.pi)
        c.line(ellipse(*f.at(0, side * h), w * 0.82, h * 0.5, *arc), wide, LINE)
        c.poly(f.rect(0, side * h * 0.96, w * 0.14, 1.0), (232, 232, 228), 5)
    return outline


def pool(c, points):
    """A swimming pool with a bright rim."""
    colour = (92, 176, 196)
    c.line(points, 4.0, (206, 198, 182), 0, close=True)
    c.poly(points, colour)
    cx = sum(p[0] for p in points) / len(points)
    cy = sum(p[1] for p in points) / len(points)
    inner = [(cx + (px - cx) * 0.72, cy + (py - cy) * 0.72) for px, py in points]
    c.poly(inner, tone(colour, 0.90))
    c.line(points, 0.7, (222, 228, 224), close=True)
