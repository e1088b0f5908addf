"""Graphs of all pictures of a split, computed once and then read.

A set is keyed by the bytes of all pictures, the source of regions
with its encoder or its boxes, and the settings of DREA. It is written
aside and renamed when it is whole. Explained in chapter 03.
"""

import hashlib
import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
from filelock import FileLock

from rsir.data import Split
from rsir.data.images import image_hashes
from rsir.encoders.cache import (
    cached_features,
    features_dir,
    features_seconds,
)
from rsir.encoders.image import ImageEncoder
from rsir.encoders.local import DREA, local_identity, local_of_split
from rsir.errors import RsirError

#: what a graph has: X, A, and what its nodes look like
GRAPH = ("nodes", "adjacency", "looks")


def cached_graphs(source, encoder: ImageEncoder | None, split: Split,
                  drea: bool | DREA = True, *, progress: bool = True
                  ) -> dict[str, np.ndarray]:
    """Graphs of a split, see `rsir.encoders.local.graph_of`.

    Args:
        source: see `rsir.encoders.regions.region_source`.
        encoder: gives the maps that the source reads, if it does.
        split: the pictures.
        drea: see `graph_of`.
        progress: print a progress line.

    Returns:
        Read-only memory maps: "nodes" and "adjacency" `[n, 20, 20]`
        float32, "looks" `[n, 20, D]` float16.

    Raises:
        RsirError: for a damaged set, or what the source refuses.
    """
    home, identity = _home(source, encoder, split, drea)
    home.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(home.with_suffix(".lock")):
        if not home.is_dir():
            _compute(source, encoder, split, drea, home, identity,
                     progress)
    return {name: _open(home / f"{name}.npy") for name in GRAPH}


def graphs_seconds(source, encoder: ImageEncoder | None, split: Split,
                   drea: bool | DREA = True) -> float:
    """Seconds that the graphs of a split took when they were made.

    What the encoder took for the maps is not in it.
    """
    home, _ = _home(source, encoder, split, drea)
    return json.loads((home / "about.json").read_text())["seconds"][
        "graphs"]


def _home(source, encoder, split, drea) -> tuple[Path, dict]:
    """The folder of a set, and what decides its content."""
    identity = local_identity(source, drea)
    if source.reads:
        # the maps are those of the picture as it is, in all views
        identity["maps"] = encoder.identity() | {"views": [0]}
    if source.name == "boxes":
        boxes = repr([[(b.label, b.x0, b.y0, b.x1, b.y1,
                        sorted(b.attributes.items())) for b in some]
                      for some in split.objects or ()])
        identity["boxes"] = hashlib.sha256(boxes.encode()).hexdigest()
    digest = hashlib.sha256(
        json.dumps(identity, sort_keys=True).encode())
    for value in image_hashes(split):
        digest.update(value.encode())
    name = f"graphs-{source.name}-{digest.hexdigest()[:20]}"
    return features_dir() / name, identity


def _compute(source, encoder, split, drea, home, identity, progress):
    """All graphs into a folder aside, then rename it."""
    maps = cached_features(encoder, split, source.reads,
                           progress=progress) if source.reads else {}
    start = time.perf_counter()
    graphs = local_of_split(source, split, maps, drea,
                            progress=progress)
    about = identity | {
        "encoder": f"graphs of {source.name}",
        "dataset": split.dataset, "split": split.name,
        "n_images": split.n_images,
        "seconds": {"graphs": time.perf_counter() - start},
    }
    aside = home.with_suffix(".tmp")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    for name in GRAPH:
        np.save(aside / f"{name}.npy", graphs[name])
    (aside / "about.json").write_text(json.dumps(about, indent=1))
    os.replace(aside, home)


def _open(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RsirError(
            f"{path}: graph file is damaged ({error}); remove it with: "
            "rsir cache clear"
        ) from error


def all_features_seconds(encoder: ImageEncoder, split: Split,
                         names, source, drea) -> float:
    """Seconds of one pass of the encoder, and of the graphs."""
    maps = tuple(dict.fromkeys([*names, *source.reads]))
    passed = features_seconds(encoder, split, maps) if maps else 0.0
    return passed + graphs_seconds(source, encoder, split, drea)
