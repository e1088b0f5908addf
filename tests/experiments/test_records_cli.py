"""`rsir records` and `rsir reproduce`: words to calls."""

import pytest
from result_samples import record
from tiny import stub  # noqa: F401

from rsir.experiments import run
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
        (["--all", "--dry-run"], queue(), [0]),
    ],
)
def test_reproduce_asks_for_runs(words, wanted, seeds, called, monkeypatch):
    seen = []
    monkeypatch.setattr(run, "reproduce", lambda *a, **k: seen.append((*a, k)))
    code, _, err = called("reproduce", "--dataset", "ucm", *words)
    assert code == 0, err
    asked, dataset, preset, given, options = seen[0]
    assert (asked, dataset, preset, list(given)) == (wanted, "ucm", "cpu", seeds)
    assert options["dry_run"] == ("--dry-run" in words)


def test_reproduce_wants_a_method_or_all(called):
    for words in ([], ["stub", "--all"]):
        code, _, err = called("reproduce", *words)
        assert code == 2 and "name a method, or give --all" in err


def test_the_queue_holds_all_that_is_compared_and_runs_before_reranks():
    keys = queue()
    assert {*HEADLINES, *(key for step in STEPS for key in step[:2])} == {*keys}
    assert len(keys) == len(set(keys))
    reranked = ["+" in variant for _, variant in keys]
    assert reranked == sorted(reranked) and any(reranked)
