"""An exact scan of codes that hardly waits for anything but memory.

FAISS asks of every code that it reads whether it belongs to the best.
In a large gallery almost none does. So count first: how many codes of a
block are nearer than the worst of the best so far? Mostly none, and the
block is done. Else look into it again, while it lies in the cache.

Counting and looking are FAISS's own, `hamming_count_thres` and
`match_hamming_thres`. Measured in `benchmarks/search.py`. On Linux the
variable `GLIBC_TUNABLES=glibc.malloc.hugetlb=1` lets the codes lie in
large pages, which are read faster.
"""

import numpy as np

BLOCK_BYTES = 2 ** 18  # twice in a row: from memory, then the cache
#: lengths of a code that FAISS can count fast, in bytes
WIDTHS = (8, 16, 32, 64)
#: blocks below which one look at everything is as quick
LEAST_BLOCKS = 16


def suits(index, queries: int, k: int) -> bool:
    """Whether `nearest` is the quicker way to search.

    Args:
        index: any FAISS index.
        queries: asked at once; FAISS shares them among threads.
        k: answers of a query. Many answers are in many blocks.
    """
    import faiss

    if not isinstance(index, faiss.IndexBinaryFlat):
        return False
    block = BLOCK_BYTES // index.code_size
    return (
        index.code_size in WIDTHS
        and index.ntotal >= LEAST_BLOCKS * block
        and k <= block // 100
        and (queries == 1
             or queries > 1 and faiss.omp_get_max_threads() == 1)
    )


def nearest(index, query: np.ndarray, k: int
            ) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest codes of a flat index, by one query.

    Args:
        index: FAISS `IndexBinaryFlat` of codes of 8, 16, 32 or 64
            bytes.
        query: one packed code, uint8 `[1, bytes]`.
        k: how many, at most as many as a block holds.

    Returns:
        bits that differ, int32 `[k]`, and numbers, int64 `[k]`; the
        nearest first, equals by number.
    """
    import faiss

    n, size = index.ntotal, index.code_size
    rows = faiss.rev_swig_ptr(index.xb.data(), n * size)
    rows = rows.reshape(n, size)
    block = BLOCK_BYTES // size
    count = np.zeros(1, np.uintp)
    places = np.empty((block, 2), np.int64)   # of query and of code
    apart = np.empty(block, np.int32)
    asked, counted, placed, measured = map(
        faiss.swig_ptr, (query, count, places, apart))
    far, found = (x[0] for x in faiss.knn_hamming(
        query, rows[:block], k))
    better = int(far.max()) - 1               # as near as that wins
    for start in range(block, n, block):
        if better < 0:
            break
        many = min(block, n - start)
        here = faiss.swig_ptr(rows[start:start + many])
        faiss.hamming_count_thres(
            asked, here, 1, many, better, size, counted)
        if not count[0]:
            continue
        new = faiss.match_hamming_thres(
            asked, here, 1, many, better, size, placed, measured)
        far = np.concatenate((far, apart[:new]))
        found = np.concatenate((found, start + places[:new, 1]))
        first = np.lexsort((found, far))[:k]
        far, found = far[first], found[first]
        better = int(far[-1]) - 1
    first = np.lexsort((found, far))
    return far[first], found[first]
