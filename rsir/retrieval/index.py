"""Indexes of encoded galleries on FAISS, and indexes of folders of pictures."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from rsir.data.images import SUFFIXES, image_hashes, open_image
from rsir.encoders.base import weights_hash
from rsir.models.base import Retriever
from rsir.utils.errors import RsirError
from rsir.utils.io import atomic_write
from rsir.utils.progress import track

# ----------------------------------------------------------------------
# The kinds of index there are, and how FAISS makes each of them.
#
# `rsir.retrieval.index` is the face of these; nothing else needs this file.


#: what each kind may be told, and its default; None: from the size
KINDS: dict[str, dict] = {
    "binary-flat": {},
    "binary-ivf": {"nlist": None, "nprobe": 16},
    "binary-hnsw": {"links": 32, "ef_build": 80, "ef": 64},
    "binary-hash": {"tables": None, "key_bits": None, "nflip": 1},
    "flat": {},
    "hnsw": {"links": 32, "ef_build": 80, "ef": 64},
    "ivf-pq": {"nlist": None, "nprobe": 16, "parts": None},
}
#: options that may change on an index that is built
LATER = ("nprobe", "ef", "nflip")
#: the smallest value of an option, where it is not 1
LEAST = {"nflip": 0, "links": 2}
#: a code book of four bits has so many entries, and needs as many rows
PQ_ROWS = 16


def is_binary(kind: str) -> bool:
    """Whether a kind holds packed codes."""
    return kind.startswith("binary-")


def check_kind(kind: str) -> None:
    """Refuse a kind that there is not.

    Raises:
        RsirError: names the kinds there are.
    """
    if kind not in KINDS:
        raise RsirError(
            f"index kind {kind!r}: unknown; choose one of {', '.join(KINDS)}"
        )


def checked(kind: str, width: int, options: Mapping) -> dict:
    """The options of an index, the ones that were not given filled in.

    Args:
        kind: a key of `KINDS`.
        width: bits of a code, or length of a vector.
        options: as in `KINDS`.

    Raises:
        RsirError: an unknown kind or option, a value out of its
            range, or a width that the kind cannot hold.
    """
    check_kind(kind)
    odd = sorted(set(options) - set(KINDS[kind]))
    if odd:
        raise RsirError(
            f"index option {odd[0]!r}: {kind} has {', '.join(KINDS[kind]) or 'none'}"
        )
    if is_binary(kind) and width % 8:
        raise RsirError(f"{kind}: codes of {width} bits; give a multiple of 8")
    for name, value in options.items():
        _in_range(name, value, KINDS[kind][name] is None)
    parts, bits = options.get("parts"), options.get("key_bits")
    if parts and width % parts:
        raise RsirError(
            f"index option 'parts': {parts} does not divide the width {width}"
        )
    if bits and bits * (options.get("tables") or 1) > width:
        raise RsirError(
            "index options 'tables' and 'key_bits': "
            f"{options.get('tables') or 1} x {bits} bits, but a code "
            f"has {width}; take fewer"
        )
    return KINDS[kind] | dict(options)


def _in_range(name: str, value, may_be_none: bool) -> None:
    if value is None and may_be_none:
        return
    least = LEAST.get(name, 1)
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least:
        raise RsirError(
            f"index option {name!r}: {value!r}; give a whole number from {least}"
        )


def cells(n: int) -> int:
    """Cells for n rows: about sqrt(n), with 40 rows each to learn."""
    return max(1, min(round(math.sqrt(n)), n // 40))


def make(kind: str, width: int, given: dict, n: int):
    """An empty FAISS index for n rows.

    Options in `given` that are None are set from n there.

    Raises:
        RsirError: too few rows for the kind.
    """
    import faiss

    if given.get("nlist", 1) is None:
        given["nlist"] = cells(n)
    if kind == "binary-flat":
        return faiss.IndexBinaryFlat(width)
    if kind == "flat":
        return faiss.IndexFlatIP(width)
    if kind == "binary-ivf":
        coarse = faiss.IndexBinaryFlat(width)
        made = faiss.IndexBinaryIVF(coarse, width, given["nlist"])
        made.quantizer = coarse  # Python must keep it alive
    elif kind == "ivf-pq":
        if n < PQ_ROWS:
            raise RsirError(
                f"rows: {n}; ivf-pq learns its code book from at least "
                f"{PQ_ROWS}, take flat for so few"
            )
        parts = given["parts"] or max(p for p in range(1, 65) if width % p == 0)
        given["parts"] = parts
        coarse = faiss.IndexFlatIP(width)
        bits = 8 if n >= 1024 else 4
        made = faiss.IndexIVFPQ(
            coarse,
            width,
            given["nlist"],
            parts,
            bits,
            faiss.METRIC_INNER_PRODUCT,
        )
        made.quantizer = coarse
        made.pq.cp.min_points_per_centroid = 1
    elif kind == "binary-hash":
        bits = given["key_bits"] or max(4, min(width // 2, round(math.log2(n))))
        tables = given["tables"] or min(8, width // bits)
        given |= {"key_bits": bits, "tables": tables}
        made = faiss.IndexBinaryMultiHash(width, tables, bits)
    elif kind == "binary-hnsw":
        made = faiss.IndexBinaryHNSW(width, given["links"])
    else:
        made = faiss.IndexHNSWFlat(width, given["links"], faiss.METRIC_INNER_PRODUCT)
    if "nlist" in given:  # few rows are fine (no warning), 64 a cell do
        made.cp.min_points_per_centroid = 1
        made.cp.max_points_per_centroid = 64
    if "ef_build" in given:
        made.hnsw.efConstruction = given["ef_build"]
    tune(made, given)
    return made


def tune(made, given: Mapping) -> None:
    """Set how a FAISS index looks: see `LATER`."""
    if "nprobe" in given:
        made.nprobe = min(given["nprobe"], made.nlist)
    if "ef" in given:
        made.hnsw.efSearch = given["ef"]
    if "nflip" in given:
        made.nflip = given["nflip"]


@contextmanager
def told(kind: str, options: Mapping):
    """FAISS's own errors, as ours.

    Raises:
        RsirError: in place of a RuntimeError of FAISS.
    """
    try:
        yield
    except RuntimeError as error:
        raise RsirError(
            f"{kind} index with {dict(options) or 'no options'}: FAISS "
            f"refuses ({last_line(error)}); choose other options"
        ) from error


def last_line(error: Exception) -> str:
    """What FAISS means to say, without where in its source."""
    text = str(error).strip()
    return text.splitlines()[-1] if text else type(error).__name__


# ----------------------------------------------------------------------
# Rows that have been computed, one for each picture of a folder.
#
# A build that is killed goes on from here, and one after new pictures
# have come reads only those. Each row has a checksum, so a row that is
# cut off or damaged is not taken for one.
#
#     journal.json     the model, and what a row is
#     rows.bin         codes or vectors, one after the other
#     pictures.jsonl   one line a row: file, SHA-256, checksum


JOURNAL_FORMAT = 2
NAMES = "pictures.jsonl"


@dataclass(frozen=True)
class Noted:
    """A picture file as the journal knows it.

    Attributes:
        name: path below the folder.
        sha256: of its bytes.
        size: bytes.
        changed: when it was last written, nanoseconds.
    """

    name: str
    sha256: str
    size: int
    changed: int

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.sha256


class Journal:
    """The rows of one model, whole even after a kill.

    Args:
        home: the folder of the index; see `held`.
        model: fingerprint; rows of another model are dropped.
        like: a row of this model, `[1, width]`.

    Attributes:
        known: number of the row of each (name, SHA-256).
    """

    def __init__(self, home: Path, model: str, like: np.ndarray) -> None:
        self.home, self.model = home, model
        self.rows_path, self.names_path = home / "rows.bin", home / NAMES
        self.facts_path = home / "journal.json"
        self.dtype, self.width = like.dtype, like.shape[1]
        self.bytes = self.dtype.itemsize * self.width
        facts = {
            "format": JOURNAL_FORMAT,
            "model": model,
            "dtype": self.dtype.str,
            "width": self.width,
        }
        if self._facts() != facts:
            for path in (self.facts_path, self.rows_path, self.names_path):
                path.unlink(missing_ok=True)
            with atomic_write(self.facts_path) as file:
                json.dump(facts, file)
        self.known = self._read()

    def _facts(self):
        try:
            return json.loads(self.facts_path.read_bytes())
        except (FileNotFoundError, ValueError):
            return None

    def _read(self) -> dict[tuple[str, str], int]:
        """Whole rows up to the first that is not; the rest is cut off."""
        known: dict[tuple[str, str], int] = {}
        rows = self.rows_path.read_bytes() if self.rows_path.exists() else b""
        lines = []
        for line, noted, checksum in _lines(self.names_path):
            at = len(lines) * self.bytes
            row = rows[at : at + self.bytes]
            if (
                len(row) < self.bytes
                or zlib.crc32(row) != checksum
                or noted.key in known
            ):
                break
            known[noted.key] = len(lines)
            lines.append(line)
        with atomic_write(self.names_path, "wb") as file:
            file.write(b"".join(lines))
        whole = len(lines) * self.bytes
        if len(rows) > whole:
            os.truncate(self.rows_path, whole)
        return known

    def append(self, pictures: Sequence[Noted], rows: np.ndarray) -> None:
        """Rows first, then their names: a kill between loses both."""
        each = [np.ascontiguousarray(row).tobytes() for row in rows]
        with open(self.rows_path, "ab") as file:
            file.write(b"".join(each))
            file.flush()
            os.fsync(file.fileno())
        with open(self.names_path, "a", encoding="ascii") as file:
            for picture, row in zip(pictures, each, strict=True):
                self.known[picture.key] = len(self.known)
                file.write(
                    json.dumps(asdict(picture) | {"crc32": zlib.crc32(row)}) + "\n"
                )

    def rows(self, pictures: Sequence[Noted]) -> np.ndarray:
        """The rows of some pictures, in the order asked for."""
        every = np.memmap(self.rows_path, self.dtype, "r")
        every = every.reshape(-1, self.width)
        return np.array(every[[self.known[p.key] for p in pictures]])


def _lines(path: Path) -> Iterator[tuple[bytes, Noted, int]]:
    """Line, picture and checksum, up to the first that is damaged."""
    if not path.exists():
        return
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            known = json.loads(line)
            checksum = known.pop("crc32")
            noted = Noted(**known)
        except (ValueError, TypeError, KeyError, AttributeError):
            return
        if not line.endswith(b"\n"):
            return
        yield line, noted, checksum


def noted(home: Path) -> dict[str, Noted]:
    """The pictures of the journal in a folder, by name; {} if none."""
    return {one.name: one for _, one, _ in _lines(home / NAMES)}


@contextmanager
def held(home: Path) -> Iterator[None]:
    """The folder of an index, for one build at a time.

    Raises:
        RsirError: another build is at work there, or the folder cannot
            be written.
    """
    from filelock import FileLock, Timeout

    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = FileLock(home / "lock", timeout=0)
        with lock:
            yield
    except Timeout:
        raise RsirError(
            f"{home}: another build is at work there; wait for it"
        ) from None
    except OSError as error:
        raise RsirError(
            f"{home}: the index cannot be written there "
            f"({error.strerror or error}); name another place with "
            "--index, or make room"
        ) from error


# ----------------------------------------------------------------------
# An index over a folder of pictures, of one's own or of a data set.
#
# Pictures are read once: `rsir.retrieval.index` keeps what was computed, so a
# build that is killed goes on, and new pictures are all that a later
# build reads. Explained in chapter 05.
#
#     FOLDER/.rsir-index/
#         journal.json, rows.bin, pictures.jsonl   see `rsir.retrieval.index`
#         pictures.index   what `rsir.retrieval.index.Index` has saved


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
            Path(here, name)
            for name in files
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
        ]
    if not found:
        raise RsirError(f"{folder}: no pictures below it ({', '.join(SUFFIXES)})")
    return sorted(found)


def data_hash(pictures: Sequence[Noted]) -> str:
    """One fingerprint of all pictures, their names and their order."""
    digest = hashlib.sha256()
    for one in pictures:
        digest.update(one.name.encode("utf-8", "surrogatepass"))
        digest.update(f"\0{one.sha256}\n".encode())
    return digest.hexdigest()[:16]


def look_at(
    folder: Path, paths: Sequence[Path], home: Path, progress: bool = False
) -> list[Noted]:
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
        if old is None or (old.size, old.changed) != (facts.st_size, facts.st_mtime_ns):
            new.append((len(out), path))
            old = Noted(name, "", facts.st_size, facts.st_mtime_ns)
        out.append(old)
    label = f"looking at {len(new):,} of {len(out):,} pictures"
    for part in track(_parts(new), label, show=progress and bool(new)):
        for (i, _), value in zip(
            part, image_hashes([path for _, path in part]), strict=True
        ):
            out[i] = dataclasses.replace(out[i], sha256=value)
    return out


def _parts(items: Sequence) -> list[Sequence]:
    return [items[i : i + BATCH] for i in range(0, len(items), BATCH)]


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
    return model.encode_images(
        model.image_features(images.contiguous(memory_format=torch.channels_last))
    )


def build_folder(
    model: Retriever,
    folder: str | Path,
    *,
    kind: str | None = None,
    home: Path | None = None,
    progress: bool = True,
) -> Index:
    """Index the pictures below a folder; goes on after a kill.

    Args:
        model: in evaluation mode.
        folder: holds the pictures, in sub-folders or not.
        kind: of `rsir.retrieval.index.KINDS`; None: "binary-flat" for a model
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
            f"index kind {kind!r}: this model gives codes; choose a binary kind"
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
        index = Index.build(kind, rows, model=journal.model, data=data_hash(pictures))
        index.save(home / "pictures.index")
    return index


