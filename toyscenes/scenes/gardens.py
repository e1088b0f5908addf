"""Square and park."""

import math

import numpy as np

from toyscenes.drawing import buildings, fields
from toyscenes.drawing.canvas import KERB
from toyscenes.drawing.geometry import Frame, across, ellipse, polar, rect, rounded
from toyscenes.drawing.noise import crop
from toyscenes.drawing.paint import roof


def square(s):
    """A paved square with a fountain or lawn, streets around it."""
    c = s.canvas("concrete")
    round_ = s.pick(("round", "rectangular")) == "round"
    centre = s.pick(("fountain", "monument", "lawn"))
    frame = Frame(s.uniform(-0.3, 0.3))
    angle = frame.angle
    r = s.uniform(62, 72)
    tar = (114, 113, 112)

    def ring(k):
        if round_:
            return ellipse(128, 128, r + k, r + k, steps=44)
        return rounded(128, 128, 2 * (r + k), 2 * (r + k), 8, angle)

    for a in range(4):
        road = [(128, 128), polar(220, angle + a * math.pi / 2)]
        c.road(road, 16, tar)
        s.traffic(road, 16, 48)
    c.poly(ring(17), KERB)
    c.poly(ring(15), tar)
    c.poly(ring(1), (176, 170, 158))
    c.patch(ring(0), "paved")
    for k in (-8, -18, -28, -38):
        c.line(ring(k), 0.7, (190, 184, 172), close=True)
    for a in range(4):
        x, y = polar(r * 0.62, angle + math.pi / 4 + a * math.pi / 2)
        bed = rounded(x, y, 30, 30, 9, angle)
        c.patch(bed, "lawn")
        c.line(bed, 1.2, (200, 194, 182), close=True)
        for _ in range(4):
            c.tree(x + s.uniform(-9, 9), y + s.uniform(-9, 9), s.uniform(2.6, 4))
    if centre == "fountain":
        reach = 17
        c.disc(128, 128, 17, (206, 200, 190), 1)
        c.disc(128, 128, 14.5, (96, 158, 176), 0)
        c.disc(128, 128, 9, (124, 182, 196), None)
        c.disc(128, 128, 4, (222, 234, 236), 4)
    elif centre == "monument":
        reach = 14
        c.disc(128, 128, 14, (198, 192, 182), 1)
        c.poly(rect(128, 128, 13, 13, angle), (214, 208, 198), 4)
        c.poly(rect(128, 128, 5, 5, angle), (226, 222, 212), 26)
    else:
        reach = 24
        c.patch(ellipse(128, 128, 24, 24), "lawn")
        c.tree(128, 128, 6)
    s.mark(centre, ellipse(128, 128, reach, reach))
    tint = s.pick(("gray", "red", "white", "brown"))

    def far(u, v):
        return math.hypot(u, v) if round_ else max(abs(u), abs(v))

    for sx, sy in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        for _ in range(16):
            x, y = 128 + sx * s.uniform(34, 130), 128 + sy * s.uniform(34, 130)
            w, h = s.rng.uniform(26, 44, 2)
            u, v = frame.local(x, y)
            beside = min(abs(u) - w / 2, abs(v) - h / 2) > 13
            outside = far(u, v) > r + 24 + max(w, h) * (0.62 if round_ else 0.5)
            if beside and outside and s.clear(rect(x, y, w, h, angle), 5):
                s.block("building", x, y, w, h, angle, tint, (9, 18), 4)
    close = s.near_marks(4)

    def avoid(x, y):
        u, v = frame.local(x, y)
        return close(x, y) or far(u, v) < r + 21 or min(abs(u), abs(v)) < 13

    s.scatter(40, (2.6, 4.6), avoid)
    place = s.stuff("square", shape="round" if round_ else "rectangular")
    s.link(s.seen(centre), "in_middle", place)
    houses = s.crowd("building", tint)
    s.link(place, "surrounded", "roads")
    s.link(houses, "around", place)
    if centre == "lawn":
        s.link("trees", "on", place)


def park(s):
    """A park: paths, lawns, a pond, a pavilion."""
    c = s.canvas("lawn", s.pick(("green", "dark green")))
    water = s.pick(("green", "dark", "blue"))
    pond = s.chance(0.7)
    field = fields.nowhere()
    angle = s.uniform(-0.3, 0.3)
    paths = []
    if pond:
        cx, cy = 128 + 34 * s.pick((-1, 0, 1)), 128 + 34 * s.pick((-1, 0, 1))
        shape = (s.uniform(42, 56), s.uniform(28, 38), s.uniform(0, 3))
        field = fields.blob(s.rng, cx, cy, *shape, 0.2, 0.4)
        c.water(field, water, 24, "concrete", 2)
        s.mark_area("pond", field, colour=water)
        paths.append(np.abs(field - 15))
    for _ in range(3):
        course = (s.uniform(0, math.pi), s.uniform(-50, 50))
        _, line = fields.band(s.rng, *course, 4, 24, 240, 0)
        paths.append(np.abs(line))
    way = np.minimum.reduce(paths) - 2.2
    dry = np.maximum(way, -(field - 4))
    c.lay(dry, "concrete", 1.2)
    s.rng.random(8)  # keeps the random numbers in step with earlier versions
    crop(s.rng, "mottle")
    hut = s.chance(0.5)
    tint = s.pick(("red", "gray", "orange"))
    for x, y in s.spots(60 if hut else 0, 30, 226):
        spot = rect(x, y, 20, 20, angle)
        free = fields.value(field, x, y) > 24 and fields.value(way, x, y) > 9
        if free and s.clear(spot, 4):
            buildings.pyramid(c, x, y, 18, roof(s.rng, tint), angle, 8)
            s.mark("pavilion", spot, colour=tint)
            break
    close = s.near_marks(6, "pavilion")

    def avoid(x, y):
        wet = fields.value(field, x, y) < 7
        return fields.value(dry, x, y) < 4 or wet or close(x, y)

    s.scatter(170, (3, 6.5), avoid, 2)
    edge = s.chance(0.5)
    if edge:
        s.street(across(angle, s.pick((-1, 1)) * 116), 13, 34)
    green = s.stuff("park")
    trees = s.stuff("trees")
    basin = s.seen("pond", water)
    s.link(basin, "surrounded", trees)
    s.link(basin, "in", green)
    s.link(s.stuff("paths", shape="winding"), "across", green)
    s.link(s.seen("pavilion", tint), "among", trees)
    s.link(trees, "on", "grass")
    if edge:
        s.link(green, "beside", "road")
