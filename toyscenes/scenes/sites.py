"""Airport, storage tanks, solar farm, industrial area."""

import math

from toyscenes import buildings, vehicles
from toyscenes.canvas import tone
from toyscenes.geometry import rect, rounded, turn
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


def airport(s):
    """A runway, an apron with planes in a row, a terminal."""
    ground = s.pick(("grass", "dry grass", "bare soil"))
    c = s.canvas(ground)
    angle = s.pick((0.0, 0.5, -0.5, math.pi / 2, 1.1)) + s.uniform(-0.1, 0.1)
    side = s.pick((1, -1))
    cos, sin = math.cos(angle), math.sin(angle)

    def at(u, v):
        return (128 + u * cos - v * sin * side, 128 + u * sin + v * cos * side)

    strip = [at(-200, -72), at(200, -72)]
    c.line(strip, 34, (132, 130, 126))
    c.line(strip, 26, (98, 98, 99))
    c.dashes(strip, 0.8, (220, 218, 212), 9, 7)
    for edge in (-11.5, 11.5):
        c.line([at(-200, -72 + edge), at(200, -72 + edge)], 0.6, (210, 208, 202))
    bars = s.uniform(-70, 70)
    for k in range(8):
        v = -72 + (k - 3.5) * 2.8
        c.line([at(bars, v), at(bars + 14, v)], 1.2, (222, 220, 214))
    c.line([at(-200, -30), at(200, -30)], 13, (126, 125, 122))
    c.line([at(-200, -30), at(200, -30)], 0.6, (196, 172, 92))
    for u in (-84, 74):
        c.line([at(u, -72), at(u + 16, -30)], 11, (126, 125, 122))
    c.patch([at(-150, -24), at(150, -24), at(150, 62), at(-150, 62)], "concrete")
    for k in range(-7, 8):
        c.line([at(k * 20, -24), at(k * 20, 62)], 0.4, (146, 143, 137))
    count, colour = s.number(1, 7), s.pick(("white", "white", "gray"))
    accent = s.pick(("blue", "red", "white", "orange"))
    gap = min(214 / count, 44)
    length = min(gap * s.uniform(0.86, 0.95), 36) if count > 4 else s.uniform(31, 38)
    start = s.uniform(-1, 1) * (107 - gap * count / 2)
    wide = (count * gap + 44) if count > 1 else 80
    mid = start
    color = s.pick(("gray", "white", "blue", "brown"))
    hall = [
        at(mid - wide / 2, 46),
        at(mid + wide / 2, 46),
        at(mid + wide / 2, 66),
        at(mid - wide / 2, 66),
    ]
    x, y = at(mid, 57)
    buildings.block(c, x, y, wide, 20, angle, roof(s.rng, color), 9, 7)
    s.mark("terminal", hall, colour=color)
    white = paint(s.rng, colour, 4)
    for k in range(count):
        u = start + (k - (count - 1) / 2) * gap
        nose = angle + math.pi / 2 * side
        jx, jy = at(u, 42)
        px, py = at(u, 44 - length / 2 - 4)
        c.line([(jx, jy), at(u + 3, 30)], 2.6, (186, 184, 178), 3)
        body = vehicles.plane(
            c,
            px,
            py,
            nose + s.uniform(-0.04, 0.04),
            length,
            white,
            paint(s.rng, accent),
        )
        s.mark("plane", body, colour=colour)
    far = [at(-200, 90), at(200, 90)]
    c.road(far, 9, kerb=KERB)
    traffic(s, far, 9, 30)
    scatter(s, 26, avoid=lambda x, y: _rail(x, y, cos, sin, side) < 99)
    planes = s.seen("plane", colour, row=True)
    hall = s.seen("terminal", color)
    way = s.stuff("runway", size="", shape=s.pick(("long", "straight")))
    turf = s.stuff(ground)
    s.link(planes, "beside", hall)
    s.link(planes, "on", s.stuff("apron"))
    s.link(way, "across", turf)
    s.link(hall, "beside", way)


def _rail(x, y, cos, sin, side):
    return (-(x - 128) * sin + (y - 128) * cos) * side


