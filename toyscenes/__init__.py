"""Toy scenes: procedural aerial pictures with captions that are true.

No download and no licence to mind: pictures, boxes and captions are
drawn from a seed. The chapters run on them; the knobs show what
duplicate captions and look-alike scenes do to retrieval.

Chapter: notebooks/01_data_and_protocol.ipynb.
"""

from __future__ import annotations

import os
from pathlib import Path

from rsir.utils.errors import RsirError
from rsir.utils.io import cache_dir

DUPLICATES = 0.25
SIMILARITY = 0.25

__all__ = ["DUPLICATES", "SIMILARITY", "contact_sheet", "kinds", "load_toy"]


def load_toy(
    root: str | os.PathLike | None = None,
    *,
    seed: int = 0,
    sizes: tuple[int, int, int] = (1000, 150, 150),
    duplicates: float = DUPLICATES,
    similarity: float = SIMILARITY,
    size: int = 256,
    workers: int | None = None,
):
    """Load the toy scenes; draw them first if they are not there yet.

    Args:
        root: folder to keep them in; by default the user cache.
        seed: whole number from 0 up; another seed, other pictures.
        sizes: number of train, val and test pictures.
        duplicates: 0..1, share of captions that are general sentences
            of the scene kind or repeat one of the same picture.
        similarity: 0..1, how alike the pictures of a kind are: the
            chance that an attribute has the kind's typical value.
        size: edge of the stored pictures in pixels, 32..1024.
        workers: processes to draw with; by default one a core.

    Returns:
        `Splits` with labels, objects (boxes) and keywords.

    Raises:
        RsirError: a knob out of range, or a cache that cannot be
            written.
    """
    from toyscenes.make import load

    for name, value in (("duplicates", duplicates), ("similarity", similarity)):
        if not 0 <= value <= 1:
            raise RsirError(f"toy scenes: {name} is {value}; give a share from 0 to 1")
    if len(sizes) != 3 or any(n < 1 or n != int(n) for n in sizes):
        raise RsirError(
            f"toy scenes: sizes is {sizes}; give three whole "
            "numbers of pictures, each at least 1"
        )
    if int(seed) != seed or seed < 0:
        raise RsirError(f"toy scenes: seed is {seed}; give a whole number from 0 up")
    if int(size) != size or not 32 <= size <= 1024:
        raise RsirError(f"toy scenes: size is {size}; give pixels from 32 to 1024")
    base = Path(root).expanduser() if root is not None else cache_dir()
    knobs = {
        "seed": int(seed),
        "sizes": [int(n) for n in sizes],
        "duplicates": float(duplicates),
        "similarity": float(similarity),
        "size": int(size),
    }
    return load(base / "toy", knobs, workers)


def kinds() -> tuple[str, ...]:
    """The names of the scene kinds."""
    from toyscenes.scenes import KINDS

    return KINDS


def contact_sheet(splits=None, **options):
    """A grid with one picture of each kind; see `toy.sheet`."""
    from toyscenes.sheet import contact_sheet as sheet

    return sheet(splits, **options)
