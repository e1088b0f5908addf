"""Parking lot, intersection, roundabout, overpass."""

import math

from toyscenes import buildings, vehicles
from toyscenes.geometry import along, bezier, ellipse, rect, shifted, turn
from toyscenes.paint import paint, roof
from toyscenes.scenes.common import (
    KERB,
    across,
    near_marks,
    outskirts,
    scatter,
    traffic,
    tree_row,
)


def parking_lot(s):
    """Bays of parked cars that can be counted when they are few."""
    c = s.canvas("asphalt")
    angle = s.pick((0.0, math.pi / 2)) + s.uniform(-0.15, 0.15)
    full = s.pick(("many", "few", "half"))
    share = {"many": 0.85, "half": 0.45}.get(full, 0.0)
    plan = set()
    rows_v = (-70, -24, 24, 70)
    bays = 24
    if full == "few":
        for _ in range(s.number(2, 9)):
            plan.add((int(s.traits.integers(8)), int(s.traits.integers(3, bays - 3))))
    mixed = s.pick(("mixed", "white", "red", "black"))
    building = s.chance(0.5)
    tint = s.pick(("gray", "white", "brown"))
    paint_line = (206, 204, 196)
    grass = s.pick((-1, 1))
    c.patch(
        turn(
            [
                (-200, grass * 104),
                (200, grass * 104),
                (200, grass * 200),
                (-200, grass * 200),
            ],
            128,
            128,
            angle,
        ),
        s.pick(("grass", "dry grass")),
    )
    c.line(turn([(-200, grass * 104), (200, grass * 104)], 128, 128, angle), 1.6, KERB)
    if building:
        out = turn(
            [
                (-96, -grass * 100),
                (96, -grass * 100),
                (96, -grass * 148),
                (-96, -grass * 148),
            ],
            128,
            128,
            angle,
        )
        ((x, y),) = turn([(0, -grass * 121)], 128, 128, angle)
        buildings.block(c, x, y, 190, 40, angle, roof(s.rng, tint), 11, 9)
        s.mark("building", out, colour=tint)
    step = 8.0
    island = s.chance(0.5)
    for r, v in enumerate(rows_v):
        for way in (-1, 1):
            lane = 2 * r + (way > 0)
            for k in range(bays + 1):
                u = (k - bays / 2) * step
                c.line(
                    turn([(u, v), (u, v + way * 10.5)], 128, 128, angle),
                    0.5,
                    paint_line,
                )
            for k in range(bays):
                u = (k + 0.5 - bays / 2) * step
                if full == "few":
                    if (lane, k) not in plan:
                        continue
                elif s.rng.random() > share:
                    continue
                ((x, y),) = turn([(u, v + way * 5.6)], 128, 128, angle)
                name = (
                    mixed if mixed != "mixed" else str(s.rng.choice(vehicles.TRAFFIC))
                )
                facing = angle + way * math.pi / 2
                flip = math.pi if s.rng.random() < 0.4 else 0
                shape = rect(x, y, 8.4, 4.6, facing)
                if not s.fits(shape, 1):
                    if full != "few":
                        vehicles.car(c, x, y, facing, paint(s.rng, name), 8.0, 4.2)
                    continue
                vehicles.car(c, x, y, facing + flip, paint(s.rng, name), 8.0, 4.2)
                s.mark("car", shape, colour=name)
        c.line(
            turn([(-bays / 2 * step, v), (bays / 2 * step, v)], 128, 128, angle),
            0.5,
            paint_line,
        )
        if island and r in (0, 2):
            for u in (-bays / 2 * step - 5, bays / 2 * step + 5):
                bed = turn(
                    [
                        (u - 4, v - 10),
                        (u + 4, v - 10),
                        (u + 4, v + 10),
                        (u - 4, v + 10),
                    ],
                    128,
                    128,
                    angle,
                )
                c.patch(bed, "lawn")
                ((x, y),) = turn([(u, v)], 128, 128, angle)
                c.tree(x, y - 4, 4)
                c.tree(x, y + 4, 4)
    for v in (-47, 0, 47):
        for u in (-70, 60):
            tip = turn([(u, v), (u + 7, v)], 128, 128, angle)
            c.line(tip, 0.8, paint_line)
    tree_row(
        s, turn([(-200, grass * 112), (200, grass * 112)], 128, 128, angle), 12, 4.5
    )
    say = s.seen if full == "few" else s.crowd
    cars = say("car", "" if mixed == "mixed" else mixed)
    lot = s.stuff(
        "parking lot", shape={"many": "crowded", "few": "nearly empty"}.get(full, "")
    )
    s.link(cars, "in", lot)
    s.link(cars, "on", s.stuff("asphalt"))
    s.link(s.stuff("trees"), "beside", lot)
    if building:
        house = s.seen("building", tint)
        s.link(house, "beside", lot)
        s.link(lot, "beside", house)


