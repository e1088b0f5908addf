"""Pieces of scenery that several kinds share."""

import math

import numpy as np

from toyscenes.drawing import buildings, fields, vehicles
from toyscenes.drawing.canvas import KERB
from toyscenes.drawing.geometry import SIZE, Frame, along, rect, shifted
from toyscenes.drawing.paint import paint, roof
from toyscenes.stage import Stage


class Scenery(Stage):
    """A stage that knows streets, trees and other common scenery."""

    def car(self, x, y, angle, *size):
        """A car of any colour, drawn and recorded."""
        name = str(self.rng.choice(vehicles.TRAFFIC))
        body = vehicles.car(self.c, x, y, angle, paint(self.rng, name), *size)
        self.mark("car", body, colour=name)

    def traffic(self, points, width, gap):
        """Cars in both lanes of a road; recorded, not counted on."""
        rng = self.rng
        for side, back in ((-1, math.pi), (1, 0.0)):
            lane = shifted(points, side * width / 4)
            for x, y, angle in along(lane, gap, rng.uniform(0, gap)):
                x += rng.normal(0, 5) * math.cos(angle)
                y += rng.normal(0, 5) * math.sin(angle)
                if rng.random() < 0.65 and -5 < x < 261 and -5 < y < 261:
                    self.car(x, y, angle + back)

    def street(self, points, width, gap):
        """A road with kerbs and traffic, a car about every `gap` pixels."""
        self.c.road(points, width)
        self.traffic(points, width, gap)

    def boat(self, x, y, angle, length, name="white", spread=4, wake=False):
        """A boat, drawn and recorded."""
        colour = paint(self.rng, name, spread)
        self.mark(
            "boat",
            vehicles.boat(self.c, x, y, angle, length, colour, wake),
            colour=name,
        )

    def house(self, label, spot, name, *shape, build=buildings.house):
        """A house or a hall at `(x, y, width, length, angle)`, recorded."""
        build(self.c, *spot, roof(self.rng, name), *shape)
        self.mark(label, rect(*spot), colour=name)

    def block(self, label, x, y, w, h, angle, name, height, units):
        """A flat-roofed building, drawn and recorded.

        `name` is its colour; `height` a number, or the lowest and highest.
        """
        tint = roof(self.rng, name)
        tall = self.uniform(*height) if isinstance(height, tuple) else height
        buildings.block(self.c, x, y, w, h, angle, tint, tall, units)
        self.mark(label, rect(x, y, w, h, angle), colour=name)

    def scatter(self, count, radius=(3, 5.5), avoid=None, tries=3):
        """Trees in clumps and alone, where `avoid(x, y)` is not true."""
        rng = self.rng
        middles = rng.uniform(0, SIZE, (count, 2))
        clumped = rng.random(count) < 0.35
        size = np.where(clumped, rng.integers(3, 9, count), 1)
        near = np.repeat(middles, size, 0)  # (trees, 2)
        reach = np.repeat(np.where(clumped, 9.0, 4.0), size)
        shift = rng.normal(0, 1, (tries, len(near), 2))
        spots = (near + reach[:, None] * shift).transpose(1, 0, 2).tolist()
        radii = rng.uniform(*radius, len(near)).tolist()
        for choices, r in zip(spots, radii):
            for x, y in choices:
                if 0 < x < SIZE and 0 < y < SIZE and not avoid(x, y):
                    self.c.tree(x, y, r)
                    break

    def near_marks(self, gap, label=""):
        """A test for `scatter`: whether a point is near a recorded box."""
        boxes = [m.box for m in self.marks if m.label == label or not label]
        return lambda x, y: any(
            x0 - gap < x < x1 + gap and y0 - gap < y < y1 + gap
            for x0, y0, x1, y1 in boxes
        )

    def tree_row(self, points, step, radius):
        """Trees planted along a line."""
        rng = self.rng
        for x, y, _ in along(points, step, rng.uniform(0, step)):
            if rng.random() < 0.9:
                x, y = x + rng.normal(0, 1.2), y + rng.normal(0, 1.2)
                self.c.tree(x, y, radius * rng.uniform(0.75, 1.2))

    def outskirts(self, angle, share):
        """Other ground towards some edges: the neighbor's land.

        To be called before the first stroke. The middle of the picture,
        84 pixels each way, stays as it is.
        """
        rng = self.rng
        u, v = fields.turned(angle)
        for along_, far in ((u, -1), (v, -1), (u, 1), (v, 1)):
            if rng.random() > share:
                continue
            name = str(rng.choice(("lawn", "dry grass", "grass", "bare soil", "paved")))
            edge = rng.uniform(86, 116) - far * along_
            self.c.lay(edge, name, 1.5)
            self.c.lay(np.abs(edge) - 1.0, "concrete", 1.5)

    def car_lot(self, x, y, width, length, angle, share):
        """A car park beside the main thing, its rows along `length`."""
        frame, outline = Frame(angle, x, y), rect(x, y, width, length, angle)
        self.c.poly(outline, (112, 111, 111))
        self.c.line(outline, 1.0, KERB, close=True)
        u = -width / 2 + 6
        while u < width / 2 - 4:
            v = -length / 2 + 4
            while v < length / 2 - 3:
                if self.rng.random() < share:
                    self.car(*frame.at(u, v), angle, 6.4, 3.2)
                v += 4.6
            u += 13.5
