"""Harbor, bridge, river, lake, beach."""

import math

import numpy as np

from toyscenes import buildings, fields, vehicles
from toyscenes.geometry import rect, turn
from toyscenes.noise import crop, wavy
from toyscenes.paint import paint, roof
from toyscenes.scenes.common import KERB, across, near_marks, scatter, traffic
from toyscenes.texture import ground, mix, smooth

SIDES = {"left": math.pi / 2, "right": -math.pi / 2, "upper": math.pi, "lower": 0.0}


def harbor(s):
    """Piers with boats on both sides, a quay with buildings."""
    c = s.canvas("concrete")
    water = s.pick(("green", "blue", "dark"))
    side = s.pick(("lower", "left", "right", "upper"))
    angle = SIDES[side] + s.uniform(-0.08, 0.08)
    quay = -62 + s.uniform(-8, 8)
    u, v = fields.turned(angle)
    c.water(quay - v, water, depth=170)
    cos, sin = math.cos(angle), math.sin(angle)

    def at(a, b):
        return 128 + a * cos - b * sin, 128 + a * sin + b * cos

    c.line([at(-190, quay), at(190, quay)], 3.5, (186, 182, 172), 2)
    piers = s.number(1, 4)
    colour = s.pick(("white", "white", "blue"))
    length = s.uniform(13, 18)
    reach = s.uniform(95, 130)
    step = {1: 0, 2: 88, 3: 66, 4: 56}[piers]
    fill = s.pick((0.9, 0.5, 0.25))
    for k in range(piers):
        a = (k - (piers - 1) / 2) * step + s.uniform(-4, 4)
        deck = [at(a, quay), at(a, quay + reach)]
        c.line(deck, 3.6, (190, 180, 160), 1)
        slab = rect(*at(a, quay + reach / 2), 3.6, reach, angle)
        s.mark("pier", slab)
        b = quay + 14
        while b < quay + reach - 3:
            for way in (-1, 1):
                c.line(
                    [at(a, b + 3), at(a + way * length * 0.8, b + 3)],
                    0.7,
                    (196, 188, 172),
                    0.5,
                )
                if s.rng.random() < fill:
                    x, y = at(a + way * (length / 2 + 3.4), b)
                    size = length * s.uniform(0.78, 1.0)
                    facing = angle + (0 if way > 0 else math.pi)
                    hull = vehicles.boat(c, x, y, facing, size, paint(s.rng, colour, 5))
                    if not s.mark("boat", hull, colour=colour):
                        continue
            b += s.uniform(7.2, 8.4)
    road = [at(-200, quay - 22), at(200, quay - 22)]
    c.road(road, 9, kerb=KERB)
    traffic(s, road, 9, 40)
    tint = s.pick(("gray", "red", "white"))
    x = -150
    while x < 150:
        w, h = s.uniform(28, 50), s.uniform(16, 24)
        spot = at(x + w / 2, quay - 45)
        fn = buildings.hall if s.rng.random() < 0.4 else buildings.house
        fn(c, *spot, w, h, angle, roof(s.rng, tint), 8)
        s.mark("building", rect(*spot, w, h, angle), colour=tint)
        x += w + s.uniform(8, 20)
    for _ in range(16):
        x, y = at(s.uniform(-150, 150), quay - s.uniform(9, 13))
        c.tree(x, y, s.uniform(2.5, 4))
    boats = s.seen("boat", colour)
    decks = s.seen("pier")
    sea = s.stuff("water", water, place="")
    s.link(boats, "along", decks)
    s.link(decks, "reach", sea)
    s.link(boats, "in", s.stuff("harbor"))
    s.link(s.crowd("building", tint), "beside", s.stuff("quay"))


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
    side = angle + math.pi / 2
    count = s.pick((1, 1, 2))
    lanes = s.uniform(13, 17)
    offsets = [s.uniform(-20, 20)] if count == 1 else [-34, 34]
    trees = s.chance(0.6)
    if trees:
        c.woods(30 + 8 * crop(s.rng, "mottle") - field, 4.5, 0.25)
    for d in offsets:
        u, v = fields.turned(side)
        clear = np.abs(v - d) > lanes * 0.8 + 4
        c.plants *= clear.repeat(2, 0).repeat(2, 1)
    for d in offsets:
        line = across(s, side, d)
        inner = rect(*turn([(0, d)], 128, 128, side)[0], width + 18, lanes + 4, side)
        c.line(line, lanes + 3, (150, 146, 138))
        c.poly(inner, (186, 183, 176), 8)
        c.line(line, lanes, (116, 115, 114), None)
        for edge in (-1, 1):
            rim = turn(
                [
                    (-width / 2 - 9, d + edge * (lanes / 2 + 1)),
                    (width / 2 + 9, d + edge * (lanes / 2 + 1)),
                ],
                128,
                128,
                side,
            )
            c.line(rim, 1.2, (204, 200, 192), 9)
        c.dashes(line, 0.6, (218, 214, 204))
        k = -width / 2 + 12
        while k < width / 2:
            joint = turn([(k, d - lanes / 2), (k, d + lanes / 2)], 128, 128, side)
            c.line(joint, 0.4, (140, 138, 134))
            k += 22
        traffic(s, line, lanes, 42)
        s.mark("bridge", inner)
    boats = s.number(0, 3) if width > 90 else 0
    for _ in range(boats):
        for _ in range(12):
            a, b = s.uniform(-105, 105), s.uniform(-0.3, 0.3) * width
            x, y = turn([(a, b)], 128, 128, angle)[0]
            hull = vehicles.boat(c, -99, -99, angle, 22, (0, 0, 0))
            hull = [(p + x + 99, q + y + 99) for p, q in hull]
            if (
                s.fits(hull, 8)
                and all(
                    abs(a - d) > lanes + 26
                    for d in (offsets if count == 1 else (-34, 34))
                )
                and s.clear(hull, 10)
                and fields.value(field, x, y) < -10
            ):
                vehicles.boat(c, x, y, angle, 22, paint(s.rng, "white", 4), wake=True)
                s.mark("boat", hull, colour="white")
                break
    if not trees:
        scatter(
            s,
            14,
            (3, 5),
            lambda x, y: fields.value(field, x, y) < 9 or near_marks(s, 8)(x, y),
        )
    deck = s.seen("bridge")
    river = s.stuff("river", water, size=size)
    s.link(deck, "over", river)
    s.link(s.seen("boat", "white"), "in", river)
    s.link(s.crowd("car"), "on", s.stuff("road"))
    s.link(s.stuff("trees"), "along", river) if trees else s.link(
        s.stuff(banks), "beside", river
    )


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
    bend = s.uniform(42, 58) if shape == "curved" else s.uniform(2, 5)
    field, line = fields.band(
        s.rng, angle, s.uniform(-18, 18), width, bend, 260 if shape == "curved" else 420
    )
    shore = s.pick((None, "sand", "bare soil"))
    c.water(
        field, water, depth=width * 0.3, shore=shore, beach=7 if size == "wide" else 4
    )
    path = s.chance(0.4) and not woods
    if woods:
        c.woods(7 + 4 * crop(s.rng, "mottle") - field, s.uniform(3.5, 5), 0.08)
    if path:
        side = s.pick((-1, 1))
        gap = np.abs(line - side * (width / 2 + 26)) - 2.6
        c.lay(gap, "paved", 1.2)
    if not woods:
        scatter(s, 50, (3, 6), lambda x, y: fields.value(field, x, y) < 8)
    stream = s.stuff("river", water, shape, size=size)
    land = s.stuff("forest", "dark green" if 0 else "") if woods else s.stuff(banks)
    s.link(stream, "flow", land)
    s.link(land, "both_sides", stream)
    if shore:
        s.link(s.stuff("sand" if shore == "sand" else "bare soil"), "along", stream)
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
    room = 128 - r * 1.2 if size == "large" else 62
    cx = 128 + s.pick((0, -1, 1)) * max(room - 4, 0)
    cy = 128 + s.pick((0, -1, 1)) * max(room - 4, 0)
    ratio = s.uniform(0.72, 0.95)
    field = fields.blob(s.rng, cx, cy, r, r * ratio, s.uniform(0, 3), 0.13, 0.6)
    shore = s.pick(("sand", None, "bare soil"))
    c.water(field, water, depth=r * 0.8, shore=shore, beach=5)
    path = s.chance(0.5) and not woods
    if path:
        c.lay(np.abs(field - 20) - 2.0, "paved", 1.2)
    if woods:
        c.woods(6 + 3 * crop(s.rng, "mottle") - field, 4.5, 0.05)
    else:
        scatter(
            s,
            90,
            (3, 6),
            lambda x, y: (
                fields.value(field, x, y) < 7 or abs(fields.value(field, x, y) - 20) < 6
            ),
        )
    ys, xs = np.nonzero(field < 0)
    s.mark("lake", [(xs.min(), ys.min()), (xs.max() + 1, ys.max() + 1)], colour=water)
    boats = s.number(0, 4) if size == "large" else 0
    for _ in range(boats):
        for _ in range(15):
            x, y = s.rng.uniform(20, 236, 2)
            if fields.value(field, x, y) < -18:
                turned = s.uniform(0, 6.28)
                hull = rect(x, y, 13, 13, turned)
                if s.clear(hull, 6) or len(s.marks) == 1:
                    hull = vehicles.boat(c, x, y, turned, 13, paint(s.rng, "white", 4))
                    s.mark("boat", hull, colour="white")
                    break
    pond = s.seen("lake", water, size)
    around = s.stuff("forest") if woods else s.stuff(banks)
    s.link(pond, "surrounded", around)
    s.link(s.seen("boat", "white"), "in", pond)
    if path:
        s.link(s.stuff("path"), "loop", pond)
    if not woods:
        s.link(s.stuff("trees"), "beside", pond)


