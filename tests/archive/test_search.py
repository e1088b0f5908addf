"""Exact search with filters, against a plain loop over all rows.

Tests that take `at` are what every place that holds an archive must do: they run
over the folder itself, and over its copy on a Milvus server.
"""

import json
import os
import warnings
from datetime import UTC, datetime

import numpy as np
import pytest
from engines import at, milvus  # noqa: F401
from PIL import Image
from small_scenes import (  # noqa: F401
    Store,
    build,
    folder,
    ground,
    model,
    placed,
    room,
    rows,
    scene,
    shapely,
)
from tiny import Mean

from rsir.archive import search as searching
from rsir.archive.search import parse_box, parse_day, search, write_geojson
from rsir.archive.store import as_vectors
from rsir.models.base import TwoTower
from rsir.retrieval.index import Index, encode_pictures, one_vector
from rsir.utils.errors import RsirError

RED = np.array([1.0, -1, -1]) / 3**0.5


def plain(archive, keep=lambda row: True):
    """(id, score) of rows that `keep` lets in, best first, by a loop."""
    found = []
    for name, row in rows(archive).items():
        vector = np.array(row[2], float)
        if keep(row):
            score = sum(a * b for a, b in zip(vector, RED)) / sum(vector**2) ** 0.5
            found.append((name, score))
    return sorted(found, key=lambda one: (-round(one[1], 9), one[0]))


def same(hits, want):
    assert [hit.tile.id for hit in hits] == [name for name, _ in want]
    assert [hit.score for hit in hits] == pytest.approx([s for _, s in want], abs=1e-6)


@pytest.fixture
def two(build, scene, tmp_path):
    """Two scenes, a year and 5 km apart, in three shards."""
    other = placed(
        tmp_path / "scenes" / "T_20230501.tif",
        ground(red=[(0, 0), (128, 64)]),
        west=505_000,
    )
    build(scene)
    build(other)
    return build.out


def test_the_red_tile_is_found_first(two, scene, model, at):
    place = at(two)
    hits = search(model, place, "red", 3)
    assert {hit.tile.window for hit in hits} == {
        (96, 64, 32, 32), (0, 0, 32, 32), (64, 128, 32, 32)
    }  # fmt: skip
    assert hits[0].score > 0.9 and len(Store(two).shards()) == 2
    same(search(model, place, "red", 70), plain(two))
    same(search(model, place, "red", 7), plain(two)[:7])


def test_shards_are_read_once_while_there_is_room(two, model, monkeypatch):
    real, seen = searching.read, []
    monkeypatch.setattr(searching, "read", lambda *x: seen.append(x[0]) or real(*x))
    monkeypatch.setattr(searching, "_kept", {})
    shards = Store(two).shards()
    for reads in (2, 2):
        same(search(model, two, "red", 7), plain(two)[:7])
        assert len(seen) == reads
    os.utime(shards[0], ns=(1, 1))  # another file has its name
    same(search(model, two, "red", 7), plain(two)[:7])
    assert seen[2:] == [shards[0]]
    monkeypatch.setattr(searching, "_kept", {})
    monkeypatch.setattr(searching, "ROOM", 0)
    for _ in range(2):
        same(search(model, two, "red", 7), plain(two)[:7])
    assert len(seen) == 7


def test_boxes_and_times_filter_before_the_search(two, model, at):
    place = at(two)
    table = rows(two)
    west, south, east, north = 9.0, 47.84, 9.012, 47.853
    box = shapely.box(west, south, east, north)

    def inside(row):
        return shapely.from_wkb(row[1]).envelope.intersects(box)

    some = sum(map(inside, table.values()))
    assert 5 < some < 40
    same(
        search(model, place, "red", 99, box=(west, south, east, north)),
        plain(two, inside),
    )
    day = datetime(2024, 1, 1, tzinfo=UTC)
    later, before = (lambda row: row[0] > day), (lambda row: row[0] < day)
    same(search(model, place, "red", 9, since=day), plain(two, later)[:9])
    same(search(model, place, "red", 9, until=day), plain(two, before)[:9])
    taken = datetime(2024, 5, 1, tzinfo=UTC)
    assert len(search(model, place, "red", 99, since=taken, until=taken)) == 35
    with pytest.raises(RsirError, match="no tile is in this box and time"):
        search(model, place, "red", box=(-10, -10, -9, -9))
    with pytest.raises(RsirError, match="no tile of /none is in this box"):
        search(model, place, "red", source="/none")


