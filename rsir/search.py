"""Indexes for codes and vectors, and search from coarse to fine.

FAISS does the work; this is one small face over it. Binary indexes
hold packed codes and count the bits that differ; float indexes hold
unit vectors and take the cosine. All scores are higher when closer.

| kind | holds | finds |
|---|---|---|
| binary-flat | codes | exactly, reads everything |
| binary-ivf | codes, in cells | looks into `nprobe` cells |
| binary-hnsw | codes, as a graph | walks with `ef` open ends |
| binary-hash | codes, in tables | looks up, flips `nflip` bits |
| flat, hnsw | vectors | as above |
| ivf-pq | vectors, compressed | approximately, small |

Explained in chapter 05.
"""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rsir import flatscan
from rsir.data.paths import atomic_write
from rsir.errors import RsirError
from rsir.indexkinds import (
    KINDS,
    LATER,
    cells,
    checked,
    is_binary,
    last_line,
    make,
    told,
    tune,
)

__all__ = ["KINDS", "Index", "cells", "coarse_to_fine", "hamming",
           "pack"]

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
    """Bits that differ, int64 `[n, m]`, of packed `[n, b]`, `[m, b]`.
    """
    out = np.empty((len(one), len(other)), np.int64)
    for row, code in zip(out, one):
        row[:] = np.bitwise_count(other ^ code).sum(axis=1)
    return out


class Index:
    """A FAISS index that knows what it was made from.

    Args:
        kind: a key of `KINDS`.
        width: bits of a code, or length of a vector.
        model: fingerprint of the model, see `rsir.folders`.
        data: fingerprint of what was indexed.
        options: as in `KINDS`.

    Raises:
        RsirError: for an unknown kind or option, or a width that the
            kind cannot hold.
    """

    def __init__(self, kind: str, width: int, *, model: str = "",
                 data: str = "", **options) -> None:
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
            self.faiss = make(
                self.kind, self.width, self.options, len(rows))
        with told(self.kind, self.options):
            if not self.faiss.is_trained:
                self.faiss.train(rows)
            self.faiss.add(rows)

    def __len__(self) -> int:
        return 0 if self.faiss is None else self.faiss.ntotal

    def search(self, queries: np.ndarray, k: int
               ) -> tuple[np.ndarray, np.ndarray]:
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
            far, found = self._asked(queries, int(min(k, len(self))))
        scores = far.astype(np.float32)
        if self.binary:
            scores = -scores
        scores[found < 0] = -np.inf
        order = np.lexsort((found, -scores), axis=1)
        return (np.take_along_axis(scores, order, axis=1),
                np.take_along_axis(found, order, axis=1))

    def _asked(self, queries: np.ndarray, k: int):
        if not flatscan.suits(self.faiss, len(queries), k):
            return self.faiss.search(queries, k)
        return map(np.stack, zip(*(
            flatscan.nearest(self.faiss, query[None], k)
            for query in queries)))

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
                f"{what}: shape {rows.shape}; this {self.kind} index "
                f"takes [n, {width}]"
            )
        if self.binary:
            if rows.dtype != np.uint8:
                raise RsirError(
                    f"{what}: type {rows.dtype}; pack the codes first "
                    "(rsir.search.pack)"
                )
            return np.ascontiguousarray(rows)
        if rows.dtype.kind not in "fiu":
            raise RsirError(
                f"{what}: type {rows.dtype}; vectors are real numbers"
            )
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
            "format": FORMAT, "kind": self.kind, "width": self.width,
            "n": len(self), "options": self.options,
            "model": self.model, "data": self.data,
        }
        with atomic_write(Path(path), "wb") as file:
            np.savez(file, facts=np.array(json.dumps(facts)),
                     index=_bytes(self))

    @classmethod
    def load(cls, path: str | Path, *, model: str | None = None,
             data: str | None = None) -> "Index":
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
        index = cls(facts["kind"], facts["width"], model=facts["model"],
                    data=facts["data"], **facts["options"])
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
    index: Index, queries: np.ndarray,
    rescore: Callable[[int, np.ndarray], np.ndarray],
    *, m: int = 50, k: int = 10,
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
                f"rescore gave NaN for query {query}; a NaN has no place "
                "in an order"
            )
        order = np.argsort(-fine, kind="stable")[:k]
        scores[query, : len(order)] = fine[order]
        numbers[query, : len(order)] = row[order]
    return scores, numbers


def _whole(name: str, value) -> None:
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise RsirError(
            f"{name} is {value!r}: give a whole number from 1"
        )


# -- the file ---------------------------------------------------------


def _stored(path: Path) -> tuple[dict, np.ndarray]:
    """What `Index.save` wrote: facts, and the bytes of FAISS."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            facts = json.loads(str(stored["facts"]))
            raw = stored["index"]  # the archive checks the bytes
            version = facts.get("format")
    except (OSError, ValueError, KeyError, EOFError, TypeError,
            AttributeError, IndexError, zipfile.BadZipFile) as error:
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

    write = faiss.serialize_index_binary if index.binary else \
        faiss.serialize_index
    return write(index.faiss)


def _from_bytes(raw: np.ndarray, binary: bool, path: Path):
    import faiss

    read = faiss.deserialize_index_binary if binary else \
        faiss.deserialize_index
    try:
        return read(raw)
    except RuntimeError as error:
        raise RsirError(
            f"{path}: FAISS cannot read it ({last_line(error)}); {AGAIN}"
        ) from error
