"""Recipe of the linear baseline. Chapter 01."""

from dataclasses import dataclass

from rsir.models.recipes.base import Recipe


@dataclass(frozen=True)
class LinearRecipe(Recipe):
    """The linear baseline on two frozen encoders."""

    method: str = "linear"
    text_layers: int | None = 0
    epochs: int = 30
    patience: int = 10
    dim: int = 512
    dropout: float = 0.3
    temperature: float = 0.07

    MODEL = ("dim", "dropout", "temperature")


#: what a preset changes
CHANGES = {
    "toy": {"batch": 128, "image_size": 128, "precision": "no"},
    "cpu": {"views": (0, 1, 6)},
    "paper": {},
}

#: name -> changes; the first row is the headline
ROWS = {"linear": {}, "one-view": {"views": (0,)}}