def test_what_an_archive_holds_is_told(two, model):
    with pytest.raises(RsirError, match="the archive holds W,S,E,N 9,.*2023-05-01 to "
                                        "2024-05-01"):  # fmt: skip
        search(model, two, "red", box=(-10, -10, -9, -9))


def test_a_source_is_a_file_or_a_folder(build, model, at, tmp_path):
    paths = [tmp_path / "a" / 'q"u\\o %_té.tif', tmp_path / "a" / "b" / "one.tif"]
    paths += [tmp_path / "a" / "b.tif", tmp_path / "a0.tif", tmp_path / "a-" / "c.tif"]
    for path in paths:
        placed(path, ground(64, 64))
    build(*paths)
    place = at(build.out)

    def found(source):
        return {
            hit.tile.source for hit in search(model, place, "red", 99, source=source)
        }

    for path in paths:
        assert found(path) == {str(path)}
    assert found(tmp_path / "a") == set(map(str, paths[:3]))
    assert found(f"{tmp_path}/a/b/") == {str(paths[1])}
    assert found(tmp_path) == found("/") == set(map(str, paths))


def test_what_has_no_place_or_date_does_not_count_and_is_told(
    two, build, folder, model, at
):
    build(folder)
    place = at(two)
    with pytest.warns(UserWarning, match="7 tiles have no date"):
        hits = search(model, place, "red", 99, since=datetime(1900, 1, 1, tzinfo=UTC))
    assert len(hits) == 70
    with pytest.warns(UserWarning, match="7 tiles have no coordinates"):
        hits = search(model, place, "red", 99, box=(-180, -90, 180, 90))
    assert len(hits) == 70 and len(search(model, place, "red", 99)) == 77


def test_ties_are_broken_by_id_however_the_shards_lie(build, model, tmp_path, at):
    scenes = [
        placed(tmp_path / f"{i}.tif", np.full((96, 96, 3), (200, 9, 9), np.uint8))
        for i in range(3)
    ]
    build(*scenes)
    for one in scenes[::-1]:
        build(one, out=tmp_path / "apart")
    want = sorted(rows(build.out))[:5]
    for where in (build.out, tmp_path / "apart"):
        assert [hit.tile.id for hit in search(model, at(where), "red", 5)] == want


def test_a_picture_is_a_query(two, scene, model, tmp_path, at):
    path = tmp_path / "like.png"
    Image.fromarray(ground(red=[(64, 96)])[64:96, 96:128]).save(path)
    (hit,) = search(model, at(two), k=1, like=path)
    assert hit.score == pytest.approx(1, abs=1e-3)


def test_codes_rank_as_their_bits_do(build, scene, at):
    model = Mean(code=True)
    build(scene, model=model)
    hits = search(model, at(build.out), "red", 35)
    query = np.packbits(np.tile(RED, 8) > 0)
    for hit in hits:
        code = np.frombuffer(rows(build.out)[hit.tile.id][3], np.uint8)
        far = int(np.bitwise_count(query ^ code).sum())
        assert hit.score == pytest.approx(1 - 2 * far / 24, abs=1e-3)


def test_the_top_is_read_again(two, model, at):
    place = at(two)
    ten = search(model, place, "red", 10)
    fine = search(model, place, "red", 3, fine=10)
    # `Mean` reads pairs the other way round: the least red first
    read = {}
    for hit in ten:
        picture = searching.cut(hit.tile, None)
        read[hit.tile.id] = float(-encode_pictures(model, [picture])["v"][0, 0])
    want = sorted(read.items(), key=lambda one: -one[1])[:3]
    same(fine, want)
    with pytest.raises(RsirError, match="--fine reads a sentence"):
        search(model, place, like="a.png", fine=9)


def test_a_model_that_reads_no_pairs_says_so(build, scene, monkeypatch):
    class Apart(TwoTower):
        """`Mean` without its reader."""

    for name in ("side", "image_features", "encode_images"):
        monkeypatch.setattr(Apart, name, getattr(Mean, name), raising=False)
    model = Apart(Mean().image_encoder, None, None).eval()
    model.code, model.seen = False, 0
    build(scene, model=model)
    with pytest.raises(RsirError, match="read no pairs .this is Apart"):
        search(model, build.out, "red", fine=9)


