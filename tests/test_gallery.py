"""The de-duplicated gallery: what is left out, and what that does."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from rsir.data import Split, Splits
from rsir.evaluation import metrics
from rsir.evaluation import metrics as gallery
from rsir.experiments import run as queue
from rsir.experiments.claims import check_reported
from rsir.models.recipes import recipe
from rsir.retrieval import two_stage as coarsefine

OWNER = np.array([0, 0, 0, 1, 1, 2])
TEXTS = ["a", "a", "b", "a", "c", "c"]


def test_of_each_picture_every_text_once():
    assert gallery.kept(TEXTS, OWNER).all()
    keep = gallery.kept(TEXTS, OWNER, "deduplicated")
    # another picture's "a" and "c" stay: they are another pair
    assert keep.tolist() == [True, False, True, True, True, True]


def test_wrong_texts_stand_in_the_way_once():
    a, b, c = [0.5, 0.8, 0.1], [0.9, 0.1, 0.1], [0.1, 0.1, 0.9]
    scores = np.array([a, a, b, a, c, c]).T
    options = {"ks": (1,), "bootstrap": 0}
    full = gallery.evaluate_gallery(scores, OWNER, TEXTS, **options)
    small = gallery.evaluate_gallery(scores, OWNER, TEXTS, "deduplicated", **options)
    plain = metrics.evaluate(scores, OWNER, **options)
    assert (full.i2t, full.t2i) == (plain.i2t, plain.t2i)
    # the "a" of picture 1 ties with two wrong ones, then with one
    assert full.i2t["R@1"] == pytest.approx(100 * (1 + 1 / 3 + 1 / 2) / 3)
    assert small.i2t["R@1"] == pytest.approx(100 * (1 + 1 / 2 + 1 / 2) / 3)
    # of six captions that ask, one "a" is heard no more
    assert full.t2i["R@1"] == pytest.approx(100 * 3 / 6)
    assert small.t2i["R@1"] == pytest.approx(100 * 3 / 5)
    assert (small.n_captions, small.left_out) == (5, 1)
    assert "gallery deduplicated (1 left out)" in str(small)
    assert "gallery full (0 left out)" in str(full)


def test_it_goes_by_its_own_name():
    scores = np.eye(4)
    report = gallery.evaluate_gallery(
        scores, None, list("abcd"), "deduplicated", bootstrap=0
    )
    assert report.to_dict()["gallery"] == "deduplicated"
    verdict = check_reported(report, "AMFMN", "RSICD")
    assert verdict.outcome == "not comparable"
    assert "ours searched the deduplicated gallery" in verdict.why
    chosen = {"mR": 20.0, "config": {"selects": "test"}}
    assert "selected on test" in check_reported(chosen, "AMFMN", "RSICD").why


@pytest.mark.parametrize(
    "texts, name, says",
    [
        (TEXTS[1:], "full", "5 texts for 6 columns"),
        (TEXTS, "small", "gallery: 'small' is none; use one of full"),
    ],
)
def test_bad_input_is_named(texts, name, says):
    with pytest.raises(ValueError, match=says):
        gallery.evaluate_gallery(np.ones((3, 6)), OWNER, texts, name)


def test_the_command_knows_it(called, saved, tmp_path):
    scores = np.random.default_rng(0).normal(size=(3, 6))
    texts = tmp_path / "C.txt"
    texts.write_text("\n".join(TEXTS) + "\n")
    words = ["evaluate", "--scores", saved("S", scores), "--owner",
             saved("O", OWNER), "--captions", texts]  # fmt: skip
    code, out, _ = called(*words, "--gallery", "deduplicated", "--json")
    answer = json.loads(out)
    want = gallery.evaluate_gallery(scores, OWNER, TEXTS, "deduplicated")
    assert code == 0 and answer["gallery"] == "deduplicated"
    assert (answer["mR"], answer["n_captions"]) == (want.mR, 5)
    code, _, err = called(*words)
    assert code == 2 and "--gallery" in err and "give both" in err
    code, _, err = called(*words[:-2], "--gallery", "deduplicated")
    assert code == 2 and "--captions C.txt" in err
    code, _, err = called(*words, "--gallery", "small")
    assert code == 2 and "deduplicated" in err
    for content, says in ((b"a\nb\n", "2 texts for 6"), (b"\xff\xfe", "as UTF-8")):
        texts.write_bytes(content)
        code, out, err = called(*words, "--gallery", "deduplicated")
        assert code == 2 and out == "" and says in err
        assert "C.txt" in err and err.count("\n") == 1


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
        x: gallery.evaluate_gallery(every, OWNER, TEXTS, x, bootstrap=0).mR
        for x in gallery.GALLERIES
    }
    assert facts["galleries"] == pytest.approx(want, abs=1e-4)
    assert metrics.evaluate_ranks(ranks, bootstrap=0).mR == pytest.approx(
        want["deduplicated"]
    )
    assert facts["gallery"] == "deduplicated" and seconds >= 0
    assert (name, len(ranks.owner)) == ("slip-gallery", 5)
    assert facts["rescored"]["reading"] == model.reading == 0.5
