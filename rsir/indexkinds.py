"""The kinds of index there are, and how FAISS makes each of them.

`rsir.search` is the face of these; nothing else needs this file.
"""

import math
from collections.abc import Mapping
from contextlib import contextmanager

import numpy as np

from rsir.errors import RsirError

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
            f"index kind {kind!r}: unknown; choose one of "
            f"{', '.join(KINDS)}"
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
            f"index option {odd[0]!r}: {kind} has "
            f"{', '.join(KINDS[kind]) or 'none'}"
        )
    if is_binary(kind) and width % 8:
        raise RsirError(
            f"{kind}: codes of {width} bits; give a multiple of 8"
        )
    for name, value in options.items():
        _in_range(name, value, KINDS[kind][name] is None)
    parts, bits = options.get("parts"), options.get("key_bits")
    if parts and width % parts:
        raise RsirError(
            f"index option 'parts': {parts} does not divide the width "
            f"{width}"
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
    whole = isinstance(value, (int, np.integer)) and not isinstance(
        value, bool)
    if not whole or value < least:
        raise RsirError(
            f"index option {name!r}: {value!r}; give a whole number "
            f"from {least}"
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
