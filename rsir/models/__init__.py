"""The four systems and the linear baseline: one paper, one file."""

from rsir.models.base import Retriever
from rsir.models.build import build
from rsir.models.registry import HOMES, model_class

__all__ = [
    "HOMES",
    "Retriever",
    "build",
    "model_class",
    *(name for _, name in HOMES.values()),
]


def __getattr__(name: str):
    for method, (_, found) in HOMES.items():
        if name == found:
            return model_class(method)
    raise AttributeError(f"module 'rsir.models' has no attribute {name!r}")
