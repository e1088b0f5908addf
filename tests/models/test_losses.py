"""Losses against plain loops from the equations."""

import math

import pytest
import torch

from rsir.models.losses import contrastive, dynamic_margin, triplet_all, triplet_hard


@pytest.fixture
def scores():
    draw = torch.Generator().manual_seed(1)
    return torch.rand(5, 5, generator=draw) * 2 - 1


@pytest.fixture
def shared():
    """Captions 0 and 3 are the same sentence."""
    positive = torch.eye(5, dtype=torch.bool)
    positive[0, 3] = positive[3, 0] = True
    return positive


def hinges(scores, margin, positive=None):
    """Hinges of negatives by anchor, by the book: images first, then captions."""
    anchors = []
    for way in (scores, scores.T):
        for i in range(5):
            own, found = float(scores[i, i]), [0.0]
            for j in range(5):
                pair = (i, j) if way is scores else (j, i)  # image, caption
                if i != j and (positive is None or not positive[pair]):
                    m = float(margin[pair]) if torch.is_tensor(margin) else margin
                    found.append(max(0, m - own + float(scores[pair])))
            anchors.append(found)
    return anchors


MARGINS = [0.2, torch.rand(5, 5, generator=torch.Generator().manual_seed(2))]


@pytest.mark.parametrize("loss, over", [(triplet_all, sum), (triplet_hard, max)])
@pytest.mark.parametrize("margin", MARGINS, ids=["fixed", "dynamic"])
@pytest.mark.parametrize("masked", [False, True])
def test_equations_28_and_30_by_the_book(loss, over, margin, masked, scores, shared):
    positive = shared if masked else None
    expected = sum(map(over, hinges(scores, margin, positive)))
    found = loss(scores, margin, positive)
    assert found.item() == pytest.approx(expected / 5, rel=1e-5)


def test_equation_29_from_gamma_to_zero():
    ends = dynamic_margin(torch.tensor([0.0, 1.0]), 0.6, 5.0)
    assert ends.tolist() == pytest.approx([0.6, 0.0], abs=1e-6)
    s = 0.37
    expected = 0.6 * (math.exp(5) - math.exp(5 * s)) / (math.exp(5) - 1)
    found = dynamic_margin(torch.tensor([[s]]), 0.6, 5.0)
    assert found.shape == (1, 1)
    assert found.item() == pytest.approx(expected, rel=1e-5)
    half = torch.tensor(0.5)
    assert dynamic_margin(half, beta=7) > dynamic_margin(half, beta=3)


def test_contrastive_spreads_over_shared_captions(scores, shared):
    logits = (scores / 0.1).tolist()
    expected = 0.0
    for rows, positive in (
        (logits, shared.tolist()),
        (torch.tensor(logits).T.tolist(), shared.T.tolist()),
    ):
        for row, right in zip(rows, positive):
            total = math.log(sum(map(math.exp, row)))
            logs = [x - total for x, ok in zip(row, right) if ok]
            expected -= sum(logs) / len(logs) / len(rows) / 2
    found = contrastive(scores, 0.1, shared)
    assert found.item() == pytest.approx(expected, rel=1e-5)
