"""The same seed, the same bits.

Several threads may add the gradients of one number in any order, and
sums of floats depend on it. PyTorch can be told to keep one order.
"""


def exactly(seed: int = 0) -> None:
    """Seed PyTorch, and let equal runs end equal on this machine.

    Another machine, another number of threads or another version may
    still differ in the last bits, and a training grows such
    differences. What has no fixed order in PyTorch warns.

    Args:
        seed: of PyTorch's global generator.
    """
    import torch

    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # fresh memory need not be filled: nothing here reads it unwritten
    torch.utils.deterministic.fill_uninitialized_memory = False
