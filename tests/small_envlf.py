"""An EnVLF of bundled encoders, small enough for tests."""

import torch

from rsir.models import build
from rsir.models.recipes import recipe

TEXTS = [
    "a red roof on green ground",
    "many planes",
    "blue water",
    "a road beside a long white roof",
    "green ground",
    "trees",
]
SMALL = {"image_size": 64, "width": 16, "dim": 16, "heads": 2,
         "start": "f4", "text_layers": 1}  # fmt: skip


def small_model(**changes):
    torch.manual_seed(0)
    model = build(recipe("envlf", "toy", **(SMALL | changes)))
    torch.nn.init.normal_(model.match.weight)
    return model


def images_of(model, n=6):
    """Features as the encoder would give them."""
    draw = torch.Generator().manual_seed(2)
    side = 4 if model.start == "f3" else 2
    channels = {"f3": 112, "f4": 320}[model.start]
    return {
        model.start: torch.randn(n, channels, side, side, generator=draw),
        "pooled": torch.randn(n, 1280, generator=draw),
    }


def batch_of(model):
    """Six pairs; the second caption also describes picture 5."""
    positive = torch.eye(6, dtype=torch.bool)
    positive[5, 1] = True
    ids = model.text_encoder.tokenize(TEXTS)
    return {
        "images": images_of(model),
        "texts": {"ids": ids},
        "pairs": {"positive": positive},
    }
