"""Figures of the book: functions draw and return the matplotlib figure.

Lines differ in their marks too, and hits and misses carry a symbol. A picture
is an array or a PIL image; a text stands in for one that may not be shown.
"""

import math
import os
import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.ticker import MaxNLocator

from rsir.data.split import Split
from rsir.data.toy import WORLDS

COLOURS = tuple(sns.color_palette("colorblind").as_hex())
BLUE, ORANGE, GREEN, RED = COLOURS[:4]
GREY = COLOURS[7]
INK = "#333333"
MARKS = "osD^vPX*"
WIDTH = 7.2  # inches; the text column of a page
SIX = [(d, f"R@{k}") for d in ("i2t", "t2i") for k in (1, 5, 10)]
SHOWN_WORDS = 7  # of a caption that is not ours
_STYLE = {
    "figure.figsize": (WIDTH, 3.6),
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "axes.edgecolor": "#999999",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "grid.color": "#e5e5e5",
    "legend.frameon": False,
}
_INKED = ("axes.labelcolor", "text.color", "xtick.color", "ytick.color")
_STYLE |= dict.fromkeys(_INKED, INK)
_STYLE |= dict.fromkeys(("legend.fontsize", "xtick.labelsize", "ytick.labelsize"), 9)


def set_style() -> None:
    """The look of all figures of the book. Call it once, at the top."""
    sns.set_theme("notebook", "whitegrid", "colorblind", rc=_STYLE)


def may_show(split: Split) -> bool:
    """Whether pictures and whole sentences of a split may be shown.

    Toy scenes always; no licence lets a page carry those of the public data
    sets. `RSIR_SHOW=1` in the environment shows them on your own machine.
    """
    ours = split.dataset in ("toy", *WORLDS)
    return ours or os.environ.get("RSIR_SHOW", "") not in ("", "0")


def pictures_of(split: Split, indices: Sequence[int]) -> list:
    """Pictures to be drawn, or names where `may_show` is no."""
    if not may_show(split):
        return [split.ids[i] for i in indices]
    return [split.open(i) for i in indices]


def quote(split: Split, caption: int) -> str:
    """A caption, or its beginning where `may_show` says no."""
    text = split.captions[caption].removesuffix(" .")
    words = text.split()
    if may_show(split) or len(words) <= SHOWN_WORDS:
        return text
    return " ".join(words[:SHOWN_WORDS]) + " ..."


def show_picture(picture, title: str = ""):
    """One picture, without axes."""
    pixels = np.asarray(picture)
    high = WIDTH * pixels.shape[0] / pixels.shape[1]
    fig, ax = plt.subplots(figsize=(WIDTH, high + 0.3 * bool(title)))
    ax.imshow(pixels)
    ax.set_axis_off()
    ax.set_title(title)
    return fig


def gallery(
    pictures: Sequence, titles: Sequence[str] = (), *, columns: int = 5, title: str = ""
):
    """Pictures in a grid."""
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    high = rows * (WIDTH / columns + 0.3 * bool(titles))
    fig, axes = plt.subplots(rows, columns, squeeze=False, figsize=(WIDTH, high))
    for ax in axes.flat[len(pictures) :]:
        ax.set_axis_off()
    for ax, picture in zip(axes.flat, pictures):
        _tile(ax, picture)
    for ax, name in zip(axes.flat, titles):
        ax.set_title(name, size=9)
    fig.suptitle(title, size=11)
    return fig


def retrieval_grid(
    query: str, pictures: Sequence, hits: Sequence[bool], *, names: Sequence[str] = ()
):
    """A sentence and the pictures it found, best first.

    A hit has a green frame and a tick, a miss a red one and a cross; `names`
    stand under the pictures. A ValueError if counts differ.
    """
    n = len(pictures)
    if not n or len(hits) != n or len(names) not in (0, n):
        raise ValueError(
            f"retrieval_grid: {n} pictures, {len(hits)} hits "
            f"and {len(names)} names; give one of each a picture."
        )
    text = textwrap.fill(f"“{query}”", 80)
    edge = min(WIDTH / n, 2.2)  # else one or two pictures would be blown up
    high = edge + 0.5 + 0.2 * text.count("\n")
    fig, axes = plt.subplots(1, n, squeeze=False, figsize=(edge * n, high))
    for place, (ax, picture, hit) in enumerate(zip(axes.flat, pictures, hits)):
        _tile(ax, picture)
        colour = _badge(ax, 0.08, 0.9, hit)
        ax.spines[:].set(visible=True, color=colour, linewidth=4)
        name = f"  {names[place]}" if len(names) else ""
        ax.set_xlabel(f"{place + 1}{name}", size=9)
    fig.suptitle(text, size=11, x=0.01, ha="left")
    return fig


