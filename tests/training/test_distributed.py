"""Two processes on a CPU do what one does with the joint batch."""

from pathlib import Path

import pytest
import torch
from alone import TWO, alone

SCRIPT = Path(__file__).with_name("two_processes.py")
CONFIGS = ["plain", "accumulated"]  # as in two_processes.py


@pytest.fixture(scope="module")
def runs(folder, tmp_path_factory):
    """What one process saw, and what each of two saw."""
    found = []
    for n, words in ((1, []), (2, TWO)):
        out = tmp_path_factory.mktemp(f"world{n}")
        alone(*words, SCRIPT, folder, out)
        found.append([torch.load(out / f"rank{r}.pt") for r in range(n)])
    (one,), two = found
    assert one["world"] == 1 and [t["world"] for t in two] == [2, 2]
    return one, two


def test_gathered_gradients_are_those_of_one_process(runs):
    one, two = runs
    # two processes sum what one has once; the mean over them follows
    joint = torch.cat([rank["gathered"] for rank in two])
    torch.testing.assert_close(joint / 2, one["gathered"])


@pytest.mark.parametrize("name", CONFIGS)
def test_gradients_are_those_of_the_joint_batch(runs, name):
    one, two = runs
    assert max(g.abs().max() for g in one[name]["grads"][0] if g is not None) > 1e-3
    for rank in two:
        pairs = zip(rank[name]["grads"], one[name]["grads"], strict=True)
        for step, (mine, joint) in enumerate(pairs):
            far = {"atol": 1e-5, "rtol": 1e-3} if step == 0 else {"atol": 2e-3}
            for a, b in zip(mine, joint, strict=True):
                if b is not None:
                    torch.testing.assert_close(a, b, **({"rtol": 2e-3} | far))


@pytest.mark.parametrize("name", CONFIGS)
def test_processes_take_one_path_to_one_model(runs, name):
    one, two = runs
    path = one[name]["rates"]
    assert len(path) == (4 if name == "accumulated" else 6)
    assert len({rates[0] for rates in path}) > 2
    assert [rank[name]["rates"] for rank in two] == [path, path]
    first, second = (rank[name] for rank in two)
    assert first["history"] == second["history"]
    assert torch.equal(first["scores"], second["scores"])
    torch.testing.assert_close(first["scores"], one[name]["scores"], atol=1e-2, rtol=0)
