"""Make the data set once, keep it, and read it back."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from rsir.data.split import Box, Split, Splits
from rsir.utils.errors import RsirError
from toyscenes.worker import SPLITS, make_one, plan

GENERATOR_VERSION = 2
ANNOTATION = "dataset_toy.json"


def key_of(knobs):
    """The cache folder's name: the version and every knob."""
    sizes = "-".join(str(n) for n in knobs["sizes"])
    return (
        f"v{GENERATOR_VERSION}_seed{knobs['seed']}_{sizes}"
        f"_d{knobs['duplicates']:g}_s{knobs['similarity']:g}"
        f"_{knobs['size']}px"
    )


def read(folder, knobs):
    """Read a finished data set.

    Args:
        folder: the cache folder of these knobs.
        knobs: what it must have been made with.

    Returns:
        The `Splits`, or None when the folder is missing or not whole:
        no annotation, another version, a picture gone or cut short.
    """
    try:
        text = (folder / ANNOTATION).read_text(encoding="utf-8")
        notes = json.loads(text)
        if notes["version"] != GENERATOR_VERSION or notes["knobs"] != knobs:
            return None
        with os.scandir(folder / "images") as entries:
            sizes = {e.name: e.stat().st_size for e in entries}
        if any(sizes.get(r["filename"]) != r["bytes"] for r in notes["images"]):
            return None
        wanted = len(plan(knobs["sizes"]))
        if len(notes["images"]) != wanted:
            return None
        return _splits(folder, notes)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _splits(folder, notes):
    parts = {}
    for name in SPLITS:
        rows = [r for r in notes["images"] if r["split"] == name]
        captions, owner = [], []
        for k, row in enumerate(rows):
            captions += [s["raw"] for s in row["sentences"]]
            owner += [k] * len(row["sentences"])
        parts[name] = Split(
            dataset="toy",
            name=name,
            images=tuple(folder / "images" / r["filename"] for r in rows),
            captions=tuple(captions),
            owner=np.array(owner, dtype=np.int64),
            ids=tuple(r["filename"] for r in rows),
            labels=tuple(r["label"] for r in rows),
            objects=tuple(
                tuple(
                    Box(o["label"], *o["box"], attributes=o["attributes"])
                    for o in r["objects"]
                )
                for r in rows
            ),
            keywords=tuple(tuple(r["keywords"]) for r in rows),
        )
    return Splits(name="toy", root=folder, **parts)


def load(base, knobs, workers=None, report=print):
    """Read the data set of these knobs; make it first if need be.

    Args:
        base: folder of all toy data sets.
        knobs: seed, sizes, duplicates, similarity, size.
        workers: number of processes; by default one a core.
        report: called with one line when pictures have been drawn.

    Raises:
        RsirError: when the cache cannot be written.
    """
    from filelock import FileLock

    folder = Path(base) / key_of(knobs)
    found = read(folder, knobs)
    if found is not None:
        return found
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(str(folder) + ".lock"):
            found = read(folder, knobs)  # somebody else may have made it
            if found is None:
                make(folder, knobs, workers, report)
                found = read(folder, knobs)
    except OSError as error:
        raise RsirError(
            f"cannot write the toy data set to {folder}: {error}; "
            "set RSIR_CACHE to a folder that can be written"
        ) from error
    if found is None:
        raise RsirError(
            f"the toy data set in {folder} was changed while it was made; load it again"
        )
    return found


def make(folder, knobs, workers=None, report=print):
    """Draw all pictures aside, then move the folder into place."""
    start = time.perf_counter()
    for left in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(left, ignore_errors=True)  # of a killed run
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    (aside / "images").mkdir(parents=True)
    jobs = plan(knobs["sizes"])
    workers = workers or min(_cores(), 8, 1 + len(jobs) // 60)
    if workers > 1:
        _in_processes(aside, knobs, workers)
    records = _collect(aside, jobs)
    for split, index in jobs:
        if (split, index) not in records:
            records[split, index] = make_one(aside, knobs, split, index)
    _annotate(aside, knobs, [records[job] for job in jobs], jobs)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(aside, folder)
    seconds = time.perf_counter() - start
    report(
        f"toy scenes: {len(jobs):,} pictures drawn in "
        f"{seconds:.0f} s, kept for the next time"
    )


def _cores():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _in_processes(aside, knobs, workers):
    """Draw in several processes; what fails is left to the caller."""
    home = str(Path(__file__).resolve().parents[3])
    paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = dict(
        os.environ,
        PYTHONPATH=os.pathsep.join(paths),
        OMP_NUM_THREADS="1",
        OPENBLAS_NUM_THREADS="1",
    )
    running = []
    try:
        for share in range(workers):
            process = subprocess.Popen(
                [sys.executable, "-m", "toyscenes.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
            running.append(process)
            job = {
                "folder": str(aside),
                "knobs": knobs,
                "share": share,
                "shares": workers,
            }
            process.stdin.write(json.dumps(job).encode())
            process.stdin.close()
        _watch(running, aside / "images", len(plan(knobs["sizes"])))
    except OSError:
        pass
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()


def _watch(running, images, total):
    """Wait for the processes; count along on a terminal."""
    lively = sys.stdout is not None and sys.stdout.isatty()
    while any(process.poll() is None for process in running):
        if lively:
            done = sum(1 for _ in os.scandir(images))
            print(f"\rtoy scenes: {done:,} of {total:,} drawn", end="", flush=True)
        time.sleep(0.2)
    if lively:
        print("\r", end="")


def _collect(aside, jobs):
    """What the processes have drawn, by split and index."""
    records = {}
    for path in sorted(aside.glob("records-*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue  # the line that a killed process left unfinished
            records[record.pop("split"), record.pop("index")] = record
        path.unlink()
    return {job: records[job] for job in jobs if job in records}


def _annotate(aside, knobs, records, jobs):
    """Write the annotation, laid out as Karpathy's files are."""
    images = []
    for number, (record, (split, _)) in enumerate(zip(records, jobs)):
        captions = record.pop("captions")
        first = number * len(captions)
        ids = list(range(first, first + len(captions)))
        images.append(
            {
                **record,
                "split": SPLITS[split],
                "imgid": number,
                "sentids": ids,
                "sentences": [
                    {
                        "raw": text,
                        "tokens": text.split()[:-1],
                        "imgid": number,
                        "sentid": k,
                    }
                    for k, text in zip(ids, captions)
                ],
            }
        )
    notes = {
        "dataset": "toy",
        "version": GENERATOR_VERSION,
        "knobs": knobs,
        "images": images,
    }
    path = aside / ANNOTATION
    with open(path, "w", encoding="utf-8") as out:
        json.dump(notes, out, indent=None, separators=(",", ":"))
        out.flush()
        os.fsync(out.fileno())
