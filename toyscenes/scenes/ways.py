"""Parking lot, intersection, roundabout, overpass."""

import math

from toyscenes.drawing import buildings, vehicles
from toyscenes.drawing.canvas import KERB
from toyscenes.drawing.geometry import (
    Frame,
    across,
    along,
    bezier,
    ellipse,
    polar,
    rect,
    shifted,
    turn,
)
from toyscenes.drawing.paint import paint, roof

DASH = (214, 210, 200)
BAY_LINE = (206, 204, 196)


def parking_lot(s):
    """Bays of parked cars that can be counted when they are few."""
    c = s.canvas("asphalt")
    frame = Frame(s.pick((0.0, math.pi / 2)) + s.uniform(-0.15, 0.15))
    full = s.pick(("many", "few", "half"))
    bays, step = 24, 8.0
    cars, draw = s.number(2, 9) if full == "few" else 0, s.traits.integers
    taken = {(int(draw(8)), int(draw(3, bays - 3))) for _ in range(cars)}
    colour = s.pick(("mixed", "white", "red", "black"))
    building = s.chance(0.5)
    tint = s.pick(("gray", "white", "brown"))
    side = s.pick((-1, 1))
    lawn = s.pick(("grass", "dry grass"))
    c.patch(frame.quad(-200, side * 104, 200, side * 200), lawn)
    c.line(frame.row(side * 104), 1.6, KERB)
    if building:
        spot = (*frame.at(0, -side * 121), 190, 40, frame.angle)
        buildings.block(c, *spot, roof(s.rng, tint), 11, 9)
        out = frame.quad(-96, -side * 100, 96, -side * 148)
        s.mark("building", out, colour=tint)
    islands = s.chance(0.5)
    end = bays / 2 * step
    for row, v in enumerate((-70, -24, 24, 70)):
        for way in (-1, 1):
            for k in range(bays + 1):
                u = (k - bays / 2) * step
                c.line(frame.points((u, v), (u, v + way * 10.5)), 0.5, BAY_LINE)
            for k in range(bays):
                if full == "few":
                    parked = (2 * row + (way > 0), k) in taken
                else:
                    parked = s.rng.random() <= (0.85 if full == "many" else 0.45)
                if parked:
                    u = (k + 0.5 - bays / 2) * step
                    spot = frame.at(u, v + way * 5.6)
                    facing = frame.angle + way * math.pi / 2
                    _park(s, *spot, facing, colour, full == "few")
        c.line(frame.points((-end, v), (end, v)), 0.5, BAY_LINE)
        for u in (-end - 5, end + 5) if islands and row in (0, 2) else ():
            c.patch(frame.quad(u - 4, v - 10, u + 4, v + 10), "lawn")
            x, y = frame.at(u, v)
            c.tree(x, y - 4, 4)
            c.tree(x, y + 4, 4)
    for v in (-47, 0, 47):
        for u in (-70, 60):
            c.line(frame.points((u, v), (u + 7, v)), 0.8, BAY_LINE)
    s.tree_row(frame.row(side * 112), 12, 4.5)
    state = s.seen if full == "few" else s.crowd
    cars = state("car", "" if colour == "mixed" else colour)
    shape = {"many": "crowded", "few": "nearly empty", "half": ""}[full]
    lot = s.stuff("parking lot", shape=shape)
    s.link(cars, "in", lot)
    s.link(cars, "on", "asphalt")
    s.link("trees", "beside", lot)
    if building:
        house = s.seen("building", tint)
        s.link(house, "beside", lot)
        s.link(lot, "beside", house)


def _park(s, x, y, facing, colour, counted):
    """A car in its bay; one at the edge is not drawn where cars count."""
    name = str(s.rng.choice(vehicles.TRAFFIC)) if colour == "mixed" else colour
    flip = math.pi if s.rng.random() < 0.4 else 0
    bay = rect(x, y, 8.4, 4.6, facing)
    inside = s.fits(bay, 1)
    if inside or not counted:
        body = facing + flip if inside else facing
        vehicles.car(s.c, x, y, body, paint(s.rng, name), 8.0, 4.2)
    if inside:
        s.mark("car", bay, colour=name)


