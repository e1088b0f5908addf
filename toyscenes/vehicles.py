"""Cars, planes, boats and trains."""

import math

from toyscenes.canvas import tone
from toyscenes.geometry import ellipse, rect, turn

# what drives past in the background, by share
TRAFFIC = (
    "white",
    "white",
    "silver",
    "gray",
    "black",
    "black",
    "red",
    "blue",
    "dark gray",
    "silver",
)


def car(c, x, y, angle, colour, length=7.0, width=3.2):
    """A car: body, windows, a short shadow."""
    body = rect(x, y, length, width, angle)
    c.poly(body, tone(colour, 0.92), 2.0)
    roof = turn(
        [
            (-0.28 * length, -0.40 * width),
            (0.16 * length, -0.40 * width),
            (0.16 * length, 0.40 * width),
            (-0.28 * length, 0.40 * width),
        ],
        x,
        y,
        angle,
    )
    c.poly(roof, tone(colour, 1.08), 2.6)
    for u in (0.22, -0.33):
        pane = turn(
            [(u * length, -0.36 * width), (u * length, 0.36 * width)], x, y, angle
        )
        c.line(pane, 0.8, (58, 64, 72))
    return body


def lorry(c, x, y, angle, colour, length=15.0, width=3.8):
    """A lorry: a long box and a cab."""
    c.poly(rect(x, y, length, width, angle), colour, 4.0)
    ((px, py),) = turn([(length * 0.5 + 1.8, 0)], x, y, angle)
    c.poly(rect(px, py, 3.0, width, angle), tone(colour, 0.8), 3.0)
    return rect(x, y, length + 5, width, angle)


_WING = [
    (0.12, 0),
    (-0.22, -0.50),
    (-0.29, -0.50),
    (-0.09, -0.05),
    (-0.09, 0.05),
    (-0.29, 0.50),
    (-0.22, 0.50),
]
_TAIL = [
    (-0.33, 0),
    (-0.46, -0.17),
    (-0.50, -0.17),
    (-0.44, 0),
    (-0.50, 0.17),
    (-0.46, 0.17),
]
_BODY = [
    (0.50, 0),
    (0.47, 0.030),
    (0.40, 0.048),
    (-0.30, 0.048),
    (-0.49, 0.012),
    (-0.49, -0.012),
    (-0.30, -0.048),
    (0.40, -0.048),
    (0.47, -0.030),
]


def plane(c, x, y, angle, length, colour, accent=None):
    """An airliner, nose towards `angle`."""
    lift = length * 0.09

    def place(points):
        return turn(points, x, y, angle, length)

    c.poly(place(_WING), tone(colour, 0.93), lift)
    for side in (-1, 1):
        for out in (0.17, 0.30):
            back = -0.02 - 0.42 * (out - 0.05)
            pod = [
                (back + 0.10, side * (out - 0.018)),
                (back + 0.10, side * (out + 0.018)),
                (back, side * (out + 0.018)),
                (back, side * (out - 0.018)),
            ]
            if out < 0.2 or length > 34:
                c.poly(place(pod), tone(colour, 0.66), lift)
    c.poly(place(_TAIL), tone(accent or colour, 0.95), lift * 1.3)
    c.poly(place(_BODY), tone(colour, 0.86), lift * 1.2)
    lit = [(u * 0.97, v * 0.55) for u, v in _BODY]
    c.poly(place(lit), tone(colour, 1.06), lift * 1.4)
    c.line(place([(0.43, -0.03), (0.43, 0.03)]), 0.6, (70, 76, 84))
    fin = [(-0.30, 0), (-0.49, 0)]
    c.line(place(fin), 0.9, tone(accent or colour, 0.82), lift * 2.4)
    box = [(0.5, 0.0), (-0.29, 0.5), (-0.29, -0.5), (-0.5, 0.17), (-0.5, -0.17)]
    return place(box)


