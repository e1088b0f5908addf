"""The benchmark's own parts: what it plants, and what it counts."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from rsir.search import Index, hamming

HOME = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location(
        "search_bench", HOME / "search.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_ten_neighbours_are_planted_and_nothing_else_is_near(bench):
    rows, queries = bench.planted(3000, 20)
    far = np.sort(hamming(queries, rows), axis=1)
    assert far.shape == (20, 3000) and far[:, 0].min() >= 1
    assert (far[:, :10] <= bench.FAR).all()
    assert (far[:, 10] > 2 * bench.FAR).all()


def test_recall_counts_the_ten_best(bench):
    exact = np.arange(20).reshape(2, 10)
    assert bench.recall(exact[:, ::-1], exact) == 100
    assert bench.recall(np.full((2, 10), -1), exact) == 0
    half = np.where(exact % 2 == 0, exact, -1)
    assert bench.recall(half, exact) == 50


def test_a_row_of_the_table(bench):
    rows, queries = bench.planted(2000, 10)
    exact = Index.build("binary-flat", rows).search(queries, 10)[1]
    for kind in ("binary-flat", "flat", "binary-hash"):
        row = bench.one_kind(kind, rows, queries, exact)
        assert row["recall_at_10"] == 100
        assert row["n"] == 2000 and row["queries_per_s"] > 0
    assert row["bytes_per_code"] > 16


def test_the_limit_is_the_larger_of_reading_and_counting(bench):
    rows, queries = bench.planted(5000, 5)
    bound = bench.limits(rows, queries)
    least = max(bound["read_seconds"], bound["count_seconds"])
    assert bound["ratio"] == bound["scan_seconds"] / least
    assert bound["bytes"] == 5000 * 16
