"""Viaduct and railway station."""

import math

from toyscenes.drawing import buildings, fields, vehicles
from toyscenes.drawing.geometry import Frame, across, along, rect, shifted
from toyscenes.drawing.noise import crop
from toyscenes.drawing.paint import paint, roof


def viaduct(s):
    """A long curved bridge high above a valley, its shadow beside it."""
    ground = s.pick(("grass", "floor", "bare soil", "dry grass"))
    c = s.canvas(ground)
    water = s.chance(0.5)
    angle = s.pick((0.0, math.pi / 2, 0.7, -0.7)) + s.uniform(-0.15, 0.15)
    bow = s.pick(("curved", "straight"))
    bend = s.uniform(50, 80) * s.pick((-1, 1)) if bow == "curved" else 0.0
    course = (angle + math.pi / 2 + s.uniform(-0.3, 0.3), s.uniform(-30, 30))
    stream, _ = fields.band(s.rng, *course, 30, 20, 260)
    tint = s.pick(("green", "brown", "dark"))
    if water:
        c.water(stream, tint, 12, "bare soil", 5)
    line = across(angle, 0, bend)
    forest = ground == "floor"
    wooded = forest or s.chance(0.4)
    if wooded:
        edge = 9 + 6 * crop(s.rng, "mottle") - (stream if water else 30)
        c.woods(edge, 4.2, 0.06 if forest else 0.3)
    tall, wide = s.uniform(26, 38), 13
    for x, y, direction in along(line, 34)[:-1]:
        c.poly(rect(x, y, 4, 9, direction), (170, 166, 158), tall - 2)
    c.line(line, wide + 2.5, (196, 193, 186), tall)
    train = s.chance(0.4)
    if train:
        c.line(line, wide - 1, (156, 150, 142), None)
        for d in (-4, -2, 2, 4):
            c.line(shifted(line, d), 0.4, (106, 100, 94))
    else:
        c.line(line, wide, (118, 117, 116), None)
        c.dashes(line, 0.6, (222, 220, 214))
        s.traffic(line, wide, 40)

    def avoid(x, y):
        near = min((p[0] - x) ** 2 + (p[1] - y) ** 2 for p in line) < 260
        return near or (water and fields.value(stream, x, y) < 8)

    if not wooded:
        s.scatter(40, avoid=avoid)
    for x, y in line:
        if 0 <= x < 256 and 0 <= y < 256:
            i, j = int(y * 2), int(x * 2)
            c.plants[max(i - 26, 0) : i + 26, max(j - 26, 0) : j + 26] = 0
    inside = [p for p in line if 0 <= p[0] <= 256 and 0 <= p[1] <= 256]
    s.mark("viaduct", shifted(inside, 8) + shifted(inside, -8))
    deck = s.seen("viaduct", shape=bow) or s.stuff("viaduct", shape=bow)
    land = s.stuff("forest" if forest else ground)
    s.link(deck, "over", s.stuff("stream", tint) if water else "valley")
    s.link(deck, "across", land)
    s.link("rails" if train else s.crowd("car"), "on", deck)
    if wooded and not forest:
        s.link("trees", "beside", deck)


def railway_station(s):
    """Platforms between tracks, trains, a long roof."""
    c = s.canvas(s.pick(("paved", "bare soil", "concrete")))
    angle = s.pick((0.0, math.pi / 2, 0.5, -0.5)) + s.uniform(-0.12, 0.12)
    frame = Frame(angle)
    trains = s.number(1, 5)
    colour = s.pick(("white", "blue", "red", "green"))
    c.patch(frame.quad(-200, -64.0, 200, 66), "rock")
    tracks = [-58.0 + k // 2 * 29.5 + k % 2 * 9.5 for k in range(8)]
    for k, v in enumerate(tracks):
        c.line(frame.row(v), 4.6, (128, 118, 106))
        c.dashes(frame.row(v), 4.2, (104, 94, 84), 1.0, 1.6)
        for rail in (-1.3, 1.3):
            c.line(frame.row(v + rail), 0.5, (176, 172, 168))
        if k % 2:
            edge = frame.points((-150, v + 10), (150, v + 10))
            c.line(edge, 9, (188, 184, 176), 1)
            edge = frame.points((-150, v + 6), (150, v + 6))
            c.line(edge, 0.5, (212, 196, 120))
    for k in s.rng.permutation(8)[:trains]:
        coaches = int(s.rng.integers(4, 8))
        room = max(0, 112 - coaches * 10.5)
        x, y = frame.at(s.uniform(-room, room), tracks[k])
        out = vehicles.train(c, x, y, angle, coaches, paint(s.rng, colour, 5))
        s.mark("train", out, colour=colour)
    roofed = s.chance(0.6)
    tint = s.pick(("gray", "white", "blue"))
    for v in tracks[1::2] if roofed else ():
        spot = frame.at(s.uniform(-10, 10), v + 10)
        sheet = (8, 120, angle + math.pi / 2, roof(s.rng, tint))
        buildings.hall(c, *spot, *sheet, 7, 9)
    hall = (*frame.at(s.uniform(-20, 20), 88), 130, 30, angle)
    s.house("station", hall, tint, 12, build=buildings.hall)
    s.street(frame.row(116), 11, 34)
    s.tree_row(frame.row(-72), 10, 4)
    name = s.pick(("red", "gray", "brown"))
    for _ in range(40):
        u, v = s.uniform(-150, 150), -s.uniform(84, 130)
        w, h = s.rng.uniform(16, 34, 2)
        spot = (*frame.at(u, v), w, h, angle)
        if v + h / 2 < -78 and s.clear(rect(*spot), 4):
            s.house("house", spot, name, 7)
    cars = s.seen("train", colour)
    rails = s.stuff("rails")
    s.link(cars, "on", rails)
    hall = s.seen("station", tint)
    s.link(hall, "beside", rails)
    s.link(cars, "beside", "platforms")
    s.link(hall, "beside", "road")
    s.link(s.crowd("house", name), "beside", rails)
