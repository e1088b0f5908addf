"""A tiny data set, a tiny encoder, a tiny system: trained within a second."""

import itertools
import types
import zlib
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import rsir.models
from rsir.data import load_dataset
from rsir.data.text import Vocabulary
from rsir.encoders.base import Encoded
from rsir.encoders.encoded_split import EncodedSplit
from rsir.encoders.image import ImageEncoder
from rsir.models import Config, Method, config
from rsir.models.base import TwoTower
from rsir.models.cross_encoder import CrossEncoder

COLOURS = dict(red=(200, 40, 40), green=(40, 170, 60), blue=(40, 70, 200))
COLOURS |= dict(white=(235, 235, 235), black=(20, 20, 20), yellow=(230, 210, 60))


def draw(folder, sizes=(24, 8, 8)):
    """Pictures of a square on ground, with a captions.csv."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0)
    pairs = itertools.cycle(itertools.permutations(COLOURS, 2))
    rows = ["filename,caption,split"]
    for split, n in zip(("train", "val", "test"), sizes, strict=True):
        for i in range(n):
            ground, roof = next(pairs)
            array = np.full((64, 64, 3), COLOURS[ground], float)
            array[16:48, 20:44] = COLOURS[roof]
            array += noise.normal(0, 8, array.shape)
            name = f"{split}_{i}.png"
            Image.fromarray(array.clip(0, 255).astype("uint8")).save(folder / name)
            rows.append(f"{name},a {roof} roof on {ground} ground,{split}")
            rows.append(f"{name},{ground} ground with one roof,{split}")
    (folder / "captions.csv").write_text("\n".join(rows) + "\n")
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


def tiny_config(method="amfmn", **changes):
    """A config that trains on `splits` in a second or two."""
    small = {"epochs": 4, "batch": 8, "image_size": 32, "dim": 16, "lr": 3e-3}
    words = {"text_encoder": "gru", "vocabulary_threshold": 1, "text_layers": None}
    return config(method, "toy", **(small | words | {"patience": 9} | changes))


class TinyEncoder(ImageEncoder):
    """Four strided convolutions and a head, from a seed."""

    name, channels, dim = "tiny", (2, 3, 4, 5), 6

    def __init__(self, size=32, seed=0, tta_views=(0,)):
        super().__init__(size, tta_views)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.convs = nn.ModuleList(
                nn.Conv2d(3, c, s, s) for c, s in zip(self.channels, (4, 8, 16, 32))
            )
            self.head = nn.Linear(5, 6)

    def pyramid(self, images):
        maps = [conv(images) for conv in self.convs]
        return maps, self.head(maps[-1].mean((2, 3)))


class Words:
    """Stands for a text encoder: every sentence is red."""

    vocabulary = {"red", "roof"}

    def tokenize(self, sentences):
        return torch.tensor([[len(s)] for s in sentences])


class Mean(CrossEncoder):
    """A picture is its mean colour, a sentence is red."""

    reads = ("pooled",)

    def __init__(self, seed=0, code=False):
        super().__init__(TinyEncoder(seed=seed), Words(), Config())
        self.code, self.seen = code, 0
        self.eval()

    def side(self, name, vectors):
        return {"code": vectors.repeat(1, 8).sign()} if self.code else {name: vectors}

    def image_features(self, images):
        self.seen += len(images)
        return {"pooled": images.mean((2, 3))}

    def encode_images(self, features):
        return self.side("v", features["pooled"] - features["pooled"].mean(1)[:, None])

    def text_features(self, inputs):
        return {"pooled": torch.tensor([[1.0, 0.0, 0.0]])}

    def encode_texts(self, features):
        mask = torch.ones(len(features["pooled"]), 1, dtype=torch.bool)
        return self.side("t", features["pooled"] - 0.5) | {"text_mask": mask}

    def score_pairs(self, images, texts, pairs):
        return -images["v"][pairs[:, 0], 0]  # the least red first


@dataclass(frozen=True)
class StubConfig(Config):
    method: str = "stub"
    epochs: int = 4
    batch: int = 8
    lr: float = 1e-2
    precision: str = "no"
    vocabulary_threshold: int = 1
    patience: int = 9
    dropout: float = 0.1


class StubText(nn.Module):
    """The mean of word vectors; a word's number is its checksum."""

    pretrained = False

    def __init__(self, vocabulary):
        super().__init__()
        self.vocabulary = vocabulary
        self.words = nn.Embedding(64, 16)

    def tokenize(self, captions):
        rows = [[zlib.crc32(w.encode()) % 63 + 1 for w in c.split()] for c in captions]
        longest = max(map(len, rows))
        return torch.tensor([row + [0] * (longest - len(row)) for row in rows])

    def frozen_prefix(self, ids):
        return None

    def forward(self, ids):
        mask = ids > 0
        tokens = self.words(ids) * mask[..., None]
        return Encoded(tokens, mask, tokens.sum(1) / mask.sum(1, keepdim=True))


