"""Search at scale: what an index costs and what it finds.

    python benchmarks/search.py                  # to 100,000 codes
    python benchmarks/search.py --full --write   # to ten million

What a trained model makes of short lists: `benchmarks/stages.py`.

Codes. Random codes of 128 bits with ten planted neighbours for every
query, 1 to 12 bits away. For each kind of index: queries in a second,
bytes a code, and the recall of an exact search's ten best. Random
codes have no other structure, so cells and graphs get no help from
them. But the neighbours are near; those of another modality may lie
farther. Real codes must be measured for themselves.

The limit. A flat scan must read all codes and count the bits of each.
Both are measured here with NumPy, in the same run and on the same codes: the
time to read them once (the best of several readers), and the time to XOR and
count them when they lie in the cache, with nothing else done. The larger of
the two is what one query costs without FAISS; a loop compiled for the machine
can count a little faster. Below 100,000 codes a scan is over before the call
is, and its ratio to the limit says nothing; it is stored, and not printed.
Memory is asked for in large pages (Linux), as NumPy does anyway, so that
both sides read alike.

Ratios are of one run. --write puts the numbers into results/search/,
where the chapter reads them.
"""

import argparse
import itertools
import json
import os
import shlex
import sys
import time
from pathlib import Path

import numpy as np

from rsir.retrieval.index import KINDS, Index, is_binary, load_faiss

BITS, PLANTED, FAR = 128, 10, 12
SIZES = (1_000, 10_000, 100_000)
FULL = (*SIZES, 1_000_000, 10_000_000)
GRAPHS = ("binary-hnsw", "hnsw")
REPEATS = 5
ASKED = 20  # queries that are timed alone


def best(function, repeats=REPEATS):
    """Least wall time of several calls, and the last answer."""
    least = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        answer = function()
        least = min(least, time.perf_counter() - start)
    return least, answer


