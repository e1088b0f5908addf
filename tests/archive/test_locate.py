"""Maps of scores: where the truth is, and what a plain loop makes."""

import numpy as np
import pytest
from PIL import Image
from small_scenes import ground, model, placed, rasterio, scene  # noqa: F401

from rsir.archive.locate import cell_of, locate, mean_over, write_heat
from rsir.archive.scenes import windows
from rsir.data.images import PixelOptions


@pytest.mark.parametrize(
    "width, height, tile, overlap", [(100, 70, 32, 0.5), (90, 96, 32, 0.25), (20, 30, 64, 0)]
)  # fmt: skip
def test_a_cell_has_the_mean_of_the_windows_over_it(width, height, tile, overlap):
    rng = np.random.default_rng(0)
    rows = windows(width, height, tile, overlap)
    scores = {window: rng.random() for row in rows for window in row}
    cell = cell_of(tile, overlap)
    heat = mean_over(scores, width, height, cell)
    assert heat.shape == (-(-height // cell), -(-width // cell))
    for i, j in np.ndindex(heat.shape):
        y = min(i * cell + cell / 2, height - 0.5)
        x = min(j * cell + cell / 2, width - 0.5)
        over = [
            score
            for (c, r, w, h), score in scores.items()
            if c <= x < c + w and r <= y < r + h
        ]
        assert over and heat[i, j] == pytest.approx(np.mean(over), abs=1e-6)


@pytest.mark.parametrize("overlap", [0, 0.25, 0.5, 0.75])
def test_a_map_is_centred_on_its_windows(overlap):
    """One window with a score among many without: the map's middle is its middle."""
    across = [list(row) for row in windows(1024, 1024, 256, overlap)]
    spot = across[len(across) // 2][len(across) // 2]
    scores = {w: float(w == spot) for row in across for w in row}
    cell = cell_of(256, overlap)
    heat = mean_over(scores, 1024, 1024, cell)
    for axis, start in ((1, spot[0]), (0, spot[1])):
        weight = heat.sum(1 - axis)
        middle = (np.arange(len(weight)) + 0.5) * cell
        assert np.average(middle, weights=weight) == pytest.approx(start + 128)


def test_the_highest_cell_is_where_the_red_is(scene, model, tmp_path):
    heat = locate(model, scene, "red", tile=32, overlap=0.5, progress=False)
    row, column = np.unravel_index(np.nanargmax(heat.scores), heat.scores.shape)
    assert heat.cell == 16 and (row, column) in {
        (r, c) for r in (4, 5) for c in (6, 7)
    }  # 64..96 x 96..128
    out = tmp_path / "heat.tif"
    assert write_heat(heat, scene, out) == tmp_path / "heat.png"
    with rasterio.open(out) as ours, rasterio.open(scene) as theirs:
        assert ours.crs == theirs.crs
        assert ours.transform @ (0, 0) == theirs.transform @ (0, 0)
        # the middle of the cell is the same place as that of its pixels
        x, y = ours.transform @ (column + 0.5, row + 0.5)
        back = ~theirs.transform @ (x, y)
        assert back == pytest.approx((16 * column + 8, 16 * row + 8))
        assert np.array_equal(ours.read(1), heat.scores, equal_nan=True)
    with Image.open(tmp_path / "heat.png") as picture:
        assert picture.size == (200, 160)


def test_cells_without_data_have_no_score(model, tmp_path):
    array = ground(96, 128, red=[(0, 96)]).astype(np.uint16) * 10
    array[:, :64] = 0
    path = placed(tmp_path / "half.tif", array, nodata=0)
    options = PixelOptions(percentiles=(0, 100))
    heat = locate(
        model, path, "red", tile=32, overlap=0, pixels=options, progress=False
    )
    assert np.isnan(heat.scores[:, :2]).all() and np.isfinite(heat.scores[:, 2:]).all()
    write_heat(heat, path, tmp_path / "heat.tif", options)
    with rasterio.open(tmp_path / "heat.tif") as file:
        assert np.isnan(file.nodata)


def test_the_command_writes_both_or_one_clear_line(
    scene, model, monkeypatch, called, tmp_path
):
    monkeypatch.setattr("rsir.cli.index.model_of", lambda *_: model)
    out = tmp_path / "new" / "heat.tif"
    code, said, _ = called("index", "locate", scene, "red", "--out", out, "--tile", 32)
    assert code == 0 and "10 x 13 cells of 16 pixels" in said
    assert out.exists() and out.with_suffix(".png").exists()
    picture = tmp_path / "a.png"
    Image.new("RGB", (50, 50)).save(picture)
    empty = placed(tmp_path / "empty.tif", np.zeros((64, 64, 3), np.uint8))
    for path, sentence, more, says in (
        (picture, "red", (), "no CRS"),
        (scene, " ", (), "the sentence is empty"),
        (scene, "red", ("--overlap", 1), "a share from 0 to below 1"),
        (scene, "red", ("--bands", "7,1,1"), "no band 7"),
        (empty, "red", (), "no window has data"),
        (tmp_path / "none.tif", "red", (), "cannot be read"),
    ):
        code, _, err = called("index", "locate", path, sentence, "--out", out, *more)
        assert code == 2 and says in err and err.count("\n") == 1, err
