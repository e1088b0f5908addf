"""Find tiles of an archive by a sentence or a picture.

Search is exact: one shard after the other, by FAISS, with filters before the
search and not after it. Scores are cosines of float16 vectors; ties are broken
by id, so that the order of shards decides nothing. A copy of the archive on a
Milvus server gives the same (`rsir.archive.milvus`).
"""

import json
import os
import warnings
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from rsir.archive.milvus import Collection, is_url
from rsir.archive.scenes import Tile, picture_of
from rsir.archive.store import (
    BOX,
    Only,
    Store,
    as_vectors,
    read,
    tiles_of,
    vectors_of,
)
from rsir.data.images import PixelOptions
from rsir.models.base import TwoTower
from rsir.retrieval.index import (
    Index,
    encode_query,
    fingerprint,
    one_vector,
    read_again,
)
from rsir.utils.errors import RsirError
from rsir.utils.io import atomic_write

TOLD = ["id", "source", "window", "datetime", "geometry"]
ROOM = 1 << 30  # bytes of shards that stay in memory, some 200,000 tiles
_kept: dict[Path, tuple[int, pa.Table, Index]] = {}


class Hit(NamedTuple):
    """A tile that was found, and its score."""

    tile: Tile
    score: float

    @property
    def bbox(self) -> tuple[float, float, float, float] | None:
        """West, south, east, north in degrees."""
        if self.tile.ring is None:
            return None
        lon, lat = zip(*self.tile.ring)
        return min(lon), min(lat), max(lon), max(lat)

    def to_dict(self) -> dict:
        """What JSON takes."""
        when = self.tile.datetime
        return {
            "id": self.tile.id,
            "window": self.tile.window and list(self.tile.window),
            "datetime": when and when.isoformat(),
            "bbox": self.bbox and [round(x, 7) for x in self.bbox],
        }


def parse_box(text: str) -> tuple[float, float, float, float]:
    """ "W,S,E,N" in degrees; RsirError for another order, or off the globe."""
    try:
        west, south, east, north = map(float, text.split(","))
    except ValueError:
        raise RsirError(f"--box {text}: give four numbers, W,S,E,N") from None
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise RsirError(
            f"--box {text}: give west, south, east, north in degrees, west below east "
            "and south below north (a box over the antimeridian in two searches)"
        )
    return west, south, east, north


def parse_day(text: str, name: str, last: bool = False) -> datetime:
    """An ISO date or time, UTC; `last`: of a date, its last moment."""
    try:
        if len(text) == 10:
            day = date.fromisoformat(text)
            return datetime.combine(day, time.max if last else time.min, UTC)
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    except ValueError:
        raise RsirError(f"--{name} {text}: give a date such as 2024-05-31") from None


def parse_filters(box: str | None, since: str | None, until: str | None) -> dict:
    """Filters of `search`, of texts as they were typed; an empty one is off."""
    return {
        "box": parse_box(box) if box else None,
        "since": parse_day(since, "since") if since else None,
        "until": parse_day(until, "until", last=True) if until else None,
    }


def _filter(table: pa.Table, only: Only) -> np.ndarray | None:
    """Which rows of a shard count, bool `[n]`; None: all."""
    tests = []
    if only.box:
        west, south, east, north = only.box
        side = {name: pc.struct_field(table["bbox"], name) for name in BOX}
        tests += [pc.less_equal(side["xmin"], east), pc.less_equal(side["ymin"], north)]
        tests += [pc.greater_equal(side["xmax"], west)]
        tests += [pc.greater_equal(side["ymax"], south)]
    if only.since:
        tests.append(pc.greater_equal(table["datetime"], pa.scalar(only.since)))
    if only.until:
        tests.append(pc.less_equal(table["datetime"], pa.scalar(only.until)))
    if only.source:
        below = pc.starts_with(table["source"], only.source.rstrip("/") + "/")
        tests.append(pc.or_(pc.equal(table["source"], only.source), below))
    if not tests:
        return None
    # what has no place or no date is in no box and in no time
    tests = [pc.fill_null(test, False).to_numpy() for test in tests]
    return np.logical_and.reduce(tests)


