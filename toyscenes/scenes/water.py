"""Harbor, bridge, river, lake, beach."""

import math

import numpy as np

from toyscenes.drawing import buildings, fields, vehicles
from toyscenes.drawing.canvas import doubled
from toyscenes.drawing.geometry import Frame, across, rect
from toyscenes.drawing.noise import crop, wavy
from toyscenes.drawing.paint import paint
from toyscenes.drawing.texture import ground, mix, smooth

SIDES = {"lower": 0.0, "left": math.pi / 2, "right": -math.pi / 2, "upper": math.pi}


def harbor(s):
    """Piers with boats on both sides, a quay with buildings."""
    c = s.canvas("concrete")
    water = s.pick(("green", "blue", "dark"))
    frame = Frame(SIDES[s.pick(tuple(SIDES))] + s.uniform(-0.08, 0.08))
    angle = frame.angle
    quay = -62 + s.uniform(-8, 8)
    c.water(quay - fields.turned(angle)[1], water, depth=170)
    c.line(frame.points((-190, quay), (190, quay)), 3.5, (186, 182, 172), 2)
    piers = s.number(1, 4)
    colour = s.pick(("white", "white", "blue"))
    length = s.uniform(13, 18)
    reach = s.uniform(95, 130)
    step = {1: 0, 2: 88, 3: 66, 4: 56}[piers]
    full = s.pick((0.9, 0.5, 0.25))
    for k in range(piers):
        a = (k - (piers - 1) / 2) * step + s.uniform(-4, 4)
        deck = frame.points((a, quay), (a, quay + reach))
        c.line(deck, 3.6, (190, 180, 160), 1)
        s.mark("pier", frame.rect(a, quay + reach / 2, 3.6, reach))
        b = quay + 14
        while b < quay + reach - 3:
            for way in (-1, 1):
                arm = frame.points((a, b + 3), (a + way * length * 0.8, b + 3))
                c.line(arm, 0.7, (196, 188, 172), 0.5)
                if s.rng.random() < full:
                    spot = frame.at(a + way * (length / 2 + 3.4), b)
                    facing = angle + (0 if way > 0 else math.pi)
                    s.boat(*spot, facing, length * s.uniform(0.78, 1.0), colour, 5)
            b += s.uniform(7.2, 8.4)
    s.street(frame.row(quay - 22), 9, 40)
    tint = s.pick(("gray", "red", "white"))
    u = -150
    while u < 150:
        w, h = s.uniform(28, 50), s.uniform(16, 24)
        spot = (*frame.at(u + w / 2, quay - 45), w, h, angle)
        build = buildings.hall if s.rng.random() < 0.4 else buildings.house
        s.house("building", spot, tint, 8, build=build)
        u += w + s.uniform(8, 20)
    for _ in range(16):
        x, y = frame.at(s.uniform(-150, 150), quay - s.uniform(9, 13))
        c.tree(x, y, s.uniform(2.5, 4))
    boats = s.seen("boat", colour)
    decks = s.seen("pier")
    sea = s.stuff("water", water)
    s.link(boats, "along", decks)
    s.link(decks, "reach", sea)
    s.link(boats, "in", "harbor")
    s.link(s.crowd("building", tint), "beside", "quay")


