"""Farmland, circular fields, forest, meadow, desert, mountain."""

import math

import numpy as np

from toyscenes.drawing import buildings, fields
from toyscenes.drawing.canvas import tone
from toyscenes.drawing.geometry import Frame, ellipse, polar, rect
from toyscenes.drawing.light import hillshade
from toyscenes.drawing.noise import crop, wavy
from toyscenes.drawing.paint import roof
from toyscenes.drawing.texture import flat, ground, mix, rows, smooth

# what grows on a plot: colours of rows and gaps
CROPS = {
    "green": ((92, 122, 58), (72, 98, 50)),
    "dark green": ((66, 92, 50), (52, 74, 42)),
    "yellow": ((176, 156, 88), (158, 138, 80)),
    "brown": ((136, 108, 80), (116, 90, 66)),
}
MIXTURES = ("green", "dark green"), ("green", "brown"), ("yellow", "brown")
MIXTURES += (("green", "yellow"),)
DUNES = {
    "yellow": ((214, 186, 134), (196, 166, 116)),
    "red": ((186, 128, 88), (166, 108, 72)),
    "gray": ((178, 166, 148), (158, 146, 130)),
}


def plot(s, name, angle, period):
    """A texture of crop rows `[3, 256, 256]`."""
    high, low = np.add(CROPS[name], s.rng.normal(0, 5, 3))
    lines = rows(s.rng, angle, period, 0.5) * s.uniform(0.25, 0.5) + 0.5
    base = mix(low, high, lines)
    patchy = crop(s.rng, "cloud") * 0.05 + crop(s.rng, "mottle") * 0.03
    return base * (1 + patchy + 0.03 * crop(s.rng, "grain"))


def farmland(s):
    """Plots of several crops, in rows, with tracks between them."""
    c = s.canvas("dry grass")
    angle = s.pick((0.0, 0.35, -0.35, 0.15)) + s.uniform(-0.08, 0.08)
    frame = Frame(angle)
    size = s.pick(("large", "small"))
    names = s.pick(MIXTURES)
    step = 290 / (3 if size == "large" else 6)
    road = s.chance(0.6)
    textures = [
        plot(s, n, angle + s.pick((0, math.pi / 2)), s.uniform(3.4, 7))
        for n in names
        for _ in range(2)
    ]
    u = -180.0
    while u < 180:
        w = step * s.uniform(0.7, 1.15)
        v = -180 + s.uniform(-20, 0)
        while v < 180:
            h = step * s.uniform(0.6, 1.5)
            corners = frame.quad(u, v, u + w, v + h)
            texture = textures[int(s.rng.integers(len(textures)))]
            c.patch(corners, texture * s.uniform(0.88, 1.1))
            c.line(corners, 1.3, tone((150, 134, 100), s.uniform(0.8, 1)), close=True)
            if s.rng.random() < 0.12:
                s.tree_row(corners[:2], 6, 3.2)
            v += h
        u += w
    if road:
        d = s.uniform(-60, 60)
        c.line(frame.column(d), 6, (188, 174, 146))
        if s.chance(0.5):
            s.tree_row(frame.column(d + 7), 9, 3.4)
    farms = s.number(0, 2)
    tint = s.pick(("red", "gray", "white"))
    for x, y in s.spots(farms, 40, 216):
        spot = rect(x, y, 20, 30, angle)
        if s.clear(spot, 20):
            c.poly(rect(x, y, 44, 42, angle), (158, 146, 118))
            buildings.house(c, x, y, 18, 28, angle, roof(s.rng, tint), 6)
            s.mark("farmhouse", spot, colour=tint)
            for _ in range(9):
                c.tree(*polar(27, s.uniform(0, 6.28), x, y), s.uniform(3, 5.5))
    land = s.stuff("plots", " and ".join(names), size=size)
    track = s.stuff("dirt road")
    if road:
        s.link(track, "across", "farmland")
        s.link(track, "divide", land)
    s.link(land, "form", "farmland")
    s.link(s.seen("farmhouse", tint), "among", land)
    s.link(land, "cover", "ground")