def beach(s):
    """Sand between the sea and the land, waves breaking."""
    land = s.pick(("grass", "floor", "dry grass", "paved"))
    c = s.canvas(land)
    side = s.pick(("lower", "left", "right", "upper"))
    angle = SIDES[side] + s.uniform(-0.2, 0.2)
    water = s.pick(("turquoise", "blue", "green"))
    width = s.pick(("wide", "narrow"))
    coast = s.uniform(-5, 15)
    deep = s.uniform(62, 74) if width == "wide" else s.uniform(26, 34)
    field = fields.half(s.rng, angle, coast, 9, 330, 1.0)
    inland = field - deep + 3 * crop(s.rng, "mottle")
    c.lay(inland, "sand", 3)
    wet = ground(s.rng, "sand") * np.float32(0.79)
    c.lay(field - 7, wet, 6)
    c.water(field, water, depth=95)
    for k in range(s.number(1, 3)):
        u, _ = fields.turned(angle)
        wobble, _ = wavy(s.rng, u, 3.0, 90, 4)
        rough = crop(s.rng, "grain") * 1.2 + crop(s.rng, "mottle") * 2.0
        front = np.abs(field + 2 + k * 17 + wobble + rough) - (2.6 - 0.5 * k)
        foam = mix(
            (206, 218, 214), (240, 242, 238), smooth(crop(s.rng, "grain"), -1, 1)
        )
        c.lay(front, foam, 3.5)
    trees = land != "paved"
    if trees:
        c.woods(
            10 - inland + 5 * crop(s.rng, "mottle"),
            4.5,
            0.05 if land == "floor" else 0.5,
        )
    count = s.pick((0, 0, 6, 12, 20))
    tint = s.pick(("red", "blue", "yellow"))
    for _ in range(count * 6):
        x, y = s.rng.uniform(8, 248, 2)
        f, g = fields.value(field, x, y), fields.value(inland, x, y)
        spot = rect(x, y, 5, 5)
        if (
            f > 10
            and g < -4
            and s.clear(spot, 3)
            and sum(m.label == "umbrella" for m in s.marks) < count
        ):
            c.disc(x, y, 2.4, paint(s.rng, tint, 8), 2.5)
            c.disc(x, y, 0.8, (238, 236, 230), None)
            s.mark("umbrella", spot, colour=tint)
    boats = s.number(0, 3)
    for _ in range(boats * 8):
        x, y = s.rng.uniform(16, 240, 2)
        spot = rect(x, y, 16, 16)
        if (
            fields.value(field, x, y) < -45
            and s.clear(spot, 8)
            and sum(m.label == "boat" for m in s.marks) < boats
        ):
            hull = vehicles.boat(
                c, x, y, s.uniform(0, 6.28), 14, paint(s.rng, "white", 4)
            )
            s.mark("boat", hull, colour="white")
    place = {"lower": "bottom", "upper": "top"}.get(side, side)
    sea = s.stuff("sea", water, place=place)
    shore = s.stuff("beach", size=width)
    inner = s.stuff("trees") if trees else s.stuff("paved")
    s.link(shore, "between", sea, inner)
    s.link(s.stuff("waves"), "break", shore)
    s.link(s.seen("umbrella", tint), "on", shore)
    s.link(s.seen("boat", "white"), "on", sea)
    s.link(sea, "beside", shore)


SCENES = {
    "harbor": harbor,
    "bridge": bridge,
    "river": river,
    "lake": lake,
    "beach": beach,
}
