"""The queue behind `rsir reproduce`: one run after the other.

Each run has a process of its own, so that its memory and its time
are its own. A queue that is killed goes on where it stopped; a run
whose record stands and is not stale is not made again.
"""

import dataclasses
import datetime
import importlib.metadata
import json
import multiprocessing
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout

from rsir.data import NAMES, Split, cache_dir, load_dataset
from rsir.evaluation.metrics import Ranks, recalls_from_ranks
from rsir.evaluation.metrics import ranks as rank
from rsir.experiments.records import (
    Record,
    ranks_digest,
    read_record,
    recalls_under_every_rule,
    results_dir,
    used_modules,
    write_record,
)
from rsir.models.base import Retriever
from rsir.models.recipes import RERANKS, ROWS, recipe
from rsir.retrieval.rerank import multivariate_rerank
from rsir.retrieval.search import load_run
from rsir.training.batches import over_texts
from rsir.training.trainer import score_split
from rsir.utils.errors import RsirError

PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "transformers",
    "accelerate",
    "numpy",
    "scipy",
)


def reproduce(
    method: str,
    dataset: str,
    preset: str = "cpu",
    seeds: Sequence[int] = (0,),
    rows: Sequence[str] | None = None,
    *,
    root: str | Path | None = None,
    results: Path | None = None,
    force: bool = False,
    say: Callable[[str], None] = print,
) -> list[Path]:
    """Train, select on val, score test once, write records.

    Args:
        method, dataset, preset: what to run.
        seeds: one run each.
        rows: names in `ROWS[method]`; None: the first (headline).
        root: data root, as for `load_dataset`.
        results: where records go; None: `results/`.
        force: make records again that stand already.
        say: gets a line for each run.

    Returns:
        Paths of all records asked for.

    Raises:
        RsirError: for a dirty tree, another queue at work, or a run
            that failed.
    """
    if dataset not in NAMES:
        raise RsirError(
            f"data set {dataset!r}: records are for "
            f"{', '.join(NAMES)}; train on a folder with rsir train"
        )
    results = results or results_dir()
    recipe(method, preset)
    rows = list(rows or list(ROWS[method])[:1])
    for row in rows:
        recipe(method, preset, row)
    clean_commit()
    cache_dir().mkdir(parents=True, exist_ok=True)
    lock = FileLock(cache_dir() / "reproduce.lock")
    try:
        held = lock.acquire(timeout=0)
    except Timeout:
        raise RsirError(
            f"{lock.lock_file}: another queue is at work here; wait "
            "for it, so that measured times stay true"
        ) from None
    paths = []
    with held:
        for row in rows:
            for seed in seeds:
                path = results / method / dataset / f"{row}-s{seed}.json"
                paths.append(path)
                if not force and path.exists() and _stands(read_record(path), preset):
                    say(f"{path.stem}: stands")
                    continue
                if "+" in row:
                    _needs_its_run(path, row, preset)
                say(f"{path.stem}: running")
                _in_own_process(
                    dict(
                        method=method,
                        dataset=dataset,
                        preset=preset,
                        row=row,
                        seed=seed,
                        root=root and str(root),
                        results=str(results),
                        commit=clean_commit(),
                    )
                )
                record = read_record(path)
                say(f"{path.stem}: mR {record.mR:.2f}, {record.seconds['total']:.0f} s")
    return paths


def _stands(record: Record, preset: str) -> bool:
    return record.preset == preset and not record.stale()


def _needs_its_run(path: Path, row: str, preset: str) -> None:
    """A re-ranking needs the record of what it re-ranks."""
    base = row.partition("+")[0]
    run = path.with_name(path.name.replace(row, base))
    if not run.exists() or not _stands(read_record(run), preset):
        raise RsirError(
            f"{path.stem}: re-ranks {run.stem}, which has no fresh "
            f"record; reproduce the row {base} first"
        )


