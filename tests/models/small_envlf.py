"""An EnVLF of bundled encoders, small enough for tests, and what it reads."""

import torch

from rsir.models import build, config

TEXTS = ["a red roof on green ground", "many planes", "blue water"]
TEXTS += ["a road beside a long white roof", "green ground", "trees"]


def small_model(**changes):
    torch.manual_seed(0)
    small = {"image_size": 64, "dim": 16, "joint_share": 1.0}
    return build(config("envlf", "toy", **(small | changes)))


def images_of(n=6):
    """Features as the encoder would give them."""
    draw = torch.Generator().manual_seed(2)
    return {
        "f4": torch.randn(n, 320, 2, 2, generator=draw),
        "pooled": torch.randn(n, 1280, generator=draw),
    }


def batch_of(model):
    """Six pairs; the second caption also describes picture 5."""
    positive = torch.eye(6, dtype=torch.bool)
    positive[5, 1] = True
    return {
        "images": images_of(),
        "texts": {"ids": model.text_encoder.tokenize(TEXTS)},
        "pairs": {"positive": positive},
    }


@torch.inference_mode()
def encoded(model, texts=TEXTS, images=None):
    """Both sides, in evaluation mode."""
    model.eval()
    ids = model.text_encoder.tokenize(texts)
    return (
        model.encode_images(images or images_of()),
        model.encode_texts(model.text_features(ids)),
    )
