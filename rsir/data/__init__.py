"""Data sets: five by name, and a reader's own folder.

`load_dataset("toy")` needs no download. No module here imports torch.

Chapter: notebooks/01_data_and_protocol.ipynb.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from rsir.data.images import content_hash, image_hashes, open_image
from rsir.data.split import Box, DataRepairWarning, Split, Splits
from rsir.utils.errors import RsirError
from rsir.utils.io import cache_dir, data_root

NAMES = ("toy", "ucm", "rsicd", "rsitmd", "sydney")

__all__ = [
    "NAMES",
    "Box",
    "DataRepairWarning",
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
    **options,
) -> Splits:
    """Train, val and test of a data set.

    Args:
        name: "toy", "ucm", "rsicd", "rsitmd", "sydney", or a folder
            with images and a CSV of captions (a Karpathy JSON or
            `*_precomp` text files in it are read as well).
        root: the data root, or the data set's own folder. Default:
            `RSIR_DATA`, else the user cache. For toy scenes: where
            they are drawn to.
        seed: of the shuffle that cuts val where the files have none;
            for toy, of the scenes.
        **options: for toy, see `toyscenes.load_toy`. For files:
            val_fraction: share of train that becomes val; joins a
                val of the file with train and cuts anew. Default: val
                as the file has it, else as many images as test (at
                most a fifth of train). 0.2 is the papers' release.
            captions_per_image: default 5, None for any count; for a
                CSV None.
            verify: decode every image now (about 1 ms each).
            layout: "karpathy", "precomp", "folder"; default "auto".
            images: the image folder, if it is not beside the
                captions.

    Returns:
        The three splits, in the order of the files.

    Raises:
        RsirError: unknown name, no data there, or a fault of the
            data; the message names the file and the remedy.

    Warns:
        DataRepairWarning: a fault was repaired, and how.
    """
    if isinstance(name, str) and name == "toy":
        from rsir.data.toy import load_toy

        return load_toy(root, seed=seed, **options)
    if isinstance(name, str) and name in NAMES:
        return _load_named(name, root, seed, options)
    folder = Path(name).expanduser()
    if folder.is_dir():
        if root is not None:
            raise RsirError(
                f"{folder} is a folder and needs no root; leave out root={str(root)!r}"
            )
        return _load_folder(folder, seed, options)
    raise RsirError(
        f"unknown data set {str(name)!r}; there are "
        f"{', '.join(NAMES)}, or the path of a folder with images and "
        "captions.csv"
    )


def _rules(seed: int, options: dict, **defaults):
    from rsir.data.readers import Rules

    known = ("val_fraction", "captions_per_image", "verify")
    wrong = set(options) - {*known, "layout", "images"}
    if wrong:
        raise RsirError(
            f"unknown option {min(wrong)!r} of load_dataset; "
            f"there are {', '.join(known)}, layout and images"
        )
    given = {k: options[k] for k in known if k in options}
    return Rules(seed=seed, **{**defaults, **given})


def _load_named(name, root, seed, options) -> Splits:
    from rsir.data.catalog import entry, scene_of
    from rsir.data.readers import locate

    rules = _rules(seed, options)
    place = locate(
        entry(name),
        data_root(root),
        options.get("layout", "auto"),
        options.get("images"),
    )
    return _read(name, place, rules, partial(scene_of, name))


def _load_folder(folder: Path, seed, options) -> Splits:
    from rsir.data.readers import Located, annotation, image_folder

    found = annotation(folder, layout=options.get("layout", "auto"))
    if found is None:
        raise RsirError(
            f"no captions in {folder}; put a captions.csv there with "
            "the columns filename, caption and, if wanted, split"
        )
    layout, source = found
    images = options.get("images")
    if images is None:
        images = folder if layout == "folder" else image_folder(folder, source)
    defaults = {"captions_per_image": None} if layout == "folder" else {}
    rules = _rules(seed, options, **defaults)
    place = Located(layout, folder, source, Path(images).expanduser())
    return _read(folder.resolve().name, place, rules)


def _read(name, place, rules, label_of=None) -> Splits:
    if place.layout == "karpathy":
        from rsir.data.readers import read_karpathy

        return read_karpathy(name, place.source, place.images, rules, label_of)
    if place.layout == "precomp":
        from rsir.data.readers import read_precomp

        return read_precomp(name, place.source, place.images, rules, label_of)
    from rsir.data.readers import read_folder

    return read_folder(place.folder, place.source, place.images, rules, name)
