"""A copy of an archive on a Milvus server, searched as the archive itself is.

`milvus://host:19530/name` is a collection: a row for each tile, with one vector.
Where the model gives codes these are packed bits, compared by HAMMING
(BIN_FLAT); else floats, compared by COSINE (FLAT). Both look at every row that
counts, so ids and scores are those of the archive.

Consistency: rows go in by upsert, so that a row that comes twice is there once,
and a load ends with a count that waits for everything before it (Strong).
Searches do not wait (Bounded). They may miss what a load has written in the
last 5 s, and find what it has removed.
"""

import json
import logging
import re
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa

from rsir.archive.scenes import Tile
from rsir.archive.store import (
    BOX,
    Only,
    Store,
    as_vectors,
    facts_of,
    read,
    rows_in,
    tiles_of,
    vectors_of,
)
from rsir.utils.errors import RsirError
from rsir.utils.progress import track

MOST = 16_384  # rows that Milvus gives for a query
MESSAGE = 8 << 20  # bytes of rows in one call, about; a server takes 64 MB
TIMEOUT = 60  # seconds that a call may take; so long a server may be away
CONSISTENCY = "Bounded"  # of searches
EXACT = {
    "code": {"index_type": "BIN_FLAT", "metric_type": "HAMMING"},
    "embedding": {"index_type": "FLAT", "metric_type": "COSINE"},
}
# Milvus 2.3 has no null
NO_DATE = -(1 << 62)
NO_BOX = (1e9, 1e9, -1e9, -1e9)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SERVER = (
    "milvus-server --data FOLDER --proxy-port {port}, from an environment with "
    "pip install milvus==2.3.5 'setuptools<80'"
)


class Loaded(NamedTuple):
    """What a load did."""

    tiles: int  # in the collection
    new: int  # of these, written now
    gone: int  # rows removed, since the archive has them no more
    seconds: float


def is_url(archive: str | Path) -> bool:
    """Whether an archive is named by a URL of Milvus."""
    return str(archive).startswith("milvus://")


