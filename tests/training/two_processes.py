"""Trains for a moment and writes down every step.

Run by test_distributed.py, once alone and once as two processes of
torchrun: python two_processes.py FOLDER OUT
"""

import os
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from tiny import StubConfig, install, quiet, steps

from rsir.data import load_dataset
from rsir.models.base import score_split
from rsir.training.distributed import gather_with_grad

CONFIGS = {
    "plain": {"warmup": 0.5},
    "accumulated": {"accumulate": 2},
}


def watch(config, splits):
    """Gradients and rates of a run, and its end."""
    with pytest.MonkeyPatch.context() as patch:
        seen = steps.__wrapped__(patch)
        run = quiet(config, splits)
    return {
        "grads": seen.grads,
        "rates": seen.rates,
        "history": run.history,
        "scores": torch.from_numpy(score_split(run.model, splits.test)),
    }


def gathered():
    """Gradient of a loss of the joint batch, for this process' rows."""
    rank = dist.get_rank() if dist.is_initialized() else 0
    every = torch.arange(12.0).reshape(4, 3)
    own = every.chunk(2)[rank] if dist.is_initialized() else every
    own = own.clone().requires_grad_(True)
    joint = gather_with_grad(own)
    assert torch.equal(joint, every)
    (joint @ joint.T).square().sum().backward()
    return own.grad


def main(folder, out):
    install(pytest.MonkeyPatch())
    splits = load_dataset(folder)
    result = {"world": int(os.environ.get("WORLD_SIZE", 1))}
    for name, changes in CONFIGS.items():
        config = StubConfig(epochs=2, dropout=0.0, **changes)
        result[name] = watch(config, splits)
    result["gathered"] = gathered()
    torch.save(result, Path(out) / f"rank{os.environ.get('RANK', 0)}.pt")


if __name__ == "__main__":
    main(*sys.argv[1:])
