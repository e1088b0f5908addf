"""The training loop: learns, selects, stops, keeps."""

import types

import numpy as np
import pytest
import torch
from tiny import (  # noqa: F401
    cache,
    cached,
    folder,
    splits,
    tiny_recipe,
)

import rsir.training.trainer as train_module
from rsir.evaluation.metrics import evaluate
from rsir.models import build
from rsir.retrieval.search import load_run, search
from rsir.training.checkpoints import BEST, VOCABULARY
from rsir.training.trainer import parameter_groups, score_split, train
from rsir.utils.errors import RsirError

pytestmark = pytest.mark.usefixtures("cached")


def quiet(recipe, splits, run_dir=None, **options):
    return train(recipe, splits, run_dir, progress=False, **options)


def learned(model):
    """What training may change."""
    return {
        k: v.clone()
        for k, v in model.state_dict().items()
        if not k.startswith("image_encoder.")
    }


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture(scope="module")
def kept(splits, cache, tmp_path_factory):
    """A finished run and its folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RSIR_CACHE", str(cache))
        home = tmp_path_factory.mktemp("runs") / "one"
        return quiet(tiny_recipe(epochs=6), splits, home), home


@pytest.fixture
def steps(monkeypatch):
    """Gradients and rates of every optimiser step."""
    seen = []

    class Watched(torch.optim.AdamW):
        def step(self, *args, **kwargs):
            seen.append(
                {
                    "rates": [g["lr"] for g in self.param_groups],
                    "grads": [
                        p.grad.clone() if p.grad is not None else None
                        for g in self.param_groups
                        for p in g["params"]
                    ],
                }
            )
            return super().step(*args, **kwargs)

    monkeypatch.setattr(torch.optim, "AdamW", Watched)
    return seen


@pytest.fixture
def script(monkeypatch):
    """Validation recalls by script; weights as each was measured."""
    seen = []

    def play(values):
        def report(scores, owner, **_):
            value = values[len(seen)]
            seen.append(value)
            return types.SimpleNamespace(mR=value, i2t={}, t2i={})

        monkeypatch.setattr(train_module, "evaluate", report)
        return seen

    return play


def test_it_learns(kept, splits):
    run, _ = kept
    losses = [
        sum(v for k, v in row.items() if k.startswith("triplet")) for row in run.history
    ]
    assert losses[-1] < 0.8 * losses[0]
    assert run.val_mR > 60  # chance is 32: eight pictures
    assert [row["epoch"] for row in run.history] == [1, 2, 3, 4, 5, 6]
    assert set(run.seconds) == {"features", "train"}


def test_the_model_is_that_of_the_best_epoch(kept, splits):
    run, _ = kept
    assert run.val_mR == max(row["val_mR"] for row in run.history)
    scores = score_split(run.model, splits.val)
    assert scores.shape == (8, 16)
    again = evaluate(scores, splits.val.owner, bootstrap=0)
    assert again.mR == pytest.approx(run.val_mR)
    assert not run.model.training


def test_the_best_is_kept_and_not_the_last(splits, script, tmp_path):
    recipe = tiny_recipe(epochs=4)
    script([10.0, 30.0, 20.0, 30.0])
    for run_dir in (None, tmp_path / "run"):
        seen = script([10.0, 30.0, 20.0, 30.0])
        seen.clear()
        best = quiet(recipe, splits, run_dir)
        assert best.val_mR == 30 and len(best.history) == 4
        seen.clear()
        second = quiet(recipe, splits, epochs=2)
        assert equal(learned(best.model), learned(second.model))


def test_patience_ends_a_run(splits, script):
    script([10.0, 30.0, 20.0, 25.0, 99.0, 99.0])
    run = quiet(tiny_recipe(epochs=6, patience=2), splits)
    assert [row["val_mR"] for row in run.history] == [10, 30, 20, 25]
    assert run.val_mR == 30


def test_validation_may_be_rare(splits, script):
    script([1.0, 2.0])
    run = quiet(tiny_recipe(epochs=4, eval_every=3), splits)
    assert [row["epoch"] for row in run.history] == [3, 4]


def test_same_seed_same_weights(splits, kept):
    first, _ = kept
    again = quiet(tiny_recipe(epochs=6), splits)
    assert again.history == first.history
    assert equal(learned(again.model), learned(first.model))
    other = quiet(tiny_recipe(epochs=6, seed=1), splits)
    assert other.history != first.history


def test_a_run_folder_gives_the_model_back(kept, splits):
    run, home = kept
    assert (home / BEST).exists() and (home / VOCABULARY).exists()
    loaded = load_run(home)
    assert not loaded.training
    expected = score_split(run.model, splits.test)
    assert np.array_equal(score_split(loaded, splits.test), expected)
    sentence = splits.test.captions[0]
    hits = search(loaded, splits.test, sentence, k=3)
    column = expected[:, 0]
    assert [i for i, _ in hits] == np.argsort(-column)[:3].tolist()
    assert hits[0][1] == pytest.approx(column.max(), abs=1e-5)


def test_damaged_run_folders_are_named(kept, tmp_path):
    _, home = kept
    with pytest.raises(RsirError, match="not a run folder"):
        load_run(tmp_path)
    for path in home.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / BEST).write_bytes(b"junk")
    with pytest.raises(RsirError, match=f"{BEST}.*damaged"):
        load_run(tmp_path)
    (tmp_path / BEST).unlink()
    with pytest.raises(RsirError, match="no weights"):
        load_run(tmp_path)


def test_a_folder_of_another_recipe_is_refused(kept, splits):
    _, home = kept
    before = (home / BEST).read_bytes()
    with pytest.raises(RsirError, match=r"another recipe \(lr, seed"):
        quiet(tiny_recipe(epochs=6, lr=1e-2, seed=3), splits, home)
    assert (home / BEST).read_bytes() == before


def test_a_finished_run_is_not_run_again(kept, splits, monkeypatch):
    first, home = kept

    def refuse(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(train_module, "_epoch", refuse)
    again = quiet(tiny_recipe(epochs=6), splits, home)
    assert again.history == first.history
    assert again.val_mR == first.val_mR
    assert equal(learned(again.model), learned(first.model))


def test_the_image_encoder_stays_frozen(kept, splits):
    run, _ = kept
    fresh = build(run.recipe, splits.train).image_encoder
    assert equal(fresh.state_dict(), run.model.image_encoder.state_dict())
    mean = run.model.standardise.mean
    assert not torch.equal(mean, torch.zeros_like(mean))  # measured


# -- steps ------------------------------------------------------------


def test_accumulated_gradients_are_the_mean(splits, steps):
    frozen = {"lr": 0.0, "dropout": 0.0, "epochs": 1, "clip": 0.0}
    quiet(tiny_recipe(**frozen), splits)
    three = [s["grads"] for s in steps]
    assert len(three) == 3  # 24 pictures in batches of 8
    steps.clear()
    quiet(tiny_recipe(accumulate=3, **frozen), splits)
    assert len(steps) == 1
    for parts, joint in zip(zip(*three), steps[0]["grads"]):
        torch.testing.assert_close(sum(parts) / 3, joint, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    "batch, accumulate, count",
    [
        (8, 1, 3),  # 24 pictures
        (8, 2, 2),  # the second step holds one batch
        (8, 9, 1),  # more than there are
        (9, 1, 2),  # the rest is dropped
        (1000, 1, 1),  # more than all pictures
    ],
)
def test_steps_and_schedule_end_together(splits, steps, batch, accumulate, count):
    recipe = tiny_recipe(epochs=2, batch=batch, accumulate=accumulate, warmup=0.0)
    run = quiet(recipe, splits)
    rates = [s["rates"][0] / recipe.lr for s in steps]
    assert len(rates) == 2 * count
    assert all(np.isfinite(row["val_mR"]) for row in run.history)
    done = np.maximum(np.arange(2 * count) - 1, 0) / (2 * count - 1)
    assert rates == pytest.approx((1 + np.cos(np.pi * done)) / 2, abs=1e-9)


def test_clip_bounds_the_gradient(splits, steps):
    quiet(tiny_recipe(epochs=1, clip=1e-3), splits)
    for step in steps:
        squares = sum(g.square().sum() for g in step["grads"] if g is not None)
        assert squares.sqrt() <= 1.01e-3


def test_rates_over_a_run():
    warm = train_module._rate(tiny_recipe(warmup=0.1), 100)
    rates = [warm(s) for s in range(100)]
    assert rates[:10] == pytest.approx([k / 10 for k in range(1, 11)])
    assert rates[10] == 1 and rates[99] < 0.001
    assert all(a >= b for a, b in zip(rates[10:], rates[11:]))
    falls = train_module._rate(tiny_recipe(schedule="step", epochs=50), 500)
    assert [falls(s) for s in (0, 199, 200, 400)] == pytest.approx([1, 1, 0.7, 0.49])
    with pytest.raises(RsirError, match="schedule 'flat'"):
        train_module._rate(tiny_recipe(schedule="flat"), 10)


def test_pretrained_text_learns_slowly():
    recipe = tiny_recipe(
        text_encoder="minilm", text_layers=1, text_lr=1e-5, weight_decay=0.3
    )
    model = build(recipe)
    model.image_encoder.requires_grad_(False)
    of = {id(p): k for k, p in model.named_parameters()}
    groups = parameter_groups(model, recipe)
    names = [sorted(of[id(p)] for p in g["params"]) for g in groups]
    slow, fast, plain = names
    assert all("encoder.layer.5." in n for n in slow)
    assert "project.weight" in fast and "project.bias" in plain
    assert [g["lr"] for g in groups] == [1e-5, recipe.lr, recipe.lr]
    assert groups[1]["weight_decay"] == 0.3
    assert groups[2]["weight_decay"] == 0
    trainable = {k for k, p in model.named_parameters() if p.requires_grad}
    assert set(sum(names, [])) == trainable


def test_two_precisions_in_one_process():
    for precision in ("no", "bf16", "no"):
        accelerator = train_module._accelerator(tiny_recipe(), precision)
        assert accelerator.mixed_precision == precision


def test_scores_stay_float32_under_autocast(splits):
    model = build(tiny_recipe(), splits.train)
    seen = []
    model.score = lambda v, t: (
        seen.append([x.dtype for x in (*v.values(), *t.values())]) or v["v"] @ t["t"].T
    )
    images = {
        f"f{i}": torch.zeros(2, *s)
        for i, s in enumerate(model.image_encoder.map_sizes(), 1)
    }
    images["pooled"] = torch.zeros(2, 1280)
    pairs = {
        "positive": torch.eye(2, dtype=torch.bool),
        "similarity": torch.zeros(2, 2),
    }
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = model.training_losses(
            {
                "images": images,
                "texts": {"ids": torch.ones(2, 1).long()},
                "pairs": pairs,
            },
            lambda x: x,
        )
    assert set(seen[0]) == {torch.float32}
    assert {t.dtype for t in terms.values()} == {torch.float32}
