"""Stadium, courts, baseball field, playground, golf course."""

import math

import numpy as np

from toyscenes import buildings, fields, grounds
from toyscenes.canvas import tone
from toyscenes.geometry import ellipse, lobed, rect, rounded, turn
from toyscenes.paint import roof
from toyscenes.scenes.common import (
    KERB,
    across,
    car_lot,
    near_marks,
    outskirts,
    scatter,
    traffic,
    tree_row,
)

COURTS = {
    "green": (72, 118, 82),
    "blue": (62, 98, 148),
    "red": (164, 82, 62),
    "purple": (104, 84, 136),
}


def stadium(s):
    """Stands around a pitch, open or half roofed."""
    c = s.canvas(s.pick(("paved", "grass", "concrete")))
    form = s.pick(("oval", "rectangular"))
    seats = s.pick(("gray", "blue", "red", "white"))
    with_track = s.chance(0.5)
    angle = s.pick((0.0, math.pi / 2, 0.5, -0.5)) + s.uniform(-0.1, 0.1)
    cx, cy = 128 + s.uniform(-12, 12), 128 + s.uniform(-12, 12)
    wide, long = (148, 192) if form == "oval" else (138, 178)
    side = s.pick((-1, 1))
    outskirts(s, angle, 0.4)
    road = across(s, angle + math.pi / 2, side * 116)
    c.road(road, 11, kerb=KERB)
    traffic(s, road, 11, 34)
    lot = s.chance(0.5)
    if lot:
        ((x, y),) = turn([(side * 101, 0)], 128, 128, angle)
        car_lot(s, x, y, 34, 170, angle, s.uniform(0.2, 0.8))

    def ring(share, inset=0.0):
        w, h = wide * share - inset, long * share - inset
        if form == "oval":
            return ellipse(cx, cy, w / 2, h / 2, angle, 48)
        return rounded(cx, cy, w, h, 16, angle)

    tint = {
        "gray": (164, 165, 168),
        "blue": (82, 112, 166),
        "red": (168, 78, 68),
        "white": (216, 216, 212),
    }[seats]
    c.poly(ring(1.09), (178, 174, 166))
    c.line(ring(1.09), 1, (196, 192, 184), close=True)
    c.poly(ring(1.0), (186, 184, 180), 16)
    c.poly(ring(0.97), (206, 205, 202), 15)
    roofed = s.chance(0.5)
    inner = 0.66 if form == "oval" else 0.68
    for k in range(7):
        share = 0.93 - k * (0.93 - inner) / 7
        c.poly(ring(share), tone(tint, 1.06 if k % 2 else 0.94), 14 - 1.9 * k)
    hole = ring(inner)
    c.poly(hole, (158, 92, 72) if with_track else (98, 110, 80), 0)
    outer = ring(0.93)
    for k in range(0, len(outer) - 1, 2 if form == "oval" else 1):
        a, b = outer[k], hole[k]
        c.line([a, b], 0.7, (206, 204, 198))
    w, h = wide * inner, long * inner
    if with_track:
        for k in range(1, 5):
            c.line(ring(inner, 4 * k), 0.4, (196, 150, 132), close=True)
        lawn = ring(inner, 22)
        c.poly(lawn, (88, 116, 66))
        grounds.pitch(c, cx, cy, (w - 24) * 0.68, (h - 24) * 0.72, angle)
    else:
        grounds.pitch(c, cx, cy, w * 0.76, h * 0.78, angle)
    if roofed:
        for side in (-1, 1):
            span = 0.75
            arc0 = ellipse(
                0,
                0,
                wide / 2,
                long / 2,
                0,
                16,
                -span + (0 if side > 0 else math.pi),
                span + (0 if side > 0 else math.pi),
            )
            arc1 = [(x * 0.74, y * 0.80) for x, y in arc0]
            if form != "oval":
                arc0 = [(side * wide / 2, t * long * 0.4) for t in (-1, 1)]
                arc1 = [(side * wide * 0.36, t * long * 0.4) for t in (-1, 1)]
            shell = arc0 + arc1[::-1]
            c.poly(turn(shell, cx, cy, angle), (222, 223, 224), 20)
            for p, q in zip(arc0, arc1):
                c.line(turn([p, q], cx, cy, angle), 0.5, (190, 192, 196))
    s.mark("stadium", ring(1.0), colour=seats, shape=form)
    trees = s.chance(0.6)

    def keep(x, y):
        u, v = turn([(x - cx, y - cy)], 0, 0, -angle)[0]
        rail = turn([(x - 128, y - 128)], 0, 0, -angle)[0][0]
        return (
            (abs(u) < wide / 2 + 9 and abs(v) < long / 2 + 9)
            or abs(abs(rail) - 116) < 11
            or (lot and rail * side > 74)
        )

    if trees:
        scatter(s, 60, (3, 5.5), keep)
    arena = s.seen("stadium", "", shape=form)
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
        s.link(s.stuff("parking lot"), "beside", arena)
    if trees:
        s.link(s.stuff("trees"), "around", arena)


