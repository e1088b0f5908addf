"""The presets `paper`, as they run: from a folder laid out as the hubs'.

Architectures are the papers', but for BERT and ViLT, which are as deep and much
narrower; weights are random. Two steps, cut after the first, resumed and scored.
"""

import json

import numpy as np
import pytest
import torch
from alone import alone
from tiny import draw

WIDTHS = {"hidden_size": 24, "num_attention_heads": 2, "intermediate_size": 32}


def hub(home, name, save):
    """A model, written by `save`, in the layout of the hub's cache: its folder."""
    commit = "0" * 40
    place = home / "huggingface" / "hub" / f"models--{name.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(commit)
    place = place / "snapshots" / commit
    place.mkdir(parents=True)
    save(place)
    return place


def with_words(place):
    from transformers import BertTokenizerFast

    pieces = "[PAD] [UNK] [CLS] [SEP] [MASK] a on with one roof ground red".split()
    (place / "vocab.txt").write_text("\n".join(pieces))
    BertTokenizerFast(str(place / "vocab.txt")).save_pretrained(place)


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """Weights of both hubs and of the skip-thoughts, and 32 pictures."""
    import timm
    import torchvision
    from safetensors.torch import save_file
    from transformers import BertConfig, BertModel, ViltConfig, ViltModel

    home = tmp_path_factory.mktemp("home")
    torch.manual_seed(0)
    bert, vilt = BertModel(BertConfig(**WIDTHS)), ViltModel(ViltConfig(**WIDTHS))
    with_words(hub(home, "google-bert/bert-base-uncased", bert.save_pretrained))
    with_words(hub(home, "dandelin/vilt-b32-mlm", vilt.save_pretrained))
    vit = timm.create_model("vit_base_patch16_224").state_dict()
    name = "timm/vit_base_patch16_224.augreg2_in21k_ft_in1k"
    hub(home, name, lambda place: save_file(vit, place / "model.safetensors"))
    weights = home / "torch" / "hub" / "checkpoints"
    weights.mkdir(parents=True)
    net = torchvision.models.resnet18()
    torch.save(net.state_dict(), weights / "resnet18-f37072fd.pth")

    files = home / "cache" / "skip-thoughts"
    files.mkdir(parents=True)
    (files / "dictionary.txt").write_text("<eos>\nUNK\nroof\nground\nred\n")
    rng = np.random.default_rng(0)
    np.save(files / "utable.npy", rng.normal(size=(5, 620)).astype("float32"))
    x, h = (620, 2400), (2400, 2400)
    shapes = {"W": (620, 4800), "U": (2400, 4800), "b": 4800}
    shapes |= {"Wx": x, "Ux": h, "bx": 2400}
    arrays = {f"encoder_{k}": np.zeros(s, "float32") for k, s in shapes.items()}
    np.savez(files / "uni_skip.npz", **arrays)
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
