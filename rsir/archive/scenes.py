"""Scenes: rasters with coordinates, read a window at a time.

A scene is what GDAL opens and what has a CRS, north up. A picture without
coordinates is read whole, by `rsir.data.images`; the rules for bands, scale and
transparency are the same for both.
"""

import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio
from PIL import Image
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.warp import transform
from rasterio.windows import Window

from rsir.data.images import PixelOptions, open_image
from rsir.utils.errors import RsirError

CACHE = 64  # MB of decoded blocks that GDAL keeps, however large the scene
CRS84 = "OGC:CRS84"  # longitude, latitude
RASTER = (".tif", ".tiff", ".jp2")  # may be scenes; a PNG or JPEG is a picture
_DATE = re.compile(
    r"(?<!\d)((?:19|20)\d\d)([-_:]?)(\d\d)\2(\d\d)"
    r"(?:[T_ ]?(\d\d):?(\d\d):?(\d\d))?(?!\d)"
)
_TAKEN = (
    ("IMAGERY", "ACQUISITIONDATETIME"),
    (None, "ACQUISITIONDATETIME"),
    (None, "DATE_ACQUIRED"),
    (None, "PRODUCT_START_TIME"),
    (None, "TIFFTAG_DATETIME"),
)
# once, since filters belong to all threads: what rasterio says beside its errors
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)
logging.getLogger("rasterio").setLevel(logging.CRITICAL)
_EXIF_TAKEN, _EXIF_CHANGED, _EXIF_IFD = 36867, 306, 34665


class Tile(NamedTuple):
    """A piece of a scene, or a whole picture."""

    id: str  # of file, its state, and window: 16 hex digits
    source: str  # absolute path
    window: tuple[int, int, int, int] | None  # column, row, width, height
    ring: tuple[tuple[float, float], ...] | None  # corners, longitude, latitude
    datetime: datetime | None  # when it was taken, UTC


@contextmanager
def opened(path: str | Path) -> Iterator[rasterio.DatasetReader]:
    """A raster, open for reading; what GDAL raises meanwhile is an RsirError."""
    with rasterio.Env(GDAL_CACHEMAX=CACHE), _gdal_errors(path):
        with rasterio.open(path) as scene:
            yield scene


@contextmanager
def _gdal_errors(path: str | Path):
    try:
        yield
    except RasterioError as error:
        why = " ".join(str(error.__cause__ or error).split())
        why = why.replace(f"'{path}' ", "").replace(f"{path}: ", "")
        raise RsirError(
            f"{path}: cannot be read as a raster ({why}); fetch it again, or leave it "
            "out"
        ) from None


def check_scene(scene: rasterio.DatasetReader, pixels: PixelOptions) -> None:
    """RsirError unless tiles of it have a place and can be read."""
    if scene.crs is None:
        raise RsirError(
            f"{scene.name}: no CRS, so its tiles have no place on earth; give it one "
            "(gdal_edit.py -a_srs EPSG:CODE FILE), or name its folder to take it as "
            "one picture"
        )
    t = scene.transform
    if t.b or t.d or t.a <= 0 or t.e >= 0:
        raise RsirError(
            f"{scene.name}: a rotated transform (north is not up); turn it first "
            "(gdalwarp FILE NORTH_UP.tif)"
        )
    bands_of(scene, pixels)


def bands_of(scene: rasterio.DatasetReader, pixels: PixelOptions) -> tuple[int, ...]:
    """The bands to read, by the rules of `rsir.data.images`; else RsirError."""
    kinds, n = scene.colorinterp, scene.count
    alpha = ColorInterp.alpha in kinds
    plain = n in (1, 3) or (n == 2 and alpha)
    plain |= n == 4 and (alpha or kinds[0] == ColorInterp.red)
    bands = pixels.bands or ((1, 2, 3) if n > 2 else (1,))
    if max(bands) > n:
        raise RsirError(
            f"{scene.name} has {n} band(s), so there is no band {max(bands)}; correct "
            f"--bands {','.join(map(str, bands))}"
        )
    lacks = []
    if not (plain or pixels.bands):
        lacks.append("--bands R,G,B such as 3,2,1")
    kind = scene.dtypes[bands[0] - 1]
    if kind != "uint8" and not (pixels.scale or pixels.percentiles):
        lacks.append("--scale LOW,HIGH, the values of black and white")
    if lacks:
        raise RsirError(
            f"{scene.name} has {n} band(s) of type {kind}, not 8 bits in grey or RGB; "
            f"give {' and '.join(lacks)}"
        )
    if kind.startswith("complex"):
        raise RsirError(f"{scene.name} has complex values; write their amplitude first")
    if ColorInterp.palette in kinds:
        raise RsirError(
            f"{scene.name} has a palette; write it as RGB first (gdal_translate "
            "-expand rgb)"
        )
    return bands


