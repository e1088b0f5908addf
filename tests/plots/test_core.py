"""Figures say what they should: counts, marks, names, no real picture."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import same_color
from PIL import Image

from rsir.data import Split
from rsir.evaluation import metrics
from rsir.plots import core as plots


def pictures(count):
    rng = np.random.default_rng(0)
    return list(rng.integers(0, 255, (count, 8, 8, 3), np.uint8))


def split_named(name, tmp_path):
    path = tmp_path / "a_1.png"
    Image.fromarray(pictures(1)[0]).save(path)
    return Split(
        name,
        "test",
        (path,),
        ("there are nine white planes on the grey airfield .",),
        np.zeros(1, int),
        ("a_1.png",),
    )


def texts(fig):
    return [t.get_text() for ax in fig.axes for t in ax.texts]


def test_hits_differ_by_mark_and_by_colour():
    fig = plots.retrieval_grid(
        "a red roof", pictures(3), [False, True, False], names="abc"
    )
    assert texts(fig) == ["✗", "✓", "✗"]
    frames = [ax.spines["left"].get_edgecolor() for ax in fig.axes]
    assert same_color(frames[1], plots.GREEN)
    assert same_color(frames[0], plots.RED)
    assert same_color(frames[2], plots.RED)
    assert fig.axes[1].get_xlabel() == "2  b"
    assert "a red roof" in fig.get_suptitle()


def test_sentences_stand_in_order_beside_their_picture():
    fig = plots.sentence_list(pictures(1)[0], ["a red roof", "a lake"], [False, True])
    assert texts(fig) == ["✗", "a red roof", "✓", "a lake"]
    first, second = (t.get_position()[1] for t in fig.axes[1].texts[1::2])
    assert first > second
    with pytest.raises(ValueError, match="2 sentences and 1 hits"):
        plots.sentence_list(pictures(1)[0], ["a", "b"], [True])


def test_a_name_stands_in_for_a_picture():
    fig = plots.retrieval_grid("roof", ["church_12.jpg"], [True])
    assert "church_12.jpg" in texts(fig)
    assert not fig.axes[0].images


def test_counts_that_do_not_fit_are_refused():
    for found, hits, names in (
        (pictures(2), [True], ()),
        (pictures(2), [True, False], ["a"]),
        ([], [], ()),
    ):
        with pytest.raises(ValueError, match="give one of each"):
            plots.retrieval_grid("roof", found, hits, names=names)


def test_real_pictures_and_sentences_stay_at_home(tmp_path, monkeypatch):
    monkeypatch.delenv("RSIR_SHOW", raising=False)
    real = split_named("rsicd", tmp_path)
    assert plots.pictures_of(real, [0]) == ["a_1.png"]
    assert plots.quote(real, 0) == "there are nine white planes on the ..."
    toy = split_named("toy", tmp_path)
    assert plots.pictures_of(toy, [0])[0].size == (8, 8)
    assert plots.quote(toy, 0).endswith("grey airfield")
    monkeypatch.setenv("RSIR_SHOW", "1")
    assert plots.may_show(real)
    monkeypatch.setenv("RSIR_SHOW", "0")
    assert not plots.may_show(real)


def test_tie_bars_span_the_rules():
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 3, (12, 60))
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
    fig = plots.interval_plot({"first": (1, 0, 2), "second": (-1, -2, 0.5)}, zero=True)
    ax = fig.axes[0]
    names = [t.get_text() for t in ax.get_yticklabels()]
    assert names == ["first", "second"]
    bottom, top = ax.get_ylim()
    assert bottom > top
    assert list(ax.lines[0].get_xdata()) == [0, 2]
    assert list(ax.lines[-1].get_xdata()) == [0, 0]


def test_the_histogram_counts_texts():
    ax = plots.duplicate_histogram([1, 1, 1, 2, 4]).axes[0]
    assert [bar.get_height() for bar in ax.patches] == [3, 1, 0, 1]
    assert [bool(b.get_hatch()) for b in ax.patches] == [False, True, True, True]


def test_size_bars_mark_the_right_bar():
    fig = plots.size_bars(
        [10, 11, 12],
        {"a": [5, 90, 5], "b": [5, 5, 80]},
        marked={"a": 11, "b": 12},
        chance={"a": 10, "b": 10},
    )
    for ax, place in zip(fig.axes, (1, 2)):
        colours = [same_color(b.get_facecolor(), plots.ORANGE) for b in ax.patches]
        assert colours == [k == place for k in range(3)]


def test_lines_differ_in_their_marks():
    fig = plots.curves(
        [1, 2], {"a": [1, 2], "b": [2, 3]}, xlabel="x", ylabel="y", log=True
    )
    marks = {line.get_marker() for line in fig.axes[0].lines}
    assert len(marks) == 2
    labels = [t.get_text() for t in fig.axes[0].get_xticklabels()]
    assert labels == ["1", "2"]


def test_a_gallery_leaves_no_empty_frame():
    fig = plots.gallery(pictures(4), "abcd", columns=3)
    shown = [ax for ax in fig.axes if ax.axison]
    assert len(shown) == 4
    assert [ax.get_title() for ax in shown] == list("abcd")


def test_a_picture_keeps_its_shape():
    fig = plots.show_picture(np.zeros((10, 40, 3), np.uint8))
    assert fig.get_size_inches() == pytest.approx((7.2, 1.8))


def test_every_mark_of_the_style_can_be_drawn():
    """No sign falls back to an empty box."""
    from matplotlib import font_manager, ft2font

    plots.set_style()
    path = font_manager.findfont(
        font_manager.FontProperties(family=plt.rcParams["font.family"])
    )
    known = ft2font.FT2Font(path).get_charmap()
    assert all(ord(sign) in known for sign in "✓✗“”±")
