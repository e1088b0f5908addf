"""A run that is measured on another gallery says so, and is kept apart."""

from types import SimpleNamespace

import numpy as np
import pytest

from rsir.data import Split, Splits
from rsir.evaluation.metrics import evaluate, evaluate_ranks
from rsir.experiments import run as queue
from rsir.experiments.claims import check_reported
from rsir.models.recipes import recipe
from rsir.retrieval import two_stage as coarsefine

OWNER = np.array([0, 0, 0, 1, 1, 2])
TEXTS = ["a", "a", "b", "a", "c", "c"]


def test_it_goes_by_its_own_name():
    report = evaluate(
        np.eye(4), captions=list("abcd"), gallery="deduplicated", bootstrap=0
    )
    assert report.to_dict()["gallery"] == "deduplicated"
    verdict = check_reported(report, "AMFMN", "RSICD")
    assert verdict.outcome == "not comparable"
    assert "ours searched the deduplicated gallery" in verdict.why
    chosen = {"mR": 20.0, "config": {"selects": "test"}}
    assert "selected on test" in check_reported(chosen, "AMFMN", "RSICD").why


def test_a_row_is_measured_on_its_gallery(monkeypatch):
    """The record of the slip holds the mR of both galleries."""
    split = Split(
        "own", "test", [f"{i}.png" for i in range(3)], TEXTS, OWNER, list("xyz")
    )
    columns = split.unique_texts()[1]
    fine = np.array([[0.5, 0.4, 0.1], [0.8, 0.1, 0.1], [0.1, 0.2, 0.9]])
    stages = SimpleNamespace(
        columns=columns,
        read=9,
        coarse=lambda kind, ppsr: fine.round(),
        fine=lambda pairs: fine[pairs[:, 0], pairs[:, 1]],
    )
    model = SimpleNamespace()
    monkeypatch.setattr(coarsefine, "Stages", lambda *_: stages)
    monkeypatch.setattr("rsir.training.batches.Corpus", lambda *_, **__: None)
    monkeypatch.setattr(coarsefine, "choose_reading", lambda *_: (0.5, []))
    asked = recipe("cfitr", "toy", "slip-gallery", rescore=3)
    ((name, ranks, seconds, facts),) = queue._measured(
        SimpleNamespace(recipe=asked, model=model),
        Splits("own", None, split, split, split),
        "slip-gallery",
        "toy",
    )
    every = fine[:, columns]
    want = {
        "full": evaluate(every, OWNER, bootstrap=0).mR,
        "deduplicated": evaluate(
            every, OWNER, captions=TEXTS, gallery="deduplicated", bootstrap=0
        ).mR,
    }
    assert facts["galleries"] == pytest.approx(want, abs=1e-4)
    assert evaluate_ranks(ranks, bootstrap=0).mR == pytest.approx(want["deduplicated"])
    assert facts["gallery"] == "deduplicated" and seconds >= 0
    assert (name, len(ranks.owner)) == ("slip-gallery", 5)
    assert facts["rescored"]["reading"] == model.reading == 0.5
