"""Worlds: pictures of a few objects, made so that one thing decides.

A world is a scene of one kind in which a sentence can be told from the others
only by what its name says. Its control is the same scene without that: there a
mechanism that the world calls for has nothing to do.

* `scales`: a large ground with one or two tiny objects on it, each in one place
  of nine. Control: the objects are large, and no place is said.
* `counts`: two groups of equal objects in rows, 1 to 12 of each. Control: one
  object of each, of more kinds.
* `things`: three objects, each of its own colour and form. Control: one object.

A recipe names a world, its knobs and how many pictures; `toyscenes.draw` draws it.
"""

import math

from toyscenes.drawing import buildings, vehicles
from toyscenes.drawing.geometry import SIZE, place_of
from toyscenes.drawing.paint import paint

COLOURS = ("white", "black", "red", "yellow", "blue", "orange")
FORMS = ("plane", "tank", "hall", "lorry")
GROUNDS = {
    "grass": "green grass",
    "bare soil": "bare soil",
    "concrete": "pale concrete",
    "asphalt": "dark asphalt",
    "sand": "yellow sand",
    "red soil": "red soil",
}
NUMBERS = "no one two three four five six seven eight nine ten eleven twelve".split()
PREPOSITIONS = {"top": "at", "bottom": "at", "left": "on", "right": "on"}


def place_object(stage, form, colour, x, y, size, angle):
    """Draw one object and record its box."""
    c, body = stage.c, paint(stage.rng, colour, 5)
    if form == "plane":
        outline = vehicles.plane(c, x, y, angle, size, body, body)
    elif form == "tank":
        outline = buildings.tank(c, x, y, size * 0.42, body, False, size * 0.15)
    elif form == "hall":
        sides = size * 0.55, size * 0.95
        outline = buildings.hall(c, x, y, *sides, angle, body, size * 0.15)
    else:
        outline = vehicles.lorry(c, x, y, angle, body, size * 0.75, size * 0.3)
    stage.mark(form, outline, colour=colour)


def named(colour, form, count=1):
    """ "a red tank", "three red tanks"."""
    if count > 1:
        plural = {"lorry": "lorries"}.get(form, f"{form}s")
        return f"{NUMBERS[count]} {colour} {plural}"
    return f"{'an' if colour[0] in 'aeiou' else 'a'} {colour} {form}"


def objects_of(stage, many, colours=COLOURS, forms=FORMS):
    """That many different (colour, form), the last picked as often as the first."""
    every = [(c, f) for c in colours for f in forms]
    return [every[i] for i in stage.traits.choice(len(every), many, replace=False)]


def ground_of(stage, names=tuple(GROUNDS)):
    name = names[int(stage.traits.integers(len(names)))]
    stage.canvas(name)
    return GROUNDS[name]


def scales(stage, control):
    """Tiny objects in a wide place."""
    rng, traits = stage.rng, stage.traits
    ground = ground_of(stage)
    spots = [(64 * i + 64, 64 * j + 64) for i in range(3) for j in range(3)]
    picked = traits.choice(len(spots), 2, replace=False)
    said = []
    for (colour, form), spot in zip(objects_of(stage, 2), picked):
        x, y = (v + rng.uniform(-14, 14) for v in spots[spot])
        size = rng.uniform(56, 68) if control else rng.uniform(11, 15)
        if control:  # both must fit
            x, y = SIZE * (0.28 + 0.44 * len(said)), rng.uniform(60, SIZE - 60)
        place_object(stage, form, colour, x, y, size, rng.uniform(0, 2 * math.pi))
        where = place_of(*spots[spot])
        where = f"{PREPOSITIONS.get(where, 'in')} the {where}"
        thing = named(colour, form)
        said.append(thing if control else f"{thing} {where}")
    one, other = said
    return [
        f"there is {one} and {other} on {ground}",
        f"{ground} with {other} and {one}",
        f"{one} and {other} stand on {ground}",
        f"{one} is on {ground}",
        f"{other} is on {ground}",
    ], [f"a wide place of {ground}", f"this is a wide place of {ground}"]


def counts(stage, control):
    """Two groups of equal objects, each in rows."""
    rng, traits = stage.rng, stage.traits
    ground = ground_of(stage)
    groups = objects_of(stage, 3 if control else 2)
    said, angle = [], rng.choice((0.0, math.pi / 2)) + rng.uniform(-0.08, 0.08)
    side = len(groups)
    for k, (colour, form) in enumerate(groups):
        many = 1 if control else int(traits.integers(1, 13))
        middle = SIZE * (k + 0.5) / side
        columns = 1 if many == 1 else 2 if many < 7 else 3
        rows = -(-many // columns)
        for j in range(many):
            down, right = divmod(j, columns)
            x = middle + (right - (columns - 1) / 2) * 34 + rng.uniform(-3, 3)
            y = SIZE / 2 + (down - (rows - 1) / 2) * 38 + rng.uniform(-3, 3)
            place_object(stage, form, colour, x, y, rng.uniform(25, 29), angle)
        said.append(named(colour, form, many))
    *others, last = said
    first, rest = said[0], " and ".join(said[1:])
    return [
        f"{' and '.join(said)} stand on {ground}",
        f"{last} beside {' and '.join(others)} on {ground}",
        f"{ground} with {first} and {rest}",
        f"{first} on {ground}",
        f"{last} on {ground}",
    ], [f"some objects in rows on {ground}", f"many objects stand on {ground}"]


def things(stage, control):
    """Three objects anywhere, each of its own colour and form."""
    rng, traits = stage.rng, stage.traits
    ground = ground_of(stage)
    picked = objects_of(stage, 1 if control else 3)
    spots = traits.choice(9, len(picked), replace=False)
    for (colour, form), spot in zip(picked, spots):
        x, y = (64 + 64 * int(v) + rng.uniform(-12, 12) for v in divmod(spot, 3))
        size, turn = rng.uniform(40, 48), rng.uniform(0, 2 * math.pi)
        place_object(stage, form, colour, x, y, size, turn)
    said = [named(*one) for one in picked]
    first, last = (" and ".join(order) for order in (said, said[::-1]))
    verb = "stands" if control else "stand"
    return [
        f"{first} {verb} on {ground}",
        f"there is {last} on {ground}",
        f"{ground} with {first}",
        f"on {ground} there is {last}",
        f"a picture of {first} on {ground}",
    ], [f"some objects on {ground}", f"this is {ground}"]


SCENES = {"scales": scales, "counts": counts, "things": things}
#: how many pictures of a world, which share of captions says little, and how far
#: the seed of the test pictures is from that of the others
RECIPE = {"sizes": (6000, 1000, 1000), "duplicates": 0.0, "test_seed": 1000}
#: what `draw` takes as `world`; "-control" is the same without its reason
WORLDS = tuple(f"{name}{kind}" for name in SCENES for kind in ("", "-control"))


def draw_world(stage, world, words, duplicates):
    """Draw a world on a stage: its five captions.

    `duplicates` is the share of captions that say the ground alone, or repeat
    one of the same picture.
    """
    name, _, control = world.partition("-")
    own, general = SCENES[name](stage, bool(control))
    out = []
    for text, (share, which, index) in zip(own, words.random((len(own), 3))):
        if share < duplicates:
            near = out if which < 0.25 and out else general
            text = near[int(index * len(near))]
        out.append(text)
    return [text if text.endswith(" .") else f"{text} ." for text in out]