def _unread(
    journal: Journal, pictures: Sequence[Noted], progress: bool
) -> Iterator[Sequence[int]]:
    """Numbers of the pictures that have no row yet, in batches."""
    new = [i for i, one in enumerate(pictures) if one.key not in journal.known]
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


def open_folder(
    model: Retriever, folder: str | Path, home: Path | None = None
) -> tuple[Index, list[Path]]:
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
def search_folder(
    model: Retriever,
    folder: str | Path,
    sentence: str,
    k: int = 5,
    *,
    fine: int = 0,
    reading: float = 1.0,
    home: Path | None = None,
) -> list[Hit]:
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
            return np.concatenate(
                [
                    _read(model, [paths[i] for i in part], text)
                    for part in _parts(candidates)
                ]
            )

        was, model.reading = getattr(model, "reading", 1.0), reading
        try:
            scores, found = coarse_to_fine(index, query, rescore, m=max(fine, k), k=k)
        finally:
            model.reading = was
    return [Hit(paths[i], float(s)) for s, i in zip(scores[0], found[0]) if i >= 0]


def _read(model: Retriever, paths: Sequence[Path], text: dict) -> np.ndarray:
    """Fine scores of some pictures with one sentence."""
    images = encode_pictures(model, paths)
    pairs = torch.zeros(len(paths), 2, dtype=torch.long)
    pairs[:, 0] = torch.arange(len(paths))
    device = next(model.parameters()).device
    return model.joint(images, text, pairs.to(device)).float().cpu().numpy()


