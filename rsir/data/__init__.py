"""Data sets: six by name, and a reader's own folder.

`load_dataset("toy")` needs no download. No module here imports torch.

Chapter: notebooks/01_data_and_protocol.ipynb.
"""

from __future__ import annotations

import os

from rsir.data.images import PixelOptions, content_hash, image_hashes, open_image
from rsir.data.split import Box, DataRepairWarning, Split, Splits
from rsir.utils.errors import RsirError
from rsir.utils.io import cache_dir, data_root

NAMES = ("toy", "ucm", "rsicd", "rsitmd", "rsitmd-part", "sydney")

__all__ = [
    "NAMES",
    "Box",
    "DataRepairWarning",
    "PixelOptions",
    "Split",
    "Splits",
    "cache_dir",
    "content_hash",
    "data_root",
    "image_hashes",
    "load_dataset",
    "open_image",
]


def load_dataset(
    name: str | os.PathLike,
    root: str | os.PathLike | None = None,
    *,
    seed: int = 0,
    pixels: PixelOptions | None = None,
    verify: bool = False,
    images: str | os.PathLike | None = None,
    part: str | None = None,
    **options,
) -> Splits:
    """Train, val and test of a data set, in the order of the files.

    Args:
        name: "toy", "ucm", "rsicd", "rsitmd", "sydney", a world such as
            "world-things" (`rsir.data.toy.WORLDS`), or a folder
            with images and captions; book/bring_your_own.md tells how.
            "rsitmd-part" is "rsitmd" with part="rebuilt".
        root: the data root, or the data set's own folder. Default:
            `RSIR_DATA`, else the user cache. Toy scenes are drawn there.
        seed: of the shuffle that cuts val where the files have none;
            for toy, of the scenes.
        pixels: how pictures of other than 8-bit grey or RGB are read.
        verify: decode every image now (about 1 ms each).
        images: the image folder, if it is not beside the captions.
        part: "rebuilt", of "rsitmd": the pictures that RSICD and
            UCM-Captions show, too, with splits of their own; from the whole
            set or from a folder with this part alone (`rsir.data.part`).
        **options: for toy, see `rsir.data.toy.load_toy`. For files:
            val_fraction: share of train that becomes val; joins a
                val of the file with train and cuts anew. Default: val
                as the file has it, else as many images as test (at
                most a fifth of train). 0.2 is the papers' release.
            captions_per_image: default 5 for a data set by name, any
                count (None) for a folder.

    Raises:
        RsirError: unknown name, no data there, or a fault of the
            data; the message names the file and the remedy.

    Warns:
        DataRepairWarning: a fault was repaired, and how.
    """
    from rsir.data.readers import check_readable, find_dataset, with_pixels
    from rsir.data.toy import WORLDS, load_toy, load_world

    if name == "rsitmd-part":
        name, part = "rsitmd", part or "rebuilt"
    if part is not None and (name, part) != ("rsitmd", "rebuilt"):
        raise RsirError(
            f"part {part!r} of {str(name)!r}: there is one, part='rebuilt' of 'rsitmd'"
        )
    if part is not None and "val_fraction" in options:
        raise RsirError("val_fraction: val of the rebuilt part is fixed; leave it out")
    if isinstance(name, str) and name == "toy":
        splits = load_toy(root, seed=seed, **options)
    elif isinstance(name, str) and name in WORLDS:
        splits = load_world(name, root, seed=seed, **options)
    else:
        splits = find_dataset(name, root, images).read(seed=seed, **options)
    if part is not None:
        from rsir.data.part import rebuilt_part

        splits = rebuilt_part(splits)
    splits = with_pixels(splits, pixels)
    if verify:
        check_readable(splits)
    return splits