def _courts(s, label, draw, most, sizes):
    """A group of equal courts in a row or in two rows."""
    c = s.canvas(s.pick(("grass", "paved", "dry grass")))
    count = s.number(1, most)
    colour = s.pick(tuple(COURTS))
    apron = s.pick([k for k in ("green", "red", "blue") if k != colour])
    angle = s.pick((0.0, math.pi / 2)) + s.uniform(-0.25, 0.25)
    per_row = count if count < 4 else -(-count // 2)
    lines = -(-count // per_row)
    scale = sizes[max(per_row, lines * 2) if count > 1 else 1]
    step, high = scale + 3, scale * (2.0 if label == "tennis court" else 1.85) + 4
    cx, cy = 128 + s.uniform(-8, 8), 128 + s.uniform(-8, 8)
    floor, edge = COURTS[colour], tone(COURTS[apron], 0.9)
    side = s.pick((-1, 1))
    off = max(per_row * step / 2, 60) + 26
    outskirts(s, angle, 0.4)
    road = across(s, angle + math.pi / 2, side * min(off, 114))
    c.road(road, 10, kerb=KERB)
    traffic(s, road, 10, 44)
    pad = rect(cx, cy, per_row * step + 8, lines * high + 8, angle)
    c.poly(pad, (160, 158, 150))
    for k in range(count):
        u = (k % per_row - (per_row - 1) / 2) * step
        v = (k // per_row - (lines - 1) / 2) * high
        ((x, y),) = turn([(u, v)], cx, cy, angle)
        out = draw(c, x, y, scale, angle, edge, floor)
        s.mark(label, out, colour=colour)
    houses = s.chance(0.5)
    tint = s.pick(("gray", "red", "white"))
    if houses:
        for _ in range(30):
            x, y = s.rng.uniform(20, 236, 2)
            w, h = s.rng.uniform(20, 38, 2)
            spot = rect(x, y, w, h, angle)
            u, v = turn([(x - cx, y - cy)], 0, 0, -angle)[0]
            free = abs(u) > per_row * step / 2 + 26 or abs(v) > lines * high / 2 + 28
            rail = abs(
                turn([(x - 128, y - 128)], 0, 0, -angle)[0][0] + side * min(off, 114)
            )
            if free and rail > 30 and s.clear(spot, 8) and s.fits(spot):
                buildings.block(c, x, y, w, h, angle, roof(s.rng, tint), 9, 4)
                s.mark("building", spot, colour=tint)

    def keep(x, y):
        u, v = turn([(x - cx, y - cy)], 0, 0, -angle)[0]
        rail = abs(
            turn([(x - 128, y - 128)], 0, 0, -angle)[0][0] + side * min(off, 114)
        )
        return (
            (abs(u) < per_row * step / 2 + 9 and abs(v) < lines * high / 2 + 9)
            or rail < 10
            or near_marks(s, 5)(x, y)
        )

    trees = s.chance(0.6)
    if trees:
        scatter(s, 70, (3, 6), keep)
    fields_ = s.seen(label, colour, row=lines == 1)
    s.link(fields_, "beside", s.stuff("road"))
    if trees:
        s.link(fields_, "surrounded", s.stuff("trees"))
    s.link(s.crowd("building", tint), "beside", fields_)


def tennis_court(s):
    """Tennis courts, one to eight."""
    _courts(
        s, "tennis court", grounds.tennis, 8, {1: 80, 2: 62, 3: 58, 4: 52, 6: 48, 8: 43}
    )


def basketball_court(s):
    """Basketball courts, one to four."""
    _courts(s, "basketball court", grounds.basketball, 4, {1: 84, 2: 66, 3: 58, 4: 56})


def baseball_field(s):
    """One or two diamonds of clay in the grass."""
    c = s.canvas("lawn")
    count = s.pick((1, 1, 2, 4))
    trees = s.chance(0.6)
    r = {1: 178, 2: 108, 4: 92}[count]
    base = s.uniform(-0.15, 0.15)
    if count == 1:
        turned = s.pick((0.0, math.pi / 2, math.pi, -math.pi / 2)) + base + 0.785
        spots = [
            (128 - 0.5 * r * math.cos(turned), 128 - 0.5 * r * math.sin(turned), turned)
        ]
    else:
        d = 16
        angles = [base + 0.785 + k * 2 * math.pi / count for k in range(count)]
        spots = [(128 + d * math.cos(a), 128 + d * math.sin(a), a) for a in angles]
    y, x = np.mgrid[0:256, 0:256].astype(np.float32)
    path = (182, 124, 86)
    for hx, hy, a in spots:
        dx, dy = math.cos(a), math.sin(a)
        u = (x - hx) * dx + (y - hy) * dy
        v = -(x - hx) * dy + (y - hy) * dx
        far = np.hypot(u, v)
        wedge = np.maximum(np.abs(v) - np.abs(u) * 1.02 - 6, -u - 8)
        field = np.maximum(far - r, wedge)
        c.lay(field - 5, "clay", 1.5)
        mown = np.sign(np.sin(far * (2 * math.pi / 17)))
        lawn = np.array((86, 120, 62), np.float32)[:, None, None] * (1 + 0.035 * mown)
        c.lay(field, lawn, 1.2)
        mid = r * 0.30
        infield = np.maximum(np.hypot(u - mid, v) - r * 0.30, wedge)
        c.lay(infield, "clay", 1.5)
        square = np.abs(u - mid * 0.94) + np.abs(v) - mid * 0.72
        c.lay(square, lawn, 1.2)
        c.lay(np.hypot(u - mid * 0.95, v) - r * 0.035, "clay", 1.2)
        c.lay(np.hypot(u - 2, v) - r * 0.075, "clay", 1.2)
    for hx, hy, a in spots:
        for side in (-1, 1):
            b = a + side * 0.785
            c.line(
                [(hx, hy), (hx + r * math.cos(b), hy + r * math.sin(b))],
                0.8,
                (232, 230, 224),
            )
            for d in (0.42,):
                c.disc(
                    hx + r * d * math.cos(b),
                    hy + r * d * math.sin(b),
                    1.1,
                    (240, 240, 236),
                )
        pts = [(hx, hy)] + ellipse(
            hx, hy, r, r, steps=12, start=a - 0.785, end=a + 0.785
        )
        s.mark("baseball field", pts)
        if count == 1:
            for side in (-1, 1):
                b = a + math.pi + side * 0.95
                px = hx + 26 * math.cos(b)
                py = hy + 26 * math.sin(b)
                stand = rect(px, py, 9, 34, a + side * 0.78)
                c.poly(stand, (176, 178, 182), 4)
                for t in (-3, 0, 3):
                    ((qx, qy),) = turn([(t, 0)], px, py, a + side * 0.78)
                    c.line(
                        turn([(0, -16), (0, 16)], qx, qy, a + side * 0.78),
                        0.6,
                        (138, 140, 146),
                    )
    del path
    lot = s.chance(0.5) and count == 1
    if trees:
        inside = []
        for hx, hy, a in spots:
            inside.append((hx, hy, a))

        def keep(px, py):
            for hx, hy, a in inside:
                u = (px - hx) * math.cos(a) + (py - hy) * math.sin(a)
                v = -(px - hx) * math.sin(a) + (py - hy) * math.cos(a)
                if math.hypot(u, v) < r + 10 and u > abs(v) - 26:
                    return True
                if math.hypot(px - hx, py - hy) < 46:
                    return True
            return False

        scatter(s, 70, (3.5, 6.5), keep)
    del lot
    game = s.seen("baseball field", "", "large" if count == 1 else "")
    turf = s.stuff("grass")
    s.link(game, "on", turf)
    if trees:
        s.link(game, "surrounded", s.stuff("trees"))
        s.link(s.things[-1], "beside", game)
    s.link(s.stuff("infield", "brown"), "in", game)


def playground(s):
    """A running track around a pitch, school buildings beside it."""
    c = s.canvas(s.pick(("paved", "grass", "concrete")))
    colour = s.pick(("red", "blue", "orange"))
    tint = {"red": (166, 84, 66), "blue": (76, 104, 152), "orange": (190, 116, 70)}[
        colour
    ]
    infield = s.pick(("green", "brown"))
    lawn = (84, 120, 62) if infield == "green" else (150, 122, 84)
    angle = s.pick((0.0, math.pi / 2, 0.4, -0.4)) + s.uniform(-0.08, 0.08)
    side = s.pick((-1, 1))
    ((cx, cy),) = turn([(side * 30, 0)], 128, 128, angle)
    out = grounds.track(c, cx, cy, 116, 196, angle, tint, infield=lawn)
    s.mark("running track", out, colour=colour)
    tone_ = s.pick(("gray", "red", "white"))
    count = s.number(1, 4)
    v, span = -100.0, 206 / count
    for k in range(count):
        h = span - s.uniform(14, 20)
        ((x, y),) = turn([(side * -72, v + span / 2)], 128, 128, angle)
        w = s.uniform(24, 32)
        spot = rect(x, y, w, h, angle)
        buildings.block(c, x, y, w, h, angle, roof(s.rng, tone_), 11, 5)
        s.mark("building", spot, colour=tone_)
        v += span
    extra = s.chance(0.5)
    line = turn([(side * -108, -200), (side * -108, 200)], 128, 128, angle)
    c.road(line, 11, kerb=KERB)
    traffic(s, line, 11, 40)
    tree_row(s, turn([(side * -38, -200), (side * -38, 200)], 128, 128, angle), 9, 4)
    if extra:
        tree_row(
            s, turn([(side * 96, -200), (side * 96, 200)], 128, 128, angle), 8, 4.5
        )
    oval = s.seen("running track", colour)
    turf = s.stuff("football field", infield)
    s.link(oval, "around", turf)
    s.link(turf, "in", oval)
    houses = s.seen("building", tone_)
    s.link(oval, "beside", houses)
    s.link(houses, "beside", s.stuff("road"))
    s.link(s.stuff("trees"), "between", houses, oval)


def golf_course(s):
    """Fairways, greens, bunkers, a pond."""
    c = s.canvas("grass", s.pick(("dark green", "green")))
    angle = s.uniform(-0.6, 0.6)
    fair = []
    for d in (-62, 34):
        field, _ = fields.band(
            s.rng, angle, d + s.uniform(-12, 12), s.uniform(34, 44), 20, 260
        )
        fair.append(field)
        body = np.sin(fields.turned(angle)[0] / 3.2) * 0.025
        lawn = np.array((104, 138, 72), np.float32)[:, None, None] * (1 + body)
        c.lay(field, lawn, 3)
    pond = s.chance(0.6)
    water = s.pick(("blue", "green", "dark"))
    lakes = np.full((256, 256), 99.0, np.float32)
    if pond:
        px, py = (128 + 58 * s.pick((-1, 0, 1)) for _ in "xy")
        lakes = fields.blob(s.rng, px, py, 34, 22, s.uniform(0, 3), 0.2)
        c.water(lakes, water, 20)
        ys, xs = np.nonzero(lakes < 0)
        s.mark(
            "pond", [(xs.min(), ys.min()), (xs.max() + 1, ys.max() + 1)], colour=water
        )
    count = s.number(2, 7)
    made, greens = 0, 0
    for _ in range(80):
        x, y = s.rng.uniform(22, 234, 2)
        spot = rect(x, y, 26, 20)
        if fields.value(lakes, x, y) < 24 or not s.clear(spot, 5):
            continue
        edge = min(fields.value(f, x, y) for f in fair)
        if greens < 2 and edge < -8:
            out = lobed(s.rng, x, y, 14, 11, s.uniform(0, 3), 0.1)
            c.poly(out, (116, 150, 82))
            c.poly(lobed(s.rng, x, y, 11, 8.5, 0, 0.1), (126, 160, 92))
            c.disc(x + 2, y, 0.7, (236, 236, 230), 3)
            s.mark("green", out)
            greens += 1
        elif made < count and edge < 6:
            out = lobed(
                s.rng, x, y, s.uniform(9, 12), s.uniform(6, 8), s.uniform(0, 3), 0.3
            )
            c.poly(out, (222, 208, 172))
            c.line(out, 0.8, (98, 122, 66), close=True)
            s.mark("bunker", out, colour="white")
            made += 1
    scatter(
        s,
        110,
        (3.5, 6.5),
        lambda x, y: (
            fields.value(lakes, x, y) < 8
            or min(fields.value(f, x, y) for f in fair) < 5
            or near_marks(s, 5)(x, y)
        ),
    )
    path = s.chance(0.5)
    sand = s.seen("bunker", "white")
    turf = s.stuff("fairway", "green")
    s.link(sand, "on", turf)
    trees = s.stuff("trees")
    s.link(trees, "along", turf)
    if pond:
        s.link(s.seen("pond", water), "beside", turf)
        s.link(sand, "beside", s.things[-1])
    del path


SCENES = {
    "stadium": stadium,
    "tennis court": tennis_court,
    "basketball court": basketball_court,
    "baseball field": baseball_field,
    "playground": playground,
    "golf course": golf_course,
}
