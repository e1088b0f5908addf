"""Figures of the book: one style, and colours that all eyes can tell.

Functions draw and return the matplotlib figure; a notebook ends the
cell with `plt.show()`. Colour is never the only sign: lines differ in
their marks too, and hits and misses carry a symbol.

Chapter: notebooks/01_data_and_protocol.ipynb.
"""

import math
import os
import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.ticker import MaxNLocator
from PIL import Image

from rsir.data.images import open_image
from rsir.data.split import Split

COLOURS = tuple(sns.color_palette("colorblind").as_hex())
BLUE, ORANGE, GREEN, RED = COLOURS[:4]
GREY = COLOURS[7]
INK = "#333333"
MARKS = "osD^vPX*"
WIDTH = 7.2  # inches; the text column of a page
SIX = [(d, f"R@{k}") for d in ("i2t", "t2i") for k in (1, 5, 10)]
SHOWN_WORDS = 7  # of a caption that is not ours


def set_style() -> None:
    """The look of all figures of the book. Call it once, at the top."""
    sns.set_theme(
        context="notebook",
        style="whitegrid",
        palette="colorblind",
        rc={
            "figure.figsize": (WIDTH, 3.6),
            "figure.dpi": 110,
            "figure.constrained_layout.use": True,
            "axes.edgecolor": "#999999",
            "axes.labelcolor": INK,
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlelocation": "left",
            "axes.titlesize": 11,
            "axes.labelsize": 10,
            "grid.color": "#e5e5e5",
            "legend.fontsize": 9,
            "legend.frameon": False,
            "text.color": INK,
            "xtick.color": INK,
            "xtick.labelsize": 9,
            "ytick.color": INK,
            "ytick.labelsize": 9,
        },
    )


# ---- pictures --------------------------------------------------------


def may_show(split: Split) -> bool:
    """Whether pictures and whole sentences of a split may be shown.

    Toy scenes always. Those of the public data sets have no licence
    that lets a page carry them, so a notebook names files instead;
    `RSIR_SHOW=1` in the environment shows them on your own machine.
    """
    wished = os.environ.get("RSIR_SHOW", "") not in ("", "0")
    return split.dataset == "toy" or wished


def pictures_of(split: Split, indices: Sequence[int]) -> list:
    """Pictures for `retrieval_grid`, or names where `may_show` is no."""
    if not may_show(split):
        return [split.ids[i] for i in indices]
    return [open_image(split.images[i]) for i in indices]


def quote(split: Split, caption: int) -> str:
    """A caption, or its beginning where `may_show` says no."""
    text = split.captions[caption].removesuffix(" .")
    words = text.split()
    if may_show(split) or len(words) <= SHOWN_WORDS:
        return text
    return " ".join(words[:SHOWN_WORDS]) + " ..."


def show_picture(picture, title: str = "", width: float = WIDTH):
    """One picture, without axes. Array, PIL image or path."""
    pixels = _pixels(picture)
    high = width * pixels.shape[0] / pixels.shape[1]
    fig, ax = plt.subplots(figsize=(width, high + 0.3 * bool(title)))
    ax.imshow(pixels)
    ax.set_axis_off()
    ax.set_title(title)
    return fig


def gallery(
    pictures: Sequence,
    titles: Sequence[str] = (),
    *,
    columns: int = 5,
    title: str = "",
):
    """Pictures (arrays, PIL images, paths, or names) in a grid."""
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    edge = WIDTH / columns
    fig, axes = plt.subplots(
        rows,
        columns,
        squeeze=False,
        figsize=(WIDTH, rows * (edge + 0.3 * bool(titles))),
    )
    for ax in axes.flat[len(pictures) :]:
        ax.set_axis_off()
    for place, (ax, picture) in enumerate(zip(axes.flat, pictures)):
        _tile(ax, picture)
        if place < len(titles):
            ax.set_title(titles[place], size=9)
    fig.suptitle(title, size=11)
    return fig


