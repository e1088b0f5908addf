"""Gradients of pairs that share a picture are added in one order."""

import pytest
import torch

from rsir.utils.seed import seed_everything


@pytest.fixture
def as_it_was():
    was = torch.are_deterministic_algorithms_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory
    yield
    torch.use_deterministic_algorithms(was)
    torch.utils.deterministic.fill_uninitialized_memory = fill


def test_equal_runs_end_equal(as_it_was):
    def gradient():
        seed_everything(3)
        x = torch.randn(16, 512, requires_grad=True)
        pairs = torch.randint(0, 16, (5000,))
        (x[pairs] * torch.randn(5000, 512)).sum().backward()
        return x.grad

    one = gradient()
    for _ in range(5):
        assert torch.equal(gradient(), one)
    assert torch.are_deterministic_algorithms_enabled()
