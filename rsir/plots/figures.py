"""More figures, as in `rsir.plots.core`: flow charts, regions, many systems."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np

from rsir.plots.core import (
    COLOURS,
    INK,
    WIDTH,
    annotate,
    interval_plot,
    look_of,
    with_interval,
)

PICTURE, SENTENCE = "#cfe3f3", "#fbe3c0"
GAP = 0.006  # between neighbours, as a share of the picture


def flow_chart(
    places: Mapping[str, tuple[float, float]],
    arrows: str,
    *,
    sentence: Sequence[str] = (),
    height: float = 2.8,
):
    """Boxes with words, and arrows between them.

    Args:
        places: {words in a box: (x, y) of its centre}.
        arrows: "from>to|from>to"; a ValueError if there is no such box.
        sentence: boxes of the sentence's side; the others are the picture's.
        height: of the figure, in inches.
    """
    pairs = [arrow.split(">") for arrow in arrows.split("|")]
    if missing := {name for pair in pairs for name in pair} - set(places):
        raise ValueError(
            f"flow_chart: no box {', '.join(sorted(missing))}; give "
            "each end of an arrow a place."
        )
    fig, ax = plt.subplots(figsize=(WIDTH, height))
    drawn = {}
    for name, at in places.items():
        box = {"boxstyle": "round,pad=0.5", "ec": INK}
        box["fc"] = SENTENCE if name in sentence else PICTURE
        text = ax.text(*at, name, ha="center", va="center", bbox=box)
        drawn[name] = text.get_bbox_patch()
    for one, two in pairs:
        arrow = {"patchA": drawn[one], "patchB": drawn[two], "arrowstyle": "-|>"}
        arrow |= {"color": INK, "lw": 1.5}
        ax.annotate("", places[two], places[one], arrowprops=arrow)
    x, y = np.array(list(places.values())).T
    ax.set(xlim=(x.min() - 0.8, x.max() + 0.8), ylim=(y.min() - 0.5, y.max() + 0.5))
    ax.set_axis_off()
    return fig


def both_ways(gain):
    """What a `Comparison` gains at the first place and the first five, each way."""
    asked = {"i2t": "sentences of a picture", "t2i": "pictures of a sentence"}
    rows = {
        f"{what}, {R}": (gain.difference[way][R], *gain.ci95[way][R])
        for way, what in asked.items()
        for R in ("R@1", "R@5")
    }
    return interval_plot(rows, xlabel="gain, points", zero=True)


def region_groups(picture, panels: Mapping[str, Sequence[np.ndarray]]):
    """One picture, some times, with groups of regions on it, a colour each.

    Args:
        picture: an image, or a text where none may be shown.
        panels: {title: groups}; a group `[n, 4]` holds left, top, right and
            bottom of its regions, as shares of the sides.
    """
    fig, axes = _panels(panels, 0.3 + WIDTH / max(2, len(panels)))
    for ax, (title, groups) in zip(axes, panels.items()):
        if not isinstance(picture, str):
            ax.imshow(np.asarray(picture), extent=(0, 1, 1, 0))
        for number, group in enumerate(groups):
            tone = plt.cm.tab20(number % 20)
            style = {"ec": tone, "fc": (*tone[:3], 0.3), "lw": 1.5}
            for x0, y0, x1, y1 in np.asarray(group).reshape(-1, 4):
                size = (x1 - x0 - 2 * GAP, y1 - y0 - 2 * GAP)
                ax.add_patch(plt.Rectangle((x0 + GAP, y0 + GAP), *size, **style))
        ax.set(xlim=(0, 1), ylim=(1, 0), aspect=1, title=title)
        ax.set_axis_off()
    return fig


def _panels(panels: Mapping, height: float):
    """A figure with one panel each, side by side."""
    size = (WIDTH, height)
    fig, axes = plt.subplots(1, len(panels), squeeze=False, figsize=size)
    return fig, axes[0]


def _names(panels: Mapping[str, Mapping]) -> list[str]:
    """Systems of all panels: each keeps its place, mark and colour."""
    return list(dict.fromkeys(name for one in panels.values() for name in one))


def system_panels(
    panels: Mapping[str, Mapping[str, tuple[float, float, float]]],
    chance: Mapping[str, float],
):
    """Systems `{data set: {system: (value, low, high)}}`, one panel a data set.

    `chance` {data set: value of a random ranking} is drawn dotted.
    """
    names = _names(panels)
    fig, axes = _panels(panels, 2.9)
    for ax, (title, systems) in zip(axes, panels.items()):
        for name, row in systems.items():
            at = names.index(name)
            with_interval(ax, at, row, look_of(at), upright=True)
        ax.axhline(chance[title], color=INK, ls=":", lw=1)
        ax.set_xticks(range(len(names)), names, rotation=90)
        ax.set(title=title, ylim=(0, None), xlim=(-0.5, len(names) - 0.5))
        ax.grid(axis="x", visible=False)
    axes[0].set_ylabel("mR in %")
    return fig


def cost_plane(panels: Mapping[str, Mapping[str, tuple[float, float]]], *, xlabel: str):
    """Systems `{data set: {system: (cost, value)}}`, one panel a data set."""
    names = _names(panels)
    fig, axes = _panels(panels, 3.2)
    known = {}
    for ax, (title, systems) in zip(axes, panels.items()):
        for name, (cost, value) in systems.items():
            look = look_of(names.index(name)) | {"ls": "", "ms": 8}
            (known[name],) = ax.plot(cost, value, **look)
        ax.margins(0.15)
        ax.set(title=title, xlabel=xlabel)
    axes[0].set_ylabel("mR in %")
    fig.legend([known[x] for x in names], names, loc="outside right center")
    return fig


def range_panels(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    limits: Mapping[str, tuple[float, float]],
):
    """Values of groups `{data set: {group: values}}`: dots, their range, the best.

    A group has the same row and colour in each panel. `limits` {data set: (value
    of a random ranking, ceiling)} are drawn dotted and dashed.
    """
    names, rows = _names(panels), -(-len(panels) // 2)
    size = (WIDTH, 0.5 + rows * (0.45 + 0.24 * len(names)))
    share = {"sharex": True, "sharey": True, "squeeze": False}
    fig, axes = plt.subplots(rows, 2, figsize=size, **share)
    for ax, (title, groups) in zip(axes.flat, panels.items()):
        for name, values in groups.items():
            at, ends = names.index(name), [min(values), max(values)]
            tone = COLOURS[at % 7]
            ax.plot(ends, [at, at], color=tone, lw=4, alpha=0.3)
            ax.plot(values, [at] * len(values), "o", color=tone, ms=5, mew=0)
            annotate(ax, f"{ends[1]:.1f}", (ends[1], at), (7, 0), va="center")
        for x, style in zip(limits[title], (":", "--")):
            ax.axvline(x, color=INK, ls=style, lw=1)
        ax.set(title=title, xlim=(0, 104), ylim=(len(names) - 0.5, -0.5))
        ax.grid(axis="y", visible=False)
    axes[0, 0].set_yticks(range(len(names)), names)
    for ax in axes[-1]:
        ax.set_xlabel("mR in %")
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    return fig


def scale_panels(table: Sequence[Mapping], limits: Sequence[Mapping]):
    """Kinds of index as their size grows: time, rate and recall.

    Args:
        table: rows with "kind", "n", "one_query_seconds",
            "queries_per_s" and "recall_at_10".
        limits: rows with "n", "read_seconds" and "count_seconds"; the
            longer of the two is drawn as "read, count".
    """
    panels = {
        "one_query_seconds": "seconds, one query",
        "queries_per_s": "queries a second, together",
        "recall_at_10": "recall at 10, %",
    }
    fig, axes = _panels(panels, 3.6)
    for ax, (what, title) in zip(axes, panels.items()):
        for number, kind in enumerate(dict.fromkeys(row["kind"] for row in table)):
            n, y = zip(*((row["n"], row[what]) for row in table if row["kind"] == kind))
            ax.plot(n, y, label=kind, ms=5, **look_of(number))
        ax.set(xscale="log", yscale="log", xlabel="codes", title=title)
    n = [row["n"] for row in limits]
    least = np.array([max(row["read_seconds"], row["count_seconds"]) for row in limits])
    for ax, y in zip(axes, (least, 1 / least)):
        ax.plot(n, y, "--", color=INK, label="read, count")
    axes[2].set(yscale="linear", ylim=(0, 105))
    labels = axes[0].get_legend_handles_labels()
    fig.legend(*labels, ncols=4, loc="outside lower center")
    return fig
