"""Two stages of a trained model: what a short list costs and loses.

    python benchmarks/stages.py                  # a small one, on toy
    python benchmarks/stages.py --run RUN ... --dataset rsicd --write

Coarse, fine on all pairs, and coarse to fine with M candidates, on
fixed subsets of 200 pictures with all their captions, each a gallery of
its own: as many as the split fills. Read pairs count in full, and, in a
column of its own, as much as val says. Numbers are means over runs and
subsets; what a short list loses has an interval over pictures. Of val,
on which its length is chosen, only pictures count that train does not
hold, too.

Times are of the same queries, one after another, both directions
averaged, without the encoding of the query, which all have in common
and which stands beside them. --write puts the numbers into
results/search/, where the chapter reads them.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from search import ASKED, best, writer

from rsir.evaluation.metrics import Ranks, compare, ranks, recalls_from_ranks
from rsir.evaluation.ranks import Places
from rsir.retrieval.index import Index, pack

DEPTHS = (10, 15, 20, 25, 30, 40, 50, 100, 200)


def subsets(splits, name, n_images, seed=0):
    """The pictures to measure on: the same in every run.

    As many subsets as the split fills (of val: its fresh pictures),
    at least one.
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


class Subset:
    """A trained model and the pictures it is measured on.

    `chosen` is how much the reading counts, as val says.
    """

    def __init__(self, model, chosen, part):
        import torch

        from rsir.retrieval.two_stage import reader
        from rsir.training.batches import Corpus
        from rsir.training.trainer import encode_corpus

        self.model, self.chosen, self.part = model, chosen, part
        self.corpus = Corpus(self.part, self.model)
        with torch.inference_mode():
            sides = encode_corpus(self.model, self.corpus)
            self.coarse = self.model.score(*sides).float().numpy()
        self.sides = dict(zip(("t2i", "i2t"), (sides, sides[::-1])))
        self.read, self.unread = (
            reader(self.model, *sides, share) for share in (1.0, 0.0)
        )
        self.asked = {  # spread over all queries
            way: np.unique(np.linspace(0, n - 1, ASKED).astype(int))
            for way, n in zip(("i2t", "t2i"), self.coarse.shape)
        }

    def pairs_of(self, way, query, m):
        """The short list of a query, [m, 2]."""
        scores = self.coarse[:, query] if way == "t2i" else self.coarse[query]
        top = np.argsort(-scores, kind="stable")[:m]
        own = np.full(len(top), query)
        return np.column_stack((top, own) if way == "t2i" else (own, top))

    def reading_seconds(self, m):
        """Mean seconds to read the first m of a query."""

        def seconds(way):
            start = time.perf_counter()
            for query in self.asked[way]:
                self.read(self.pairs_of(way, query, m))
            return (time.perf_counter() - start) / len(self.asked[way])

        return float(np.mean([seconds(way) for way in self.asked]))

    def listing_seconds(self, m):
        """Mean seconds to find the m nearest codes of a query."""

        def seconds(way):
            gallery, asking = self.sides[way]
            index = Index.build("binary-flat", pack(gallery["code"].numpy()))
            codes = pack(asking["code"].numpy())[self.asked[way]]
            return best(lambda: [index.search(code[None], m) for code in codes])[
                0
            ] / len(codes)

        return float(np.mean([seconds(way) for way in self.asked]))

    def encoding_seconds(self):
        """Median seconds to encode one sentence."""
        import torch

        said = [self.part.captions[i] for i in self.asked["t2i"]]

        def encode(sentence):
            with torch.inference_mode():
                ids = self.model.text_encoder.tokenize([sentence])
                self.model.encode_texts(self.model.text_features(ids))

        encode(said[0])
        return float(np.median([best(lambda: encode(x), 1)[0] for x in said]))

    def ranks(self, of_i2t, of_t2i):
        """Places by the scores of each direction, [n_images, n_texts]."""
        one, other = (
            ranks(x[:, self.corpus.text_id], self.part.owner) for x in (of_i2t, of_t2i)
        )
        return Ranks(one.i2t, other.t2i, self.part.owner)


