"""Several processes that train as one, on Accelerate.

`torchrun` and `accelerate launch` start them, on GPUs or on CPUs.
Explained in chapter 02.
"""

import os

import torch
import torch.distributed as dist
from accelerate.utils import parse_flag_from_env
from torch import Tensor
from torch.distributed.nn.functional import all_gather


def on_cpu() -> bool:
    """Whether Accelerate must be told to stay on the CPU.

    Without a GPU it takes several processes for one each, unless told.
    """
    several = int(os.environ.get("WORLD_SIZE", 1)) > 1 and not torch.cuda.is_available()
    return several or parse_flag_from_env("ACCELERATE_USE_CPU")


def gather_with_grad(tensor: Tensor) -> Tensor:
    """Join `[b, ...]` of all processes to `[B, ...]`, with gradients.

    A row's gradients flow back to the process that it comes from, summed
    over all: negatives of other processes count as in one large batch.
    """
    if not dist.is_available() or not dist.is_initialized():
        return tensor
    return torch.cat(all_gather(tensor.contiguous()))
