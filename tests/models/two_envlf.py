"""EnVLF's gradients, alone or as one of several processes.

Run by tests/models/test_envlf.py: python two_envlf.py OUT
"""

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from small_envlf import batch_of, small_model

from rsir.training.distributed import gather_with_grad


def main(out):
    world = int(os.environ.get("WORLD_SIZE", 1))
    rank = int(os.environ.get("RANK", 0))
    if world > 1:
        dist.init_process_group("gloo")
    model = small_model(dropout=0.0).train()
    for module in model.modules():
        for name in ("p", "dropout_prob"):  # of any dropout
            if hasattr(module, name):
                setattr(module, name, 0.0)
    batch = batch_of(model)
    rows = slice(rank * 6 // world, (rank + 1) * 6 // world)
    for side in ("images", "texts"):
        batch[side] = {k: v[rows] for k, v in batch[side].items()}
    torch.manual_seed(1)
    terms = model.training_losses(batch, gather_with_grad)
    grads = {}
    for name, value in terms.items():
        model.zero_grad()
        value.backward(retain_graph=True)
        for key, p in model.named_parameters():
            if not p.requires_grad:
                continue
            grad = torch.zeros_like(p) if p.grad is None else p.grad
            if world > 1:
                dist.all_reduce(grad)
            grads[f"{name}/{key}"] = grad.clone() / world
    torch.save(grads, Path(out) / f"{world}-{rank}.pt")
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
