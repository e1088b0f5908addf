"""Two stages: who moves, who stays, what it costs, and who is measured."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from rsir.data import Split, Splits
from rsir.evaluation import metrics
from rsir.models import Config, config
from rsir.models.cross_encoder import CrossEncoder, hard_negatives
from rsir.retrieval.two_stage import (
    TwoStage,
    measure,
    rescore,
    same_training,
    short_pairs,
)

WAYS = ("i2t", "t2i")


def matrix(seed=0):
    return np.random.default_rng(seed).normal(size=(7, 11))


def expensive(truth):
    return lambda pairs: truth[pairs[:, 0], pairs[:, 1]]


@pytest.mark.parametrize("direction", WAYS)
def test_the_top_is_reordered_and_the_rest_stays(direction):
    cheap, truth, m = matrix(), 1e3 * matrix(seed=1), 4
    new = rescore(cheap, expensive(truth), m, direction)
    if direction == "t2i":
        cheap, truth, new = cheap.T, truth.T, new.T
    for before, wanted, after in zip(cheap, truth, new, strict=True):
        top = (-before).argsort()[:m]
        expected = [*top[(-wanted[top]).argsort()], *(-before).argsort()[m:]]
        assert list((-after).argsort()) == expected
        rest = np.setdiff1d(np.arange(len(before)), top)
        assert np.array_equal(before[rest], after[rest])


def test_ties_at_the_end_of_a_list():
    cheap = np.array([[2.0, 1, 1, 1, 0]])
    assert len(short_pairs(cheap, 2, "i2t")) == 4
    seen = set()
    for seed in range(30):
        pairs = short_pairs(cheap, 2, "i2t", tied="draw", seed=seed)
        assert len(pairs) == 2 and pairs[0, 1] == 0
        seen.add(int(pairs[1, 1]))
    assert seen == {1, 2, 3}


def test_ties_of_the_reader_stay_and_masked_items_never_come_back():
    cheap = np.array([[3.0, 2, 1, 0]])
    new = rescore(cheap, lambda p: np.zeros(len(p)), 3, "i2t")
    assert len(set(new[0, :3])) == 1 and new[0, 2] > new[0, 3]
    cheap = np.array([[1.0, -np.inf, 0.0], [-np.inf] * 3])
    new = rescore(cheap, lambda p: 100.0 + p[:, 1], 3, "i2t")
    assert new[0, 1] == -np.inf and (new[1] == -np.inf).all()
    assert new[0, 2] > new[0, 0]


@pytest.mark.parametrize(
    "change, word",
    [
        ({"m": 0}, "m: 0"),
        ({"tied": "some"}, "tied: 'some'"),
        ({"direction": "both"}, "direction"),
        ({"scores": np.ones(3)}, "scores"),
        ({"scores": np.full((2, 2), np.nan)}, "NaN"),
        ({"scores": np.full((2, 2), np.inf)}, "inf"),
        ({"score_pairs": lambda p: np.zeros((len(p), 1))}, "score_pairs"),
        ({"score_pairs": lambda p: np.full(len(p), np.nan)}, "NaN"),
    ],
)
def test_faults_are_named(change, word):
    words = {"scores": matrix(), "score_pairs": expensive(matrix()), "m": 2}
    with pytest.raises(ValueError, match=word):
        rescore(**(words | {"direction": "i2t"} | change))


def test_barred_pairs_are_never_negatives():
    torch.manual_seed(0)
    barred = torch.eye(8).bool()
    barred[0] = barred[1, 2] = True
    drawn = [hard_negatives(torch.randn(8, 8), barred, 3, 0.5) for _ in range(60)]
    drawn = torch.cat(drawn, 1)  # [8, 180]
    assert (drawn[0] == -1).all() and (drawn[1:] >= 0).all()
    for row, no in zip(drawn[1:], barred[1:]):
        assert set(row.tolist()) == set(torch.where(~no)[0].tolist())
        assert all(len(set(three.tolist())) == 3 for three in row.split(3))
    hard = hard_negatives(torch.arange(8.0).repeat(8, 1), torch.eye(8).bool(), 2, 0.01)
    assert hard[:6].sort(1).values.tolist() == [[6, 7]] * 6


@dataclass(frozen=True)
class TableConfig(Config):
    method: str = "table"
    coarse: str = "rough"
    ppsr: int = 0
    gallery: str = "full"

    MEASURED = ("rerank_top", "ppsr", "coarse", "gallery")


class Encoded:
    """12 pictures, 24 captions, of which two are the same text."""

    def __init__(self, name="test"):
        captions = [f"caption {i}" for i in range(24)]
        captions[5] = captions[0]
        captions[9] = captions[8]  # twice beside one picture
        images = [f"{i}.png" for i in range(12)]
        owner = np.repeat(range(12), 2)
        self.split = Split("own", name, images, captions, owner, images)
        self.text_id = self.split.unique_texts()[1]
        self.inputs, self.features = {"row": torch.arange(22)}, {}

    def images(self, rows):
        return {"row": torch.as_tensor(rows)}


class Table(CrossEncoder):
    """Scores from a table: coarse ones are the fine ones, rounded."""

    def __init__(self):
        torch.nn.Module.__init__(self)
        self.config, self.any = TableConfig(), torch.nn.Parameter(torch.zeros(1))
        one = Encoded()
        table = np.random.default_rng(0).normal(size=(12, 22)).astype(np.float32)
        table[one.split.owner, one.text_id] += 1
        self.table, self.asked, self.encoded = torch.tensor(table), [], []

    def encode_split(self, split, progress=True):
        self.encoded.append(split.name)
        return Encoded(split.name)

    def encode_images(self, features):
        return dict(features)

    text_features = encode_images

    def encode_texts(self, features):
        return features | {"text_mask": torch.ones(len(features["row"]), 4).bool()}

    def score(self, images, texts, coarse="rough"):
        fine = self.table[images["row"]][:, texts["row"]]
        return fine if coarse == "exact" else (fine * 3).round()

    def score_pairs(self, images, texts, pairs):
        self.asked.append(pairs.clone())
        return self.table[images["row"][pairs[:, 0]], texts["row"][pairs[:, 1]]]


@pytest.fixture
def own():
    return TwoStage(Table(), Encoded())


def by_a_loop(own, coarse, m, direction):
    """Better ranked wrong items of each query, one list at a time."""
    fine = own.model.table.numpy()[:, own.columns]
    rough = coarse[:, own.columns]
    right = own.owner[None] == np.arange(12)[:, None]
    ways = np.unique(own.columns, return_index=True)[1]  # different texts
    if direction == "t2i":
        fine, rough, right, ways = fine.T, rough.T, right.T, np.arange(12)
    found = []
    for exact, cheap, true in zip(fine, rough, right, strict=True):
        edge = np.sort(cheap[ways])[-min(m, len(ways))]
        key = [(c >= edge, e if c >= edge else c) for c, e in zip(cheap, exact)]
        best = max(k for k, t in zip(key, true, strict=True) if t)
        found.append(sum(k > best for k, t in zip(key, true) if not t))
    return found


@pytest.mark.parametrize("m", [1, 4, 99])
def test_places_are_those_of_a_plain_loop(own, m):
    coarse = own.coarse()
    for way in WAYS:
        got = getattr(own.ranks(coarse, m), way).better
        assert got.tolist() == by_a_loop(own, coarse, m, way)


def test_each_pair_is_read_once(own):
    coarse = own.coarse()
    for m in (4, 2, 4):
        own.ranks(coarse, m)
        assert own.n_read == own.pairs(coarse, 4)
    assert own.pairs(coarse, 0) == 0 < own.pairs(coarse, 2) < own.n_read
    own.ranks(coarse, 99)
    every = torch.cat(own.model.asked)
    assert len(every) == len(every.unique(dim=0)) == own.n_read == 12 * 22


def test_variants_of_one_training_are_found():
    asked = config("cfitr", "cpu", "coarse-to-fine", seed=3)
    names = "coarse-to-fine hash float hash-ppsr coarse-to-fine-ppsr slip-gallery"
    assert set(same_training(asked, "cpu")) == set(names.split())
    alone = config("cfitr", "cpu", "minus-ssm")
    assert set(same_training(alone, "cpu")) == {"minus-ssm"}
    assert not same_training(alone, "toy")


def test_variants_are_measured_from_one_set_of_weights():
    model = Table()
    splits = Splits("own", None, *(Encoded(n).split for n in ("train", "val", "test")))
    ways = {
        "both": TableConfig(rerank_top=4),
        "list": TableConfig(),
        "exact": TableConfig(coarse="exact"),
        "ppsr": TableConfig(ppsr=3, rerank_top=4),
        "gallery": TableConfig(rerank_top=4, gallery="deduplicated"),
    }
    encoded = model.encoded
    found = {n: x for n, *x in measure(model, splits, ways["both"], ways)}
    assert set(found) == set(ways) and encoded == ["test", "val"]
    mR = {n: metrics.recalls_from_ranks(x[0])["mR"] for n, x in found.items()}
    assert mR["list"] < min(mR["both"], mR["exact"])
    assert found["list"][2] == {} == found["exact"][2]
    facts = found["both"][2]
    assert [row["k"] for row in facts["rescored"]["tried"]] == [0, 1, 2, 4]
    galleries = found["gallery"][2]["galleries"]
    assert galleries["full"] == pytest.approx(mR["both"], abs=1e-4)
    assert galleries["deduplicated"] == pytest.approx(mR["gallery"], abs=1e-4)