def storage_tanks(s):
    """Round tanks in a row, in a grid or about, on paved ground."""
    ground = s.pick(("paved", "bare soil", "dry grass", "concrete"))
    c = s.canvas(ground)
    colour = s.pick(("white", "gray", "brown", "green"))
    size = s.pick(("large", "small"))
    angle = s.uniform(-0.35, 0.35)
    radius = s.uniform(25, 31) if size == "large" else s.uniform(12, 15)
    most = 4 if size == "large" else 10
    count = s.number(1, most)
    across_n = {1: 1, 2: 2, 3: 3, 4: 2}.get(count, (count + 1) // 2)
    if size == "large" and count == 3:
        across_n = 2
    step = radius * 2.7
    down_n = -(-count // across_n)
    wide, high = across_n * step + 8, down_n * step + 8
    cx, cy = s.uniform(118, 138), s.uniform(118, 138)
    side = s.pick((-1, 1))
    outskirts(s, angle, 0.5)
    road = across(s, angle + math.pi / 2, side * 113)
    c.road(road, 10, kerb=KERB)
    traffic(s, road, 10, 60)
    c.patch(rounded(cx, cy, wide + 12, high + 12, 6, angle), "concrete")
    c.patch(
        rounded(cx, cy, wide, high, 4, angle), s.pick(("bare soil", "asphalt", "paved"))
    )
    c.line(
        rounded(cx, cy, wide + 2, high + 2, 5, angle),
        1.6,
        (176, 172, 162),
        2,
        close=True,
    )
    spots = [
        (
            (k % across_n - (across_n - 1) / 2) * step,
            (k // across_n - (down_n - 1) / 2) * step,
        )
        for k in range(count)
    ]
    floating = s.chance(0.3)
    tint = paint(s.rng, colour, 4)
    for x, y in turn(spots, cx, cy, angle):
        c.line([(x, y), (cx, y + step * 0.5)], 1.0, (140, 136, 128), 1)
    for x, y in turn(spots, cx, cy, angle):
        ring = buildings.tank(c, x, y, radius, tint, floating, radius * 0.45)
        s.mark("tank", ring, colour=colour)
    sheds = 0
    for _ in range(s.number(0, 3) * 5):
        x, y = s.rng.uniform(24, 232, 2)
        w, h = s.rng.uniform(12, 26, 2)
        points = rect(x, y, w, h, angle)
        gone = turn([(x - cx, y - cy)], 0, 0, -angle)[0]
        far = abs(gone[0]) > wide / 2 + 20 or abs(gone[1]) > high / 2 + 20
        rail = abs(
            (x - 128) * math.cos(angle) + (y - 128) * math.sin(angle) + side * 113
        )
        if far and rail > 26 and s.clear(points) and sheds < 3:
            buildings.hall(c, x, y, w, h, angle, roof(s.rng, "gray"), 5)
            s.mark("shed", points, colour="gray")
            sheds += 1

    def avoid(x, y):
        u, v = turn([(x - cx, y - cy)], 0, 0, -angle)[0]
        rail = abs(
            (x - 128) * math.cos(angle) + (y - 128) * math.sin(angle) + side * 113
        )
        return (
            (abs(u) < wide / 2 + 11 and abs(v) < high / 2 + 11)
            or rail < 9
            or near_marks(s, 5)(x, y)
        )

    trees = s.chance(0.6)
    if trees:
        scatter(s, 60, (3, 6), avoid)
    tanks = s.seen("tank", colour, size, row=down_n == 1)
    way = s.stuff("road")
    s.link(tanks, "on", s.stuff(ground))
    s.link(tanks, "beside", way)
    if trees:
        s.link(tanks, "beside", s.stuff("trees"))
    s.link(s.seen("shed", "gray"), "beside", tanks)


def solar_farm(s):
    """Rows of dark panels."""
    ground = s.pick(("dry grass", "bare soil", "grass", "sand"))
    c = s.canvas(ground)
    angle = s.pick((0.0, 0.25, -0.25)) + s.uniform(-0.04, 0.04)
    parts = s.number(1, 4)
    colour = s.pick(("blue", "black"))
    panel = (46, 62, 104) if colour == "blue" else (40, 42, 50)
    cells = {
        1: [(0, 0, 190, 180)],
        2: [(-56, 0, 96, 190), (56, 0, 96, 190)],
        3: [(-58, 0, 92, 190), (56, -52, 96, 88), (56, 52, 96, 88)],
        4: [(u, v, 96, 86) for u in (-56, 56) for v in (-51, 51)],
    }
    pitch = s.uniform(8.0, 11.0)
    road = across(s, angle, s.pick((-112, 112)))
    c.line(road, 7, (178, 164, 138))
    for u, v, w, h in cells[parts]:
        w, h = w - s.uniform(0, 10), h - s.uniform(0, 10)
        outline = turn(
            [
                (u - w / 2, v - h / 2),
                (u + w / 2, v - h / 2),
                (u + w / 2, v + h / 2),
                (u - w / 2, v + h / 2),
            ],
            128,
            128,
            angle,
        )
        c.line(
            rect(*turn([(u, v)], 128, 128, angle)[0], w + 6, h + 6, angle),
            2.5,
            (176, 164, 140),
            close=True,
        )
        y = v - h / 2 + pitch / 2
        while y < v + h / 2 - pitch * 0.3:
            left = u - w / 2 + s.uniform(0, 2)
            up, low = y - pitch * 0.3, y + pitch * 0.3
            right = u + w / 2
            row = turn(
                [(left, up), (right, up), (right, low), (left, low)], 128, 128, angle
            )
            c.poly(row, tone(panel, s.uniform(0.92, 1.1)), 2)
            line = turn([(left, y), (u + w / 2, y)], 128, 128, angle)
            c.line(line, 0.5, (92, 104, 136))
            x = left
            while x < u + w / 2:
                c.line(
                    turn([(x, y - pitch * 0.3), (x, y + pitch * 0.3)], 128, 128, angle),
                    0.4,
                    (84, 96, 128),
                )
                x += 7
            y += pitch
        s.mark("panel field", outline, colour=colour)
    x, y = turn([(s.uniform(-6, 6), 0)], 128, 128, angle)[0]
    if parts in (2, 4):
        c.poly(rect(x, y, 7, 11, angle), (214, 214, 208), 3)
    hut = s.chance(0.5)
    edge = s.chance(0.5)
    if edge:
        side = s.pick((-1, 1))
        tree_row(s, across(s, angle + math.pi / 2, side * 117), 7, 5)
    fields = s.seen("panel field", colour)
    land = s.stuff(ground)
    s.link(fields, "on", land)
    s.link(fields, "beside", s.stuff("dirt road"))
    if edge:
        s.link(s.stuff("trees"), "beside", fields)
    del hut


def industrial_area(s):
    """Large halls, yards with lorries and containers, a chimney."""
    c = s.canvas(s.pick(("paved", "concrete", "bare soil")))
    angle = s.pick((0.0, 0.4, -0.4)) + s.uniform(-0.1, 0.1)
    tint = s.pick(("gray", "blue", "white", "red"))
    count = s.number(2, 8)
    road = s.uniform(-10, 10)
    for turned, at in ((angle, road), (angle + math.pi / 2, -104.0)):
        line = across(s, turned, at)
        c.road(line, 13, kerb=KERB)
        traffic(s, line, 13, 50)
    per = -(-count // 2)
    wide = 188 / per
    spots = []
    for k in range(count):
        u = -98 + (k // 2 + 0.5) * wide
        v = road + (1 if k % 2 else -1) * 58
        w, h = wide * s.uniform(0.66, 0.8), s.uniform(62, 78)
        w = min(w, 88)
        ((x, y),) = turn([(u, v)], 128, 128, angle)
        spots.append((u, v, w, h))
        out = buildings.hall(c, x, y, w, h, angle, roof(s.rng, tint, 5), 11, 7)
        s.mark("factory", out, colour=tint)
    lorries = s.chance(0.6)
    boxes = ("red", "blue", "orange", "green", "gray")
    for u, v, w, h in spots:
        edge = v - math.copysign(h / 2 + 8, v - road)
        for k in range(int(w // 9)):
            if not lorries or s.rng.random() < 0.5:
                continue
            ((x, y),) = turn([(u - w / 2 + 5 + k * 9, edge)], 128, 128, angle)
            out = vehicles.lorry(
                c, x, y, angle + math.pi / 2, paint(s.rng, "white"), 9, 3.8
            )
            s.mark("lorry", out)
        back = v + math.copysign(h / 2 + 9, v - road)
        for k in range(int(w // 6)):
            if s.rng.random() < 0.45:
                ((x, y),) = turn([(u - w / 2 + 4 + k * 6, back)], 128, 128, angle)
                c.poly(
                    rect(x, y, 4.6, 11, angle),
                    paint(s.rng, str(s.rng.choice(boxes))),
                    4,
                )
    chimney = s.chance(0.4)
    if chimney:
        ((x, y),) = turn([(108, road + 22)], 128, 128, angle)
        c.disc(x, y, 4.5, (196, 190, 182), 44)
        c.disc(x, y, 2.4, (70, 66, 64), None)
        s.mark("chimney", rect(x, y, 9, 9))
    tree_row(s, across(s, angle, road + 11), 12, 3.2)
    tree_row(s, across(s, angle + math.pi / 2, -115), 11, 4)
    close = near_marks(s, 8)

    def keep(x, y):
        u, v = turn([(x - 128, y - 128)], 0, 0, -angle)[0]
        return (
            close(x, y)
            or abs(v - road) < 12
            or abs(u - 104) < 12
            or abs(v - road) < 104
        )

    scatter(s, 50, (3, 5), keep)
    halls = s.seen("factory", tint, row=True)
    way = s.stuff("road")
    s.link(halls, "beside", way)
    s.link(way, "between", halls)
    s.link(halls, "in", s.stuff("industrial area"))
    if lorries:
        s.link(s.seen("lorry"), "beside", halls)
    s.link(s.seen("chimney"), "beside", halls)


SCENES = {
    "airport": airport,
    "storage tanks": storage_tanks,
    "solar farm": solar_farm,
    "industrial area": industrial_area,
}