def intersection(s):
    """Two roads that cross, with zebra crossings and stop lines."""
    ground = s.pick(("grass", "paved", "dry grass"))
    c = s.canvas(ground)
    frame = Frame(s.pick((0.0, 0.4, -0.4)) + s.uniform(-0.12, 0.12))
    angle = frame.angle
    s.outskirts(angle, 0.3)
    size = s.pick(("wide", "narrow"))
    half = 21 if size == "wide" else 12
    shape = s.pick(("crossroads", "t"))
    arms = (0, 1, 2, 3) if shape == "crossroads" else (0, 1, 2)
    tar, white = (108, 107, 107), (222, 220, 214)
    for width, tint in ((2 * half + 7, KERB), (2 * half, tar)):
        for k in arms:
            c.line([(128, 128), polar(230, angle + k * math.pi / 2)], width, tint)
    c.poly(rect(128, 128, 2 * half, 2 * half, angle), tar)
    for k in arms:
        arm = Frame(angle + k * math.pi / 2)
        c.line(arm.points((half + 14, 0), (230, 0)), 0.8, (206, 180, 96))
        for v in (-half / 2, half / 2) if size == "wide" else ():
            c.dashes(arm.points((half + 14, v), (230, v)), 0.5, white)
        v = -half + 2
        while v < half - 1:
            c.line(arm.points((half + 4, v), (half + 9.5, v)), 1.5, white)
            v += 3.4
        c.line(arm.points((half + 12, 1), (half + 12, half - 1)), 1.2, white)
        line = arm.points((half + 18, 0), (200, 0))
        s.traffic(line, half * 2, 34)
        if size == "wide":
            s.traffic(line, half * 2 * 0.45, 52)
    tint = s.pick(("gray", "red", "white", "brown"))
    built = s.chance(0.65)
    for sx, sy in ((-1, -1), (-1, 1), (1, -1), (1, 1)) if built else ():
        for _ in range(14):
            u = sx * (half + s.uniform(16, 90))
            v = sy * (half + s.uniform(16, 90))
            w, h = s.rng.uniform(24, 48, 2)
            free = min(abs(u) - w / 2, abs(v) - h / 2) > half + 6
            if free and s.clear(frame.rect(u, v, w, h), 7):
                spot = (*frame.at(u, v), w, h, angle)
                s.block("building", *spot, tint, (7, 15), 4)
    close = s.near_marks(4)

    def avoid(x, y):
        u, v = frame.local(x, y)
        road = abs(v) < half + 8 or (abs(u) < half + 8 and (3 in arms or v > 0))
        return road or close(x, y)

    s.scatter(40 if built else 90, avoid=avoid)
    ways = s.stuff("roads", size=size)
    s.link(ways, "meet", "intersection")
    s.link(s.crowd("building", tint) if built else None, "beside", ways)
    s.link(s.crowd("car"), "on", ways)
    s.link("trees", "beside", ways)
    s.link(s.stuff("crosswalks", "white"), "across", ways)
    if not built:
        s.link(ways, "across", ground)


def roundabout(s):
    """A ring of road about a green island, with three to five arms."""
    c = s.canvas(s.pick(("grass", "paved", "dry grass")))
    arms = s.number(3, 5)
    first = s.uniform(0, 6.28)
    r = s.uniform(40, 52)
    tar = (110, 109, 109)
    ways = [
        first + k * 2 * math.pi / arms + s.uniform(-0.15, 0.15) for k in range(arms)
    ]
    for d in ways:
        c.line([polar(r * 0.8, d), polar(230, d)], 20, KERB)
    c.disc(128, 128, r + 15, KERB)
    for d in ways:
        road = [polar(r * 0.8, d), polar(230, d)]
        c.line(road, 17, tar)
        c.dashes(road, 0.6, DASH)
        s.traffic([polar(r + 22, d), polar(230, d)], 17, 44)
    c.disc(128, 128, r + 13, tar)
    ring = ellipse(128, 128, r + 1, r + 1, steps=48)
    c.dashes(ring, 0.6, DASH)
    for x, y, a in along(ring, 40, s.uniform(0, 40)):
        if s.rng.random() < 0.7:
            s.car(x, y, a)
    inner = s.pick(("lawn", "trees", "fountain"))
    c.disc(128, 128, r - 10, KERB)
    c.patch(ellipse(128, 128, r - 12, r - 12, steps=40), "lawn")
    if inner == "trees":
        for _ in range(34):
            a, d = s.uniform(0, 6.28), (r - 19) * math.sqrt(s.uniform(0, 1))
            c.tree(*polar(d, a), s.uniform(3, 5.5))
    else:
        beds = ((150, 92, 84), (176, 160, 96), (104, 136, 74))
        for k, tint in enumerate(beds):
            bed = r - 18 - 5 * k
            c.line(ellipse(128, 128, bed, bed), 1.4, tint)
    if inner == "fountain":
        c.disc(128, 128, 10, (206, 200, 190), 1)
        c.disc(128, 128, 8, (100, 160, 178), 0)
        c.disc(128, 128, 3, (224, 234, 236), 3)
        s.mark("fountain", ellipse(128, 128, 10, 10))
    tint = s.pick(("gray", "red", "white"))
    built = s.chance(0.6)

    def on_road(x, y, gap):
        far, a = math.hypot(x - 128, y - 128), math.atan2(y - 128, x - 128)
        return far < r + 14 + gap or any(
            abs(far * math.sin(a - d)) < gap + 2 and math.cos(a - d) > 0 for d in ways
        )

    for x, y in s.spots(70 if built else 0, 6, 250):
        w, h, a = *s.rng.uniform(20, 36, 2), s.uniform(-0.2, 0.2)
        if not on_road(x, y, 32) and s.clear(rect(x, y, w, h, a), 6):
            s.block("building", x, y, w, h, a, tint, (6, 12), 3)
    close = s.near_marks(4)
    s.scatter(60, avoid=lambda x, y: on_road(x, y, 12) or close(x, y))
    s.mark("roundabout", ellipse(128, 128, r + 13, r + 13))
    circle = s.seen("roundabout")
    island = s.seen("fountain") if inner == "fountain" else inner
    s.link(island, "in_middle", circle)
    number = {3: "three", 4: "four", 5: "five"}[arms]
    s.link(s.stuff("roads", shape=number), "lead", circle)
    s.link(s.crowd("car"), "on", "road")
    s.link(s.crowd("building", tint) if built else None, "around", circle)


