"""FAISS over the folder and Milvus over its copy, at size; prints figures. By hand:

RSIR_ROWS=100000 make engines PYTEST="tests/slow/test_engines_at_size.py -s"
"""

import os
import time
import warnings
from datetime import UTC, datetime

import numpy as np
import pytest
from engines import milvus, random_archive  # noqa: F401
from small_scenes import build, model  # noqa: F401

from rsir.archive import milvus as copies
from rsir.archive import search as room
from rsir.archive.milvus import load
from rsir.archive.store import Store

pytestmark = pytest.mark.engine
ROWS = int(os.environ.get("RSIR_ROWS", 20_000))
FILTERS = {
    "no filter": {},
    "box": {"box": (2, 2, 5, 5)},
    "time": {"since": datetime(2024, 1, 3, tzinfo=UTC)},
    "source and time": {
        "source": "/scenes/3",
        "until": datetime(2024, 3, 1, tzinfo=UTC),
    },
}


@pytest.mark.parametrize("code, dim", [(False, 384), (True, 128)])
def test_sixty_queries_and_how_long_they_take(
    milvus, tmp_path, monkeypatch, model, code, dim
):
    archive = random_archive(tmp_path / "archive", ROWS, dim, code)
    url, name = milvus.url(f"size{dim}"), f"{'codes' if code else 'floats'} of {dim}"
    done = load(archive, url, progress=False)
    size = sum(path.stat().st_size for path in Store(archive).shards()) / 2**20
    rate = done.new / done.seconds
    print(f"\n{name}: {ROWS:,} rows, {size:.0f} MB of GeoParquet, {rate:,.0f} rows/s")
    rows = np.random.default_rng(7).normal(size=(60, 1, dim)).astype(np.float32)
    queries = iter(())
    monkeypatch.setattr(room, "fingerprint", lambda model: "0" * 16)
    monkeypatch.setattr(room, "encode_query", lambda *_: None)
    monkeypatch.setattr(room, "one_vector", lambda *_: next(queries))
    given = np.packbits(rows > 0, axis=2) if code else rows

    def all_of(place, **more):
        nonlocal queries
        queries, found, took = iter(given), [], []
        for _ in given:
            began = time.perf_counter()
            found.append(room.search(model, place, "x", 10, **more))
            took.append(time.perf_counter() - began)
        return found, 1000 * np.median(took)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for what, more in FILTERS.items():
            here, slow = all_of(archive, **more)
            for level in ("Bounded", "Strong", "Eventually"):
                monkeypatch.setattr(copies, "CONSISTENCY", level)
                there, took = all_of(url, **more)
                assert there == here, (what, level)
                print(f"{what}: 60 of 60 the same; {level} {took:.0f} ms, folder "
                      f"{slow:.0f} ms")  # fmt: skip
