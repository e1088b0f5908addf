"""A contact sheet: one picture of each kind, with its name."""

from PIL import Image, ImageDraw, ImageFont

from toyscenes.draw import draw
from toyscenes.scenes import KINDS

PAPER, INK = (255, 255, 255), (60, 60, 60)


def contact_sheet(splits=None, *, columns=7, edge=160, gap=6, seed=0, kinds=None):
    """Lay out one picture of each kind in a grid.

    Args:
        splits: toy `Splits`; the first picture of each kind is taken
            from train, val, test in turn. None draws fresh pictures.
        columns: pictures in a row.
        edge: edge of a picture on the sheet, in pixels.
        gap: space between pictures, in pixels.
        seed: of the fresh pictures.
        kinds: names of kinds, in order; by default all that there are.

    Returns:
        A PIL image.
    """
    kinds = tuple(kinds or KINDS)
    label = max(10, edge // 12)
    font = ImageFont.load_default(label)
    rows = -(-len(kinds) // columns)
    high = edge + label + 6
    sheet = Image.new(
        "RGB", (columns * (edge + gap) + gap, rows * (high + gap) + gap), PAPER
    )
    ink = ImageDraw.Draw(sheet)
    found = _first_of_each(splits) if splits is not None else {}
    for k, kind in enumerate(kinds):
        if kind in found:
            image = Image.open(found[kind]).convert("RGB")
        elif splits is None:
            image = Image.fromarray(draw(kind, seed, 3, k, 0.2, 0.2)[0])
        else:
            continue
        x = gap + (k % columns) * (edge + gap)
        y = gap + (k // columns) * (high + gap)
        sheet.paste(image.resize((edge, edge), Image.Resampling.LANCZOS), (x, y))
        ink.text((x + 1, y + edge + 2), kind, INK, font)
    return sheet


def _first_of_each(splits):
    found = {}
    for split in splits:
        for path, label in zip(split.images, split.labels or ()):
            found.setdefault(label, path)
    return found
