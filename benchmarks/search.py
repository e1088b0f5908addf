"""Search at scale: what an index costs and what it finds.

    python benchmarks/search.py                  # to 100,000 codes
    python benchmarks/search.py --full --write   # to ten million
    python benchmarks/search.py --run RUN --dataset rsicd --write

Codes. Random codes of 128 bits with ten planted neighbours for every
query, 1 to 12 bits away. For each kind of index: queries in a second,
bytes a code, and the recall of an exact search's ten best. Random
codes have no other structure, so cells and graphs get no help from
them: a lower bound of what they do on real codes.

The limit. A flat scan must read all codes and count the bits of each.
Both are measured here, in the same run and on the same codes: the time
to read them once (the best of several readers), and the time to XOR
and count them when they lie in the cache, with nothing else done. One
query at a time cannot be faster than the larger of the two.

A model (--run): coarse, fine on all pairs, and coarse to fine with M
candidates, on a fixed subset of pictures with all their captions.

Ratios are of one run. --write puts the numbers into results/search/,
where the chapter reads them.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np

from rsir.search import Index, pack

BITS, PLANTED, FAR = 128, 10, 12
SIZES = (1_000, 10_000, 100_000)
FULL = (*SIZES, 1_000_000, 10_000_000)
GRAPHS = ("binary-hnsw", "hnsw")
FLOATS = ("flat", "hnsw", "ivf-pq")
CODES = ("binary-flat", "binary-ivf", "binary-hnsw", "binary-hash")
DEPTHS = (10, 20, 50, 100, 200)
REPEATS = 5


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
    n_queries = min(n_queries, n // PLANTED)
    rows = draw.integers(0, 256, (n, BITS // 8), np.uint8)
    queries = draw.integers(0, 256, (n_queries, BITS // 8), np.uint8)
    places = draw.choice(n, (n_queries, PLANTED), replace=False)
    for query, own in zip(queries, places):
        bits = np.unpackbits(query)
        for place in own:
            near = bits.copy()
            flips = draw.choice(
                BITS, draw.integers(1, FAR + 1), replace=False)
            near[flips] ^= 1
            rows[place] = np.packbits(near)
    return rows, queries


def reading(rows):
    """Seconds to read all bytes once: the best of four readers."""
    import torch

    words = rows.reshape(-1).view(np.uint64)
    floats = torch.from_numpy(words.view(np.float32))
    readers = (
        words.sum, words.max, floats.sum,
        lambda: np.bitwise_xor.reduce(words),
    )
    with np.errstate(all="ignore"):
        return min(best(reader)[0] for reader in readers)


def counting(n, queries):
    """Seconds to XOR and count n codes that lie in the cache."""
    import faiss

    block = 4096                        # 64 kB: nearer than memory
    rows = np.random.default_rng(1).integers(
        0, 256, (block, BITS // 8), np.uint8)
    passes = max(1, min(n, 2_000_000) // block)
    query = np.ascontiguousarray(
        np.resize(queries, (passes, BITS // 8)))
    found = np.zeros(1, np.uintp)

    def count():
        faiss.hamming_count_thres(
            faiss.swig_ptr(query), faiss.swig_ptr(rows), passes, block,
            0, BITS // 8, faiss.swig_ptr(found))

    return best(count)[0] * n / (passes * block)


def limits(rows, queries):
    """The limit of a flat scan, and how near it we come."""
    n = len(rows)
    index = Index.build("binary-flat", rows)
    read, count, scan = np.inf, np.inf, np.inf
    for _ in range(REPEATS):            # in turn: the same conditions
        read = min(read, reading(rows))
        count = min(count, counting(n, queries))
        one = iter(range(len(queries)))
        scan = min(scan, best(lambda: index.search(
            queries[[next(one) % len(queries)]], PLANTED), 3)[0])
    return {
        "n": n, "bits": BITS, "bytes": rows.nbytes,
        "read_seconds": read, "count_seconds": count,
        "bandwidth_gb_s": rows.nbytes / read / 1e9,
        "codes_counted_per_s": n / count,
        "limited_by": "reading" if read > count else "counting",
        "scan_seconds": scan, "ratio": scan / max(read, count),
    }


def recall(found, exact):
    """Share of the exact ten best that were found, percent."""
    hits = [len(set(a) & set(b)) for a, b in zip(found, exact)]
    return 100 * sum(hits) / exact.size


def one_kind(kind, rows, queries, exact):
    """A row of the table: building, asking, finding."""
    import faiss

    if not kind.startswith("binary-"):
        rows, queries = (
            2.0 * np.unpackbits(x, axis=1) - 1 for x in (rows, queries))
        rows = rows.astype(np.float32)
    asking = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(os.cpu_count())  # to build, all of them
    start = time.perf_counter()
    index = Index.build(kind, rows)
    built = time.perf_counter() - start
    faiss.omp_set_num_threads(asking)
    each, (_, found) = best(lambda: index.search(queries, PLANTED), 3)
    one, _ = best(lambda: index.search(queries[:1], PLANTED), 5)
    return {
        "kind": kind, "n": len(rows), "build_seconds": built,
        "queries": len(queries), "queries_per_s": len(queries) / each,
        "one_query_seconds": one,
        "bytes_per_code": index.nbytes() / len(rows),
        "recall_at_10": recall(found, exact),
        "options": index.options,
    }


def scale(sizes, n_queries, graph_limit, float_limit):
    """All kinds at all sizes, and the limit at each."""
    table, bound = [], []
    for n in sizes:
        rows, queries = planted(n, n_queries)
        bound.append(limits(rows, queries))
        exact = Index.build("binary-flat", rows).search(
            queries, PLANTED)[1]
        for kind in (*CODES, *FLOATS):
            if kind in GRAPHS and n > graph_limit or \
                    kind in FLOATS and n > float_limit:
                continue
            table.append(one_kind(kind, rows, queries, exact))
            show(table[-1], bound[-1])
    return {"bits": BITS, "planted": PLANTED, "flips": FAR,
            "limits": bound, "table": table}


def show(row, bound):
    if row["kind"] == "binary-flat":
        print(f"\n{row['n']:,} codes; a scan is limited by "
              f"{bound['limited_by']} ({bound['bandwidth_gb_s']:.1f} "
              f"GB/s, {bound['codes_counted_per_s'] / 1e6:,.0f} million "
              f"codes/s counted) and takes {bound['ratio']:.2f} of that")
        print(f"{'':<13}{'queries/s':>10}{'one, ms':>9}{'B/code':>8}"
              f"{'recall':>8}{'build, s':>9}")
    print(f"{row['kind']:<13}{row['queries_per_s']:>10,.0f}"
          f"{1e3 * row['one_query_seconds']:>9.2f}"
          f"{row['bytes_per_code']:>8.0f}{row['recall_at_10']:>8.1f}"
          f"{row['build_seconds']:>9.1f}", flush=True)


# -- a trained model --------------------------------------------------


def subset_of(split, n_images, seed=0):
    """The fixed subset: the same pictures in every run."""
    draw = np.random.default_rng(seed)
    n = min(n_images, split.n_images)
    return split.subset(np.sort(
        draw.choice(split.n_images, n, replace=False)))


def of_model(run, dataset, split, n_images, depths, root=None):
    """Coarse, fine and coarse to fine: mR, and time of a query."""
    import torch

    from rsir.baseline import load_run
    from rsir.batches import Corpus
    from rsir.data import load_dataset
    from rsir.metrics import evaluate, evaluate_ranks, ranks, Ranks
    from rsir.models.joint import pair_scorer
    from rsir.rescore import rescore_both
    from rsir.train import encode_corpus

    model = load_run(run)
    part = subset_of(load_dataset(dataset, root)[split], n_images)
    corpus = Corpus(part, model)
    with torch.inference_mode():
        images, texts = encode_corpus(model, corpus)
        coarse = model.score(images, texts).float().numpy()
    pairwise = pair_scorer(model, images, texts)
    sides = {"t2i": (images, texts), "i2t": (texts, images)}
    n_asked = 20
    coarse_seconds = {}
    for way, (gallery, asking) in sides.items():
        index = Index.build("binary-flat", pack(gallery["code"].numpy()))
        asked = pack(asking["code"].numpy())[:n_asked]
        seconds, _ = best(lambda: [
            index.search(asked[i:i + 1], 10) for i in range(len(asked))])
        coarse_seconds[way] = seconds / len(asked)

    def pairs_of(way, queries, m):
        """The short lists of some queries, [queries * m, 2]."""
        block = coarse[:, queries].T if way == "t2i" else coarse[queries]
        top = np.argsort(-block, axis=1, kind="stable")[:, :m]
        own = np.repeat(queries, top.shape[1])
        both = (top.ravel(), own) if way == "t2i" else (own, top.ravel())
        return np.column_stack(both)

    def time_of(m, queries):
        """Mean seconds of a query over both directions."""
        each = {}
        for way in sides:
            start = time.perf_counter()
            for query in queries:
                pairwise(pairs_of(way, np.array([query]), m))
            each[way] = (time.perf_counter() - start) / len(queries)
        return {way: each[way] + coarse_seconds[way] for way in sides}

    def measured(of_i2t, of_t2i):
        both = [ranks(x[:, corpus.text_id], part.owner)
                for x in (of_i2t, of_t2i)]
        mixed = Ranks(both[0].i2t, both[1].t2i, part.owner)
        return evaluate_ranks(mixed, bootstrap=0)

    n, t = coarse.shape
    every = np.stack(np.meshgrid(
        np.arange(n), np.arange(t), indexing="ij"), -1).reshape(-1, 2)
    start = time.perf_counter()
    fine = pairwise(every).reshape(n, t)
    spent = time.perf_counter() - start
    few = np.arange(5)
    all_pairs = time_of(max(n, t), few)
    report = evaluate(coarse[:, corpus.text_id], part.owner, bootstrap=0)
    out = {
        "dataset": dataset, "split": split, "n_images": n,
        "n_texts": t, "n_captions": part.n_captions,
        "coarse": {"mR": report.mR, "seconds": coarse_seconds},
        "fine": {"mR": measured(fine, fine).mR, "seconds": all_pairs,
                 "pairs": n * t, "all_pairs_seconds": spent},
        "coarse_to_fine": [],
    }
    mean_all = np.mean(list(all_pairs.values()))
    print(f"{part!r}\ncoarse {report.mR:.2f} mR, fine on all "
          f"{n * t:,} pairs {out['fine']['mR']:.2f} mR, "
          f"{1e3 * mean_all:.0f} ms a query")
    for m in depths:
        both = rescore_both(coarse, pairwise, m)
        result = measured(both["i2t"], both["t2i"])
        each = time_of(m, np.arange(n_asked))
        faster = mean_all / np.mean(list(each.values()))
        out["coarse_to_fine"].append({
            "M": m, "mR": result.mR, "pairs": both["pairs"],
            "seconds": each, "faster": faster,
        })
        print(f"M = {m:<4} {result.mR:.2f} mR, {faster:.1f} times "
              f"faster", flush=True)
    return out


def write(name, facts):
    """Put the numbers where chapter and figures read them."""
    from rsir.data.paths import atomic_write
    from rsir.records import results_dir
    from rsir.reproduce import hardware, versions

    import faiss

    folder = results_dir() / "search"
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "command": "python benchmarks/search.py",
        "hardware": hardware(),
        "versions": versions() | {"faiss": faiss.__version__},
        **facts,
    }
    with atomic_write(folder / f"{name}.json") as file:
        json.dump(facts, file, indent=1)
        file.write("\n")
    print(f"results/search/{name}.json")


def main():
    import faiss

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--sizes", type=int, nargs="+", default=None,
        help="numbers of codes")
    add("--full", action="store_true", help="1,000 to 10,000,000")
    add("--queries", type=int, default=100)
    add("--graph-limit", type=int, default=1_000_000,
        help="no graphs above this size: they take long to build")
    add("--float-limit", type=int, default=100_000,
        help="no float indexes above this size: 512 bytes a row")
    add("--threads", type=int, default=1,
        help="to search; an index is built with all there are")
    add("--run", type=Path, help="run folder of a trained cfitr")
    add("--dataset", default="toy")
    add("--root", type=Path, default=None)
    add("--split", default="test")
    add("--images", type=int, default=200)
    add("--depths", type=int, nargs="+", default=DEPTHS)
    add("--write", action="store_true", help="into results/search/")
    asked = parser.parse_args()
    faiss.omp_set_num_threads(asked.threads)
    if asked.run:
        facts = of_model(asked.run, asked.dataset, asked.split,
                         asked.images, asked.depths, asked.root)
        name = f"{asked.dataset}-{asked.split}"
    else:
        sizes = asked.sizes or (FULL if asked.full else SIZES)
        facts = {"threads": asked.threads} | scale(
            sizes, asked.queries, asked.graph_limit, asked.float_limit)
        name = "scale"
    if asked.write:
        write(name, facts)


if __name__ == "__main__":
    main()
