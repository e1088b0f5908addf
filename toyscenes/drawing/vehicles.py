"""Cars, planes, boats and trains; each looks towards its `angle`."""

from toyscenes.drawing.canvas import tone
from toyscenes.drawing.geometry import Frame, ellipse, rect, turn

# what drives past in the background, by share
TRAFFIC = "white,white,silver,gray,black,black,red,blue,dark gray,silver".split(",")

# outlines of length 1, nose at (0.5, 0)
_WING = [(0.12, 0), (-0.22, -0.50), (-0.29, -0.50), (-0.09, -0.05)]
_WING += [(-0.09, 0.05), (-0.29, 0.50), (-0.22, 0.50)]
_TAIL = [(-0.33, 0), (-0.46, -0.17), (-0.50, -0.17), (-0.44, 0)]
_TAIL += [(-0.50, 0.17), (-0.46, 0.17)]
_BODY = [(0.50, 0), (0.47, 0.030), (0.40, 0.048), (-0.30, 0.048), (-0.49, 0.012)]
_BODY += [(-0.49, -0.012), (-0.30, -0.048), (0.40, -0.048), (0.47, -0.030)]
_SPAN = [(0.5, 0.0), (-0.29, 0.5), (-0.29, -0.5), (-0.5, 0.17), (-0.5, -0.17)]
_HULL = [(0.5, 0), (0.30, 0.12), (0.05, 0.16), (-0.5, 0.13)]
_HULL += [(-0.5, -0.13), (0.05, -0.16), (0.30, -0.12)]


def car(c, x, y, angle, colour, length=7.0, width=3.2):
    """A car: body, roof, windows."""
    f = Frame(angle, x, y)
    body = rect(x, y, length, width, angle)
    c.poly(body, tone(colour, 0.92), 2.0)
    edge = 0.40 * width
    roof = f.quad(-0.28 * length, -edge, 0.16 * length, edge)
    c.poly(roof, tone(colour, 1.08), 2.6)
    for u in (0.22, -0.33):
        pane = f.points((u * length, -0.36 * width), (u * length, 0.36 * width))
        c.line(pane, 0.8, (58, 64, 72))
    return body


def lorry(c, x, y, angle, colour, length, width):
    """A lorry: a long box and a cab."""
    c.poly(rect(x, y, length, width, angle), colour, 4.0)
    cab = Frame(angle, x, y).rect(length * 0.5 + 1.8, 0, 3.0, width)
    c.poly(cab, tone(colour, 0.8), 3.0)
    return rect(x, y, length + 5, width, angle)


def plane(c, x, y, angle, length, colour, accent):
    """An airliner; returns the points that its box holds."""
    lift = length * 0.09

    def place(points):
        return turn(points, x, y, angle, length)

    c.poly(place(_WING), tone(colour, 0.93), lift)
    for side in (-1, 1):
        for out in (0.17, 0.30):
            back = -0.02 - 0.42 * (out - 0.05)
            near, far = side * (out - 0.018), side * (out + 0.018)
            pod = [(back + 0.10, near), (back + 0.10, far), (back, far), (back, near)]
            if out < 0.2 or length > 34:
                c.poly(place(pod), tone(colour, 0.66), lift)
    c.poly(place(_TAIL), tone(accent, 0.95), lift * 1.3)
    c.poly(place(_BODY), tone(colour, 0.86), lift * 1.2)
    lit = [(u * 0.97, v * 0.55) for u, v in _BODY]
    c.poly(place(lit), tone(colour, 1.06), lift * 1.4)
    c.line(place([(0.43, -0.03), (0.43, 0.03)]), 0.6, (70, 76, 84))
    c.line(place([(-0.30, 0), (-0.49, 0)]), 0.9, tone(accent, 0.82), lift * 2.4)
    return place(_SPAN)


def hull(x, y, angle, length):
    """The outline of a boat."""
    return turn(_HULL, x, y, angle, length)


def boat(c, x, y, angle, length, colour, wake=False):
    """A boat, with a wake if it is under way."""

    def place(*points):
        return turn(points, x, y, angle, length)

    if wake:
        for side in (-1, 1):
            wave = place((0.3, 0.08 * side), (-1.9, 0.55 * side))
            c.line(wave, 0.7, (168, 182, 184))
        foam = place((-0.4, -0.12), (-0.4, 0.12), (-2.0, 0.16), (-2.0, -0.16))
        c.poly(foam, (160, 176, 178))
    outline = hull(x, y, angle, length)
    c.poly(outline, colour, 1.5)
    deck = [(u * 0.78 - 0.04, v * 0.6) for u, v in _HULL]
    c.poly(place(*deck), tone(colour, 0.82), None)
    ((u, v),) = place((-0.02, 0))
    cabin = rect(u, v, length * 0.30, length * 0.15 * 1.1, angle)
    c.poly(cabin, tone(colour, 1.08), 3.0)
    c.line(place((0.12, -0.06), (0.12, 0.06)), 0.7, (64, 74, 86))
    return outline


def train(c, x, y, angle, coaches, colour):
    """A train: coaches in a row; returns the corners of it all."""
    f, length, width = Frame(angle, x, y), 19.0, 4.4
    total = coaches * (length + 1)
    for k in range(coaches):
        u = -total / 2 + (k + 0.5) * (length + 1)
        c.poly(f.rect(u, 0, length, width), tone(colour, 0.9), 4.5)
        c.poly(f.rect(u, 0, length - 1.5, width * 0.5), tone(colour, 1.1), None)
        for v in (-0.3, 0.0, 0.3):
            c.poly(f.rect(u + v * length, 0, 2.0, 1.6), tone(colour, 0.75), None)
    return rect(x, y, total, width, angle)


def kidney(x, y, radius, angle):
    """Outline of a kidney-shaped pool."""
    oval = ellipse(0, 0, 1.0, 0.62, steps=30)
    bent = [(px * radius, (py + 0.28 * px * px) * radius) for px, py in oval]
    return turn(bent, x, y, angle)