def clean_commit() -> str:
    """The commit of this checkout.

    Raises:
        RsirError: if files differ from it (`results/` may), or there
            is no commit to name.
    """
    home = Path(__file__).resolve().parents[2]

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(home), *words],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RsirError(
                f"{home}: not a git checkout with a commit; a record "
                "must name the code it comes from: clone the project"
            )
        return done.stdout

    commit = git("rev-parse", "HEAD").strip()
    dirty = git("status", "--porcelain", "--", ".", ":!results")
    if dirty.strip():
        raise RsirError(
            f"{home}: files differ from commit {commit[:10]} "
            f"({dirty.split()[1]}, ...); commit first: a record names "
            "the code that it comes from"
        )
    return commit


def _in_own_process(job: dict) -> None:
    process = multiprocessing.get_context("spawn").Process(target=run_job, kwargs=job)
    process.start()
    process.join()
    if process.exitcode:
        raise RsirError(
            f"{job['row']}-s{job['seed']}: the run ended with code "
            f"{process.exitcode}; call the same command to go on"
        )


def run_job(method, dataset, preset, row, seed, root, results, commit) -> None:
    """One run, in this process: train, score test, write the record."""
    from rsir.data import load_dataset
    from rsir.models import build
    from rsir.training.trainer import train
    from rsir.utils.seed import exactly

    exactly(seed)
    used_modules()  # hash the code as it is now, not after hours
    base = row.partition("+")[0]
    run_dir = cache_dir() / "runs" / method / dataset / f"{preset}-{base}-s{seed}"
    if base != row:
        record = Path(results) / method / dataset / f"{base}-s{seed}.json"
        run_rerank(row, record, run_dir, dataset, root, Path(results), commit)
        return
    asked = recipe(method, preset, row, seed=seed)
    splits = load_dataset(dataset, root)
    _drop_other_run(run_dir, asked, commit)
    # made before the clock starts: "features" counts them
    model = build(asked, splits.train)
    for split in splits:
        model.split_features(split)
    features = sum(map(model.features_seconds, splits))
    del model
    if getattr(asked, "selects", "val") == "test":  # the slip itself
        splits = dataclasses.replace(splits, val=splits.test)
    run = train(asked, splits, run_dir)
    for name, ranks, evaluated, *more in _measured(run, splits, row, preset):
        seconds = {
            "features": features,
            # frozen texts encoded, statistics, a warm start
            "prepare": run.seconds["features"],
            "train": run.seconds["train"],
            "evaluate": evaluated,
        } | (more[0].pop("seconds", {}) if more else {})
        seconds["total"] = sum(seconds.values())
        _write(
            run,
            name,
            preset,
            dataset,
            commit,
            seconds,
            ranks,
            splits.test,
            Path(results),
            *more,
        )
    _drop_states(run_dir)


def _drop_states(run_dir: Path) -> None:
    """The records stand: keep the weights, not what training needs."""
    for state in run_dir.glob("state-*"):
        shutil.rmtree(state)


def _measured(run, splits, row: str, preset: str):
    """Row, ranks and seconds; several rows if training is shared.

    A system that re-scores the top of a list (a recipe with
    `rescore`) is measured with and without it in one go. The second
    gets a record of its own where a row asks for just that.
    """
    from rsir.evaluation.metrics import ranks as rank
    from rsir.training.batches import Corpus
    from rsir.training.trainer import score_corpus

    asked, model, test = run.recipe, run.model, splits.test
    if getattr(asked, "gallery", "full") != "full":
        yield row, *_on_its_gallery(run, splits)
        return
    if hasattr(asked, "MEASURED"):  # CFITR: many ways, one training
        from rsir.retrieval.two_stage import measured

        yield from measured(model, splits, asked, preset)
        return
    start = time.perf_counter()
    corpus = Corpus(test, model, progress=False)
    k = getattr(asked, "rescore", 0)
    if not k:
        ranks = rank(score_corpus(model, corpus), test.owner)
        yield row, ranks, time.perf_counter() - start
        return
    from rsir.data.caption_statistics import to_choose_on
    from rsir.retrieval.two_stage import choose, two_stages

    val = Corpus(splits.val, model, progress=False)
    k, reading, tried = choose(
        model, val, k, keep=to_choose_on(splits.val, splits.train)
    )
    chosen = time.perf_counter()
    both = two_stages(model, corpus, (k,), reading=reading)[0]
    passed = time.perf_counter() - chosen
    yield (
        row,
        both.ranks(),
        passed,
        {
            "seconds": {"choose": chosen - start},
            "rescored": {
                "k": k,
                "reading": reading,
                "pairs": both.pairs,
                "tried": tried,
            },
        },
    )
    plain = dataclasses.replace(asked, rescore=0)
    for name in ROWS[asked.method]:
        if recipe(asked.method, preset, name, seed=asked.seed) == plain:
            yield (name, both.coarse_ranks(), passed - both.seconds["rescore"])