def circular_fields(s):
    """Fields watered by a turning pivot: discs of green on dry land."""
    base = s.pick(("sand", "bare soil", "dry grass", "red soil"))
    c = s.canvas(base)
    count = s.number(1, 6)
    colour = s.pick(("green", "dark green", "brown", "yellow"))
    spots, r = {
        1: ([(0, 0)], 92),
        2: ([(-56, 30), (58, -26)], 56),
        3: ([(-60, -56), (60, -56), (0, 54)], 54),
        4: ([(u, v) for v in (-60, 60) for u in (-60, 60)], 55),
        5: ([(-64, -64), (64, -64), (0, 0), (-64, 64), (64, 64)], 42),
        6: ([(u, v) for v in (-44, 44) for u in (-84, 0, 84)], 39),
    }[count]
    size = "large" if count < 3 else "small"
    frame = Frame(s.pick((0.0, math.pi / 2)) + s.uniform(-0.06, 0.06))
    for cx, cy in frame.points(*spots):
        x, y = fields.turned(0, cx, cy)
        field = np.hypot(x, y)
        high, low = np.add(CROPS[colour], s.rng.normal(0, 5, 3))
        ring = np.sin(field * (2 * math.pi / s.uniform(3.6, 5)))
        patchy = 1 + 0.05 * crop(s.rng, "cloud") + 0.03 * crop(s.rng, "grain")
        body = mix(low, high, 0.5 + 0.28 * ring) * patchy
        c.lay(field - r - 2.5, flat((168, 150, 116)), 2)
        c.lay(field - r, body, 1.5)
        if s.rng.random() < 0.4:
            start, reach = s.uniform(0, 6.3), s.uniform(0.6, 1.6)
            turned = np.mod(np.arctan2(y, x) - start, 6.2832)
            sector = np.maximum(field - r, (turned - reach) * 40)
            c.lay(sector, body * s.uniform(0.82, 1.2), 1.5)
        s.mark("circular field", ellipse(cx, cy, r, r), colour=colour)
    for x, y in frame.points(*spots):
        arm = [(x, y), polar(r, s.uniform(0, 6.28), x, y)]
        c.line(arm, 1.0, (206, 204, 196), 1)
        c.disc(x, y, 2.0, (216, 210, 196), 2)
        path = [(x, y), polar(r, s.uniform(0, 6.28), x, y)]
        c.line(path, 0.7, (150, 138, 106))
    for v in (-118, 118):
        c.line(frame.row(v), 4, (190, 174, 142))
    plots = s.seen("circular field", colour, size)
    land = s.stuff(base)
    s.link(plots, "surrounded", land)
    s.link(plots, "on", land)
    s.link("dirt road", "along_run", plots)


