"""Windows, their places and their pixels, against plain loops."""

from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image
from small_scenes import (  # noqa: F401
    METRE,
    UTM,
    Transformer,
    ground,
    placed,
    rasterio,
    scene,
)

from rsir.archive.scenes import (
    date_of,
    measured,
    opened,
    parse_date,
    picture_of,
    picture_tile,
    scene_tiles,
    starts,
    windows,
    write_geotiff,
)
from rsir.data.images import PixelOptions, open_image
from rsir.utils.errors import RsirError


@pytest.mark.parametrize(
    "length, tile, overlap", [(160, 32, 0), (161, 32, 0.25), (20, 32, 0.5), (64, 64, 0)]
)
def test_tiles_cover_a_side_and_stay_within(length, tile, overlap):
    step = max(1, round(tile * (1 - overlap)))
    found, covered = starts(length, tile, step), np.zeros(length, bool)
    for start in found:
        assert start >= 0 and (start + tile <= length or length < tile)
        covered[start : start + tile] = True
    assert covered.all() and len(set(found)) == len(found)
    grid = [w for row in windows(length, length, tile, overlap) for w in row]
    assert len(grid) == len(found) ** 2
    assert {(w[2], w[3]) for w in grid} == {(min(tile, length),) * 2}


def test_a_tile_lies_where_the_map_says(scene):
    tiles = list(scene_tiles(scene, 32, 0))
    assert len(tiles) == 5 * 7 == len({tile.id for tile in tiles})
    to_degrees = Transformer.from_crs(UTM, "OGC:CRS84", always_xy=True)
    for tile in tiles[::9]:
        column, row, width, height = tile.window
        for (lon, lat), (dx, dy) in zip(tile.ring, [(0, 0), (0, 1), (1, 1), (1, 0)]):
            x = 500_000 + METRE * (column + dx * width)
            y = 5_300_000 - METRE * (row + dy * height)
            assert (lon, lat) == pytest.approx(to_degrees.transform(x, y), abs=1e-9)


def test_a_tile_over_the_antimeridian_has_no_ring(tmp_path):
    # zone 60 ends at 180 degrees; 834 km east of its false origin on the equator
    path = placed(tmp_path / "a.tif", ground(32, 96), 833_600, 10_000, "EPSG:32660")
    first, second, third = scene_tiles(path, 32, 0)
    assert first.ring and not second.ring and third.ring
    assert first.ring[2][0] > 179.99 and third.ring[0][0] < -179.99


def test_a_scene_in_degrees_has_its_longitudes_first(tmp_path):
    grid = rasterio.Affine(0.01, 0, 100, 0, -0.01, 20)
    write_geotiff(tmp_path / "a.tif", ground(40, 60), "EPSG:4326", grid)
    (tile,) = list(scene_tiles(tmp_path / "a.tif", 60, 0))[:1]
    want = [(100, 20), (100, 19.6), (100.6, 19.6), (100.6, 20)]
    assert np.array(tile.ring) == pytest.approx(np.array(want))


def test_a_window_is_the_array_cut(scene):
    with rasterio.open(scene) as file:
        whole = file.read().transpose(1, 2, 0)
    picture = picture_of(scene, (40, 30, 50, 60), None)
    assert np.array_equal(np.asarray(picture), whole[30:90, 40:90])


@pytest.mark.parametrize("kind", ["uint16", "int16", "float32"])
def test_bands_and_scale_mean_what_they_mean_for_pictures(tmp_path, kind):
    array = (np.random.default_rng(1).random((40, 50, 4)) * 4000 + 1).astype(kind)
    path = placed(tmp_path / "deep.tif", array)
    for bands in ((3, 2, 1), (4,)):
        options = PixelOptions(bands=bands, scale=(100, 3000))
        ours = picture_of(path, (0, 0, 50, 40), options)
        assert np.array_equal(np.asarray(ours), np.asarray(open_image(path, options)))
    half = PixelOptions(bands=(1, 2, 3), percentiles=(2, 98))
    low, high = measured(half, [path], []).scale
    want = np.percentile(array[..., :3].astype(float), (2, 98))
    assert (low, high) == pytest.approx(want)


def test_what_has_no_data_is_black_or_nothing(tmp_path):
    array = ground(64, 96).astype(np.uint16) * 10
    array[:, :32] = 0
    array[:32, 32:64] = 0
    path = placed(tmp_path / "hole.tif", array, nodata=0)
    scale = PixelOptions(scale=(0, 2550))
    assert picture_of(path, (0, 0, 32, 64), scale) is None
    half = np.asarray(picture_of(path, (32, 0, 32, 64), scale))
    assert not half[:32].any() and half[32:].min() > 50
    array = ground(40, 40).astype(np.float32)
    array[:, :20] = np.nan
    path = placed(tmp_path / "nan.tif", array)
    assert picture_of(path, (0, 0, 20, 40), PixelOptions(scale=(0, 255))) is None
    # without a word on what is missing, zeros alone are
    dark = ground(40, 40)
    dark[:, :20] = 0
    path = placed(tmp_path / "dark.tif", dark)
    assert picture_of(path, (0, 0, 20, 40), None) is None
    assert picture_of(path, (19, 0, 2, 40), None) is not None


@pytest.mark.parametrize(
    "text, want",
    [
        ("S2A_MSIL2A_20240501T103021_N0510", (2024, 5, 1, 10, 30, 21)),
        ("LC08_L1TP_193012_20200711_20200722_01_T1", (2020, 7, 11)),
        ("2023-11-30 roofs", (2023, 11, 30)),
        ("2024:05:01 10:20:30", (2024, 5, 1, 10, 20, 30)),
        ("scene_20241350", None),
        ("IMG_0001_120240501", None),
    ],
)
def test_dates_are_read_from_names(text, want):
    assert parse_date(text) == (want and datetime(*want, tzinfo=UTC))


def test_metadata_are_believed_before_the_name(scene, tmp_path):
    with opened(scene) as file:
        assert date_of(file) == datetime(2024, 5, 1, tzinfo=UTC)
    with rasterio.open(scene, "r+") as file:
        file.update_tags(TIFFTAG_DATETIME="2022:02:03 04:05:06")
    with opened(scene) as file:
        assert date_of(file) == datetime(2022, 2, 3, 4, 5, 6, tzinfo=UTC)
    exif = Image.Exif()
    exif[306] = "2021:01:02 03:04:05"
    path = tmp_path / "b_20200101.jpg"
    Image.new("RGB", (9, 9)).save(path, exif=exif)
    assert picture_tile(path).datetime == datetime(2021, 1, 2, 3, 4, 5, tzinfo=UTC)
    Image.new("RGB", (9, 9)).save(path)
    assert picture_tile(path).datetime == datetime(2020, 1, 1, tzinfo=UTC)


def test_what_is_no_raster_is_told(tmp_path):
    path = tmp_path / "no.tif"
    path.write_bytes(b"not a picture")
    with pytest.raises(RsirError, match="no.tif: cannot be read as a raster"):
        picture_of(path, (0, 0, 1, 1), None)
