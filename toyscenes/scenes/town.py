"""Dense and sparse residential areas, church, resort."""

import math

from toyscenes.drawing import buildings, grounds, vehicles
from toyscenes.drawing.canvas import DRIVE, tone
from toyscenes.drawing.geometry import Frame, across, ellipse, rect, rounded
from toyscenes.drawing.paint import paint, roof


def dense_residential(s):
    """Streets of houses, close together."""
    c = s.canvas(s.pick(("grass", "dry grass", "paved")))
    frame = Frame(s.pick((0.0, 0.4, -0.4, 0.2)) + s.uniform(-0.08, 0.08))
    tint = s.pick(("red", "gray", "brown", "mixed"))
    names = ("red", "gray", "brown", "white") if tint == "mixed" else (tint,)
    size = s.pick(("small", "large"))
    w, depth = (15, 19) if size == "small" else (22, 26)
    wide = 11
    step = 2 * depth + 30 + wide
    trees = s.pick(("many", "few"))
    streets, cross = [-170 + s.uniform(0, step)], s.uniform(-70, 70)
    while streets[-1] + step < 190:
        streets.append(streets[-1] + step)
    for v in streets:
        c.road(frame.row(v), wide, marks=False)
    c.road(frame.column(cross), wide, marks=False)
    for v in streets:
        for way in (-1, 1):
            row = v + way * (wide / 2 + 7 + depth / 2)
            u = -190 + s.uniform(0, 10)
            while u < 190:
                gap = w * s.uniform(1.25, 1.5)
                if abs(u - cross) > wide / 2 + w * 0.7:
                    name = str(s.rng.choice(names))
                    _plot(s, frame, u, row, v, way, w, depth, name, trees)
                u += gap
    s.traffic(frame.row(streets[len(streets) // 2]), wide, 38)
    s.traffic(frame.column(cross), wide, 46)
    homes = s.crowd("house", "" if tint == "mixed" else tint)
    roads = s.stuff("roads")
    s.link(homes, "along", roads)
    s.link(homes, "in", s.stuff("residential area", shape="dense"))
    s.link(roads, "between", homes)
    if trees == "many":
        s.link("trees", "between", homes)


def _plot(s, frame, u, v, road, way, w, depth, name, trees):
    """A house with its drive, a tree behind it."""
    c = s.c
    x, y = frame.at(u, v)
    if not (-20 < x < 276 and -20 < y < 276):
        return
    side = u + w * 0.3
    drive = frame.points((side, v - way * depth * 0.4), (side, road + way * 6))
    c.line(drive, 3.6, DRIVE)
    deep, wide = depth * s.uniform(0.72, 0.95), w * s.uniform(0.85, 1.0)
    tint = roof(s.rng, name, 9)
    out = buildings.house(c, x, y, wide, deep, frame.angle, tint, 5.0)
    s.mark("house", out, colour=name)
    if s.rng.random() < 0.28:
        x, y = frame.at(side, v - way * (depth * 0.5 + 3))
        colour = paint(s.rng, str(s.rng.choice(vehicles.TRAFFIC)))
        facing = frame.angle + math.pi / 2
        s.mark("car", vehicles.car(c, x, y, facing, colour, 6.2, 3))
    share = 0.75 if trees == "many" else 0.15
    for a, b in ((0.62, 0.75), (-0.5, 0.85), (0.0, 0.95)):
        if s.rng.random() < share:
            c.tree(*frame.at(u + a * w, v + way * depth * b), s.uniform(2.6, 5.0))


def sparse_residential(s):
    """A few houses among lawns and trees; they can be counted."""
    ground = s.pick(("grass", "dry grass", "lawn"))
    c = s.canvas(ground, s.pick(("green", "dark green")))
    count = s.number(1, 5)
    tint = s.pick(("gray", "red", "brown", "white"))
    angle = s.pick((0.0, math.pi / 2, 0.5, -0.5)) + s.uniform(-0.1, 0.1)
    line = across(angle, s.uniform(-16, 16), s.uniform(-24, 24))
    c.line(line, 11, (112, 111, 110), 0.0)
    c.line(line, 0.6, (196, 172, 92))
    pools = s.chance(0.4)
    for _ in range(count * 20):
        if s.count("house") == count:
            break
        x, y = s.rng.uniform(38, 218, 2)
        near = min(line, key=lambda p: (p[0] - x) ** 2 + (p[1] - y) ** 2)
        gap = math.hypot(near[0] - x, near[1] - y)
        size = s.uniform(30, 38) if count < 4 else s.uniform(25, 30)
        if not 32 < gap < 84 or not s.clear(rect(x, y, size * 1.3, size * 1.3), 12):
            continue
        facing = math.atan2(near[1] - y, near[0] - x) - math.pi / 2
        plot = Frame(facing, x, y)
        c.line([plot.at(size * 0.3, 0), near], 6, DRIVE)
        if s.rng.random() < 0.6:
            buildings.wing_house(c, x, y, size, facing, roof(s.rng, tint), 6)
            s.mark("house", rect(x, y, size, size * 0.8, facing), colour=tint)
        else:
            spot = (x, y, size * 0.62, size, facing + math.pi / 2)
            s.house("house", spot, tint, 6)
        px, py = plot.at(-size * 0.75, -size * 0.45)
        basin = vehicles.kidney(px, py, 8, facing)
        dry = math.hypot(px - near[0], py - near[1]) > 20
        if pools and dry and s.fits(basin) and s.clear(basin, 1):
            grounds.pool(c, basin)
            s.mark("pool", basin, colour="blue")
    s.traffic(line, 11, 90)
    close = s.near_marks(7)

    def avoid(x, y):
        road = min((p[0] - x) ** 2 + (p[1] - y) ** 2 for p in line[::2])
        return close(x, y) or road < 240

    dense = s.chance(0.6)
    s.scatter(130 if dense else 40, (3.5, 7.5), avoid, 2)
    homes = s.seen("house", tint)
    way = s.stuff("road")
    trees = s.stuff("trees", shape="dense" if dense else "")
    s.link(homes, "beside", way)
    if dense:
        s.link(homes, "surrounded", trees)
    else:
        s.link(homes, "on", "grass" if ground == "lawn" else ground)
    s.link(s.seen("pool"), "beside", homes)
    s.link(way, "across", "residential area")


def church(s):
    """A church with a cross-shaped roof among other buildings."""
    c = s.canvas(s.pick(("paved", "grass", "concrete")))
    colour = s.pick(("red", "gray", "green", "brown"))
    angle = s.uniform(-0.7, 0.7) + s.pick((0.0, math.pi / 2))
    cx, cy = 128 + s.uniform(-14, 14), 128 + s.uniform(-14, 14)
    s.outskirts(angle, 0.5)
    yard, frame = Frame(angle, cx, cy), Frame(angle)
    wall = rounded(cx, cy, 112, 136, 10, angle)
    c.patch(wall, s.pick(("lawn", "paved")))
    c.line(wall, 3, (184, 178, 166), close=True)
    tint = roof(s.rng, colour)
    side = s.pick((-1, 1))
    s.street(across(angle + math.pi / 2, side * 84), 10, 44)
    choir = yard.at(0, -16)
    buildings.house(c, *choir, 24, 66, angle + math.pi / 2, tint, 10, 4)
    buildings.house(c, cx, cy, 26, 92, angle, tint, 13, 0)
    tower = s.pick(("tower", "dome"))
    if tower == "tower":
        buildings.pyramid(c, *yard.at(0, 50), 21, tone(tint, 0.9), angle, 26)
    else:
        buildings.dome(c, *choir, 15, (206, 200, 186), 22)
    s.mark("church", rect(cx, cy, 66, 104, angle), colour=colour)
    name = s.pick(("red", "gray", "brown"))

    def road(x, y):
        return abs(frame.local(x, y)[0] + side * 84)

    for x, y in s.spots(60, 4, 252):
        w, h = s.rng.uniform(18, 30), s.rng.uniform(26, 44)
        u, v = yard.local(x, y)
        free = abs(u) >= 76 or abs(v) >= 92
        if free and road(x, y) >= 24 and s.clear(rect(x, y, w, h, angle), 4):
            s.house("house", (x, y, w, h, angle), name, 7)
    close = s.near_marks(4)
    s.scatter(60, avoid=lambda x, y: close(x, y) or road(x, y) < 9)
    house = s.seen("church", colour)
    s.link(house, "surrounded", "trees")
    s.link(house, "beside", "road")
    s.link(s.crowd("house", name), "around", house)
    s.link(house, "have", s.stuff(tower, "white" if tower == "dome" else ""))


def resort(s):
    """Hotel blocks around pools, with palms and sunshades."""
    c = s.canvas(s.pick(("lawn", "sand", "grass")), "bright green")
    pools = s.number(1, 3)
    tint = s.pick(("white", "orange", "beige", "red"))
    frame = Frame(s.uniform(-0.3, 0.3))
    angle = frame.angle
    side = s.pick((-1, 1))
    deck = rounded(128, 128, 150, 128, 24, angle)
    c.patch(deck, "paved")
    c.line(deck, 2, (206, 198, 180), close=True)
    form = s.pick(("kidney", "round", "rectangular"))
    size = 38 if pools == 1 else 24
    spots = {
        1: [(0, 0)],
        2: [(-34, -14), (34, 14)],
        3: [(-42, -22), (0, 28), (42, -20)],
    }[pools]
    for x, y in frame.points(*spots):
        if form == "kidney":
            out = vehicles.kidney(x, y, size, s.uniform(0, 6))
        elif form == "round":
            out = ellipse(x, y, size * 0.75, size * 0.75)
        else:
            out = rect(x, y, size * 1.5, size * 0.85, angle)
        grounds.pool(c, out)
        s.mark("pool", out, colour="blue")
    close = s.near_marks(4)
    shade = s.pick(("white", "red", "blue"))
    for _ in range(60):
        x, y = frame.at(s.uniform(-68, 68), s.uniform(-56, 56))
        spot = rect(x, y, 4.4, 4.4)
        if not close(x, y) and s.clear(spot, 3) and s.count("umbrella") < 18:
            c.disc(x, y, 2.2, paint(s.rng, shade, 5), 2.5)
            s.mark("umbrella", spot, colour=shade)
    walls = [(0, -84, 150, 22, 14), (side * 98, 0, 22, 150, 12)]
    walls += [(0, 84, 150, 22, 14)] if s.chance(0.6) else []
    for u, v, w, h, tall in walls:
        s.block("hotel", *frame.at(u, v), w, h, angle, tint, tall, 6)
    s.street(across(angle, 112), 9, 44)
    close = s.near_marks(3)

    def avoid(x, y):
        return close(x, y) or abs(frame.local(x, y)[1] - 112) < 8

    s.scatter(90, (2.4, 4.2), avoid)
    basins = s.seen("pool", "blue", shape="" if form == "kidney" else form)
    houses = s.seen("hotel", tint)
    s.link(basins, "beside" if len(walls) < 3 else "between", houses)
    s.link(houses, "around", basins)
    s.link(s.seen("umbrella", shade), "beside", basins)
    s.link("trees", "around", basins)
    s.link(houses, "beside", "road")
