"""rsir: cross-modal remote-sensing image-text retrieval, re-run.

The package behind the book: four systems (AMFMN, GaLR, EnVLF, CFITR),
one protocol, one evaluator. `import rsir` stays light; torch is loaded
by the parts that need it.
"""

import os
import warnings
from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "load_dataset": "rsir.data",
    "Split": "rsir.data",
    "Splits": "rsir.data",
    "evaluate": "rsir.evaluation.metrics",
    "compare": "rsir.evaluation.compare",
    "check_reported": "rsir.experiments.claims",
    "RsirError": "rsir.utils.errors",
}

__all__ = ["__version__", *_HOMES]


# OpenMP's waiting threads spin by default, which keeps a busy machine's
# cores from the thread that all wait for (benchmarks/busy.py). It is read
# when torch is loaded; a setting of the user's own stays.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Said in notebooks by libraries that would like a widget for their own
# progress bars; ours prints a line (rsir.utils.progress).
warnings.filterwarnings("ignore", message="IProgress not found")


def __getattr__(name):
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'rsir' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
