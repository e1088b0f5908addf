"""Stadium, courts, baseball field, playground, golf course."""

import math

import numpy as np

from toyscenes.drawing import fields, grounds
from toyscenes.drawing.canvas import tone
from toyscenes.drawing.geometry import (
    Frame,
    across,
    ellipse,
    lobed,
    polar,
    rect,
    rounded,
    turn,
)
from toyscenes.drawing.texture import flat

SEATS = {
    "gray": (164, 165, 168),
    "blue": (82, 112, 166),
    "red": (168, 78, 68),
    "white": (216, 216, 212),
}
COURTS = {
    "green": (72, 118, 82),
    "blue": (62, 98, 148),
    "red": (164, 82, 62),
    "purple": (104, 84, 136),
}
TRACKS = {"red": (166, 84, 66), "blue": (76, 104, 152), "orange": (190, 116, 70)}


def stadium(s):
    """Stands around a pitch, open or half roofed."""
    c = s.canvas(s.pick(("paved", "grass", "concrete")))
    form = s.pick(("oval", "rectangular"))
    oval = form == "oval"
    seats = s.pick(tuple(SEATS))
    with_track = s.chance(0.5)
    angle = s.pick((0.0, math.pi / 2, 0.5, -0.5)) + s.uniform(-0.1, 0.1)
    cx, cy = 128 + s.uniform(-12, 12), 128 + s.uniform(-12, 12)
    wide, long = (148, 192) if oval else (138, 178)
    side = s.pick((-1, 1))
    frame = Frame(angle)
    s.outskirts(angle, 0.4)
    s.street(across(angle + math.pi / 2, side * 116), 11, 34)
    lot = s.chance(0.5)
    if lot:
        spot = (*frame.at(side * 101, 0), 34, 170)
        s.car_lot(*spot, angle, s.uniform(0.2, 0.8))

    def ring(share, inset=0.0):
        w, h = wide * share - inset, long * share - inset
        if oval:
            return ellipse(cx, cy, w / 2, h / 2, angle, 48)
        return rounded(cx, cy, w, h, 16, angle)

    c.poly(ring(1.09), (178, 174, 166))
    c.line(ring(1.09), 1, (196, 192, 184), close=True)
    c.poly(ring(1.0), (186, 184, 180), 16)
    c.poly(ring(0.97), (206, 205, 202), 15)
    roofed = s.chance(0.5)
    inner = 0.66 if oval else 0.68
    for k in range(7):
        share = 0.93 - k * (0.93 - inner) / 7
        tint = tone(SEATS[seats], 1.06 if k % 2 else 0.94)
        c.poly(ring(share), tint, 14 - 1.9 * k)
    c.poly(ring(inner), (158, 92, 72) if with_track else (98, 110, 80), 0)
    aisles = list(zip(ring(0.93), ring(inner)))[:-1]
    for aisle in aisles[:: 2 if oval else 1]:
        c.line(aisle, 0.7, (206, 204, 198))
    w, h = wide * inner, long * inner
    if with_track:
        for k in range(1, 5):
            c.line(ring(inner, 4 * k), 0.4, (196, 150, 132), close=True)
        c.poly(ring(inner, 22), (88, 116, 66))
        grounds.pitch(c, cx, cy, (w - 24) * 0.68, (h - 24) * 0.72, angle)
    else:
        grounds.pitch(c, cx, cy, w * 0.76, h * 0.78, angle)
    for end in (-1, 1) if roofed else ():
        if oval:
            mid = 0 if end > 0 else math.pi
            arc = (0, 16, mid - 0.75, mid + 0.75)
            outer = ellipse(0, 0, wide / 2, long / 2, *arc)
            rim = [(x * 0.74, y * 0.80) for x, y in outer]
        else:
            outer = [(end * wide / 2, t * long * 0.4) for t in (-1, 1)]
            rim = [(end * wide * 0.36, t * long * 0.4) for t in (-1, 1)]
        c.poly(turn(outer + rim[::-1], cx, cy, angle), (222, 223, 224), 20)
        for beam in zip(outer, rim):
            c.line(turn(beam, cx, cy, angle), 0.5, (190, 192, 196))
    if roofed:
        side = 1  # keeps the trees where earlier versions have planted them
    s.mark("stadium", ring(1.0), colour=seats, shape=form)
    trees = s.chance(0.6)

    def avoid(x, y):
        u, v = Frame(angle, cx, cy).local(x, y)
        rail, _ = frame.local(x, y)
        return (
            (abs(u) < wide / 2 + 9 and abs(v) < long / 2 + 9)
            or abs(abs(rail) - 116) < 11
            or (lot and rail * side > 74)
        )

    if trees:
        s.scatter(60, avoid=avoid)
    arena = s.seen("stadium", shape=form)
    turf = s.stuff("pitch", "green")
    way = s.stuff("road")
    s.link(turf, "in", arena)
    s.link(arena, "beside", way)
    s.link(s.stuff("seats", seats), "around", turf)
    if with_track:
        s.link(s.stuff("running track", "red"), "around", turf)
    if roofed:
        s.link(s.stuff("roofs", "white"), "over_part", arena)
    if lot:
        s.link("parking lot", "beside", arena)
    if trees:
        s.link("trees", "around", arena)