def _on_its_gallery(run, splits) -> tuple:
    """Ranks and seconds of a two-stage run on the gallery it names.

    The same lists are measured on the full gallery, too: the record
    holds the mR of both, which differ by the gallery alone.
    """
    from rsir.evaluation.metrics import Ranks, kept, recalls_from_ranks
    from rsir.evaluation.metrics import ranks as rank
    from rsir.retrieval.two_stage import Stages, choose_reading, rescore_both
    from rsir.training.batches import Corpus

    asked, model, test = run.recipe, run.model, splits.test
    start = time.perf_counter()
    model.reading, tried = choose_reading(model, splits.val, splits.train)
    chosen = time.perf_counter()
    stages = Stages(model, Corpus(test, model, progress=False))
    lists = rescore_both(
        stages.coarse(asked.coarse, asked.ppsr), stages.fine, asked.rescore
    )
    spent = time.perf_counter() - chosen
    found = {}
    for name in ("full", asked.gallery):
        keep = kept(test.captions, test.owner, name)
        columns, owner = stages.columns[keep], test.owner[keep]
        i2t, t2i = (rank(lists[way][:, columns], owner) for way in ("i2t", "t2i"))
        found[name] = Ranks(i2t.i2t, t2i.t2i, owner)
    return (
        found[asked.gallery],
        spent,
        {
            "seconds": {"choose": chosen - start},
            "rescored": {
                "k": asked.rescore,
                "reading": model.reading,
                "pairs": stages.read,
                "tried": tried,
            },
            "gallery": asked.gallery,
            "galleries": {
                name: round(recalls_from_ranks(x)["mR"], 4) for name, x in found.items()
            },
        },
    )


def _write(
    run,
    row,
    preset,
    dataset,
    commit,
    seconds,
    ranks,
    test,
    results: Path,
    more: dict | None = None,
) -> None:
    """The record of one row, with what else is worth noting."""
    method, seed = run.recipe.method, run.recipe.seed
    asked = recipe(method, preset, row, seed=seed)
    write_record(
        {
            "method": method,
            "dataset": dataset,
            "row": row,
            "preset": preset,
            "seed": seed,
            "command": f"rsir reproduce {method} --dataset {dataset} "
            f"--preset {preset} --row {row} --seed {seed}",
            "commit": commit,
            "modules": used_modules(),
            "versions": versions(),
            "hardware": hardware(),
            "precision": run.precision,
            "seconds": {k: round(v, 1) for k, v in seconds.items()},
            "peak_memory_gb": round(
                resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2
            ),
            "recalls": recalls_under_every_rule(ranks),
            "val_mR": round(run.val_mR, 4),
            "epochs_run": run.history[-1]["epoch"],
            "encoders": {"image": asked.image_encoder, "text": asked.text_encoder},
            "n_images": test.n_images,
            "n_captions": len(ranks.owner),
            "config": json.loads(json.dumps(asked.to_dict())),
            "created": datetime.datetime.now(datetime.timezone.utc).strftime(
                "%Y-%m-%d"
            ),
        }
        | (more or {}),
        ranks,
        results,
    )


def _drop_other_run(run_dir: Path, asked, commit: str) -> None:
    """Remove a half run of another commit or recipe, keep our own."""
    mark = run_dir / "commit"
    if run_dir.exists() and not (mark.exists() and mark.read_text() == commit):
        shutil.rmtree(run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    mark.write_text(commit)


def versions() -> dict[str, str]:
    """Python and the packages that decide numbers."""
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in PACKAGES
    }


