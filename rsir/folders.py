"""An index over a folder of pictures, of one's own or of a data set.

Pictures are read once: `rsir.journal` keeps what was computed, so a
build that is killed goes on, and new pictures are all that a later
build reads. Explained in chapter 05.

    FOLDER/.rsir-index/
        journal.json, rows.bin, pictures.jsonl   see `rsir.journal`
        pictures.index   what `rsir.search.Index` has saved
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from rsir.data.images import SUFFIXES, image_hashes, open_image
from rsir.encoders.base import weights_hash
from rsir.errors import RsirError
from rsir.indexkinds import check_kind, is_binary
from rsir.journal import Journal, Noted, held, noted
from rsir.models.base import Retriever
from rsir.progress import track
from rsir.search import Index, coarse_to_fine, pack

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


def refuse(error: OSError) -> None:
    """A file or folder that cannot be read, as a user error."""
    raise RsirError(
        f"{error.filename}: cannot be read ({error.strerror}); change "
        "its mode, or move it away"
    ) from error


def pictures_below(folder: Path) -> list[Path]:
    """Picture files below a folder, hidden ones left out, sorted."""
    if not folder.is_dir():
        raise RsirError(f"{folder}: no such folder")
    found = []
    for here, below, files in os.walk(folder, onerror=refuse):
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


def data_hash(pictures: Sequence[Noted]) -> str:
    """One fingerprint of all pictures, their names and their order."""
    digest = hashlib.sha256()
    for one in pictures:
        digest.update(one.name.encode("utf-8", "surrogatepass"))
        digest.update(f"\0{one.sha256}\n".encode())
    return digest.hexdigest()[:16]


def look_at(folder: Path, paths: Sequence[Path], home: Path,
            progress: bool = False) -> list[Noted]:
    """Name and SHA-256 of pictures.

    A file that has the size and the time it was noted with is not
    read again.
    """
    known, out, new = noted(home), [], []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        try:
            facts = path.stat()
        except OSError as error:
            refuse(error)
        old = known.get(name)
        if old is None or (old.size, old.changed) != (
                facts.st_size, facts.st_mtime_ns):
            new.append((len(out), path))
            old = Noted(name, "", facts.st_size, facts.st_mtime_ns)
        out.append(old)
    label = f"looking at {len(new):,} of {len(out):,} pictures"
    for part in track(_parts(new), label, show=progress and bool(new)):
        for (i, _), value in zip(part, image_hashes(
                [path for _, path in part]), strict=True):
            out[i] = dataclasses.replace(out[i], sha256=value)
    return out


def _parts(items: Sequence) -> list[Sequence]:
    return [items[i:i + BATCH] for i in range(0, len(items), BATCH)]


def _pixels(encoder, path: Path) -> np.ndarray:
    """A picture as the encoder takes it.

    Raises:
        RsirError: unreadable, or of more than 8 bits a number, which
            has no range that all programs agree on.
    """
    picture = open_image(path)
    with Image.open(path) as raw:
        if raw.mode[0] in "IF":
            raise RsirError(
                f"{path}: mode {raw.mode}, more than 8 bits a number; "
                "convert it to 8-bit RGB, or move it away"
            )
    return encoder.pixels(picture)


@torch.inference_mode()
def encode_pictures(model: Retriever, paths: Sequence[Path]) -> dict:
    """The image side of some picture files."""
    encoder = model.image_encoder
    pixels = np.stack([_pixels(encoder, path) for path in paths])
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
        RsirError: no picture, an unreadable one, a kind that does not
            fit the model, another build at work, or no place to write.
    """
    folder = Path(folder)
    home = Path(home or folder / HOME)
    if kind is not None:
        check_kind(kind)
    paths = pictures_below(folder)
    first = _rows(model, paths[:1])  # before any old row is dropped
    packed = first.dtype == np.uint8
    kind = kind or ("binary-flat" if packed else "flat")
    if packed and not is_binary(kind):
        raise RsirError(
            f"index kind {kind!r}: this model gives codes; choose a "
            "binary kind"
        )
    with held(home):
        pictures = look_at(folder, paths, home, progress)
        journal = Journal(home, fingerprint(model), first)
        for part in _unread(journal, pictures, progress):
            rows = _rows(model, [paths[i] for i in part])
            journal.append([pictures[i] for i in part], rows)
        rows = journal.rows(pictures)
        if is_binary(kind) and not packed:
            rows = pack(rows)
        index = Index.build(kind, rows, model=journal.model,
                            data=data_hash(pictures))
        index.save(home / "pictures.index")
    return index


def _unread(journal: Journal, pictures: Sequence[Noted],
            progress: bool) -> Iterator[Sequence[int]]:
    """Numbers of the pictures that have no row yet, in batches."""
    new = [i for i, one in enumerate(pictures)
           if one.key not in journal.known]
    label = f"reading {len(new):,} new of {len(pictures):,} pictures"
    return track(_parts(new), label, show=progress)


def _rows(model: Retriever, paths: Sequence[Path]) -> np.ndarray:
    """The rows of some pictures, numbers all of them."""
    encoded = encode_pictures(model, paths)
    for value in encoded.values():
        good = torch.isfinite(value).flatten(1).all(dim=1)
        if not good.all():
            raise RsirError(
                f"{paths[int(good.int().argmin())]}: the model makes a "
                "NaN or an infinite value of it; train the model again"
            )
    return side(encoded, model, "v")


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
    home = Path(home or folder / HOME)
    paths = pictures_below(folder)
    path = home / "pictures.index"
    index = Index.load(path, model=fingerprint(model))
    if data_hash(look_at(folder, paths, home)) != index.data:
        raise RsirError(
            f"{path}: pictures below {folder} have come, gone or "
            "changed since; run rsir index build again, it reads only "
            "what is new"
        )
    return index, paths


@torch.inference_mode()
def search_folder(model: Retriever, folder: str | Path, sentence: str,
                  k: int = 5, *, fine: int = 0, reading: float = 1.0,
                  home: Path | None = None) -> list[Hit]:
    """The pictures below a folder that fit a sentence best.

    Args:
        model: the one that built the index, in evaluation mode.
        folder: as in `build_folder`.
        sentence: the query.
        k: how many.
        fine: so many candidates are read again by the joint part of
            the model; 0: the index alone decides.
        reading: how much of what it reads counts beside the cosine
            that the fine score starts at, from 0 to 1.
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
            return np.concatenate([
                _read(model, [paths[i] for i in part], text)
                for part in _parts(candidates)])

        was, model.reading = getattr(model, "reading", 1.0), reading
        try:
            scores, found = coarse_to_fine(
                index, query, rescore, m=max(fine, k), k=k)
        finally:
            model.reading = was
    return [Hit(paths[i], float(s))
            for s, i in zip(scores[0], found[0]) if i >= 0]


def _read(model: Retriever, paths: Sequence[Path], text: dict
          ) -> np.ndarray:
    """Fine scores of some pictures with one sentence."""
    images = encode_pictures(model, paths)
    pairs = torch.zeros(len(paths), 2, dtype=torch.long)
    pairs[:, 0] = torch.arange(len(paths))
    device = next(model.parameters()).device
    return model.joint(images, text, pairs.to(device)
                       ).float().cpu().numpy()
