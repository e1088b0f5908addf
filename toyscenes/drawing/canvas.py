"""The sheet that a scene is drawn on.

Drawing has two phases. First the ground, as arrays of 256 x 256: blend
textures by soft fields (`lay`, `water`). The first stroke then turns it
into a picture of 512 x 512, and every stroke says a colour and a height;
heights become shadows when the picture is developed.
"""

import numpy as np
from PIL import Image, ImageDraw

from toyscenes.drawing import plants
from toyscenes.drawing.geometry import SIZE, along, bounds
from toyscenes.drawing.light import Sun, develop
from toyscenes.drawing.noise import crop, cut
from toyscenes.drawing.texture import ground, mix, smooth

UNIT = plants.UNIT
FULL = SIZE * UNIT
KERB = (158, 154, 146)
DRIVE = (172, 166, 156)  # paved strips in front of houses

# shallow and deep colours
WATERS = {
    "blue": ((70, 108, 132), (44, 80, 114)),
    "green": ((78, 102, 80), (52, 80, 66)),
    "dark": ((46, 58, 56), (24, 38, 42)),
    "brown": ((124, 104, 74), (106, 90, 64)),
    "turquoise": ((128, 184, 178), (36, 122, 140)),
}

FOLIAGE = {
    "green": (66, 88, 46),
    "dark green": (48, 68, 42),
    "bright green": (86, 108, 52),
    "brownish": (98, 92, 58),
}


