"""The queue of measured runs: clean, alone, resumable; and its records."""

import json
import multiprocessing
import os
import resource
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import result_samples
from filelock import FileLock
from tiny import folder, install, splits, stub  # noqa: F401

import rsir.data
import rsir.models
from rsir.evaluation.ranks import compute_ranks
from rsir.experiments import run as queue
from rsir.experiments.records import (
    known_data,
    load_records,
    read_record,
    recalls_under_every_rule,
)
from rsir.experiments.run import (
    Job,
    clean_commit,
    confirm,
    jobs_of,
    run_job,
    work,
)
from rsir.models.base import score_split
from rsir.retrieval.rerank import multivariate_rerank
from rsir.training.checkpoints import load_run
from rsir.utils.errors import RsirError


def measure(model, splits, config, variants):
    """A stand-in: every variant is the plain list."""
    for name in variants:
        ranks = compute_ranks(score_split(model, splits.test), splits.test.owner)
        yield name, ranks, 1.5, {"seconds": {"choose": 0.5}, "note": name}


def same_training(config, preset):
    # `deep` differs from `plain` in how it is measured alone
    return {"plain": config, "deep": config}


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A git checkout of one file, which the queue takes for ours."""
    home = tmp_path / "checkout"
    file = home / "rsir" / "experiments" / "run.py"
    file.parent.mkdir(parents=True)
    file.write_text("x = 1\n")
    monkeypatch.setattr(queue, "__file__", str(file))
    git(home, "init", "-q")
    commit(home)
    return home


def git(home, *words):
    who = "-c user.name=a -c user.email=a@b".split()
    words = ["git", "-C", str(home), *who, *words]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def commit(home):
    git(home, "add", ".")
    git(home, "commit", "-qm", "one")


@pytest.fixture
def small(splits, stub, tmp_path, monkeypatch):
    """The stub on the tiny data set, whatever set is named."""
    monkeypatch.setenv("RSIR_CACHE", str(tmp_path / "cache"))
    patch(splits, monkeypatch)
    return tmp_path / "results"


def patch(splits, monkeypatch):
    found = SimpleNamespace(measure=measure, same_training=same_training)
    monkeypatch.setitem(sys.modules, "rsir.retrieval.two_stage", found)
    monkeypatch.setattr(queue, "load_dataset", lambda *_: splits)


@pytest.fixture
def jobs(checkout, small, splits, monkeypatch):
    """`work` whose jobs only write a record: paths, jobs, lines."""
    done = []

    def pretend(job, results, commit, root=None):
        done.append((job.variant, job.seed))
        name = job.method, job.dataset, job.variant, 3.0, job.seed
        facts = {"commit": commit, "data": queue.digests(splits)}
        result_samples.record(results.parent, *name, preset=job.preset, **facts)

    monkeypatch.setattr(queue, "in_own_process", pretend)

    def run(wanted, *args, **options):
        done.clear()
        said = []
        wanted = [("stub", name) for name in wanted]
        todo = jobs_of(wanted, *args)
        paths = work(todo, results=small, say=said.append, **options)
        return paths, list(done), said

    return run


def test_a_dirty_tree_is_refused(checkout, tmp_path, monkeypatch):
    head = clean_commit()
    assert head == git(checkout, "rev-parse", "HEAD").strip()
    (checkout / "results").mkdir()
    (checkout / "results" / "r.json").write_text("{}")
    assert clean_commit() == head  # records may lie there
    (checkout / "new.py").write_text("")
    with pytest.raises(RsirError, match="new.py.*commit first"):
        clean_commit()
    monkeypatch.setattr(queue, "__file__", str(tmp_path / "a" / "b" / "r.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(RsirError, match="not a git checkout"):
        clean_commit()


def test_standing_records_are_not_made_again(jobs):
    paths, done, said = jobs(["plain"], "toy", "toy", range(2))
    assert done == [("plain", 0), ("plain", 1)]
    assert [p.name for p in paths] == ["plain-s0.json", "plain-s1.json"]
    assert said[0] == "stub toy plain-s0: running" and "mR " in said[1]
    again, done, said = jobs(["plain"], "toy", "toy", range(3))
    assert done == [("plain", 2)] and len(again) == 3
    assert said[0] == "stub toy plain-s0: stands"
    # stale, another preset, or forced: again
    facts = json.loads(paths[0].read_text())
    facts["modules"] = {"models/losses.py": "0" * 16}
    paths[0].write_text(json.dumps(facts))
    assert jobs(["plain"], "toy", "toy", range(2))[1] == [("plain", 0)]
    for force, made in ((False, 1), (False, 0), (True, 1)):
        done = jobs(["plain"], "toy", "cpu", [1], force=force)[1]
        assert done == [("plain", 1)] * made
    assert read_record(paths[1]).preset == "cpu"


def test_other_data_are_measured_again(jobs, small, splits, monkeypatch):
    jobs(["plain"], "toy", "toy")
    assert known_data(small)["toy"]["val"] == splits.val.digest()
    fewer = replace(splits, val=splits.val.subset([0, 1]))
    monkeypatch.setattr(queue, "load_dataset", lambda *_: fewer)
    assert jobs(["plain"], "toy", "toy")[1] == [("plain", 0)]


def test_a_commit_in_between_stops_no_queue(jobs, checkout, monkeypatch):
    real = queue.in_own_process

    def meddle(job, *args):
        real(job, *args)
        (checkout / f"late{job.seed}.py").write_text("")
        commit(checkout)
        (checkout / "unsaved.py").write_text(str(job))

    monkeypatch.setattr(queue, "in_own_process", meddle)
    paths, done, _ = jobs(["plain"], "toy", "toy", range(2))
    assert len(done) == 2
    assert len({read_record(p).commit for p in paths}) == 1  # that of the start
    with pytest.raises(RsirError, match="unsaved.py"):
        jobs(["plain"], "toy", "toy", range(3))


def test_a_dry_run_tells_the_cost(jobs, checkout):
    jobs(["wild"], "toy", "toy", [0])
    (checkout / "unsaved.py").write_text("")  # it trains nothing, so it may
    _, done, said = jobs(
        ["plain", "wild"], "toy", "toy", range(2), dry_run=True, force=True
    )
    assert done == [] and said[:4] == [
        "stub toy plain-s0: never recorded",
        "stub toy plain-s1: never recorded",
        "stub toy wild-s0: 92 s",
        "stub toy wild-s1: 92 s, as another seed",
    ]
    assert said[4:] == [
        "toy: 4 runs, 0.1 h, 0.0 h of it features, 2 never recorded",
        "at most 0.1 h, and 2 runs never recorded",
    ]
    _, _, said = jobs(["plain", "deep", "wild"], "ucm", "toy", [0], dry_run=True)
    assert said[1] == "stub ucm deep-s0: made with another"  # in one training
    assert said[2] == "stub ucm wild-s0: 92 s, as on another set"


def test_one_queue_may_hold_several_data_sets(jobs, small, splits, monkeypatch):
    both = [*jobs_of([("stub", "plain")], "ucm"), *jobs_of([("stub", None)], "toy")]
    asked, said = [], []
    monkeypatch.setattr(
        queue, "load_dataset", lambda name, root: asked.append(name) or splits
    )
    paths = work(both, results=small, say=said.append)
    assert [path.parent.name for path in paths] == asked == ["ucm", "toy"]
    assert {*known_data(small)} == {"ucm", "toy"} and all(x.exists() for x in paths)
    work(both, results=small, say=said.append)
    assert [x.partition(": ")[2] for x in said[-2:]] == ["stands", "stands"]


@pytest.mark.parametrize(
    "method, variant, words, says",
    [
        ("nothing", None, "toy", "method 'nothing'"),
        ("stub", None, "toy huge", "preset 'huge'"),
        ("stub", None, "mars", "data set 'mars'"),
        ("stub", None, "/some/folder", "rsir train"),
        ("stub", "odd", "toy toy", "variant of stub 'odd'"),
        ("stub", "plain+xx", "toy toy", "re-ranking 'xx'"),
        ("stub", "plain+mr", "toy toy", "reproduce the variant plain first"),
    ],
)
def test_wrong_words_are_named_before_anything_runs(
    jobs, small, method, variant, words, says
):
    with pytest.raises(RsirError, match=says):
        work(jobs_of([(method, variant)], *words.split()), results=small)


def test_one_queue_at_a_time(jobs, tmp_path):
    (tmp_path / "cache").mkdir()
    with FileLock(tmp_path / "cache" / "reproduce.lock"):
        with pytest.raises(RsirError, match="measured runs; wait"):
            jobs(["plain"], "toy", "toy")
    assert len(jobs([None], "toy", "toy")[1]) == 1  # it was given back


def fail(*args, **options):
    raise SystemExit(3)


def test_a_failed_run_is_named(monkeypatch):
    monkeypatch.setattr(queue, "run_job", fail)
    fork = multiprocessing.get_context("fork")
    monkeypatch.setattr(queue.multiprocessing, "get_context", lambda kind: fork)
    with pytest.raises(RsirError, match="linear toy linear-s4.*code 3"):
        queue.in_own_process(Job("linear", "toy", "toy", "linear", 4))


# -- a run in earnest ---------------------------------------------------

PLAIN = Job("stub", "toy", "toy", "plain", 3)


def test_a_job_trains_scores_and_writes(small, splits):
    run_job(PLAIN, small, "c" * 40, "/where/data/lie")
    record = read_record(PLAIN.path(small))
    assert record.command == (
        "rsir reproduce stub --dataset toy --preset toy --variant plain --seed 3"
    )
    assert "/where" not in record.path.read_text()
    assert record.commit == "c" * 40 and record.epochs_run == 4
    assert record.data == queue.digests(splits) and not record.stale()
    assert record.modules["training/trainer.py"] and record.versions["torch"]
    assert record.hardware["cores"] >= 1 and record.hardware["memory_gb"] >= 1
    assert record.peak_memory_gb > 0.05
    parts = dict(record.seconds)
    assert set(parts) >= {"features", "prepare", "train", "evaluate", "choose"}
    assert parts.pop("total") == pytest.approx(sum(parts.values()), abs=0.3)
    # the numbers are those of the model in the run folder
    home = PLAIN.run_dir()
    ranks = compute_ranks(score_split(load_run(home), splits.test), splits.test.owner)
    assert record.recalls == recalls_under_every_rule(ranks)
    assert record.n_images == 8 and record.n_captions == 16
    # what shares the training has a record of its own
    assert [r.variant for r in load_records(folder=small)] == ["deep", "plain"]
    # what a training needs to go on takes more room than the weights
    assert (home / "best.safetensors").exists()
    assert not list(home.glob("state*"))


@pytest.mark.parametrize(
    "change, goes_on",
    [("commit", True), ("modules", False), ("data", False), ("config", False)],
)
def test_a_half_run_goes_on_with_the_same_code_and_data(small, change, goes_on):
    run_job(PLAIN, small, "c" * 40)
    home = PLAIN.run_dir()
    (home / "left-over").write_text("")
    mark = home / "made_with.json"
    facts = json.loads(mark.read_text())
    assert "training/trainer.py" in facts["modules"]
    other = {"modules": "training/trainer.py", "data": "val", "config": "lr"}
    if change in other:
        facts[change][other[change]] = "another"
    mark.write_text(json.dumps(facts))
    run_job(PLAIN, small, "d" * 40)
    assert (home / "left-over").exists() == goes_on
    assert read_record(PLAIN.path(small)).commit == "d" * 40


@pytest.fixture
def here(small, checkout, monkeypatch):
    """Jobs run in this process."""
    monkeypatch.setattr(queue, "in_own_process", run_job)
    return small


def test_equal_ranks_confirm_a_method(here, splits):
    work(jobs_of([("stub", "plain")], "toy", "toy", range(2)), results=here)
    plain = read_record(here / "stub" / "toy" / "plain-s0.json")
    same, other = plain.facts["data"], {"train": "another"}
    for *name, seed, data, modules in (
        ("toy", "wild", 0, same, plain.modules),
        ("ucm", "plain", 0, same, plain.modules),
        ("toy", "deep", 0, other, plain.modules),
        ("toy", "wild", 1, same, {"gone.py": "0"}),
    ):
        more = {"preset": "toy", "data": data, "modules": modules}
        result_samples.record(here.parent, "stub", *name, 1.0, seed, **more)
    paths = confirm("stub", "toy", "toy", 0, results=here)
    names = ["deep-s1", "plain-s0", "plain-s1", "wild-s0"]
    assert [p.stem for p in paths] == names
    for path in paths:
        record = read_record(path)
        assert record.confirmed["by"] == "plain-s0" and not record.stale()
        assert record.confirmed["commit"] == clean_commit()
    for name in ("ucm/plain-s0", "toy/deep-s0", "toy/wild-s1"):
        assert "confirmed" not in read_record(here / f"stub/{name}.json").facts


def test_other_ranks_confirm_nothing(here, monkeypatch):
    work(jobs_of([("stub", "plain")], "toy", "toy"), results=here)
    before = {p: p.read_bytes() for p in here.rglob("*") if p.is_file()}
    monkeypatch.setitem(rsir.models.methods()["stub"].presets, "toy", {"lr": 0.5})
    with pytest.raises(RsirError, match=r"plain-s0: \d+ of 24 ranks differ, mR"):
        confirm("stub", "toy", "toy", 0, results=here)
    assert {p: p.read_bytes() for p in here.rglob("*") if p.is_file()} == before
    with pytest.raises(RsirError, match="plain-s7.json: no record to confirm"):
        confirm("stub", "toy", "toy", 7, results=here)


# -- re-rankings ----------------------------------------------------------


@pytest.fixture(scope="module")
def made(splits, tmp_path_factory):
    """A recorded run, and re-rankings of it."""
    home = tmp_path_factory.mktemp("reranked")
    with pytest.MonkeyPatch.context() as monkeypatch:
        install(monkeypatch)
        monkeypatch.setenv("RSIR_CACHE", str(home / "cache"))
        patch(splits, monkeypatch)
        for name in ("plain", "plain+mr", "plain+mr-bank"):
            run_job(Job("stub", "toy", "toy", name, 1), home / "results", "c" * 40)
    return {r.path.stem: r for r in load_records(folder=home / "results")}


def test_a_rerank_has_a_record_of_its_own(made, stub):
    run, mr = made["plain-s1"], made["plain+mr-s1"]
    assert mr.command.endswith("--variant plain+mr --seed 1")
    assert mr.rerank["transductive"] and mr.rerank["bank"] is None
    assert mr.rerank["of"] == "plain-s1" and mr.rerank["of_mR"] == run.mR
    assert mr.modules["retrieval/rerank.py"] and mr.modules["training/trainer.py"]
    assert mr.config == run.config and mr.val_mR == run.val_mR
    assert mr.seconds["evaluate"] >= run.seconds["evaluate"]
    assert mr.recalls == recalls_under_every_rule(mr.ranks()) and not mr.stale()
    with_bank = made["plain+mr-bank-s1"].rerank
    assert not with_bank["transductive"]
    assert with_bank["bank"] == {"i2t": 8, "t2i": 16}


def test_a_folder_of_another_run_is_refused(made, splits, small, monkeypatch):
    run = made["plain-s1"]
    monkeypatch.setenv("RSIR_CACHE", str(run.folder.parent / "cache"))
    facts = json.loads(run.path.read_text())
    facts["recalls"]["expected"]["mR"] += 1
    path = small / run.path.relative_to(run.folder)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(facts))
    with pytest.raises(RsirError, match="make the record again"):
        run_job(Job("stub", "toy", "toy", "plain+mr", 1), small, "c" * 40)


QUEUE = """
import multiprocessing, time
from rsir.experiments import run

