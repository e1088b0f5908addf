"""The queue of measured runs: clean, alone, resumable."""

import json
import multiprocessing
import subprocess
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from tiny import cache, cached, folder, splits  # noqa: F401

import rsir.data
from rsir.evaluation.metrics import evaluate, ranks
from rsir.experiments import run as queue
from rsir.experiments.records import read_record, recalls_under_every_rule
from rsir.experiments.run import clean_commit, reproduce, run_job
from rsir.models.recipes import recipe
from rsir.utils.errors import RsirError


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A git checkout of one file, which the queue takes for ours."""
    home = tmp_path / "checkout"
    (home / "rsir").mkdir(parents=True)
    (home / "rsir" / "reproduce.py").write_text("x = 1\n")
    monkeypatch.setattr(queue, "__file__", str(home / "rsir" / "reproduce.py"))
    git(home, "init", "-q")
    git(home, "add", ".")
    git(home, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one")
    return home


def git(home, *words):
    return subprocess.run(
        ["git", "-C", str(home), *words], check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def jobs(checkout, tmp_path, monkeypatch):
    """Jobs that only write a record; `reproduce` with their folder."""
    monkeypatch.setenv("RSIR_CACHE", str(tmp_path / "cache"))
    done = []

    def pretend(job):
        done.append((job["row"], job["seed"]))
        asked = recipe(job["method"], job["preset"], job["row"], seed=job["seed"])
        found = ranks(np.eye(5), np.arange(5))
        queue.write_record(
            {
                **{
                    k: job[k]
                    for k in ("method", "dataset", "row", "preset", "seed", "commit")
                },
                "command": "",
                "modules": {},
                "versions": {},
                "hardware": {},
                "seconds": {"total": 1.0},
                "peak_memory_gb": 0,
                "val_mR": 0,
                "recalls": recalls_under_every_rule(found),
                "config": json.loads(json.dumps(asked.to_dict())),
                "created": "",
            },
            found,
            Path(job["results"]),
        )

    monkeypatch.setattr(queue, "_in_own_process", pretend)

    def run(*args, **options):
        done.clear()
        said = []
        paths = reproduce(
            *args, results=tmp_path / "results", say=said.append, **options
        )
        return paths, list(done), said

    return run


def test_a_dirty_tree_is_refused(checkout):
    commit = clean_commit()
    assert commit == git(checkout, "rev-parse", "HEAD").strip()
    (checkout / "results").mkdir()
    (checkout / "results" / "r.json").write_text("{}")
    assert clean_commit() == commit  # records may lie there
    (checkout / "new.py").write_text("")
    with pytest.raises(RsirError, match="new.py.*commit first"):
        clean_commit()
    (checkout / "new.py").unlink()
    (checkout / "rsir" / "reproduce.py").write_text("x = 2\n")
    with pytest.raises(RsirError, match="rsir/reproduce.py"):
        clean_commit()


def test_a_record_needs_a_commit(tmp_path, monkeypatch):
    home = tmp_path / "unpacked"
    (home / "rsir").mkdir(parents=True)
    monkeypatch.setattr(queue, "__file__", str(home / "rsir" / "r.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with pytest.raises(RsirError, match="not a git checkout"):
        clean_commit()


def test_standing_records_are_not_made_again(jobs, checkout):
    paths, done, said = jobs("linear", "toy", "toy", range(2))
    assert done == [("linear", 0), ("linear", 1)]
    assert [p.name for p in paths] == ["linear-s0.json", "linear-s1.json"]
    assert said[0] == "linear-s0: running" and "mR 100.00" in said[1]
    again, done, said = jobs("linear", "toy", "toy", range(3))
    assert done == [("linear", 2)] and len(again) == 3
    assert said[:2] == ["linear-s0: stands", "linear-s1: stands"]
    # stale, another preset, or forced: again
    facts = json.loads(paths[0].read_text())
    facts["modules"] = {"rsir.models.losses": "0" * 16}
    paths[0].write_text(json.dumps(facts))
    assert jobs("linear", "toy", "toy", range(2))[1] == [("linear", 0)]
    assert jobs("linear", "toy", "cpu", [1])[1] == [("linear", 1)]
    assert read_record(paths[1]).preset == "cpu"
    assert jobs("linear", "toy", "cpu", [1])[1] == []
    assert jobs("linear", "toy", "cpu", [1], force=True)[1] == [("linear", 1)]


def test_rows_run_one_after_the_other(jobs):
    _, done, _ = jobs("amfmn", "toy", "toy", [0, 1], ["soft-gru", "abl-fixed"])
    assert done == [
        ("soft-gru", 0),
        ("soft-gru", 1),
        ("abl-fixed", 0),
        ("abl-fixed", 1),
    ]
    _, done, _ = jobs("amfmn", "toy", "toy")
    assert done == [("soft-minilm", 0)]  # the headline


@pytest.mark.parametrize(
    "words, says",
    [
        (("nothing", "toy"), "method 'nothing'"),
        (("linear", "toy", "huge"), "preset 'huge'"),
        (("linear", "mars"), "data set 'mars'"),
        (("linear", "/some/folder"), "rsir train"),
        (("linear", "toy", "toy", [0], ["odd"]), "row of linear 'odd'"),
    ],
)
def test_wrong_words_are_named_before_anything_runs(jobs, words, says):
    with pytest.raises(RsirError, match=says):
        jobs(*words)


def test_one_queue_at_a_time(jobs, tmp_path):
    lock = FileLock(tmp_path / "cache" / "reproduce.lock")
    (tmp_path / "cache").mkdir()
    with lock:
        with pytest.raises(RsirError, match="another queue"):
            jobs("linear", "toy", "toy")
    _, done, _ = jobs("linear", "toy", "toy")
    assert len(done) == 1
    with lock.acquire(timeout=0):  # it was given back
        pass


def test_a_commit_in_between_is_noticed(jobs, checkout, monkeypatch):
    real = queue._in_own_process

    def meddle(job):
        real(job)
        (checkout / "late.py").write_text("")

    monkeypatch.setattr(queue, "_in_own_process", meddle)
    with pytest.raises(RsirError, match="late.py"):
        jobs("linear", "toy", "toy", range(2))


def fail(**job):
    raise SystemExit(3)


def test_a_failed_run_is_named(monkeypatch):
    monkeypatch.setattr(queue, "run_job", fail)
    fork = multiprocessing.get_context("fork")
    monkeypatch.setattr(queue.multiprocessing, "get_context", lambda kind: fork)
    with pytest.raises(RsirError, match="linear-s4.*code 3"):
        queue._in_own_process({"row": "linear", "seed": 4})


def test_a_job_trains_scores_and_writes(splits, cached, tmp_path, monkeypatch):
    monkeypatch.setattr(rsir.data, "load_dataset", lambda *_: splits)
    small = recipe(
        "linear",
        "toy",
        seed=3,
        epochs=2,
        image_size=32,
        batch=8,
        dim=16,
        precision="no",
    )
    monkeypatch.setattr(queue, "recipe", lambda *_, **__: small)
    job = dict(
        method="linear",
        dataset="toy",
        preset="toy",
        row="linear",
        seed=3,
        root="/where/data/lie",
        results=str(tmp_path),
        commit="c" * 40,
    )
    run_job(**job)
    path = tmp_path / "linear" / "toy" / "linear-s3.json"
    record = read_record(path)
    assert record.command == (
        "rsir reproduce linear --dataset toy --preset toy --row linear --seed 3"
    )
    assert "/where" not in path.read_text()
    assert record.commit == "c" * 40 and record.epochs_run == 2
    assert record.modules["rsir.training.trainer"] and record.versions["torch"]
    assert record.hardware["cores"] >= 1
    assert record.peak_memory_gb > 0.05
    parts = record.seconds
    assert parts["total"] == pytest.approx(
        sum(v for k, v in parts.items() if k != "total"), abs=0.2
    )
    # the numbers are those of the model in the run folder
    from rsir.retrieval.search import load_run
    from rsir.training.trainer import score_split

    home = cached / "runs" / "linear" / "toy" / "toy-linear-s3"
    scores = score_split(load_run(home), splits.test)
    report = evaluate(scores, splits.test.owner, bootstrap=0)
    assert record.mR == pytest.approx(report.mR, abs=1e-3)
    assert record.n_images == 8 and record.n_captions == 16
    # what a training needs to go on takes more room than the weights
    assert (home / "best.safetensors").exists()
    assert not list(home.glob("state*"))
    # a half run of another commit does not go on
    (home / "left-over").write_text("")
    run_job(**job)
    assert (home / "left-over").exists()
    run_job(**job | {"commit": "d" * 40})
    assert not (home / "left-over").exists()