def sentence_list(picture, sentences: Sequence[str], hits: Sequence[bool]):
    """A picture and the sentences it found, best first.

    A sentence of the picture's own has a green tick, another a red cross. A
    ValueError if counts differ.
    """
    n = len(sentences)
    if len(hits) != n or not n:
        raise ValueError(
            f"sentence_list: {n} sentences and {len(hits)} hits; give one of each."
        )
    fig, (left, right) = plt.subplots(1, 2, width_ratios=[1, 2.2], figsize=(WIDTH, 2.6))
    _tile(left, picture)
    right.set_axis_off()
    for place, (text, hit) in enumerate(zip(sentences, hits)):
        high = 1 - (place + 0.5) / n
        _badge(right, 0.02, high, hit)
        right.text(0.07, high, textwrap.fill(text, 58), size=9, va="center")
    return fig


def _badge(ax, x: float, y: float, hit: bool) -> str:
    """A tick or a cross at a place of the axes; its colour."""
    colour, mark = (GREEN, "✓") if hit else (RED, "✗")
    box = {"boxstyle": "round,pad=0.2", "fc": colour, "ec": "w"}
    font = {"color": "white", "size": 10, "weight": "bold", "ha": "center"}
    ax.text(x, y, mark, transform=ax.transAxes, va="center", bbox=box, **font)
    return colour


def _tile(ax, picture) -> None:
    """A picture, or its name on grey, without ticks and grid."""
    if isinstance(picture, str):
        ax.set_facecolor("#eeeeee")
        ax.set_box_aspect(1)
        name = "\n".join(textwrap.wrap(picture, 14))
        ax.text(0.5, 0.5, name, size=8, ha="center", va="center")
    else:
        ax.imshow(picture)
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)


def annotate(ax, text: str, at, offset=(0, 4), **more) -> None:
    """A small text beside a point of the data, `offset` in points."""
    if not offset[0]:
        more |= {"ha": "center", "va": "bottom"}
    ax.annotate(text, at, offset, textcoords="offset points", size=9, **more)


def look_of(number: int) -> dict[str, str]:
    """Mark and colour of the line with this number."""
    return {"marker": MARKS[number % 8], "color": COLOURS[number % 7]}


def look_beside_zero(low: float, high: float) -> dict[str, str]:
    """Mark and colour of a difference, by where its interval lies."""
    if low > 0:
        return {"marker": ">", "color": BLUE}
    if high < 0:
        return {"marker": "<", "color": ORANGE}
    return {"marker": "o", "color": GREY}


def with_interval(ax, at: float, row, look: Mapping[str, str], upright: bool) -> None:
    """A value with its interval: `row` is (value, low, high)."""
    value, *ends = row
    for x, more in ((ends, {"marker": "", "alpha": 0.6}), ([value], {})):
        xy = ([at] * len(x), x) if upright else (x, [at] * len(x))
        ax.plot(*xy, lw=3, ms=7, **look | more)


def tie_bars(recalls: Mapping[str, Mapping], title: str = ""):
    """What the tie rule alone does to the six recalls.

    Args:
        recalls: {rule: {"i2t": {"R@1": ..}, "t2i": ..}} with the rules
            "pessimistic", "optimistic", "expected", "released".
        title: of the figure.
    """
    rows = {r: np.array([each[d][k] for d, k in SIX]) for r, each in recalls.items()}
    low, high = rows["pessimistic"], rows["optimistic"]
    fig, ax = plt.subplots()
    x, label = range(len(SIX)), "pessimistic to optimistic"
    ax.bar(x, high - low, 0.5, low, color=COLOURS[9], edgecolor=BLUE, label=label)
    ax.plot(x, rows["expected"], "o", color=INK, label="expected")
    style = {"color": ORANGE, "ms": 6, "mfc": "none", "mew": 1.8}
    ax.plot(x, rows["released"], "D", label="released", **style)
    for place, (a, b) in enumerate(zip(low, high)):
        if b - a >= 0.05:
            annotate(ax, f"{b - a:.1f}", (place, b))
    ax.set_xticks(x, [f"{d}\n{k}" for d, k in SIX])
    ax.set(ylabel="recall in %", title=title, ylim=(0, max(high) * 1.3 + 2))
    ax.grid(axis="x", visible=False)
    ax.legend(loc="upper left", ncols=3)
    return fig


