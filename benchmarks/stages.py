"""Two stages of a trained model: what a short list costs and loses.

    python benchmarks/stages.py                  # a small one, on toy
    python benchmarks/stages.py --run RUN ... --dataset rsicd --write

Coarse, fine on all pairs, and coarse to fine with M candidates, on fixed
subsets of 200 pictures with all their captions, each a gallery of its own: as
many as the split fills. Numbers are means over runs and subsets; what a short
list loses has an interval over pictures. Of val, on which its length is
chosen, only pictures count that train does not hold, too.

Times are of the same queries, one after another, both directions averaged,
without the encoding of the query, which all have in common and which stands
beside them. --write puts the numbers into results/search/, where the chapter
reads them.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from search import ASKED, best, writer

from rsir.evaluation.compare import compare
from rsir.evaluation.metrics import recalls_from_ranks
from rsir.evaluation.ranks import QueryRanks, Ranks
from rsir.retrieval.index import Index, load_faiss, pack

DEPTHS = (10, 15, 20, 25, 30, 40, 50, 100, 200)
WAYS = ("i2t", "t2i")


def subsets(splits, name, n_images, seed=0):
    """The pictures to measure on: the same in every run.

    As many subsets as the split fills (of val: its fresh pictures), at least
    one.
    """
    from rsir.data.caption_statistics import to_choose_on

    split, draw = splits[name], np.random.default_rng(seed)
    left, parts = np.arange(split.n_images), []
    if name == "val":
        left = left[to_choose_on(split, splits.train)]
    while not parts or len(left) >= n_images:
        n = min(n_images, len(left))
        new = np.sort(draw.choice(len(left), n, replace=False))
        parts.append(split.subset(left[new]))
        left = np.delete(left, new)
    return parts


class Timed:
    """Two stages of a part of a split, and the queries that are timed."""

    def __init__(self, model, part):
        from rsir.retrieval.two_stage import TwoStage

        self.part, self.model = part, model
        encoded = model.encode_split(part)
        self.stages = TwoStage(model, encoded, tied="draw")
        self.coarse = self.stages.coarse("hash")  # what is timed is what counts
        self.asked = {  # spread over all queries
            way: np.unique(np.linspace(0, n - 1, ASKED).astype(int))
            for way, n in zip(WAYS, self.coarse.shape, strict=True)
        }

    def reading_seconds(self, m):
        """Mean seconds to read the first m of a query."""
        from rsir.models.cross_encoder import pair_scorer

        read = pair_scorer(self.model, self.stages.images, self.stages.texts)
        seconds = []
        for way, queries in self.asked.items():
            start = time.perf_counter()
            for query in queries:
                scores = self.coarse[query] if way == "i2t" else self.coarse[:, query]
                top = np.argsort(-scores, kind="stable")[:m]
                own = np.full(len(top), query)
                pair = (own, top) if way == "i2t" else (top, own)
                read(np.column_stack(pair))
            seconds.append((time.perf_counter() - start) / len(queries))
        return float(np.mean(seconds))

    def listing_seconds(self, m):
        """Mean seconds to find the m nearest codes of a query."""
        sides, seconds = (self.stages.images, self.stages.texts), []
        codes = [pack(side["code"].numpy()) for side in sides]
        for way, asking, gallery in zip(WAYS, codes, codes[::-1], strict=True):
            index = Index.build("binary-flat", gallery)
            rows = asking[self.asked[way]]

            def ask(index=index, rows=rows):
                return [index.search(row[None], m) for row in rows]

            seconds.append(best(ask)[0] / len(rows))
        return float(np.mean(seconds))

    def encoding_seconds(self):
        """Median seconds to encode one sentence."""
        import torch

        def encode(sentence):
            with torch.inference_mode():
                ids = self.model.text_encoder.tokenize([sentence])
                self.model.encode_texts(self.model.text_features(ids))

        said = [self.part.captions[i] for i in self.asked["t2i"]]
        encode(said[0])
        return float(np.median([best(lambda x=x: encode(x), 1)[0] for x in said]))


def of_subset(timed, depths):
    """Coarse, fine and coarse to fine: mR, and time of a query.

    Returns:
        Facts, and the ranks of all pairs (0) and of each depth.
    """
    stages, coarse = timed.stages, timed.coarse
    n, t = coarse.shape
    start = time.perf_counter()
    found = {0: stages.ranks(coarse, max(n, t))}
    spent = time.perf_counter() - start
    slow = timed.reading_seconds(max(n, t))
    out = {
        "n_images": n,
        "n_texts": t,
        "n_captions": timed.part.n_captions,
        "encoding_a_sentence_seconds": timed.encoding_seconds(),
        "coarse": {"mR": mR(stages.ranks(coarse))},
        "fine": {
            "seconds": slow,
            "pairs": n * t,
            "all_pairs_seconds": spent,
            "mR": mR(found[0]),
        },
        "coarse_to_fine": [],
    }
    print(
        f"{timed.part!r}\ncoarse {out['coarse']['mR']:.2f} mR, fine on all "
        f"{n * t:,} pairs {out['fine']['mR']:.2f} mR, {1e3 * slow:.0f} ms a query"
    )
    for m in depths:
        found[m] = stages.ranks(coarse, m)
        seconds = {"list": timed.listing_seconds(m), "read": timed.reading_seconds(m)}
        row = {
            "M": m,
            "seconds": seconds,
            "faster": slow / sum(seconds.values()),
            "mR": mR(found[m]),
        }
        out["coarse_to_fine"].append(row)
        line = f"M = {m:<4} {row['mR']:.2f} mR, {row['faster']:.1f} times faster"
        print(line, flush=True)
    return out, found


def mR(ranks):
    return recalls_from_ranks(ranks)["mR"]


def joined(parts):
    """Queries of several subsets as one; each has its own gallery."""
    first = np.cumsum([0] + [x.n_images for x in parts[:-1]])
    sides = []
    for way in WAYS:
        each = [vars(getattr(x, way)) for x in parts]
        columns = {name: np.concatenate([x[name] for x in each]) for name in each[0]}
        sides.append(QueryRanks(**columns))
    owner = [x.owner + n for x, n in zip(parts, first, strict=True)]
    return Ranks(*sides, np.concatenate(owner))


def mean(facts):
    """The mean of each number; all have the same keys and lengths."""
    first = facts[0]
    if isinstance(first, dict):
        return {key: mean([x[key] for x in facts]) for key in first}
    if isinstance(first, list):
        return [mean(x) for x in zip(*facts, strict=True)]
    same = all(x == first for x in facts)
    return first if same else float(np.mean(facts))


def of_runs(runs, dataset, split, n_images, depths, root=None):
    """The mean over runs and subsets, and what each depth loses."""
    from rsir.data import load_dataset

    splits = load_dataset(dataset, root)
    parts, each, places = subsets(splits, split, n_images), [], []
    for run in runs:
        model = trained(run, splits, dataset)
        made = [of_subset(Timed(model, part), depths) for part in parts]
        facts, found = zip(*made, strict=True)
        each.append(mean(facts))
        places.append({m: joined([x[m] for x in found]) for m in found[0]})
    out = mean(each)
    for row in out["coarse_to_fine"]:
        lost = compare(*([x[m] for x in places] for m in (0, row["M"])))
        row["loss"] = lost.difference["mR"]
        row["loss_ci95"] = list(map(float, lost.ci95["mR"]))
    of = {"dataset": dataset, "split": split}
    return of | {"subsets": len(parts), "runs": len(runs)} | out


def trained(run, splits, dataset):
    """The model of a run; without one, a small one, made now."""
    from rsir.models import config
    from rsir.training.checkpoints import load_run
    from rsir.training.trainer import train

    if run is not None:
        return load_run(run)
    return train(config("cfitr", "toy" if dataset == "toy" else "cpu"), splits).model


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    runs = "run folders of trained cfitr, one a seed"
    add("--run", type=Path, nargs="+", default=[None], help=runs)
    add("--dataset", default="toy")
    add("--root", type=Path, default=None)
    add("--split", default="test")
    add("--images", type=int, default=200)
    add("--depths", type=int, nargs="+", default=DEPTHS)
    add("--write", action="store_true", help="into results/search/")
    asked = parser.parse_args()
    load_faiss().omp_set_num_threads(1)
    to = f"{asked.dataset}-{asked.split}"
    keep = writer(to, "stages.py") if asked.write else None
    what = asked.dataset, asked.split, asked.images, asked.depths, asked.root
    facts = of_runs(asked.run, *what)
    line = "mean: M = {M:<4} loses {loss:.2f} [{0:.2f}, {1:.2f}], {faster:.1f} times faster"
    for row in facts["coarse_to_fine"]:
        print(line.format(*row["loss_ci95"], **row))
    if keep:
        keep(facts)


if __name__ == "__main__":
    main()
