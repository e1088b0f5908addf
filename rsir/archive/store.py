"""The archive of record: a folder of GeoParquet 1.1 files.

One row a tile. A file is named by the model and by the tiles in it, so that to
write it twice is to write it once. Files of a build under way lie in `.parts`
below the folder; at its end they become shards of up to 100,000 tiles each.
`_left_out.csv` lists tiles without data, and what could not be read.
"""

import csv
import json
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyproj
import shapely

from rsir.archive.scenes import CRS84, Tile
from rsir.utils.errors import RsirError
from rsir.utils.io import atomic_write

SHARD = 100_000  # tiles
NO_DATA = "no data"
LEFT_OUT = "_left_out.csv"
COLUMNS = "id", "source", "window", "cause"
BOX = ("xmin", "ymin", "xmax", "ymax")


class Only(NamedTuple):
    """Which tiles count; None: it does not matter."""

    box: Sequence[float] | None = None  # west, south, east, north in degrees
    since: datetime | None = None  # both ends included
    until: datetime | None = None
    source: str | None = None  # absolute path of a file, or of a folder of files


def to_table(
    tiles: Sequence[Tile], embedding: np.ndarray, code: np.ndarray
) -> pa.Table:
    """Rows of tiles, with float `[n, dim]` and packed uint8 `[n, bytes]`."""
    boxes, shapes = [], []
    for tile in tiles:
        ring = None if tile.ring is None else np.array(tile.ring)
        ends = None if ring is None else [*ring.min(axis=0), *ring.max(axis=0)]
        boxes.append(ends and dict(zip(BOX, map(float, ends))))
        shapes.append(None if ring is None else shapely.to_wkb(shapely.Polygon(ring)))
    values = pa.array(np.ascontiguousarray(embedding, np.float16).ravel())
    return pa.table(
        {
            "id": pa.array([tile.id for tile in tiles], pa.string()),
            "datetime": pa.array(
                [tile.datetime for tile in tiles], pa.timestamp("us", tz="UTC")
            ),
            "geometry": pa.array(shapes, pa.binary()),
            "bbox": pa.array(boxes, pa.struct([(name, pa.float64()) for name in BOX])),
            "embedding": pa.FixedSizeListArray.from_arrays(values, embedding.shape[1]),
            "code": pa.array([c.tobytes() for c in code], pa.binary(code.shape[1])),
            "source": pa.array([tile.source for tile in tiles], pa.string()),
            "window": pa.array(
                [tile.window for tile in tiles], pa.list_(pa.int32(), 4)
            ),
        }
    )


def tiles_of(table: pa.Table) -> Iterator[Tile]:
    """The tiles of rows that have "id", "source", "window" and, maybe, the rest."""
    n, names = len(table), table.column_names
    window = table["window"].to_pylist()
    when = table["datetime"].to_pylist() if "datetime" in names else [None] * n
    shape = table["geometry"].to_pylist() if "geometry" in names else [None] * n
    rows = zip(
        table["id"].to_pylist(), table["source"].to_pylist(), window, shape, when
    )
    for name, source, window, shape, when in rows:
        ring = shape and shapely.get_coordinates(shapely.from_wkb(shape))[:-1].tolist()
        yield Tile(
            name,
            source,
            window and tuple(window),
            ring and tuple(map(tuple, ring)),
            when,
        )