def _corners(s, angle, half, tint, inset=16):
    """Buildings and trees in the four corners between two roads."""
    for sx in (-1, 1):
        for sy in (-1, 1):
            for _ in range(14):
                u = sx * (half + s.uniform(inset, 90))
                v = sy * (half + s.uniform(inset, 90))
                w, h = s.rng.uniform(24, 48, 2)
                ((x, y),) = turn([(u, v)], 128, 128, angle)
                spot = rect(x, y, w, h, angle)
                free = min(abs(u) - w / 2, abs(v) - h / 2) > half + 6
                if free and s.clear(spot, 7):
                    buildings.block(
                        s.c, x, y, w, h, angle, roof(s.rng, tint), s.uniform(7, 15), 4
                    )
                    s.mark("building", spot, colour=tint)


def intersection(s):
    """Two roads that cross, with zebra crossings and stop lines."""
    ground = s.pick(("grass", "paved", "dry grass"))
    c = s.canvas(ground)
    angle = s.pick((0.0, 0.4, -0.4)) + s.uniform(-0.12, 0.12)
    outskirts(s, angle, 0.3)
    size = s.pick(("wide", "narrow"))
    half = 21 if size == "wide" else 12
    shape = s.pick(("crossroads", "t"))
    arms = (0, 1, 2, 3) if shape == "crossroads" else (0, 1, 2)
    tar, white = (108, 107, 107), (222, 220, 214)
    for k in arms:
        d = angle + k * math.pi / 2
        far = [(128, 128), (128 + 230 * math.cos(d), 128 + 230 * math.sin(d))]
        c.line(far, 2 * half + 7, KERB)
    for k in arms:
        d = angle + k * math.pi / 2
        far = [(128, 128), (128 + 230 * math.cos(d), 128 + 230 * math.sin(d))]
        c.line(far, 2 * half, tar)
    c.poly(rect(128, 128, 2 * half, 2 * half, angle), tar)
    for k in arms:
        d = angle + k * math.pi / 2

        def at(u, v, d=d):
            return (
                128 + u * math.cos(d) - v * math.sin(d),
                128 + u * math.sin(d) + v * math.cos(d),
            )

        c.line([at(half + 14, 0), at(230, 0)], 0.8, (206, 180, 96))
        if size == "wide":
            for v in (-half / 2, half / 2):
                c.dashes([at(half + 14, v), at(230, v)], 0.5, white)
        v = -half + 2
        while v < half - 1:
            c.line([at(half + 4, v), at(half + 9.5, v)], 1.5, white)
            v += 3.4
        c.line([at(half + 12, 1), at(half + 12, half - 1)], 1.2, white)
        line = [at(half + 18, 0), at(200, 0)]
        lanes = half * 2
        traffic(s, line, lanes, 34)
        if size == "wide":
            traffic(s, line, lanes * 0.45, 52)
    tint = s.pick(("gray", "red", "white", "brown"))
    built = s.chance(0.65)
    if built:
        _corners(s, angle, half, tint)
    close = near_marks(s, 4)

    def keep(x, y):
        u, v = turn([(x - 128, y - 128)], 0, 0, -angle)[0]
        road = abs(v) < half + 8 or (abs(u) < half + 8 and (3 in arms or v > 0))
        return road or close(x, y)

    scatter(s, 40 if built else 90, (3, 5.5), keep)
    ways = s.stuff("roads", size=size)
    s.link(ways, "meet", s.stuff("intersection"))
    houses = s.crowd("building", tint) if built else None
    s.link(houses, "beside", ways)
    s.link(s.crowd("car"), "on", ways)
    s.link(s.stuff("trees"), "beside", ways)
    s.link(s.stuff("crosswalks", "white"), "across", ways)
    if not built:
        s.link(ways, "across", s.stuff(ground))


