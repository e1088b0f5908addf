"""Tiles of scenes and pictures to rows of an archive.

Work goes to an executor of `concurrent.futures` in batches, and only this
process writes. Each tile is embedded once for a model: a killed build goes on
where it was, and one that finds nothing new does nothing.
"""

import os
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import groupby, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from rsir.archive.scenes import (
    RASTER,
    Tile,
    check_layout,
    check_scene,
    measured,
    opened,
    picture_tile,
    read_window,
    scene_tiles,
    stamp,
    tile_id,
)
from rsir.archive.store import (
    NO_DATA,
    SHARD,
    Store,
    as_vectors,
    columns_of,
    facts_of,
    read,
    tiles_of,
    to_table,
)
from rsir.data.images import SUFFIXES, ImageFolder, PixelOptions, open_image
from rsir.models.base import TwoTower
from rsir.retrieval.index import fingerprint, picture_rows
from rsir.training.checkpoints import load_run
from rsir.utils.errors import RsirError
from rsir.utils.io import locked
from rsir.utils.progress import track

BATCH = 8  # tiles a job on a CPU, eight times as many on a GPU: more only take memory
PART = 1024  # tiles that are written at a time: what a kill can cost
TILE, OVERLAP = 256, 0.25


class Built(NamedTuple):
    """What a build did."""

    tiles: int  # in the archive
    new: int  # of these, embedded now
    empty: int  # tiles without data, not in it
    unreadable: int  # tiles and files that could not be read, not in it
    seconds: float


class Source(NamedTuple):
    """A file with tiles: a "scene", a "picture" or a "table"."""

    kind: str
    path: Path


# -- one batch, here or on another machine -----------------------------------


class Batch(NamedTuple):
    """Rows of some tiles."""

    model: str  # fingerprint
    kept: list[int]  # which of the tiles have rows
    embedding: np.ndarray  # float16 [n, dim], of length one
    code: np.ndarray  # packed uint8 [n, bytes]
    left_out: list[tuple[int, str]]  # which have none, and why


def pictures(
    tiles: Iterable[Tile], pixels: PixelOptions
) -> Iterator[Image.Image | str]:
    """Each tile's picture, or why there is none; a file is opened once in a row."""
    for source, group in groupby(tiles, key=lambda tile: tile.source):
        left = deque(tile.window for tile in group)
        while left:
            window = left.popleft()
            try:
                if window is None:
                    yield open_image(source, pixels)
                    continue
                with opened(source) as scene:
                    yield read_window(scene, window, pixels) or NO_DATA
                    while left:
                        window = left.popleft()
                        yield read_window(scene, window, pixels) or NO_DATA
            except RsirError as error:  # this tile; GDAL wants a file opened anew
                yield str(error)


@lru_cache(maxsize=2)
def _model(run: str) -> tuple[TwoTower, str]:
    model = load_run(run)
    return model, fingerprint(model)


def embed(model: TwoTower | str, tiles: Sequence[Tile], pixels: PixelOptions) -> Batch:
    """Rows of some tiles; `model`, or the run folder that a worker loads once."""
    mark = ""
    if isinstance(model, str):
        model, mark = _model(model)
    found = list(pictures(tiles, pixels))
    kept = [i for i, one in enumerate(found) if not isinstance(one, str)]
    left_out = [(i, one) for i, one in enumerate(found) if isinstance(one, str)]
    if not kept:
        return Batch(mark, [], np.empty(0), np.empty(0), left_out)
    names = [f"{tiles[i].source} {tiles[i].window or ''}" for i in kept]
    rows = picture_rows(model, [found[i] for i in kept], names)
    unit, code = as_vectors(rows)
    return Batch(mark, kept, unit.astype(np.float16), code, left_out)


@contextmanager
def pool(cluster: str | None = None) -> Iterator[tuple[Executor, int]]:
    """An executor and how many jobs to have under way.

    cluster: address of a Dask scheduler; None: two threads, so that one reads
        while the other computes.
    """
    if cluster is None:
        with ThreadPoolExecutor(2) as executor:
            yield executor, 3
        return
    try:
        from distributed import Client
    except ImportError:
        raise RsirError(
            "--cluster needs dask and distributed; pip install 'rsir[cluster]'"
        ) from None
    try:
        client = Client(cluster, timeout=20)
    except (OSError, ValueError) as error:
        why = " ".join(str(error).split())[:200]
        raise RsirError(
            f"--cluster {cluster}: no scheduler answers ({why}); start one with dask "
            "scheduler, and workers with dask worker"
        ) from None
    with client, client.get_executor() as executor:
        yield executor, 2 * max(1, sum(client.ncores().values()))


def in_turn(executor: Executor, jobs: Iterable[tuple], most: int) -> Iterator:
    """(tiles, `embed` of them) of jobs in their order, a few under way at a time."""
    waiting = deque()
    try:
        for job in jobs:
            waiting.append((job[1], executor.submit(embed, *job)))
            if len(waiting) >= most:
                tiles, future = waiting.popleft()
                yield tiles, future.result()
        while waiting:
            tiles, future = waiting.popleft()
            yield tiles, future.result()
    finally:
        for _, future in waiting:
            future.cancel()


