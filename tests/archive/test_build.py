"""Archives of scenes and pictures: whole, once, and taken up again."""

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from small_scenes import (  # noqa: F401
    Affine,
    Store,
    build,
    folder,
    geopandas,
    ground,
    left_out,
    model,
    placed,
    pq,
    rasterio,
    room,
    rows,
    scene,
    shapely,
    write_geotiff,
)
from tiny import Mean

from rsir.archive.scenes import picture_of
from rsir.archive.search import search
from rsir.data.images import PixelOptions
from rsir.retrieval.index import encode_pictures, one_vector
from rsir.utils.errors import RsirError
from rsir.utils.io import locked

TESTS = Path(__file__).parents[1]


def test_every_tile_is_a_row_that_others_can_read(build, scene, folder, model):
    done = build(scene, folder)
    assert (done.tiles, done.new, done.empty, done.unreadable) == (42, 42, 0, 0)
    table = geopandas.read_parquet(build.out)
    assert len(table) == 42 and table.crs == "OGC:CRS84"
    placed_rows = table[table.geometry.notna()]
    assert len(placed_rows) == 35
    assert set(table.source) == {str(scene), *map(str, folder.iterdir())}
    assert placed_rows.datetime.astype(str).unique() == ["2024-05-01 00:00:00+00:00"]
    vectors = np.stack(table.embedding)
    assert vectors.dtype == np.float16 or vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=2e-3)
    bits = np.packbits(vectors > 0, axis=1)
    assert [code for code in table.code] == [row.tobytes() for row in bits]
    assert all(shape.exterior.is_ccw for shape in placed_rows.geometry)
    west, south, east, north = placed_rows.total_bounds
    box = (west, south, (west + east) / 2, north)
    some = geopandas.read_parquet(build.out, bbox=box)
    assert 0 < len(some) < 35
    assert len(some) == placed_rows.intersects(shapely.box(*box)).sum()


def test_the_metadata_say_what_is_in_a_file(build, scene):
    build(scene)
    (shard,) = Store(build.out).shards()
    facts = pq.read_metadata(shard).metadata
    geo = json.loads(facts[b"geo"])
    column = geo["columns"]["geometry"]
    assert (geo["version"], column["encoding"]) == ("1.1.0", "WKB")
    assert column["crs"]["id"] == {"authority": "OGC", "code": "CRS84"}
    bounds = geopandas.read_parquet(build.out).total_bounds
    assert column["bbox"] == pytest.approx(bounds.tolist())
    stac = json.loads(facts[b"stac:embeddings"])
    assert stac["emb:dimensions"] == 3 and stac["data_type"] == "float16"
    assert stac["emb:chip_layout"]["size"] == [32, 32]


def test_a_row_is_what_the_model_makes_of_the_tile(build, scene, model):
    build(scene)
    for embedding, _, source, window in [r[2:] for r in rows(build.out).values()][::8]:
        picture = picture_of(source, window, None)
        want = one_vector(encode_pictures(model, [picture]), model)[0]
        assert embedding == pytest.approx(want / np.linalg.norm(want), abs=1e-3)


def test_codes_are_kept_as_bits_and_as_signs(build, scene):
    build(scene, model=Mean(code=True))
    for row in rows(build.out).values():
        signs, code = np.array(row[2]), np.frombuffer(row[3], np.uint8)
        assert np.array_equal(np.packbits(signs > 0), code) and len(code) == 3
        assert np.abs(signs) == pytest.approx(24**-0.5, abs=1e-3)


def test_what_is_there_is_not_embedded_again(build, scene, folder, model):
    build(scene)
    before, model.seen = rows(build.out), 0
    assert build(scene).new == 0 and model.seen == 0
    assert build(scene, folder).new == 7 and model.seen == 7
    after = rows(build.out)
    assert {name: after[name] for name in before} == before
    assert build(folder.parent).tiles == 42  # the same files by another name
    assert not Store(build.out).parts()


def test_a_changed_scene_replaces_its_rows(build, scene, model):
    build(scene)
    old = rows(build.out)
    placed(scene, ground(64, 64))
    os.utime(scene, ns=(1, 1))
    assert build(scene)[:2] == (4, 4)
    assert not old.keys() & rows(build.out).keys()


def test_tiles_without_data_are_left_out_and_counted_once(build, tmp_path, model):
    array = ground(96, 96)
    array[:, :64] = 0
    scene = placed(tmp_path / "half.tif", array, nodata=0)
    assert build(scene)[:4] == (3, 3, 6, 0)
    model.seen = 0
    assert build(scene)[:4] == (3, 0, 6, 0) and model.seen == 0
    assert {cause for *_, cause in left_out(build.out)} == {"no data"}


