"""What a colour word looks like from above."""

import numpy as np

PAINTS = {
    "white": (226, 225, 220),
    "gray": (150, 151, 153),
    "dark gray": (98, 100, 104),
    "black": (52, 53, 56),
    "red": (172, 66, 54),
    "brown": (124, 90, 68),
    "orange": (202, 124, 64),
    "yellow": (212, 182, 82),
    "green": (82, 128, 84),
    "blue": (72, 112, 168),
    "beige": (196, 182, 152),
    "silver": (186, 190, 194),
}

# roofs wear duller colours than cars do
ROOFS = {
    "red": (158, 88, 68),
    "brown": (122, 94, 74),
    "gray": (140, 140, 142),
    "white": (218, 217, 212),
    "blue": (86, 122, 166),
    "dark gray": (96, 97, 101),
    "orange": (184, 122, 78),
    "beige": (188, 174, 148),
    "green": (98, 124, 104),
}


def paint(rng, name, spread=7.0, palette=PAINTS):
    """A colour of that name, a little different each time."""
    base = np.add(palette[name], rng.normal(0, spread))
    return tuple(np.clip(base + rng.normal(0, spread / 2.5, 3), 0, 255))


def roof(rng, name, spread=7.0):
    """A roof colour of that name."""
    return paint(rng, name, spread, ROOFS)
