"""Each map of a batch in a symmetry of the square of its own."""

import torch
from torch import Tensor

from rsir.encoders.image import turned


def turned_by_lot(maps: Tensor) -> Tensor:
    """Each map in one of the eight symmetries, drawn by lot.

    Args:
        maps: `[B, C, S, S]`.

    Draws come from the generator of torch that belongs to the maps'
    device.
    """
    view = torch.randint(8, (len(maps),), device=maps.device)
    out = torch.empty_like(maps)
    for v in range(8):
        out[view == v] = turned(maps[view == v], v)
    return out