def hardware() -> dict[str, object]:
    """Processor, cores, memory and GPU, without names of hosts."""
    import torch

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    gpu = torch.cuda.is_available()
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "simd": torch.backends.cpu.get_cpu_capability(),
        "memory_gb": round(memory / 2**30),
        "gpu": torch.cuda.get_device_name(0) if gpu else None,
    }


def _cpu_name() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


# ----------------------------------------------------------------------
# Records of a re-ranking: a finished run, looked at a second time.
#
# `rsir reproduce galr --row midf+mr` takes the test scores of the run
# "midf" and re-ranks them. Nothing is trained. Such a record says whether
# the re-ranking is transductive: it then saw all test queries at once.
# Explained in chapter 03.


#: how far the mR may be from the record: other cores, other sums
CLOSE = 0.02


def run_rerank(
    row: str,
    base: Path,
    run_dir: Path,
    dataset: str,
    root: str | Path | None,
    results: Path,
    commit: str,
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
    banks = bank_scores(model, splits.train, test, record.seed) if banked else {}
    found = rerank_both(scores, test.owner, banks, **options)
    took = round(time.perf_counter() - start, 1)
    seconds = dict(record.seconds)
    seconds |= {
        "evaluate": seconds["evaluate"] + took,
        "total": seconds["total"] + took,
    }
    facts = record.facts | {
        "row": row,
        "commit": commit,
        "command": record.command.replace(f"--row {record.row} ", f"--row {row} "),
        "modules": record.modules | used_modules(),
        "seconds": seconds,
        "recalls": recalls_under_every_rule(found),
        "rerank": options
        | {
            "transductive": not banked,
            "bank": {
                way: int(b.shape[axis]) for (way, b), axis in zip(banks.items(), (0, 1))
            }
            or None,
            "of": base.stem,
            "of_commit": record.commit,
            "of_ranks": ranks_digest(base.with_suffix(".npz")),
            "of_mR": record.mR,
            "seconds": took,
        },
        "created": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
    }
    return write_record(json.loads(json.dumps(facts)), found, results)


def rerank_both(
    scores: np.ndarray,
    owner: np.ndarray,
    banks: dict[str, np.ndarray] | None = None,
    **options,
) -> Ranks:
    """Per-query ranks after MR, each direction re-ranked for itself.

    Args:
        scores: `[n_images, n_captions]`.
        owner: `[n_captions]`.
        banks: "i2t" `[n_bank, n_captions]` and "t2i"
            `[n_images, n_bank]`: scores of training queries; without
            them MR is transductive.
        options: of `rsir.retrieval.rerank.multivariate_rerank`.
    """
    found = {}
    for way in ("i2t", "t2i"):
        new = multivariate_rerank(scores, way, bank=(banks or {}).get(way), **options)
        found[way] = getattr(rank(new, owner), way)
    return Ranks(found["i2t"], found["t2i"], np.asarray(owner))


def bank_scores(
    model: Retriever, train: Split, test: Split, seed: int = 0, size: int | None = None
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
    images, texts = encode(model, test, range(test.n_images), test.captions)
    queries, words = encode(model, train, rows, asked)
    with torch.inference_mode():
        return {
            "i2t": model.score(queries, texts).float().cpu().numpy(),
            "t2i": model.score(images, words).float().cpu().numpy(),
        }


@torch.inference_mode()
def encode(
    model: Retriever, split: Split, rows, captions, batch: int = 256
) -> tuple[dict, dict]:
    """Both sides of chosen pictures and of any captions.

    Returns:
        Tensors `[len(rows), ...]` and `[len(captions), ...]`.
    """
    model.eval()
    features = model.split_features(split, progress=False)
    rows, parts = np.asarray(rows), []
    device = next(model.parameters()).device
    for i in range(0, len(rows), batch):
        parts.append(
            model.encode_images(
                {
                    k: torch.from_numpy(np.array(x[rows[i : i + batch]])).to(device)
                    for k, x in features.items()
                }
            )
        )
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