def of_subset(own, depths):
    """Coarse, fine and coarse to fine: mR, and time of a query.

    Returns:
        Facts, and the ranks of all pairs (0) and of each depth.
    """
    from rsir.retrieval.two_stage import rescore_both

    n, t = own.coarse.shape
    every = np.stack(
        np.meshgrid(np.arange(n), np.arange(t), indexing="ij"), -1
    ).reshape(-1, 2)
    start = time.perf_counter()
    fine = own.read(every).reshape(n, t)
    spent = time.perf_counter() - start
    start = own.unread(every).reshape(n, t)
    # a fine score is a line in how much reading counts
    shares = {"": fine, "_as_chosen": start + own.chosen * (fine - start)}
    slow = own.reading_seconds(max(n, t))
    found = {0: own.ranks(fine, fine)}
    out = {
        "n_images": n,
        "n_texts": t,
        "n_captions": own.part.n_captions,
        "reading_chosen": own.chosen,
        "encoding_a_sentence_seconds": own.encoding_seconds(),
        "coarse": {"mR": mR(own.ranks(own.coarse, own.coarse))},
        "fine": {
            "seconds": slow,
            "pairs": n * t,
            "all_pairs_seconds": spent,
            **{f"mR{name}": mR(own.ranks(x, x)) for name, x in shares.items()},
        },
        "coarse_to_fine": [],
    }
    print(
        f"{own.part!r}\ncoarse {out['coarse']['mR']:.2f} mR, fine on "
        f"all {n * t:,} pairs {out['fine']['mR']:.2f} mR, "
        f"{1e3 * slow:.0f} ms a query; val lets reading count "
        f"{own.chosen:.0%}: {out['fine']['mR_as_chosen']:.2f} mR"
    )
    for m in depths:
        row = {
            "M": m,
            "seconds": {"list": own.listing_seconds(m), "read": own.reading_seconds(m)},
        }
        row["faster"] = slow / sum(row["seconds"].values())
        for name, x in shares.items():
            both = rescore_both(
                own.coarse, lambda pairs, x=x: x[tuple(pairs.T)], m, tied="draw"
            )
            places = own.ranks(both["i2t"], both["t2i"])
            found.setdefault(m, places)  # read in full: the first
            row[f"mR{name}"] = mR(places)
        out["coarse_to_fine"].append(row)
        print(
            f"M = {m:<4} {row['mR']:.2f} mR (as chosen "
            f"{row['mR_as_chosen']:.2f}), {row['faster']:.1f} times "
            "faster",
            flush=True,
        )
    return out, found


def mR(places):
    return recalls_from_ranks(places)["mR"]


def joined(parts):
    """Queries of several subsets as one; each has its own gallery."""
    first = np.cumsum([0] + [len(x.i2t.own) for x in parts])
    sides = [
        Places(
            *(
                np.concatenate([getattr(getattr(x, way), name) for x in parts])
                for name in Places.__dataclass_fields__
            )
        )
        for way in ("i2t", "t2i")
    ]
    return Ranks(*sides, np.concatenate([x.owner + n for x, n in zip(parts, first)]))


def mean(facts):
    """The mean of each number; all have the same keys and lengths."""
    first = facts[0]
    if isinstance(first, dict):
        return {key: mean([x[key] for x in facts]) for key in first}
    if isinstance(first, list):
        return [mean(x) for x in zip(*facts)]
    same = all(x == first for x in facts)
    return first if same else float(np.mean(facts))


def of_runs(runs, dataset, split, n_images, depths, root=None):
    """The mean over runs and subsets, and what each depth loses."""
    from rsir.data import load_dataset
    from rsir.retrieval.two_stage import choose_reading

    splits = load_dataset(dataset, root)
    parts, each, places = subsets(splits, split, n_images), [], []
    for run in runs:
        model = trained(run, splits, dataset)
        model.coarse = "hash"  # what is timed is what counts
        chosen = choose_reading(model, splits.val, splits.train)[0]
        facts, found = zip(
            *(of_subset(Subset(model, chosen, part), depths) for part in parts)
        )
        each.append(mean(facts))
        places.append({m: joined([x[m] for x in found]) for m in found[0]})
    out = mean(each)
    for row in out["coarse_to_fine"]:
        lost = compare(*([x[m] for x in places] for m in (0, row["M"])))
        row["loss"] = lost.difference["mR"]
        row["loss_ci95"] = list(map(float, lost.ci95["mR"]))
    return {
        "dataset": dataset,
        "split": split,
        "subsets": len(parts),
        "runs": len(runs),
    } | out


def trained(run, splits, dataset):
    """The model of a run; without one, a small one, made now."""
    from rsir.models.recipes import recipe
    from rsir.retrieval.search import load_run
    from rsir.training.trainer import train

    if run is not None:
        return load_run(run)
    return train(recipe("cfitr", "toy" if dataset == "toy" else "cpu"), splits).model


def main():
    import faiss

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add(
        "--run",
        type=Path,
        nargs="+",
        default=[None],
        help="run folders of trained cfitr, one a seed",
    )
    add("--dataset", default="toy")
    add("--root", type=Path, default=None)
    add("--split", default="test")
    add("--images", type=int, default=200)
    add("--depths", type=int, nargs="+", default=DEPTHS)
    add("--write", action="store_true", help="into results/search/")
    asked = parser.parse_args()
    faiss.omp_set_num_threads(1)
    keep = (
        writer(f"{asked.dataset}-{asked.split}", "stages.py") if asked.write else None
    )
    facts = of_runs(
        asked.run, asked.dataset, asked.split, asked.images, asked.depths, asked.root
    )
    for row in facts["coarse_to_fine"]:
        print(
            "mean: M = {M:<4} loses {loss:.2f} [{0:.2f}, {1:.2f}], "
            "{faster:.1f} times faster".format(*row["loss_ci95"], **row)
        )
    if keep:
        keep(facts)


if __name__ == "__main__":
    main()
