"""What a scene is told, what it draws on, and what it says it drew.

A scene function gets a `Stage`. It asks the stage for the attributes of
this picture (`pick`, `number`), draws on `stage.c`, marks each object
that it draws, and states the facts that captions may use: things and
links between things. A fact that a scene does not state is never said.
"""

from dataclasses import dataclass, field

import numpy as np

from toyscenes.drawing.canvas import Canvas
from toyscenes.drawing.geometry import SIZE, bounds, place_of


@dataclass(frozen=True)
class Mark:
    """The box around one object, in pixels 0..256, and its attributes."""

    label: str
    box: tuple
    attributes: dict


@dataclass(frozen=True)
class Thing:
    """Something that a caption can name; adjectives hold for all of it."""

    label: str  # a key of `words.NOUNS`
    count: int = 0  # boxes meant; 0 for stuff (grass) and for crowds (trees)
    colour: str = ""
    size: str = ""
    shape: str = ""
    place: str = ""  # where it is, if it is in one place
    row: bool = False  # whether the things stand in a row or in rows
    whole: bool = True  # all boxes of the label; if not, the colour must be said
    crowd: int = 0  # about how many, when captions say it vaguely


@dataclass(frozen=True)
class Link:
    """A relation, of `words.PREPOSITIONS` or `VERBS`, to one thing or two."""

    first: Thing
    relation: str
    second: Thing
    third: Thing | None = None


@dataclass
class Stage:
    """One picture in the making."""

    kind: str
    similarity: float  # 0..1: how often an attribute has its typical value
    traits: np.random.Generator  # of the attributes
    rng: np.random.Generator  # of everything else
    marks: list = field(default_factory=list)
    things: list = field(default_factory=list)
    links: list = field(default_factory=list)
    cut: dict = field(default_factory=dict)
    c: Canvas | None = None

    def pick(self, options):
        """One of some options; the first is the typical one."""
        typical = self.traits.random() < self.similarity
        chosen = options[int(self.traits.integers(len(options)))]
        return options[0] if typical else chosen

    def number(self, low, high):
        """A whole number in low..high; typical is the middle."""
        typical = self.traits.random() < self.similarity
        chosen = int(self.traits.integers(low, high + 1))
        return (low + high) // 2 if typical else chosen

    def chance(self, share):
        """True in that share of pictures; typical is the likelier."""
        typical = self.traits.random() < self.similarity
        chosen = bool(self.traits.random() < share)
        return share >= 0.5 if typical else chosen

    def uniform(self, low, high):
        """A number that no caption speaks of."""
        return float(self.rng.uniform(low, high))

    def spots(self, tries, low, high):
        """That many random points of the picture, one after the other."""
        for _ in range(tries):
            yield self.uniform(low, high), self.uniform(low, high)

    def canvas(self, base, foliage="green"):
        """Begin the drawing."""
        self.c = Canvas(self.rng, base, foliage)
        return self.c

    def fits(self, points, margin=2.0):
        """Whether all the points lie inside the picture."""
        x0, y0, x1, y1 = bounds(points)
        return min(x0, y0) >= margin and max(x1, y1) <= SIZE - margin

    def mark(self, label, points, **attributes):
        """Record an object, if at least 0.6 of its box can be seen."""
        x0, y0, x1, y1 = bounds(points)
        box = [min(max(float(v), 0.0), float(SIZE)) for v in (x0, y0, x1, y1)]
        seen = (box[2] - box[0]) * (box[3] - box[1])
        if seen >= max(0.6 * (x1 - x0) * (y1 - y0), 4):
            box = tuple(round(v, 1) for v in box)
            self.marks.append(Mark(label, box, attributes))
        elif seen > 0:
            self.cut[label] = self.cut.get(label, 0) + 1

    def mark_area(self, label, area, **attributes):
        """Record what lies where the field `area` is negative."""
        ys, xs = np.nonzero(area < 0)
        corners = [(xs.min(), ys.min()), (xs.max() + 1, ys.max() + 1)]
        self.mark(label, corners, **attributes)

    def count(self, label):
        """How many objects of a label are recorded."""
        return sum(m.label == label for m in self.marks)

    def clear(self, points, gap=3.0):
        """Whether a box around the points touches no recorded box."""
        x0, y0, x1, y1 = bounds(points)
        return all(
            x1 + gap < m.box[0]
            or m.box[2] + gap < x0
            or y1 + gap < m.box[1]
            or m.box[3] + gap < y0
            for m in self.marks
        )

    def seen(self, label, colour="", size="", shape="", row=False):
        """State the marked objects of a label (None if there are none).

        With a colour, only those of that colour are meant. If the
        picture's edge cuts some of them, nobody can count them, and
        captions say about how many.
        """
        if self.cut.get(label):
            return self.crowd(label, colour)
        every = [m for m in self.marks if m.label == label]
        marks = [m for m in every if not colour or m.attributes.get("colour") == colour]
        if not marks:
            return None
        row = row and len(marks) > 2
        whole = len(marks) == len(every)
        said = (colour, size, shape, _place(marks), row, whole)
        return self._state(Thing(label, len(marks), *said))

    def crowd(self, label, colour=""):
        """State marked objects that captions must not count.

        For what the picture's edge may cut: cars on a road, houses of
        a neighborhood. None if there are fewer than two.
        """
        many = self.count(label) + self.cut.get(label, 0)
        return self._state(Thing(label, 0, colour, crowd=many)) if many > 1 else None

    def stuff(self, label, colour="", shape="", place="", size=""):
        """State something that is not counted: grass, water, trees."""
        return self._state(Thing(label, 0, colour, size, shape, place))

    def link(self, first, relation, second, third=None):
        """State a relation; says nothing if an end is missing.

        An end that is a word instead of a thing is stated as stuff.
        """
        if isinstance(first, str):
            first = self.stuff(first)
        if isinstance(second, str):
            second = self.stuff(second)
        if first is not None and second is not None:
            self.links.append(Link(first, relation, second, third))

    def _state(self, thing):
        self.things.append(thing)
        return thing


def _place(marks):
    """The place that all the boxes share, or nothing."""
    places = set()
    for mark in marks:
        x0, y0, x1, y1 = mark.box
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        if any(min(abs(v - 96), abs(v - 160)) < 5 for v in (x, y)):
            return ""
        places.add(place_of(x, y))
    return places.pop() if len(places) == 1 else ""