def checked(model: TwoTower, place: Store | Collection) -> dict:
    """Facts of an archive, or of its copy on a server; RsirError if there is none, or
    it is not of this model."""
    here = isinstance(place, Store)
    facts = place.whole() if here else place.facts()
    if (mark := fingerprint(model)) != facts["model"]:
        raise RsirError(
            f"{place.path if here else place.url}: an archive of another model "
            f"({facts['method']} {facts['model']}, not {type(model).__name__} {mark}); "
            "name its --run, or build it again from these tiles (rsir index build "
            "ARCHIVE --out OTHER)"
        )
    return facts


@torch.inference_mode()
def search(
    model: TwoTower,
    archive: str | Path,
    sentence: str | None = None,
    k: int = 5,
    *,
    like: str | Path | None = None,
    box: Sequence[float] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    source: str | Path | None = None,
    fine: int = 0,
) -> list[Hit]:
    """The k tiles of an archive that fit a query best, ties by id.

    Args:
        model: the one that built the archive, in evaluation mode.
        archive: its folder, or `milvus://host:19530/name`.
        sentence, like: the query, or a picture in its place.
        box: west, south, east, north in degrees; tiles that touch it count.
        since, until: tiles taken in this time count, both ends included.
        source: tiles of this file, or of the files below this folder, count.
        fine: so many tiles are read again by the multi-modal part of the model.

    Raises:
        RsirError: no archive, one of another model, a damaged shard, a filter
            that leaves nothing, or a model that reads no pairs.
    """
    place = Collection(archive) if is_url(archive) else Store(archive)
    facts = checked(model, place)
    pixels = PixelOptions.from_dict(facts["pixels"])
    encoded = encode_query(model, sentence, like, pixels, fine)
    query = as_vectors(one_vector(encoded, model))[0][0]
    only = Only(box, since, until, source and os.path.abspath(source))
    best = _best_there if is_url(archive) else _best
    hits = best(place, query, max(fine, k), only)
    if fine:
        sources = [hit.tile for hit in hits]
        scores = read_again(model, encoded, sources, lambda tile: cut(tile, pixels))
        hits = [hit._replace(score=float(x)) for hit, x in zip(hits, scores)]
        hits.sort(key=lambda hit: -hit.score)
    return hits[:k]


