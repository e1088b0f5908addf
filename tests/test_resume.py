"""A run that is killed goes on to exactly the same result."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import (  # noqa: F401
    cache,
    cached,
    folder,
    splits,
    tiny_recipe,
)

from rsir.training.checkpoints import BEST
from rsir.training.trainer import train

HERE = Path(__file__).resolve().parent
EPOCHS = 5

#: trains; kills itself without warning where it is told to
CHILD = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from tiny import tiny_recipe
from rsir import batches, checkpoints
from rsir.data import load_dataset
from rsir.training.trainer import train
folder, run_dir, where, at = sys.argv[1:]
def die():
    os.kill(os.getpid(), signal.SIGKILL)
def batch(self, ids, real=batches.Pairs.__call__, seen=[]):
    seen.append(1)
    return die() if len(seen) == int(at) else real(self, ids)
def replace(source, target, real=os.replace):
    return die() if target.name == at else real(source, target)
if where == "batch":
    batches.Pairs.__call__ = batch
else:
    checkpoints.os = type("OS", (), {{"replace": replace}})
train(tiny_recipe(epochs={epochs}), load_dataset(folder), run_dir)
"""


@pytest.fixture(scope="module")
def whole(splits, cache, tmp_path_factory):
    """The run that nobody disturbs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RSIR_CACHE", str(cache))
        home = tmp_path_factory.mktemp("whole") / "run"
        return train(tiny_recipe(epochs=EPOCHS), splits, home, progress=False), home


def killed(folder, run_dir, where, at):
    code = CHILD.format(tests=str(HERE), epochs=EPOCHS)
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), str(run_dir), where, str(at)],
        cwd=HERE.parent,
        timeout=300,
        text=True,
        capture_output=True,
    )
    assert done.returncode == -9, done.stderr


def states(run_dir):
    return sorted(p.name for p in run_dir.glob("state-*"))


def test_killed_twice_and_resumed(folder, splits, whole, cached, tmp_path):
    undisturbed, home = whole
    run_dir = tmp_path / "run"
    # in the second batch of epoch 3: two epochs stand
    killed(folder, run_dir, "batch", 8)
    assert states(run_dir) == ["state-1"]
    # the state of epoch 3 is written and about to take its place
    killed(folder, run_dir, "rename", "state-2")
    assert states(run_dir) == ["state-1"]
    assert (run_dir / "state.tmp").exists()
    resumed = train(tiny_recipe(epochs=EPOCHS), splits, run_dir, progress=False)
    assert resumed.history == undisturbed.history
    assert resumed.val_mR == undisturbed.val_mR
    a, b = resumed.model.state_dict(), undisturbed.model.state_dict()
    assert a.keys() == b.keys()
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert (run_dir / BEST).read_bytes() == (home / BEST).read_bytes()
    assert states(run_dir) == [f"state-{EPOCHS - 1}"]
    assert not (run_dir / "state.tmp").exists()
    assert resumed.seconds["train"] > 0


def test_stopped_between_epochs(splits, whole, cached, tmp_path):
    undisturbed, _ = whole
    recipe = tiny_recipe(epochs=EPOCHS)
    for until in (1, 3, None):
        run = train(recipe, splits, tmp_path / "run", epochs=until, progress=False)
    assert run.history == undisturbed.history
    a, b = run.model.state_dict(), undisturbed.model.state_dict()
    assert all(torch.equal(a[k], b[k]) for k in a)
