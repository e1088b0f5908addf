"""A tiny data set and a tiny encoder: trained on within a second."""

import csv
import itertools

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from rsir.data import load_dataset
from rsir.encoders.image import ImageEncoder
from rsir.models.recipes import recipe

COLOURS = {
    "red": (200, 40, 40), "green": (40, 170, 60), "blue": (40, 70, 200),
    "white": (235, 235, 235), "black": (20, 20, 20),
    "yellow": (230, 210, 60),
}  # fmt: skip


def draw(folder, sizes=(24, 8, 8)):
    """Pictures of a square on ground, with a captions.csv."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0)
    pairs = itertools.cycle(itertools.permutations(COLOURS, 2))
    rows = []
    for split, n in zip(("train", "val", "test"), sizes, strict=True):
        for i in range(n):
            ground, roof = next(pairs)
            array = np.empty((64, 64, 3))
            array[:] = COLOURS[ground]
            array[16:48, 20:44] = COLOURS[roof]
            array += noise.normal(0, 8, array.shape)
            name = f"{split}_{i}.png"
            Image.fromarray(array.clip(0, 255).astype("uint8")).save(folder / name)
            rows += [
                (name, f"a {roof} roof on {ground} ground", split),
                (name, f"{ground} ground with one roof", split),
            ]
    with open(folder / "captions.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["filename", "caption", "split"])
        table.writerows(rows)
    return folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A folder that `load_dataset` reads."""
    return draw(tmp_path_factory.mktemp("tiny") / "squares")


@pytest.fixture(scope="session")
def splits(folder):
    return load_dataset(str(folder))


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """One cache for all that may share features."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def cached(cache, monkeypatch):
    """Use the shared cache, not the user's."""
    monkeypatch.setenv("RSIR_CACHE", str(cache))
    return cache


def tiny_recipe(method="amfmn", **changes):
    """A recipe that trains on `splits` in a second or two."""
    small = {
        "epochs": 4, "batch": 8, "image_size": 32, "dim": 16,
        "text_encoder": "gru", "vocabulary_threshold": 1, "lr": 3e-3,
        "precision": "no", "text_layers": None, "patience": 9,
    }  # fmt: skip
    return recipe(method, "toy", **(small | changes))


class TinyEncoder(ImageEncoder):
    """Four strided convolutions and a head, from a seed."""

    name = "tiny"
    channels = (2, 3, 4, 5)
    dim = 6

    def __init__(self, size=32, seed=0, views=(0,)):
        super().__init__(size, views)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.convs = nn.ModuleList(
                nn.Conv2d(3, c, s, s) for c, s in zip(self.channels, (4, 8, 16, 32))
            )
            self.head = nn.Linear(5, 6)

    def pyramid(self, images):
        maps = [conv(images) for conv in self.convs]
        return maps, self.head(maps[-1].mean((2, 3)))