def _courts(s, label, draw, most, sizes, long):
    """Equal courts in a row or in two rows.

    `sizes`: width of a court by the number side by side, or twice that of the
    rows; `long`: its length over its width.
    """
    c = s.canvas(s.pick(("grass", "paved", "dry grass")))
    count = s.number(1, most)
    colour = s.pick(tuple(COURTS))
    apron = s.pick([k for k in ("green", "red", "blue") if k != colour])
    angle = s.pick((0.0, math.pi / 2)) + s.uniform(-0.25, 0.25)
    columns = count if count < 4 else -(-count // 2)
    rows = -(-count // columns)
    scale = sizes[max(columns, rows * 2) if count > 1 else 1]
    step, high = scale + 3, scale * long + 4
    wide, tall = columns * step, rows * high
    pad = Frame(angle, 128 + s.uniform(-8, 8), 128 + s.uniform(-8, 8))
    floor, edge = COURTS[colour], tone(COURTS[apron], 0.9)
    road = s.pick((-1, 1)) * min(max(wide / 2, 60) + 26, 114)
    s.outskirts(angle, 0.4)
    s.street(across(angle + math.pi / 2, road), 10, 44)
    c.poly(pad.rect(0, 0, wide + 8, tall + 8), (160, 158, 150))
    for x, y in pad.grid(count, columns, step, high):
        out = draw(c, x, y, scale, angle, edge, floor)
        s.mark(label, out, colour=colour)

    def taken(x, y, *gaps):
        u, v = pad.local(x, y)
        near = abs(u) < wide / 2 + gaps[0] and abs(v) < tall / 2 + gaps[1]
        return near or abs(Frame(angle).local(x, y)[0] + road) < gaps[2]

    houses = s.chance(0.5)
    tint = s.pick(("gray", "red", "white"))
    for x, y in s.spots(30 if houses else 0, 20, 236):
        w, h = s.rng.uniform(20, 38, 2)
        spot = rect(x, y, w, h, angle)
        if not taken(x, y, 26, 28, 30) and s.clear(spot, 8) and s.fits(spot):
            s.block("building", x, y, w, h, angle, tint, 9, 4)
    trees = s.chance(0.6)
    near = s.near_marks(5)
    if trees:
        s.scatter(70, (3, 6), lambda x, y: taken(x, y, 9, 9, 10) or near(x, y))
    courts = s.seen(label, colour, row=rows == 1)
    s.link(courts, "beside", "road")
    if trees:
        s.link(courts, "surrounded", "trees")
    s.link(s.crowd("building", tint), "beside", courts)


def tennis_court(s):
    """Tennis courts, one to eight."""
    sizes = {1: 80, 2: 62, 3: 58, 4: 52, 6: 48, 8: 43}
    _courts(s, "tennis court", grounds.tennis, 8, sizes, 2.0)


def basketball_court(s):
    """Basketball courts, one to four."""
    sizes = {1: 84, 2: 66, 3: 58, 4: 56}
    _courts(s, "basketball court", grounds.basketball, 4, sizes, 1.85)


def baseball_field(s):
    """One, two or four diamonds of clay in the grass."""
    c = s.canvas("lawn")
    count = s.pick((1, 1, 2, 4))
    trees = s.chance(0.6)
    r = {1: 178, 2: 108, 4: 92}[count]
    base = s.uniform(-0.15, 0.15)
    angles = [base + 0.785 + k * 2 * math.pi / count for k in range(count)]
    if count == 1:
        angles = [s.pick((0.0, math.pi / 2, math.pi, -math.pi / 2)) + base + 0.785]
    homes = [Frame(a, *polar(-0.5 * r if count == 1 else 16, a)) for a in angles]
    for home in homes:
        _diamond(c, home, r)
    for home in homes:
        for side in (-1, 1):
            a = home.angle + side * 0.785
            foul = [(home.x, home.y), polar(r, a, home.x, home.y)]
            c.line(foul, 0.8, (232, 230, 224))
            c.disc(*polar(r * 0.42, a, home.x, home.y), 1.1, (240, 240, 236))
        arc = (0.0, 12, home.angle - 0.785, home.angle + 0.785)
        fence = ellipse(home.x, home.y, r, r, *arc)
        s.mark("baseball field", [(home.x, home.y), *fence])
        for side in (-1, 1) if count == 1 else ():
            a = home.angle + math.pi + side * 0.95
            stand = Frame(home.angle + side * 0.78, *polar(26, a, home.x, home.y))
            c.poly(stand.rect(0, 0, 9, 34), (176, 178, 182), 4)
            for t in (-3, 0, 3):
                seats = Frame(stand.angle, *stand.at(t, 0)).points((0, -16), (0, 16))
                c.line(seats, 0.6, (138, 140, 146))
    s.chance(0.5)  # keeps the random numbers in step with earlier versions

    def avoid(x, y):
        for u, v in (home.local(x, y) for home in homes):
            if math.hypot(u, v) < (r + 10 if u > abs(v) - 26 else 46):
                return True
        return False

    if trees:
        s.scatter(70, (3.5, 6.5), avoid)
    game = s.seen("baseball field", size="large" if count == 1 else "")
    s.link(game, "on", "grass")
    if trees:
        wood = s.stuff("trees")
        s.link(game, "surrounded", wood)
        s.link(wood, "beside", game)
    s.link(s.stuff("infield", "brown"), "in", game)


def _diamond(c, home, r):
    """The ground of one field: outfield, infield, bases, home plate."""
    u, v = fields.turned(home.angle, home.x, home.y)
    far = np.hypot(u, v)
    wedge = np.maximum(np.abs(v) - np.abs(u) * 1.02 - 6, -u - 8)
    field = np.maximum(far - r, wedge)
    c.lay(field - 5, "clay", 1.5)
    mown = np.sign(np.sin(far * (2 * math.pi / 17)))
    lawn = flat((86, 120, 62)) * (1 + 0.035 * mown)
    c.lay(field, lawn, 1.2)
    mid = r * 0.30
    infield = np.maximum(np.hypot(u - mid, v) - r * 0.30, wedge)
    c.lay(infield, "clay", 1.5)
    square = np.abs(u - mid * 0.94) + np.abs(v) - mid * 0.72
    c.lay(square, lawn, 1.2)
    c.lay(np.hypot(u - mid * 0.95, v) - r * 0.035, "clay", 1.2)
    c.lay(np.hypot(u - 2, v) - r * 0.075, "clay", 1.2)


def playground(s):
    """A running track around a pitch, school buildings beside it."""
    c = s.canvas(s.pick(("paved", "grass", "concrete")))
    colour = s.pick(tuple(TRACKS))
    infield = s.pick(("green", "brown"))
    lawn = (84, 120, 62) if infield == "green" else (150, 122, 84)
    angle = s.pick((0.0, math.pi / 2, 0.4, -0.4)) + s.uniform(-0.08, 0.08)
    side = s.pick((-1, 1))
    frame = Frame(angle)
    oval = (*frame.at(side * 30, 0), 116, 196)
    out = grounds.track(c, *oval, angle, TRACKS[colour], lawn)
    s.mark("running track", out, colour=colour)
    tint = s.pick(("gray", "red", "white"))
    count = s.number(1, 4)
    v, span = -100.0, 206 / count
    for _ in range(count):
        h, w = span - s.uniform(14, 20), s.uniform(24, 32)
        spot = frame.at(side * -72, v + span / 2)
        s.block("building", *spot, w, h, angle, tint, 11, 5)
        v += span
    extra = s.chance(0.5)
    s.street(frame.column(side * -108), 11, 40)
    s.tree_row(frame.column(side * -38), 9, 4)
    if extra:
        s.tree_row(frame.column(side * 96), 8, 4.5)
    oval = s.seen("running track", colour)
    turf = s.stuff("football field", infield)
    s.link(oval, "around", turf)
    s.link(turf, "in", oval)
    houses = s.seen("building", tint)
    s.link(oval, "beside", houses)
    s.link(houses, "beside", "road")
    s.link(s.stuff("trees"), "between", houses, oval)


def golf_course(s):
    """Fairways, greens, bunkers, a pond."""
    c = s.canvas("grass", s.pick(("dark green", "green")))
    angle = s.uniform(-0.6, 0.6)
    fairways = []
    for d in (-62, 34):
        line = (d + s.uniform(-12, 12), s.uniform(34, 44))
        field, _ = fields.band(s.rng, angle, *line, 20, 260)
        fairways.append(field)
        mown = np.sin(fields.turned(angle)[0] / 3.2) * 0.025
        c.lay(field, flat((104, 138, 72)) * (1 + mown), 3)
    pond = s.chance(0.6)
    water = s.pick(("blue", "green", "dark"))
    lakes = fields.nowhere()
    if pond:
        cx, cy = 128 + 58 * s.pick((-1, 0, 1)), 128 + 58 * s.pick((-1, 0, 1))
        lakes = fields.blob(s.rng, cx, cy, 34, 22, s.uniform(0, 3), 0.2)
        c.water(lakes, water, 20)
        s.mark_area("pond", lakes, colour=water)
    count = s.number(2, 7)
    for x, y in s.spots(80, 22, 234):
        if fields.value(lakes, x, y) < 24 or not s.clear(rect(x, y, 26, 20), 5):
            continue
        edge = min(fields.value(f, x, y) for f in fairways)
        if s.count("green") < 2 and edge < -8:
            out = lobed(s.rng, x, y, 14, 11, s.uniform(0, 3), 0.1)
            c.poly(out, (116, 150, 82))
            c.poly(lobed(s.rng, x, y, 11, 8.5, 0, 0.1), (126, 160, 92))
            c.disc(x + 2, y, 0.7, (236, 236, 230), 3)
            s.mark("green", out)
        elif s.count("bunker") < count and edge < 6:
            shape = (s.uniform(9, 12), s.uniform(6, 8), s.uniform(0, 3), 0.3)
            out = lobed(s.rng, x, y, *shape)
            c.poly(out, (222, 208, 172))
            c.line(out, 0.8, (98, 122, 66), close=True)
            s.mark("bunker", out, colour="white")
    close = s.near_marks(5)

    def avoid(x, y):
        on_grass = min(fields.value(f, x, y) for f in fairways) < 5
        return fields.value(lakes, x, y) < 8 or on_grass or close(x, y)

    s.scatter(110, (3.5, 6.5), avoid)
    s.chance(0.5)  # keeps the random numbers in step with earlier versions
    sand = s.seen("bunker", "white")
    turf = s.stuff("fairway", "green")
    s.link(sand, "on", turf)
    s.link("trees", "along", turf)
    if pond:
        basin = s.seen("pond", water)
        s.link(basin, "beside", turf)
        s.link(sand, "beside", basin)
