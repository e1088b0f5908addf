"""Where the class of each method lives.

A system is imported when it is asked for: a record names the modules
that its run used, and a run of one system uses no other.
"""

from importlib import import_module

HOMES = {
    "linear": ("rsir.models.baselines", "Linear"),
    "mlp": ("rsir.models.baselines", "MLP"),
    "amfmn": ("rsir.models.amfmn", "AMFMN"),
    "galr": ("rsir.models.galr", "GaLR"),
    "envlf": ("rsir.models.envlf", "EnVLF"),
    "cfitr": ("rsir.models.cfitr", "CFITR"),
}


def model_class(method: str) -> type:
    """The class of a method's model."""
    module, name = HOMES[method]
    return getattr(import_module(module), name)