# ----------------------------------------------------------------------
# Indexes for codes and vectors, and search from coarse to fine.
#
# FAISS does the work; this is one small face over it. Binary indexes
# hold packed codes and count the bits that differ; float indexes hold
# unit vectors and take the cosine. All scores are higher when closer.
#
# | kind | holds | finds |
# |---|---|---|
# | binary-flat | codes | exactly, reads everything |
# | binary-ivf | codes, in cells | looks into `nprobe` cells |
# | binary-hnsw | codes, as a graph | walks with `ef` open ends |
# | binary-hash | codes, in tables | looks up, flips `nflip` bits |
# | flat, hnsw | vectors | as above |
# | ivf-pq | vectors, compressed | approximately, small |
#
# Explained in chapter 05.


__all__ = ["KINDS", "Index", "cells", "coarse_to_fine", "hamming", "pack"]

FORMAT = 1
#: what a saved index says of itself
FACTS = ("kind", "width", "n", "options", "model", "data")
AGAIN = "build it again"


def pack(codes: np.ndarray) -> np.ndarray:
    """Signs to bits: `[n, bits]` to uint8 `[n, bits / 8]`.

    Args:
        codes: numbers; above 0 is a one, all else a zero.

    Raises:
        RsirError: if the length is no multiple of 8, or something is
            no number.
    """
    codes = np.asarray(codes)
    if codes.ndim != 2 or codes.shape[1] % 8 or not codes.shape[1]:
        raise RsirError(
            f"codes: shape {codes.shape}; FAISS packs bits by eight, "
            "give [n, bits] with bits a multiple of 8"
        )
    if codes.dtype.kind not in "fiub" or np.isnan(codes).any():
        raise RsirError(
            f"codes: type {codes.dtype}, or a NaN among them; give real "
            "numbers (a model that makes NaN must be trained again)"
        )
    return np.packbits(codes > 0, axis=1)