def forest(s):
    """Closed woods, with a clearing, a road or a cabin, or nothing."""
    foliage = s.pick(("green", "dark green", "brownish", "bright green"))
    feature = s.pick(("none", "clearing", "dirt road", "stream", "house"))
    dense = s.pick(("dense", "sparse"))
    c = s.canvas("floor" if dense == "dense" else "dry grass", foliage)
    clear = fields.nowhere()
    if feature in ("dirt road", "stream"):
        angle = s.pick((0.0, math.pi / 2, 0.8, -0.8)) + s.uniform(-0.1, 0.1)
        wide = s.uniform(7, 9) if feature == "dirt road" else 12
        clear, _ = fields.band(s.rng, angle, s.uniform(-40, 40), wide, 18, 240, 0)
        if feature == "stream":
            c.water(clear, s.pick(("green", "dark")), 8)
        else:
            c.lay(clear, "bare soil", 2)
    if feature in ("clearing", "house"):
        cx, cy = 128 + 56 * s.pick((-1, 0, 1)), 128 + 56 * s.pick((-1, 0, 1))
        r = s.uniform(30, 42)
        shape = (r * s.uniform(0.7, 1), s.uniform(0, 3), 0.16)
        clear = fields.blob(s.rng, cx, cy, r, *shape)
        open_ = ("dry grass", "bare soil", "grass")
        c.lay(clear, "grass" if feature == "house" else s.pick(open_), 3)
    radius = s.uniform(3.6, 5.6)
    gap = 2.5 + 2 * crop(s.rng, "mottle")
    if dense == "dense":
        c.woods(gap - clear, radius)
        c.woods(4.5 + gap - clear, radius + 1.5)
    else:
        c.woods(gap - clear, radius, 0.22)
    if feature == "house":
        tint = s.pick(("gray", "red", "brown"))
        s.house("house", (cx, cy, 16, 25, s.uniform(0, 3)), tint, 6)
    if feature == "clearing":
        s.mark("clearing", ellipse(cx, cy, r * 0.85, r * 0.7))
    leaves = "brown" if foliage == "brownish" else foliage
    trees = s.stuff("trees", leaves, dense)
    woods = s.stuff("forest", leaves, dense)
    s.link(trees, "cover", "land")
    s.link(trees, "in", woods)
    if feature == "dirt road":
        s.link("dirt road", "across", woods)
    if feature == "stream":
        s.link(s.stuff("stream", size="narrow"), "flow", woods)
    if feature in ("clearing", "house"):
        spot = s.seen(feature, tint if feature == "house" else "")
        s.link(spot, "surrounded", trees)
        s.link(spot, "in", woods)


def meadow(s):
    """Open grass with a path, a few trees that can be counted."""
    name = s.pick(("grass", "dry grass", "lawn"))
    c = s.canvas(name, s.pick(("green", "dark green")))
    s.uniform(0, 3)  # keeps the random numbers in step with earlier versions
    swathes = rows(s.rng, s.uniform(0, 3), s.uniform(14, 22), 6.0)
    c.base *= 1 + 0.025 * swathes + 0.05 * crop(s.rng, "cloud")
    path, field = s.chance(0.6), fields.nowhere()
    if path:
        angle = s.pick((0.0, math.pi / 2, 0.7, -0.7)) + s.uniform(-0.2, 0.2)
        field, _ = fields.band(s.rng, angle, s.uniform(-40, 40), 5, 14, 300, 0)
        c.lay(field, "bare soil", 2)
    count = s.number(0, 8)
    for x, y in s.spots(count * 8, 20, 236):
        r = s.uniform(7, 10)
        spot = rect(x, y, 2 * r, 2 * r)
        free = fields.value(field, x, y) > 12 and s.clear(spot, 8)
        if free and s.count("tree") < count:
            c.tree(x, y, r)
            s.mark("tree", spot)
    for x, y in s.spots(s.number(0, 4) * 10, 6, 250):
        if fields.value(field, x, y) > 5:
            c.tree(x, y, 1.6)
    turf = s.stuff("grass" if name == "lawn" else name)
    trees = s.seen("tree")
    if path:
        way = s.stuff("path", size="narrow")
        s.link(way, "across", turf)
        s.link(trees, "beside", way)
    s.link(trees, "on", turf)
    s.link(turf, "cover", "ground")
    s.link(turf, "cover", "meadow")