def _cosines(rows: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Scores `[n]` of float16 values `[n, dim]`, to the bit the same wherever they lie.

    One by one and in float64, so that equal rows tie.
    """
    rows = rows.astype(float)
    return (rows * query).sum(axis=1) / np.linalg.norm(rows, axis=1).clip(1e-9)


def _opened(path: Path) -> tuple[pa.Table, Index]:
    """Rows and index of a shard; kept for the next query while there is room."""
    changed = path.stat().st_mtime_ns
    if path in _kept and _kept[path][0] == changed:
        return _kept[path][1:]
    for other in [x for x in _kept if x == path or x.parent != path.parent]:
        del _kept[other]  # as it was, or of another archive
    table = read(path, [*TOLD, "bbox", "embedding"])
    index = Index.build("flat", vectors_of(table))
    sizes = [t.nbytes + i.nbytes() for _, t, i in _kept.values()]
    if sum(sizes) + table.nbytes + index.nbytes() <= ROOM:
        _kept[path] = changed, table, index
    return table, index


def _best(store: Store, query: np.ndarray, k: int, only: Only) -> list[Hit]:
    """The k best of all shards by cosine, ties by id."""
    best, n, undated, unplaced = pa.table({}), 0, 0, 0
    for path in store.shards():
        table, index = _opened(path)
        undated += table["datetime"].null_count
        unplaced += table["bbox"].null_count
        among = _filter(table, only)
        some = len(table) if among is None else int(among.sum())
        n += some
        if not some:
            continue
        part = table.take(index.with_ties(query, k, among))
        scores = pa.array(_cosines(vectors_of(part), query))
        part = part.select(TOLD).append_column("score", scores)
        best = pa.concat_tables([best, part]) if len(best) else part
        best = best.sort_by([("score", "descending"), ("id", "ascending")])[:k]
    if not n:
        where = f"{_none(store.path, only)}; the archive holds {extent(store)}"
        raise RsirError(where)
    _tell_left_out(only, undated, unplaced)
    return [Hit(*both) for both in zip(tiles_of(best), best["score"].to_pylist())]


def _best_there(place: Collection, query: np.ndarray, k: int, only: Only) -> list[Hit]:
    """The k best of a collection by cosine, ties by id."""
    tiles, rows = place.closest(query, k, only)
    if not tiles:
        raise RsirError(_none(place.url, only))
    _tell_left_out(only, *place.without(only))
    hits = [Hit(*both) for both in zip(tiles, _cosines(rows, query).tolist())]
    return sorted(hits, key=lambda hit: (-hit.score, hit.tile.id))[:k]


def _none(where: str | Path, only: Only) -> str:
    of = f"of {only.source} " if only.source else ""
    return f"{where}: no tile {of}is in this box and time"


def _tell_left_out(only: Only, undated: int, unplaced: int) -> None:
    if undated and (only.since or only.until):
        warnings.warn(f"{undated:,} tiles have no date and do not count")
    if unplaced and only.box:
        warnings.warn(f"{unplaced:,} tiles have no coordinates and do not count")


def extent(store: Store) -> str:
    """Where and when the tiles of an archive are, in words."""
    ends, times = [], []
    for path in store.shards():
        table = read(path, ["bbox", "datetime"])
        sides = [pc.struct_field(table["bbox"], name).drop_null() for name in BOX]
        if len(sides[0]):
            ends.append([np.asarray(side) for side in sides])
        times += [x for x in pc.min_max(table["datetime"]).as_py().values() if x]
    place = "no coordinates"
    if ends:
        low = [min(float(e[i].min()) for e in ends) for i in (0, 1)]
        high = [max(float(e[i].max()) for e in ends) for i in (2, 3)]
        place = "W,S,E,N " + ",".join(f"{x:.5g}" for x in low + high)
    when = f"{min(times):%Y-%m-%d} to {max(times):%Y-%m-%d}" if times else "no dates"
    return f"{place} and {when}"


def cut(tile: Tile, pixels: PixelOptions | None):
    """The picture of a tile, from its source; RsirError if that is gone."""
    picture = picture_of(tile.source, tile.window, pixels)
    if picture is None:
        raise RsirError(
            f"{tile.source}: has no data there now; build the archive again"
        )
    return picture


def pixels_of(archive: str | Path) -> PixelOptions | None:
    """How the pictures of an archive are read."""
    place = Collection(archive) if is_url(archive) else Store(archive)
    return PixelOptions.from_dict(place.facts()["pixels"])


def write_geojson(path: Path, hits: Sequence[Hit]) -> int:
    """Write hits with coordinates as polygons, best first; how many they are."""
    features = []
    for rank, hit in enumerate(hits, 1):
        if ring := hit.tile.ring:
            about = {"rank": rank, "score": hit.score, "source": hit.tile.source}
            polygon = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
            more = {k: v for k, v in hit.to_dict().items() if k != "bbox"}
            feature = {"type": "Feature", "geometry": polygon}
            features.append(feature | {"properties": about | more})
    with atomic_write(path) as file:
        json.dump({"type": "FeatureCollection", "features": features}, file, indent=1)
    return len(features)


def pictures_of(hits: Sequence[Hit], pixels: PixelOptions | None) -> list:
    """What hits show, cut from their sources.

    What cannot be cut is the name of its file, and warns.
    """
    pictures = []
    for hit in hits:
        try:
            pictures.append(cut(hit.tile, pixels))
        except RsirError as error:
            warnings.warn(str(error))
            pictures.append(Path(hit.tile.source).name)
    return pictures


def write_sheet(path: Path, hits: Sequence[Hit], pixels, title: str = "") -> None:
    """Write a contact sheet of hits, best first; what cannot be cut is grey."""
    from rsir.plots.core import gallery

    names = [f"{rank}: {hit.score:.3f}" for rank, hit in enumerate(hits, 1)]
    fig = gallery(pictures_of(hits, pixels), names, title=title)
    with atomic_write(path, "wb") as file:
        fig.savefig(file, format="png", bbox_inches="tight", dpi=110)