class Canvas:
    """Colours, heights and trees of one picture.

    All coordinates are pixels of the finished picture, 0..256, and all
    heights too: a height of 10 is as tall as ten pixels are wide.
    """

    def __init__(self, rng, base="grass", foliage="green"):
        self.rng = rng
        self.sun = Sun.draw(rng)
        self.base = ground(rng, base) if isinstance(base, str) else base
        self.tone = np.add(FOLIAGE[foliage], rng.normal(0, 4, 3))
        self.rgb = None
        self.plants = np.zeros((FULL, FULL), np.uint8)

    def lay(self, field, texture, soft):
        """Lay a texture where `field < 0`; its edge is `soft` wide.

        `field` is the distance to the edge, `[256, 256]`, negative inside;
        `texture` the name of a ground, or an array `[3, 256, 256]`.
        """
        if isinstance(texture, str):
            texture = ground(self.rng, texture)
        cover = np.clip(0.5 - field / soft, 0, 1)
        self.base += (texture - self.base) * cover

    def water(self, field, colour, depth, shore=None, beach=8.0):
        """Water where `field < 0`, deep at a distance `depth` from its edge.

        `colour` is a key of `WATERS`, `shore` a ground along the edge or None,
        `beach` its width.
        """
        rng = self.rng
        if shore:
            wander = 0.35 * beach * crop(rng, "mottle")
            self.lay(field - beach + wander, shore, soft=2.5)
        low, high = np.add(WATERS[colour], rng.normal(0, 2, 3) + rng.normal(0, 4))
        deep = smooth(-field + 5 * crop(rng, "cloud"), 0, depth)
        wet = mix(low, high, deep)
        rim = smooth(-field, 0, 3.0)
        wet *= 0.025 * crop(rng, "grain") + 0.74 + 0.26 * rim
        self.lay(field, wet, soft=1.6)

    def start(self):
        """End the ground phase; called by the first stroke."""
        if self.rgb is not None:
            return
        self.rgb = picture(self.base).resize((FULL, FULL), Image.Resampling.NEAREST)
        self.lift = Image.new("L", (FULL, FULL), 0)
        self.ink = ImageDraw.Draw(self.rgb)
        self.rise = ImageDraw.Draw(self.lift)

    def level(self, height):
        """A height as a length of shadow, in supersampled pixels."""
        return max(0, min(255, round(height * UNIT * self.sun.length)))

    def poly(self, points, colour, height=0.0):
        """Fill a polygon; `height=None` leaves heights as they are."""
        self.start()
        flat = [(x * UNIT, y * UNIT) for x, y in points]
        self.ink.polygon(flat, fill=rgb8(colour))
        if height is not None:
            self.rise.polygon(flat, fill=self.level(height))

    def disc(self, x, y, radius, colour, height=0.0):
        """Fill a circle."""
        self.start()
        box = [v * UNIT for v in (x - radius, y - radius, x + radius, y + radius)]
        self.ink.ellipse(box, fill=rgb8(colour))
        if height is not None:
            self.rise.ellipse(box, fill=self.level(height))

    def line(self, points, width, colour, height=None, close=False):
        """Draw a line; by default it leaves heights as they are."""
        self.start()
        flat = [(x * UNIT, y * UNIT) for x, y in points]
        if close:
            flat.append(flat[0])
        wide = max(1, round(width * UNIT))
        joint = "curve" if len(flat) > 2 and wide > 3 else None
        self.ink.line(flat, fill=rgb8(colour), width=wide, joint=joint)
        if height is not None:
            self.rise.line(flat, fill=self.level(height), width=wide, joint=joint)

    def patch(self, points, texture):
        """Fill a polygon with a ground texture (after the start)."""
        self.start()
        if isinstance(texture, str):
            texture = ground(self.rng, texture)
        x0, y0, x1, y1 = bounds(points)
        x0, y0 = max(int(x0), 0), max(int(y0), 0)
        x1, y1 = min(int(x1) + 2, SIZE), min(int(y1) + 2, SIZE)
        if x0 >= x1 or y0 >= y1:
            return
        wide = ((x1 - x0) * UNIT, (y1 - y0) * UNIT)
        part = picture(texture[:, y0:y1, x0:x1]).resize(wide, Image.Resampling.NEAREST)
        mask = Image.new("L", wide, 0)
        flat = [((x - x0) * UNIT, (y - y0) * UNIT) for x, y in points]
        ImageDraw.Draw(mask).polygon(flat, fill=255)
        self.rgb.paste(part, (x0 * UNIT, y0 * UNIT), mask)

    def dashes(self, points, width, colour, on=3.0, gap=4.0):
        """A broken line along some points."""
        step = on + gap
        for x, y, angle in along(points, step, step / 2):
            dx, dy = np.cos(angle) * on / 2, np.sin(angle) * on / 2
            self.line([(x - dx, y - dy), (x + dx, y + dy)], width, colour)

    def road(self, points, width, colour=(112, 111, 110), marks=True):
        """A paved road with kerbs and, by default, a dashed line."""
        self.line(points, width + 2.4, KERB, 0)
        self.line(points, width, colour, 0)
        if marks:
            self.dashes(points, 0.5, (214, 210, 200))

    def tree(self, x, y, radius):
        """Plant one tree."""
        plants.stamp(self.plants, self.rng, x * UNIT, y * UNIT, radius * UNIT)

    def woods(self, field, radius, clear=0.0):
        """Trees wherever `field < 0`; `clear` is the share of gaps, 0..1."""
        if not clear:
            sizes = (6, 8, 11)  # few tiles: each takes long to make
            size = min(sizes, key=lambda r: abs(r - radius * UNIT))
            part = cut(self.rng, plants.canopy(size), FULL)
            part = np.where(doubled(field < 0), part, 0)
            np.maximum(self.plants, part, out=self.plants)
            return
        clumps = crop(self.rng, "cloud") + 0.4 * crop(self.rng, "mottle")
        count = int((1 - clear) * 1.3 * (SIZE / radius) ** 2 / 3)
        spots = self.rng.uniform(0, SIZE, (count, 2))
        sizes = radius * self.rng.uniform(0.6, 1.3, count)
        x, y = spots.astype(int).T
        keep = field[y, x] < -0.5 * radius
        keep &= clumps[y, x] > 2.6 * clear - 1.7
        for (x, y), r in zip(spots[keep], sizes[keep]):
            self.tree(x, y, r)

    def finish(self):
        """Light and photograph: uint8 `[256, 256, 3]`."""
        self.start()
        heights = np.asarray(self.lift), self.plants
        return develop(self.rgb, *heights, self.sun, self.rng, self.tone)


def doubled(mask):
    """A mask `[256, 256]` at the size of the strokes."""
    return mask.repeat(UNIT, 0).repeat(UNIT, 1)


def picture(texture):
    """A texture `[3, H, W]` as a PIL image."""
    low = np.clip(texture, 0, 255).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(low.transpose(1, 2, 0)))


def rgb8(colour):
    """A colour as three whole numbers in 0..255."""
    return tuple(max(0, min(255, int(v))) for v in colour)


def tone(colour, factor):
    """A colour made lighter or darker."""
    r, g, b = colour
    return (r * factor, g * factor, b * factor)