def work():
    run._end_with_parent()
    print("begun", flush=True)
    time.sleep(30)
    print("still here", flush=True)

if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=work)
    child.start()
    child.join()
"""


def test_a_run_ends_with_the_queue_that_began_it(tmp_path):
    file = tmp_path / "a_queue.py"
    file.write_text(QUEUE)
    begun = subprocess.Popen([sys.executable, file], stdout=subprocess.PIPE, text=True)
    assert begun.stdout.readline() == "begun\n"
    begun.kill()
    assert begun.communicate()[0] == ""  # closed when the run has ended


def test_both_directions_for_themselves():
    draw = np.random.default_rng(0)
    scores, owner = draw.random((12, 24)).astype("f4"), np.repeat(np.arange(12), 2)
    found = queue.rerank_both(scores, owner, style="figure", k=5)
    for way in ("i2t", "t2i"):
        new = multivariate_rerank(scores, way, style="figure", k=5)
        alone = getattr(compute_ranks(new, owner), way)
        for name, values in vars(getattr(found, way)).items():
            assert np.array_equal(values, getattr(alone, name))
    bank = {"i2t": draw.random((7, 24)), "t2i": draw.random((12, 9))}
    other = queue.rerank_both(scores, owner, bank)
    assert not np.array_equal(other.i2t.better, found.i2t.better)


def test_a_bank_asks_pictures_of_train(made, splits, stub, monkeypatch):
    home = made["plain-s1"].folder.parent
    monkeypatch.setenv("RSIR_CACHE", str(home / "cache"))
    model = load_run(Job("stub", "toy", "toy", "plain", 1).run_dir())
    banks = queue.bank_scores(model, splits.train, splits.test, seed=5)
    rows = np.sort(np.random.default_rng([5, 3]).choice(24, 8, replace=False))
    some, test = splits.train.subset(rows), splits.test
    both = rsir.data.split.Split(
        *("both", "test", some.images + test.images, some.captions + test.captions),
        *(np.concatenate([some.owner, test.owner + 8]), some.ids + test.ids),
    )
    whole = score_split(model, both)
    np.testing.assert_allclose(banks["i2t"], whole[:8, 16:], atol=1e-6)
    np.testing.assert_allclose(banks["t2i"], whole[8:, :16], atol=1e-6)


# -- other systems ----------------------------------------------------------


def test_cores_are_counted_where_there_is_no_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert queue.hardware()["cores"] == os.cpu_count()


def test_memory_is_measured_in_the_units_of_the_system(monkeypatch):
    linux = queue.peak_memory()
    assert linux > 50 * 2**20
    usage = SimpleNamespace(ru_maxrss=3 * 2**30)
    monkeypatch.setattr(resource, "getrusage", lambda who: usage)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert queue.peak_memory() == 3 * 2**30  # bytes there
