"""`rsir records` and `rsir reproduce`: words to calls."""

import itertools
import json
import re

import pytest
from result_samples import record
from tiny import stub  # noqa: F401

from rsir.experiments import run, tables
from rsir.experiments.tables import HEADLINES, STEPS, queue

pytestmark = pytest.mark.usefixtures("stub")


def test_records_are_listed_with_reasons(tmp_path, called):
    record(tmp_path, "stub", "toy", "plain", 1.0, modules={"gone.py": "0"})
    record(tmp_path, "stub", "toy", "wild", 1.0)
    where = ("--results", tmp_path / "results")
    code, out, _ = called("records", "list", *where)
    lines = out.splitlines()
    assert code == 0 and lines[-1] == "2 records, 1 stale"
    assert lines[0].startswith("stub/toy/plain-s0  mR ")
    assert lines[0].endswith("  gone.py") and lines[1].startswith("stub/toy/wild")
    _, out, _ = called("records", "list", "--stale", *where)
    assert "wild" not in out and "plain" in out


def test_confirm_says_how_many(tmp_path, called, monkeypatch):
    seen = []
    monkeypatch.setattr(run, "confirm", lambda *a, **k: seen.append((a, k)) or [1, 2])
    code, out, _ = called("records", "confirm", "stub", "--root", tmp_path)
    assert (code, out) == (0, "stub ucm: equal to the bit; 2 records renewed\n")
    assert seen == [(("stub", "ucm", "cpu", 0), {"root": tmp_path, "results": None})]


@pytest.mark.parametrize(
    "words, wanted, seeds",
    [
        (["stub"], [("stub", None)], [0]),
        (["stub", "--variant", "wild", "--seed", 4], [("stub", "wild")], [4]),
        (
            ["stub", "--variant", "all", "--seeds", 2],
            [("stub", "plain"), ("stub", "wild"), ("stub", "deep")],
            [0, 1],
        ),
    ],
)
def test_reproduce_asks_for_runs(words, wanted, seeds, called, worked):
    code, _, err = called("reproduce", "--dataset", "ucm", *words)
    assert code == 0, err
    jobs, options = worked[0]
    plain = [(method, variant or "plain") for method, variant in wanted]
    assert [(job.method, job.variant, job.seed) for job in jobs] == [
        (*key, seed) for key in plain for seed in seeds
    ]
    assert {(job.dataset, job.preset) for job in jobs} == {("ucm", "cpu")}
    assert options["dry_run"] is False


@pytest.fixture
def worked(monkeypatch):
    """What `work` was asked for: (jobs, options)."""
    seen = []
    monkeypatch.setattr(
        run, "work", lambda jobs, **options: seen.append((jobs, options))
    )
    return seen


def test_all_is_a_queue_of_every_set_with_its_seeds(called, worked, monkeypatch):
    keys = [("stub", "plain"), ("stub", "wild")]
    monkeypatch.setattr(tables, "queue", lambda dataset: keys)
    for words in ([], ["--dataset", "rsicd"], ["--seeds", 1], ["--seed", 7]):
        assert called("reproduce", "--all", "--dry-run", *words)[0] == 0
    jobs = worked[0][0]
    assert worked[0][1]["dry_run"]
    seen = {(job.dataset, job.variant, job.seed) for job in jobs}
    assert len(seen) == len(jobs) == 2 * (5 + 5 + 3)
    assert list(dict.fromkeys(job.dataset for job in jobs)) == [*tables.CAMPAIGN]
    assert tables.CAMPAIGN == {"ucm": 5, "rsitmd-part": 5, "rsicd": 3}
    assert [(job.dataset, job.seed) for job in worked[1][0][:3]] == [
        ("rsicd", seed) for seed in range(3)
    ]
    assert [len(jobs) for jobs, _ in worked[2:]] == [6, 6]
    assert {job.seed for job in worked[3][0]} == {7}


