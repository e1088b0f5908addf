"""What maps an encoder's vector into the space of comparison."""

from torch import nn


def head(dim: int, out: int, hidden: int) -> nn.Module:
    """Two layers with a ReLU between, or one matrix. Ours.

    Args:
        dim: length of the encoder's vector.
        out: length of the vectors that are compared.
        hidden: units between; 0: one matrix.
    """
    if not hidden:
        return nn.Linear(dim, out)
    return nn.Sequential(
        nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, out)
    )
