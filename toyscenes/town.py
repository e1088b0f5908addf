"""A town: one large picture of many scenes, with the true place of each.

Blocks are scenes of 256 x 256 pixels with streets between them. What stands in
the middle of a town stands in the middle here, farmland and forests around it.
"""

import numpy as np

from toyscenes.drawing.geometry import SIZE
from toyscenes.drawing.noise import crop
from toyscenes.generate import draw_picture

STREET = 24  # width of the streets, in pixels
PITCH = SIZE + STREET
CENTRE = "dense residential, square, church, parking lot, railway station, park"
SUBURB = (
    "dense residential, sparse residential, playground, stadium, tennis court, "
    "baseball field, basketball court, parking lot, industrial area, storage tanks"
)
LAND = "farmland, forest, meadow, circular fields, lake, solar farm, golf course"
#: kinds by distance from the middle, as a share of that of a corner
RINGS = ((0.3, CENTRE), (0.62, SUBURB), (1.01, LAND))
ASPHALT, LINE = (104, 103, 103), (206, 203, 196)


def edge(blocks):
    """Pixels along a side of a town of that many blocks."""
    return blocks * PITCH + STREET


def plan(seed, blocks):
    """The kind of each block, a list of rows."""
    rng = np.random.default_rng([seed, blocks])
    middle = (blocks - 1) / 2
    far = max(np.hypot(middle, middle), 1)
    rows = []
    for y in range(blocks):
        row = []
        for x in range(blocks):
            out = np.hypot(x - middle, y - middle) / far + rng.normal(0, 0.04)
            out = min(max(out, 0), 1)
            kinds = next(k for most, k in RINGS if out <= most).split(", ")
            row.append(kinds[int(rng.integers(len(kinds)))])
        rows.append(row)
    return rows


def draw_town(seed=0, blocks=14, kinds=None):
    """Draw a town of `blocks` x `blocks` scenes; 14 make 3,944 pixels a side.

    Args:
        seed: whole number from 0 up.
        blocks: along each side.
        kinds: the kind of each block, a list of rows; None: `plan`.

    Returns:
        Pixels, uint8 `[edge, edge, 3]`, and a list of dicts: "label", "box"
        (x0, y0, x1, y1 in pixels) and "attributes" of each block (label: its
        kind, attributes: {"block": True}) and of each object on it.
    """
    side = edge(blocks)
    town = np.empty((side, side, 3), np.uint8)
    _pave(town, np.random.default_rng([seed, blocks, 1]))
    found = []
    for row, names in enumerate(kinds or plan(seed, blocks)):
        for column, kind in enumerate(names):
            x, y = column * PITCH + STREET, row * PITCH + STREET
            # split 3: no picture of a data set is drawn from this stream
            index = row * len(names) + column
            pixels, record = draw_picture(kind, seed, 3, index, 0.25, 0)
            town[y : y + SIZE, x : x + SIZE] = pixels
            block = [x, y, x + SIZE, y + SIZE]
            found.append({"label": kind, "box": block, "attributes": {"block": True}})
            for one in record["objects"]:
                x0, y0, x1, y1 = one["box"]
                found.append(one | {"box": [x0 + x, y0 + y, x1 + x, y1 + y]})
    return town, found


def _pave(town, rng):
    """Streets both ways, with a dashed line in their middle."""
    grain = crop(rng, "grain")
    times = -(-len(town) // len(grain))
    rough = np.tile(grain, (times, times))[: len(town), : len(town), None]
    town[:] = np.clip(np.array(ASPHALT) + 4 * rough, 0, 255)
    dash = np.arange(len(town)) % 14 < 6
    for start in range(0, len(town), PITCH):
        middle = start + STREET // 2
        town[middle - 1 : middle + 1, dash] = LINE
        town[dash, middle - 1 : middle + 1] = LINE
