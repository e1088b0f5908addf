"""Two more figures of the book: flow charts and regions on a picture.

As in `rsir.plots`, functions draw and return the matplotlib figure.
Chapter: notebooks/03_galr.ipynb.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np

from rsir.plots import INK, WIDTH

PICTURE, SENTENCE = "#cfe3f3", "#fbe3c0"
GAP = 0.006  # between neighbours, as a share of the picture


def flow_chart(places: Mapping[str, tuple[float, float]], arrows: str,
               *, sentence: Sequence[str] = (), height: float = 2.8):
    """Boxes with words, and arrows between them.

    Args:
        places: {words in a box: (x, y) of its centre}.
        arrows: "from>to|from>to".
        sentence: boxes of the sentence's side; the others are the
            picture's.
        height: of the figure, in inches.

    Raises:
        ValueError: an arrow to or from a box that is not there.
    """
    pairs = [tuple(arrow.split(">")) for arrow in arrows.split("|")]
    missing = {name for pair in pairs for name in pair} - set(places)
    if missing:
        raise ValueError(
            f"flow_chart: no box {', '.join(sorted(missing))}; give "
            "each end of an arrow a place."
        )
    fig, ax = plt.subplots(figsize=(WIDTH, height))
    drawn = {
        name: ax.text(*at, name, ha="center", va="center", bbox={
            "boxstyle": "round,pad=0.5", "ec": INK,
            "fc": SENTENCE if name in sentence else PICTURE,
        }) for name, at in places.items()
    }
    for one, two in pairs:
        ax.annotate("", places[two], places[one], arrowprops={
            "arrowstyle": "-|>", "color": INK, "lw": 1.5,
            "patchA": drawn[one].get_bbox_patch(),
            "patchB": drawn[two].get_bbox_patch(),
        })
    x, y = np.array(list(places.values())).T
    ax.set(xlim=(x.min() - 0.8, x.max() + 0.8),
           ylim=(y.min() - 0.5, y.max() + 0.5))
    ax.set_axis_off()
    return fig


def region_groups(picture, panels: Mapping[str, Sequence[np.ndarray]]):
    """One picture, some times, with groups of regions on it.

    Args:
        picture: an image, or a text where none may be shown.
        panels: {title: groups}; a group `[n, 4]` holds left, top,
            right and bottom of its regions, as shares of the sides,
            and has a colour of its own.
    """
    fig, axes = plt.subplots(
        1, len(panels), squeeze=False,
        figsize=(WIDTH, 0.3 + WIDTH / max(2, len(panels))),
    )
    for ax, (title, groups) in zip(axes.flat, panels.items()):
        if not isinstance(picture, str):
            ax.imshow(np.asarray(picture), extent=(0, 1, 1, 0))
        for number, group in enumerate(groups):
            tone = plt.cm.tab20(number % 20)
            for x0, y0, x1, y1 in np.asarray(group).reshape(-1, 4):
                ax.add_patch(plt.Rectangle(
                    (x0 + GAP, y0 + GAP), x1 - x0 - 2 * GAP,
                    y1 - y0 - 2 * GAP, ec=tone, fc=(*tone[:3], 0.3),
                    lw=1.5,
                ))
        ax.set(xlim=(0, 1), ylim=(1, 0), aspect=1, title=title)
        ax.set_axis_off()
    return fig
