"""A CFITR small enough to check by hand, and what it reads."""

import torch
from torch import nn
from transformers import BertConfig, BertModel, ViltConfig, ViltModel

from rsir.encoders.image import ImageEncoder
from rsir.encoders.text import SentenceEncoder
from rsir.models import config
from rsir.models.cfitr import CFITR

DIM = 16
SIZES = {
    "vocab_size": 50,
    "hidden_size": DIM,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 12,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}


class SmallEncoder(SentenceEncoder):
    """A transformer from a seed; ids are given."""

    name = "small"

    def __init__(self, model, layers_trained=None):
        nn.Module.__init__(self)
        self.max_length, self.dim, self.model = 9, DIM, model
        self.layers_trained = layers_trained
        if layers_trained is not None:
            model.requires_grad_(False)
            model.encoder.layer[-layers_trained:].requires_grad_(True)


class SmallMaps(ImageEncoder):
    """Its maps are given, too; only their sizes matter."""

    name, channels, dim = "small", (2, 3, 4, 6), 8


class SmallPatches(ImageEncoder):
    name, channels, dim = "small", (DIM,) * 4, DIM


def small_config(**changes):
    small = {"bits": 16, "hidden": 24, "dropout": 0.0, "grid": 0, "joint_share": 1.0}
    few = {"false_texts": 3, "hard_texts": 1}
    return config("cfitr", "toy", **(small | few | changes))


def small(vilt=False, **changes):
    torch.manual_seed(0)
    if not vilt:
        sizes = BertConfig(num_hidden_layers=3, **SIZES)
        text = SmallEncoder(BertModel(sizes, add_pooling_layer=False), 1)
        return CFITR(SmallMaps(96), text, small_config(**changes))
    sizes = ViltConfig(num_hidden_layers=4, image_size=64, patch_size=32, **SIZES)
    text = SmallEncoder(ViltModel(sizes, add_pooling_layer=False).eval())
    changes = {"pool": "position", "image_blocks": 2} | changes
    return CFITR(SmallPatches(64), text, small_config(**changes))


def features(n=6, vilt=False):
    draw = torch.Generator().manual_seed(3)
    if vilt:
        return {"f1": torch.randn(n, DIM, 2, 2, generator=draw)}
    return {
        "f3": torch.randn(n, 4, 6, 6, generator=draw),
        "f4": torch.randn(n, 6, 3, 3, generator=draw),
        "pooled": torch.randn(n, 8, generator=draw),
    }


ROWS = [[5, 6], [7], [8, 9, 10, 11], [12], [13, 14], [15, 16, 17]]
IDS = torch.tensor([[1, *row, 2] + [0] * (4 - len(row)) for row in ROWS])
PAIRS = torch.cartesian_prod(torch.arange(6), torch.arange(6))


def batch(vilt=False):
    return {
        "images": features(vilt=vilt),
        "texts": {"ids": IDS},
        "pairs": {"positive": torch.eye(6, dtype=torch.bool)},
    }


@torch.inference_mode()
def encoded(model):
    model.eval()
    return (
        model.encode_images(features(vilt=model.vilt)),
        model.encode_texts(model.text_features(IDS)),
    )
