"""One dataclass per method: every number that decides a run.

Three presets of each. `toy`: procedural scenes, a minute on two
cores. `cpu`: real data, bundled encoders, minutes on two cores.
`paper`: the authors' backbones and sizes, for a GPU. Same code, other
numbers.

A method has a file in here with its dataclass, `CHANGES` (what each
preset changes) and `ROWS` (the rows that its chapter shows).
"""

import dataclasses

from rsir.models.recipes import amfmn, cfitr, envlf, galr, linear, mlp
from rsir.models.recipes.amfmn import AMFMNRecipe
from rsir.models.recipes.base import FROZEN, PRESETS, RERANKS, Recipe
from rsir.models.recipes.cfitr import CFITRRecipe
from rsir.models.recipes.envlf import EnVLFRecipe
from rsir.models.recipes.galr import GaLRRecipe
from rsir.models.recipes.linear import LinearRecipe
from rsir.models.recipes.mlp import MLPRecipe
from rsir.utils.errors import RsirError

__all__ = [
    "CHANGES",
    "FROZEN",
    "PRESETS",
    "RECIPES",
    "RERANKS",
    "ROWS",
    "Recipe",
    "AMFMNRecipe",
    "CFITRRecipe",
    "EnVLFRecipe",
    "GaLRRecipe",
    "LinearRecipe",
    "MLPRecipe",
    "recipe",
]

# a new method: its file and its dataclass, here and above
_METHODS = {
    "linear": (linear, LinearRecipe),
    "mlp": (mlp, MLPRecipe),
    "amfmn": (amfmn, AMFMNRecipe),
    "galr": (galr, GaLRRecipe),
    "envlf": (envlf, EnVLFRecipe),
    "cfitr": (cfitr, CFITRRecipe),
}

#: the dataclass of each method
RECIPES = {name: own for name, (_, own) in _METHODS.items()}

#: what a preset changes, per method
CHANGES = {
    (method, preset): changes
    for method, (file, _) in _METHODS.items()
    for preset, changes in file.CHANGES.items()
}

#: the rows that a chapter shows, per method: name -> changes.
#: The first is the headline.
ROWS: dict[str, dict[str, dict]] = {
    method: file.ROWS for method, (file, _) in _METHODS.items()
}


def recipe(
    method: str, preset: str = "cpu", row: str | None = None, **changes
) -> Recipe:
    """The recipe of a method, a preset and a row, with changes.

    Args:
        method: "linear", "amfmn", ...
        preset: "toy", "cpu" or "paper".
        row: a name in `ROWS[method]`, perhaps with a re-ranking that
            trains nothing ("midf+mr"); None: the preset as it is.
        changes: fields to replace, such as `seed=1`.

    Raises:
        RsirError: for a name that does not exist; it lists which do.
    """
    _known("method", method, RECIPES)
    _known("preset", preset, PRESETS)
    every = dict(CHANGES[method, preset])
    if row is not None:
        row, plus, rerank = row.partition("+")
        _known(f"row of {method}", row, ROWS[method])
        if plus:
            _known("re-ranking", rerank, RERANKS)
        every |= ROWS[method][row]
    every |= changes
    fields = {f.name for f in dataclasses.fields(RECIPES[method])}
    for name in every:
        _known(f"option of {method}", name, sorted(fields))
    return RECIPES[method](**every)


def _known(what: str, name: str, names) -> None:
    if name not in names:
        raise RsirError(f"{what} {name!r}: unknown; choose one of {', '.join(names)}")
