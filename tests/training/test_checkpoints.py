"""A run that is killed goes on to exactly the same result."""

import pytest
from alone import alone
from tiny import StubConfig, install, quiet, same

from rsir.training.checkpoints import BEST

EPOCHS = 5

#: trains; kills itself without warning where it is told to
CHILD = """
import os, signal, sys
import pytest
from tiny import StubConfig, install, quiet
from rsir.data import load_dataset
from rsir.training import batches, checkpoints
folder, run_dir, where, at, epochs = sys.argv[1:]
def die():
    os.kill(os.getpid(), signal.SIGKILL)
def batch(self, ids, real=batches.PositivePairs.__call__, seen=[]):
    seen.append(1)
    return die() if len(seen) == int(at) else real(self, ids)
def replace(source, target, real=os.replace):
    return die() if target.name == at else real(source, target)
if where == "batch":
    batches.PositivePairs.__call__ = batch
elif where == "rename":
    checkpoints.os = type("OS", (), {"replace": replace})
else:
    from accelerate import accelerator
    accelerator.save_accelerator_state = lambda *args, **kwargs: die()
install(pytest.MonkeyPatch())
quiet(StubConfig(epochs=int(epochs)), load_dataset(folder), run_dir)
"""


@pytest.fixture(scope="module")
def whole(splits, tmp_path_factory):
    """The run that nobody disturbs."""
    with pytest.MonkeyPatch.context() as patch:
        install(patch)
        home = tmp_path_factory.mktemp("whole") / "run"
        return quiet(StubConfig(epochs=EPOCHS), splits, home), home


def killed(folder, run_dir, where, at):
    alone("-c", CHILD, folder, run_dir, where, at, EPOCHS, code=-9)


def states(run_dir):
    return sorted(p.name for p in run_dir.glob("state-*"))


def test_killed_three_times_and_resumed(folder, splits, whole, stub, tmp_path):
    undisturbed, home = whole
    run_dir = tmp_path / "run"
    # in the second batch of epoch 3: two epochs stand
    killed(folder, run_dir, "batch", 8)
    assert states(run_dir) == ["state-1"]
    # half of the state of epoch 3 is written
    killed(folder, run_dir, "half", "")
    # it is whole and about to take its place
    killed(folder, run_dir, "rename", "state-2")
    assert states(run_dir) == ["state-1"]
    assert (run_dir / "state.tmp").exists()
    resumed = quiet(StubConfig(epochs=EPOCHS), splits, run_dir)
    assert resumed.history == undisturbed.history
    assert resumed.val_mR == undisturbed.val_mR
    assert same(resumed.model.state_dict(), undisturbed.model.state_dict())
    assert (run_dir / BEST).read_bytes() == (home / BEST).read_bytes()
    assert states(run_dir) == [f"state-{EPOCHS - 1}"]
    assert not (run_dir / "state.tmp").exists()
    assert resumed.seconds["train"] > 0
