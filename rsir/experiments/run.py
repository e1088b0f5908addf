"""The queue behind `rsir reproduce`: one run after the other.

Each run has a process of its own, so that its memory and its time are
its own. A queue that is killed goes on where it stopped; a run whose
record stands and is not stale is not made again.
"""

import importlib.metadata
import json
import multiprocessing
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rsir.data import NAMES, Split, Splits, load_dataset
from rsir.data.split import DataRepairWarning
from rsir.data.toy import WORLDS
from rsir.evaluation.metrics import TIES, positions, recalls_from_ranks
from rsir.evaluation.ranks import Ranks, compute_ranks
from rsir.experiments import records
from rsir.experiments.records import Record, read_record
from rsir.models import RERANKS, Config, config, variants
from rsir.retrieval.rerank import multivariate_rerank
from rsir.utils.errors import RsirError
from rsir.utils.io import atomic_write, cache_dir, locked
from rsir.utils.seed import seed_everything

PACKAGES = "torch torchvision timm transformers accelerate numpy scipy".split()
#: how far the mR may be from the record: other cores, other sums
CLOSE = 0.02


@dataclass(frozen=True)
class Job:
    """One run: it becomes one record, or several that share a training."""

    method: str
    dataset: str
    preset: str
    variant: str
    seed: int

    def __str__(self) -> str:
        return f"{self.method} {self.dataset} {self.variant}-s{self.seed}"

    @property
    def trained(self) -> "Job":
        """The run itself, where this is a re-ranking of one."""
        return replace(self, variant=self.variant.partition("+")[0])

    @property
    def command(self) -> str:
        """What makes its record."""
        return (
            f"rsir reproduce {self.method} --dataset {self.dataset} "
            f"--preset {self.preset} --variant {self.variant} --seed {self.seed}"
        )

    def config(self) -> Config:
        return config(self.method, self.preset, self.variant, seed=self.seed)

    def path(self, results: Path) -> Path:
        """Of its record."""
        return records.record_path(results, vars(self))

    def run_dir(self) -> Path:
        home = cache_dir() / "runs" / self.method / self.dataset
        return home / f"{self.preset}-{self.trained.variant}-s{self.seed}"

    def record(self, results: Path, fresh: bool = False) -> Record | None:
        """Its record of this preset; None: there is none, or none fresh."""
        path = self.path(results)
        found = read_record(path) if path.exists() else None
        if found is None or found.preset != self.preset or fresh and found.stale():
            return None
        return found


def jobs_of(
    wanted: Sequence[tuple[str, str | None]],
    dataset: str,
    preset: str = "cpu",
    seeds: Sequence[int] = (0,),
) -> list[Job]:
    """A job for each (method, variant) and seed; variant None: the headline.

    Raises:
        RsirError: an unknown name.
    """
    if dataset not in (*NAMES, *WORLDS):
        raise RsirError(
            f"data set {dataset!r}: records are for {', '.join(NAMES)}; train on "
            "a folder with rsir train"
        )
    jobs = [
        Job(method, dataset, preset, variant or next(iter(variants(method))), seed)
        for method, variant in wanted
        for seed in seeds
    ]
    for job in jobs:
        job.config()
    return jobs


