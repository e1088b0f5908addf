"""Figures say what they should: counts, marks, names, no real picture."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import same_color
from PIL import Image

from rsir.data import Split
from rsir.evaluation import metrics
from rsir.plots import core as plots

PICTURES = list(np.random.default_rng(0).integers(0, 255, (4, 8, 8, 3), np.uint8))


def texts(fig):
    return [t.get_text() for ax in fig.axes for t in ax.texts]


def test_hits_differ_by_mark_and_by_colour():
    hits = [False, True, False]
    fig = plots.retrieval_grid("a red roof", PICTURES[:3], hits, names="abc")
    assert texts(fig) == ["✗", "✓", "✗"]
    for ax, colour in zip(fig.axes, (plots.RED, plots.GREEN, plots.RED)):
        assert same_color(ax.spines["left"].get_edgecolor(), colour)
    assert fig.axes[1].get_xlabel() == "2  b"
    assert "a red roof" in fig.get_suptitle()


def test_sentences_stand_in_order_beside_their_picture():
    fig = plots.sentence_list(PICTURES[0], ["a red roof", "a lake"], [False, True])
    assert texts(fig) == ["✗", "a red roof", "✓", "a lake"]
    first, second = (t.get_position()[1] for t in fig.axes[1].texts[1::2])
    assert first > second


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.retrieval_grid("roof", PICTURES[:2], [True]),
        lambda: plots.retrieval_grid("roof", PICTURES[:2], [True, False], names="a"),
        lambda: plots.retrieval_grid("roof", [], []),
        lambda: plots.sentence_list(PICTURES[0], ["a", "b"], [True]),
    ],
)
def test_counts_that_do_not_fit_are_refused(draw):
    with pytest.raises(ValueError, match="give one of each"):
        draw()


def test_real_pictures_and_sentences_stay_at_home(tmp_path, monkeypatch):
    monkeypatch.delenv("RSIR_SHOW", raising=False)
    path = tmp_path / "a_1.png"
    Image.fromarray(PICTURES[0]).save(path)
    caption = "there are nine white planes on the grey airfield ."
    rest = "test", (path,), (caption,), np.zeros(1, int), ("a_1.png",)
    toy, real = Split("toy", *rest), Split("rsicd", *rest)
    assert plots.pictures_of(toy, [0])[0].size == (8, 8)
    assert plots.quote(toy, 0).endswith("grey airfield")
    assert plots.quote(real, 0) == "there are nine white planes on the ..."
    (name,) = plots.pictures_of(real, [0])
    fig = plots.retrieval_grid("roof", [name], [True])
    assert "a_1.png" in texts(fig) and not fig.axes[0].images
    for value in "01":
        monkeypatch.setenv("RSIR_SHOW", value)
        assert plots.may_show(real) == (value == "1")


def test_tie_bars_span_the_rules():
    scores = np.random.default_rng(1).integers(0, 3, (12, 60))
    found = metrics.compute_ranks(scores)
    recalls = {rule: metrics.recalls_from_ranks(found, rule) for rule in metrics.TIES}
    ax = plots.tie_bars(recalls).axes[0]
    bar = ax.patches[0]
    low, high = (recalls[rule]["i2t"]["R@1"] for rule in ("pessimistic", "optimistic"))
    assert high > low
    assert bar.get_y() == pytest.approx(low)
    assert bar.get_height() == pytest.approx(high - low)
    assert f"{high - low:.1f}" in [t.get_text() for t in ax.texts]
    expected = ax.lines[0].get_ydata()
    assert expected[3] == pytest.approx(recalls["expected"]["t2i"]["R@1"])


def test_intervals_stand_in_order_from_the_top():
    rows = {"first": (1, 0, 2), "second": (-1, -2, 0.5)}
    (ax,) = plots.interval_plot(rows, zero=True).axes
    assert [t.get_text() for t in ax.get_yticklabels()] == ["first", "second"]
    bottom, top = ax.get_ylim()
    assert bottom > top
    assert list(ax.lines[0].get_xdata()) == [0, 2]
    assert list(ax.lines[-1].get_xdata()) == [0, 0]


def test_a_difference_shows_on_which_side_of_zero_it_lies():
    rows = {"above": (1, 0.5, 2), "below": (-1, -2, -0.5), "open": (1, -1, 3)}
    (ax,) = plots.interval_plot(rows, zero=True).axes
    points = [x for x in ax.lines if len(x.get_xdata()) == 1]
    assert [x.get_marker() for x in points] == [">", "<", "o"]
    assert len({x.get_color() for x in points}) == 3


def test_the_histogram_counts_texts():
    ax = plots.duplicate_histogram([1, 1, 1, 2, 4]).axes[0]
    assert [bar.get_height() for bar in ax.patches] == [3, 1, 0, 1]
    assert [bool(b.get_hatch()) for b in ax.patches] == [False, True, True, True]


def test_size_bars_mark_the_right_bar():
    shares, chance = {"a": [5, 90, 5], "b": [5, 5, 80]}, {"a": 10, "b": 10}
    fig = plots.size_bars([8, 9, 10], shares, marked={"a": 9, "b": 10}, chance=chance)
    for ax, place in zip(fig.axes, (1, 2)):
        colours = [same_color(b.get_facecolor(), plots.ORANGE) for b in ax.patches]
        assert colours == [k == place for k in range(3)]


def test_lines_differ_in_their_marks():
    lines = {"a": [1, 2], "b": [2, 3]}
    (ax,) = plots.curves([1, 2], lines, xlabel="x", ylabel="y", log=True).axes
    assert len({line.get_marker() for line in ax.lines}) == 2
    assert [t.get_text() for t in ax.get_xticklabels()] == ["1", "2"]


def test_pictures_keep_their_shape_and_no_frame_is_empty():
    fig = plots.gallery(PICTURES, "abcd", columns=3)
    shown = [ax.get_title() for ax in fig.axes if ax.axison]
    assert shown == list("abcd")
    fig = plots.show_picture(np.zeros((10, 40, 3), np.uint8))
    assert fig.get_size_inches() == pytest.approx((7.2, 1.8))


def test_every_mark_of_the_style_can_be_drawn():
    """No sign falls back to an empty box."""
    from matplotlib import font_manager, ft2font

    plots.set_style()
    family = font_manager.FontProperties(family=plt.rcParams["font.family"])
    known = ft2font.FT2Font(font_manager.findfont(family)).get_charmap()
    assert all(ord(sign) in known for sign in "✓✗“”±")