def read_window(
    scene: rasterio.DatasetReader,
    window: Sequence[int],
    pixels: PixelOptions,
    most: int | None = None,
) -> Image.Image | None:
    """A window of a scene in mode RGB, black where it has no data; None if all is.

    Data are absent where a mask, nodata value, alpha band or NaN says so. Where
    a file says nothing of the kind, a window of zeros alone has none.
    `most`: longest side of what is read, in pixels; None: all there are.
    """
    bands, (column, row, width, height) = bands_of(scene, pixels), window
    shrink = min(1, most / max(width, height)) if most else 1
    shape = max(1, round(height * shrink)), max(1, round(width * shrink))
    how = {"window": Window(column, row, width, height)}
    with _gdal_errors(scene.name):
        values = scene.read(list(bands), out_shape=(len(bands), *shape), **how)
        valid = scene.dataset_mask(out_shape=shape, **how) > 0
    if values.dtype.kind == "f":
        valid &= np.isfinite(values).all(axis=0)
    if all(MaskFlags.all_valid in scene.mask_flag_enums[b - 1] for b in bands):
        valid &= bool(values.any())
    if not valid.any():
        return None
    if values.dtype != np.uint8:
        low, high = pixels.scale
        unit = np.nan_to_num((values.astype(float) - low) / (high - low))
        values = np.rint(255 * unit.clip(0, 1)).astype(np.uint8)
    values[:, ~valid] = 0
    if len(bands) == 1:
        return Image.fromarray(values[0]).convert("RGB")
    return Image.fromarray(np.ascontiguousarray(values.transpose(1, 2, 0)))


def picture_of(
    source: str | Path, window: Sequence[int] | None, pixels: PixelOptions | None
) -> Image.Image | None:
    """The picture of a tile, cut from its source; None where it has no data."""
    if window is None:
        return open_image(source, pixels)
    with opened(source) as scene:
        return read_window(scene, window, pixels or PixelOptions())


