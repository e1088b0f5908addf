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
    """Negatives of every anchor, by the book: two lists of lists."""
    n = len(scores)
    captions, images = [], []
    for i in range(n):
        of_image, of_caption = [0.0], [0.0]
        for j in range(n):
            if i == j:
                continue
            m = float(margin[i, j]) if torch.is_tensor(margin) else margin
            if positive is None or not positive[i, j]:
                # image i, its caption i, the wrong caption j
                of_image.append(max(0, m - float(scores[i, i]) + float(scores[i, j])))
            m = float(margin[j, i]) if torch.is_tensor(margin) else margin
            if positive is None or not positive[j, i]:
                # caption i, its image i, the wrong image j
                of_caption.append(max(0, m - float(scores[i, i]) + float(scores[j, i])))
        captions.append(of_image)
        images.append(of_caption)
    return captions, images


MARGINS = [0.2, torch.rand(5, 5, generator=torch.Generator().manual_seed(2))]


@pytest.mark.parametrize("loss, over", [(triplet_all, sum), (triplet_hard, max)])
@pytest.mark.parametrize("margin", MARGINS, ids=["fixed", "dynamic"])
@pytest.mark.parametrize("masked", [False, True])
def test_equations_28_and_30_by_the_book(loss, over, margin, masked, scores, shared):
    positive = shared if masked else None
    captions, images = hinges(scores, margin, positive)
    expected = sum(map(over, captions)) + sum(map(over, images))
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


@pytest.mark.parametrize("call, says", [
    (lambda: triplet_all(torch.zeros(2, 3)), r"\(2, 3\), expected"),
    (lambda: contrastive(torch.zeros(2, 3), 1.0), r"\(2, 3\), expected"),
    (lambda: dynamic_margin(torch.zeros(1), gamma=1.0), "gamma is 1.0"),
    (lambda: dynamic_margin(torch.zeros(1), beta=0.0), "beta is 0.0"),
])  # fmt: skip
def test_wrong_numbers_are_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()
