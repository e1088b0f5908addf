"""Viaduct and railway station."""

import math

from toyscenes import buildings, fields, vehicles
from toyscenes.geometry import along, rect, shifted, turn
from toyscenes.noise import crop
from toyscenes.paint import paint, roof
from toyscenes.scenes.common import KERB, across, scatter, traffic, tree_row


def viaduct(s):
    """A long curved bridge high above a valley, its shadow beside it."""
    ground = s.pick(("grass", "floor", "bare soil", "dry grass"))
    c = s.canvas(ground)
    water = s.chance(0.5)
    angle = s.pick((0.0, math.pi / 2, 0.7, -0.7)) + s.uniform(-0.15, 0.15)
    bow = s.pick(("curved", "straight"))
    bend = s.uniform(50, 80) * s.pick((-1, 1)) if bow == "curved" else 0.0
    stream, _ = fields.band(
        s.rng,
        angle + math.pi / 2 + s.uniform(-0.3, 0.3),
        s.uniform(-30, 30),
        30,
        20,
        260,
    )
    tint = s.pick(("green", "brown", "dark"))
    if water:
        c.water(stream, tint, 12, "bare soil", 5)
    line = across(s, angle, 0, bend)
    wooded = ground == "floor" or s.chance(0.4)
    if wooded:
        c.woods(
            9 + 6 * crop(s.rng, "mottle") - (stream if water else 30 + 0 * stream),
            4.2,
            0.06 if ground == "floor" else 0.3,
        )
    tall = s.uniform(26, 38)
    wide = 13
    for p, q in zip(along(line, 34), along(line, 34)[1:]):
        del q
        c.poly(rect(p[0], p[1], 4, 9, p[2]), (170, 166, 158), tall - 2)
    c.line(line, wide + 2.5, (196, 193, 186), tall)
    train = s.chance(0.4)
    if train:
        c.line(line, wide - 1, (156, 150, 142), None)
        for d in (-3, 3):
            for e in (-1, 1):
                c.line(shifted(line, d + e), 0.4, (106, 100, 94))
    else:
        c.line(line, wide, (118, 117, 116), None)
        c.dashes(line, 0.6, (222, 220, 214))
        traffic(s, line, wide, 40)
    scatter(
        s,
        40,
        (3, 5.5),
        lambda x, y: (
            min((p[0] - x) ** 2 + (p[1] - y) ** 2 for p in line) < 260
            or (water and fields.value(stream, x, y) < 8)
        ),
    ) if not wooded else None
    for x, y in line:
        if 0 <= x < 256 and 0 <= y < 256:
            i, j = int(y * 2), int(x * 2)
            c.plants[max(i - 26, 0) : i + 26, max(j - 26, 0) : j + 26] = 0
    inside = [p for p in line if 0 <= p[0] <= 256 and 0 <= p[1] <= 256]
    s.mark("viaduct", shifted(inside, 8) + shifted(inside, -8))
    deck = s.seen("viaduct", shape=bow)
    if not deck:
        deck = s.stuff("viaduct", shape=bow)
    land = s.stuff("forest") if ground == "floor" else s.stuff(ground)
    s.link(deck, "over", s.stuff("stream", tint) if water else s.stuff("valley"))
    s.link(deck, "across", land)
    s.link(s.stuff("rails") if train else s.crowd("car"), "on", deck)
    if wooded and ground != "floor":
        s.link(s.stuff("trees"), "beside", deck)


def railway_station(s):
    """Platforms between tracks, trains, a long roof."""
    c = s.canvas(s.pick(("paved", "bare soil", "concrete")))
    angle = s.pick((0.0, math.pi / 2, 0.5, -0.5)) + s.uniform(-0.12, 0.12)
    trains = s.number(1, 5)
    colour = s.pick(("white", "blue", "red", "green"))
    tracks = 8

    def at(u, v):
        return turn([(u, v)], 128, 128, angle)[0]

    top = -58.0
    c.patch(
        turn([(-200, top - 6), (200, top - 6), (200, 66), (-200, 66)], 128, 128, angle),
        "rock",
    )
    lines = []
    v = top
    for k in range(tracks):
        lines.append(v)
        c.line([at(-200, v), at(200, v)], 4.6, (128, 118, 106))
        c.dashes([at(-200, v), at(200, v)], 4.2, (104, 94, 84), 1.0, 1.6)
        for e in (-1.3, 1.3):
            c.line([at(-200, v + e), at(200, v + e)], 0.5, (176, 172, 168))
        if k % 2:
            c.line([at(-150, v + 10), at(150, v + 10)], 9, (188, 184, 176), 1)
            c.line([at(-150, v + 6), at(150, v + 6)], 0.5, (212, 196, 120))
            v += 20
        else:
            v += 9.5
    order = s.rng.permutation(tracks)[:trains]
    for k in order:
        coaches = int(s.rng.integers(4, 8))
        room = max(0, 112 - coaches * 10.5)
        x, y = at(s.uniform(-room, room) if coaches < 9 else 0, lines[k])
        out = vehicles.train(c, x, y, angle, coaches, paint(s.rng, colour, 5))
        s.mark("train", out, colour=colour)
    roofed = s.chance(0.6)
    tint = s.pick(("gray", "white", "blue"))
    if roofed:
        for k in range(1, tracks, 2):
            x, y = at(s.uniform(-10, 10), lines[k] + 10)
            buildings.hall(
                c, x, y, 8, 120, angle + math.pi / 2, roof(s.rng, tint), 7, 9
            )
    x, y = at(s.uniform(-20, 20), 88)
    out = rect(x, y, 130, 30, angle)
    buildings.hall(c, x, y, 130, 30, angle, roof(s.rng, tint), 12)
    s.mark("station", out, colour=tint)
    line = [at(-200, 116), at(200, 116)]
    c.road(line, 11, kerb=KERB)
    traffic(s, line, 11, 34)
    tree_row(s, [at(-200, -72), at(200, -72)], 10, 4)
    name = s.pick(("red", "gray", "brown"))
    for _ in range(40):
        u, v = s.uniform(-150, 150), -s.uniform(84, 130)
        w, h = s.rng.uniform(16, 34, 2)
        x, y = at(u, v)
        spot = rect(x, y, w, h, angle)
        if v + h / 2 < -78 and s.clear(spot, 4):
            buildings.house(c, x, y, w, h, angle, roof(s.rng, name), 7)
            s.mark("house", spot, colour=name)
    cars = s.seen("train", colour)
    rails = s.stuff("rails")
    s.link(cars, "on", rails)
    hall = s.seen("station", tint)
    s.link(hall, "beside", rails)
    s.link(cars, "beside", s.stuff("platforms"))
    s.link(hall, "beside", s.stuff("road"))
    s.link(s.crowd("house", name), "beside", rails)


SCENES = {"viaduct": viaduct, "railway station": railway_station}
