"""Recipe of the MLP baseline. Chapter 02."""

from dataclasses import dataclass

from rsir.recipes.base import Recipe


@dataclass(frozen=True)
class MLPRecipe(Recipe):
    """A small network on each of two frozen encoders."""

    method: str = "mlp"
    text_layers: int | None = 0
    epochs: int = 30
    patience: int = 10
    dim: int = 512
    hidden: int = 2048
    dropout: float = 0.3
    temperature: float = 0.07

    MODEL = ("dim", "hidden", "dropout", "temperature")


#: what a preset changes
CHANGES = {
    "toy": {"batch": 128, "image_size": 128, "hidden": 512,
            "precision": "no"},
    "cpu": {"views": (0, 1, 6)},
    "paper": {},
}

#: name -> changes; the first row is the headline
ROWS = {"mlp": {}}