class StubImages(nn.BatchNorm2d):
    """Frozen, and never asked."""

    learns = False


class Stub(TwoTower):
    """Means of an 8 x 8 grid and of word vectors, under one matrix."""

    Config = StubConfig
    reads = ()
    wants_similarity = True

    def __init__(self, vocabulary, config):
        super().__init__(StubImages(1), StubText(vocabulary), config)
        self.project = nn.Linear(192, 16)
        self.scale = nn.Parameter(torch.tensor(10.0))
        self.dropout = nn.Dropout(config.dropout)

    def encode_split(self, split, *, progress=True, kept_size=None):
        encoded = EncodedSplit(split, None, self.text_encoder, ())
        small = (Image.open(p).convert("RGB").resize((8, 8)) for p in split.images)
        pooled = np.stack([np.asarray(x, "f4").ravel() / 255 for x in small])
        encoded.features = {"pooled": pooled - 0.5}
        return encoded

    def encode_images(self, features):
        found = self.project(self.dropout(features["pooled"].float()))
        return {"v": nn.functional.normalize(found, dim=-1)}

    def encode_texts(self, features):
        return {"t": nn.functional.normalize(self.dropout(features["pooled"]), dim=-1)}

    def score(self, images, texts):
        return images["v"] @ texts["t"].T

    def losses(self, scores, pairs):
        target = pairs["positive"].float() + 0.1 * pairs["similarity"].float()
        sides = {"image": (scores, target), "text": (scores.T, target.T)}
        return {
            name: nn.functional.cross_entropy(self.scale * x, y / y.sum(1, True))
            for name, (x, y) in sides.items()
        }


def install(patch):
    """Make "stub" a method, with a `MonkeyPatch`."""
    from rsir.training import checkpoints, trainer

    def build(config, train=None, vocabulary=None):
        vocabulary = vocabulary or Vocabulary.build(train.captions, 1)
        return Stub(vocabulary, config)

    presets = {"toy": {}, "cpu": {"lr": 3e-3}}
    rows = {"plain": {}, "wild": {"dropout": 0.5}, "deep": {"rerank_top": 4}}
    known = {"stub": Method(StubConfig, presets, rows, "tiny")}
    patch.setattr(rsir.models, "methods", lambda: known)
    for module in (rsir.models, trainer, checkpoints):
        patch.setattr(module, "build", build)


@pytest.fixture
def stub(monkeypatch):
    """`train` and the registry know "stub", and nothing else."""
    install(monkeypatch)
    return StubConfig


def quiet(config, splits, run_dir=None, **options):
    """`train` without a word."""
    from rsir.training.trainer import train

    return train(config, splits, run_dir, progress=False, **options)


def learned(model):
    """What training may change."""
    state = model.state_dict().items()
    return {k: v.clone() for k, v in state if not k.startswith("image_encoder.")}


def same(a, b):
    """Whether two states are equal to the bit."""
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture
def steps(monkeypatch):
    """Gradients and rates of every optimiser step."""
    seen = types.SimpleNamespace(grads=[], rates=[])

    class Watched(torch.optim.AdamW):
        def step(self, *args, **kwargs):
            every = [p for g in self.param_groups for p in g["params"]]
            seen.rates.append([g["lr"] for g in self.param_groups])
            seen.grads.append([None if p.grad is None else p.grad.clone()
                               for p in every])  # fmt: skip
            return super().step(*args, **kwargs)

    monkeypatch.setattr(torch.optim, "AdamW", Watched)
    return seen