def retrieval_grid(
    query: str,
    pictures: Sequence,
    hits: Sequence[bool],
    *,
    names: Sequence[str] = (),
):
    """A sentence and the pictures it found, best first.

    A hit has a green frame and a tick, a miss a red one and a cross.

    Args:
        query: the sentence.
        pictures: arrays, PIL images or paths; a text stands in for a
            picture that may not be shown (see `pictures_of`).
        hits: whether each picture is a correct one.
        names: a word under each picture, such as its scene kind.

    Raises:
        ValueError: no picture, or a count that does not fit.
    """
    counts = {len(pictures), len(hits), len(names) or len(hits)}
    if len(counts) > 1 or not len(pictures):
        raise ValueError(
            f"retrieval_grid: {len(pictures)} pictures, {len(hits)} hits "
            f"and {len(names)} names; give one of each a picture."
        )
    text = textwrap.fill(f"“{query}”", 80)
    lines = text.count("\n") + 1
    # one line of small figures would else be blown up
    edge = min(WIDTH / len(pictures), 2.2)
    fig, axes = plt.subplots(
        1,
        len(pictures),
        squeeze=False,
        figsize=(edge * len(pictures), edge + 0.3 + 0.2 * lines),
    )
    for place, (ax, picture, hit) in enumerate(
        zip(axes.flat, pictures, hits, strict=True)
    ):
        _tile(ax, picture)
        colour, mark = (GREEN, "✓") if hit else (RED, "✗")
        for spine in ax.spines.values():
            spine.set(visible=True, color=colour, linewidth=4)
        ax.text(
            0.05,
            0.95,
            mark,
            transform=ax.transAxes,
            va="top",
            color="white",
            size=11,
            weight="bold",
            bbox={"boxstyle": "round,pad=0.2", "fc": colour, "ec": "w"},
        )
        label = f"{place + 1}"
        if len(names):
            label += f"  {names[place]}"
        ax.set_xlabel(label, size=9)
    fig.suptitle(text, size=11, x=0.01, ha="left")
    return fig


def sentence_list(
    picture, sentences: Sequence[str], hits: Sequence[bool], *, title: str = ""
):
    """A picture and the sentences it found, best first.

    A sentence of the picture's own has a green tick, another a red
    cross.

    Args:
        picture: array, PIL image, path, or a name in its place.
        sentences: in their order.
        hits: whether each sentence is a correct one.
        title: of the figure.

    Raises:
        ValueError: no sentence, or a count that does not fit.
    """
    if len(sentences) != len(hits) or not len(hits):
        raise ValueError(
            f"sentence_list: {len(sentences)} sentences and "
            f"{len(hits)} hits; give one of each."
        )
    fig, (left, right) = plt.subplots(1, 2, width_ratios=[1, 2.2], figsize=(WIDTH, 2.6))
    _tile(left, picture)
    right.set_axis_off()
    step = 1 / len(hits)
    for place, (text, hit) in enumerate(zip(sentences, hits)):
        colour, mark = (GREEN, "✓") if hit else (RED, "✗")
        high = 1 - (place + 0.5) * step
        right.text(
            0.02,
            high,
            mark,
            color="white",
            size=10,
            weight="bold",
            va="center",
            ha="center",
            bbox={"boxstyle": "round,pad=0.2", "fc": colour, "ec": "w"},
        )
        right.text(0.07, high, textwrap.fill(text, 58), size=9, va="center")
    fig.suptitle(title, size=11)
    return fig


def _pixels(picture) -> np.ndarray:
    if isinstance(picture, np.ndarray):
        return picture
    if not isinstance(picture, Image.Image):
        picture = open_image(picture)
    return np.asarray(picture)


def _tile(ax, picture) -> None:
    """A picture, or its name on grey, without ticks and grid."""
    if isinstance(picture, str):
        ax.set_facecolor("#eeeeee")
        ax.set_box_aspect(1)
        ax.text(
            0.5,
            0.5,
            "\n".join(textwrap.wrap(picture, 14)),
            size=8,
            ha="center",
            va="center",
            transform=ax.transAxes,
        )
    else:
        ax.imshow(_pixels(picture))
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)


# ---- numbers ---------------------------------------------------------