def roundabout(s):
    """A ring of road about a green island, with three or four arms."""
    ground = s.pick(("grass", "paved", "dry grass"))
    c = s.canvas(ground)
    arms = s.number(3, 5)
    first = s.uniform(0, 6.28)
    r = s.uniform(40, 52)
    tar = (110, 109, 109)
    ways = [
        first + k * 2 * math.pi / arms + s.uniform(-0.15, 0.15) for k in range(arms)
    ]
    for d in ways:
        far = [
            (128 + r * 0.8 * math.cos(d), 128 + r * 0.8 * math.sin(d)),
            (128 + 230 * math.cos(d), 128 + 230 * math.sin(d)),
        ]
        c.line(far, 20, KERB)
    c.disc(128, 128, r + 15, KERB)
    for d in ways:
        far = [
            (128 + r * 0.8 * math.cos(d), 128 + r * 0.8 * math.sin(d)),
            (128 + 230 * math.cos(d), 128 + 230 * math.sin(d)),
        ]
        c.line(far, 17, tar)
        c.dashes([far[0], far[1]], 0.6, (214, 210, 200))
        out = far[1]
        traffic(
            s,
            [(128 + (r + 22) * math.cos(d), 128 + (r + 22) * math.sin(d)), out],
            17,
            44,
        )
    c.disc(128, 128, r + 13, tar)
    ring = ellipse(128, 128, r + 1, r + 1, steps=48)
    c.dashes(ring, 0.6, (214, 210, 200))
    for x, y, a in along(ring, 40, s.uniform(0, 40)):
        if s.rng.random() < 0.7:
            name = str(s.rng.choice(vehicles.TRAFFIC))
            body = vehicles.car(c, x, y, a, paint(s.rng, name))
            s.mark("car", body, colour=name)
    inner = s.pick(("lawn", "trees", "fountain"))
    c.disc(128, 128, r - 10, KERB)
    c.patch(ellipse(128, 128, r - 12, r - 12, steps=40), "lawn")
    if inner == "trees":
        for _ in range(34):
            a, d = s.uniform(0, 6.28), (r - 19) * math.sqrt(s.uniform(0, 1))
            c.tree(128 + d * math.cos(a), 128 + d * math.sin(a), s.uniform(3, 5.5))
    else:
        for k in range(3):
            c.line(
                ellipse(128, 128, r - 18 - 5 * k, r - 18 - 5 * k),
                1.4,
                ((150, 92, 84), (176, 160, 96), (104, 136, 74))[k],
            )
    if inner == "fountain":
        c.disc(128, 128, 10, (206, 200, 190), 1)
        c.disc(128, 128, 8, (100, 160, 178), 0)
        c.disc(128, 128, 3, (224, 234, 236), 3)
        s.mark("fountain", ellipse(128, 128, 10, 10))
    tint = s.pick(("gray", "red", "white"))
    built = s.chance(0.6)

    def keep(x, y, gap=12):
        far = math.hypot(x - 128, y - 128)
        if far < r + 14 + gap:
            return True
        a = math.atan2(y - 128, x - 128)
        return any(
            abs(far * math.sin(a - d)) < gap + 2 and math.cos(a - d) > 0 for d in ways
        )

    if built:
        for _ in range(70):
            x, y = s.rng.uniform(6, 250, 2)
            w, h = s.rng.uniform(20, 36, 2)
            a = s.uniform(-0.2, 0.2)
            spot = rect(x, y, w, h, a)
            if not keep(x, y, 32) and s.clear(spot, 6):
                buildings.block(
                    c, x, y, w, h, a, roof(s.rng, tint), s.uniform(6, 12), 3
                )
                s.mark("building", spot, colour=tint)
    close = near_marks(s, 4)
    scatter(s, 60, (3, 5.5), lambda x, y: keep(x, y) or close(x, y))
    s.mark("roundabout", ellipse(128, 128, r + 13, r + 13))
    circle = s.seen("roundabout")
    island = s.seen("fountain") if inner == "fountain" else s.stuff(inner)
    s.link(island, "in_middle", circle)
    s.link(
        s.stuff("roads", shape=("", "", "", "three", "four", "five")[arms]),
        "lead",
        circle,
    )
    s.link(s.crowd("car"), "on", s.stuff("road"))
    s.link(s.crowd("building", tint) if built else None, "around", circle)