def measured(pixels: PixelOptions, scenes: Sequence[Path], pictures) -> PixelOptions:
    """`scale` where percentiles are asked, over up to 200 scenes or pictures."""
    if pixels.percentiles and not [*scenes, *pictures]:
        raise RsirError("--scale LOW%,HIGH%: nothing to measure it on; give two values")
    if pixels.percentiles is None or not scenes:
        return pixels.measured(pictures)
    some = []
    for path in scenes[:: max(1, len(scenes) // 200)]:
        with opened(path) as scene:
            bands = bands_of(scene, pixels)
            shape = [min(512, side) for side in scene.shape]
            values = scene.read(
                list(bands), out_shape=(len(bands), *shape), masked=True
            )
            some.append(values.compressed().astype(float))
    values = np.concatenate(some)
    values = values[np.isfinite(values)]
    if not values.size:
        raise RsirError("--scale: the scenes hold no data to measure percentiles on")
    scale = tuple(np.percentile(values, pixels.percentiles).tolist())
    return replace(pixels, scale=scale, percentiles=None)


def starts(length: int, tile: int, step: int) -> list[int]:
    """Where tiles begin along a side; the last one ends where the side ends."""
    found = list(range(0, max(length - tile, 0) + 1, step))
    return found if found[-1] + tile >= length else [*found, length - tile]


def check_layout(tile: int, overlap: float) -> None:
    """RsirError unless tiles can be cut so."""
    if tile < 1 or not 0 <= overlap < 1:
        raise RsirError(
            f"--tile {tile} --overlap {overlap}: give a number of pixels, and a share "
            "from 0 to below 1"
        )


def windows(width: int, height: int, tile: int, overlap: float) -> Iterator[list]:
    """Windows (column, row, width, height) over a scene, one list a row of tiles.

    All are `tile` pixels wide and high, if the scene is: those at the right and
    at the bottom overlap more.
    """
    step = max(1, round(tile * (1 - overlap)))
    across = starts(width, tile, step)
    w, h = min(tile, width), min(tile, height)
    for row in starts(height, tile, step):
        yield [(column, row, w, h) for column in across]


def stamp(path: Path) -> str:
    """A file as it is now: its place, size, and when it was last written."""
    facts = path.stat()
    return f"{path} {facts.st_size} {facts.st_mtime_ns}"


def tile_id(stamp: str, window: tuple | None) -> str:
    """Names a tile of a file in one state."""
    text = f"{stamp} {window}".encode("utf-8", "surrogateescape")
    return sha256(text).hexdigest()[:16]


def scene_tiles(path: Path, tile: int, overlap: float) -> Iterator[Tile]:
    """The tiles of a scene, row by row."""
    with opened(path) as scene:
        when, crs, to_map = date_of(scene), scene.crs, scene.transform
        rows = windows(scene.width, scene.height, tile, overlap)
    now = stamp(path)
    for row in rows:
        c, r, w, h = np.array(row, float).T
        # corners, counter-clockwise from the upper left
        x = to_map.c + to_map.a * np.stack([c, c, c + w, c + w])
        y = to_map.f + to_map.e * np.stack([r, r + h, r + h, r])
        lon, lat = (
            np.reshape(side, x.shape).T
            for side in transform(crs, CRS84, x.ravel(), y.ravel())
        )
        # over the antimeridian, or off the map, a ring would be wrong
        there = np.isfinite(lon + lat).all(axis=1) & (np.ptp(lon, axis=1) < 180)
        for window, x, y, known in zip(row, lon.tolist(), lat.tolist(), there):
            ring = tuple(zip(x, y)) if known else None
            yield Tile(tile_id(now, window), str(path), window, ring, when)


def picture_tile(path: Path) -> Tile:
    """A picture without coordinates, as one tile."""
    when = None
    try:
        with Image.open(path) as image:
            exif = image.getexif()
            taken = exif.get_ifd(_EXIF_IFD).get(_EXIF_TAKEN) or exif.get(_EXIF_CHANGED)
            when = parse_date(str(taken or ""))
    except Exception:  # it is told when the picture is read
        pass
    when = when or parse_date(path.stem)
    return Tile(tile_id(stamp(path), None), str(path), None, None, when)


def parse_date(text: str) -> datetime | None:
    """The first date in a text, with a time if one follows; UTC."""
    for found in _DATE.finditer(text):
        year, _, *rest = found.groups()
        try:
            return datetime(int(year), *(int(x) for x in rest if x), tzinfo=UTC)
        except ValueError:  # no such day
            continue
    return None


def date_of(scene: rasterio.DatasetReader) -> datetime | None:
    """When a scene was taken: what its metadata say, else its file name."""
    texts = [scene.tags(ns=space).get(key, "") for space, key in _TAKEN]
    texts.append(Path(scene.name).stem)
    return next(filter(None, map(parse_date, texts)), None)


def write_geotiff(path: str | Path, array: np.ndarray, crs, transform, **more) -> None:
    """Write `[H, W]` or `[H, W, bands]` with coordinates, tiled and compressed.

    Args:
        crs, transform: as rasterio takes them.
        more: other options of its profile, such as nodata.
    """
    bands = np.atleast_3d(array).transpose(2, 0, 1)
    profile = {"driver": "GTiff", "crs": crs, "transform": transform}
    profile |= {"count": len(bands), "dtype": bands.dtype, "compress": "deflate"}
    profile |= {"height": bands.shape[1], "width": bands.shape[2]}
    if min(bands.shape[1:]) >= 256:
        profile |= {"tiled": True, "blockxsize": 256, "blockysize": 256}
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    try:
        with rasterio.open(path, "w", **profile | more) as file:
            file.write(bands)
    except RasterioError as error:
        raise RsirError(f"{path}: cannot be written ({error})") from None
