"""One training of CFITR, many rows: which, and in what order."""

import numpy as np
import pytest
import torch

from rsir.data import Split, Splits
from rsir.evaluation import metrics
from rsir.models.recipes import ROWS, recipe
from rsir.retrieval.rerank import ppsr
from rsir.retrieval.two_stage import Stages, measured, rescore_both, twins


class Fixed:
    """Scores from a table: the coarse ones are the fine ones, rough."""

    coarse = "hash"

    def __init__(self, fine):
        self.table = torch.tensor(fine)
        self.asked = []

    def eval(self):
        return self

    def parameters(self):
        return iter([torch.zeros(1)])

    def score(self, images, texts):
        fine = self.table[images["row"]][:, texts["row"]]
        return fine if self.coarse == "float" else (fine * 3).round()

    def joint(self, images, texts, pairs):
        self.asked.append(pairs.clone())
        return self.table[pairs[:, 0], pairs[:, 1]]


@pytest.fixture
def stages(monkeypatch):
    """12 pictures, 24 captions, of which two are the same text."""
    draw = np.random.default_rng(0)
    captions = [f"caption {i}" for i in range(24)]
    captions[5] = captions[0]
    split = Split(
        "own",
        "test",
        [f"{i}.png" for i in range(12)],
        captions,
        np.repeat(range(12), 2),
        list("abcdefghijkl"),
    )
    columns = split.unique_texts()[1]
    fine = draw.normal(size=(12, 23)).astype(np.float32)
    fine[split.owner, columns] += 1

    def encode(model, corpus):
        return (
            {"row": torch.arange(12)},
            {"row": torch.arange(23), "text_mask": torch.ones(23, 4, dtype=torch.bool)},
        )

    monkeypatch.setattr("rsir.retrieval.two_stage.encode_corpus", encode)
    corpus = type("Corpus", (), {"split": split, "text_id": columns})()
    return Stages(Fixed(fine), corpus), fine, split, columns


def test_coarse_scores_of_each_kind(stages):
    own, fine, split, columns = stages
    assert np.array_equal(own.coarse("float"), fine)
    rough = np.round(fine * 3)
    assert np.array_equal(own.coarse(), rough)
    assert own.model.coarse == "hash"  # as it was
    found = own.coarse("hash", 10)
    want = ppsr(rough[:, columns], k=10)
    assert np.allclose(found[:, columns], want)


def test_the_top_of_both_lists_is_read_and_each_pair_once(stages):
    own, fine, split, columns = stages
    rough = own.coarse()
    plain = metrics.ranks(rough[:, columns], split.owner)
    assert np.array_equal(own.ranks(rough).t2i.better, plain.t2i.better)
    both = rescore_both(rough, lambda pairs: fine[pairs[:, 0], pairs[:, 1]], 4)
    got = own.ranks(rough, 4)
    for way in ("i2t", "t2i"):
        want = metrics.ranks(both[way][:, columns], split.owner)
        assert np.array_equal(getattr(got, way).better, getattr(want, way).better)
    assert own.read == both["pairs"] == own.pairs
    own.ranks(rough, 4)
    own.ranks(rough, 2)
    assert own.read == both["pairs"]  # known already
    own.ranks(rough, 24)
    every = torch.cat(own.model.asked)
    assert len(every) == len(every.unique(dim=0)) == 12 * 23
    full = metrics.ranks(fine[:, columns], split.owner)
    deep = own.ranks(rough, 24)
    assert np.array_equal(deep.i2t.better, full.i2t.better)


def test_rows_of_one_training_are_found(monkeypatch, stages):
    asked = recipe("cfitr", "cpu", "coarse-to-fine", seed=3)
    names = set(twins(asked, "cpu"))
    assert {"coarse-to-fine", "hash", "float", "hash-ppsr", "m-10"} <= names
    assert not names & {
        "minus-lfem",
        "minus-ssm",
        "bits-16",
        "slip-table",
        "released",
        "slip-val",
        "slip-gallery",
    }
    assert set(twins(recipe("cfitr", "cpu", "minus-ssm"), "cpu")) == {
        "minus-ssm",
        "minus-ssm-float",
    }
    own, _, split, _ = stages
    monkeypatch.setattr("rsir.retrieval.two_stage.Stages", lambda *_: own)
    monkeypatch.setattr("rsir.retrieval.two_stage.Corpus", lambda *a, **k: None)
    tried = [{"k": 20, "reading": 0.25, "mR": 3.0}]

    def choose(model, corpus, longest, *, lengths, keep):
        assert keep.all() and longest == 20 and not lengths
        return 20, 0.25, tried

    monkeypatch.setattr("rsir.retrieval.two_stage.choose", choose)
    found, facts = {}, {}
    for name, ranks, seconds, more in measured(
        own.model, Splits("toy", None, split, split, split), asked, "cpu"
    ):
        assert seconds >= 0
        found[name], facts[name] = ranks, more
    assert set(found) == names
    assert own.model.reading == 0.25
    assert facts["hash"] == {}
    assert facts["m-10"]["rescored"]["k"] == 10
    assert facts["m-10"]["rescored"]["reading"] == 0.25
    assert not np.array_equal(found["hash"].t2i.better, found["float"].t2i.better)


def test_every_row_of_every_preset_is_a_recipe():
    for preset in ("toy", "cpu", "paper"):
        for row in ROWS["cfitr"]:
            assert recipe("cfitr", preset, row).method == "cfitr"