def boat(c, x, y, angle, length, colour, wake=False):
    """A boat, its bow towards `angle`."""
    w = length * 0.15
    hull = [
        (0.5, 0),
        (0.30, 0.12),
        (0.05, 0.16),
        (-0.5, 0.13),
        (-0.5, -0.13),
        (0.05, -0.16),
        (0.30, -0.12),
    ]
    if wake:
        for side in (-1, 1):
            c.line(
                turn([(0.3, 0.08 * side), (-1.9, 0.55 * side)], x, y, angle, length),
                0.7,
                (168, 182, 184),
            )
        c.poly(
            turn(
                [(-0.4, -0.12), (-0.4, 0.12), (-2.0, 0.16), (-2.0, -0.16)],
                x,
                y,
                angle,
                length,
            ),
            (160, 176, 178),
        )
    outline = turn(hull, x, y, angle, length)
    c.poly(outline, colour, 1.5)
    deck = [(u * 0.78 - 0.04, v * 0.6) for u, v in hull]
    c.poly(turn(deck, x, y, angle, length), tone(colour, 0.82), None)
    cabin = turn([(-0.02, 0)], x, y, angle, length)[0]
    c.poly(
        rect(cabin[0], cabin[1], length * 0.30, w * 1.1, angle), tone(colour, 1.08), 3.0
    )
    c.line(turn([(0.12, -0.06), (0.12, 0.06)], x, y, angle, length), 0.7, (64, 74, 86))
    return outline


def ship(c, x, y, angle, length, colour, cargo=None):
    """A freighter with hatches or containers, the bridge astern."""
    hull = [
        (0.5, 0),
        (0.44, 0.055),
        (0.36, 0.075),
        (-0.48, 0.075),
        (-0.5, 0.05),
        (-0.5, -0.05),
        (-0.48, -0.075),
        (0.36, -0.075),
        (0.44, -0.055),
    ]
    outline = turn(hull, x, y, angle, length)
    c.poly(outline, tone(colour, 0.9), 4.0)
    deck = [(u * 0.95, v * 0.8) for u, v in hull]
    c.poly(turn(deck, x, y, angle, length), tone(colour, 1.05), None)
    for k in range(6):
        u = -0.22 + k * 0.105
        ((px, py),) = turn([(u, 0)], x, y, angle, length)
        fill = cargo(c.rng) if cargo else tone(colour, 0.78)
        c.poly(
            rect(px, py, length * 0.085, length * 0.10, angle),
            fill,
            7.0 if cargo else 4.5,
        )
    ((px, py),) = turn([(-0.38, 0)], x, y, angle, length)
    c.poly(rect(px, py, length * 0.09, length * 0.12, angle), (224, 224, 220), 11.0)
    return outline


def train(c, x, y, angle, coaches, colour, length=19.0, width=4.4):
    """A train: coaches in a row along `angle`.

    Returns:
        The corner points of the whole train.
    """
    total = coaches * (length + 1)
    for k in range(coaches):
        u = -total / 2 + (k + 0.5) * (length + 1)
        ((px, py),) = turn([(u, 0)], x, y, angle)
        c.poly(rect(px, py, length, width, angle), tone(colour, 0.9), 4.5)
        c.poly(rect(px, py, length - 1.5, width * 0.5, angle), tone(colour, 1.1), None)
        for v in (-0.3, 0.0, 0.3):
            ((qx, qy),) = turn([(u + v * length, 0)], x, y, angle)
            c.poly(rect(qx, qy, 2.0, 1.6, angle), tone(colour, 0.75), None)
    return rect(x, y, total, width, angle)


def kidney(x, y, radius, angle=0.0):
    """Outline of a kidney-shaped pool."""
    out = []
    for px, py in ellipse(0, 0, 1.0, 0.62, steps=30):
        out.append((px * radius, (py + 0.28 * px * px) * radius))
    return turn(out, x, y, angle)


def heading(angle):
    """A unit vector."""
    return math.cos(angle), math.sin(angle)
