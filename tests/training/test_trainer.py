"""The training loop: learns, selects, stops, keeps."""

import shutil
import types

import numpy as np
import pytest
import torch
from tiny import Stub, StubConfig, install, learned, quiet, same
from torch import nn

import rsir.training.trainer as trainer
from rsir.evaluation.metrics import evaluate
from rsir.models.base import score_split
from rsir.training.checkpoints import BEST, VOCABULARY, load_run
from rsir.utils.errors import RsirError

pytestmark = pytest.mark.usefixtures("stub")


@pytest.fixture(scope="module")
def kept(splits, tmp_path_factory):
    """A finished run and its folder."""
    with pytest.MonkeyPatch.context() as patch:
        install(patch)
        home = tmp_path_factory.mktemp("runs") / "one"
        return quiet(StubConfig(epochs=6), splits, home), home


@pytest.fixture
def script(monkeypatch):
    """Validation recalls by script."""

    def play(values):
        found = iter(values)
        monkeypatch.setattr(
            trainer,
            "evaluate",
            lambda *_, **__: types.SimpleNamespace(mR=next(found), i2t={}, t2i={}),
        )

    return play


def test_it_learns_and_gives_the_model_of_the_best_epoch(kept, splits):
    run, home = kept
    assert run.val_mR > 60  # chance is 32: eight pictures
    assert [row["epoch"] for row in run.history] == [1, 2, 3, 4, 5, 6]
    assert run.val_mR == max(row["val_mR"] for row in run.history)
    assert not run.model.training
    scores = score_split(run.model, splits.val)
    again = evaluate(scores, splits.val.owner, bootstrap=0)
    assert again.mR == pytest.approx(run.val_mR)
    # and so does its folder
    assert (home / VOCABULARY).exists()
    loaded = load_run(home)
    assert not loaded.training and loaded.config == run.config
    assert np.array_equal(score_split(loaded, splits.val), scores)


def test_the_best_is_kept_and_not_the_last(splits, script, tmp_path, monkeypatch):
    real, saw = trainer.Checkpoints.keep_best, []

    def keep_best(self, model):
        saw.append(learned(model))
        real(self, model)

    monkeypatch.setattr(trainer.Checkpoints, "keep_best", keep_best)
    for run_dir in (None, tmp_path / "run"):
        script([10.0, 30.0, 20.0, 30.0])
        best = quiet(StubConfig(), splits, run_dir)
        assert best.val_mR == 30 and len(best.history) == 4
        assert same(learned(best.model), saw[-1])
    assert len(saw) == 4 and same(saw[1], saw[3])


def test_patience_ends_a_run(splits, script):
    script([10.0, 30.0, 20.0, 25.0, 99.0, 99.0])
    run = quiet(StubConfig(epochs=6, patience=2), splits)
    assert [row["val_mR"] for row in run.history] == [10, 30, 20, 25]


def test_same_seed_same_weights(splits, kept):
    first, _ = kept
    again = quiet(StubConfig(epochs=6), splits)
    assert again.history == first.history
    assert same(learned(again.model), learned(first.model))
    other = quiet(StubConfig(epochs=6, seed=1), splits)
    assert other.history != first.history


def test_damaged_run_folders_are_named(kept, tmp_path):
    _, home = kept
    run = tmp_path / "run"
    shutil.copytree(home, run)
    for file, text, says in (
        (BEST, "junk", f"{BEST}.*damaged"),
        ("config.json", '{"method": "stub", "views": [0]}', "another version.*views"),
        ("config.json", "{", "not a run folder"),
    ):
        (run / file).write_text(text)
        with pytest.raises(RsirError, match=says):
            load_run(run)


def test_a_folder_of_another_config_is_refused(kept, splits):
    _, home = kept
    before = (home / BEST).read_bytes()
    with pytest.raises(RsirError, match=r"another config \(lr, seed differ"):
        quiet(StubConfig(epochs=6, lr=2e-2, seed=3), splits, home)
    assert (home / BEST).read_bytes() == before


def test_accumulated_gradients_are_the_mean(splits, steps):
    frozen = {"lr": 0.0, "dropout": 0.0, "epochs": 1, "clip": 0.0}
    for accumulate in (1, 3):
        quiet(StubConfig(accumulate=accumulate, **frozen), splits)
    *three, joint = steps.grads
    assert len(three) == 3  # 24 pictures in batches of 8
    for *parts, joint in zip(*three, joint, strict=True):
        if joint is not None:
            torch.testing.assert_close(sum(parts) / 3, joint, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    "batch, accumulate, count",
    # 24 pictures: a half-filled step, one alone, a rest, and more than there are
    [(8, 1, 3), (8, 2, 2), (8, 9, 1), (9, 1, 2), (1000, 1, 1)],
)
def test_steps_and_schedule_end_together(splits, steps, batch, accumulate, count):
    config = StubConfig(epochs=2, batch=batch, accumulate=accumulate, warmup=0.0)
    run = quiet(config, splits)
    rates = [rates[0] / config.lr for rates in steps.rates]
    assert len(rates) == 2 * count
    assert all(np.isfinite(row["val_mR"]) for row in run.history)
    done = np.maximum(np.arange(2 * count) - 1, 0) / (2 * count - 1)
    assert rates == pytest.approx((1 + np.cos(np.pi * done)) / 2, abs=1e-9)


def test_rates_over_a_run():
    warm = trainer.rate_factor(StubConfig(warmup=0.1), 100)
    rates = [warm(s) for s in range(100)]
    assert rates[:10] == pytest.approx([k / 10 for k in range(1, 11)])
    assert rates[10] == 1 and rates[99] < 0.001
    assert all(a >= b for a, b in zip(rates[10:], rates[11:]))
    falls = trainer.rate_factor(StubConfig(schedule="step", epochs=50), 500)
    assert [falls(s) for s in (0, 199, 200, 400)] == pytest.approx([1, 1, 0.7, 0.49])
    with pytest.raises(RsirError, match="schedule is 'flat'"):
        StubConfig(schedule="flat")


def test_each_part_learns_at_its_rate(splits):
    config = StubConfig(text_lr=1e-5, image_lr=2e-5, weight_decay=0.3)
    model = trainer.build(config, splits.train)
    model.image_encoder.requires_grad_(False)
    model.text_encoder.pretrained = True
    model.stages = nn.Linear(2, 2)
    of = {id(p): k for k, p in model.named_parameters()}
    groups = {
        " ".join(of[id(p)] for p in g["params"]): (g["lr"], g["weight_decay"])
        for g in trainer.parameter_groups(model, config)
    }
    assert groups == {
        "text_encoder.words.weight": (1e-5, 0.3),
        "project.weight": (config.lr, 0.3),
        "scale project.bias": (config.lr, 0.0),
        "stages.weight stages.bias": (2e-5, 0.3),
    }


def test_scores_stay_float32_under_autocast(splits, monkeypatch):
    seen = []
    real = Stub.score

    def score(self, images, texts):
        seen.extend([images["v"].dtype, texts["t"].dtype])
        return real(self, images, texts)

    monkeypatch.setattr(Stub, "score", score)
    run = quiet(StubConfig(epochs=1, precision="bf16"), splits)
    assert run.precision == "bf16" and set(seen) == {torch.float32}
