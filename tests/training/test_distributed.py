"""Two processes on a CPU do what one does with the joint batch.

`python test_distributed.py FOLDER OUT` trains for a moment and writes down
every step, alone or as one of several processes.
"""

import os
import sys

import pytest
import torch
import torch.distributed as dist
from alone import TWO, alone
from tiny import StubConfig, install, quiet, steps

from rsir.data import load_dataset
from rsir.models.base import score_split
from rsir.training.distributed import gather_with_grad

CONFIGS = {"plain": {"warmup": 0.5}, "accumulated": {"accumulate": 2}}


def watch(config, splits):
    """Gradients and rates of a run, and its end."""
    with pytest.MonkeyPatch.context() as patch:
        seen = steps.__wrapped__(patch)
        run = quiet(config, splits)
    scores = torch.from_numpy(score_split(run.model, splits.test))
    return vars(seen) | {"history": run.history, "scores": scores}


def gathered():
    """Gradient of a loss of the joint batch, for this process' rows."""
    every = torch.arange(12.0).reshape(4, 3)
    own = every.chunk(2)[dist.get_rank()] if dist.is_initialized() else every
    own = own.clone().requires_grad_(True)
    joint = gather_with_grad(own)
    assert torch.equal(joint, every)
    (joint @ joint.T).square().sum().backward()
    return own.grad


def main(folder, out):
    install(pytest.MonkeyPatch())
    splits = load_dataset(folder)
    result = {"world": int(os.environ.get("WORLD_SIZE", 1))}
    for name, changes in CONFIGS.items():
        config = StubConfig(epochs=2, dropout=0.0, **changes)
        result[name] = watch(config, splits)
    result["gathered"] = gathered()
    torch.save(result, f"{out}/rank{os.environ.get('RANK', 0)}.pt")


@pytest.fixture(scope="module")
def runs(folder, tmp_path_factory):
    """What one process saw, and what each of two saw."""
    found = []
    for n, words in ((1, []), (2, TWO)):
        out = tmp_path_factory.mktemp(f"world{n}")
        alone(*words, __file__, folder, out)
        found.append([torch.load(out / f"rank{r}.pt") for r in range(n)])
        assert [rank["world"] for rank in found[-1]] == [n] * n
    (one,), two = found
    return one, two


def test_gathered_gradients_are_those_of_one_process(runs):
    one, two = runs
    # two processes sum what one has once; the mean over them follows
    joint = torch.cat([rank["gathered"] for rank in two])
    torch.testing.assert_close(joint / 2, one["gathered"])


@pytest.mark.parametrize("name", CONFIGS)
def test_processes_take_one_path_to_one_model(runs, name):
    one, two = (runs[0][name], [rank[name] for rank in runs[1]])
    assert max(g.abs().max() for g in one["grads"][0] if g is not None) > 1e-3
    assert len(one["rates"]) == (4 if name == "accumulated" else 6)
    assert len({rates[0] for rates in one["rates"]}) > 2
    for mine in two:
        assert mine["rates"] == one["rates"]
        for step, grads in enumerate(zip(mine["grads"], one["grads"], strict=True)):
            far = {"atol": 2e-3, "rtol": 2e-3} if step else {"atol": 1e-5, "rtol": 1e-3}
            for a, b in zip(*grads, strict=True):
                if b is not None:
                    torch.testing.assert_close(a, b, **far)
    first, second = two
    assert first["history"] == second["history"]
    assert torch.equal(first["scores"], second["scores"])
    torch.testing.assert_close(first["scores"], one["scores"], atol=1e-2, rtol=0)


if __name__ == "__main__":
    main(*sys.argv[1:])
