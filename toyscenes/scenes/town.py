"""Dense and sparse residential areas, church, resort."""

import math

from toyscenes import buildings, grounds, vehicles
from toyscenes.canvas import tone
from toyscenes.geometry import ellipse, rect, rounded, turn
from toyscenes.paint import paint, roof
from toyscenes.scenes.common import (
    KERB,
    across,
    driveway,
    near_marks,
    outskirts,
    scatter,
    traffic,
)


def dense_residential(s):
    """Streets of houses, close together."""
    c = s.canvas(s.pick(("grass", "dry grass", "paved")))
    angle = s.pick((0.0, 0.4, -0.4, 0.2)) + s.uniform(-0.08, 0.08)
    tint = s.pick(("red", "gray", "brown", "mixed"))
    names = (tint,) if tint != "mixed" else ("red", "gray", "brown", "white")
    size = s.pick(("small", "large"))
    w = 15 if size == "small" else 22
    depth = 19 if size == "small" else 26
    street = 11
    step = 2 * depth + 30 + street
    trees = s.pick(("many", "few"))
    first = -170 + s.uniform(0, step)
    cross = s.uniform(-70, 70)
    v = first
    streets = []
    while v < 190:
        streets.append(v)
        v += step
    for v in streets:
        line = turn([(-200, v), (200, v)], 128, 128, angle)
        c.road(line, street, kerb=KERB, marks=None)
    side_line = turn([(cross, -200), (cross, 200)], 128, 128, angle)
    c.road(side_line, street, kerb=KERB, marks=None)
    for v in streets:
        for way in (-1, 1):
            row_v = v + way * (street / 2 + 7 + depth / 2)
            u = -190 + s.uniform(0, 10)
            while u < 190:
                gap = w * s.uniform(1.25, 1.5)
                if abs(u - cross) > street / 2 + w * 0.7:
                    _plot(
                        s,
                        u,
                        row_v,
                        v,
                        way,
                        w,
                        depth,
                        angle,
                        str(s.rng.choice(names)),
                        trees,
                    )
                u += gap
    traffic_line = turn(
        [(-200, streets[len(streets) // 2]), (200, streets[len(streets) // 2])],
        128,
        128,
        angle,
    )
    traffic(s, traffic_line, street, 38)
    traffic(s, side_line, street, 46)
    homes = s.crowd("house", "" if tint == "mixed" else tint)
    roads = s.stuff("roads")
    s.link(homes, "along", roads)
    s.link(homes, "in", s.stuff("residential area", shape="dense"))
    s.link(roads, "between", homes)
    if trees == "many":
        s.link(s.stuff("trees"), "between", homes)


def _plot(s, u, v, street, way, w, depth, angle, name, trees):
    """A house with its drive, a tree behind it."""
    c = s.c
    ((x, y),) = turn([(u, v)], 128, 128, angle)
    if not (-20 < x < 276 and -20 < y < 276):
        return
    front = turn(
        [(u + w * 0.3, v - way * depth * 0.4), (u + w * 0.3, street + way * 6)],
        128,
        128,
        angle,
    )
    driveway(c, *front[0], *front[1], 3.6)
    deep = depth * s.uniform(0.72, 0.95)
    wide = w * s.uniform(0.85, 1.0)
    out = buildings.house(c, x, y, wide, deep, angle, roof(s.rng, name, 9), 5.0)
    s.mark("house", out, colour=name)
    if s.rng.random() < 0.28:
        ((px, py),) = turn(
            [(u + w * 0.3, v - way * (depth * 0.5 + 3))], 128, 128, angle
        )
        body = vehicles.car(
            c,
            px,
            py,
            angle + math.pi / 2,
            paint(s.rng, str(s.rng.choice(vehicles.TRAFFIC))),
            6.2,
            3,
        )
        s.mark("car", body)
    spots = ((0.62, 0.75), (-0.5, 0.85), (0.0, 0.95))
    share = 0.75 if trees == "many" else 0.15
    for a, b in spots:
        if s.rng.random() < share:
            ((px, py),) = turn([(u + a * w, v + way * depth * b)], 128, 128, angle)
            c.tree(px, py, s.uniform(2.6, 5.0))


def sparse_residential(s):
    """A few houses among lawns and trees; they can be counted."""
    ground = s.pick(("grass", "dry grass", "lawn"))
    c = s.canvas(ground, s.pick(("green", "dark green")))
    count = s.number(1, 5)
    tint = s.pick(("gray", "red", "brown", "white"))
    angle = s.pick((0.0, math.pi / 2, 0.5, -0.5)) + s.uniform(-0.1, 0.1)
    off = s.uniform(-16, 16)
    line = across(s, angle, off, s.uniform(-24, 24))
    c.road(line, 11, kerb=None, marks="yellow")
    pools = s.chance(0.4)
    made = 0
    for _ in range(count * 20):
        if made == count:
            break
        x, y = s.rng.uniform(38, 218, 2)
        near = min(line, key=lambda p: (p[0] - x) ** 2 + (p[1] - y) ** 2)
        gap = math.hypot(near[0] - x, near[1] - y)
        size = s.uniform(30, 38) if count < 4 else s.uniform(25, 30)
        spot = rect(x, y, size * 1.3, size * 1.3)
        if not (32 < gap < 84) or not s.clear(spot, 12):
            continue
        facing = math.atan2(near[1] - y, near[0] - x) - math.pi / 2
        ((px, py),) = turn([(size * 0.3, 0)], x, y, facing)
        driveway(c, px, py, near[0], near[1], 6)
        if s.rng.random() < 0.6:
            out = buildings.wing_house(c, x, y, size, facing, roof(s.rng, tint), 6)
            out = rect(x, y, size, size * 0.8, facing)
        else:
            out = buildings.house(
                c, x, y, size * 0.62, size, facing + math.pi / 2, roof(s.rng, tint), 6
            )
        s.mark("house", out, colour=tint)
        made += 1
        ((qx, qy),) = turn([(-size * 0.75, -size * 0.45)], x, y, facing)
        basin = vehicles.kidney(qx, qy, 8, facing)
        if (
            pools
            and s.fits(basin)
            and s.clear(basin, 1)
            and math.hypot(qx - near[0], qy - near[1]) > 20
        ):
            grounds.pool(c, basin)
            s.mark("pool", basin, colour="blue")
    traffic(s, line, 11, 90)
    close = near_marks(s, 7)

    def keep(x, y):
        return (
            close(x, y)
            or min((p[0] - x) ** 2 + (p[1] - y) ** 2 for p in line[::2]) < 240
        )

    dense = s.chance(0.6)
    scatter(s, 130 if dense else 40, (3.5, 7.5), keep, 2)
    homes = s.seen("house", tint)
    way = s.stuff("road")
    trees = s.stuff("trees", shape="dense" if dense else "")
    s.link(homes, "beside", way)
    if dense:
        s.link(homes, "surrounded", trees)
    else:
        s.link(homes, "on", s.stuff("grass" if ground == "lawn" else ground))
    s.link(s.seen("pool"), "beside", homes)
    s.link(way, "across", s.stuff("residential area"))


def church(s):
    """A church with a cross-shaped roof among other buildings."""
    c = s.canvas(s.pick(("paved", "grass", "concrete")))
    colour = s.pick(("red", "gray", "green", "brown"))
    angle = s.uniform(-0.7, 0.7) + s.pick((0.0, math.pi / 2))
    cx, cy = 128 + s.uniform(-14, 14), 128 + s.uniform(-14, 14)
    outskirts(s, angle, 0.5)
    yard = rounded(cx, cy, 112, 136, 10, angle)
    c.patch(yard, s.pick(("lawn", "paved")))
    c.line(yard, 3, (184, 178, 166), close=True)
    tint = roof(s.rng, colour)
    side = s.pick((-1, 1))
    line = across(s, angle + math.pi / 2, side * 84)
    c.road(line, 10, kerb=KERB)
    traffic(s, line, 10, 44)
    ((ax, ay),) = turn([(0, -16)], cx, cy, angle)
    buildings.house(c, ax, ay, 24, 66, angle + math.pi / 2, tint, 10, 4)
    buildings.house(c, cx, cy, 26, 92, angle, tint, 13, 0)
    ((tx, ty),) = turn([(0, 50)], cx, cy, angle)
    tower = s.pick(("tower", "dome"))
    if tower == "tower":
        buildings.pyramid(c, tx, ty, 21, tone(tint, 0.9), angle, 26)
    else:
        buildings.dome(c, ax, ay, 15, (206, 200, 186), 22)
    s.mark("church", rect(cx, cy + 0, 66, 104, angle), colour=colour)
    name = s.pick(("red", "gray", "brown"))
    for _ in range(60):
        x, y = s.rng.uniform(4, 252, 2)
        w, h = s.rng.uniform(18, 30), s.rng.uniform(26, 44)
        spot = rect(x, y, w, h, angle)
        u, v = turn([(x - cx, y - cy)], 0, 0, -angle)[0]
        rail = turn([(x - 128, y - 128)], 0, 0, -angle)[0][0] + side * 84
        if (abs(u) < 76 and abs(v) < 92) or abs(rail) < 24 or not s.clear(spot, 4):
            continue
        out = buildings.house(c, x, y, w, h, angle, roof(s.rng, name), 7)
        s.mark("house", out, colour=name)
    close = near_marks(s, 4)
    scatter(
        s,
        60,
        (3, 5.5),
        lambda x, y: (
            close(x, y)
            or abs(turn([(x - 128, y - 128)], 0, 0, -angle)[0][0] + side * 84) < 9
        ),
    )
    house = s.seen("church", colour)
    s.link(house, "surrounded", s.stuff("trees"))
    s.link(house, "beside", s.stuff("road"))
    s.link(s.crowd("house", name), "around", house)
    if tower == "dome":
        s.link(house, "have", s.stuff("dome", "white"))
    else:
        s.link(house, "have", s.stuff("tower"))


def resort(s):
    """Hotel blocks around pools, with palms and sunshades."""
    c = s.canvas(s.pick(("lawn", "sand", "grass")), "bright green")
    pools = s.number(1, 3)
    tint = s.pick(("white", "orange", "beige", "red"))
    angle = s.uniform(-0.3, 0.3)
    side = s.pick((-1, 1))
    deck = rounded(128, 128, 150, 128, 24, angle)
    c.patch(deck, "paved")
    c.line(deck, 2, (206, 198, 180), close=True)
    at = {1: [(0, 0)], 2: [(-34, -14), (34, 14)], 3: [(-42, -22), (0, 28), (42, -20)]}[
        pools
    ]
    form = s.pick(("kidney", "round", "rectangular"))
    size = 38 if pools == 1 else 24
    for u, v in at:
        ((x, y),) = turn([(u, v)], 128, 128, angle)
        if form == "kidney":
            out = vehicles.kidney(x, y, size, s.uniform(0, 6))
        elif form == "round":
            out = ellipse(x, y, size * 0.75, size * 0.75)
        else:
            out = rect(x, y, size * 1.5, size * 0.85, angle)
        grounds.pool(c, out)
        s.mark("pool", out, colour="blue")
    close = near_marks(s, 4)
    shade = s.pick(("white", "red", "blue"))
    for _ in range(60):
        u, v = s.uniform(-68, 68), s.uniform(-56, 56)
        ((x, y),) = turn([(u, v)], 128, 128, angle)
        spot = rect(x, y, 4.4, 4.4)
        if (
            not close(x, y)
            and s.clear(spot, 3)
            and sum(m.label == "umbrella" for m in s.marks) < 18
        ):
            c.disc(x, y, 2.2, paint(s.rng, shade, 5), 2.5)
            s.mark("umbrella", spot, colour=shade)
    walls = [(0, -84, 150, 22), (side * 98, 0, 22, 150)]
    if s.chance(0.6):
        walls.append((0, 84, 150, 22))
    for u, v, w, h in walls:
        ((x, y),) = turn([(u, v)], 128, 128, angle)
        out = rect(x, y, w, h, angle)
        if w > h:
            buildings.block(c, x, y, w, h, angle, roof(s.rng, tint), 14, 6)
        else:
            buildings.block(c, x, y, w, h, angle, roof(s.rng, tint), 12, 6)
        s.mark("hotel", out, colour=tint)
    line = across(s, angle, 112)
    c.road(line, 9, kerb=KERB)
    traffic(s, line, 9, 44)
    close2 = near_marks(s, 3)
    scatter(
        s,
        90,
        (2.4, 4.2),
        lambda x, y: (
            close2(x, y)
            or abs(turn([(x - 128, y - 128)], 0, 0, -angle)[0][1] - 112) < 8
        ),
    )
    basins = s.seen("pool", "blue", shape="" if form == "kidney" else form)
    houses = s.seen("hotel", tint)
    s.link(basins, "beside" if len(walls) < 3 else "between", houses)
    s.link(houses, "around", basins)
    s.link(s.seen("umbrella", shade), "beside", basins)
    s.link(s.stuff("trees"), "around", basins)
    s.link(houses, "beside", s.stuff("road"))


SCENES = {
    "dense residential": dense_residential,
    "sparse residential": sparse_residential,
    "church": church,
    "resort": resort,
}
