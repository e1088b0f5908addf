"""Indexes on FAISS, over vectors or codes, and over folders of pictures.

Binary indexes hold packed codes and count the bits that differ; float
indexes hold unit vectors and take the cosine. All scores are higher when
closer. A folder's index is kept beside the pictures, in
`FOLDER/.rsir-index`: `pictures.index` is the index, its rows, and what is known
of each file; `part-*.npz` are rows of a build that has not come to its end;
`skipped.csv` lists pictures that were left out, and why.

Explained in chapter 05.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from PIL import Image

from rsir.data.images import SUFFIXES, PixelOptions, open_image
from rsir.data.text import tokenize
from rsir.encoders.base import weights_hash
from rsir.models.base import TwoTower
from rsir.models.cross_encoder import CrossEncoder, pair_scorer
from rsir.utils.errors import RsirError
from rsir.utils.io import atomic_write, locked, read_bytes
from rsir.utils.progress import track

#: short names of strings for `faiss.index_factory`, `index_binary_factory`
KINDS = {
    "binary-flat": "BFlat",
    "binary-ivf": "BIVF{cells}",
    "binary-hnsw": "BHNSW32",
    "binary-hash": "BHash{tables}x{key_bits}",
    "flat": "Flat",
    "hnsw": "HNSW32",
    # "np": FAISS would order each table for a pre-filter that nobody here uses
    "ivf-pq": "IVF{cells},PQ{parts}x{part_bits}np",
}
PROBES = 16  # cells that a search looks into


def load_faiss():
    """The module `faiss`; the one place that imports it, after torch.

    Each brings an OpenMP of its own. On macOS, FAISS first crashes torch;
    torch first crashes FAISS unless it keeps to one thread.
    """
    if sys.platform == "darwin":  # two copies may stay
        os.environ.setdefault("KMP_DUPLICATE_LIB_OK", "TRUE")
    import faiss

    if sys.platform == "darwin":
        faiss.omp_set_num_threads(1)
    return faiss


def pack(codes: np.ndarray) -> np.ndarray:
    """Signs to bits: `[n, bits]` to uint8 `[n, bits / 8]`, above 0 is a one."""
    codes = np.asarray(codes)
    bits = codes.shape[1] if codes.ndim == 2 else 0
    if not bits or bits % 8 or codes.dtype.kind not in "fiub" or np.isnan(codes).any():
        raise RsirError(
            f"codes: shape {codes.shape}, type {codes.dtype}; give real numbers "
            "[n, bits] without NaN, bits a multiple of 8 (FAISS packs by eight)"
        )
    return np.packbits(codes > 0, axis=1)


def hamming(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Bits that differ, int64 `[n, m]`, of packed `[n, b]`, `[m, b]`."""
    out = [np.bitwise_count(other ^ code).sum(axis=1) for code in one]
    return np.array(out, np.int64).reshape(len(one), len(other))


