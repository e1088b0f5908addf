"""Trains for a moment and writes down every step.

Run by tests/test_distributed.py, once alone and once as two processes
of torchrun: python two_processes.py FOLDER OUT
"""

import os
import sys
from pathlib import Path

import torch
from tiny import tiny_recipe

from rsir.data import load_dataset
from rsir.training.batches import Batches
from rsir.training.trainer import score_split, train

RECIPES = {
    "amfmn": {"margin": None, "loss": "both", "gamma": 0.6, "mask_shared": True},
    "linear": {"warmup": 0.5},
    "accumulated": {"accumulate": 2, "margin": 0.2, "loss": "all"},
}


def watch(recipe, splits):
    """Gradients, rates and batch sizes of a run, and its end."""
    steps, sizes = [], []
    adam, real = torch.optim.AdamW, Batches.__getitems__

    class Watched(adam):
        def step(self, *args, **kwargs):
            steps.append(
                {
                    "rates": [g["lr"] for g in self.param_groups],
                    "grads": [
                        p.grad.clone() for g in self.param_groups for p in g["params"]
                    ],
                }
            )
            return super().step(*args, **kwargs)

    def fetch(self, places):
        sizes.append(list(places))
        return real(self, places)

    torch.optim.AdamW, Batches.__getitems__ = Watched, fetch
    try:
        run = train(recipe, splits, progress=False)
    finally:
        torch.optim.AdamW, Batches.__getitems__ = adam, real
    return {
        "steps": steps,
        "sizes": sizes,
        "history": run.history,
        "scores": torch.from_numpy(score_split(run.model, splits.test)),
    }


def main(folder, out):
    splits = load_dataset(folder)
    rank = int(os.environ.get("RANK", 0))
    result = {"world": int(os.environ.get("WORLD_SIZE", 1))}
    for name, changes in RECIPES.items():
        method = "linear" if name == "linear" else "amfmn"
        recipe = tiny_recipe(method, epochs=2, dropout=0.0, **changes)
        result[name] = watch(recipe, splits)
    torch.save(result, Path(out) / f"rank{rank}.pt")


if __name__ == "__main__":
    main(*sys.argv[1:])
