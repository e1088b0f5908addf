"""Flow charts and regions: what is asked for is drawn."""

import matplotlib
import numpy as np
import pytest

from rsir.evaluation.compare import compare
from rsir.evaluation.ranks import compute_ranks
from rsir.plots.figures import (
    SENTENCE,
    both_ways,
    cost_plane,
    flow_chart,
    range_panels,
    region_groups,
    scale_panels,
    system_panels,
)


def test_a_chart_has_its_boxes_and_arrows():
    fig = flow_chart({"a": (0, 0), "b": (1, 0), "c": (2, 1)}, "a>b|b>c", sentence=["c"])
    ax = fig.axes[0]
    words = [t for t in ax.texts if t.get_text()]
    assert [t.get_text() for t in words] == ["a", "b", "c"]
    assert len(ax.texts) == 3 + 2
    colours = [t.get_bbox_patch().get_facecolor() for t in words]
    assert colours[0] == colours[1] != colours[2]
    assert colours[2] == matplotlib.colors.to_rgba(SENTENCE)
    with pytest.raises(ValueError, match="no box d"):
        flow_chart({"a": (0, 0)}, "a>d")


def test_a_gain_is_drawn_for_each_direction():
    owner = np.arange(6)
    good, bad = (compute_ranks(x, owner) for x in (np.eye(6), np.eye(6)[::-1]))
    (ax,) = both_ways(compare(good, bad, draws=50)).axes
    named = [t.get_text() for t in ax.get_yticklabels()]
    assert named[::2] == ["sentences of a picture, R@1", "pictures of a sentence, R@1"]
    assert "100.0" in [t.get_text() for t in ax.texts]


def test_groups_share_a_colour():
    groups = [[(0, 0, 0.2, 0.2), (0.5, 0.5, 0.7, 0.7)], [(0.8, 0, 1, 0.2)]]
    on, off = region_groups(np.zeros((8, 8, 3)), {"on": groups, "off": []}).axes
    tones = [p.get_edgecolor() for p in on.patches]
    assert tones[0] == tones[1] != tones[2]
    assert not off.patches and len(off.images) == 1
    assert not region_groups("name.jpg", {"on": []}).axes[0].images


def test_a_system_keeps_its_colour_where_another_is_missing():
    panels = {"ucm": {"a": (3, 2, 4), "b": (5, 4, 6)}, "rsicd": {"b": (2, 1, 3)}}
    one, two = system_panels(panels, {"ucm": 1, "rsicd": 0.5}).axes
    marks = [[x for x in ax.lines if len(x.get_xdata()) == 1] for ax in (one, two)]
    assert [list(m.get_ydata()) for m in marks[0]] == [[3], [5]]
    assert marks[1][0].get_color() == marks[0][1].get_color()
    assert marks[1][0].get_xdata() == marks[0][1].get_xdata()
    assert [t.get_text() for t in two.get_xticklabels()] == ["a", "b"]


def test_the_plane_names_every_point_once():
    panels = {"ucm": {"a": (1.0, 40), "b": (9.0, 45)}, "rsicd": {"b": (2.0, 20)}}
    fig = cost_plane(panels, xlabel="minutes")
    one, two = fig.axes
    assert [(*x.get_xdata(), *x.get_ydata()) for x in one.lines] == [(1, 40), (9, 45)]
    (legend,) = fig.legends
    assert [t.get_text() for t in legend.get_texts()] == ["a", "b"]
    assert legend.legend_handles[1].get_color() == two.lines[0].get_color()


def test_a_group_has_its_row_range_and_best_in_each_panel():
    panels = {"A": {"x": [30.0, 10.0], "y": [20.0]}, "B": {"y": [5.0, 7.0]}, "C": {}}
    limits = {"A": (1.0, 90.0), "B": (2.0, 80.0), "C": (3.0, 70.0)}
    one, two, three, rest = range_panels(panels, limits).axes
    assert [t.get_text() for t in one.get_yticklabels()] == ["x", "y"]
    line, dots = one.lines[:2]
    assert list(line.get_xdata()) == [10, 30] and set(line.get_ydata()) == {0}
    assert list(dots.get_xdata()) == [30, 10]
    assert {t.get_text(): t.xy for t in two.texts} == {"7.0": (7.0, 1)}
    assert two.lines[0].get_color() == one.lines[2].get_color()
    assert [x.get_xdata()[0] for x in three.lines] == [3.0, 70.0]
    assert not rest.axison


def test_sizes_of_an_index_have_a_panel_each():
    facts = "kind n one_query_seconds queries_per_s recall_at_10".split()
    rows = [(k, n, n / 1e6, 1e6 / n, 100) for k in ("flat", "hnsw") for n in (10, 1000)]
    limit = {"count_seconds": 1e-5}
    limits = [limit | {"n": n, "read_seconds": n / 1e7} for n in (10, 1000)]
    one, rate, found = scale_panels([dict(zip(facts, r)) for r in rows], limits).axes
    names = [line.get_label() for line in one.lines]
    assert names == ["flat", "hnsw", "read, count"]
    assert np.allclose(one.lines[2].get_ydata(), [1e-5, 1e-4])
    assert np.allclose(rate.lines[2].get_ydata(), [1e5, 1e4])
    assert found.get_yscale() == "linear" and len(found.lines) == 2
