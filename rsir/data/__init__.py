"""Data sets: five by name, and a reader's own folder.

`load_dataset("toy")` needs no download. No module here imports torch.
"""

from __future__ import annotations

import os

from rsir.data.paths import cache_dir, data_root
from rsir.data.split import Box, DataRepairWarning, Split, Splits
from rsir.errors import RsirError

NAMES = ("toy", "ucm", "rsicd", "rsitmd", "sydney")

__all__ = [
    "NAMES", "Box", "DataRepairWarning", "Split", "Splits",
    "cache_dir", "data_root", "load_dataset",
]


def load_dataset(
    name: str | os.PathLike,
    root: str | os.PathLike | None = None,
    *,
    seed: int = 0,
    **options,
) -> Splits:
    """Train, val and test of a data set."""
    if str(name) == "toy":
        from rsir.data.toy import load_toy

        return load_toy(root, seed=seed, **options)
    raise RsirError(
        f"unknown data set {str(name)!r}; there are "
        f"{', '.join(NAMES)}, or give a folder"
    )
