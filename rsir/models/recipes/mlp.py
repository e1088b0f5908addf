"""Recipe of the MLP baseline. Chapter 02."""

from dataclasses import dataclass

from rsir.models.recipes import linear


@dataclass(frozen=True)
class MLPRecipe(linear.LinearRecipe):
    """As the linear baseline, with a layer more on each side."""

    method: str = "mlp"
    hidden: int = 2048

    MODEL = ("hidden", *linear.LinearRecipe.MODEL)


#: what a preset changes
CHANGES = linear.CHANGES | {
    "toy": linear.CHANGES["toy"] | {"hidden": 512},
}

#: name -> changes; the first row is the headline
ROWS = {"mlp": {}}
