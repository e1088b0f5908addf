"""The one on-disk store: features of frozen encoders, memory-mapped.

A set of arrays is keyed by what decides it: for features the bytes of all
pictures, the encoder, its weights and its transform. Arrays are written aside
and renamed when they are whole; a killed run goes on where it stopped. One
writer at a time; others wait and then read. Explained in chapter 00.
"""

import hashlib
import json
import math
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from rsir.data import Split, cache_dir
from rsir.data.images import image_hashes, in_threads
from rsir.encoders.base import FEATURES
from rsir.encoders.image import ImageEncoder, square
from rsir.encoders.text import TextEncoder
from rsir.utils.errors import RsirError
from rsir.utils.io import atomic_write, locked
from rsir.utils.progress import track

BATCH = 32
FEW = 1000  #: texts; so many are sooner encoded than looked up


def features_dir() -> Path:
    """The folder that holds all sets."""
    return cache_dir() / "features"


def stored(
    kind: str,
    identity: Mapping[str, object],
    split: Split,
    names: Sequence[str],
    compute: Callable[[range, Sequence[str]], Mapping[str, np.ndarray]],
    *,
    progress: bool = True,
) -> dict[str, np.ndarray]:
    """Read-only memory maps `[n_images, ...]`, computed once and then read.

    Args:
        kind: begins the name of the folder.
        identity: what decides a row, beside the picture; JSON.
        split: the pictures.
        names: the arrays that are wanted.
        compute: maps a range of pictures and the names of missing arrays
            to their rows `[len(range), ...]`, of the type to be stored.
        progress: print a progress line.
    """
    home = _home(kind, identity, split)
    paths = {name: home / f"{name}.npy" for name in names}
    if not all(path.is_file() for path in paths.values()):
        facts = {"encoder": kind} | dict(identity)
        with locked(home / ".lock", "the feature cache"):
            if missing := [n for n, path in paths.items() if not path.is_file()]:
                _compute(home, missing, compute, split, facts, progress)
    return {name: _opened(path) for name, path in paths.items()}


def _home(kind: str, identity: Mapping[str, object], split: Split) -> Path:
    whole = json.dumps(identity, sort_keys=True) + "".join(image_hashes(split))
    digest = hashlib.sha256(whole.encode()).hexdigest()
    kind = re.sub(r"[^\w.-]", "_", kind)
    return features_dir() / f"{kind}-{digest[:20]}"


def _compute(home: Path, names, compute, split: Split, facts, progress) -> None:
    """Write rows aside, then rename; whole batches of a killed run are kept."""
    n, parts = split.n_images, {name: home / f"{name}.part" for name in names}
    start = _resume(parts.values())
    began = time.perf_counter()
    label = f"{split.dataset} {split.name}: {', '.join(names)}, {n} rows"
    for i in track(range(start, max(n, 1), BATCH), label, show=progress):
        rows = compute(range(i, min(i + BATCH, n)), names)
        for name, part in parts.items():
            _append(part, rows[name], n)
    # what a killed run spent on its rows is counted at our own rate
    seconds = (time.perf_counter() - began) * n / max(1, n - start)
    about = home / "about.json"
    before = json.loads(about.read_text()) if about.exists() else {}
    facts |= {"dataset": split.dataset, "split": split.name, "n_images": n}
    facts["seconds"] = before.get("seconds", {}) | dict.fromkeys(names, seconds)
    with atomic_write(about) as file:
        json.dump(facts, file, indent=1)
    for name, part in parts.items():
        with open(part, "r+b") as file:
            os.fsync(file.fileno())
        os.replace(part, home / f"{name}.npy")


