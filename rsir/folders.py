"""An index over a folder of pictures, of one's own or of a data set.

A journal beside the index notes every picture that has been read:
its name, its bytes' hash, its code or vector. A build that is killed
goes on from there, and a build after new pictures have come reads
only those. Explained in chapter 05.

    FOLDER/.rsir-index/
        journal.json     the model and the width of a row
        rows.bin         codes or vectors, one after the other
        pictures.jsonl   one line a row: name, bytes, SHA-256
        pictures.index   what `rsir.search.Index` has saved
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from rsir.data.images import SUFFIXES, image_hashes, open_image
from rsir.data.paths import atomic_write
from rsir.encoders.base import weights_hash
from rsir.errors import RsirError
from rsir.models.base import Retriever
from rsir.progress import track
from rsir.search import KINDS, Index, coarse_to_fine, pack

HOME = ".rsir-index"
BATCH = 32


def fingerprint(model: Retriever) -> str:
    """Which model this is: weights, and how it takes pictures in."""
    facts = json.dumps(model.image_encoder.identity(), sort_keys=True)
    text = f"{type(model).__name__} {facts} {weights_hash(model)}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def side(encoded: dict, model: Retriever, what: str) -> np.ndarray:
    """The rows that an index holds: packed codes, or vectors.

    Args:
        encoded: what `encode_images` or `encode_texts` gave.
        model: names itself in the error.
        what: "v" or "t", the vector of the side.

    Raises:
        RsirError: if the model compares by more than one vector.
    """
    if "code" in encoded:
        return pack(encoded["code"].cpu().numpy())
    if set(encoded) != {what}:
        raise RsirError(
            f"{type(model).__name__}: compares a picture and a "
            "sentence by more than one vector each, which an index "
            "cannot; take linear, mlp, galr or cfitr"
        )
    return encoded[what].float().cpu().numpy()


def pictures_below(folder: Path) -> list[Path]:
    """Picture files below a folder, hidden ones left out, sorted."""
    if not folder.is_dir():
        raise RsirError(f"{folder}: no such folder")
    found = []
    for here, below, files in os.walk(folder):
        below[:] = [b for b in below if not b.startswith(".")]
        found += [
            Path(here, name) for name in files
            if not name.startswith(".")
            and Path(name).suffix.lower() in SUFFIXES
        ]
    if not found:
        raise RsirError(
            f"{folder}: no pictures below it ({', '.join(SUFFIXES)})"
        )
    return sorted(found)


def data_hash(names: Sequence[str], hashes: Sequence[str]) -> str:
    """One fingerprint of all pictures, their names and their order."""
    digest = hashlib.sha256()
    for name, value in zip(names, hashes, strict=True):
        digest.update(f"{name}\0{value}\n".encode())
    return digest.hexdigest()[:16]


class Journal:
    """Rows that have been computed, whole even after a kill.

    Args:
        home: the folder of the index.
        model: fingerprint; rows of another model are dropped.
    """

    def __init__(self, home: Path, model: str) -> None:
        self.home, self.model = home, model
        home.mkdir(parents=True, exist_ok=True)
        self.rows_path = home / "rows.bin"
        self.names_path = home / "pictures.jsonl"
        self.facts_path = home / "journal.json"
        facts = self._facts()
        if facts and facts["model"] != model:
            for path in (self.rows_path, self.names_path,
                         self.facts_path):
                path.unlink(missing_ok=True)
            facts = None
        self.shape = facts and (facts["dtype"], facts["width"])
        self.known = self._read() if self.shape else {}

    def _facts(self) -> dict | None:
        try:
            return json.loads(self.facts_path.read_text())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise RsirError(
                f"{self.facts_path}: damaged ({error}); remove the "
                f"folder {self.home} and build again"
            ) from error

    def _read(self) -> dict[tuple[str, str], int]:
        """Whole rows; what a kill cut off is cut off here, too."""
        lines, ends = [], 0
        if self.names_path.exists():
            for line in self.names_path.read_bytes().splitlines(True):
                if not line.endswith(b"\n"):
                    break
                lines.append(json.loads(line))
                ends += len(line)
        size = self.rows_path.stat().st_size \
            if self.rows_path.exists() else 0
        row = np.dtype(self.shape[0]).itemsize * self.shape[1]
        keep = min(len(lines), size // row)
        if keep < len(lines):
            text = "".join(json.dumps(x) + "\n" for x in lines[:keep])
            with atomic_write(self.names_path) as file:
                file.write(text)
        elif self.names_path.exists():
            os.truncate(self.names_path, ends)
        if size != keep * row:
            os.truncate(self.rows_path, keep * row)
        return {(x["name"], x["sha256"]): i
                for i, x in enumerate(lines[:keep])}

    def append(self, names: Sequence[str], hashes: Sequence[str],
               rows: np.ndarray) -> None:
        """Rows first, then their names: a kill between loses both."""
        if self.shape is None:
            self.shape = (rows.dtype.str, rows.shape[1])
            with atomic_write(self.facts_path) as file:
                json.dump({"model": self.model, "dtype": self.shape[0],
                           "width": self.shape[1]}, file)
        with open(self.rows_path, "ab") as file:
            file.write(np.ascontiguousarray(rows).tobytes())
            file.flush()
        with open(self.names_path, "a", encoding="utf-8") as file:
            for name, value in zip(names, hashes, strict=True):
                self.known[name, value] = len(self.known)
                file.write(json.dumps(
                    {"name": name, "sha256": value}) + "\n")

    def rows(self, keys) -> np.ndarray:
        """The rows of some pictures, in the order asked for."""
        dtype, width = self.shape
        every = np.memmap(self.rows_path, dtype, "r").reshape(-1, width)
        return np.array(every[[self.known[key] for key in keys]])


@torch.inference_mode()
def encode_pictures(model: Retriever, paths: Sequence[Path]) -> dict:
    """The image side of some picture files."""
    encoder = model.image_encoder
    pixels = np.stack([encoder.pixels(open_image(p)) for p in paths])
    device = next(model.parameters()).device
    images = encoder.normalise(torch.from_numpy(pixels).to(device))
    return model.encode_images(model.image_features(
        images.contiguous(memory_format=torch.channels_last)))


def build_folder(model: Retriever, folder: str | Path, *,
                 kind: str | None = None, home: Path | None = None,
                 progress: bool = True) -> Index:
    """Index the pictures below a folder; goes on after a kill.

    Args:
        model: in evaluation mode.
        folder: holds the pictures, in sub-folders or not.
        kind: of `rsir.search.KINDS`; None: "binary-flat" for a model
            with codes, else "flat".
        home: where the index lies; None: `FOLDER/.rsir-index`.
        progress: print progress.

    Returns:
        The index, saved.

    Raises:
        RsirError: no picture, an unreadable one, or a kind that does
            not fit the model.
    """
    folder = Path(folder)
    home = Path(home or folder / HOME)
    if kind is not None and kind not in KINDS:
        Index(kind, 8)  # says what there is
    paths = pictures_below(folder)
    names = [p.relative_to(folder).as_posix() for p in paths]
    hashes = image_hashes(paths)
    journal = Journal(home, fingerprint(model))
    new = [i for i, key in enumerate(zip(names, hashes))
           if key not in journal.known]
    parts = [new[i:i + BATCH] for i in range(0, len(new), BATCH)]
    label = f"reading {len(new):,} new of {len(names):,} pictures"
    for part in track(parts, label, show=progress):
        rows = side(encode_pictures(model, [paths[i] for i in part]),
                    model, "v")
        journal.append([names[i] for i in part],
                       [hashes[i] for i in part], rows)
    rows = journal.rows(list(zip(names, hashes)))
    packed = rows.dtype == np.uint8
    kind = kind or ("binary-flat" if packed else "flat")
    if kind.startswith("binary-") and not packed:
        rows = pack(rows)
    elif packed and not kind.startswith("binary-"):
        raise RsirError(
            f"index kind {kind!r}: this model gives codes; choose a "
            "binary kind"
        )
    index = Index.build(kind, rows, model=journal.model,
                        data=data_hash(names, hashes))
    index.save(home / "pictures.index")
    return index


@dataclass(frozen=True)
class Hit:
    """One picture that was found: its file and its score."""

    path: Path
    score: float


def open_folder(model: Retriever, folder: str | Path,
                home: Path | None = None) -> tuple[Index, list[Path]]:
    """The index of a folder and its pictures, both checked.

    Raises:
        RsirError: no index, one of another model, or pictures that
            have come, gone or changed since.
    """
    folder = Path(folder)
    paths = pictures_below(folder)
    names = [p.relative_to(folder).as_posix() for p in paths]
    path = Path(home or folder / HOME) / "pictures.index"
    index = Index.load(path, model=fingerprint(model))
    if data_hash(names, image_hashes(paths)) != index.data:
        raise RsirError(
            f"{path}: pictures below {folder} have come, gone or "
            "changed since; run rsir index build again, it reads only "
            "what is new"
        )
    return index, paths


@torch.inference_mode()
def search_folder(model: Retriever, folder: str | Path, sentence: str,
                  k: int = 5, *, fine: int = 0,
                  home: Path | None = None) -> list[Hit]:
    """The pictures below a folder that fit a sentence best.

    Args:
        model: the one that built the index, in evaluation mode.
        folder: as in `build_folder`.
        sentence: the query.
        k: how many.
        fine: so many candidates are read again by the joint part of
            the model; 0: the index alone decides.
        home: as in `build_folder`.

    Raises:
        RsirError: as in `open_folder`, or if the model has no joint
            part.
    """
    index, paths = open_folder(model, folder, home)
    ids = model.text_encoder.tokenize([sentence])
    ids = ids.to(next(model.parameters()).device)
    text = model.encode_texts(model.text_features(ids))
    query = side(text, model, "t")
    if index.binary and query.dtype != np.uint8:
        query = pack(query)
    if not fine:
        scores, found = index.search(query, k)
    elif not hasattr(model, "joint"):
        raise RsirError(
            f"{type(model).__name__}: has no joint part to look twice "
            "with; leave --fine out"
        )
    else:
        def rescore(_, candidates):
            images = encode_pictures(model, [paths[i] for i in
                                             candidates])
            pairs = torch.zeros(len(candidates), 2, dtype=torch.long)
            pairs[:, 0] = torch.arange(len(candidates))
            return model.joint(images, text, pairs).float().cpu()

        scores, found = coarse_to_fine(
            index, query, rescore, m=max(fine, k), k=k)
    return [Hit(paths[i], float(s))
            for s, i in zip(scores[0], found[0]) if i >= 0]