def bridge(s):
    """A bridge over a river, cars on it, perhaps boats below."""
    banks = s.pick(("grass", "bare soil", "dry grass"))
    c = s.canvas(banks)
    water = s.pick(("green", "dark", "brown", "blue"))
    size = s.pick(("wide", "narrow"))
    width = s.uniform(120, 150) if size == "wide" else s.uniform(50, 70)
    angle = s.pick((0.0, math.pi / 2, 0.6, -0.6)) + s.uniform(-0.1, 0.1)
    field, _ = fields.band(s.rng, angle, 0, width, 8, 380)
    c.water(field, water, depth=30, shore=s.pick(("sand", "bare soil")), beach=6)
    over = Frame(angle + math.pi / 2)
    count = s.pick((1, 1, 2))
    lanes = s.uniform(13, 17)
    offsets = [s.uniform(-20, 20)] if count == 1 else [-34, 34]
    trees = s.chance(0.6)
    if trees:
        c.woods(30 + 8 * crop(s.rng, "mottle") - field, 4.5, 0.25)
    _, v = fields.turned(over.angle)
    for d in offsets:
        c.plants *= doubled(np.abs(v - d) > lanes * 0.8 + 4)
    for d in offsets:
        line = across(over.angle, d)
        deck = over.rect(0, d, width + 18, lanes + 4)
        c.line(line, lanes + 3, (150, 146, 138))
        c.poly(deck, (186, 183, 176), 8)
        c.line(line, lanes, (116, 115, 114))
        for edge in (-1, 1):
            rim = d + edge * (lanes / 2 + 1)
            end = width / 2 + 9
            c.line(over.points((-end, rim), (end, rim)), 1.2, (204, 200, 192), 9)
        c.dashes(line, 0.6, (218, 214, 204))
        u = -width / 2 + 12
        while u < width / 2:
            joint = over.points((u, d - lanes / 2), (u, d + lanes / 2))
            c.line(joint, 0.4, (140, 138, 134))
            u += 22
        s.traffic(line, lanes, 42)
        s.mark("bridge", deck)
    along = Frame(angle)
    for _ in range(s.number(0, 3) if width > 90 else 0):
        for _ in range(12):
            u, v = s.uniform(-105, 105), s.uniform(-0.3, 0.3) * width
            x, y = along.at(u, v)
            hull = vehicles.hull(x, y, angle, 22)
            free = s.fits(hull, 8) and s.clear(hull, 10)
            beside = all(abs(u - d) > lanes + 26 for d in offsets)
            if free and beside and fields.value(field, x, y) < -10:
                s.boat(x, y, angle, 22, wake=True)
                break
    close = s.near_marks(8)
    if not trees:
        s.scatter(14, (3, 5), lambda x, y: fields.value(field, x, y) < 9 or close(x, y))
    deck = s.seen("bridge")
    river = s.stuff("river", water, size=size)
    s.link(deck, "over", river)
    s.link(s.seen("boat", "white"), "in", river)
    s.link(s.crowd("car"), "on", "road")
    if trees:
        s.link("trees", "along", river)
    else:
        s.link(s.stuff(banks), "beside", river)


def river(s):
    """A river, straight or winding, with its banks."""
    banks = s.pick(("grass", "floor", "bare soil", "dry grass"))
    woods = banks == "floor" or s.chance(0.3)
    c = s.canvas(banks, s.pick(("green", "dark green", "brownish")))
    water = s.pick(("green", "brown", "dark", "blue"))
    shape = s.pick(("curved", "straight"))
    size = s.pick(("wide", "narrow"))
    width = s.uniform(70, 95) if size == "wide" else s.uniform(22, 34)
    angle = s.pick((0.0, math.pi / 2, 0.7, -0.7)) + s.uniform(-0.15, 0.15)
    bend, wave = (
        (s.uniform(42, 58), 260) if shape == "curved" else (s.uniform(2, 5), 420)
    )
    field, line = fields.band(s.rng, angle, s.uniform(-18, 18), width, bend, wave)
    shore = s.pick((None, "sand", "bare soil"))
    c.water(field, water, width * 0.3, shore, beach=7 if size == "wide" else 4)
    path = s.chance(0.4) and not woods
    if woods:
        c.woods(7 + 4 * crop(s.rng, "mottle") - field, s.uniform(3.5, 5), 0.08)
    if path:
        side = s.pick((-1, 1))
        c.lay(np.abs(line - side * (width / 2 + 26)) - 2.6, "paved", 1.2)
    if not woods:
        s.scatter(50, (3, 6), lambda x, y: fields.value(field, x, y) < 8)
    stream = s.stuff("river", water, shape, size=size)
    land = s.stuff("forest" if woods else banks)
    s.link(stream, "flow", land)
    s.link(land, "both_sides", stream)
    if shore:
        s.link(shore, "along", stream)
    if path:
        s.link(s.stuff("road", size="narrow"), "along_run", stream)


