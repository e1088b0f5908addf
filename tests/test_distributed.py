"""Two processes on a CPU do what one does with the joint batch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import cache, folder  # noqa: F401
from two_processes import RECIPES

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def runs(folder, cache, tmp_path_factory):
    """What one process saw, and what each of two saw."""
    out = {n: tmp_path_factory.mktemp(f"world{n}") for n in (1, 2)}
    script = [str(HERE / "two_processes.py"), str(folder)]
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    path = os.pathsep.join([str(HERE), str(HERE.parent)])
    found = []
    for n, words in ((1, []), (2, launch)):
        done = subprocess.run(
            [sys.executable, *words, *script, str(out[n])],
            text=True,
            env=os.environ
            | {
                "RSIR_CACHE": str(cache),
                "CUDA_VISIBLE_DEVICES": "",
                "PYTHONPATH": path,
                "OMP_NUM_THREADS": "1",
            },
            capture_output=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found.append([torch.load(out[n] / f"rank{r}.pt") for r in range(n)])
    return found


@pytest.mark.parametrize("name", RECIPES)
def test_gradients_are_those_of_the_joint_batch(runs, name):
    (one,), two = runs
    assert one["world"] == 1 and [t["world"] for t in two] == [2, 2]
    for rank in two:
        assert len(rank[name]["steps"]) == len(one[name]["steps"])
        for mine, joint in zip(rank[name]["steps"], one[name]["steps"]):
            for a, b in zip(mine["grads"], joint["grads"], strict=True):
                scale = b.abs().max().clamp(min=1e-3)
                assert (a - b).abs().max() < 2e-3 * scale


@pytest.mark.parametrize("name", RECIPES)
def test_the_first_step_agrees_to_the_last_digits(runs, name):
    (one,), two = runs
    joint = one[name]["steps"][0]["grads"]
    assert max(g.abs().max() for g in joint) > 1e-3
    for rank in two:
        for a, b in zip(rank[name]["steps"][0]["grads"], joint):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("name", RECIPES)
def test_each_process_reads_its_half(runs, name):
    (one,), two = runs
    whole = one[name]["sizes"]
    halves = [t[name]["sizes"] for t in two]
    assert all(len(places) == 8 for places in whole)
    for places, first, second in zip(whole, *halves, strict=True):
        assert first + second == places
        assert len(first) == len(second) == 4


@pytest.mark.parametrize("name", RECIPES)
def test_the_rates_take_the_same_path(runs, name):
    (one,), two = runs
    path = [s["rates"] for s in one[name]["steps"]]
    assert len(path) == (4 if name == "accumulated" else 6)
    assert len({rates[0] for rates in path}) > 2
    for rank in two:
        assert [s["rates"] for s in rank[name]["steps"]] == path


@pytest.mark.parametrize("name", RECIPES)
def test_processes_end_with_the_same_model(runs, name):
    (one,), (first, second) = runs
    assert first[name]["history"] == second[name]["history"]
    assert torch.equal(first[name]["scores"], second[name]["scores"])
    torch.testing.assert_close(
        first[name]["scores"], one[name]["scores"], atol=1e-2, rtol=0
    )