def test_other_models_and_layouts_do_not_mix(build, scene):
    build(scene)
    want = rows(build.out)
    for says, more in (
        ("another model", {"model": Mean(seed=1)}),
        ("another tile", {"tile": 64}),
        ("another overlap", {"overlap": 0.5}),
        ("another pixels", {"pixels": PixelOptions(bands=(3, 2, 1))}),
    ):
        with pytest.raises(RsirError, match=says):
            build(scene, **more)
    assert rows(build.out) == want
    with pytest.raises(RsirError, match="a share from 0 to below 1"):
        build(scene, overlap=1.0, out=build.out / "other")


def test_tiles_are_embedded_again_by_another_model(build, scene, folder, tmp_path):
    build(scene, folder)
    other = tmp_path / "other"
    code = Mean(code=True)
    for source in (build.out, *Store(build.out).shards()):
        layout = {"tile": None, "overlap": None, "model": code}
        assert build(source, out=other, **layout).tiles == 42
    one, two = rows(build.out), rows(other)
    assert one.keys() == two.keys()
    for name, (when, shape, embedding, _, *where) in one.items():
        assert two[name][:2] == (when, shape)
        assert list(two[name][4:]) == where and two[name][2] != embedding
    pq.write_table(
        pq.read_table(tmp_path / "other").drop(["id"]), tmp_path / "a.parquet"
    )
    with pytest.raises(RsirError, match="lacks the column.s. id"):
        build(tmp_path / "a.parquet", out=tmp_path / "third")


def test_percentiles_are_measured_once_and_kept(build, tmp_path):
    array = ground(64, 64).astype(np.uint16) * 9
    options = PixelOptions(percentiles=(2, 98))
    one = placed(tmp_path / "one.tif", array)
    build(one, pixels=options)
    kept = Store(build.out).facts()["pixels"]["scale"]
    assert kept == pytest.approx(np.percentile(array, (2, 98)).tolist())
    two = placed(tmp_path / "two.tif", array * 2)
    assert build(two, pixels=options).tiles == 8
    assert Store(build.out).facts()["pixels"]["scale"] == kept


def cut_short(path):
    """A scene whose last strips are not there."""
    with rasterio.open(placed(path, ground(128, 128))) as file:
        array, grid, crs = file.read(), file.transform, file.crs
    profile = {"driver": "GTiff", "height": 128, "width": 128, "count": 3}
    profile |= {"dtype": "uint8", "crs": crs, "transform": grid, "blockysize": 8}
    with rasterio.open(path, "w", **profile) as file:
        file.write(array)
    with open(path, "r+b") as file:
        file.truncate(int(path.stat().st_size * 0.6))
    return path


def test_tiles_that_cannot_be_read_are_listed_or_stop_it(build, tmp_path, folder):
    bad = cut_short(tmp_path / "bad.tif")
    (folder / "half.png").write_bytes((folder / "3.png").read_bytes()[:60])
    done = build(bad, folder)
    assert done.tiles == 16 - done.unreadable + 1 + 7 and done.unreadable > 4
    listed = left_out(build.out)
    assert len(listed) == done.unreadable
    assert {name for name, *_ in listed} == {"bad.tif", "half.png"}
    for source in (bad, folder):
        name = {bad: "bad.tif"}.get(source, "half.png")
        with pytest.raises(RsirError, match=name) as stop:
            build(source, strict=True, out=build.out.parent / name)
        assert "\n" not in str(stop.value)
    placed(bad, ground(128, 128))  # repaired
    (folder / "half.png").unlink()
    assert build(bad, folder)[:4] == (16 + 7, 16, 0, 0) and not left_out(build.out)


def test_wrong_sources_are_one_clear_line(build, tmp_path, folder):
    array = ground(64, 64)
    turned = Affine(9, 3, 5e5, 3, -9, 5.3e6)
    lost = tmp_path / "lost.tif"
    text = tmp_path / "text.tif"
    text.write_text("no picture")
    empty = tmp_path / "empty"
    empty.mkdir()
    write_geotiff(tmp_path / "turned.tif", array, "EPSG:32632", turned)
    write_geotiff(lost, array, None, Affine.identity())
    deep = placed(tmp_path / "deep.tif", array.astype(np.uint16))
    four = placed(tmp_path / "four.tif", np.dstack([array, array]))
    for source, says, more in (
        (text, "cannot be read as a raster", {}),
        (lost, "no CRS", {}),
        (tmp_path / "turned.tif", "rotated transform", {}),
        (deep, "--scale LOW,HIGH", {}),
        (four, "--bands R,G,B", {}),
        (four, "no band 9", {"pixels": PixelOptions(bands=(9, 1, 1))}),
        (tmp_path / "none", "no such file", {}),
        (empty, "no pictures", {}),
    ):
        with pytest.raises(RsirError, match=says) as stop:
            build(source, **more)
        assert "\n" not in str(stop.value) and str(source) in str(stop.value)
    assert not build.out.exists()
    # in a folder, a TIFF without coordinates is a picture
    lost.rename(folder / "lost.tif")
    assert build(folder).tiles == 8


