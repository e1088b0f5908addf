"""A contact sheet: one picture of each kind, with its name."""

from PIL import Image, ImageDraw, ImageFont

from toyscenes.scenes import KINDS

PAPER, INK = (255, 255, 255), (60, 60, 60)


def contact_sheet(splits, *, columns=7, edge=160, gap=6):
    """Lay out one picture of each kind in a grid, a PIL image.

    The first picture of each kind is shown, of splits with `images` (paths)
    and `labels` (kinds). `edge` and `gap` are the size of a picture on the
    sheet and the space between two, in pixels.
    """
    label = max(10, edge // 12)
    font = ImageFont.load_default(label)
    high = edge + label + 6
    wide, tall = columns * (edge + gap) + gap, -(-len(KINDS) // columns) * (high + gap)
    sheet = Image.new("RGB", (wide, tall + gap), PAPER)
    ink = ImageDraw.Draw(sheet)
    found = {}
    for split in splits:
        for path, kind in zip(split.images, split.labels or ()):
            found.setdefault(kind, path)
    for k, kind in enumerate(KINDS):
        if kind not in found:
            continue
        image = Image.open(found[kind]).convert("RGB")
        x = gap + (k % columns) * (edge + gap)
        y = gap + (k // columns) * (high + gap)
        sheet.paste(image.resize((edge, edge), Image.Resampling.LANCZOS), (x, y))
        ink.text((x + 1, y + edge + 2), kind, INK, font)
    return sheet
