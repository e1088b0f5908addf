"""The presets `paper`, as they run: from a folder laid out as the hubs'.

Architectures are the papers', but for BERT and ViLT, which are as deep and much
narrower; weights are random. Two steps, cut after the first, resumed and scored.
"""

import json

import hub_layout
import pytest
from alone import alone
from tiny import draw

WIDTHS = {"hidden_size": 24, "num_attention_heads": 2, "intermediate_size": 32}


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """Weights, and 32 pictures."""
    home = tmp_path_factory.mktemp("home")
    words = "a on with one roof ground red green blue white black".split()
    hub_layout.write(home, words, **WIDTHS)
    draw(home / "squares", (16, 8, 8))
    return home


CHILD = """
import sys
sys.path.insert(0, "tools")
import paper
from rsir import models
from rsir.data import load_dataset
from rsir.experiments import run
from rsir.training import batches

home, method, results = sys.argv[1:]
models.methods()[method].presets["paper"] |= {"epochs": 2, "vocabulary_threshold": 1}
run.clean_commit = lambda: "0" * 40
run.in_own_process = run.run_job
run.load_dataset = lambda *_: load_dataset(f"{home}/squares")
steps, real = [], batches.PositivePairs.__call__
def step(self, batch):
    steps.append(1)
    if len(steps) == 2:
        raise KeyboardInterrupt
    return real(self, batch)
batches.PositivePairs.__call__ = step
asked = [home, "--dataset", "ucm", "--methods", method, "--results", results]
try:
    paper.main(asked)
except KeyboardInterrupt:
    paper.main(asked)
print(len(steps))
"""


@pytest.mark.parametrize("method", ["amfmn", "galr", "envlf", "cfitr"])
def test_two_steps_from_a_folder_without_network(method, home, tmp_path):
    out = alone("-c", CHILD, home, method, tmp_path)
    assert out.split()[-1] == "3"  # one, one cut, and that again
    paths = sorted(tmp_path.glob(f"{method}/ucm/paper-*-s0.json"))
    record = json.loads(paths[-1].read_text())
    assert record["preset"] == "paper" and record["epochs_run"] in (1, 2)
    assert record["config"]["image_trained"] == "all"
    assert record["hardware"]["cpu"] and record["hardware"]["gpu"] is None
    assert 0 <= record["recalls"]["expected"]["mR"] <= 100
