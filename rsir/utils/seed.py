"""The same seed, the same bits."""

import random

import numpy as np


def seed_everything(seed: int = 0) -> None:
    """Seed Python, NumPy and PyTorch, and let PyTorch add in one order.

    Equal runs end equal on this machine: another one, another number of
    threads or another version may differ in the last bits, and a training
    grows such differences. What has no fixed order in PyTorch warns.
    """
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # fresh memory need not be filled: nothing here reads it unwritten
    torch.utils.deterministic.fill_uninitialized_memory = False