def overpass(s):
    """One highway above another, with ramps between them."""
    ground = s.pick(("grass", "dry grass", "bare soil"))
    c = s.canvas(ground)
    angle = s.uniform(-0.5, 0.5)
    low = across(s, angle, 0)
    high = across(s, angle + math.pi / 2 + s.uniform(-0.25, 0.25), 0)
    loops = s.number(0, 4)
    tar = (116, 115, 114)
    turned = [(1, 1), (-1, 1), (-1, -1), (1, -1)][:loops]
    for sx, sy in turned:
        centre = turn([(sx * 52, sy * 52)], 128, 128, angle)[0]
        ring = ellipse(*centre, 34, 34, steps=40)
        c.line(ring, 13, KERB)
        c.line(ring, 10.5, tar)
        c.dashes(ring, 0.5, (214, 210, 200))
    for sx, sy in [(1, 1), (-1, 1), (-1, -1), (1, -1)]:
        bow = bezier(
            (sx * 190, sy * 14),
            (sx * 100, sy * 20),
            (sx * 20, sy * 100),
            (sx * 14, sy * 190),
        )
        bow = turn(bow, 128, 128, angle)
        c.line(bow, 12, KERB)
        c.line(bow, 9.5, tar)
        traffic(s, bow, 3, 90)
    for line, wide, tall in ((low, 34, 0), (high, 30, 9)):
        if tall:
            (a, b) = (high[9], high[15])
            c.line(line, wide + 4, KERB)
            c.line([a, b], wide + 3, (192, 188, 180), tall)
            c.line(line, wide, (120, 119, 117), None)
        else:
            c.line(line, wide + 4, KERB)
            c.line(line, wide, (108, 107, 107))
        c.line(line, 1.6, (186, 180, 166))
        for d in (-wide / 4, wide / 4):
            c.dashes(shifted(line, d), 0.6, (222, 220, 214))
        for d in (-wide / 2 + 1.5, wide / 2 - 1.5):
            c.line(shifted(line, d), 0.5, (220, 218, 212))
        traffic(s, line, wide * 1.5, 26)
        traffic(s, line, wide * 0.5, 34)
    under = [m for m in s.marks]
    del under
    close = [high, low]

    def keep(x, y):
        u, v = turn([(x - 128, y - 128)], 0, 0, -angle)[0]
        if abs(u) < 26 + abs(v) * 0.28 or abs(v) < 26:
            return True
        for sx, sy in turned:
            if abs(math.hypot(u - sx * 52, v - sy * 52) - 34) < 12:
                return True
        return abs(abs(u * v) - 2600) < 1500

    scatter(s, 90, (3, 5.5), keep)
    del close
    s.mark("overpass", rect(128, 128, 60, 60, 0))
    span = s.seen("overpass")
    way = s.stuff("highway", size="wide")
    s.link(span, "over", way)
    s.link(s.crowd("car"), "on", way)
    if loops:
        ramps = s.stuff("ramps", shape="round")
        s.link(ramps, "beside", way)
    s.link(s.stuff("trees"), "beside", way)
    s.link(way, "across", s.stuff(ground))


SCENES = {
    "parking lot": parking_lot,
    "intersection": intersection,
    "roundabout": roundabout,
    "overpass": overpass,
}
