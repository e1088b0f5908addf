"""Builds, Dask and Milvus, killed with SIGKILL at random moments. By hand:

RSIR_KILLS=10 make engines PYTEST="tests/slow/test_kill_engines.py -s"

After each kill what was said to be done is there; at the end every tile is there
once, with the rows of a run that nobody disturbed, and the same hits.
"""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from engines import Process, dask, milvus, random_archive  # noqa: F401
from small_scenes import build, ground, model, placed, room, rows  # noqa: F401
from tiny import cache, cached, folder, quiet, splits, tiny_config  # noqa: F401

from rsir.archive import milvus as copies
from rsir.archive.milvus import Collection, load
from rsir.archive.search import search
from rsir.archive.store import Only, Store, read
from rsir.training.checkpoints import load_run
from rsir.utils.errors import RsirError

pytestmark = pytest.mark.engine
KILLS = int(os.environ.get("RSIR_KILLS", 1))
ROWS = 60_000  # of the archive that a server takes
BUILD = """
import sys
from rsir.archive import build as room
from rsir.training.checkpoints import load_run
room.BATCH, room.PART = 16, 32
scene, out, run, *cluster = sys.argv[1:]
model = load_run(run)
print("ready", flush=True)
more = {"cluster": cluster[0], "run": run} if cluster else {}
room.build(model, [scene], out, tile=32, overlap=0, progress=False, **more)
print("done", flush=True)
"""