# -- what there is to do ---------------------------------------------------------


def find_sources(
    paths: Sequence[str | Path], pixels: PixelOptions
) -> tuple[list[Source], list[tuple[Tile, str]]]:
    """Files below what was named, and (tile, cause) of those that will not do.

    Raises:
        RsirError: a file that was named itself will not do; or there is none.
    """
    found, bad = [], []

    def scene(path: Path) -> Source:
        with opened(path) as raster:
            check_scene(raster, pixels)
        return Source("scene", path)

    for path in (Path(os.path.abspath(path)) for path in paths):
        if not path.is_dir():
            _check_file(path)
        if path.is_dir() and Store.is_at(path):
            found += [Source("table", shard) for shard in Store(path).shards()]
        elif path.is_dir():
            for image in ImageFolder(path).images:
                try:
                    _check_file(image)
                    placed = image.suffix.lower() in RASTER and _has_crs(image)
                    found.append(scene(image) if placed else Source("picture", image))
                except RsirError as error:
                    bad.append((_whole(image), str(error)))
        elif path.suffix.lower() == ".parquet":
            found.append(Source("table", path))
        elif path.suffix.lower() in set(SUFFIXES) - set(RASTER):
            found.append(Source("picture", path))
        else:
            found.append(scene(path))
    if not found and not bad:
        named = ", ".join(map(str, paths))
        raise RsirError(f"{named}: no pictures ({', '.join(SUFFIXES)}) and no tiles")
    return list(dict.fromkeys(found)), bad


def _whole(path: Path) -> Tile:
    now = stamp(path) if path.exists() else _said(path)
    return Tile(tile_id(now, None), _said(path), None, None, None)


def _said(path: Path) -> str:
    return str(path).encode("utf-8", "backslashreplace").decode()


def _check_file(path: Path) -> None:
    if _said(path) != str(path):
        raise RsirError(f"{_said(path)}: its name is no UTF-8; rename it")
    if not path.exists():
        raise RsirError(f"{path}: no such file or folder")


def _has_crs(path: Path) -> bool:
    try:
        with opened(path) as raster:
            return raster.crs is not None
    except RsirError:
        return False  # GDAL does not know it; perhaps the readers of pictures do


def tiles_in(source: Source, tile: int, overlap: float) -> Iterator[Tile]:
    """The tiles of one file."""
    if source.kind == "scene":
        yield from scene_tiles(source.path, tile, overlap)
    elif source.kind == "picture":
        yield picture_tile(source.path)
    else:
        names = columns_of(source.path)
        lacks = {"id", "source", "window"} - set(names)
        if lacks:
            raise RsirError(
                f"{source.path}: no table of tiles, it lacks the column(s) "
                f"{', '.join(sorted(lacks))}; give scenes, or an archive of "
                "rsir index build"
            )
        wanted = [n for n in names if n not in ("embedding", "code", "bbox")]
        yield from tiles_of(read(source.path, wanted))


def settle(
    known: dict | None,
    model: TwoTower,
    tile: int | None,
    overlap: float | None,
    pixels: PixelOptions | None,
    where: Path,
) -> dict:
    """Facts of the archive: what is asked, else what is there, else defaults.

    Raises:
        RsirError: what is asked differs from what is there, or makes no sense.
    """
    known = known or {}
    asked = {"model": fingerprint(model), "tile": tile, "overlap": overlap}
    if pixels and pixels.percentiles and known:  # they were measured at the start
        pixels = PixelOptions(pixels.bands, (known["pixels"] or {}).get("scale"))
    asked["pixels"] = pixels and pixels.to_dict()
    for name, value in asked.items():
        if known and value is not None and known[name] != value:
            raise RsirError(
                f"{where}: an archive of another {name} ({known[name]}, not {value}); "
                "name another --out, or leave the option as it was"
            )
    facts = {"method": type(model).__name__, "tile": TILE, "overlap": OVERLAP}
    facts |= {"pixels": None} | known
    facts |= {name: value for name, value in asked.items() if value is not None}
    check_layout(facts["tile"], facts["overlap"])
    return facts


# -- the build -------------------------------------------------------------------