def work(
    jobs: Sequence[Job],
    *,
    root: str | Path | None = None,
    results: Path | None = None,
    force: bool = False,
    dry_run: bool = False,
    say: Callable[[str], None] = print,
) -> list[Path]:
    """Train, select on val, score test once, write records; their paths.

    Args:
        jobs: of `jobs_of`, in this order, of one data set or several.
        root: data root, as for `load_dataset`.
        results: where records go; None: `results/`.
        force: make records again that stand already.
        dry_run: only say what it would cost, by the records there are.
        say: gets a line for each run.

    Raises:
        RsirError: for a dirty tree, another queue at work, data that are not
            there, or a run that failed.
    """
    results = results or records.results_dir()
    paths = [job.path(results) for job in jobs]
    if dry_run:
        _tell_cost(jobs, results, force, say)
        return paths
    commit = clean_commit()  # once: a commit in between stops no queue
    with _alone():
        known = {
            dataset: digests(load_dataset(dataset, root))
            for dataset in dict.fromkeys(job.dataset for job in jobs)
        }
        for dataset, found in known.items():
            records.note_data(results, dataset, found)
        for job, path in zip(jobs, paths):
            if job.record(results, fresh=True) and not force:
                say(f"{job}: stands")
                continue
            base = job.trained
            if job != base and not base.record(results, fresh=True):
                raise RsirError(
                    f"{job}: re-ranks {base}, which has no fresh record; reproduce "
                    f"the variant {base.variant} first"
                )
            say(f"{job}: running")
            in_own_process(job, results, commit, root)
            record = read_record(path)
            say(f"{job}: mR {record.mR:.2f}, {record.seconds['total']:.0f} s")
    return paths


def _tell_cost(jobs, results: Path, force: bool, say) -> None:
    """The hours of what is to do, each run as long as its like took.

    That is its own record, stale or not; else the longest of its variant on
    this data set, else on any. What another job of the queue trains is free, and
    features are read once on a data set for all of its runs.
    """
    from rsir.retrieval.two_stage import same_training

    every = records.load_records(folder=results)

    def features(record) -> float:
        return record.seconds.get("features", 0)

    def like(job: Job, *names: str) -> list[float]:
        names = "method", "variant", "preset", *names
        wanted = {name: getattr(job, name) for name in names}
        fit = (x for x in every if all(x.facts[k] == v for k, v in wanted.items()))
        return [
            x.facts.get("rerank", {}).get("seconds", x.seconds["total"] - features(x))
            for x in fit
        ]

    made: set[Job] = set()
    runs, unknown, hours = Counter(), Counter(), Counter()
    for job in jobs:
        if job.record(results, fresh=True) and not force:
            continue
        runs[job.dataset] += 1
        if job in made:
            say(f"{job}: made with another")
            continue
        if job == job.trained:
            same = same_training(job.config(), job.preset)
            made |= {replace(job, variant=name) for name in same}
        own, here = like(job, "dataset", "seed"), like(job, "dataset")
        cost = max(own or here or like(job), default=None)
        source = "" if own else ", as another seed" if here else ", as on another set"
        say(f"{job}: {'never recorded' if cost is None else f'{cost:.0f} s{source}'}")
        unknown[job.dataset] += cost is None
        hours[job.dataset] += (cost or 0) / 3600
    for name, count in runs.items():
        read = max((features(x) for x in every if x.dataset == name), default=0) / 3600
        hours[name] += read
        say(
            f"{name}: {count} runs, {hours[name]:.1f} h, {read:.1f} h of it features, "
            f"{unknown[name]} never recorded"
        )
    say(f"at most {hours.total():.1f} h, and {unknown.total()} runs never recorded")


