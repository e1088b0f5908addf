"""Gradients of pairs that share a picture are added in one order."""

import torch

from rsir.utils.seed import seed_everything


def test_equal_runs_end_equal():
    was = torch.are_deterministic_algorithms_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory

    def gradient():
        seed_everything(3)
        x = torch.randn(16, 512, requires_grad=True)
        pairs = torch.randint(0, 16, (5000,))
        (x[pairs] * torch.randn(5000, 512)).sum().backward()
        return x.grad

    try:
        one = gradient()
        assert all(torch.equal(gradient(), one) for _ in range(5))
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(was)
        torch.utils.deterministic.fill_uninitialized_memory = fill