def test_a_damaged_shard_is_named_and_made_again(build, scene):
    build(scene)
    want = rows(build.out)
    (shard,) = Store(build.out).shards()
    shard.write_bytes(shard.read_bytes()[:-50])
    with pytest.raises(RsirError, match=f"{shard.name}: damaged.*build again"):
        build(scene)
    shard.unlink()
    build(scene)
    assert rows(build.out) == want


def test_a_full_disk_loses_nothing_that_is_written(build, scene, monkeypatch, model):
    monkeypatch.setattr(room, "PART", 8)
    monkeypatch.setattr(room, "BATCH", 8)
    write, written = pq.write_table, []

    def full(*args, **more):
        if len(written) >= 2:
            raise OSError(28, "No space left on device")
        written.append(write(*args, **more))

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr("rsir.archive.store.pq.write_table", full)
        build(scene)
    assert len(Store(build.out).parts()) == 2 and not list(build.out.rglob("*.tmp"))
    with pytest.raises(RsirError, match="none whose build came to its end"):
        search(model, build.out, "red")
    model.seen = 0
    build(scene)
    assert model.seen == 35 - 16 and len(rows(build.out)) == 35


def test_links_to_nothing_and_odd_names_are_listed(build, folder):
    whole = (folder / "0.png").read_bytes()
    Path(str(folder / "caf\udce9.png")).write_bytes(whole)
    (folder / "gone.png").symlink_to(folder / "nothing")
    assert build(folder)[:4] == (7, 7, 0, 2)
    assert build(folder)[:4] == (7, 0, 0, 2)
    (_, _, one), (_, _, other) = left_out(build.out)
    assert "rename it" in one and "no such file" in other
    with pytest.raises(RsirError, match="rename it|no such file"):
        build(folder, strict=True)


def test_two_builds_do_not_mix(build, scene):
    with (
        locked(build.out / ".lock", "it"),
        pytest.raises(RsirError, match="another process is at work"),
    ):
        build(scene)


def test_a_kill_while_parts_are_joined_doubles_nothing(build, scene, monkeypatch):
    monkeypatch.setattr(room, "PART", 8)
    monkeypatch.setattr(room, "BATCH", 8)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(
            KeyboardInterrupt))  # fmt: skip
        build(scene)
    store = Store(build.out)
    assert len(store.shards()) == 1 and len(store.parts()) == 5
    assert build(scene)[:2] == (35, 0) and not store.parts()
    assert len(rows(build.out)) == 35


def test_a_scene_is_never_whole_in_memory(build, tmp_path):
    array = np.random.default_rng(0).integers(1, 255, (2048, 1536, 3), np.uint8)
    scene = placed(tmp_path / "large.tif", array)
    tracemalloc.start()
    try:
        assert build(scene, tile=64).tiles == 32 * 24
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < array.nbytes / 2


CHILD = """
import itertools, sys, time
from tiny import Mean
from rsir.archive import build as room
room.BATCH, room.PART = 4, 4
embed, calls = room.embed, itertools.count()
def stuck(*job):
    if next(calls) >= int(sys.argv[3]):
        time.sleep(3600)
    return embed(*job)
room.embed = stuck
room.build(Mean(), [sys.argv[1]], sys.argv[2], tile=32, overlap=0, progress=False)
"""


def test_a_killed_build_goes_on_to_the_same_rows(build, scene, model, tmp_path):
    build(scene, out=tmp_path / "whole")
    want = rows(tmp_path / "whole")
    path = os.pathsep.join([str(TESTS), *sys.path])
    command = [sys.executable, "-c", CHILD, str(scene), str(build.out)]
    for parts, more in ((2, 2), (5, 3)):
        child = subprocess.Popen(
            [*command, str(more)], env=os.environ | {"PYTHONPATH": path}
        )
        while len(Store(build.out).parts()) < parts:
            assert child.poll() is None
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait()
    held = 4 * len(Store(build.out).parts())
    assert held == 20 and not Store(build.out).shards()
    model.seen = 0
    assert build(scene).tiles == 35 and model.seen == 35 - held
    assert rows(build.out) == want


def test_a_worker_with_another_model_is_told(build, scene, monkeypatch):
    def foreign(model, tiles, pixels):
        return real(Mean(), tiles, pixels)._replace(model="0" * 16)

    real = room.embed
    monkeypatch.setattr(room, "embed", foreign)
    with pytest.raises(RsirError, match="a worker read another model"):
        build(scene)
    with pytest.raises(RsirError, match="--cluster: name a --run"):
        build(scene, cluster="tcp://localhost:1")
