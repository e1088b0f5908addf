"""Flow charts and regions: what is asked for is drawn."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

from rsir.figures import SENTENCE, flow_chart, region_groups  # noqa: E402


def test_a_chart_has_its_boxes_and_arrows():
    fig = flow_chart({"a": (0, 0), "b": (1, 0), "c": (2, 1)},
                     "a>b|b>c", sentence=["c"])
    ax = fig.axes[0]
    words = [t for t in ax.texts if t.get_text()]
    assert [t.get_text() for t in words] == ["a", "b", "c"]
    assert len(ax.texts) == 3 + 2
    colours = [t.get_bbox_patch().get_facecolor() for t in words]
    assert colours[0] == colours[1] != colours[2]
    assert colours[2] == matplotlib.colors.to_rgba(SENTENCE)
    with pytest.raises(ValueError, match="no box d"):
        flow_chart({"a": (0, 0)}, "a>d")
    plt.close("all")


def test_groups_share_a_colour():
    groups = [np.array([[0, 0, 0.2, 0.2], [0.5, 0.5, 0.7, 0.7]]),
              np.array([[0.8, 0, 1, 0.2]])]
    fig = region_groups(np.zeros((8, 8, 3)), {"on": groups, "off": []})
    on, off = fig.axes
    assert on.get_title(loc="left") or on.get_title() == "on"
    tones = [p.get_edgecolor() for p in on.patches]
    assert tones[0] == tones[1] != tones[2]
    assert not off.patches and len(off.images) == 1
    assert not region_groups("name.jpg", {"on": []}).axes[0].images
    plt.close("all")
