"""`rsir search "a sentence"`: pictures of a data set that fit a query."""

import sys
from typing import Annotated

from rsir.cli import options
from rsir.cli.options import Dataset, Root, option
from rsir.utils.errors import RsirError


def search_command(
    sentence: options.Sentence = None,
    run: options.Run = None,
    dataset: Dataset = "toy",
    split: Annotated[str, option("train, val or test.")] = "test",
    k: options.K = 5,
    like: options.Like = None,
    root: Root = None,
    bands: options.Bands = None,
    scale: options.Scale = None,
    as_json: options.Json = False,
    strict: options.Strict = False,
) -> None:
    """Find pictures by a sentence; prints score and file.

    Pictures that cannot be read are left out, and a table says why.
    """
    if split not in ("train", "val", "test"):
        raise RsirError(f"--split {split!r}: train, val or test")
    left_out = []

    def find():
        from rsir.data import cache_dir, load_dataset
        from rsir.retrieval import search as room
        from rsir.retrieval.index import write_skipped
        from rsir.training.checkpoints import load_run

        pixels = options.pixel_options(bands, scale)
        splits = load_dataset(dataset, root, pixels=pixels)

        def hits(splits):
            model = load_run(run) if run else room.ready_model(splits)
            found = room.search(model, splits[split], sentence, k, like=like)
            return [(score, splits[split].images[image]) for image, score in found]

        try:
            return hits(splits)
        except RsirError:
            good, skipped = room.readable(splits)
            if strict or not skipped or not len(good[split]):
                raise
            where = cache_dir() / "skipped" / f"{splits.name}.csv"
            write_skipped(where, skipped)
            left_out.append((len(skipped), sum(map(len, splits)), where))
            return hits(good)

    options.find_and_print(sentence, like, as_json, find)
    for facts in left_out:
        options.tell_skipped(*facts, sys.stderr if as_json else None)