def _opened(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RsirError(
            f"{path}: feature file is damaged ({error}); "
            "remove it with: rsir cache clear"
        ) from error


def _append(part: Path, rows: np.ndarray, n: int) -> None:
    """More rows of an array of `n`; a new file begins with its header."""
    with open(part, "ab") as file:
        if file.tell() == 0:
            header = np.lib.format.header_data_from_array_1_0(rows)
            header |= {"shape": (n, *rows.shape[1:]), "fortran_order": False}
            np.lib.format.write_array_header_1_0(file, header)
        file.write(np.ascontiguousarray(rows).data)


def _resume(parts: Sequence[Path]) -> int:
    """Cut what a killed run left to batches that all files have: rows kept."""
    found = []
    for part in parts:
        try:
            with open(part, "rb") as file:
                np.lib.format.read_magic(file)
                shape, _, dtype = np.lib.format.read_array_header_1_0(file)
                row = math.prod(shape[1:]) * dtype.itemsize
                size = part.stat().st_size - file.tell()
                found.append((part, file.tell(), row, size // row))
        except (OSError, ValueError):  # none, or cut within the header
            found.append((part, 0, 0, 0))
    kept = min(rows for *_, rows in found) // BATCH * BATCH
    for part, header, row, _ in found:
        if part.exists():
            os.truncate(part, header + kept * row if kept else 0)
    return kept


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
        split: the pictures; an RsirError for one that cannot be read.
        names: some of "f1" to "f4" and "pooled".
        progress: print a progress line.

    Returns:
        Read-only memory maps, float16, `[n_images, ...]`.
    """

    @torch.inference_mode()
    def compute(rows: range, missing: Sequence[str]) -> dict[str, np.ndarray]:
        pixels = in_threads(lambda i: encoder.pixels(split.open(i)), rows)
        pixels = np.array(pixels, np.uint8).reshape(-1, 3, encoder.size, encoder.size)
        device = next(encoder.parameters()).device
        images = encoder.normalise(torch.from_numpy(pixels).to(device))
        encoded = encoder.eval()(images.contiguous(memory_format=torch.channels_last))
        found = encoded.features(missing).items()
        return {k: v.to(torch.float16).cpu().numpy() for k, v in found}

    what = encoder.name, encoder.identity(), split
    return stored(*what, names, compute, progress=progress)


def cached_pixels(split: Split, size: int, *, progress: bool = True) -> np.ndarray:
    """The pictures of a split, decoded once: uint8 `[n_images, 3, size, size]`."""

    def compute(rows: range, _) -> dict[str, np.ndarray]:
        pixels = in_threads(lambda i: square(split.open(i), size), rows)
        return {"pixels": np.array(pixels, np.uint8).reshape(-1, 3, size, size)}

    identity = {"size": size, "resize": "bicubic"}
    what = "pixels", identity, split, ["pixels"], compute
    return stored(*what, progress=progress)["pixels"]


def cached_texts(
    encoder: TextEncoder,
    split: Split,
    ids: Mapping[str, torch.Tensor],
    reads: Sequence[str],
    compute: Callable[[], dict[str, torch.Tensor]],
) -> dict[str, torch.Tensor]:
    """What the frozen part of a text encoder makes of texts, computed once.

    Args:
        encoder: its weights that do not learn are part of the key.
        split: whose texts they are; only named.
        ids: what is encoded, `[n_texts, L]` each.
        reads: what is made of it.
        compute: gives tensors `[n_texts, ...]`, on the CPU; they come back to the bit.
    """
    if len(ids["ids"]) < FEW:
        return compute()
    digest = hashlib.sha256(json.dumps([encoder.name, list(reads)]).encode())
    weights = {k: v for k, v in encoder.named_parameters() if not v.requires_grad}
    for name, value in (weights | ids).items():
        digest.update(f"{name} {list(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    home = features_dir() / f"texts-{digest.hexdigest()[:20]}"
    about = home / "about.json"
    if not about.is_file():
        with locked(home / ".lock", "the feature cache"):
            if not about.is_file():
                found = compute()
                for name, value in found.items():
                    with atomic_write(home / f"{name}.npy", "wb") as file:
                        np.save(file, value.numpy())
                facts = {"encoder": encoder.name, "texts": list(found)}
                facts |= {"dataset": split.dataset, "split": split.name}
                with atomic_write(about) as file:
                    json.dump(facts | {"n_images": split.n_images}, file, indent=1)
    names = json.loads(about.read_text())["texts"]
    return {k: torch.from_numpy(np.array(_opened(home / f"{k}.npy"))) for k in names}


def features_seconds(
    encoder: ImageEncoder, split: Split, names: Sequence[str] = FEATURES
) -> float:
    """Seconds that the longest pass took which computed one of the features."""
    home = _home(encoder.name, encoder.identity(), split)
    seconds = json.loads((home / "about.json").read_text())["seconds"]
    return max(seconds[name] for name in names)


def feature_sets() -> Iterator[tuple[Path, dict, int]]:
    """Every set on disk: its folder, what it is, its bytes."""
    for home in sorted(features_dir().glob("*/")):
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