def hamming(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Bits that differ, int64 `[n, m]`, of packed `[n, b]`, `[m, b]`."""
    out = np.empty((len(one), len(other)), np.int64)
    for row, code in zip(out, one):
        row[:] = np.bitwise_count(other ^ code).sum(axis=1)
    return out


class Index:
    """A FAISS index that knows what it was made from.

    Args:
        kind: a key of `KINDS`.
        width: bits of a code, or length of a vector.
        model: fingerprint of the model, see `rsir.retrieval.index`.
        data: fingerprint of what was indexed.
        options: as in `KINDS`.

    Raises:
        RsirError: for an unknown kind or option, or a width that the
            kind cannot hold.
    """

    def __init__(
        self, kind: str, width: int, *, model: str = "", data: str = "", **options
    ) -> None:
        self.options = checked(kind, int(width), options)
        self.kind, self.width = kind, int(width)
        self.model, self.data = model, data
        self.binary = is_binary(kind)
        self.faiss = None

    # -- making -------------------------------------------------------

    @classmethod
    def build(cls, kind: str, rows: np.ndarray, **more) -> "Index":
        """An index of `rows`; arguments as in `Index`.

        Args:
            kind: a key of `KINDS`.
            rows: packed codes uint8 `[n, bits / 8]`, or vectors
                `[n, dim]`, which are brought to length one.
        """
        rows = np.asarray(rows)
        if rows.ndim != 2 or not rows.shape[1]:
            raise RsirError(
                f"rows: shape {rows.shape}; give a matrix, one row for "
                "each thing to find"
            )
        width = rows.shape[1] * (8 if is_binary(kind) else 1)
        index = cls(kind, width, **more)
        index.add(rows)
        return index

    def add(self, rows: np.ndarray) -> None:
        """Add codes or vectors; they get the next numbers.

        The first rows also place cells and code books, so give many.
        """
        rows = self._checked(rows, "rows")
        if self.faiss is None:
            if not len(rows):
                raise RsirError("rows: none; an index needs some")
            self.faiss = make(self.kind, self.width, self.options, len(rows))
        with told(self.kind, self.options):
            if not self.faiss.is_trained:
                self.faiss.train(rows)
            self.faiss.add(rows)

    def __len__(self) -> int:
        return 0 if self.faiss is None else self.faiss.ntotal

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k closest rows of every query.

        Args:
            queries: as the rows.
            k: how many; a smaller index gives all it has.

        Returns:
            scores float32 and numbers int64, both `[n, k]`, best
            first, equal scores by number. What was not found has the
            number -1 and the score -inf. Which of the equals at the
            end are found is up to FAISS.
        """
        queries = self._checked(queries, "queries")
        _whole("k", k)
        if not len(self):
            raise RsirError("the index is empty; add rows first")
        with told(self.kind, self.options):
            far, found = self.faiss.search(queries, int(min(k, len(self))))
        scores = far.astype(np.float32)
        if self.binary:
            scores = -scores
        scores[found < 0] = -np.inf
        order = np.lexsort((found, -scores), axis=1)
        return (
            np.take_along_axis(scores, order, axis=1),
            np.take_along_axis(found, order, axis=1),
        )

    def set(self, **options) -> "Index":
        """Change how a search looks: `nprobe`, `ef`, `nflip`."""
        for name, value in options.items():
            if name not in LATER or name not in self.options:
                raise RsirError(
                    f"index option {name!r}: cannot be changed on a "
                    f"{self.kind} that is built"
                )
        checked(self.kind, self.width, options)
        self.options |= options
        if self.faiss is not None:
            tune(self.faiss, self.options)
        return self

    def _checked(self, rows, what: str) -> np.ndarray:
        rows = np.asarray(rows)
        width = self.width // 8 if self.binary else self.width
        if rows.ndim != 2 or rows.shape[1] != width:
            raise RsirError(
                f"{what}: shape {rows.shape}; this {self.kind} index takes [n, {width}]"
            )
        if self.binary:
            if rows.dtype != np.uint8:
                raise RsirError(
                    f"{what}: type {rows.dtype}; pack the codes first "
                    "(rsir.retrieval.index.pack)"
                )
            return np.ascontiguousarray(rows)
        if rows.dtype.kind not in "fiu":
            raise RsirError(f"{what}: type {rows.dtype}; vectors are real numbers")
        with np.errstate(over="ignore"):
            rows = rows.astype(np.float32)
        good = np.isfinite(rows).all(axis=1)
        if not good.all():
            raise RsirError(
                f"{what}: number {int(good.argmin())} holds a NaN or an "
                "infinite value; leave it out, or train the model again"
            )
        for length in (  # the first, lest squares pass float32
            lambda: np.abs(rows).max(axis=1, keepdims=True),
            lambda: np.linalg.norm(rows, axis=1, keepdims=True),
        ):
            by = length()
            rows /= np.where(by > 0, by, 1)
        return np.ascontiguousarray(rows)

    # -- keeping ------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the index and what it belongs to, in one file."""
        if not len(self):
            raise RsirError("the index is empty; add rows first")
        facts = {
            "format": FORMAT,
            "kind": self.kind,
            "width": self.width,
            "n": len(self),
            "options": self.options,
            "model": self.model,
            "data": self.data,
        }
        with atomic_write(Path(path), "wb") as file:
            np.savez(file, facts=np.array(json.dumps(facts)), index=_bytes(self))

    @classmethod
    def load(
        cls, path: str | Path, *, model: str | None = None, data: str | None = None
    ) -> "Index":
        """Read what `save` wrote, and check whose it is.

        Args:
            path: of the file.
            model, data: fingerprints that it must have; None: any.

        Raises:
            RsirError: missing, damaged, or of another model or data.
        """
        path = Path(path)
        if not path.is_file():
            raise RsirError(f"{path}: no index here; build one first")
        facts, raw = _stored(path)
        for what, wanted in (("model", model), ("data", data)):
            if wanted is not None and wanted != facts[what]:
                raise RsirError(
                    f"{path}: this index belongs to other {what} "
                    f"({facts[what] or 'unnamed'}, not {wanted}); "
                    f"{AGAIN}, or name the {what} it was made from"
                )
        index = cls(
            facts["kind"],
            facts["width"],
            model=facts["model"],
            data=facts["data"],
            **facts["options"],
        )
        index.faiss = _from_bytes(raw, index.binary, path)
        if (len(index), index.faiss.d) != (facts["n"], facts["width"]):
            raise RsirError(
                f"{path}: holds {len(index)} rows of {index.faiss.d}, "
                f"not {facts['n']} of {facts['width']}; "
                f"{AGAIN}"
            )
        return index

    def nbytes(self) -> int:
        """Bytes that the index takes when written out."""
        return int(_bytes(self).nbytes)


def coarse_to_fine(
    index: Index,
    queries: np.ndarray,
    rescore: Callable[[int, np.ndarray], np.ndarray],
    *,
    m: int = 50,
    k: int = 10,
) -> tuple[np.ndarray, np.ndarray]:
    """Search m candidates cheaply, order them by a better score.

    Source: CFITR, the two stages; the order in the end is that of
    the fine score alone. As released m = 70.

    Args:
        index: holds the gallery.
        queries: as the rows of the index, `[n, ...]`.
        rescore: takes the number of a query and the numbers of its
            candidates `[c]`, best first; gives their scores `[c]`.
        m: candidates of a query.
        k: answers of a query, at most m.

    Returns:
        scores and numbers `[n, k]`, as `Index.search` gives them;
        the scores are those of `rescore`.

    Raises:
        RsirError: k is below 1 or above m, or `rescore` gave NaN or
            another number of scores.
    """
    _whole("k", k)
    if k > m:
        raise RsirError(f"k is {k}, m is {m}: only m can be ordered")
    _, found = index.search(queries, m)
    k = min(k, m, len(index))
    scores = np.full((len(found), k), -np.inf, np.float32)
    numbers = np.full((len(found), k), -1, np.int64)
    for query, row in enumerate(found):
        row = row[row >= 0]
        if not len(row):
            continue
        fine = np.asarray(rescore(query, row), np.float32)
        if fine.shape != row.shape:
            raise RsirError(
                f"rescore gave shape {fine.shape} for {len(row)} "
                "candidates; give one score each"
            )
        if np.isnan(fine).any():
            raise RsirError(
                f"rescore gave NaN for query {query}; a NaN has no place in an order"
            )
        order = np.argsort(-fine, kind="stable")[:k]
        scores[query, : len(order)] = fine[order]
        numbers[query, : len(order)] = row[order]
    return scores, numbers


def _whole(name: str, value) -> None:
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise RsirError(f"{name} is {value!r}: give a whole number from 1")


# -- the file ---------------------------------------------------------


def _stored(path: Path) -> tuple[dict, np.ndarray]:
    """What `Index.save` wrote: facts, and the bytes of FAISS."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            facts = json.loads(str(stored["facts"]))
            raw = stored["index"]  # the archive checks the bytes
            version = facts.get("format")
    except (
        OSError,
        ValueError,
        KeyError,
        EOFError,
        TypeError,
        AttributeError,
        IndexError,
        zipfile.BadZipFile,
    ) as error:
        raise RsirError(
            f"{path}: damaged, or not an index ({error}); {AGAIN}"
        ) from error
    if version != FORMAT:
        raise RsirError(f"{path}: written by another version; {AGAIN}")
    lacking = [name for name in FACTS if name not in facts]
    if lacking:
        raise RsirError(f"{path}: {lacking[0]!r} is missing; {AGAIN}")
    return facts, raw


def _bytes(index: Index) -> np.ndarray:
    import faiss

    write = faiss.serialize_index_binary if index.binary else faiss.serialize_index
    return write(index.faiss)


def _from_bytes(raw: np.ndarray, binary: bool, path: Path):
    import faiss

    read = faiss.deserialize_index_binary if binary else faiss.deserialize_index
    try:
        return read(raw)
    except RuntimeError as error:
        raise RsirError(
            f"{path}: FAISS cannot read it ({last_line(error)}); {AGAIN}"
        ) from error
