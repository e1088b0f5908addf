"""Where in a scene is what a sentence says? A map of scores.

Overlapping windows are scored against the sentence; a cell of the map has the
mean score of the windows over it. (Semantic localisation, as in Yuan et al.,
"Learning to Evaluate Performance of Multi-modal Semantic Localization", TGRS
2022, without their filtering and several scales.)
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from rasterio import Affine

from rsir.archive.build import BATCH, pictures
from rsir.archive.scenes import (
    check_layout,
    check_scene,
    measured,
    opened,
    read_window,
    scene_tiles,
    write_geotiff,
)
from rsir.archive.store import NO_DATA, as_vectors
from rsir.data.images import PixelOptions
from rsir.models.base import TwoTower
from rsir.retrieval.index import encode_sentence, one_vector, picture_rows
from rsir.utils.errors import RsirError
from rsir.utils.io import atomic_write
from rsir.utils.progress import track

SHOWN = 1024  # longest side of the picture beside the map, in pixels


class Heat(NamedTuple):
    """A map of scores over a scene."""

    scores: np.ndarray  # float32 [rows, columns], NaN where there are no data
    cell: int  # side of a cell, in pixels of the scene
    unread: int  # windows that could not be read


@torch.inference_mode()
def locate(
    model: TwoTower,
    scene: str | Path,
    sentence: str,
    *,
    tile: int = 256,
    overlap: float = 0.5,
    pixels: PixelOptions | None = None,
    progress: bool = True,
) -> Heat:
    """Score the windows of a scene against a sentence.

    Args:
        model: in evaluation mode, one that gives a vector or a code.
        tile, overlap: of the windows, see `cell_of`.
        pixels: bands and scale of the scene.

    Raises:
        RsirError: a scene that will not do, or one without any data.
    """
    path, pixels = Path(scene).absolute(), pixels or PixelOptions()
    check_layout(tile, overlap)
    with opened(path) as raster:
        check_scene(raster, pixels)
        height, width = raster.shape
    pixels = measured(pixels, [path], [])
    query = as_vectors(one_vector(encode_sentence(model, sentence), model))[0][0]
    tiles, scores, unread = list(scene_tiles(path, tile, overlap)), {}, 0
    starts = track(range(0, len(tiles), BATCH), "scoring windows", show=progress)
    for some in (tiles[start : start + BATCH] for start in starts):
        found = dict(zip((t.window for t in some), pictures(some, pixels)))
        good = {w: one for w, one in found.items() if isinstance(one, Image.Image)}
        unread += sum(isinstance(x, str) and x != NO_DATA for x in found.values())
        if good:
            names = [f"{path} {window}" for window in good]
            rows = as_vectors(picture_rows(model, list(good.values()), names))[0]
            scores |= zip(good, rows @ query)
    if not scores:
        raise RsirError(f"{path}: no window has data that can be read")
    cell = cell_of(tile, overlap)
    return Heat(mean_over(scores, width, height, cell), cell, unread)


def cell_of(tile: int, overlap: float) -> int:
    """Side of a cell, in pixels: the step of the windows, or what two share, if less.

    A wider cell would take the score of a window that is not centred on it.
    """
    step = max(1, round(tile * (1 - overlap)))
    shared = tile - step
    return min(step, max(shared, tile // 16, 1)) if shared else step


def mean_over(scores: dict, width: int, height: int, cell: int) -> np.ndarray:
    """Mean score of the windows over the middle of each cell, float32.

    scores: of windows (column, row, width, height).
    """
    x, y = (
        np.minimum(np.arange(-(-side // cell)) * cell + cell / 2, side - 0.5)
        for side in (width, height)
    )
    total = np.zeros((len(y), len(x)))
    count = np.zeros((len(y), len(x)))
    for (column, row, w, h), score in scores.items():
        across = slice(*np.searchsorted(x, (column, column + w)))
        down = slice(*np.searchsorted(y, (row, row + h)))
        total[down, across] += score
        count[down, across] += 1
    with np.errstate(invalid="ignore"):
        return (total / count).astype(np.float32)


def write_heat(heat: Heat, scene: str | Path, out: str | Path, pixels=None) -> Path:
    """Write a map as GeoTIFF with the scene's CRS, and a picture beside it.

    The picture, `out` with the suffix .png, shows it over the scene. Returns its
    path.
    """
    out, pixels = Path(out), pixels or PixelOptions()
    with opened(scene) as raster:
        t = raster.transform
        grid = Affine(t.a * heat.cell, 0, t.c, 0, t.e * heat.cell, t.f)
        write_geotiff(out, heat.scores, raster.crs, grid, nodata=float("nan"))
        pixels = measured(pixels, [Path(scene)], [])
        whole = (0, 0, raster.width, raster.height)
        size = raster.width, raster.height
        ground = read_window(raster, whole, pixels, most=SHOWN)
        ground = ground or Image.new("RGB", size)  # all data between the samples
    picture = over(heat, ground, size)
    with atomic_write(out.with_suffix(".png"), "wb") as file:
        picture.save(file, "PNG")
    return out.with_suffix(".png")


def over(heat: Heat, ground: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A map over the picture of a scene of `size` (width, height) pixels.

    The higher the score, the stronger its colour, from the lowest of the map to
    its highest.
    """
    from matplotlib import colormaps

    known = np.isfinite(heat.scores)
    low, high = heat.scores[known].min(), heat.scores[known].max()
    unit = np.where(known, (heat.scores - low) / max(high - low, 1e-9), 0)
    # cells over the scene's edge are cut where it ends
    scale = ground.width / size[0] * heat.cell
    wide, tall = (max(1, round(n * scale)) for n in heat.scores.shape[::-1])
    layer = Image.fromarray(unit.astype(np.float32))
    layer = layer.resize((wide, tall), Image.Resampling.BILINEAR)
    unit = np.asarray(layer)[: ground.height, : ground.width]
    base = np.asarray(ground, float)[: unit.shape[0], : unit.shape[1]]
    share = 0.75 * unit[..., None].clip(0, 1) ** 2
    colour = 255 * colormaps["inferno"](unit)[..., :3]
    return Image.fromarray((base * (1 - share) + colour * share).astype(np.uint8))
