"""The toy scenes as splits; `toyscenes` draws them, this reads them.

Chapter: notebooks/01_data_and_protocol.ipynb.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np

import toyscenes
from rsir.data.split import SPLIT_NAMES, Box, Split, Splits
from rsir.utils.errors import RsirError
from rsir.utils.io import cache_dir
from toyscenes.generate import check_knobs, folder_name, holds


def load_toy(
    root: str | os.PathLike | None = None,
    *,
    seed: int = 0,
    sizes: tuple[int, int, int] = (1000, 150, 150),
    duplicates: float = toyscenes.DUPLICATES,
    similarity: float = toyscenes.SIMILARITY,
    size: int = 256,
    workers: int | None = None,
) -> Splits:
    """The toy scenes, with labels, objects and keywords; drawn if not there.

    Args:
        root: folder to keep them in; by default the user cache.
        seed, sizes, duplicates, similarity, size: see `toyscenes`.
        workers: processes to draw with; by default one a core.

    Raises:
        RsirError: a knob out of range, or a cache that cannot be written.
    """
    from filelock import FileLock

    try:
        knobs = check_knobs(seed, sizes, duplicates, similarity, size)
    except toyscenes.ToySceneError as error:
        raise RsirError(str(error)) from None
    base = Path(root).expanduser() if root is not None else cache_dir()
    folder = base / "toy" / folder_name(knobs)
    try:
        if not holds(folder, knobs):
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{folder}.lock"):  # one process draws, others wait
                for left in folder.parent.glob(f".{folder.name}.*"):
                    shutil.rmtree(left, ignore_errors=True)  # of a killed run
                toyscenes.draw(folder, **knobs, workers=workers)
        notes = toyscenes.read(folder)
    except (OSError, toyscenes.ToySceneError) as error:
        raise RsirError(
            f"cannot keep the toy scenes in {folder}: {error}; "
            "set RSIR_CACHE to a folder that can be written"
        ) from error
    parts = {}
    for name in SPLIT_NAMES:
        rows = [r for r in notes["images"] if r["split"] == name]
        counts = [len(r["sentences"]) for r in rows]
        parts[name] = Split(
            dataset="toy",
            name=name,
            images=tuple(folder / "images" / r["filename"] for r in rows),
            captions=tuple(s["raw"] for r in rows for s in r["sentences"]),
            owner=np.repeat(np.arange(len(rows)), counts),
            ids=tuple(r["filename"] for r in rows),
            labels=tuple(r["label"] for r in rows),
            objects=tuple(
                tuple(
                    Box(o["label"], *o["box"], attributes=o["attributes"])
                    for o in r["objects"]
                )
                for r in rows
            ),
            keywords=tuple(tuple(r["keywords"]) for r in rows),
        )
    return Splits(name="toy", root=folder, **parts)