def test_a_part_is_a_data_set_of_its_own(called, worked):
    for words in (
        ["--dataset", "rsitmd-part"],
        ["--dataset", "rsitmd", "--part", "rebuilt"],
        ["--part", "rebuilt"],
    ):
        assert called("reproduce", "stub", *words)[0] == 0
    assert [jobs[0].dataset for jobs, _ in worked] == ["rsitmd-part"] * 3
    for words in (["--dataset", "ucm", "--part", "rebuilt"], ["--part", "half"]):
        for command in (["reproduce"], ["train"]):
            code, _, err = called(*command, "stub", *words)
            assert code == 2 and "--dataset rsitmd --part rebuilt" in err


def test_reproduce_wants_a_method_or_all(called):
    for words in ([], ["stub", "--all"]):
        code, _, err = called("reproduce", *words)
        assert code == 2 and "name a method, or give --all" in err


def test_the_queue_holds_headlines_baselines_and_claims_before_reranks():
    keys, papers = queue(), {claim.id for claim in tables.load_claims()}
    sides = {key for *both, claim in STEPS if claim in papers for key in both}
    baselines = {("linear", "linear"), ("mlp", "mlp"), ("dual", "dual")}
    assert {*HEADLINES, *sides, *baselines} == {*keys}
    assert len(keys) == len(set(keys))
    reranked = ["+" in variant for _, variant in keys]
    assert reranked == sorted(reranked) and any(reranked)


# -- rsir claims -------------------------------------------------------------


def line_of(out, name):
    lines = out.splitlines()
    at = next(i for i, x in enumerate(lines) if x.startswith(name))
    below = itertools.takewhile(lambda x: x[0] == " ", lines[at + 1 :])
    return lines[at], [x.strip() for x in below]


def test_claims_are_told_with_and_without_records(tmp_path, called, monkeypatch):
    code, out, _ = called("claims", "--results", tmp_path / "results")
    assert code == 0 and out.endswith(", 0 decided: none\n")
    assert line_of(out, "amfmn-mvsa")[1][0] == "ucm: not measured yet"
    step = ("stub", "wild"), ("stub", "plain"), "amfmn-mvsa"
    monkeypatch.setattr(tables, "STEPS", [step])
    monkeypatch.setitem(tables.RANGES, "AMFMN", [("stub", "plain")])
    for seed in range(2):
        for variant, strength in (("plain", 1.0), ("wild", 2.5)):
            record(tmp_path, "stub", "ucm", variant, strength, seed)
    old = {"modules": {"gone.py": "0"}}
    for variant in ("plain", "wild"):
        record(tmp_path, "stub", "rsicd", variant, 1.0, **old)
    code, out, _ = called("claims", "--results", tmp_path / "results")
    head, sets = line_of(out, "amfmn-mvsa")
    assert re.search(r"AMFMN +holds +\+\S+ \[\+\S+, \+\S+\] +1 +60 +2$", head)
    assert sets[0].startswith("ucm: +") and sets[1] == "rsitmd-part: not measured yet"
    assert sets[0].endswith("], 60 images, 2 seeds")
    alone = (
        "rsicd: +0.00 [+0.00, +0.00], 60 images, one seed: images alone † no fresh pair"
    )
    assert sets[2] == alone
    assert line_of(out, "amfmn-rsicd")[1][0].startswith("rsicd: plain ")
    told = f"{len(tables.load_claims())} claims, 1 decided: holds 1\n"
    assert out.endswith(told)
    code, out, _ = called("claims", "--json", "--results", tmp_path / "results")
    made = {one["id"]: one for one in json.loads(out)}
    assert list(made) == [claim.id for claim in tables.load_claims()]
    one = made["amfmn-mvsa"]
    assert (one["verdict"], one["printed"], one["why"]) == ("holds", 1.68, "")
    assert (one["sets"], one["images"], one["seeds"]) == (1, 60, 2)
    assert one["low"] < one["gain"] < one["high"]
    assert one["per_set"]["ucm"]["gain"] == pytest.approx(one["gain"])
    assert one["per_set"]["rsitmd-part"] == {"why": "not measured yet"}
    assert made["amfmn-ucm"]["per_set"]["ucm"][0]["row"] == "plain"
    assert made["amfmn-time"]["why"] == "quoted, not measured"