@pytest.mark.parametrize("code", [False, True], ids=["floats", "codes"])
def test_sixty_queries_find_what_a_loop_finds(build, folder, tmp_path, at, code):
    model, rng = Mean(code=code), np.random.default_rng(0)
    scenes = []
    for i in range(4):  # blocks of one colour, so that there are ties
        name = tmp_path / "scenes" / f"{i % 2}" / f"s{i}_2024050{i + 1}.tif"
        colours = rng.integers(1, 255, (6, 8, 3)).astype(np.uint8)
        array = np.kron(colours[rng.integers(0, 3, 6)], np.ones((32, 32, 1), np.uint8))
        scenes.append(placed(name, array, west=500_000 + 3_000 * i))
    build(*scenes, folder, model=model)
    table, place = rows(build.out), at(build.out)
    box, day = (9.02, 47.8, 9.06, 48.0), datetime(2024, 5, 3, tzinfo=UTC)
    shape, inside = shapely.box(*box), tmp_path / "scenes" / "0"
    filters = [
        ({}, lambda row: True),
        (
            {"box": box},
            lambda row: row[1] and shapely.from_wkb(row[1]).envelope.intersects(shape),
        ),
        ({"since": day}, lambda row: row[0] and row[0] >= day),
        ({"until": day, "source": inside},
         lambda row: row[0] and row[0] <= day and str(inside) in row[4]),
    ]  # fmt: skip
    for i in range(60):
        picture = Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8))
        picture = Image.blend(picture, Image.new("RGB", (40, 40), tuple(
            rng.integers(0, 255, 3).tolist())), 0.8)  # fmt: skip
        picture.save(tmp_path / "query.png")
        encoded = encode_pictures(model, [picture])
        query = as_vectors(one_vector(encoded, model))[0][0].astype(float)
        for more, keep in filters if i % 2 else filters[:1]:
            want = []
            for name, row in table.items():
                vector = np.array(row[2], float)
                if keep(row):
                    far = float(vector @ query) / float(vector @ vector) ** 0.5
                    want.append((name, far))
            want.sort(key=lambda one: (-round(one[1], 9), one[0]))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                hits = search(model, place, k=12, like=tmp_path / "query.png", **more)
            same(hits, want[:12])


def test_wrong_archives_are_told(two, build, model, tmp_path):
    with pytest.raises(RsirError, match="another model .Mean .*name its --run"):
        search(Mean(seed=1), two, "red")
    with pytest.raises(RsirError, match="no archive here"):
        search(model, tmp_path / "none", "red")
    shard = Store(two).shards()[1]
    shard.write_bytes(shard.read_bytes()[:300])
    with pytest.raises(RsirError, match=f"{shard.name}: damaged"):
        search(model, two, "red")


@pytest.mark.parametrize(
    "text, says",
    [
        ("9,47,8,48", "west below east"),
        ("9,48,10,47", "south below north"),
        ("170,0,190,10", "in degrees"),
        ("1,2,3", "four numbers"),
        ("a,b,c,d", "four numbers"),
        ("nan,0,1,1", "in degrees"),
    ],
)
def test_wrong_boxes_are_told(text, says):
    with pytest.raises(RsirError, match=says):
        parse_box(text)


def test_days_hold_their_last_moment():
    assert parse_box("-9.5,47,10,48") == (-9.5, 47, 10, 48)
    first, last = (
        parse_day("2024-05-01", "since"),
        parse_day("2024-05-01", "until", True),
    )
    assert first == datetime(2024, 5, 1, tzinfo=UTC)
    assert (last - first).total_seconds() == pytest.approx(86_400, abs=1e-3)
    at = parse_day("2024-05-01T10:00:00+02:00", "since")
    assert at == datetime(2024, 5, 1, 8, tzinfo=UTC)
    with pytest.raises(RsirError, match="--since May: give a date"):
        parse_day("May", "since")