class Collection:
    """A collection on a server that answers."""

    def __init__(self, url: str):
        try:
            from pymilvus import MilvusClient, MilvusException
        except ImportError:
            raise RsirError(
                f"{url}: needs pymilvus; pip install 'rsir[cluster]'"
            ) from None
        # it prints what it raises, with all of the stack
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        self.url, self._error = url, MilvusException
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or 19530
        except ValueError:
            host = None
        self.name = parts.path.strip("/") if host else ""
        if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]{0,254}", self.name):
            raise RsirError(
                f"{url}: write milvus://host:19530/name, the name of ASCII letters, "
                "digits and _"
            )
        try:
            self.client = MilvusClient(f"http://{host}:{port}", timeout=10)
            # a client shares the connection of an earlier one, which may be dead
            self.client.get_server_version(timeout=10)
        except MilvusException:
            raise RsirError(
                f"{url}: no Milvus server answers; correct the address, or start one "
                f"({SERVER.format(port=port)})"
            ) from None

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except self._error as error:
            why = " ".join(str(error.message).split())[:200]
            raise RsirError(
                f"{self.url}: Milvus refuses, or has stopped ({why}); see that it runs "
                "(half a minute after its start it is ready), then give the command "
                "again; nothing that it has taken is lost"
            ) from None

    @cached_property
    def _about(self) -> dict:
        with self._told():
            if not self.client.has_collection(self.name, timeout=TIMEOUT):
                others = ", ".join(sorted(self.client.list_collections())) or "none"
                raise RsirError(
                    f"{self.url}: no such collection (there: {others}); "
                    f"rsir index load ARCHIVE {self.url} makes it"
                )
            return self.client.describe_collection(self.name, timeout=TIMEOUT)

    def facts(self) -> dict:
        """Model, layout and pixels of the archive that it is a copy of."""
        about = self._about["description"]
        try:
            return json.loads(about)["rsir"]
        except (ValueError, LookupError, TypeError):
            raise RsirError(
                f"{self.url}: a collection that rsir did not make; choose another name"
            ) from None

    def vector(self) -> tuple[str, int]:
        """What it holds, "code" or "embedding", and its length in bits or numbers."""
        for field in self._about["fields"]:
            if field["name"] in ("code", "embedding"):
                return field["name"], field["params"]["dim"]
        raise RsirError(f"{self.url}: has no vectors; load it under another name")

    def make(self, facts: dict, kind: str, dim: int) -> None:
        """Make it, or what a kill has left to make, and have it ready for searches."""
        from pymilvus import DataType

        client = self.client
        with self._told():
            if not client.has_collection(self.name, timeout=TIMEOUT):
                about = json.dumps({"rsir": facts})
                schema = client.create_schema(description=about)
                text = {"datatype": DataType.VARCHAR, "max_length": 65_535}
                schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=16)
                schema.add_field("shard", DataType.VARCHAR, max_length=64)
                schema.add_field("source", **text)
                schema.add_field("taken", DataType.INT64)  # microseconds, UTC
                for side in BOX:
                    schema.add_field(side, DataType.DOUBLE)
                schema.add_field("about", **text)  # JSON: window and ring
                vector = "BINARY_VECTOR" if kind == "code" else "FLOAT_VECTOR"
                schema.add_field(kind, DataType[vector], dim=dim)
                client.create_collection(self.name, schema=schema, timeout=TIMEOUT)
        there = self.facts()
        for name in facts.keys() | there.keys():
            if facts.get(name) != there.get(name):
                raise RsirError(
                    f"{self.url}: a copy of an archive of another {name} "
                    f"({there.get(name)}, not {facts.get(name)}); choose another name"
                )
        held, length = self.vector()
        if (held, length) != (kind, dim):
            raise RsirError(
                f"{self.url}: holds vectors of another kind or length ({held} of "
                f"{length}, not {kind} of {dim}); choose another name"
            )
        with self._told():
            if not client.list_indexes(self.name, timeout=TIMEOUT):
                index = client.prepare_index_params()
                index.add_index(kind, **EXACT[kind])
                client.create_index(self.name, index, timeout=TIMEOUT)
            client.load_collection(self.name, timeout=TIMEOUT)

    def count(self, which: str = "", consistency: str = CONSISTENCY) -> int:
        """Rows, or those for which an expression of Milvus is true."""
        more = {"consistency_level": consistency, "timeout": TIMEOUT}
        with self._told():
            (found,) = self.client.query(
                self.name, filter=which, output_fields=["count(*)"], **more
            )
        return found["count(*)"]

    def closest(
        self, query: np.ndarray, k: int, only: Only
    ) -> tuple[list[Tile], np.ndarray]:
        """The k tiles closest to a vector `[dim]`, and all that tie with the last.

        In no order, with their vectors as the archive has them, float32 `[n, dim]`.
        """
        kind, dim = self.vector()
        if len(query) != dim:
            raise RsirError(
                f"{self.url}: holds vectors of length {dim}, and the model gives "
                f"{len(query)}; load the archive of this model"
            )
        if k > MOST:
            raise RsirError(
                f"--k or --fine {k}: Milvus gives at most {MOST:,} hits; ask for fewer, "
                "or search the archive itself"
            )
        bits = kind == "code"
        data = np.packbits(query > 0).tobytes() if bits else query.astype(np.float32)
        fields = ["id", "source", "taken", "about", kind]
        more = {"filter": expression(only), "timeout": TIMEOUT}
        more |= {"consistency_level": CONSISTENCY, "output_fields": fields}
        limit = k
        while True:  # which of the ties at the end come is up to Milvus
            limit = min(2 * limit + 8, MOST)
            with self._told():
                (hits,) = self.client.search(self.name, [data], limit=limit, **more)
            if len(hits) < limit:
                break
            # rounding differs by a little
            if abs(hits[k - 1]["distance"] - hits[-1]["distance"]) > 1e-5:
                break
            if limit == MOST:
                warnings.warn(
                    f"more than {MOST:,} tiles are as close as hit {k}; which of them "
                    "are found is up to Milvus"
                )
                break
        rows = [hit["entity"] for hit in hits]
        if bits:
            codes = np.frombuffer(b"".join(row[kind] for row in rows), np.uint8)
            vectors = _signs(codes.reshape(len(rows), -1)) if rows else codes
        else:
            vectors = np.array([row[kind] for row in rows], np.float32)
        return [_tile(row) for row in rows], vectors

    def without(self, only: Only) -> tuple[int, int]:
        """How many tiles have no date, and no box, where a filter asks for them."""
        undated = unplaced = 0
        if only.since or only.until:
            undated = self.count(f"taken == {NO_DATE}")
        if only.box:
            unplaced = self.count(f"xmin == {NO_BOX[0]!r}")
        return undated, unplaced


def expression(only: Only) -> str:
    """Filters in the language of Milvus; "": all rows count."""
    tests = []
    if only.box:
        west, south, east, north = map(float, only.box)
        tests += [f"xmin <= {east!r}", f"ymin <= {north!r}"]
        tests += [f"xmax >= {west!r}", f"ymax >= {south!r}"]
    if only.since or only.until:
        tests.append(f"taken > {NO_DATE}")
    if only.since:
        tests.append(f"taken >= {_microseconds(only.since)}")
    if only.until:
        tests.append(f"taken <= {_microseconds(only.until)}")
    if only.source:
        below = only.source.rstrip("/")  # "0" is the character after "/"
        low, high = _quoted(below + "/"), _quoted(below + "0")
        same = f"source == {_quoted(only.source)}"
        tests.append(f"({same} or (source >= {low} and source < {high}))")
    return " and ".join(tests)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _microseconds(when: datetime) -> int:
    return (when - EPOCH) // timedelta(microseconds=1)


