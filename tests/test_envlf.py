"""EnVLF: its parts, its tasks, a run that breaks, two processes."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_envlf import TEXTS, batch_of, images_of, small_model
from tiny import (  # noqa: F401
    cache,
    cached,
    folder,
    splits,
    tiny_recipe,
)

import rsir.data
import rsir.retrieval.two_stage
from rsir.encoders import image_encoder
from rsir.encoders.image import ViT, turned, turned_by_lot, upper_stages
from rsir.evaluation.metrics import Ranks, ranks
from rsir.experiments import run as queue
from rsir.models.base import gradient_shares, hard_negatives, pair_scorer
from rsir.models.envlf import EnVLF
from rsir.retrieval.two_stage import choose, reader, two_stages
from rsir.training.batches import Corpus
from rsir.training.trainer import encode_corpus, score_split, train
from rsir.utils.errors import RsirError

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def model():
    return small_model().eval()


def small_run(**changes):
    return tiny_recipe("envlf", **({
        "image_size": 64, "text_encoder": "minilm", "text_layers": 1,
        "width": 16, "heads": 2, "epochs": 2, "eval_every": 1,
        "batch": 12, "rescore": 3,
    } | changes))  # fmt: skip


# -- parts ------------------------------------------------------------


@pytest.mark.parametrize("start", ["f2", "f3", "f4"])
def test_upper_stages_begin_as_the_encoder(start):
    encoder = image_encoder("efficientnet_lite0", size=64)
    pictures = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        maps, pooled = encoder.pyramid(pictures)
        stages = upper_stages(encoder, start)
        before = maps[("f1", "f2", "f3", "f4").index(start)]
        cells = stages(before)
    assert cells.shape == (2, stages.grid**2, stages.dim)
    torch.testing.assert_close(cells.mean(1), pooled)
    next(stages.parameters()).data.zero_()
    with torch.no_grad():
        assert torch.equal(encoder.pyramid(pictures)[1], pooled)


class SmallViT(ViT):
    model = "vit_tiny_patch16_224"
    dim = 192
    channels = (192,) * 4


def test_a_vision_transformer_can_be_cut():
    encoder = SmallViT(32, pretrained=False).eval()
    with torch.no_grad():
        maps, pooled = encoder.pyramid(torch.randn(1, 3, 32, 32))
        cells = upper_stages(encoder, "f1").eval()(maps[0])
        last = upper_stages(encoder, "f4")(maps[3])
    assert [tuple(m.shape[1:]) for m in maps] == encoder.map_sizes()
    assert cells.shape == (1, 4, 192) and torch.isfinite(cells).all()
    torch.testing.assert_close(last.mean(1), pooled)


def encoded(model, texts):
    with torch.no_grad():
        ids = model.text_encoder.tokenize(texts)
        return model.encode_texts(model.text_features(ids))


def test_joint_scores_do_not_depend_on_the_company(model):
    texts = ["many planes", "a road beside a long white roof"]
    with torch.no_grad():
        images = model.encode_images(images_of(model))
        pairs = torch.tensor([[3, 0], [0, 1], [3, 1]])
        together = model.joint(images, encoded(model, texts), pairs)
        alone = model.joint(
            {k: v[3:4] for k, v in images.items()},
            encoded(model, texts[:1]),
            torch.tensor([[0, 0]]),
        )
    torch.testing.assert_close(together[:1], alone, atol=1e-4, rtol=0)
    assert together.std() > 1e-3


def test_joint_reads_tokens_and_not_only_vectors(model):
    with torch.no_grad():
        images = model.encode_images(images_of(model))
        texts = encoded(model, ["many planes"])
        pairs = torch.tensor([[0, 0]])
        before = model.joint(images, texts, pairs)
        images["image_tokens"] = images["image_tokens"].flip(0)
        after = model.joint(images, texts, pairs)
        looks = model.looks(images, texts, pairs)
    assert (before - after).abs() > 1e-3
    assert looks.shape == (1, texts["t"].new_zeros(1).numel() * 4, 4)
    torch.testing.assert_close(looks.sum(2), torch.ones(1, 4))


def test_a_vector_does_not_know_where_north_is():
    model, plain = small_model(turns=True), small_model()
    seen = images_of(model)
    around = seen | {"f4": turned(seen["f4"], 6)}
    with torch.no_grad():
        for net, same in ((model.eval(), True), (plain.eval(), False)):
            a, b = (net.encode_images(x)["v"] for x in (seen, around))
            assert torch.allclose(a, b, atol=1e-5) == same
        torch.manual_seed(0)
        shown = turned_by_lot(seen["f4"])
    drawn = [
        next(
            v
            for v in range(8)
            if torch.equal(turned(seen["f4"][i : i + 1], v)[0], shown[i])
        )
        for i in range(6)
    ]
    assert len(set(drawn)) > 2


# -- tasks ------------------------------------------------------------


def test_shared_captions_are_never_negatives():
    torch.manual_seed(0)
    scores, positive = torch.randn(8, 8), torch.eye(8).bool()
    positive[0] = True
    positive[1, 2] = positive[2, 1] = True
    seen_t, seen_i = set(), set()
    for _ in range(60):
        texts, images = hard_negatives(scores, positive, 3, 0.5)
        seen_t |= {(i, int(j)) for i in range(8) for j in texts[i]}
        seen_i |= {(int(i), j) for j in range(8) for i in images[j]}
        assert (texts[0] == -1).all()
        for row in texts[1:]:
            assert len(set(row.tolist())) == 3
    assert not any(positive[i, j] for i, j in seen_t if j >= 0)
    assert not any(positive[i, j] for i, j in seen_i)
    assert len(seen_t) > 40


def test_the_gate_is_in_the_second_score_and_not_in_the_list():
    model = small_model().eval()
    batch = batch_of(model)
    with torch.no_grad():
        images = model.encode_images(batch["images"])
        texts = encoded(model, TEXTS[:2])
        pairs = torch.tensor([[0, 0], [1, 1]])
        before = model.joint(images, texts, pairs)
        listed = model.score(images, texts)
        images["gate"] = images["gate"].flip(1)
        assert not torch.allclose(model.joint(images, texts, pairs), before, atol=1e-3)
        assert torch.equal(model.score(images, texts), listed)
        images["gate"] = torch.full_like(images["gate"], 0.3)
        plain = small_model(weighing=0.0).eval()
        assert plain.guidance is None and "gate" not in plain.encode_images(
            batch["images"]
        )
        plain.load_state_dict(model.state_dict(), strict=False)
        # a gate that is the same everywhere weighs nothing
        assert torch.allclose(
            plain.joint(images, texts, pairs),
            model.joint(images, texts, pairs),
            atol=1e-4,
        )


def test_hard_negatives_are_hard():
    scores = torch.arange(8.0).repeat(8, 1)
    texts, _ = hard_negatives(scores, torch.eye(8).bool(), 2, 0.01)
    assert texts[:6].sort(1).values.tolist() == [[6, 7]] * 6


def test_tasks_can_be_left_out():
    whole = small_model()
    terms = whole.training_losses(batch_of(whole), lambda x: x)
    assert set(terms) == {"contrastive", "weighing", "matching", "mlm", "beside"}
    assert all(v.requires_grad and v > 0 for v in terms.values())
    for name in terms:
        part = small_model(**{name: 0.0})
        left = part.training_losses(batch_of(part), lambda x: x)
        assert set(left) == set(terms) - {name}
    shares = gradient_shares(terms, list(whole.stages.parameters()))
    assert sum(shares.values()) == pytest.approx(100)
    # the second heads see frozen pictures
    assert shares.pop("beside") == 0 and min(shares.values()) > 0


def test_masked_words_need_the_picture():
    model = small_model(masked=1.0, mlm_share=1.0).eval()
    batch = batch_of(model)
    images = model.encode_images(batch["images"])["image_tokens"]

    def loss(tokens):
        torch.manual_seed(3)
        return model.mlm_loss(tokens, batch["texts"]["ids"], 0, 6)

    # all words hidden: only picture and length are left to go by
    with torch.no_grad():
        assert (loss(images) - loss(images.flip(0))).abs() > 1e-6
        wide = loss(images)
        model.known.zero_()
        model.known[batch["texts"]["ids"].unique()] = 1
        assert loss(images) < wide - 3


@pytest.mark.parametrize(
    "changes, word",
    [
        ({"contrastive": 0.0, "matching": 0.0}, "nothing would teach"),
        ({"text_layers": 0}, "text_lr=0"),
        ({"start": "pooled"}, "start"),
        ({"heads": 3}, "heads"),
    ],
)
def test_faults_are_named(changes, word):
    with pytest.raises(RsirError, match=word):
        small_model(**changes)


def test_the_benchmark_trains_what_it_says():
    path = HERE.parent / "benchmarks" / "training.py"
    bench = runpy.run_path(str(path))
    found = bench["measure"](["frozen, heads only", "whole backbone"], 64, 2, 1)
    assert list(found) == ["frozen, heads only", "whole backbone"]
    assert all(speed > 0 for speed in found.values())


# -- runs -------------------------------------------------------------


def test_an_interrupted_run_ends_the_same(splits, cached, tmp_path):
    whole = train(small_run(), splits, progress=False)
    for until in (1, None):
        run = train(small_run(), splits, tmp_path / "run", epochs=until, progress=False)
    assert run.history == whole.history
    a, b = run.model.state_dict(), whole.model.state_dict()
    assert all(torch.equal(a[k], b[k]) for k in a)
    moved = run.model.stages.state_dict()
    frozen = upper_stages(run.model.image_encoder, "f4").state_dict()
    assert not any(torch.equal(moved[k], frozen[k]) for k in moved)


def test_one_training_two_records(splits, cached, tmp_path, monkeypatch):
    monkeypatch.setattr(rsir.data, "load_dataset", lambda *_: splits)
    monkeypatch.setattr(
        queue,
        "recipe",
        lambda method, preset, row=None, **k: small_run(
            rescore=0 if row == "uni" else 3,
            epochs=1,
            matching=0.0,
            beside=0.0,
            stages_trained=row != "frozen",
        ),
    )
    monkeypatch.setattr(  # a reader that turns every list around
        EnVLF,
        "joint",
        lambda self, images, texts, pairs: (
            -(images["v"][pairs[:, 0]] * texts["t"][pairs[:, 1]]).sum(1)
        ),
    )
    monkeypatch.setattr(
        rsir.retrieval.two_stage,
        "choose",
        lambda model, val, longest, keep: (longest, 1.0, ["on " + val.split.name]),
    )
    queue.run_job("envlf", "toy", "toy", "rescored", 0, None, str(tmp_path), "c" * 40)
    home = tmp_path / "envlf" / "toy"
    assert {p.name for p in home.glob("*.json")} == {"rescored-s0.json", "uni-s0.json"}
    uni, new = (
        json.loads((home / f"{r}-s0.json").read_text()) for r in ("uni", "rescored")
    )
    assert uni["config"]["rescore"] == 0
    assert uni["seconds"]["train"] == new["seconds"]["train"]
    assert "--row uni" in uni["command"]
    a, b = (Ranks.load(home / f"{r}-s0.npz") for r in ("uni", "rescored"))
    inner = (a.t2i.equal == 0) & (a.t2i.better < 3)
    assert inner.any()
    assert np.array_equal(
        a.t2i.better[inner] + b.t2i.better[inner], np.full(inner.sum(), 2)
    )
    assert new["rescored"]["k"] == 3
    assert new["rescored"]["tried"] == ["on val"]
    assert new["seconds"]["choose"] >= 0
    assert "choose" not in uni["seconds"]


def test_validation_chooses_how_far_to_read(splits, cached, monkeypatch):
    model = train(small_run(epochs=1), splits, progress=False).model
    corpus = Corpus(splits.val, model, progress=False)
    true = torch.zeros(splits.val.n_images, len(corpus.texts))
    true[torch.tensor(splits.val.owner), corpus.text_id] = 1
    reads = []

    def knows(self, images, texts, pairs):
        if self.reading:
            reads.extend(map(tuple, pairs.tolist()))
        return self.reading * true[pairs[:, 0], pairs[:, 1]]

    monkeypatch.setattr(EnVLF, "joint", knows)
    k, reading, rows = choose(model, corpus, 8)
    assert k == 8 and reading > 0
    assert model.reading == 1.0
    assert len(reads) == len(set(reads)) <= true.numel()
    by_k = [max(r["mR"] for r in rows if r["k"] == k) for k in (1, 2, 4, 8)]
    assert by_k == sorted(by_k) and by_k[0] < by_k[-1]


def test_only_pictures_that_count_decide(splits, cached):
    model = train(small_run(epochs=1), splits, progress=False).model
    keep = np.arange(splits.val.n_images) % 2 == 1
    some = choose(model, Corpus(splits.val, model, progress=False), 4, keep=keep)
    alone = choose(model, Corpus(splits.val.subset(keep), model, progress=False), 4)
    assert [row["k"] for row in some[2]] == [r["k"] for r in alone[2]]
    assert np.allclose([row["mR"] for row in some[2]], [row["mR"] for row in alone[2]])


def test_two_stages_agree_with_their_parts(splits, cached):
    run = train(small_run(epochs=1), splits, progress=False)
    corpus = Corpus(splits.val, run.model, progress=False)
    none, some, every = two_stages(run.model, corpus, (0, 2, 99))
    plain = score_split(run.model, splits.val)
    assert np.array_equal(none.coarse, plain)
    assert none.pairs == 0 < some.pairs < every.pairs
    assert np.array_equal(
        none.ranks().t2i.better, ranks(plain, splits.val.owner).t2i.better
    )
    # the whole gallery read: the places are those of the reader
    images, texts = encode_corpus(run.model, corpus)
    n, m = len(images["v"]), len(texts["t"])
    pairs = np.stack(np.divmod(np.arange(n * m), m), 1)
    read = pair_scorer(run.model, images, texts)(pairs).reshape(n, m)
    alone = ranks(read[:, corpus.text_id], splits.val.owner)
    for side in ("i2t", "t2i"):
        assert np.array_equal(
            getattr(every.ranks(), side).better, getattr(alone, side).better
        )


def test_two_processes_have_the_gradients_of_one(tmp_path):
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for words in ([], launch):
        done = subprocess.run(
            [sys.executable, *words, str(HERE / "two_envlf.py"), str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=600,
            env=os.environ
            | {
                "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)]),
                "CUDA_VISIBLE_DEVICES": "",
                "OMP_NUM_THREADS": "1",
            },
        )
        assert done.returncode == 0, done.stderr[-3000:]
    one = torch.load(tmp_path / "1-0.pt")
    for rank in (0, 1):
        two = torch.load(tmp_path / f"2-{rank}.pt")
        assert two.keys() == one.keys()
        for key, grad in one.items():
            scale = grad.abs().max().clamp(min=1e-3)
            assert (two[key] - grad).abs().max() < 1e-3 * scale, key


def test_the_joint_score_is_a_line_in_what_was_read(splits, cached):
    model = train(small_run(epochs=1), splits, progress=False).model
    corpus = Corpus(splits.val, model, progress=False)
    images, texts = encode_corpus(model, corpus)
    pairs = np.array([[0, 1], [2, 0], [1, 1]])
    none, half, full = (reader(model, images, texts, x)(pairs) for x in (0.0, 0.5, 1.0))
    assert not np.allclose(none, full)
    assert np.allclose(half, (none + full) / 2, atol=1e-4)
    assert model.reading == 1.0
