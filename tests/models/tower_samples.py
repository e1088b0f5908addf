"""Features and stand-ins of encoders, for tests of the four systems."""

import torch
from tiny import TinyEncoder
from torch import nn


class Text(nn.Module):
    """Stands for a text encoder: only its length is asked for."""

    pretrained = False

    def __init__(self, dim):
        super().__init__()
        self.dim = dim


def make(model_class, text_dim=16, **options):
    """A small model from a seed, in evaluation mode."""
    torch.manual_seed(0)
    config = model_class.Config(**({"dim": 16} | options))
    return model_class(TinyEncoder(64), Text(text_dim), config).eval()


def features(n_images=5, n_texts=7, text_dim=16):
    """What encoders and graphs give: a picture side and a text side."""
    draw = torch.Generator().manual_seed(1)
    shapes = {f"f{i}": x for i, x in enumerate(TinyEncoder(64).map_sizes(), 1)}
    shapes |= {"pooled": (6,), "nodes": (20, 20), "looks": (20, 9)}
    images = {
        name: torch.randn(n_images, *shape, generator=draw)
        for name, shape in shapes.items()
    }
    images["adjacency"] = torch.rand(n_images, 20, 20, generator=draw) / 10
    texts = ("pooled", "keywords")
    return images, {k: torch.randn(n_texts, text_dim, generator=draw) for k in texts}


def pairs(n):
    """Pairs of a batch in which no caption is a duplicate."""
    return {"positive": torch.eye(n, dtype=torch.bool), "similarity": torch.rand(n, n)}