def build(
    model: TwoTower,
    sources: Sequence[str | Path],
    out: str | Path,
    *,
    tile: int | None = None,
    overlap: float | None = None,
    pixels: PixelOptions | None = None,
    strict: bool = False,
    run: str | Path | None = None,
    cluster: str | None = None,
    progress: bool = True,
) -> Built:
    """Put the tiles of sources into an archive; goes on after a kill.

    Args:
        model: in evaluation mode.
        sources: folders of pictures and scenes, scenes, pictures, archives or
            files of one (their tiles are read again from the scenes).
        out: the folder of the archive.
        tile, overlap: side in pixels (256), and the share of it that two
            neighbours have in common (0.25); None: as the archive has it.
        pixels: bands and scale; None: as the archive has it.
        strict: stop at what cannot be read; else `_left_out.csv` lists it.
        run: the run folder of the model; `cluster` needs it.
        cluster: see `pool`.

    Raises:
        RsirError: a source that will not do, an archive of another model or
            layout, another build at work, or no place to write.
    """
    began, store = time.perf_counter(), Store(out)
    if cluster and not run:
        raise RsirError("--cluster: name a --run folder that all workers can read")
    known = store.facts()
    kept = PixelOptions.from_dict(known and known["pixels"])
    tables = [p for p in map(Path, sources) if p.suffix == ".parquet" or p.is_dir()]
    if not known and (table := next(filter(_facts_at, tables), None)):
        old = _facts_at(table)  # the same tiles, by another model
        tile = old["tile"] if tile is None else tile
        overlap = old["overlap"] if overlap is None else overlap
        pixels = pixels or PixelOptions.from_dict(old["pixels"])
    found, bad = find_sources(sources, pixels or kept or PixelOptions())
    facts = settle(known, model, tile, overlap, pixels, store.path)
    if strict and bad:
        raise RsirError(bad[0][1])
    with locked(store.path / ".lock", "the archive", wait=0):
        pixels = PixelOptions.from_dict(facts["pixels"]) or PixelOptions()
        if pixels.percentiles:
            scenes = [s.path for s in found if s.kind == "scene"]
            files = [s.path for s in found if s.kind == "picture"]
            pixels = measured(pixels, scenes, files)
            facts["pixels"] = pixels.to_dict()
        done, here = store.known(), defaultdict(set)
        for name, source in done.items():
            here[source].add(name)
        empty = {x[0] for x in store.left_out().values() if x[3] == NO_DATA}
        layout, todo, stale = (facts["tile"], facts["overlap"]), 0, set()
        current = {tile.id for tile, _ in bad}
        for source in track(found, f"looking at {len(found):,} files", show=progress):
            ids = {tile.id for tile in tiles_in(source, *layout)}
            todo += len(ids - done.keys() - empty - current)
            current |= ids
            if source.kind != "table":
                stale |= here[str(source.path)] - ids
        store.drop(stale)  # of files that have changed
        store.join_parts(whole=False)
        store.note_left_out(bad)
        seen = set(done) - stale | empty
        tiles = (tile for source in found for tile in tiles_in(source, *layout))
        tiles = (t for t in tiles if t.id not in seen and not seen.add(t.id))
        what = str(run) if cluster else model
        size = BATCH * (8 if next(model.parameters()).is_cuda else 1)
        batches = iter(lambda: list(islice(tiles, size)), [])
        jobs = ((what, batch, pixels) for batch in batches)
        with pool(cluster) as (executor, most):
            work = _write(store, facts, in_turn(executor, jobs, most), strict)
            label = f"embedding {todo:,} tiles"
            new = sum(track(work, label, total=todo, show=progress))
        store.join_parts()
        ids = store.known().keys()
        looked_at = {str(s.path) for s in found} | {tile.source for tile, _ in bad}
        left_out = [
            line
            for name, line in store.left_out().items()
            if name not in ids
            and (name in current or line[1] not in looked_at and Path(line[1]).exists())
        ]
        store.write_left_out(left_out)
    n_empty = sum(line[3] == NO_DATA for line in left_out)
    if not ids:
        cause = f"; the first: {left_out[0][3]}" if left_out else ""
        raise RsirError(f"{out}: no tile could be taken{cause}")
    seconds = time.perf_counter() - began
    return Built(len(ids), new, n_empty, len(left_out) - n_empty, seconds)


def _facts_at(path: Path) -> dict | None:
    """Facts of an archive, or of a file of one; None for anything else."""
    try:
        return Store(path).facts() if path.is_dir() else facts_of(path)
    except RsirError:
        return None


def _write(store: Store, facts: dict, batches: Iterable, strict: bool) -> Iterator[int]:
    """Write what comes; gives 1 for each tile embedded and 0 for one left out."""
    rows, n, in_parts = [], 0, 0

    def flush():
        nonlocal rows, n
        if rows:
            tiles, embeddings, codes = zip(*rows)
            table = to_table(
                sum(tiles, []), np.concatenate(embeddings), np.concatenate(codes)
            )
            store.write(table, facts, part=True)
        rows, n = [], 0

    try:
        for tiles, batch in batches:
            if batch.model not in ("", facts["model"]):
                raise RsirError(
                    f"a worker read another model ({batch.model}, not "
                    f"{facts['model']}) from --run; give all the same folder"
                )
            left_out = [(tiles[i], cause) for i, cause in batch.left_out]
            bad = [cause for _, cause in left_out if cause != NO_DATA]
            if strict and bad:
                raise RsirError(bad[0])
            store.note_left_out(left_out)
            if batch.kept:
                own = [tiles[i] for i in batch.kept]
                rows.append((own, batch.embedding, batch.code))
                n += len(own)
            if n >= PART:
                in_parts += n
                flush()
            if in_parts >= SHARD:
                store.join_parts(whole=False)
                in_parts = 0
            yield from [1] * len(batch.kept) + [0] * len(left_out)
    finally:
        flush()  # what is done is kept, whatever stopped the rest
