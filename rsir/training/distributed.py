"""Several processes that train as one, on Accelerate.

`torchrun` and `accelerate launch` start them, on GPUs or on CPUs.
Explained in chapter 02.
"""

import os

import torch
import torch.distributed as dist
from accelerate.utils import parse_flag_from_env
from torch import Tensor


def on_cpu() -> bool:
    """Whether Accelerate must be told to stay on the CPU.

    It takes several processes for one each where there is no GPU,
    unless it is told.
    """
    several = int(os.environ.get("WORLD_SIZE", 1)) > 1
    return parse_flag_from_env("ACCELERATE_USE_CPU") or (
        several and not torch.cuda.is_available()
    )


class _Gather(torch.autograd.Function):
    """All processes' rows; back, the sum of all their gradients."""

    @staticmethod
    def forward(ctx, tensor: Tensor) -> Tensor:
        tensor = tensor.contiguous()
        parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, tensor)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        total = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total.chunk(dist.get_world_size())[dist.get_rank()]


def gather_with_grad(tensor: Tensor) -> Tensor:
    """Join `[b, ...]` of all processes to `[B, ...]`.

    Every process computes the loss of the joint batch, and gradients
    flow back to the process that a row comes from: negatives of
    other processes count as in one large batch. The sum over
    processes here and the mean that follows over their gradients
    make the gradient of one loss.
    """
    if not dist.is_available() or not dist.is_initialized():
        return tensor
    return _Gather.apply(tensor)
