"""A contact sheet: one picture of each kind, with its name."""

from PIL import Image, ImageDraw, ImageFont

from toyscenes.generate import draw_picture
from toyscenes.scenes import KINDS

PAPER, INK = (255, 255, 255), (60, 60, 60)


def contact_sheet(splits=None, *, columns=7, edge=160, gap=6):
    """Lay out one picture of each kind in a grid.

    Args:
        splits: some splits, each with `images` (paths) and `labels`
            (kinds); the first picture of each kind is shown. None
            draws fresh pictures.
        columns: pictures in a row.
        edge: edge of a picture on the sheet, in pixels.
        gap: space between pictures, in pixels.

    Returns:
        A PIL image.
    """
    label = max(10, edge // 12)
    font = ImageFont.load_default(label)
    high = edge + label + 6
    wide, tall = columns * (edge + gap) + gap, -(-len(KINDS) // columns) * (high + gap)
    sheet = Image.new("RGB", (wide, tall + gap), PAPER)
    ink = ImageDraw.Draw(sheet)
    found = {}
    for split in splits or ():
        for path, kind in zip(split.images, split.labels or ()):
            found.setdefault(kind, path)
    for k, kind in enumerate(KINDS):
        if splits is None:
            image = Image.fromarray(draw_picture(kind, 0, 3, k, 0.2, 0.2)[0])
        elif kind in found:
            image = Image.open(found[kind]).convert("RGB")
        else:
            continue
        x = gap + (k % columns) * (edge + gap)
        y = gap + (k // columns) * (high + gap)
        sheet.paste(image.resize((edge, edge), Image.Resampling.LANCZOS), (x, y))
        ink.text((x + 1, y + edge + 2), kind, INK, font)
    return sheet
