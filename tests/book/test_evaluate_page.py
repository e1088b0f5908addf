"""The page "Score your own matrix": its code runs and is right."""

import re

import numpy as np
import pytest
from nbkit import ROOT


@pytest.fixture(scope="module")
def names():
    page, space = (ROOT / "book/evaluate.md").read_text("utf-8"), {}
    exec("\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)), space)
    return space


def test_several_positives_are_counted_as_a_sort_counts(names):
    scores, fits = names["scores"], names["fits"]
    for s, f, got in ((scores, fits, "i2t"), (scores.T, fits.T, "t2i")):
        order = np.argsort(-s, axis=1)
        first = np.take_along_axis(f, order, axis=1).argmax(axis=1)
        want = [100 * np.mean(first < k) for k in (1, 5, 10)]
        assert names[got] == pytest.approx(want)
    plain = np.eye(100, dtype=bool)[:, names["owner"]]
    report = names["report"]
    assert names["recall"](scores, plain, 5) == report.i2t["R@5"]
    assert names["recall"](scores.T, plain.T, 1) == report.t2i["R@1"]


def test_folds_are_matrices_of_their_own(names):
    assert [fold.n_images for fold in names["folds"]] == [20] * 5
    assert {fold.n_captions for fold in names["folds"]} == {100}
    last = names["evaluate"](names["scores"][80:, 400:], bootstrap=0)
    assert names["folds"][-1] == last
    assert np.mean([fold.mR for fold in names["folds"]]) > names["report"].mR
