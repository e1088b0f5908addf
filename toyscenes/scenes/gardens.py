"""Square and park."""

import math

import numpy as np

from toyscenes import buildings, fields
from toyscenes.geometry import ellipse, rect, rounded, turn
from toyscenes.paint import roof
from toyscenes.scenes.common import KERB, across, near_marks, scatter, traffic


def square(s):
    """A paved square with a fountain or lawn, streets around it."""
    c = s.canvas("concrete")
    shape = s.pick(("round", "rectangular"))
    centre = s.pick(("fountain", "monument", "lawn"))
    angle = s.uniform(-0.3, 0.3)
    r = s.uniform(62, 72)
    street = (114, 113, 112)

    def ring(k):
        if shape == "round":
            return ellipse(128, 128, r + k, r + k, steps=44)
        return rounded(128, 128, 2 * (r + k), 2 * (r + k), 8, angle)

    for a in range(4):
        d = angle + a * math.pi / 2
        far = [(128, 128), (128 + 220 * math.cos(d), 128 + 220 * math.sin(d))]
        c.road(far, 16, street, KERB)
        traffic(s, far[::1], 16, 48)
    c.poly(ring(17), KERB)
    c.poly(ring(15), street)
    c.poly(ring(1), (176, 170, 158))
    c.patch(ring(0), "paved")
    for k in range(4):
        share = -8 - k * 10
        c.line(ring(share), 0.7, (190, 184, 172), close=True)
    for a in range(4):
        d = angle + math.pi / 4 + a * math.pi / 2
        x, y = 128 + r * 0.62 * math.cos(d), 128 + r * 0.62 * math.sin(d)
        bed = rounded(x, y, 30, 30, 9, angle)
        c.patch(bed, "lawn")
        c.line(bed, 1.2, (200, 194, 182), close=True)
        for _ in range(4):
            c.tree(x + s.uniform(-9, 9), y + s.uniform(-9, 9), s.uniform(2.6, 4))
    if centre == "fountain":
        c.disc(128, 128, 17, (206, 200, 190), 1)
        c.disc(128, 128, 14.5, (96, 158, 176), 0)
        c.disc(128, 128, 9, (124, 182, 196), None)
        c.disc(128, 128, 4, (222, 234, 236), 4)
        s.mark("fountain", ellipse(128, 128, 17, 17))
    elif centre == "monument":
        c.disc(128, 128, 14, (198, 192, 182), 1)
        c.poly(rect(128, 128, 13, 13, angle), (214, 208, 198), 4)
        c.poly(rect(128, 128, 5, 5, angle), (226, 222, 212), 26)
        s.mark("monument", ellipse(128, 128, 14, 14))
    else:
        c.patch(ellipse(128, 128, 24, 24), "lawn")
        c.tree(128, 128, 6)
        s.mark("lawn", ellipse(128, 128, 24, 24))
    tint = s.pick(("gray", "red", "white", "brown"))
    for sx in (-1, 1):
        for sy in (-1, 1):
            for _ in range(16):
                x = 128 + sx * s.uniform(34, 130)
                y = 128 + sy * s.uniform(34, 130)
                w, h = s.rng.uniform(26, 44, 2)
                spot = rect(x, y, w, h, angle)
                u, v = turn([(x - 128, y - 128)], 0, 0, -angle)[0]
                free = min(abs(u) - w / 2, abs(v) - h / 2) > 13
                reach = (
                    math.hypot(u, v) if shape == "round" else max(abs(u), abs(v)) * 1.0
                )
                if (
                    free
                    and reach > r + 24 + max(w, h) * (0.62 if shape == "round" else 0.5)
                    and s.clear(spot, 5)
                ):
                    buildings.block(
                        c, x, y, w, h, angle, roof(s.rng, tint), s.uniform(9, 18), 4
                    )
                    s.mark("building", spot, colour=tint)
    close = near_marks(s, 4)

    def keep(x, y):
        u, v = turn([(x - 128, y - 128)], 0, 0, -angle)[0]
        reach = math.hypot(u, v) if shape == "round" else max(abs(u), abs(v))
        return close(x, y) or reach < r + 21 or min(abs(u), abs(v)) < 13

    scatter(s, 40, (2.6, 4.6), keep)
    place = s.stuff("square", shape=shape)
    mid = s.seen(centre)
    s.link(mid, "in_middle", place)
    houses = s.crowd("building", tint)
    s.link(place, "surrounded", s.stuff("roads"))
    s.link(houses, "around", place)
    if centre == "lawn":
        s.link(s.stuff("trees"), "on", place)


def park(s):
    """A park: paths, lawns, a pond, a pavilion."""
    c = s.canvas("lawn", s.pick(("green", "dark green")))
    water = s.pick(("green", "dark", "blue"))
    pond = s.chance(0.7)
    field = np.full((256, 256), 99.0, np.float32)
    angle = s.uniform(-0.3, 0.3)
    if pond:
        cx, cy = (128 + 34 * s.pick((-1, 0, 1)) for _ in "xy")
        field = fields.blob(
            s.rng,
            cx,
            cy,
            s.uniform(42, 56),
            s.uniform(28, 38),
            s.uniform(0, 3),
            0.2,
            0.4,
        )
        c.water(field, water, 24, "concrete", 2)
        ys, xs = np.nonzero(field < 0)
        s.mark(
            "pond", [(xs.min(), ys.min()), (xs.max() + 1, ys.max() + 1)], colour=water
        )
    paths = [np.abs(field - 15)] if pond else []
    for k in range(3):
        d = s.uniform(0, math.pi)
        _, line = fields.band(s.rng, d, s.uniform(-50, 50), 4, 24, 240, 0)
        paths.append(np.abs(line))
    way = np.minimum.reduce(paths) - 2.2
    dry = np.maximum(way, -(field - 4))
    c.lay(dry, "concrete", 1.2)
    close = fields.blob(s.rng, 128, 128, 150, 150)
    del close
    hut = s.chance(0.5)
    tint = s.pick(("red", "gray", "orange"))
    for _ in range(60 if hut else 0):
        x, y = s.rng.uniform(30, 226, 2)
        spot = rect(x, y, 20, 20, angle)
        if (
            fields.value(field, x, y) > 24
            and fields.value(way, x, y) > 9
            and s.clear(spot, 4)
        ):
            buildings.pyramid(c, x, y, 18, roof(s.rng, tint), angle, 8)
            s.mark("pavilion", spot, colour=tint)
            break
    near = near_marks(s, 3) if hut else (lambda x, y: False)
    huts = [m.box for m in s.marks if m.label == "pavilion"]

    def keep(x, y):
        return (
            fields.value(dry, x, y) < 4
            or fields.value(field, x, y) < 7
            or any(b[0] - 6 < x < b[2] + 6 and b[1] - 6 < y < b[3] + 6 for b in huts)
        )

    scatter(s, 170, (3, 6.5), keep, 2)
    del near
    edge = s.chance(0.5)
    if edge:
        line = across(s, angle, s.pick((-1, 1)) * 116)
        c.road(line, 13, kerb=KERB)
        traffic(s, line, 13, 34)
    green = s.stuff("park")
    trees = s.stuff("trees")
    basin = s.seen("pond", water)
    s.link(basin, "surrounded", trees)
    s.link(basin, "in", green)
    s.link(s.stuff("paths", shape="winding"), "across", green)
    s.link(s.seen("pavilion", tint), "among", trees)
    s.link(trees, "on", s.stuff("grass"))
    if edge:
        s.link(green, "beside", s.stuff("road"))


SCENES = {"square": square, "park": park}
