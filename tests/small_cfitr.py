"""A CFITR small enough to check by hand, and what it reads."""

import torch
from torch import nn

from rsir.encoders.image import ImageEncoder
from rsir.encoders.text import SentenceEncoder
from rsir.models.cfitr import CFITR

DIM = 16


class SmallBert(SentenceEncoder):
    """A BERT of three blocks from a seed; ids are given."""

    name = "small-bert"

    def __init__(self, layers_trained=1):
        nn.Module.__init__(self)
        from transformers import BertConfig, BertModel

        torch.manual_seed(0)
        self.max_length, self.dim = 9, DIM
        self.model = BertModel(
            BertConfig(
                vocab_size=50,
                hidden_size=DIM,
                num_hidden_layers=3,
                num_attention_heads=2,
                intermediate_size=32,
                max_position_embeddings=12,
            ),
            add_pooling_layer=False,
        )
        self.layers_trained = layers_trained
        self._freeze(layers_trained)


class SmallMaps(ImageEncoder):
    """Its maps are given, too; only their sizes matter."""

    name, channels, dim = "small", (2, 3, 4, 6), 8


def vilt():
    from transformers import ViltConfig, ViltModel

    torch.manual_seed(1)
    config = ViltConfig(
        vocab_size=50,
        hidden_size=DIM,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=64,
        patch_size=32,
        max_position_embeddings=12,
    )
    return ViltModel(config, add_pooling_layer=False).eval()


def small(**changes):
    torch.manual_seed(2)
    options = {"bits": 16, "hidden": 24, "dropout": 0.0,
               "false_texts": 3, "hard_texts": 1}  # fmt: skip
    model = CFITR(SmallMaps(96), SmallBert(), **(options | changes))
    nn.init.normal_(model.ssm.rank.weight)
    if model.dshm.pool == "mean":
        nn.init.ones_(model.dshm.cells)
    return model


def features(n=6):
    draw = torch.Generator().manual_seed(3)
    return {
        "f3": torch.randn(n, 4, 6, 6, generator=draw),
        "f4": torch.randn(n, 6, 3, 3, generator=draw),
        "pooled": torch.randn(n, 8, generator=draw),
    }


IDS = torch.tensor(
    [
        [1, 5, 6, 2, 0, 0],
        [1, 7, 2, 0, 0, 0],
        [1, 8, 9, 10, 11, 2],
        [1, 12, 2, 0, 0, 0],
        [1, 13, 14, 2, 0, 0],
        [1, 15, 16, 17, 2, 0],
    ]
)


def batch():
    return {
        "images": features(),
        "texts": {"ids": IDS},
        "pairs": {"positive": torch.eye(6, dtype=torch.bool)},
    }


@torch.inference_mode()
def encoded(model):
    model.eval()
    return (
        model.encode_images(features()),
        model.encode_texts(model.text_features(IDS)),
    )