def test_hits_become_polygons_and_a_sheet(two, build, folder, model, tmp_path):
    build(folder)
    hits = search(model, two, "red", 77)
    assert write_geojson(tmp_path / "hits.json", hits) == 70
    found = json.loads((tmp_path / "hits.json").read_text())["features"]
    assert [f["properties"]["score"] for f in found] == sorted(
        (hit.score for hit in hits if hit.tile.ring), reverse=True
    )
    (ring,) = found[0]["geometry"]["coordinates"]
    assert len(ring) == 5 and ring[0] == ring[-1]
    os.remove(hits[0].tile.source)
    with pytest.warns(UserWarning, match="cannot be read"):
        searching.write_sheet(tmp_path / "sheet.png", hits[:3], None, "red")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert min(sheet.size) > 100


def test_an_exact_index_alone_takes_a_filter():
    vectors = np.random.default_rng(0).normal(size=(400, 16)).astype(np.float32)
    among = np.arange(400) % 3 == 0
    index = Index.build("flat", vectors)
    scores, found = index.search(vectors[:2], 5, among)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    want = np.where(among, unit[:2] @ unit.T, -np.inf).argsort(axis=1)[:, ::-1][:, :5]
    assert np.array_equal(found, want)
    codes = np.packbits(vectors > 0, axis=1)
    _, found = Index.build("binary-flat", codes).search(codes[:1], 400, among)
    assert set(found[0][found[0] >= 0]) == set(np.flatnonzero(among))
    for kind in ("hnsw", "ivf-pq"):
        with pytest.raises(RsirError, match="an approximate index loses"):
            Index.build(kind, vectors).search(vectors[:1], 5, among)
    with pytest.raises(RsirError, match="among: shape"):
        index.search(vectors[:1], 5, among[:7])
    doubled = Index.build("flat", np.repeat(vectors[:9], 6, axis=0))
    assert sorted(doubled.with_ties(vectors[0], 2)) == [0, 1, 2, 3, 4, 5]


def test_the_command_builds_searches_and_refuses(
    scene, folder, model, monkeypatch, called, tmp_path
):
    monkeypatch.setattr("rsir.cli.index.model_of", lambda *_: model)
    out = tmp_path / "archive"
    how = ("--out", out, "--tile", 32, "--overlap", 0)
    code, said, _ = called("index", "build", scene, folder, *how)
    assert code == 0 and "42 tiles, 42 of them new" in said
    assert "embedding 42 tiles: done" in said
    head, first, *_ = called("index", "search", out, "red")[1].splitlines()
    assert head.split() == ["rank", "score", "picture"]
    assert str(folder / "6.png") in first or "[96, 64, 32, 32]" in first
    sheet, places = tmp_path / "s.png", tmp_path / "s.json"
    files = ("--sheet", sheet, "--geojson", places)
    box = ("--box", "9.0,47.8,9.1,47.9", "--since", "2024-01-01")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code, said, _ = called("index", "search", out, "red", *box, *files, "--json")
    (hit, *_) = json.loads(said)
    assert hit["window"] == [96, 64, 32, 32] and hit["picture"] == str(scene)
    assert hit["datetime"].startswith("2024-05-01") and len(hit["bbox"]) == 4
    assert sheet.exists() and len(json.loads(places.read_text())["features"]) == 5
    for words, says in (
        (["build", scene], "name --out ARCHIVE"),
        (["build", folder, folder], "name --out ARCHIVE"),
        (["build", folder, "--tile", 64], "--tile is for archives"),
        (["build", folder, "--out", out, "--kind", "flat"], "--kind is for the index"),
        (["build", scene, "--out", out, "--tile", 64], "another tile (32, not 64)"),
        (["build", scene, "--out", out, "--cluster", "tcp://x:1"], "--run folder"),
        (["search", folder, "red", "--box", "1,2,3,4"], "--box is for archives"),
        (["search", out, "red", "--box", "3,2,1,4"], "west below east"),
        (["search", out, "red", "--box", "1,2,3,4"], "no tile is in this box"),
        (["search", out, "red", "--until", "1"], "--until 1: give a date"),
        (["search", out, "red", "--index", out], "--index is for the index"),
        (["search", out, " "], "the sentence is empty"),
    ):
        code, said, err = called("index", *words)
        assert code == 2 and says in err and err.count("\n") == 1, (words, err)