def cells(n: int) -> int:
    """Cells for n rows: about sqrt(n), with 40 rows each to learn."""
    return max(1, min(round(math.sqrt(n)), n // 40))


def factory_string(kind: str, width: int, n: int) -> str:
    """What FAISS is asked for: `KINDS` filled in for n rows, or `kind`."""
    key_bits = max(4, min(width // 2, round(math.log2(max(n, 2)))))
    return KINDS.get(kind, kind).format(
        cells=cells(n),
        tables=max(1, min(8, width // key_bits)),
        key_bits=key_bits,
        parts=max(p for p in range(1, 65) if width % p == 0),
        part_bits=8 if n >= 1024 else 4,
    )


def is_binary(kind: str) -> bool:
    """Whether a kind holds packed codes."""
    return KINDS.get(kind, kind).startswith("B")


class Index:
    """A FAISS index that knows what it was made from.

    kind: a key of `KINDS`, or a string of FAISS's index factory.
    factory: that string.
    width: bits of a code, or length of a vector.
    facts: what else belongs to it, such as the model's fingerprint.
    faiss: FAISS's own object; `nprobe`, `hnsw.efSearch`, `nflip` are set there.
    """

    def __init__(self, kind: str, width: int, factory: str, made, facts: Mapping):
        self.kind, self.width, self.factory = kind, width, factory
        self.faiss, self.facts = made, dict(facts)
        self.binary = is_binary(kind)

    @classmethod
    def build(cls, kind: str, rows: np.ndarray, **facts) -> Index:
        """An index of packed codes uint8 `[n, bits / 8]`, or vectors `[n, dim]`.

        Vectors are brought to length one; `facts` are kept with the index.
        RsirError: FAISS refuses the kind, or this width or number of rows.
        """
        rows = np.asarray(rows)
        if rows.ndim != 2 or not rows.size:
            raise RsirError(
                f"rows: shape {rows.shape}; give a matrix, one row for "
                "each thing to find"
            )
        width = rows.shape[1] * (8 if is_binary(kind) else 1)
        index = cls(kind, width, *_empty(kind, width, len(rows)), facts)
        rows = index._checked(rows, "rows")
        with _faiss_errors(kind, f"{len(rows)} rows"):
            if not index.faiss.is_trained:
                index.faiss.train(rows)
            index.faiss.add(rows)
        return index

    def __len__(self) -> int:
        return self.faiss.ntotal

    def search(
        self, queries: np.ndarray, k: int, among: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores float32 and numbers int64 `[n, k]` of the closest rows.

        Best first, ties by number. A smaller index gives all it has. What
        was not found has the number -1 and the score -inf. Which of the
        ties at the end are found is up to FAISS.

        among: bool `[len(self)]`, the rows that count; None: all. Only an exact
            index takes it: others lose recall without a word.
        """
        queries = self._checked(queries, "queries")
        if not isinstance(k, (int, np.integer)) or k < 1:
            raise RsirError(f"k is {k!r}: give a whole number from 1")
        with _faiss_errors(self.kind, f"a search for {k}"):
            more = self._only(among)
            far, found = self.faiss.search(queries, int(min(k, len(self))), **more)
        scores = -far.astype(np.float32) if self.binary else far
        scores[found < 0] = -np.inf
        order = np.lexsort((found, -scores), axis=1)
        return tuple(np.take_along_axis(x, order, axis=1) for x in (scores, found))

    def with_ties(
        self, query: np.ndarray, k: int, among: np.ndarray | None = None
    ) -> np.ndarray:
        """Numbers of the k rows closest to a vector `[dim]`, and all that tie
        with the last of them, in no order; of a "flat" index. `among` as above.
        """
        scores, found = self.search(query[None], k, among)
        found = found[0][found[0] >= 0]
        if len(found) < k:
            return found
        edge = float(scores[0, k - 1]) - 1e-5  # rounding differs by a little
        query = self._checked(query[None], "queries")
        return self.faiss.range_search(query, edge, **self._only(among))[2]

    def _only(self, among: np.ndarray | None) -> dict:
        """What FAISS takes to look at some rows alone."""
        if among is None:
            return {}
        if self.factory not in ("Flat", "BFlat"):
            raise RsirError(
                f"index kind {self.kind!r}: an approximate index loses what it should "
                "find where some rows count alone; build it with kind flat or "
                "binary-flat"
            )
        if np.shape(among) != (len(self),):
            raise RsirError(f"among: shape {np.shape(among)}, not ({len(self)},)")
        faiss = load_faiss()
        bits = np.packbits(np.asarray(among, bool), bitorder="little")
        selector = faiss.IDSelectorBitmap(bits)
        return {"params": faiss.SearchParameters(sel=selector)}

    def _checked(self, rows, what: str) -> np.ndarray:
        rows = np.asarray(rows)
        width = self.width // 8 if self.binary else self.width
        good = rows.ndim == 2 and rows.shape[1] == width and rows.dtype.kind in "fiu"
        if not good or self.binary != (rows.dtype == np.uint8):
            raise RsirError(
                f"{what}: shape {rows.shape}, type {rows.dtype}; this {self.kind} "
                f"index takes [n, {width}] of real numbers, or of codes packed by "
                "rsir.retrieval.index.pack if it is binary"
            )
        if self.binary:
            return np.ascontiguousarray(rows)
        with np.errstate(over="ignore"):
            rows = np.array(rows, np.float32, order="C")
        # in float64: squares would overflow
        length = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
        if not np.isfinite(length).all():
            raise RsirError(
                f"{what}: number {np.isfinite(length).argmin()} holds a NaN or an "
                "infinite value; leave it out, or train the model again"
            )
        rows /= np.where(length > 0, length, 1)[:, None]
        return rows

    def _bytes(self) -> np.ndarray:
        faiss = load_faiss()
        write = faiss.serialize_index_binary if self.binary else faiss.serialize_index
        return write(self.faiss)

    def nbytes(self) -> int:
        """Bytes that the index takes when written out."""
        return int(self._bytes().nbytes)

    def save(self, path: str | Path, **arrays: np.ndarray) -> None:
        """Write the index and its facts, and more arrays, in one file."""
        about = {name: getattr(self, name) for name in ("kind", "factory", "width")}
        about |= {"n": len(self), "facts": self.facts}
        with atomic_write(Path(path), "wb") as file:
            text = np.array(json.dumps(about))
            np.savez(file, about=text, faiss=self._bytes(), **arrays)

    @classmethod
    def load(cls, path: str | Path, model: str | None = None) -> Index:
        """Read what `save` wrote; `model` must be its own, if given.

        Raises:
            RsirError: missing, damaged, or of another model.
        """
        path = Path(path)
        if not path.is_file():
            raise RsirError(f"{path}: no index here; build one first")
        faiss = load_faiss()
        try:
            with np.load(path, allow_pickle=False) as stored:
                about, raw = json.loads(str(stored["about"])), stored["faiss"]
            binary = is_binary(about["kind"])
            read = faiss.deserialize_index_binary if binary else faiss.deserialize_index
            made, n = read(raw), about.pop("n")
            index = cls(made=made, **about)
            if (made.d, made.ntotal) != (index.width, n):
                raise ValueError(f"{made.ntotal} rows of {made.d}")
        except Exception as error:  # whatever damage leads to
            raise RsirError(
                f"{path}: damaged, or not an index of this version; build it again"
            ) from error
        if model and index.facts.get("model") != model:
            raise RsirError(
                f"{path}: this index belongs to another model "
                f"({index.facts.get('model')}, not {model}); build it again, or name "
                "the model it was made from"
            )
        return index


def _empty(kind: str, width: int, n: int) -> tuple:
    """The string for FAISS, and its index without rows, sized for n of them."""
    faiss = load_faiss()
    with _faiss_errors(kind, f"rows of width {width}"):
        factory = factory_string(kind, width, n)
        if is_binary(kind):
            made = faiss.index_binary_factory(width, factory)
        else:
            made = faiss.index_factory(width, factory, faiss.METRIC_INNER_PRODUCT)
    if hasattr(made, "nprobe"):
        made.nprobe = min(PROBES, made.nlist)
    for part, most in ((made, 64), (getattr(made, "pq", None), 256)):
        if hasattr(part, "cp"):  # few rows will do, 64 a cell are enough
            part.cp.min_points_per_centroid = 1
            part.cp.max_points_per_centroid = most
    if hasattr(made, "hnsw"):
        made.hnsw.efConstruction, made.hnsw.efSearch = 80, 64
    if hasattr(made, "nflip"):
        made.nflip = 1
    return factory, made


@contextmanager
def _faiss_errors(kind: str, what: str):
    """FAISS's own errors, and those of a wrong string, as ours."""
    try:
        yield
    except (RuntimeError, KeyError, IndexError, ValueError) as error:
        cause = str(error).strip().split("\n")[-1]
        if " at /" in cause:  # where in its source
            cause = cause.split(": ", 1)[-1]
        raise RsirError(
            f"index kind {kind!r}: FAISS refuses {what} ({cause}); choose one of "
            f"{', '.join(KINDS)}, or another string of faiss.index_factory"
        ) from error


#: words that say nothing of what a picture shows
STOP_WORDS = frozenset(
    "a an and are as at be been by do does for from has have how in is it its of on "
    "or s some than that the their them then there these they this those to was were "
    "what where which who will with".split()
)


@torch.inference_mode()
def encode_sentence(model: TwoTower, sentence: str) -> dict[str, torch.Tensor]:
    """The text side of a query, `[1, ...]` each; warns of one that says nothing."""
    words = [w for w in tokenize(sentence) if w[-1].isalnum() and w not in STOP_WORDS]
    vocabulary = getattr(model.text_encoder, "vocabulary", None) or words
    if not any(word in vocabulary for word in words):
        cause = "holds no word that says what to look for"
        if words:
            cause = f"the model knows none of its words ({', '.join(words)})"
        warnings.warn(
            f"query {sentence!r}: {cause}; the order means little", stacklevel=2
        )
    ids = model.text_encoder.tokenize([sentence])
    ids = ids.to(next(model.parameters()).device)
    return model.encode_texts(model.text_features(ids))


@torch.inference_mode()
def encode_pictures(
    model: TwoTower, pictures: Sequence[Image.Image]
) -> dict[str, torch.Tensor]:
    """The image side of some pictures of mode RGB, `[n, ...]` each."""
    encoder = model.image_encoder
    arrays = np.stack([encoder.pixels(picture) for picture in pictures])
    device = next(model.parameters()).device
    images = encoder.normalise(torch.from_numpy(arrays).to(device))
    return model.encode_images(
        model.image_features(images.contiguous(memory_format=torch.channels_last))
    )


def encode_query(
    model: TwoTower, sentence: str | None, like, pixels: PixelOptions | None, fine: int
) -> dict[str, torch.Tensor]:
    """A sentence, or a picture in its place, `[1, ...]` each.

    RsirError for `fine` where no list can be read again: with a picture, or by a
    model that reads no pairs.
    """
    if fine and (like or not isinstance(model, CrossEncoder)):
        raise RsirError(
            "--fine reads a sentence with each picture: leave it out with --like, and "
            f"with models that read no pairs (this is {type(model).__name__})"
        )
    if like:
        return encode_pictures(model, [open_image(like, pixels)])
    return encode_sentence(model, sentence)


def one_vector(encoded: Mapping[str, torch.Tensor], model: TwoTower) -> np.ndarray:
    """The rows that an index holds: packed codes, or vectors; else RsirError."""
    if "code" in encoded:
        return pack(encoded["code"].cpu().numpy())
    # what is read in pairs has no part in the list
    compared = set(encoded) - {"image_tokens", "text_tokens", "text_mask"}
    if compared not in ({"v"}, {"t"}):
        raise RsirError(
            f"{type(model).__name__}: compares a picture and a "
            "sentence by more than one vector each, which an index "
            "cannot; take linear, mlp, galr, envlf or cfitr"
        )
    return encoded[compared.pop()].float().cpu().numpy()


def picture_rows(
    model: TwoTower, pictures: Sequence[Image.Image], names: Sequence[str]
) -> np.ndarray:
    """`one_vector` of pictures; RsirError that names one which has no finite row."""
    encoded = encode_pictures(model, pictures)
    for i, name in enumerate(names):
        if not all(value[i].isfinite().all() for value in encoded.values()):
            raise RsirError(
                f"{name}: the model makes a NaN or an infinite value of it; train the "
                "model again"
            )
    return one_vector(encoded, model)


def _for_kind(rows: np.ndarray, kind: str) -> np.ndarray:
    """Packed where a binary index takes the vectors of a model."""
    return pack(rows) if is_binary(kind) and rows.dtype != np.uint8 else rows


HOME = ".rsir-index"
BATCH = 32


class Picture(NamedTuple):
    """A file below the folder, as it was when it was last looked at."""

    name: str  # path below the folder
    size: int  # bytes
    changed: int  # when it was last written, nanoseconds
    sha256: str = ""
    cause: str = ""  # why it is left out; "": it is not


class Hit(NamedTuple):
    """One picture that was found: its file and its score."""

    path: Path
    score: float


_fingerprints: WeakKeyDictionary = WeakKeyDictionary()


def fingerprint(model: TwoTower) -> str:
    """Which model this is: weights, and how it takes pictures in.

    Of a model that has not changed since it was asked, it is known: to hash weights
    takes many times as long as a sentence does.
    """
    options = vars(model.image_encoder).values()
    state = [x for x in options if isinstance(x, str | int | float | tuple)]
    for x in model.state_dict().values():
        state.append((x.data_ptr(), x.is_inference() or x._version))
    if _fingerprints.get(model, ("", None))[1] != state:
        _fingerprints[model] = _fingerprint(model), state
    return _fingerprints[model][0]


def _fingerprint(model: TwoTower) -> str:
    facts = json.dumps(model.image_encoder.identity(), sort_keys=True)
    text = f"{type(model).__name__} {facts} {weights_hash(model)}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def build_folder(
    model: TwoTower,
    folder: str | Path,
    *,
    kind: str | None = None,
    home: Path | None = None,
    pixels: PixelOptions | None = None,
    strict: bool = False,
    progress: bool = True,
) -> Index:
    """Index the pictures below a folder; goes on after a kill.

    A picture that cannot be read is left out and listed in `skipped.csv`
    beside the index, whose facts have "pictures" and "skipped".

    Args:
        model: in evaluation mode.
        kind: as in `Index`; None: "binary-flat" for codes, else "flat".
        home: where the index lies; None: `FOLDER/.rsir-index`.
        pixels: how files are read, kept for later searches.
        strict: stop at a picture that cannot be read.

    Raises:
        RsirError: no picture, a kind that does not fit the model, another
            build at work, or no place to write.
    """
    folder = Path(folder)
    home = Path(home or folder / HOME)
    # what the model makes of any picture tells whether the kind fits
    probe = one_vector(encode_pictures(model, [Image.new("RGB", (64, 64))]), model)
    kind = kind or ("binary-flat" if probe.dtype == np.uint8 else "flat")
    if probe.dtype == np.uint8 and not is_binary(kind):
        raise RsirError(
            f"index kind {kind!r}: this model gives codes; choose a binary kind"
        )
    width = _for_kind(probe, kind).shape[1] * (8 if is_binary(kind) else 1)
    _empty(kind, width, 10_000)
    try:
        known = _known(Index.load(home / "pictures.index"))
    except RsirError:
        known = {}
    pictures = _look(folder, known, progress)
    with locked(home / "lock", f"the index of {folder}", wait=0):
        if pixels:
            pixels = pixels.measured([folder / p.name for p in pictures if not p.cause])
        facts = {
            "model": fingerprint(model),
            "row": f"{probe.dtype.str} {probe.shape[1]}",
            "pixels": pixels.to_dict() if pixels else None,
        }
        rows = _stored_rows(home, facts)
        new = {p.sha256: p for p in pictures if not p.cause and p.sha256 not in rows}
        new, causes = list(new.values()), {}
        label = f"reading {len(new):,} new of {len(pictures):,} pictures"
        for start in track(range(0, len(new), BATCH), label, show=progress):
            part = new[start : start + BATCH]
            fresh = _rows_of(model, folder, part, pixels, causes)
            if strict and causes:
                break
            _save_part(home, facts, fresh)
            rows |= fresh
        pictures = [p._replace(cause=causes.get(p.sha256, p.cause)) for p in pictures]
        left_out = [p for p in pictures if p.cause]
        write_skipped(home / "skipped.csv", [(p.name, p.cause) for p in left_out])
        if left_out and (strict or len(left_out) == len(pictures)):
            which = "the first is " if len(left_out) > 1 else ""
            raise RsirError(
                f"{folder}: {len(left_out):,} of {len(pictures):,} pictures cannot "
                f"be read, see {home / 'skipped.csv'}; {which}{left_out[0].cause}"
            )
        kept = [p for p in pictures if not p.cause]
        shas = [p.sha256 for p in kept]
        matrix = np.stack([rows[sha] for sha in shas])
        facts |= {"pictures": kept, "skipped": left_out}
        index = Index.build(kind, _for_kind(matrix, kind), **facts)
        index.save(home / "pictures.index", rows=matrix, sha256=np.array(shas))
        for rest in [*home.glob("part-*.npz"), *home.glob(".*.tmp")]:
            rest.unlink()
    return index


def _known(index: Index) -> dict[str, Picture]:
    """The files that an index knows of, by name."""
    both = index.facts["pictures"] + index.facts["skipped"]
    return {one[0]: Picture(*one) for one in both}


def _look(folder: Path, known: Mapping[str, Picture], progress: bool) -> list[Picture]:
    """Pictures below a folder: their SHA-256, or why they cannot be read.

    Hidden ones are left out. A file of the size and time that are known
    is not read again. What cannot be listed stands there with its cause.
    """
    if not folder.is_dir():
        raise RsirError(f"{folder}: no such folder")
    found, files = [], []

    def note(error: OSError):
        name = Path(error.filename).relative_to(folder).as_posix()
        cause = f"{error.filename}: cannot be read ({error.strerror}); change its mode"
        found.append(Picture(name, 0, 0, "", cause))

    for here, below, names in os.walk(folder, onerror=note):
        below[:] = [name for name in below if not name.startswith(".")]
        names = (Path(here, name) for name in names if not name.startswith("."))
        files += [path for path in names if path.suffix.lower() in SUFFIXES]
    label = f"looking at {len(files):,} pictures"
    for path in track(sorted(files), label, show=progress and len(files) > len(known)):
        try:
            facts = path.stat()
        except OSError as error:
            note(error)
            continue
        name = path.relative_to(folder).as_posix()
        one = Picture(name, facts.st_size, facts.st_mtime_ns)
        old = known.get(name)
        sha256 = old.sha256 if old and old[:3] == one[:3] else ""
        try:
            sha256 = sha256 or hashlib.sha256(read_bytes(path, "image")).hexdigest()
            found.append(one._replace(sha256=sha256))
        except RsirError as error:
            found.append(one._replace(cause=str(error)))
    if not found:
        raise RsirError(f"{folder}: no pictures below it ({', '.join(SUFFIXES)})")
    return sorted(found)


def _rows_of(
    model: TwoTower, folder: Path, part: Sequence[Picture], pixels, causes: dict
) -> dict[str, np.ndarray]:
    """Rows by SHA-256 of the pictures that open; `causes` of the rest."""
    opened = {}
    for one in part:
        try:
            opened[one] = open_image(folder / one.name, pixels)
        except RsirError as error:
            causes[one.sha256] = str(error)
    if not opened:
        return {}
    names = [str(folder / one.name) for one in opened]
    rows = picture_rows(model, list(opened.values()), names)
    return {one.sha256: row for one, row in zip(opened, rows, strict=True)}


def _save_part(home: Path, facts: Mapping, rows: Mapping[str, np.ndarray]) -> None:
    if rows:
        about = np.array(json.dumps({"facts": facts}))
        values = np.stack(list(rows.values()))
        with atomic_write(home / f"part-{next(iter(rows))}.npz", "wb") as file:
            np.savez(file, about=about, sha256=np.array(list(rows)), rows=values)


def _stored_rows(home: Path, facts: Mapping) -> dict[str, np.ndarray]:
    """Rows that are kept, by SHA-256; damage and other models left out."""
    rows: dict[str, np.ndarray] = {}
    for path in [home / "pictures.index", *sorted(home.glob("part-*.npz"))]:
        try:
            with np.load(path, allow_pickle=False) as stored:
                about = json.loads(str(stored["about"]))["facts"]
                if facts == {key: about[key] for key in facts}:
                    rows |= zip(stored["sha256"].tolist(), stored["rows"], strict=True)
        except Exception:  # missing or damaged: computed again
            continue
    return rows


def write_skipped(path: Path, skipped: Sequence[tuple[str, str]]) -> None:
    """Write `skipped.csv` (path, cause); none skipped: remove it."""
    if not skipped:
        path.unlink(missing_ok=True)
        return
    with atomic_write(path) as file:
        for row in [("path", "cause"), *skipped]:  # a name may be no UTF-8
            plain = [x.encode("utf-8", "backslashreplace").decode() for x in row]
            csv.writer(file, lineterminator="\n").writerow(plain)


@torch.inference_mode()
def read_again(
    model: CrossEncoder,
    sentence: Mapping[str, torch.Tensor],
    found: Sequence,
    picture: Callable[..., Image.Image],
) -> np.ndarray:
    """Fine scores `[n]` of what was found, with a sentence of `encode_sentence`.

    `picture` opens one of `found`.
    """
    read = []
    for start in range(0, len(found), BATCH):
        some = [picture(one) for one in found[start : start + BATCH]]
        read_pairs = pair_scorer(model, encode_pictures(model, some), sentence)
        read.append(read_pairs([(i, 0) for i in range(len(some))]))
    return np.concatenate(read)


@torch.inference_mode()
def search_folder(
    model: TwoTower,
    folder: str | Path,
    sentence: str | None = None,
    k: int = 5,
    *,
    like: str | Path | None = None,
    fine: int = 0,
    home: Path | None = None,
) -> list[Hit]:
    """The pictures below a folder that fit a query best.

    Args:
        model: the one that built the index, in evaluation mode.
        sentence, like: the query, or a picture in its place.
        fine: so many candidates are read again by the multi-modal part of
            the model; 0: the index alone decides.

    Raises:
        RsirError: no index, one of another model, or pictures that have
            come, gone or changed since; or the model reads no pairs.
    """
    folder = Path(folder)
    path = Path(home or folder / HOME) / "pictures.index"
    index = Index.load(path, model=fingerprint(model))
    known = _known(index)
    now = {p.name: p.sha256 for p in _look(folder, known, False)}
    if now != {name: p.sha256 for name, p in known.items()}:
        raise RsirError(
            f"{path}: pictures below {folder} have come, gone or changed since; run "
            "rsir index build again, it reads only what is new"
        )
    files = [folder / one[0] for one in index.facts["pictures"]]
    pixels = PixelOptions.from_dict(index.facts["pixels"])
    encoded = encode_query(model, sentence, like, pixels, fine)
    query = _for_kind(one_vector(encoded, model), index.kind)
    scores, found = (side[0] for side in index.search(query, max(fine, k)))
    scores, found = scores[found >= 0], found[found >= 0]
    if fine and len(found):
        scores = read_again(
            model, encoded, found, lambda i: open_image(files[i], pixels)
        )
        order = np.argsort(-scores, kind="stable")
        scores, found = scores[order], found[order]
    return [Hit(files[i], float(s)) for s, i in zip(scores[:k], found[:k])]
