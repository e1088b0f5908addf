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
import math
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from rsir.data.paths import atomic_write
from rsir.errors import RsirError

FORMAT = 1

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


def pack(codes: np.ndarray) -> np.ndarray:
    """Signs to bits: `[n, bits]` to uint8 `[n, bits / 8]`.

    Args:
        codes: numbers; above 0 is a one, all else a zero.

    Raises:
        RsirError: if the length is no multiple of 8.
    """
    codes = np.asarray(codes)
    if codes.ndim != 2 or codes.shape[1] % 8 or not codes.shape[1]:
        raise RsirError(
            f"codes: shape {codes.shape}; FAISS packs bits by eight, "
            "give [n, bits] with bits a multiple of 8"
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
        if kind not in KINDS:
            raise RsirError(
                f"index kind {kind!r}: unknown; choose one of "
                f"{', '.join(KINDS)}"
            )
        odd = sorted(set(options) - set(KINDS[kind]))
        if odd:
            raise RsirError(
                f"index option {odd[0]!r}: {kind} has "
                f"{', '.join(KINDS[kind]) or 'none'}"
            )
        self.kind, self.width = kind, int(width)
        self.model, self.data = model, data
        self.options = KINDS[kind] | options
        self.binary = kind.startswith("binary-")
        if self.binary and self.width % 8:
            raise RsirError(
                f"{kind}: codes of {width} bits; give a multiple of 8"
            )
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
        binary = kind.startswith("binary-")
        width = rows.shape[-1] * (8 if binary else 1)
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
            self.faiss = _make(self, len(rows))
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
        if not isinstance(k, (int, np.integer)) or k < 1:
            raise RsirError(f"k is {k!r}: give a whole number from 1")
        if not len(self):
            raise RsirError("the index is empty; add rows first")
        far, found = self.faiss.search(queries, int(min(k, len(self))))
        scores = far.astype(np.float32)
        if self.binary:
            scores = -scores
        scores[found < 0] = -np.inf
        order = np.lexsort((found, -scores), axis=1)
        return (np.take_along_axis(scores, order, axis=1),
                np.take_along_axis(found, order, axis=1))

    def set(self, **options) -> "Index":
        """Change how a search looks: `nprobe`, `ef`, `nflip`."""
        for name, value in options.items():
            if name not in ("nprobe", "ef", "nflip") or \
                    name not in self.options:
                raise RsirError(
                    f"index option {name!r}: cannot be changed on a "
                    f"{self.kind} that is built"
                )
            self.options[name] = value
        if self.faiss is not None:
            _tune(self.faiss, self.options)
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
        rows = np.ascontiguousarray(rows, dtype=np.float32)
        if not np.isfinite(rows).all():
            raise RsirError(f"{what}: a number is not finite")
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows / np.where(length > 0, length, 1)

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
        again = "build it again"
        if not path.is_file():
            raise RsirError(f"{path}: no index here; build one first")
        try:
            with np.load(path, allow_pickle=False) as stored:
                facts = json.loads(str(stored["facts"]))
                raw = stored["index"]  # the archive checks the bytes
        except (OSError, ValueError, KeyError, EOFError,
                zipfile.BadZipFile) as error:
            raise RsirError(
                f"{path}: damaged, or not an index ({error}); {again}"
            ) from error
        if facts.get("format") != FORMAT:
            raise RsirError(
                f"{path}: written by another version; {again}"
            )
        for what, wanted in (("model", model), ("data", data)):
            if wanted is not None and wanted != facts[what]:
                raise RsirError(
                    f"{path}: this index belongs to other {what} "
                    f"({facts[what] or 'unnamed'}, not {wanted}); "
                    f"{again}, or name the {what} it was made from"
                )
        index = cls(facts["kind"], facts["width"], model=facts["model"],
                    data=facts["data"], **facts["options"])
        index.faiss = _from_bytes(raw, index.binary, path)
        if len(index) != facts["n"]:
            raise RsirError(
                f"{path}: holds {len(index)} rows, not {facts['n']}; "
                f"{again}"
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
    """
    if k > m:
        raise RsirError(f"k is {k}, m is {m}: only m can be ordered")
    _, found = index.search(queries, m)
    k = min(k, m, len(index))
    scores = np.full((len(found), k), -np.inf, np.float32)
    numbers = np.full((len(found), k), -1, np.int64)
    for query, row in enumerate(found):
        row = row[row >= 0]
        fine = np.asarray(rescore(query, row), np.float32)
        if fine.shape != row.shape:
            raise RsirError(
                f"rescore gave shape {fine.shape} for {len(row)} "
                "candidates; give one score each"
            )
        order = np.argsort(-fine, kind="stable")[:k]
        scores[query, : len(order)] = fine[order]
        numbers[query, : len(order)] = row[order]
    return scores, numbers


# -- FAISS ------------------------------------------------------------


def cells(n: int) -> int:
    """Cells for n rows: about sqrt(n), with 40 rows each to learn."""
    return max(1, min(round(math.sqrt(n)), n // 40))


def _make(index: Index, n: int):
    import faiss

    kind, width, given = index.kind, index.width, index.options
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
        parts = given["parts"] or max(
            p for p in range(1, 65) if width % p == 0
        )
        given["parts"] = parts
        coarse = faiss.IndexFlatIP(width)
        bits = 8 if n >= 1024 else 4
        made = faiss.IndexIVFPQ(
            coarse, width, given["nlist"], parts, bits,
            faiss.METRIC_INNER_PRODUCT,
        )
        made.quantizer = coarse
        made.pq.cp.min_points_per_centroid = 1
    elif kind == "binary-hash":
        bits = given["key_bits"] or max(
            4, min(width // 2, round(math.log2(n)))
        )
        tables = given["tables"] or min(8, width // bits)
        given |= {"key_bits": bits, "tables": tables}
        made = faiss.IndexBinaryMultiHash(width, tables, bits)
    elif kind == "binary-hnsw":
        made = faiss.IndexBinaryHNSW(width, given["links"])
    else:
        made = faiss.IndexHNSWFlat(
            width, given["links"], faiss.METRIC_INNER_PRODUCT
        )
    if "nlist" in given:  # few rows are fine (no warning), 64 a cell do
        made.cp.min_points_per_centroid = 1
        made.cp.max_points_per_centroid = 64
    if "ef_build" in given:
        made.hnsw.efConstruction = given["ef_build"]
    _tune(made, given)
    return made


def _tune(made, given: Mapping) -> None:
    if "nprobe" in given:
        made.nprobe = min(given["nprobe"], made.nlist)
    if "ef" in given:
        made.hnsw.efSearch = given["ef"]
    if "nflip" in given:
        made.nflip = given["nflip"]


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
        reason = str(error).strip().splitlines()[-1]
        raise RsirError(
            f"{path}: FAISS cannot read it ({reason}); build it again"
        ) from error
