"""Airport, storage tanks, solar farm, industrial area."""

import math

from toyscenes.drawing import buildings, vehicles
from toyscenes.drawing.canvas import tone
from toyscenes.drawing.geometry import Frame, across, rect, rounded
from toyscenes.drawing.paint import paint, roof


def airport(s):
    """A runway, an apron with planes in a row, a terminal."""
    ground = s.pick(("grass", "dry grass", "bare soil"))
    c = s.canvas(ground)
    angle = s.pick((0.0, 0.5, -0.5, math.pi / 2, 1.1)) + s.uniform(-0.1, 0.1)
    side = s.pick((1, -1))
    frame = Frame(angle)

    def points(*local):
        return frame.points(*((u, v * side) for u, v in local))

    def row(v):
        return frame.row(v * side)

    c.line(row(-72), 34, (132, 130, 126))
    c.line(row(-72), 26, (98, 98, 99))
    c.dashes(row(-72), 0.8, (220, 218, 212), 9, 7)
    for edge in (-11.5, 11.5):
        c.line(row(-72 + edge), 0.6, (210, 208, 202))
    bars = s.uniform(-70, 70)
    for k in range(8):
        v = -72 + (k - 3.5) * 2.8
        c.line(points((bars, v), (bars + 14, v)), 1.2, (222, 220, 214))
    taxiway = (126, 125, 122)
    c.line(row(-30), 13, taxiway)
    c.line(row(-30), 0.6, (196, 172, 92))
    for u in (-84, 74):
        c.line(points((u, -72), (u + 16, -30)), 11, taxiway)
    c.patch(points((-150, -24), (150, -24), (150, 62), (-150, 62)), "concrete")
    for u in range(-140, 141, 20):
        c.line(points((u, -24), (u, 62)), 0.4, (146, 143, 137))
    count, colour = s.number(1, 7), s.pick(("white", "white", "gray"))
    accent = s.pick(("blue", "red", "white", "orange"))
    gap = min(214 / count, 44)
    length = min(gap * s.uniform(0.86, 0.95), 36) if count > 4 else s.uniform(31, 38)
    mid = s.uniform(-1, 1) * (107 - gap * count / 2)
    wide = (count * gap + 44) if count > 1 else 80
    tint = s.pick(("gray", "white", "blue", "brown"))
    left, right = mid - wide / 2, mid + wide / 2
    ((x, y),) = points((mid, 57))
    buildings.block(c, x, y, wide, 20, angle, roof(s.rng, tint), 9, 7)
    hall = points((left, 46), (right, 46), (right, 66), (left, 66))
    s.mark("terminal", hall, colour=tint)
    white = paint(s.rng, colour, 4)
    for k in range(count):
        u = mid + (k - (count - 1) / 2) * gap
        c.line(points((u, 42), (u + 3, 30)), 2.6, (186, 184, 178), 3)
        ((x, y),) = points((u, 44 - length / 2 - 4))
        nose = angle + math.pi / 2 * side + s.uniform(-0.04, 0.04)
        trim = paint(s.rng, accent)
        body = vehicles.plane(c, x, y, nose, length, white, trim)
        s.mark("plane", body, colour=colour)
    s.street(row(90), 9, 30)
    s.scatter(26, avoid=lambda x, y: frame.local(x, y)[1] * side < 99)
    planes = s.seen("plane", colour, row=True)
    hall = s.seen("terminal", tint)
    way = s.stuff("runway", shape=s.pick(("long", "straight")))
    turf = s.stuff(ground)
    s.link(planes, "beside", hall)
    s.link(planes, "on", "apron")
    s.link(way, "across", turf)
    s.link(hall, "beside", way)


