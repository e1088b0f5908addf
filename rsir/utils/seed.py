"""The same seed, the same bits.

Several threads may add the gradients of one number in any order, and
sums of floats depend on it. PyTorch can be told to keep one order.
"""

import random

import numpy as np


def seed_everything(seed: int = 0, deterministic: bool = True) -> None:
    """Seed Python, NumPy and PyTorch; let equal runs end equal.

    Equal on this machine: another one, another number of threads or
    another version may differ in the last bits, and a training grows
    such differences.

    Args:
        seed: of the global generators.
        deterministic: keep PyTorch to one order of every sum. What has
            no fixed order there warns.
    """
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    if deterministic:
        torch.use_deterministic_algorithms(True, warn_only=True)
        # fresh memory need not be filled: nothing here reads it unwritten
        torch.utils.deterministic.fill_uninitialized_memory = False