def planted(n, n_queries, seed=0):
    """Signs of n rows and of the queries, [., BITS] int8 each.

    The neighbours of query q are 1 to FAR flips away and lie at
    random places among the rows.
    """
    draw = np.random.default_rng(seed)
    # nine of ten rows are strangers, at every size
    n_queries = max(1, min(n_queries, n // (10 * PLANTED)))
    rows = draw.integers(0, 256, (n, BITS // 8), np.uint8)
    queries = draw.integers(0, 256, (n_queries, BITS // 8), np.uint8)
    places = draw.choice(n, (n_queries, PLANTED), replace=False)
    for query, own in zip(queries, places):
        bits = np.unpackbits(query)
        for place in own:
            near = bits.copy()
            flips = draw.choice(BITS, draw.integers(1, FAR + 1), replace=False)
            near[flips] ^= 1
            rows[place] = np.packbits(near)
    return rows, queries


def reading(rows):
    """Seconds to read all bytes once: the best of four readers."""
    import torch

    words = rows.reshape(-1).view(np.uint64)
    floats = torch.from_numpy(words.view(np.float32))
    readers = words.sum, words.max, floats.sum, lambda: np.bitwise_xor.reduce(words)
    with np.errstate(all="ignore"):
        return min(best(reader)[0] for reader in readers)


def counting(n, queries):
    """Seconds to XOR and count n codes that lie in the cache."""
    faiss = load_faiss()
    block = 4096  # 64 kB: nearer than memory
    rows = np.random.default_rng(1).integers(0, 256, (block, BITS // 8), np.uint8)
    passes = max(1, min(n, 2_000_000) // block)
    query = np.ascontiguousarray(np.resize(queries, (passes, BITS // 8)))
    found = np.zeros(1, np.uintp)

    asked, gallery, out = map(faiss.swig_ptr, (query, rows, found))

    def count():
        faiss.hamming_count_thres(asked, gallery, passes, block, 0, BITS // 8, out)

    return best(count)[0] * n / (passes * block)


def limits(rows, queries):
    """The limit of a flat scan, and how near it we come."""
    n = len(rows)
    index = Index.build("binary-flat", rows)
    read = count = scan = np.inf
    for _ in range(REPEATS):  # in turn: the same conditions
        read = min(read, reading(rows))
        count = min(count, counting(n, queries))
        one = itertools.cycle(queries[:, None])
        scan = min(scan, best(lambda: index.search(next(one), PLANTED), 3)[0])
    return {
        "n": n,
        "bits": BITS,
        "bytes": rows.nbytes,
        "read_seconds": read,
        "count_seconds": count,
        "bandwidth_gb_s": rows.nbytes / read / 1e9,
        "codes_counted_per_s": n / count,
        "limited_by": "reading" if read > count else "counting",
        "scan_seconds": scan,
        "ratio": scan / max(read, count),
    }


def recall(found, exact):
    """Share of the exact ten best that were found, percent."""
    hits = [len(set(a) & set(b)) for a, b in zip(found, exact)]
    return 100 * sum(hits) / exact.size


def one_kind(kind, rows, queries, exact):
    """A row of the table: building, asking, finding."""
    faiss = load_faiss()
    if not is_binary(kind):
        rows, queries = (2.0 * np.unpackbits(x, axis=1) - 1 for x in (rows, queries))
        rows = rows.astype(np.float32)
    asking = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(os.cpu_count())  # to build, all of them
    start = time.perf_counter()
    index = Index.build(kind, rows)
    built = time.perf_counter() - start
    faiss.omp_set_num_threads(asking)
    each, (_, found) = best(lambda: index.search(queries, PLANTED), 3)
    singles = [  # each query once: none is warmed up
        best(lambda query=query: index.search(query[None], PLANTED), 1)[0]
        for query in queries[:ASKED]
    ]
    return {
        "kind": kind,
        "n": len(rows),
        "build_seconds": built,
        "queries": len(queries),
        "queries_per_s": len(queries) / each,
        "one_query_seconds": float(np.median(singles)),
        "bytes_per_code": index.nbytes() / len(rows),
        "recall_at_10": recall(found, exact),
        "factory": index.factory,
    }


def scale(sizes, n_queries, graph_limit, float_limit, keep=None):
    """All kinds at all sizes, and the limit at each.

    keep: takes the facts so far after each size.
    """
    facts = {"bits": BITS, "planted": PLANTED, "flips": FAR, "limits": [], "table": []}
    for n in sizes:
        rows, queries = planted(n, n_queries)
        facts["limits"].append(limits(rows, queries))
        exact = Index.build("binary-flat", rows).search(queries, PLANTED)[1]
        for kind in KINDS:
            graph, floats = kind in GRAPHS, not is_binary(kind)
            if graph and n > graph_limit or floats and n > float_limit:
                continue
            facts["table"].append(one_kind(kind, rows, queries, exact))
            show(facts["table"][-1], facts["limits"][-1])
        if keep:
            keep(facts)
    return facts


def show(row, bound):
    if row["kind"] == "binary-flat":
        read, counted = bound["bandwidth_gb_s"], bound["codes_counted_per_s"] / 1e6
        print(f"\n{row['n']:,} codes; {read:.1f} GB/s read, ", end="")
        print(f"{counted:,.0f} million codes/s counted")
        if row["n"] >= 100_000:
            limit, ratio = bound["limited_by"], bound["ratio"]
            print(f"a scan is limited by {limit} and takes {ratio:.2f} of that")
        print("kind          queries/s  one, ms  B/code  recall build, s")
    line = "{kind:<13}{queries_per_s:>10,.0f}{ms:>9.2f}{bytes_per_code:>8.0f}"
    line += "{recall_at_10:>8.1f}{build_seconds:>9.1f}"
    print(line.format(**row, ms=1e3 * row["one_query_seconds"]), flush=True)


def writer(name, script="search.py"):
    """A function that puts facts where chapter and figures read them.

    Raises:
        RsirError: the tree is not clean, so no commit can be named.
    """
    from rsir.experiments.records import results_dir
    from rsir.experiments.run import clean_commit, hardware, versions
    from rsir.utils.io import atomic_write

    path = results_dir() / "search" / f"{name}.json"
    words = ["python", f"benchmarks/{script}", *map(unplaced, sys.argv[1:])]
    about = {
        "command": shlex.join(words),
        "commit": clean_commit(),
        "hardware": hardware(),
        "versions": versions() | {"faiss": load_faiss().__version__},
    }

    def write(facts):
        with atomic_write(path) as file:
            json.dump(about | facts, file, indent=1)
            file.write("\n")

    return write


def unplaced(word):
    """A path without the folder of whoever measured."""
    return Path(word).name if os.sep in word else word


def in_large_pages():
    """Start anew with a malloc that asks Linux for large pages."""
    name, wanted = "GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"
    if sys.platform == "linux" and name not in os.environ:
        command = [sys.executable, *sys.argv]
        os.execve(sys.executable, command, os.environ | {name: wanted})


def main():
    in_large_pages()
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--sizes", type=int, nargs="+", default=None, help="numbers of codes")
    add("--full", action="store_true", help="1,000 to 10,000,000")
    add("--queries", type=int, default=100)
    for name, default, meaning in (
        (
            "graph-limit",
            1_000_000,
            "no graphs above this size: they take long to build",
        ),
        ("float-limit", 100_000, "no float indexes above this size: 512 bytes a row"),
        ("threads", 1, "to search; an index is built with all there are"),
    ):
        add(f"--{name}", type=int, default=default, help=meaning)
    add("--write", action="store_true", help="into results/search/")
    asked = parser.parse_args()
    load_faiss().omp_set_num_threads(asked.threads)
    import torch

    torch.set_num_threads(asked.threads)  # the limit is of as many
    keep = writer("scale") if asked.write else None
    sizes = asked.sizes or (FULL if asked.full else SIZES)
    how = asked.queries, asked.graph_limit, asked.float_limit
    scale(sizes, *how, lambda facts: keep and keep({"threads": asked.threads} | facts))


if __name__ == "__main__":
    main()
