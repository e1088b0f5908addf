"""Draw the pictures of the landing page, of the README and of the toy scenes.

Usage: python tools/draw_figures.py

Toy scenes only. The search in `query.png` is a real one: the frozen
baseline looks for the sentence among the test scenes. All files go to
`book/images/`.
"""

import io
import textwrap

import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch
from nbkit import ROOT
from PIL import Image

from rsir.data import load_dataset, open_image
from rsir.retrieval.search import baseline, search
from toyscenes import contact_sheet
from toyscenes.generate import draw_picture
from toyscenes.worlds import SCENES

OUT = ROOT / "book/images"
SENTENCE = "boats along the piers of a harbor"
SHOWN = 4
EDGE, GAP, TOP = 1.5, 0.12, 0.62  # inches
INK, FRAME, ACCENT = "#333333", "#b8bec6", "#0173b2"


def save(picture: Image.Image, name: str) -> None:
    """A PNG of 256 colours, a third of the size."""
    path = OUT / name
    small = picture.convert("RGB").quantize(
        256, Image.Quantize.MAXCOVERAGE, 3, dither=Image.Dither.FLOYDSTEINBERG
    )
    small.save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1024} kB")


def drawn(fig) -> Image.Image:
    """A figure as a picture; the figure is closed."""
    file = io.BytesIO()
    fig.savefig(file, format="png")
    plt.close(fig)
    return Image.open(file)


def search_box(fig, width: float, high: float) -> None:
    """A box with a magnifying glass and what was typed."""
    ax = fig.add_axes((0, 1 - TOP / high, 1, TOP / high))
    ax.set(xlim=(0, width), ylim=(0, TOP))
    ax.set_axis_off()
    rounded = "round,pad=0.05,rounding_size=0.2"
    corner, wide = (GAP + 0.05, 0.16), width - 2 * GAP - 0.1
    box = FancyBboxPatch(corner, wide, 0.34, rounded, fc="white", ec=FRAME, lw=1.4)
    ax.add_patch(box)
    x, y = GAP + 0.24, 0.35
    ax.add_patch(plt.Circle((x, y), 0.065, fill=False, ec=ACCENT, lw=2))
    handle = [x + 0.05, x + 0.13], [y - 0.05, y - 0.13]
    ax.plot(*handle, color=ACCENT, lw=2.6, solid_capstyle="round")
    ax.text(x + 0.28, 0.33, SENTENCE, size=13, color=INK, va="center")


def query_picture(pictures: list) -> Image.Image:
    """The sentence and the pictures that it finds, best first."""
    width = len(pictures) * (EDGE + GAP) + GAP
    high = TOP + EDGE + 2 * GAP
    fig = plt.figure(figsize=(width, high), facecolor="white", dpi=150)
    fig.set_layout_engine("none")
    search_box(fig, width, high)
    label = {"va": "top", "color": "white", "size": 10, "weight": "bold"}
    circle = {"boxstyle": "circle,pad=0.25", "fc": ACCENT, "ec": "white"}
    for place, pixels in enumerate(pictures):
        left = GAP + place * (EDGE + GAP)
        ax = fig.add_axes((left / width, GAP / high, EDGE / width, EDGE / high))
        ax.imshow(pixels, interpolation="lanczos")
        ax.set(xticks=[], yticks=[])
        for spine in ax.spines.values():
            spine.set(visible=True, color=FRAME, linewidth=0.8)
        at = {"transform": ax.transAxes, "bbox": circle}
        ax.text(0.07, 0.93, str(place + 1), **at, **label)
    return drawn(fig)


def worlds_picture() -> Image.Image:
    """Three pictures of each world, and beside them three of its control."""
    each = 3
    edge = (7.2 - (2 * each + 1) * 0.06 - 0.2) / (2 * each)
    high = len(SCENES) * (edge + 0.5)
    fig = plt.figure(figsize=(7.2, high), facecolor="white", dpi=150)
    fig.set_layout_engine("none")
    for row, name in enumerate(SCENES):
        top = 0.25 + row * (edge + 0.5)
        for half, world in enumerate((name, f"{name}-control")):
            begin = 0.06 + half * (each * (edge + 0.06) + 0.14)
            for k in range(each):
                pixels, facts = draw_picture(world, 0, 0, 10 + 2 * k, 0, 0)
                place = begin + k * (edge + 0.06), high - top - edge
                left, low = place[0] / 7.2, place[1] / high
                ax = fig.add_axes((left, low, edge / 7.2, edge / high))
                ax.imshow(pixels, interpolation="lanczos")
                ax.set_axis_off()
                if k == 0:
                    at = {"x": left, "ha": "left", "color": INK}
                    y = (high - top) / high
                    fig.text(y=y + 0.01, s=world, weight="bold", size=9, **at)
                    said = min(facts["captions"][:3], key=len).removesuffix(" .")
                    said = textwrap.fill(f"“{said}”", 76)
                    fig.text(y=low - 0.01, s=said, size=6.2, va="top", **at)
    return drawn(fig)


def main() -> None:
    save(worlds_picture(), "worlds.png")
    splits = load_dataset("toy")
    save(contact_sheet(splits, columns=11, edge=128), "toy_scenes.png")
    found = search(baseline(splits), splits.test, SENTENCE, SHOWN)
    save(
        query_picture([open_image(splits.test.images[i]) for i, _ in found]),
        "query.png",
    )


if __name__ == "__main__":
    main()