def _signs(codes: np.ndarray) -> np.ndarray:
    """The embedding that an archive keeps of packed codes `[n, bytes]`."""
    return as_vectors(codes)[0].astype(np.float16).astype(np.float32)


def _tile(row: dict) -> Tile:
    window, ring = json.loads(row["about"])
    taken = row["taken"]
    when = None if taken == NO_DATE else EPOCH + timedelta(microseconds=taken)
    ring = ring and tuple(map(tuple, ring))
    return Tile(row["id"], row["source"], window and tuple(window), ring, when)


def kind_of(table: pa.Table) -> tuple[str, int]:
    """What Milvus is given of a shard, "code" or "embedding", and its length.

    The code, where it says all that the embedding does.
    """
    rows, codes = vectors_of(table), _codes(table)
    if codes.shape[1] * 8 == rows.shape[1] and np.array_equal(_signs(codes), rows):
        return "code", rows.shape[1]
    return "embedding", rows.shape[1]


def _codes(table: pa.Table) -> np.ndarray:
    packed = np.frombuffer(b"".join(table["code"].to_pylist()), np.uint8)
    return packed.reshape(len(table), -1)


def _rows(table: pa.Table, shard: str, kind: str, vectors: np.ndarray) -> list[dict]:
    boxes = table["bbox"].to_pylist()
    found = []
    for tile, box, vector in zip(tiles_of(table), boxes, vectors, strict=True):
        row = {"id": tile.id, "shard": shard, "source": tile.source}
        row["taken"] = _microseconds(tile.datetime) if tile.datetime else NO_DATE
        row |= box or dict(zip(BOX, NO_BOX))
        row["about"] = json.dumps([tile.window, tile.ring])
        row[kind] = vector.tobytes() if kind == "code" else vector
        found.append(row)
    return found


def load(archive: str | Path, url: str, *, progress: bool = True) -> Loaded:
    """Make a collection the copy of an archive; goes on after a kill.

    A shard whose rows are all there is not sent again. Rows of shards that the
    archive has no more go. The archive stays as it is.

    Raises:
        RsirError: no archive, no server, a collection of another archive's
            model or layout, or a server that stopped; what it said yes to
            stays there.
    """
    began, store = time.perf_counter(), Store(archive)
    facts, place = store.whole(), Collection(url)
    shards, n, new = store.shards(), 0, 0
    place.make(facts, *kind_of(read(shards[0])))
    place.count(consistency="Strong")  # what a load before this one wrote is seen
    for path in track(shards, f"loading {len(shards):,} shards", show=progress):
        size = rows_in(path)
        n += size
        if place.count(f"shard == {_quoted(path.stem)}") == size:
            continue
        table = read(path)
        if facts_of(path) != facts:
            raise RsirError(
                f"{path}: of another model or layout than {shards[0].name}; build the "
                "archive again in a new folder"
            )
        kind, dim = kind_of(table)
        if (kind, dim) != place.vector():
            raise RsirError(
                f"{path}: vectors of another kind or length ({kind} {dim}) than "
                f"{shards[0].name}; build the archive again in a new folder"
            )
        vectors = _codes(table) if kind == "code" else vectors_of(table)
        if zero := int((~vectors.any(axis=1)).sum()) * (kind == "embedding"):
            warnings.warn(f"{path}: Milvus does not find {zero:,} vectors of zeros")
        step = max(1, MESSAGE // (vectors[0].nbytes + 1024))
        for start in range(0, size, step):
            part = slice(start, start + step)
            rows = _rows(table[part], path.stem, kind, vectors[part])
            with place._told():
                place.client.upsert(place.name, rows, timeout=TIMEOUT)
        new += size
    gone = place.count(consistency="Strong") - n
    if gone:
        names = ", ".join(_quoted(path.stem) for path in shards)
        with place._told():
            place.client.delete(
                place.name, filter=f"shard not in [{names}]", timeout=TIMEOUT
            )
    there = place.count(consistency="Strong")
    if there != n:
        raise RsirError(
            f"{url}: holds {there:,} rows, and the archive {n:,}; give rsir index build "
            "of the archive again, then load it again"
        )
    return Loaded(n, new, gone, time.perf_counter() - began)