def storage_tanks(s):
    """Round tanks in a row, in a grid or about, on paved ground."""
    ground = s.pick(("paved", "bare soil", "dry grass", "concrete"))
    c = s.canvas(ground)
    colour = s.pick(("white", "gray", "brown", "green"))
    size = s.pick(("large", "small"))
    angle = s.uniform(-0.35, 0.35)
    large = size == "large"
    radius = s.uniform(25, 31) if large else s.uniform(12, 15)
    count = s.number(1, 4 if large else 10)
    columns = {1: 1, 2: 2, 3: 2 if large else 3, 4: 2}.get(count, (count + 1) // 2)
    rows = -(-count // columns)
    step = radius * 2.7
    wide, high = columns * step + 8, rows * step + 8
    yard = Frame(angle, s.uniform(118, 138), s.uniform(118, 138))
    side = s.pick((-1, 1))
    s.outskirts(angle, 0.5)
    s.street(across(angle + math.pi / 2, side * 113), 10, 60)

    def plot(grown, radius):
        w, h = wide + grown, high + grown
        return rounded(yard.x, yard.y, w, h, radius, angle)

    c.patch(plot(12, 6), "concrete")
    c.patch(plot(0, 4), s.pick(("bare soil", "asphalt", "paved")))
    c.line(plot(2, 5), 1.6, (176, 172, 162), 2, close=True)
    spots = list(yard.grid(count, columns, step, step))
    floating = s.chance(0.3)
    tint = paint(s.rng, colour, 4)
    for x, y in spots:
        c.line([(x, y), (yard.x, y + step * 0.5)], 1.0, (140, 136, 128), 1)
    for x, y in spots:
        ring = buildings.tank(c, x, y, radius, tint, floating, radius * 0.45)
        s.mark("tank", ring, colour=colour)

    def taken(x, y, from_yard, from_road):
        u, v = yard.local(x, y)
        inside = abs(u) < wide / 2 + from_yard and abs(v) < high / 2 + from_yard
        return inside or abs(Frame(angle).local(x, y)[0] + side * 113) < from_road

    for x, y in s.spots(s.number(0, 3) * 5, 24, 232):
        w, h = s.rng.uniform(12, 26, 2)
        spot = (x, y, w, h, angle)
        free = not taken(x, y, 20, 26) and s.clear(rect(*spot))
        if free and s.count("shed") < 3:
            s.house("shed", spot, "gray", 5, build=buildings.hall)
    trees = s.chance(0.6)
    if trees:
        near = s.near_marks(5)
        s.scatter(60, (3, 6), lambda x, y: taken(x, y, 11, 9) or near(x, y))
    tanks = s.seen("tank", colour, size, row=rows == 1)
    way = s.stuff("road")
    s.link(tanks, "on", ground)
    s.link(tanks, "beside", way)
    if trees:
        s.link(tanks, "beside", "trees")
    s.link(s.seen("shed", "gray"), "beside", tanks)


def solar_farm(s):
    """Rows of dark panels."""
    ground = s.pick(("dry grass", "bare soil", "grass", "sand"))
    c = s.canvas(ground)
    angle = s.pick((0.0, 0.25, -0.25)) + s.uniform(-0.04, 0.04)
    frame = Frame(angle)
    parts = s.number(1, 4)
    colour = s.pick(("blue", "black"))
    panel = {"blue": (46, 62, 104), "black": (40, 42, 50)}[colour]
    blocks = {
        1: [(0, 0, 190, 180)],
        2: [(-56, 0, 96, 190), (56, 0, 96, 190)],
        3: [(-58, 0, 92, 190), (56, -52, 96, 88), (56, 52, 96, 88)],
        4: [(u, v, 96, 86) for u in (-56, 56) for v in (-51, 51)],
    }
    pitch = s.uniform(8.0, 11.0)
    c.line(across(angle, s.pick((-112, 112))), 7, (178, 164, 138))
    for u, v, w, h in blocks[parts]:
        w, h = w - s.uniform(0, 10), h - s.uniform(0, 10)
        right, top, bottom = u + w / 2, v - h / 2, v + h / 2
        fence = frame.rect(u, v, w + 6, h + 6)
        c.line(fence, 2.5, (176, 164, 140), close=True)
        y = top + pitch / 2
        while y < bottom - pitch * 0.3:
            left = u - w / 2 + s.uniform(0, 2)
            up, low = y - pitch * 0.3, y + pitch * 0.3
            shade = tone(panel, s.uniform(0.92, 1.1))
            c.poly(frame.quad(left, up, right, low), shade, 2)
            c.line(frame.points((left, y), (right, y)), 0.5, (92, 104, 136))
            x = left
            while x < right:
                c.line(frame.points((x, up), (x, low)), 0.4, (84, 96, 128))
                x += 7
            y += pitch
        s.mark("panel field", frame.quad(u - w / 2, top, right, bottom), colour=colour)
    x = s.uniform(-6, 6)
    if parts in (2, 4):
        c.poly(frame.rect(x, 0, 7, 11), (214, 214, 208), 3)
    s.chance(0.5)  # keeps the random numbers in step with earlier versions
    edge = s.chance(0.5)
    if edge:
        s.tree_row(across(angle + math.pi / 2, s.pick((-1, 1)) * 117), 7, 5)
    fields = s.seen("panel field", colour)
    land = s.stuff(ground)
    s.link(fields, "on", land)
    s.link(fields, "beside", "dirt road")
    if edge:
        s.link("trees", "beside", fields)


def industrial_area(s):
    """Large halls, yards with lorries and containers, a chimney."""
    c = s.canvas(s.pick(("paved", "concrete", "bare soil")))
    angle = s.pick((0.0, 0.4, -0.4)) + s.uniform(-0.1, 0.1)
    frame = Frame(angle)
    tint = s.pick(("gray", "blue", "white", "red"))
    count = s.number(2, 8)
    road = s.uniform(-10, 10)
    s.street(across(angle, road), 13, 50)
    s.street(across(angle + math.pi / 2, -104.0), 13, 50)
    wide = 188 / -(-count // 2)
    spots = []
    for k in range(count):
        u = -98 + (k // 2 + 0.5) * wide
        way = 1 if k % 2 else -1  # the side of the road
        v = road + way * 58
        w, h = min(wide * s.uniform(0.66, 0.8), 88), s.uniform(62, 78)
        spots.append((u, v, w, h, way))
        spot = (*frame.at(u, v), w, h, angle)
        out = buildings.hall(c, *spot, roof(s.rng, tint, 5), 11, 7)
        s.mark("factory", out, colour=tint)
    lorries = s.chance(0.6)
    containers = ("red", "blue", "orange", "green", "gray")
    for u, v, w, h, way in spots:
        for k in range(int(w // 9)):
            if not lorries or s.rng.random() < 0.5:
                continue
            x, y = frame.at(u - w / 2 + 5 + k * 9, v - way * (h / 2 + 8))
            white, facing = paint(s.rng, "white"), angle + math.pi / 2
            s.mark("lorry", vehicles.lorry(c, x, y, facing, white, 9, 3.8))
        for k in range(int(w // 6)):
            if s.rng.random() < 0.45:
                spot = frame.rect(u - w / 2 + 4 + k * 6, v + way * (h / 2 + 9), 4.6, 11)
                c.poly(spot, paint(s.rng, str(s.rng.choice(containers))), 4)
    if s.chance(0.4):
        x, y = frame.at(108, road + 22)
        c.disc(x, y, 4.5, (196, 190, 182), 44)
        c.disc(x, y, 2.4, (70, 66, 64), None)
        s.mark("chimney", rect(x, y, 9, 9))
    s.tree_row(across(angle, road + 11), 12, 3.2)
    s.tree_row(across(angle + math.pi / 2, -115), 11, 4)
    close = s.near_marks(8)

    def avoid(x, y):
        u, v = frame.local(x, y)
        return close(x, y) or abs(u - 104) < 12 or abs(v - road) < 104

    s.scatter(50, (3, 5), avoid)
    halls = s.seen("factory", tint, row=True)
    way = s.stuff("road")
    s.link(halls, "beside", way)
    s.link(way, "between", halls)
    s.link(halls, "in", "industrial area")
    if lorries:
        s.link(s.seen("lorry"), "beside", halls)
    s.link(s.seen("chimney"), "beside", halls)
