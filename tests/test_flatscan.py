"""The scan of codes in blocks finds what a look at everything finds."""

import faiss
import numpy as np
import pytest

from rsir import flatscan
from rsir.search import Index

N = 6_000


@pytest.fixture
def small(monkeypatch):
    """Blocks of 4 kB, so that a few thousand codes are many."""
    monkeypatch.setattr(flatscan, "BLOCK_BYTES", 4096)
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(threads)


def some(kind, size):
    """Codes of `size` bytes: by lot, or with very many ties."""
    draw = np.random.default_rng(size)
    if kind == "few":       # forty different codes, in any order
        return draw.integers(0, 256, (40, size), np.uint8)[
            draw.integers(0, 40, N)]
    rows = draw.integers(0, 256, (N, size), np.uint8)
    if kind == "sorted":    # the nearest to zero come last
        bits = np.bitwise_count(rows).sum(1)
        rows = rows[np.argsort(-bits.astype(int), kind="stable")]
    return rows


def far_from(query, rows):
    return np.bitwise_count(query ^ rows).sum(1)


@pytest.mark.parametrize("size", flatscan.WIDTHS)
@pytest.mark.parametrize("kind", ["lot", "few", "sorted"])
@pytest.mark.parametrize("k", [1, 7, 60])
def test_it_finds_the_nearest(small, size, kind, k):
    rows = some(kind, size)
    index = faiss.IndexBinaryFlat(8 * size)
    index.add(rows)
    for query in (np.zeros((1, size), np.uint8), rows[-1:], rows[7:8]):
        far, found = flatscan.nearest(index, query, k)
        true = far_from(query, rows)
        assert far.tolist() == np.sort(true)[:k].tolist()
        assert true[found].tolist() == far.tolist()
        assert len(set(found.tolist())) == k
        steps = np.diff(found)[np.diff(far) == 0]
        assert (steps > 0).all()


def test_a_search_takes_it_where_it_suits(small, monkeypatch):
    rows = some("lot", 16)
    index = Index.build("binary-flat", rows)
    asked, nearest = [], flatscan.nearest
    monkeypatch.setattr(flatscan, "nearest", lambda *a: (
        asked.append(a), nearest(*a))[1])
    scores, found = index.search(rows[:3], 2)
    assert len(asked) == 3 and scores.dtype == np.float32
    assert found[:, 0].tolist() == [0, 1, 2]
    assert (scores[:, 0] == 0).all() and (scores[:, 1] < 0).all()
    # with more threads FAISS shares the queries among them
    faiss.omp_set_num_threads(2)
    again = index.search(rows[:3], 2)
    assert len(asked) == 3
    assert (again[0] == scores).all()
    index.search(rows[:1], 2)
    assert len(asked) == 4
    index.search(rows[:1], 200)             # many answers
    Index.build("binary-flat", rows[:500]).search(rows[:1], 2)
    Index.build("binary-flat", rows[:, :3]).search(rows[:1, :3], 2)
    Index.build("binary-hnsw", rows[:500]).search(rows[:1], 2)
    assert len(asked) == 4
    faiss.omp_set_num_threads(1)
    empty = index.search(rows[:0], 2)
    assert empty[0].shape == (0, 2)


def test_a_loaded_index_is_scanned_too(small, tmp_path):
    rows = some("lot", 16)
    Index.build("binary-flat", rows).save(tmp_path / "codes")
    index = Index.load(tmp_path / "codes")
    assert flatscan.suits(index.faiss, 1, 2)
    assert index.search(rows[5:6], 1)[1].tolist() == [[5]]