def confirm(
    method: str,
    dataset: str,
    preset: str = "cpu",
    seed: int = 0,
    *,
    root: str | Path | None = None,
    results: Path | None = None,
) -> list[Path]:
    """Train the headline once more; if its ranks are equal, renew hashes.

    Then every record of the method on these data, made by the code that the
    headline was made by, gets the hashes of today's code, and "confirmed": by
    which run, commit and day. Gives the paths of these records.

    Raises:
        RsirError: the ranks differ; nothing is changed. Or as `reproduce`.
    """
    results = results or records.results_dir()
    job = Job(method, dataset, preset, next(iter(variants(method))), seed)
    old = job.record(results)
    if old is None:
        raise RsirError(f"{job.path(results)}: no record to confirm; {job.command}")
    commit = clean_commit()
    cache_dir().mkdir(parents=True, exist_ok=True)
    with _alone(), tempfile.TemporaryDirectory(dir=cache_dir()) as aside:
        in_own_process(job, Path(aside), commit, root, run_dir=Path(aside) / "run")
        new = read_record(job.path(Path(aside)))
        differ, n = _count_other(old.ranks(), new.ranks())
    if differ:
        raise RsirError(
            f"{job}: {differ} of {n} ranks differ, mR {old.mR:.2f} is now "
            f"{new.mR:.2f}; nothing was changed. Make the records anew: rsir reproduce"
        )
    records.note_data(results, dataset, new.data)
    said = {
        "by": old.path.stem,
        "commit": commit,
        "on": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    renewed = []
    for record in records.load_records(method, dataset, folder=results):
        alike = record.modules.items() >= old.modules.items()
        if alike and (record.preset, record.facts.get("data")) == (preset, new.data):
            facts = {"modules": record.modules | new.modules, "confirmed": said}
            records.write_facts(record.path, record.facts | facts)
            renewed.append(record.path)
    return renewed


def _count_other(a: Ranks, b: Ranks) -> tuple[int, int]:
    """How many queries have other ranks, of how many."""
    n = a.n_images + len(a.owner)
    if not np.array_equal(a.owner, b.owner):
        return n, n
    both = (a.i2t, b.i2t), (a.t2i, b.t2i)
    other = [[positions(x, t) != positions(y, t) for t in TIES] for x, y in both]
    return int(sum(np.any(side, axis=0).sum() for side in other)), n


def _alone():
    """One queue at a time, so that measured times stay true."""
    return locked(cache_dir() / "reproduce.lock", "measured runs", wait=0)


def digests(splits: Splits) -> dict[str, str]:
    """The digest of each of the three splits."""
    return {name: getattr(splits, name).digest() for name in ("train", "val", "test")}


def clean_commit() -> str:
    """The commit of this checkout.

    Raises:
        RsirError: files differ from it (`results/` may), or there is none.
    """
    home = Path(__file__).resolve().parents[2]

    def git(*words: str) -> str:
        words = ["git", "-C", str(home), *words]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RsirError(
                f"{home}: not a git checkout with a commit; a record must name "
                "the code it comes from: clone the project"
            )
        return done.stdout.strip()

    commit = git("rev-parse", "HEAD")
    if dirty := git("status", "--porcelain", "--", ".", ":!results"):
        raise RsirError(
            f"{home}: files differ from commit {commit[:10]} ({dirty.split()[1]}, "
            "...); commit first: a record names the code that it comes from"
        )
    return commit


def in_own_process(job: Job, *args, **options) -> None:
    """`run_job` in a fresh process; RsirError if it fails."""
    process = multiprocessing.get_context("spawn").Process(
        target=run_job, args=(job, *args), kwargs=options
    )
    process.start()
    process.join()
    if process.exitcode:
        raise RsirError(
            f"{job}: the run ended with code {process.exitcode}; call the same "
            "command to go on"
        )


def run_job(
    job: Job,
    results: Path,
    commit: str,
    root: str | Path | None = None,
    run_dir: Path | None = None,
) -> None:
    """One run, in this process: train, score test, write the records."""
    _end_with_parent()
    # `work` has said what was repaired in the data
    warnings.simplefilter("ignore", DataRepairWarning)
    seed_everything(job.seed)
    run_dir = run_dir or job.run_dir()
    splits = load_dataset(job.dataset, root)
    if job == job.trained:
        measured = _trained(job, splits, run_dir)
    else:
        measured = [_reranked(job, splits, run_dir, results)]
    for variant, ranks, facts in measured:
        one = replace(job, variant=variant)
        own = one.config()
        images = own.image_encoder, *getattr(own, "more_encoders", ())
        facts = {
            **vars(one),
            "command": one.command,
            "commit": commit,
            "encoders": {"image": "+".join(images), "text": own.text_encoder},
            "config": own.to_dict(),
            **facts,
        }
        write_measured(facts, ranks, splits, results)
    # the records stand: keep the weights, not what training needs
    for state in run_dir.glob("state-*"):
        shutil.rmtree(state)


def _end_with_parent() -> None:
    """A queue that is killed leaves no run behind, which would write beside its next."""
    if (parent := multiprocessing.parent_process()) is None:
        return

    def wait():
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def write_measured(facts: dict, ranks: Ranks, splits: Splits, results: Path) -> Path:
    """Write the record of what this process has measured on test; its path.

    facts: of the run, with "seconds" of its parts. What it was measured with and on
        is added, where it is not there.
    """
    seconds = facts["seconds"] | {"total": sum(facts["seconds"].values())}
    measured = {
        "data": digests(splits),
        "modules": records.used_modules(),
        "versions": versions(),
        "hardware": hardware(),
        "peak_memory_gb": round(peak_memory() / 2**30, 2),
        "recalls": records.recalls_under_every_rule(ranks),
        "n_images": splits.test.n_images,
        "n_captions": len(ranks.owner),
        "created": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    facts = facts | {k: v for k, v in measured.items() if k not in facts}
    facts["seconds"] = {part: round(value, 1) for part, value in seconds.items()}
    return records.write_record(json.loads(json.dumps(facts)), ranks, results)


def _trained(
    job: Job, splits: Splits, run_dir: Path
) -> Iterator[tuple[str, Ranks, dict]]:
    """Every variant that is this training: its name, ranks, facts."""
    from rsir.encoders.feature_cache import features_seconds
    from rsir.models import build
    from rsir.training.trainer import train

    asked = job.config()
    model, features = build(asked, splits.train), 0.0
    _claim(run_dir, asked, digests(splits))  # what trains is loaded, hence hashed
    # made before the clock starts: "features" counts them
    for split in splits:
        model.encode_split(split)
        if model.reads and not model.image_encoder.learns:
            first, *more = getattr(
                model.image_encoder, "members", [model.image_encoder]
            )
            features += features_seconds(first, split, model.reads)
            features += sum(features_seconds(e, split, ["pooled"]) for e in more)
    del model
    chosen_on = splits
    if getattr(asked, "selects", "val") == "test":  # the released bug itself
        chosen_on = replace(splits, val=splits.test)
    run = train(asked, chosen_on, run_dir)
    from rsir.retrieval.two_stage import measure, same_training

    same = same_training(asked, job.preset)
    for variant, ranks, evaluate, facts in measure(run.model, splits, asked, same):
        seconds = {
            "features": features,
            "prepare": run.seconds["features"],  # frozen texts, statistics
            "train": run.seconds["train"],
            "evaluate": evaluate,
        }
        own = {
            "precision": run.precision,
            "val_mR": round(run.val_mR, 4),
            "epochs_run": run.history[-1]["epoch"],
            "seconds": seconds | facts.pop("seconds", {}),
        }
        yield variant, ranks, own | facts


def _claim(run_dir: Path, asked: Config, data: Mapping[str, str]) -> None:
    """Keep a half run of this config, data and code; remove another."""
    mark = run_dir / "made_with.json"
    facts = {"config": asked.to_dict(), "data": data}
    found = json.loads(mark.read_text()) if mark.exists() else {"modules": {}}
    modules = found.pop("modules")
    if found == facts and all(records.module_hash(k) == v for k, v in modules.items()):
        return
    shutil.rmtree(run_dir, ignore_errors=True)
    with atomic_write(mark) as file:
        json.dump(facts | {"modules": records.used_modules()}, file)


# -- a finished run, looked at a second time (chapter 03) ---------------


def _reranked(
    job: Job, splits: Splits, run_dir: Path, results: Path
) -> tuple[str, Ranks, dict]:
    """Re-rank the test scores of a recorded run; nothing is trained."""
    from rsir.models.base import score_split
    from rsir.training.checkpoints import load_run

    record = read_record(job.trained.path(results))
    options = dict(RERANKS[job.variant.partition("+")[2]])
    banked = options.pop("bank")
    model, test = load_run(run_dir), splits.test
    scores = score_split(model, test)
    mR = recalls_from_ranks(compute_ranks(scores, test.owner))["mR"]
    if abs(mR - record.mR) > CLOSE:
        raise RsirError(
            f"{run_dir}: this run scores {mR:.2f}, its record says "
            f"{record.mR:.2f}; make the record again with rsir reproduce --force"
        )
    start = time.perf_counter()
    banks = bank_scores(model, splits.train, test, job.seed) if banked else {}
    found = rerank_both(scores, test.owner, banks, **options)
    took = time.perf_counter() - start
    seconds = {k: v for k, v in record.seconds.items() if k != "total"}
    seconds["evaluate"] += took
    rerank = {
        "transductive": not banked,
        "bank": {way: int(b.shape[way == "t2i"]) for way, b in banks.items()} or None,
        "of": record.path.stem,
        "of_commit": record.commit,
        "of_ranks": records.ranks_digest(record.path.with_suffix(".npz")),
        "of_mR": record.mR,
        "seconds": round(took, 1),
    }
    kept = {k: record.facts[k] for k in ("precision", "val_mR", "epochs_run")}
    kept |= {"modules": record.modules | records.used_modules(), "seconds": seconds}
    return job.variant, found, kept | {"rerank": options | rerank}


def rerank_both(
    scores: np.ndarray,
    owner: np.ndarray,
    banks: Mapping[str, np.ndarray] | None = None,
    **options,
) -> Ranks:
    """Per-query ranks after MR, each direction re-ranked for itself.

    Args:
        scores, owner: `[n_images, n_captions]` and `[n_captions]`.
        banks: what `bank_scores` gives; without it MR is transductive.
        options: of `rsir.retrieval.rerank.multivariate_rerank`.
    """
    found = []
    for way in ("i2t", "t2i"):
        new = multivariate_rerank(scores, way, bank=(banks or {}).get(way), **options)
        found.append(getattr(compute_ranks(new, owner), way))
    return Ranks(*found, np.asarray(owner))


def bank_scores(
    model, train: Split, test: Split, seed: int = 0
) -> dict[str, np.ndarray]:
    """Scores of training queries against the test gallery.

    Args:
        model: a `TwoTower`.
        train: some of its pictures, drawn with `seed`, as many as `test`
            has, and their captions are the queries.
        test: the gallery.

    Returns:
        "i2t": training pictures with test captions `[n_images, n_captions]`;
        "t2i": test pictures with training captions `[n_images, n_bank]`.
    """
    from rsir.models.base import encode_sides

    draw = np.random.default_rng([seed, 3])
    size = min(test.n_images, train.n_images)
    rows = np.sort(draw.choice(train.n_images, size, replace=False))
    asked = np.concatenate([train.caption_indices(i) for i in rows])
    gallery, bank = (model.encode_split(s, progress=False) for s in (test, train))
    images, texts = encode_sides(model, gallery)
    queries, words = encode_sides(model, bank)
    queries = {k: v[rows] for k, v in queries.items()}
    words = {k: v[bank.text_id[asked]] for k, v in words.items()}
    return {
        "i2t": model.score(queries, texts).float().cpu().numpy()[:, gallery.text_id],
        "t2i": model.score(images, words).float().cpu().numpy(),
    }


# -- on what a run was measured -----------------------------------------


def versions() -> dict[str, str]:
    """Python and the packages that decide numbers."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version()} | found


def hardware() -> dict[str, object]:
    """Processor, cores, memory and GPU, without names of hosts."""
    import psutil  # comes with Accelerate
    import torch

    listed = Path("/proc/cpuinfo")  # Linux only, as is the affinity
    text = listed.read_text() if listed.exists() else ""
    name = re.search(r"model name\s*:(.*)", text)
    affinity = getattr(os, "sched_getaffinity", None)
    gpu = torch.cuda.is_available()
    return {
        "cpu": name[1].strip() if name else platform.processor() or platform.machine(),
        "cores": len(affinity(0)) if affinity else os.cpu_count(),
        "simd": torch.backends.cpu.get_cpu_capability(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "gpu": torch.cuda.get_device_name(0) if gpu else None,
    }


def peak_memory() -> int:
    """The most memory that this process ever held, in bytes."""
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return psutil.Process().memory_info().peak_wset
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