def desert(s):
    """Dunes or bare plains, perhaps with a road."""
    kind = s.pick(("dunes", "plain"))
    colour = s.pick(("yellow", "red", "gray"))
    high, low = np.add(DUNES[colour], s.rng.normal(0, 4, 3))
    c = s.canvas(mix(low, high, smooth(crop(s.rng, "cloud"), -2, 2)))
    if kind == "dunes":
        angle = s.uniform(-0.5, 0.5) + math.pi / 2
        u, v = fields.turned(angle)
        wave = s.uniform(30, 52)
        bent = u + 13 * crop(s.rng, "swell") + wavy(s.rng, v, 10, 210)[0]
        phase = np.mod(bent / wave, 1.0)
        ridge = smooth(np.minimum(phase / 0.72, (1 - phase) / 0.28), -0.15, 1.1)
        tall = np.clip(0.75 + 0.45 * crop(s.rng, "swell"), 0.1, 1.6)
        relief = ridge * tall * wave * 0.26
        fine = rows(s.rng, angle + 0.4, 4.4, 0.6) * 0.10
        light = hillshade(relief + fine, c.sun, 0.75)
    else:
        relief = crop(s.rng, "relief") * 3 + crop(s.rng, "swell") * 6
        light = hillshade(relief, c.sun, 0.6)
        light = light - 0.05 * smooth(crop(s.rng, "mottle"), 0.8, 2.2)
        wash = np.abs(crop(s.rng, "swell") + 0.12 * crop(s.rng, "cloud")) - 0.05
        light = light + 0.10 * (1 - smooth(wash, 0, 0.05))
    c.base *= light
    road = s.chance(0.4)
    if road:
        angle = s.pick((0.0, math.pi / 2, 0.8, -0.8)) + s.uniform(-0.1, 0.1)
        field, _ = fields.band(s.rng, angle, s.uniform(-40, 40), 7, 10, 320, 0)
        c.lay(field, "asphalt", 1.4)
    bushes = s.chance(0.4)
    if bushes:
        for x, y in s.spots(90, 2, 254):
            c.tree(x, y, s.uniform(1.1, 2.4))
    land = s.stuff("desert", colour)
    sand = s.stuff("sand" if kind == "dunes" else "bare soil", colour)
    if kind == "dunes":
        s.link(s.stuff("dunes", colour), "cover", land)
    s.link(sand, "cover", land)
    if road:
        s.link(s.stuff("road", shape="lonely"), "across", land)
    if bushes:
        s.link("bushes", "on", sand)
    s.link(sand, "stretch", "distance")


def mountain(s):
    """Ridges and valleys lit from one side, some under snow."""
    cover = s.pick(("bare rock", "snow", "green"))
    c = s.canvas("floor" if cover == "green" else "rock")
    raw = crop(s.rng, "swell", zoom=2) + 0.25 * crop(s.rng, "relief")
    spurs = 1 - np.abs(crop(s.rng, "relief", zoom=2))
    ridged = 1 - np.abs(raw)
    relief = 20 * ridged + 6 * spurs + 0.2 * crop(s.rng, "mottle")
    if cover == "snow":
        high = smooth(ridged + 0.15 * crop(s.rng, "mottle"), 0.05, 0.35)
        c.base += (ground(s.rng, "snow") - c.base) * high
    if cover == "green":
        bare = smooth(ridged + 0.2 * crop(s.rng, "mottle"), 0.55, 0.9)
        c.base += (ground(s.rng, "dry grass") - c.base) * bare
    c.base *= hillshade(relief, c.sun)
    feature = s.pick(("none", "valley road", "lake"))
    if feature == "lake":
        cx, cy = 128 + 50 * s.pick((-1, 0, 1)), 128 + 50 * s.pick((-1, 0, 1))
        field = fields.blob(s.rng, cx, cy, 30, 20, s.uniform(0, 3), 0.2)
        c.water(field, s.pick(("turquoise", "dark")), 20)
        s.mark_area("lake", field)
    if feature == "valley road":
        angle = s.pick((0.0, math.pi / 2, 0.8)) + s.uniform(-0.2, 0.2)
        field, _ = fields.band(s.rng, angle, s.uniform(-30, 30), 5, 24, 230, 0)
        c.lay(field, "concrete", 1.5)
    hills = s.stuff("mountains")
    top = s.stuff({"bare rock": "rock", "snow": "snow", "green": "plants"}[cover])
    s.link(top, "cover", hills)
    s.link(hills, "covered", top)
    s.link("ridges", "across", hills)
    if feature == "lake":
        s.link(s.seen("lake"), "between", hills)
    if feature == "valley road":
        s.link(s.stuff("road", shape="winding"), "across", hills)