@pytest.fixture
def run(cached, splits, tmp_path):
    quiet(tiny_config("linear", epochs=1), splits, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def scene(tmp_path):
    return placed(tmp_path / "scene.tif", ground(1024, 2048, red=[(32, 32)]))


def on_disk(archive):
    """Ids in whole files of an archive; what is in two files counts twice."""
    found = []
    for path in Store(archive).files():
        found += read(path, ["id"])["id"].to_pylist()
    return found


def begun(*words):
    """A build in a process of its own that has read its model."""
    said = words[1].with_name(f"said-{time.time_ns()}.txt")
    child = Process([sys.executable, "-c", BUILD, *words], said)
    child.until(lambda: "ready" in child.text())
    return child


def done(child, seconds=None):
    """Whether it comes to its end in this time."""
    try:
        child.popen.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    assert child.popen.returncode == 0, child.text()
    return True


def told(what, seconds, moments):
    said = " ".join(f"{moment:.2f}" for moment in moments)
    print(f"\n{what}: {seconds:.1f} s whole; killed after {said} s; same rows and hits")


def hits(archive, model):
    return [tuple(hit) for hit in search(model, archive, "a red roof", 50)]


@pytest.mark.parametrize("cluster", [False, True], ids=["local", "client"])
def test_a_build_or_a_client_that_is_killed(run, scene, tmp_path, cluster, request):
    address = [request.getfixturevalue("dask").address] if cluster else []
    draws, moments = np.random.default_rng(cluster), []
    child, began = begun(scene, tmp_path / "whole", run, *address), time.monotonic()
    assert done(child)
    seconds = time.monotonic() - began
    model = load_run(run)
    want, best = rows(tmp_path / "whole"), hits(tmp_path / "whole", model)
    assert len(want) == 2048
    n = held = 0
    while len(moments) < KILLS:
        out = tmp_path / f"killed-{n}"
        child, moment = begun(scene, out, run, *address), draws.uniform(0, seconds)
        if done(child, moment):
            assert rows(out) == want and hits(out, model) == best
            n, held = n + 1, 0
            continue
        child.end()
        moments.append(moment)
        there = on_disk(out)
        assert len(set(there)) >= held and set(there) <= want.keys()
        held = len(set(there))
    assert done(begun(scene, out, run, *address))
    assert rows(out) == want and hits(out, model) == best
    assert sorted(on_disk(out)) == sorted(want)
    told("client" if cluster else "build", seconds, moments)


def test_a_worker_that_is_killed(run, scene, tmp_path, dask):
    draws, moments, model = np.random.default_rng(2), [], load_run(run)
    child = begun(scene, tmp_path / "whole", run, dask.address)
    began = time.monotonic()
    assert done(child)
    seconds = time.monotonic() - began
    want, best = rows(tmp_path / "whole"), hits(tmp_path / "whole", model)
    assert len(want) == 2048
    while len(moments) < KILLS:
        out, moment = tmp_path / f"{time.time_ns()}", draws.uniform(0, seconds)
        child = begun(scene, out, run, dask.address)
        if not done(child, moment):
            moments.append(moment)
            dask.workers.pop(draws.integers(2)).end()
            assert done(child)
            dask.add()
        assert rows(out) == want and hits(out, model) == best
    told("worker", seconds, moments)


def test_a_server_that_is_killed_while_it_loads(milvus, tmp_path, monkeypatch):
    archive = random_archive(tmp_path / "archive", ROWS, 128)
    monkeypatch.setattr(copies, "MESSAGE", 2 << 20)
    rng = np.random.default_rng(3)
    queries = rng.normal(size=(10, 128)).astype(np.float32)
    table = rows_of(archive)
    moments, losses, acknowledged = [], 0, []
    probe = Collection(milvus.url("probe"))
    upsert = type(probe.client).upsert

    def noted(self, name, part, **more):
        answer = upsert(self, name, part, **more)
        acknowledged.extend(row["id"] for row in part)
        return answer

    monkeypatch.setattr(type(probe.client), "upsert", noted)
    began = time.monotonic()
    load(archive, milvus.url("whole"), progress=False)
    seconds = time.monotonic() - began
    want = found(milvus.url("whole"), queries)
    for query, ids in zip(queries, want):
        assert ids == plain(table, query)
    for kill in range(KILLS):
        name = f"killed{kill}"
        acknowledged.clear()
        moment = rng.uniform(0, seconds)
        timer = threading.Timer(moment, milvus.kill)
        timer.start()
        try:
            load(archive, milvus.url(name), progress=False)
        except RsirError as error:
            assert "Milvus" in str(error)
        timer.join()
        moments.append(moment)
        said = list(acknowledged)
        milvus.start()
        url = milvus.url(name)
        if said:
            losses += len(set(said) - there(url))
        while True:
            try:
                done = load(archive, url, progress=False)
                break
            except RsirError:  # it is still coming up
                time.sleep(1)
        assert done.tiles == len(there(url)) == ROWS
        assert found(url, queries) == want
        Collection(url).client.drop_collection(name)
        print(f"\nkilled after {moment:.2f} s: {len(said):,} rows acknowledged")
    assert not losses
    told("server", seconds, moments)


def rows_of(archive):
    """(ids, unit vectors float64) of all rows."""
    tables = [read(path, ["id", "embedding"]) for path in Store(archive).shards()]
    ids = sum((table["id"].to_pylist() for table in tables), [])
    vectors = np.concatenate([np.array(t["embedding"].to_pylist()) for t in tables])
    return np.array(ids), vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def plain(table, query):
    """The ten best ids, by a product with all rows."""
    ids, vectors = table
    order = np.lexsort((ids, -(vectors @ query.astype(float))))
    return ids[order[:10]].tolist()


def found(url, queries):
    """The ten best ids of each query on the server."""
    place, best = Collection(url), []
    for query in queries:
        tiles, vectors = place.closest(query, 10, Only())
        unit = vectors / np.linalg.norm(vectors.astype(float), axis=1, keepdims=True)
        ids = np.array([tile.id for tile in tiles])
        best.append(plain((ids, unit), query))
    return best


def there(url, seconds=120):
    """All ids that a collection has; each is there once."""
    end = time.monotonic() + seconds
    while True:
        try:
            place = Collection(url)
            place.count(consistency="Strong")
            break
        except RsirError:  # it is still coming up
            assert time.monotonic() < end
            time.sleep(1)
    ids = []
    for start in range(0, ROWS, 10_000):
        more = place.client.query(
            place.name,
            filter=f"id >= '{start:016x}' and id < '{start + 10_000:016x}'",
            output_fields=["id"],
            limit=copies.MOST,
            consistency_level="Strong",
        )
        ids += [row["id"] for row in more]
    assert len(set(ids)) == len(ids)
    return set(ids)