def tie_bars(recalls: Mapping[str, Mapping], title: str = ""):
    """What the tie rule alone does to the six recalls.

    Args:
        recalls: {rule: {"i2t": {"R@1": ..}, "t2i": ..}} with the rules
            "pessimistic", "optimistic", "expected", "released".
        title: of the figure.
    """
    fig, ax = plt.subplots()
    rows = {
        rule: np.array([each[d][k] for d, k in SIX]) for rule, each in recalls.items()
    }
    x = np.arange(len(SIX))
    low, high = rows["pessimistic"], rows["optimistic"]
    ax.bar(
        x,
        high - low,
        bottom=low,
        width=0.5,
        color=COLOURS[9],
        edgecolor=BLUE,
        label="pessimistic to optimistic",
    )
    ax.plot(x, rows["expected"], "o", color=INK, label="expected")
    ax.plot(
        x,
        rows["released"],
        "D",
        color=ORANGE,
        ms=6,
        label="released",
        mfc="none",
        mew=1.8,
    )
    for place, (a, b) in enumerate(zip(low, high)):
        if b - a >= 0.05:
            ax.annotate(
                f"{b - a:.1f}",
                (place, b),
                xytext=(0, 5),
                size=9,
                textcoords="offset points",
                ha="center",
                va="bottom",
            )
    ax.set_xticks(x, [f"{d}\n{k}" for d, k in SIX])
    ax.set_ylim(0, max(high) * 1.3 + 2)
    ax.set(ylabel="recall in %", title=title)
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
    """How many printed recalls fit which size of a test set.

    Args:
        sizes: [n] numbers of images.
        shares: {table: [n] percent of its values that fit}; one panel
            each.
        marked: {table: size}; this bar is coloured and labelled.
        chance: {table: percent that fits a wrong size by chance}.
    """
    fig, axes = plt.subplots(
        len(shares),
        1,
        sharex=True,
        sharey=True,
        squeeze=False,
        figsize=(WIDTH, 0.9 + 1.5 * len(shares)),
    )
    for ax, (name, values) in zip(axes.flat, shares.items()):
        bars = ax.bar(sizes, values, color=GREY, width=0.7)
        best = bars[list(sizes).index(marked[name])]
        best.set_color(ORANGE)
        ax.annotate(
            f"{marked[name]:,}",
            (marked[name], best.get_height()),
            xytext=(0, 3),
            size=9,
            textcoords="offset points",
            ha="center",
            va="bottom",
        )
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
    title: str = "",
):
    """Values with their intervals, one row each, the first on top.

    Args:
        rows: {name: (value, low, high)}.
        xlabel: of the horizontal axis.
        zero: draw a line at 0, for differences.
        title: of the figure.
    """
    fig, ax = plt.subplots(figsize=(WIDTH, 0.9 + 0.38 * len(rows)))
    for place, (value, low, high) in enumerate(rows.values()):
        colour = COLOURS[place % 7]
        ax.plot([low, high], [place] * 2, color=colour, lw=3, alpha=0.6)
        ax.plot(value, place, MARKS[place % 8], color=colour, ms=8)
        ax.annotate(
            f"{round(value, 1) + 0:.1f}",
            (high, place),
            va="center",
            xytext=(6, 0),
            textcoords="offset points",
            size=9,
        )
    if zero:
        ax.axvline(0, color=INK, lw=1)
    ax.set_yticks(range(len(rows)), list(rows))
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.margins(x=0.12)
    ax.set(xlabel=xlabel, title=title)
    ax.grid(axis="y", visible=False)
    return fig


def duplicate_histogram(images_per_text: Sequence[int], title: str = ""):
    """How many images own one text: distinct texts, on a log scale."""
    counts = np.bincount(np.asarray(images_per_text))[1:]
    fig, ax = plt.subplots(figsize=(WIDTH, 3))
    x = np.arange(1, len(counts) + 1)
    colours = [GREY if n == 1 else ORANGE for n in x]
    bars = ax.bar(x, counts, color=colours, width=0.75)
    for bar in bars[1:]:
        bar.set_hatch("//")
    if len(x) <= 30:
        ax.bar_label(bars, [c or "" for c in counts], size=9)
    ax.set_yscale("log")
    ax.set_ylim(0.7, counts.max() * 3)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set(
        xlabel="images that own the text (hatched: shared)",
        ylabel="distinct texts",
        title=title,
    )
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
    """Lines over one axis, each with its own mark and colour.

    Args:
        x: [n] positions; they become the ticks on a log axis.
        lines: {name: [n] values}.
        log: logarithmic x axis, base 2.
    """
    fig, ax = plt.subplots()
    for place, (name, values) in enumerate(lines.items()):
        ax.plot(
            x,
            values,
            marker=MARKS[place % 8],
            label=name,
            color=COLOURS[place % 7],
        )
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