def size_bars(
    sizes: Sequence[int],
    shares: Mapping[str, Sequence[float]],
    *,
    marked: Mapping[str, int],
    chance: Mapping[str, float],
):
    """How many printed recalls fit which size of a test set, one panel a table.

    Args:
        sizes: [n] numbers of images.
        shares: {table: [n] percent of its values that fit}.
        marked: {table: size}; this bar is coloured and labelled.
        chance: {table: percent that fits a wrong size by chance}.
    """
    n = len(shares)
    size = (WIDTH, 0.9 + 1.5 * n)
    fig, axes = plt.subplots(n, sharex=True, sharey=True, squeeze=False, figsize=size)
    for ax, (name, values) in zip(axes.flat, shares.items()):
        bars = ax.bar(sizes, values, color=GREY, width=0.7)
        best = bars[list(sizes).index(marked[name])]
        best.set_color(ORANGE)
        annotate(ax, f"{marked[name]:,}", (marked[name], best.get_height()))
        ax.axhline(chance[name], color=INK, ls="--", lw=1, label="by chance")
        ax.set(ylim=(0, 118), ylabel="fit, %", title=name)
        ax.grid(axis="x", visible=False)
    ax.legend(loc="upper right")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("images in the test set")
    return fig


def interval_plot(
    rows: Mapping[str, tuple[float, float, float]],
    *,
    xlabel: str = "mR in %",
    zero: bool = False,
):
    """Values with their intervals, one row each, the first on top.

    Args:
        rows: {name: (value, low, high)}.
        xlabel: of the horizontal axis.
        zero: differences: draw a line at 0; an interval above it is blue, one
            below it orange, one that holds it grey.
    """
    fig, ax = plt.subplots(figsize=(WIDTH, 0.9 + 0.38 * len(rows)))
    for at, row in enumerate(rows.values()):
        look = look_beside_zero(*row[1:]) if zero else look_of(at)
        with_interval(ax, at, row, look, upright=False)
        annotate(ax, f"{round(row[0], 1) + 0:.1f}", (row[2], at), (6, 0), va="center")
    if zero:
        ax.axvline(0, color=INK, lw=1)
    ax.set_yticks(range(len(rows)), list(rows))
    ax.margins(x=0.12)
    ax.set(xlabel=xlabel, ylim=(len(rows) - 0.5, -0.5))
    ax.grid(axis="y", visible=False)
    return fig


def duplicate_histogram(images_per_text: Sequence[int], title: str = ""):
    """How many images own one text: distinct texts, on a log scale."""
    counts = np.bincount(np.asarray(images_per_text))[1:]
    fig, ax = plt.subplots(figsize=(WIDTH, 3))
    x = np.arange(1, len(counts) + 1)
    bars = ax.bar(x, counts, color=[GREY if n == 1 else ORANGE for n in x], width=0.75)
    for bar in bars[1:]:
        bar.set_hatch("//")
    if len(x) <= 30:
        ax.bar_label(bars, [c or "" for c in counts], size=9)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set(xlabel="images that own the text (hatched: shared)", ylabel="distinct texts")
    ax.set(title=title, yscale="log", ylim=(0.7, counts.max() * 3))
    ax.grid(axis="x", visible=False)
    return fig


def curves(
    x: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
    log: bool = False,
):
    """Lines `{name: [n] values}` over `x` [n]; if `log`, to base 2, x are the ticks."""
    fig, ax = plt.subplots()
    for number, (name, values) in enumerate(lines.items()):
        ax.plot(x, values, label=name, **look_of(number))
    if log:
        ax.set_xscale("log", base=2)
        ax.set_xticks(x, [f"{v:,}" for v in x])
        ax.minorticks_off()
    elif all(v == int(v) for v in x):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylim(bottom=0)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    ax.legend()
    return fig
