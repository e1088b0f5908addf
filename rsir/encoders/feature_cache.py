"""The one on-disk store: features of frozen encoders, memory-mapped.

A set of arrays is keyed by what decides it: for features the bytes of all
pictures, the encoder, its weights and its transform. Change one and the key
changes. Arrays are written aside and renamed when they are whole; a killed
run goes on where it stopped. One writer at a time; others wait and then read.
Explained in chapter 00.
"""

import hashlib
import json
import math
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from rsir.data import Split, cache_dir
from rsir.data.images import image_hashes, open_image
from rsir.encoders.base import FEATURES
from rsir.encoders.image import ImageEncoder
from rsir.utils.errors import RsirError
from rsir.utils.io import atomic_write
from rsir.utils.progress import track

BATCH = 32


def features_dir() -> Path:
    """The folder that holds all sets."""
    return cache_dir() / "features"


class FeatureStore:
    """A set of arrays on disk, one row an item.

    Args:
        kind: begins the name of its folder.
        identity: what decides a row, beside the item; JSON.
        hashes: of the items, in their order.

    Attributes:
        home: the folder; it holds NAME.npy of each array, and about.json.
    """

    def __init__(self, kind: str, identity: Mapping, hashes: Sequence[str]) -> None:
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode())
        for value in hashes:
            digest.update(value.encode())
        kind = re.sub(r"[^\w.-]", "_", kind)
        self.identity, self.n = dict(identity), len(hashes)
        self.home = features_dir() / f"{kind}-{digest.hexdigest()[:20]}"

    def arrays(
        self,
        names: Sequence[str],
        compute: Callable[[range, Sequence[str]], Mapping[str, np.ndarray]],
        about: Mapping[str, object],
        *,
        batch: int | None = None,
        progress: bool = True,
    ) -> dict[str, np.ndarray]:
        """Arrays by name, computed once and then read.

        Args:
            names: the arrays that are wanted.
            compute: maps a range of items and the names of missing arrays
                to their rows `[len(range), ...]`, of the type to be stored.
            about: facts for `rsir cache list`: "dataset", "split", ...
            batch: items at a time; None: `BATCH`.
            progress: print a progress line.

        Returns:
            Read-only memory maps `[n, ...]`.

        Raises:
            RsirError: for a damaged file.
        """
        if self._missing(names):
            self.home.mkdir(parents=True, exist_ok=True)
            with FileLock(self.home / ".lock"):
                if missing := self._missing(names):
                    self._compute(missing, compute, about, batch or BATCH, progress)
        return {name: self._open(name) for name in names}

    def seconds(self, names: Sequence[str]) -> float:
        """Seconds that the longest pass took which made one of the arrays."""
        seconds = json.loads((self.home / "about.json").read_text())["seconds"]
        return max(seconds[name] for name in names)

    def _missing(self, names: Sequence[str]) -> list[str]:
        return [n for n in names if not (self.home / f"{n}.npy").is_file()]

    def _open(self, name: str) -> np.ndarray:
        path = self.home / f"{name}.npy"
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise RsirError(
                f"{path}: feature file is damaged ({error}); "
                "remove it with: rsir cache clear"
            ) from error

    def _compute(self, names, compute, about, batch, progress) -> None:
        """Write rows aside, then rename; whole batches of a kill are kept."""
        parts = {name: self.home / f"{name}.part" for name in names}
        kept = min(_rows(part, self.n) for part in parts.values())
        start = min(kept // batch * batch, self.n)
        for part in parts.values():
            _cut(part, start)
        began = time.perf_counter()
        label = (
            f"{about['dataset']} {about['split']}: {', '.join(names)}, {self.n} rows"
        )
        for i in track(range(start, max(self.n, 1), batch), label, show=progress):
            rows = compute(range(i, min(i + batch, self.n)), names)
            for name, part in parts.items():
                _append(part, rows[name], self.n)
        # what a killed run spent on its rows is counted at our own rate
        seconds = time.perf_counter() - began
        seconds *= self.n / max(1, self.n - start)
        self._describe(about, dict.fromkeys(names, seconds))
        for name, part in parts.items():
            with open(part, "r+b") as file:
                os.fsync(file.fileno())
            os.replace(part, self.home / f"{name}.npy")

    def _describe(self, about: Mapping, seconds: Mapping[str, float]) -> None:
        path = self.home / "about.json"
        before = json.loads(path.read_text()) if path.exists() else {}
        facts = self.identity | {"n_images": self.n} | dict(about)
        facts["seconds"] = before.get("seconds", {}) | dict(seconds)
        with atomic_write(path) as file:
            json.dump(facts, file, indent=1)


def _append(part: Path, rows: np.ndarray, n: int) -> None:
    """More rows of an array of `n`; a new file begins with its header."""
    with open(part, "ab") as file:
        if file.tell() == 0:
            header = np.lib.format.header_data_from_array_1_0(rows)
            header |= {"shape": (n, *rows.shape[1:]), "fortran_order": False}
            np.lib.format.write_array_header_1_0(file, header)
        file.write(np.ascontiguousarray(rows).data)


def _layout(part: Path) -> tuple[int, int, int]:
    """Length of the header, bytes of a row, and how many shall come."""
    with open(part, "rb") as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        return file.tell(), math.prod(shape[1:]) * dtype.itemsize, shape[0]


def _rows(part: Path, n: int) -> int:
    """Whole rows that a killed run left."""
    try:
        header, row, of = _layout(part)
    except (OSError, ValueError):  # none, or cut within the header
        return 0
    return (part.stat().st_size - header) // row if of == n and row else 0


def _cut(part: Path, rows: int) -> None:
    if rows == 0:
        part.unlink(missing_ok=True)
    else:
        header, row, _ = _layout(part)
        os.truncate(part, header + rows * row)


# -- features of pictures -------------------------------------------------


def cached_features(
    encoder: ImageEncoder,
    split: Split,
    names: Sequence[str] = FEATURES,
    *,
    progress: bool = True,
) -> dict[str, np.ndarray]:
    """Features of a split, computed once and then read from disk.

    Args:
        encoder: its weights are part of the key.
        split: the pictures.
        names: some of "f1" to "f4" and "pooled".
        progress: print a progress line.

    Returns:
        Read-only memory maps, float16, `[n_images, ...]`.

    Raises:
        RsirError: for an unreadable picture or a damaged set.
    """

    def compute(rows: range, missing: Sequence[str]) -> dict[str, np.ndarray]:
        found = encode_pictures(encoder, split, rows, missing)
        return {k: v.to(torch.float16).cpu().numpy() for k, v in found.items()}

    about = {"dataset": split.dataset, "split": split.name}
    return _store(encoder, split).arrays(names, compute, about, progress=progress)


def features_seconds(
    encoder: ImageEncoder, split: Split, names: Sequence[str] = FEATURES
) -> float:
    """Seconds that computing features took, see `FeatureStore.seconds`."""
    return _store(encoder, split).seconds(names)


def _store(encoder: ImageEncoder, split: Split) -> FeatureStore:
    return FeatureStore(encoder.name, encoder.identity(), image_hashes(split))


@torch.inference_mode()
def encode_pictures(
    encoder: ImageEncoder,
    split: Split,
    rows: Sequence[int],
    names: Sequence[str] = FEATURES,
) -> dict[str, Tensor]:
    """Features of some pictures, `[len(rows), ...]`, in evaluation mode."""
    pixels = np.empty((len(rows), 3, encoder.size, encoder.size), np.uint8)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda i: encoder.pixels(_picture(split, i)), rows)
        for place, picture in enumerate(found):
            pixels[place] = picture
    device = next(encoder.parameters()).device
    images = encoder.normalise(torch.from_numpy(pixels).to(device))
    was_training = encoder.training
    encoded = encoder.eval()(images.contiguous(memory_format=torch.channels_last))
    encoder.train(was_training)
    return encoded.features(names)


def _picture(split: Split, i: int):
    if hasattr(split, "open"):
        return split.open(i)
    return open_image(split.images[i])


# -- what is on disk ------------------------------------------------------


def feature_sets() -> Iterator[tuple[Path, dict, int]]:
    """Every set on disk: its folder, what it is, its bytes."""
    if not features_dir().is_dir():
        return
    for home in sorted(features_dir().iterdir()):
        if not home.is_dir():
            continue
        about = home / "about.json"
        facts = json.loads(about.read_text()) if about.exists() else {}
        yield home, facts, sum(f.stat().st_size for f in home.iterdir())


def clear_features(dataset: str | None = None) -> int:
    """Remove sets, all or those of one data set; return the bytes."""
    freed = 0
    for home, facts, size in list(feature_sets()):
        if dataset is None or facts.get("dataset") == dataset:
            shutil.rmtree(home)
            freed += size
    return freed
