"""Scenes of a few tiles, a model that knows red, and archives of both."""

import numpy as np
import pytest
from PIL import Image
from skips import skip_or_fail
from tiny import Mean

try:  # tests take these from here, so that a lack of them skips and does not break
    import geopandas  # noqa: F401
    import pyarrow.parquet as pq
    import rasterio  # noqa: F401
    import shapely  # noqa: F401
    from pyproj import Transformer  # noqa: F401
    from rasterio import Affine

    from rsir.archive import build as room
    from rsir.archive.scenes import write_geotiff
    from rsir.archive.store import Store
except (ImportError, ValueError) as error:  # an RsirError names what is missing
    skip_or_fail(str(error))

UTM, METRE = "EPSG:32632", 10.0
GREY = (90, 100, 110)


def placed(path, array, west=500_000, north=5_300_000, crs=UTM, **more):
    """Write a scene of 10 m pixels."""
    grid = Affine(METRE, 0, west, 0, -METRE, north)
    write_geotiff(path, array, crs, grid, **more)
    return path


def ground(height=160, width=200, red=(), noise=6):
    """Grey ground with a red square of 32 pixels at each (row, column)."""
    rng = np.random.default_rng(0)
    array = np.array(GREY) + rng.normal(0, noise, (height, width, 3))
    for row, column in red:
        array[row : row + 32, column : column + 32] = (220, 30, 30)
    return array.clip(1, 255).astype(np.uint8)


@pytest.fixture
def model():
    return Mean()


@pytest.fixture
def scene(tmp_path):
    """Red at row 64, column 96: of tiles of 32 pixels, the tile (2, 3)."""
    return placed(tmp_path / "scenes" / "S_20240501.tif", ground(red=[(64, 96)]))


@pytest.fixture
def folder(tmp_path):
    """Seven pictures without coordinates; the last is the reddest."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(7):
        Image.new("RGB", (40, 40), (30 * i, 100, 100)).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def build(model, tmp_path):
    """Build an archive of tiles of 32 pixels; what `build` gave."""

    def run(*sources, out=tmp_path / "archive", model=model, **more):
        more = {"tile": 32, "overlap": 0, "progress": False} | more
        return room.build(model, sources, out, **more)

    run.out = tmp_path / "archive"
    return run


@pytest.fixture
def archive(build, scene, folder):
    """Forty-two tiles, 35 of them with coordinates."""
    build(scene, folder)
    return build.out


def rows(archive):
    """All rows by id, with plain values."""
    table = pq.read_table(archive)
    names = ["datetime", "geometry", "embedding", "code", "source", "window"]
    found = {row["id"]: tuple(map(row.get, names)) for row in table.to_pylist()}
    assert len(found) == len(table)
    return found


def left_out(archive):
    """(file name, window, cause) of what is left out."""
    lines = Store(archive).left_out().values()
    return sorted((line[1].rsplit("/", 1)[-1], *line[2:]) for line in lines)
