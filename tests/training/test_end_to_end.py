"""Image encoders that learn: in every method, with crops, killed and resumed."""

import json

import numpy as np
import pytest
import torch
from alone import alone
from tiny import quiet, same

from rsir.encoders.feature_cache import cached_pixels
from rsir.encoders.image import image_encoder
from rsir.models import build, config
from rsir.models.base import score_split
from rsir.training.checkpoints import BEST, load_run
from rsir.training.trainer import parameter_groups
from rsir.utils.errors import RsirError

pytestmark = pytest.mark.usefixtures("cached")

SMALL = {
    "linear": {},
    "mlp": {},
    "dual": {"start": "", "hidden": 16, "head_epochs": 0},
    "amfmn": {"dim": 16},
    "galr": {"dim": 16, "regions": "pyramid"},
    "envlf": {"dim": 16, "start": "f4"},
    "cfitr": {"bits": 16, "hidden": 24, "grid": 0, "false_texts": 3, "hard_texts": 1},
}
WORDS = {"text_encoder": "gru", "vocabulary_threshold": 1}
BERT = {"text_encoder": "minilm", "text_layers": 1}
LEARNS = {"image_trained": "all", "augment": "crop-rotate", "image_lr": 1e-3}


def small(method, **changes):
    words = BERT if method in ("dual", "envlf", "cfitr") else WORDS
    options = {"epochs": 1, "batch": 8, "image_size": 64, "lr": 3e-3} | LEARNS
    return config(method, "toy", **(options | words | SMALL[method] | changes))


@pytest.mark.parametrize("method", SMALL)
def test_a_step_moves_the_encoder_and_the_run_is_kept(method, splits, tmp_path):
    asked = small(method)
    before = build(asked, splits.train).image_encoder.state_dict()
    run = quiet(asked, splits, tmp_path / "run")
    after = run.model.image_encoder.state_dict()
    still = [k for k in after if "weight" in k and torch.equal(after[k], before[k])]
    assert not still or method in ("envlf", "cfitr"), still  # see what they read
    assert len(still) < len(after) / 2
    scores = score_split(run.model, splits.val)
    assert np.array_equal(score_split(load_run(tmp_path / "run"), splits.val), scores)


@pytest.mark.parametrize("trained", ["none", "all", "f1", "f2", "f3"])
@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0", "vit_base"])
def test_what_learns_is_what_was_named(name, trained):
    size = 224 if name == "vit_base" else 64
    net = image_encoder(name, trained=trained, size=size, pretrained=False)
    free = {n for n, p in net.named_parameters() if p.requires_grad}
    every = {n for n, _ in net.named_parameters()}
    assert (free == every) == (trained == "all") and bool(free) == net.learns
    net.train()
    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert not any(m.training for m in norms)
    net.learn(trained, "learnt")
    net.train()
    assert any(m.training for m in norms) == (net.learns and bool(norms))


def test_pixels_are_kept_once_at_the_size_of_the_recipe(splits):
    pixels = cached_pixels(splits.val, 70, progress=False)
    assert pixels.shape == (8, 3, 70, 70) and pixels.dtype == np.uint8
    assert isinstance(pixels, np.memmap)
    first = np.asarray(splits.val.open(0).resize((70, 70), 3))
    assert np.array_equal(pixels[0].transpose(1, 2, 0), first)


def test_the_encoder_has_a_rate_of_its_own(splits):
    asked = small("amfmn", image_lr=7e-5)
    groups = parameter_groups(build(asked, splits.train), asked)
    net = image_encoder("efficientnet_lite0", trained="all", size=64)
    rates = {group["lr"]: len(group["params"]) for group in groups}
    assert rates[7e-5] == len(list(net.parameters()))


def test_crops_of_frozen_features_are_refused():
    with pytest.raises(RsirError, match="image_trained is 'none'"):
        config("amfmn", augment="crop")


CHILD = """
import json, os, signal, sys
from rsir import models
from rsir.data import load_dataset
from rsir.training import batches
from tiny import quiet
folder, run_dir, asked, at = sys.argv[1:]
def batch(self, ids, real=batches.PositivePairs.__call__, seen=[]):
    seen.append(1)
    if len(seen) == int(at):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, ids)
batches.PositivePairs.__call__ = batch
config = models.methods()["amfmn"].config(**json.loads(asked))
quiet(config, load_dataset(folder), run_dir)
"""


@pytest.fixture
def one_thread():
    """As the child has: other numbers of threads add in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_a_killed_run_resumes_to_the_same_weights(folder, splits, tmp_path):
    asked = small("amfmn", epochs=3)
    whole = quiet(asked, splits, tmp_path / "whole")
    asked_json = json.dumps(asked.to_dict())
    alone("-c", CHILD, folder, tmp_path / "run", asked_json, 5, code=-9)
    again = quiet(asked, splits, tmp_path / "run")
    assert same(again.model.state_dict(), whole.model.state_dict())
    one, other = (tmp_path / name / BEST for name in ("whole", "run"))
    assert one.read_bytes() == other.read_bytes()