def as_vectors(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What an archive keeps of vectors or packed codes: unit float32, packed signs."""
    if rows.dtype == np.uint8:
        bits = np.unpackbits(rows, axis=1)
        return (2.0 * bits - 1).astype(np.float32) / np.sqrt(bits.shape[1]), rows
    length = np.linalg.norm(rows.astype(float), axis=1, keepdims=True)
    unit = (rows / np.where(length > 0, length, 1)).astype(np.float32)
    return unit, np.packbits(rows > 0, axis=1)


def vectors_of(table: pa.Table) -> np.ndarray:
    """Its embeddings, float32 `[n, dim]` of float16 values."""
    values = table["embedding"].combine_chunks().flatten()
    rows = values.to_numpy(zero_copy_only=False).reshape(len(table), -1)
    return rows.astype(np.float32)


def _metadata(table: pa.Table, facts: Mapping) -> dict[str, str]:
    """What GeoParquet, the draft of STAC, and this archive say of a file."""
    ends = [pc.struct_field(table["bbox"], name).drop_null() for name in BOX]
    column = {
        "encoding": "WKB",
        "geometry_types": ["Polygon"],
        "crs": pyproj.CRS(CRS84).to_json_dict(),
        "orientation": "counterclockwise",
        "covering": {"bbox": {name: ["bbox", name] for name in BOX}},
    }
    if len(ends[0]):
        column["bbox"] = [
            f(x).as_py() for f, x in zip((pc.min, pc.min, pc.max, pc.max), ends)
        ]
    geo = {"version": "1.1.0", "primary_column": "geometry"}
    stac = {
        "emb:type": "image",
        "emb:model": {"name": facts["method"], "fingerprint": facts["model"]},
        "emb:dimensions": table.schema.field("embedding").type.list_size,
        "emb:chip_layout": {
            "type": "grid",
            "size": [facts["tile"], facts["tile"]],
            "overlap": facts["overlap"],
        },
        "emb:quantization": {
            "embedding": "float16, of length one",
            "code": "sign bits, the first is the highest of its byte",
        },
        "data_type": "float16",
    }
    return {
        "geo": json.dumps(geo | {"columns": {"geometry": column}}),
        "stac:embeddings": json.dumps(stac),
        "rsir": json.dumps(facts),
    }


class Store:
    """The files of an archive."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

    @staticmethod
    def is_at(path: str | Path) -> bool:
        """Whether a folder is an archive, or begins to be one."""
        path = Path(path)
        return any(path.glob("*.parquet")) or (path / ".parts").is_dir()

    def shards(self) -> list[Path]:
        """Whole shards, by name."""
        return sorted(self.path.glob("*.parquet"))

    def parts(self) -> list[Path]:
        """What a build that has not come to its end left."""
        return sorted((self.path / ".parts").glob("*.parquet"))

    def files(self) -> list[Path]:
        """Shards and parts."""
        return self.shards() + self.parts()

    def facts(self) -> dict | None:
        """Model, layout and pixels of the archive; None: nothing is there yet."""
        for path in self.files():
            return facts_of(path)
        return None

    def whole(self) -> dict:
        """Facts of an archive whose build came to its end; warns of one under way."""
        if not self.shards():
            raise RsirError(
                f"{self.path}: no archive here, or none whose build came to its end; "
                "give its rsir index build (again)"
            )
        if self.parts():
            warnings.warn(
                f"{self.path}: a build has not come to its end; its tiles do not count"
            )
        return facts_of(self.shards()[0])

    def write(self, table: pa.Table, facts: Mapping, part: bool = False) -> Path:
        """Write rows as a shard, or as a part; whole or not at all."""
        digest = sha256(" ".join(sorted(table["id"].to_pylist())).encode())
        name = f"{facts['model']}-{digest.hexdigest()[:16]}.parquet"
        path = self.path / ".parts" / name if part else self.path / name
        table = table.replace_schema_metadata(_metadata(table, facts))
        with atomic_write(path, "wb") as file:
            pq.write_table(table, file, compression="zstd", store_schema=True)
        return path

    def known(self) -> dict[str, str]:
        """Source of each tile that is there, by id."""
        found = {}
        for path in self.files():
            table = read(path, ["id", "source"])
            found |= zip(table["id"].to_pylist(), table["source"].to_pylist())
        return found

    def drop(self, ids: set[str]) -> None:
        """Take rows out: a new file each, then the old one goes."""
        for path in self.files() if ids else ():
            table = read(path)
            keep = np.array([name not in ids for name in table["id"].to_pylist()])
            if keep.all():
                continue
            if keep.any():
                part = path.parent != self.path
                self.write(table.filter(pa.array(keep)), facts_of(path), part)
            path.unlink()

    def join_parts(self, whole: bool = True) -> None:
        """Make shards of the parts: of all, or as many as fill one.

        A part whose tiles are all in shards is what a kill left of this.
        """
        parts = self.parts()
        inside = set()
        for path in self.shards() if parts else ():
            inside.update(read(path, ["id"])["id"].to_pylist())
        rows, paths, n = [], [], 0
        for i, path in enumerate(parts):
            table = read(path)
            keep = np.array([name not in inside for name in table["id"].to_pylist()])
            rows.append(table.filter(pa.array(keep)))
            paths.append(path)
            n += len(rows[-1])
            if n >= SHARD or (whole and i + 1 == len(parts)):
                if n:
                    self.write(pa.concat_tables(rows), facts_of(path))
                for old in paths:
                    old.unlink()
                rows, paths, n = [], [], 0

    # what is left out

    def note_left_out(self, rows: Iterable[tuple[Tile, str]]) -> None:
        """Add (tile, cause) to the list; a line that a kill cut is left."""
        self.path.mkdir(parents=True, exist_ok=True)
        lines = [(t.id, t.source, _said(t.window), cause) for t, cause in rows]
        if lines:
            with open(self.path / LEFT_OUT, "a", encoding="utf-8", newline="") as file:
                _writer(file).writerows(lines)

    def left_out(self) -> dict[str, tuple[str, str, str, str]]:
        """Lines of the list by id, the last of each."""
        try:
            with open(self.path / LEFT_OUT, encoding="utf-8", newline="") as file:
                lines = [tuple(line) for line in csv.reader(file)]
        except FileNotFoundError:
            return {}
        return {x[0]: x for x in lines if len(x) == 4 and len(x[0]) == 16}

    def write_left_out(self, lines: Iterable[tuple[str, str, str, str]]) -> None:
        """Write the list anew; an empty one goes."""
        lines = sorted(lines, key=lambda line: (line[1], line[0]))
        if not lines:
            (self.path / LEFT_OUT).unlink(missing_ok=True)
            return
        with atomic_write(self.path / LEFT_OUT) as file:
            _writer(file).writerows([COLUMNS, *lines])


def _said(window: Sequence[int] | None) -> str:
    return " ".join(map(str, window or ()))


def _writer(file):
    return csv.writer(file, lineterminator="\n")


@contextmanager
def _damage(path: Path):
    try:
        yield
    except (pa.ArrowException, OSError, LookupError, TypeError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise RsirError(f"{path}: not found") from None
        why = " ".join(str(error).split())[:120]
        raise RsirError(
            f"{path}: damaged, or no file of an archive ({why}); remove it and build "
            "again, what is in the other files is kept"
        ) from None


def facts_of(path: Path) -> dict:
    """What this archive says of a file."""
    with _damage(path):
        return json.loads(pq.read_metadata(path).metadata[b"rsir"])


def rows_in(path: Path) -> int:
    """How many tiles a file has."""
    with _damage(path):
        return pq.read_metadata(path).num_rows


def columns_of(path: Path) -> list[str]:
    """Names of the columns of a file."""
    with _damage(path):
        return pq.read_schema(path).names


def read(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Rows of a file; an RsirError that names it if it is damaged."""
    with _damage(path):
        return pq.read_table(path, columns=columns, partitioning=None)
