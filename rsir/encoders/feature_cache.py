"""Features of frozen encoders on disk, memory-mapped.

A set of features is keyed by the bytes of all pictures, the encoder,
its weights and its transform: change one and the key changes. A set
is written aside and renamed when it is whole; a killed run goes on
where it stopped. One writer at a time; others wait and then read.
Explained in chapter 00.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from rsir.data import Split, cache_dir
from rsir.data.images import image_hashes, open_image
from rsir.encoders.base import FEATURES
from rsir.encoders.image import ImageEncoder
from rsir.utils.errors import RsirError
from rsir.utils.progress import track

BATCH = 32


def features_dir() -> Path:
    """The folder that holds all feature sets."""
    return cache_dir() / "features"


def cached_features(
    encoder: ImageEncoder,
    split: Split,
    names: Sequence[str] = FEATURES,
    *,
    progress: bool = True,
) -> dict[str, np.ndarray]:
    """Features of a split, computed once and then read from disk.

    Args:
        encoder: frozen; it is put into evaluation mode.
        split: the pictures.
        names: some of "f1" to "f4" (maps with strides 4 to 32) and
            "pooled".
        progress: print a progress line.

    Returns:
        Read-only memory maps, float16, `[n_images, ...]`.

    Raises:
        RsirError: for an unreadable picture or a damaged set.
    """
    identity = encoder.identity()
    hashes = image_hashes(split)
    key = _key(identity, hashes)
    home = features_dir() / key
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / ".lock"):
        missing = [n for n in names if not _is_whole(home, n)]
        if missing:
            _compute(encoder, split, home, missing, identity, progress)
    return {name: _open(home, name) for name in names}


def _key(identity: Mapping, hashes: Sequence[str]) -> str:
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode())
    for value in hashes:
        digest.update(value.encode())
    return f"{identity['encoder']}-{digest.hexdigest()[:20]}"


def _is_whole(home: Path, name: str) -> bool:
    return (home / f"{name}.npy").is_file()


def _open(home: Path, name: str) -> np.ndarray:
    path = home / f"{name}.npy"
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RsirError(
            f"{path}: feature file is damaged ({error}); "
            "remove it with: rsir cache clear"
        ) from error


def _compute(encoder, split, home, names, identity, progress):
    """Write the missing features aside, then rename them.

    A kill leaves `.part` files; the rows they hold are kept, from the
    last full batch on that all of them share.
    """
    shapes = dict(zip(FEATURES, [*encoder.map_sizes(), (encoder.dim,)]))
    n = split.n_images
    parts = {name: home / f"{name}.part" for name in names}
    row = {name: int(np.prod(shapes[name])) * 2 for name in names}
    have = min(
        p.stat().st_size // row[name] if p.exists() else 0 for name, p in parts.items()
    )
    start = have // BATCH * BATCH
    began = time.perf_counter()
    was_training = encoder.training
    encoder.eval()
    with ExitStack() as stack:
        files = {}
        for name, path in parts.items():
            file = stack.enter_context(open(path, "ab"))
            file.truncate(start * row[name])
            files[name] = file
        batches = range(start, n, BATCH)
        label = f"features of {split.dataset} {split.name}, {n} pictures"
        with torch.inference_mode():
            for i in track(batches, label, show=progress):
                encoded = encoder(_pictures(encoder, split, i))
                every = dict(zip(FEATURES, (*encoded.maps, encoded.pooled)))
                for name, file in files.items():
                    file.write(every[name].to(torch.float16).cpu().numpy().tobytes())
                    file.flush()
    encoder.train(was_training)
    # what a killed run spent on its rows is counted at our own rate
    seconds = time.perf_counter() - began
    _describe(home, identity, split, names, seconds * n / max(1, n - start))
    for name, path in parts.items():
        _finish(path, home / f"{name}.npy", (n, *shapes[name]))


def _pictures(encoder, split, start: int) -> torch.Tensor:
    """A batch of pictures as network input, `[b, 3, H, W]`."""
    paths = split.images[start : start + BATCH]
    pixels = np.stack([encoder.pixels(open_image(path)) for path in paths])
    device = next(encoder.parameters()).device
    images = encoder.normalise(torch.from_numpy(pixels).to(device))
    return images.contiguous(memory_format=torch.channels_last)


def _finish(part: Path, target: Path, shape: tuple) -> None:
    """Raw rows to a .npy file, in place of a second copy on disk."""
    expected = int(np.prod(shape)) * 2
    if part.stat().st_size != expected:
        raise RsirError(
            f"{part}: {part.stat().st_size} bytes, expected {expected}; "
            "remove it with: rsir cache clear"
        )
    aside = target.with_suffix(".tmp")
    with open(aside, "wb") as file:
        np.lib.format.write_array_header_1_0(
            file,
            {
                "descr": "<f2",
                "fortran_order": False,
                "shape": shape,
            },
        )
        with open(part, "rb") as rows:
            shutil.copyfileobj(rows, file, 1 << 24)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, target)
    part.unlink()


def _describe(
    home: Path, identity: Mapping, split: Split, names: Sequence[str], seconds: float
) -> None:
    """Say in words what a set is, for `rsir cache list`."""
    about = home / "about.json"
    before = json.loads(about.read_text()) if about.exists() else {}
    facts = dict(identity) | {
        "seconds": before.get("seconds", {}) | {name: seconds for name in names},
        "dataset": split.dataset,
        "split": split.name,
        "n_images": split.n_images,
    }
    aside = home / "about.tmp"
    aside.write_text(json.dumps(facts, indent=1), encoding="utf-8")
    os.replace(aside, about)


def features_seconds(
    encoder: ImageEncoder, split: Split, names: Sequence[str] = FEATURES
) -> float:
    """Seconds that computing a set took when it was made.

    One pass of the encoder gives all features: if some came in a
    second pass, the longest counts, not the sum.
    """
    home = features_dir() / _key(encoder.identity(), image_hashes(split))
    seconds = json.loads((home / "about.json").read_text())["seconds"]
    return max(seconds[name] for name in names)


def feature_sets() -> Iterator[tuple[Path, dict, int]]:
    """Every set on disk: its folder, what it is, its bytes."""
    if not features_dir().is_dir():
        return
    for home in sorted(features_dir().iterdir()):
        if not home.is_dir():
            continue
        about = home / "about.json"
        facts = json.loads(about.read_text()) if about.exists() else {}
        size = sum(f.stat().st_size for f in home.iterdir())
        yield home, facts, size


def clear_features(dataset: str | None = None) -> int:
    """Remove sets, all or those of one data set; return the bytes."""
    freed = 0
    for home, facts, size in list(feature_sets()):
        if dataset is None or facts.get("dataset") == dataset:
            shutil.rmtree(home)
            freed += size
    return freed