def overpass(s):
    """One highway above another, with ramps between them."""
    ground = s.pick(("grass", "dry grass", "bare soil"))
    c = s.canvas(ground)
    frame = Frame(s.uniform(-0.5, 0.5))
    low = across(frame.angle)
    high = across(frame.angle + math.pi / 2 + s.uniform(-0.25, 0.25))
    tar = (116, 115, 114)
    corners = [(1, 1), (-1, 1), (-1, -1), (1, -1)]
    loops = corners[: s.number(0, 4)]
    for sx, sy in loops:
        ring = ellipse(*frame.at(sx * 52, sy * 52), 34, 34, steps=40)
        c.line(ring, 13, KERB)
        c.line(ring, 10.5, tar)
        c.dashes(ring, 0.5, DASH)
    for sx, sy in corners:
        bow = bezier((190, 14), (100, 20), (20, 100), (14, 190))
        bow = turn([(sx * u, sy * v) for u, v in bow], 128, 128, frame.angle)
        c.line(bow, 12, KERB)
        c.line(bow, 9.5, tar)
        s.traffic(bow, 3, 90)
    c.line(low, 38, KERB)
    c.line(low, 34, (108, 107, 107))
    _lanes(s, low, 34)
    c.line(high, 34, KERB)
    c.line([high[9], high[15]], 33, (192, 188, 180), 9)
    c.line(high, 30, (120, 119, 117))
    _lanes(s, high, 30)

    def avoid(x, y):
        u, v = frame.local(x, y)
        rings = (math.hypot(u - sx * 52, v - sy * 52) for sx, sy in loops)
        road = abs(u) < 26 + abs(v) * 0.28 or abs(v) < 26
        bow = abs(abs(u * v) - 2600) < 1500
        return road or bow or any(abs(far - 34) < 12 for far in rings)

    s.scatter(90, avoid=avoid)
    s.mark("overpass", rect(128, 128, 60, 60))
    span = s.seen("overpass")
    way = s.stuff("highway", size="wide")
    s.link(span, "over", way)
    s.link(s.crowd("car"), "on", way)
    if loops:
        s.link(s.stuff("ramps", shape="round"), "beside", way)
    s.link("trees", "beside", way)
    s.link(way, "across", ground)


def _lanes(s, line, wide):
    """The marks and the traffic of a highway."""
    s.c.line(line, 1.6, (186, 180, 166))
    for d in (-wide / 4, wide / 4):
        s.c.dashes(shifted(line, d), 0.6, (222, 220, 214))
    for d in (-wide / 2 + 1.5, wide / 2 - 1.5):
        s.c.line(shifted(line, d), 0.5, (220, 218, 212))
    s.traffic(line, wide * 1.5, 26)
    s.traffic(line, wide * 0.5, 34)