def lake(s):
    """A lake or pond among grass, trees or houses."""
    banks = s.pick(("grass", "dry grass", "bare soil", "floor"))
    c = s.canvas(banks)
    woods = banks == "floor"
    water = s.pick(("green", "dark", "blue", "brown"))
    size = s.pick(("large", "small"))
    r = s.uniform(70, 84) if size == "large" else s.uniform(34, 44)
    room = max((128 - r * 1.2 if size == "large" else 62) - 4, 0)
    cx, cy = 128 + s.pick((0, -1, 1)) * room, 128 + s.pick((0, -1, 1)) * room
    shape = (r * s.uniform(0.72, 0.95), s.uniform(0, 3))
    field = fields.blob(s.rng, cx, cy, r, *shape, 0.13, 0.6)
    shore = s.pick(("sand", None, "bare soil"))
    c.water(field, water, r * 0.8, shore, beach=5)
    path = s.chance(0.5) and not woods
    if path:
        c.lay(np.abs(field - 20) - 2.0, "paved", 1.2)

    def avoid(x, y):
        far = fields.value(field, x, y)
        return far < 7 or abs(far - 20) < 6

    if woods:
        c.woods(6 + 3 * crop(s.rng, "mottle") - field, 4.5, 0.05)
    else:
        s.scatter(90, (3, 6), avoid)
    s.mark_area("lake", field, colour=water)
    for _ in range(s.number(0, 4) if size == "large" else 0):
        for x, y in s.spots(15, 20, 236):
            if fields.value(field, x, y) < -18:
                facing = s.uniform(0, 6.28)
                if len(s.marks) == 1 or s.clear(rect(x, y, 13, 13, facing), 6):
                    s.boat(x, y, facing, 13)
                    break
    pond = s.seen("lake", water, size)
    s.link(pond, "surrounded", "forest" if woods else banks)
    s.link(s.seen("boat", "white"), "in", pond)
    if path:
        s.link("path", "loop", pond)
    if not woods:
        s.link("trees", "beside", pond)


def beach(s):
    """Sand between the sea and the land, waves breaking."""
    land = s.pick(("grass", "floor", "dry grass", "paved"))
    c = s.canvas(land)
    side = s.pick(tuple(SIDES))
    angle = SIDES[side] + s.uniform(-0.2, 0.2)
    water = s.pick(("turquoise", "blue", "green"))
    width = s.pick(("wide", "narrow"))
    coast = s.uniform(-5, 15)
    deep = s.uniform(62, 74) if width == "wide" else s.uniform(26, 34)
    field = fields.half(s.rng, angle, coast, 9, 330)
    inland = field - deep + 3 * crop(s.rng, "mottle")
    c.lay(inland, "sand", 3)
    c.lay(field - 7, ground(s.rng, "sand") * np.float32(0.79), 6)  # wet sand
    c.water(field, water, depth=95)
    for k in range(s.number(1, 3)):
        wobble, _ = wavy(s.rng, fields.turned(angle)[0], 3.0, 90, 4)
        rough = crop(s.rng, "grain") * 1.2 + crop(s.rng, "mottle") * 2.0
        front = np.abs(field + 2 + k * 17 + wobble + rough) - (2.6 - 0.5 * k)
        bright = smooth(crop(s.rng, "grain"), -1, 1)
        c.lay(front, mix((206, 218, 214), (240, 242, 238), bright), 3.5)
    trees = land != "paved"
    if trees:
        edge = 10 - inland + 5 * crop(s.rng, "mottle")
        c.woods(edge, 4.5, 0.05 if land == "floor" else 0.5)
    count = s.pick((0, 0, 6, 12, 20))
    tint = s.pick(("red", "blue", "yellow"))
    for x, y in s.spots(count * 6, 8, 248):
        spot = rect(x, y, 5, 5)
        on_sand = fields.value(field, x, y) > 10 and fields.value(inland, x, y) < -4
        if on_sand and s.clear(spot, 3) and s.count("umbrella") < count:
            c.disc(x, y, 2.4, paint(s.rng, tint, 8), 2.5)
            c.disc(x, y, 0.8, (238, 236, 230), None)
            s.mark("umbrella", spot, colour=tint)
    boats = s.number(0, 3)
    for x, y in s.spots(boats * 8, 16, 240):
        free = fields.value(field, x, y) < -45 and s.clear(rect(x, y, 16, 16), 8)
        if free and s.count("boat") < boats:
            s.boat(x, y, s.uniform(0, 6.28), 14)
    place = {"lower": "bottom", "upper": "top"}.get(side, side)
    sea = s.stuff("sea", water, place=place)
    shore = s.stuff("beach", size=width)
    inner = s.stuff("trees" if trees else "paved")
    s.link(shore, "between", sea, inner)
    s.link("waves", "break", shore)
    s.link(s.seen("umbrella", tint), "on", shore)
    s.link(s.seen("boat", "white"), "on", sea)
    s.link(sea, "beside", shore)
