"""Records of a re-ranking: a finished run, looked at a second time.

`rsir reproduce galr --row midf+mr` takes the test scores of the run
"midf" and re-ranks them. Nothing is trained. Such a record says whether
the re-ranking is transductive: it then saw all test queries at once.
Explained in chapter 03.
"""

import datetime
import json
import time
from pathlib import Path

import numpy as np
import torch

from rsir.baseline import load_run
from rsir.batches import over_texts
from rsir.data import Split, load_dataset
from rsir.errors import RsirError
from rsir.metrics import Ranks, recalls_from_ranks
from rsir.metrics import ranks as rank
from rsir.models.base import Retriever
from rsir.recipes import RERANKS
from rsir.records import (
    Record,
    ranks_digest,
    read_record,
    recalls_under_every_rule,
    used_modules,
    write_record,
)
from rsir.rerank import multivariate_rerank
from rsir.train import score_split

#: how far the mR may be from the record: other cores, other sums
CLOSE = 0.02


def run_rerank(row: str, base: Path, run_dir: Path, dataset: str,
               root: str | Path | None, results: Path, commit: str
               ) -> Path:
    """Re-rank the test scores of a recorded run; write the record.

    Args:
        row: such as "midf+mr".
        base: the record of "midf", same data set, preset and seed.
        run_dir: the folder of that run.
        dataset, root, results, commit: as for the run.

    Raises:
        RsirError: if the folder does not hold the run of the record.
    """
    record, name = read_record(base), row.partition("+")[2]
    options = dict(RERANKS[name])
    banked = options.pop("bank")
    splits = load_dataset(dataset, root)
    test = splits.test
    model = load_run(run_dir)
    scores = score_split(model, test)
    start = time.perf_counter()
    _same_run(record, rank(scores, test.owner), run_dir)
    banks = bank_scores(model, splits.train, test, record.seed) \
        if banked else {}
    found = rerank_both(scores, test.owner, banks, **options)
    took = round(time.perf_counter() - start, 1)
    seconds = dict(record.seconds)
    seconds |= {"evaluate": seconds["evaluate"] + took,
                "total": seconds["total"] + took}
    facts = record.facts | {
        "row": row, "commit": commit,
        "command": record.command.replace(
            f"--row {record.row} ", f"--row {row} "),
        "modules": record.modules | used_modules(),
        "seconds": seconds,
        "recalls": recalls_under_every_rule(found),
        "rerank": options | {
            "transductive": not banked, "bank": {
                way: int(b.shape[axis]) for (way, b), axis in
                zip(banks.items(), (0, 1))
            } or None,
            "of": base.stem, "of_commit": record.commit,
            "of_ranks": ranks_digest(base.with_suffix(".npz")),
            "of_mR": record.mR,
            "seconds": took,
        },
        "created": datetime.datetime.now(
            datetime.timezone.utc).strftime("%Y-%m-%d"),
    }
    return write_record(json.loads(json.dumps(facts)), found, results)


def rerank_both(scores: np.ndarray, owner: np.ndarray,
                banks: dict[str, np.ndarray] | None = None,
                **options) -> Ranks:
    """Per-query ranks after MR, each direction re-ranked for itself.

    Args:
        scores: `[n_images, n_captions]`.
        owner: `[n_captions]`.
        banks: "i2t" `[n_bank, n_captions]` and "t2i"
            `[n_images, n_bank]`: scores of training queries; without
            them MR is transductive.
        options: of `rsir.rerank.multivariate_rerank`.
    """
    found = {}
    for way in ("i2t", "t2i"):
        new = multivariate_rerank(
            scores, way, bank=(banks or {}).get(way), **options)
        found[way] = getattr(rank(new, owner), way)
    return Ranks(found["i2t"], found["t2i"], np.asarray(owner))


def bank_scores(model: Retriever, train: Split, test: Split,
                seed: int = 0, size: int | None = None
                ) -> dict[str, np.ndarray]:
    """Scores of training queries against the test gallery.

    Args:
        model: encodes both sides.
        train: its pictures and their captions are the queries.
        test: the gallery.
        seed: which pictures are drawn.
        size: how many; None: as many as `test` has.

    Returns:
        "i2t": training pictures with test captions
        `[size, n_captions]`; "t2i": test pictures with the captions
        of these pictures `[n_images, n_bank]`.
    """
    draw = np.random.default_rng([seed, 3])
    size = min(size or test.n_images, train.n_images)
    rows = np.sort(draw.choice(train.n_images, size, replace=False))
    asked = [c for i in rows for c in train.captions_of(i)]
    images, texts = encode(model, test, range(test.n_images),
                           test.captions)
    queries, words = encode(model, train, rows, asked)
    with torch.inference_mode():
        return {
            "i2t": model.score(queries, texts).float().cpu().numpy(),
            "t2i": model.score(images, words).float().cpu().numpy(),
        }


@torch.inference_mode()
def encode(model: Retriever, split: Split, rows, captions,
           batch: int = 256) -> tuple[dict, dict]:
    """Both sides of chosen pictures and of any captions.

    Returns:
        Tensors `[len(rows), ...]` and `[len(captions), ...]`.
    """
    model.eval()
    features = model.split_features(split, progress=False)
    rows, parts = np.asarray(rows), []
    device = next(model.parameters()).device
    for i in range(0, len(rows), batch):
        parts.append(model.encode_images({
            k: torch.from_numpy(np.array(x[rows[i:i + batch]])).to(device)
            for k, x in features.items()
        }))
    images = {k: torch.cat([p[k] for p in parts]) for k in parts[0]}

    def texts(part):
        part = {k: x.to(device) for k, x in part.items()}
        return model.encode_texts(model._text_inputs(part))

    ids = model.text_encoder.tokenize(list(captions))
    return images, over_texts({"ids": ids}, texts)


def _same_run(record: Record, found: Ranks, run_dir: Path) -> None:
    mR = recalls_from_ranks(found)["mR"]
    if abs(mR - record.mR) > CLOSE:
        raise RsirError(
            f"{run_dir}: this run scores {mR:.2f}, its record says "
            f"{record.mR:.2f}; make the record again with "
            "rsir reproduce --force"
        )
