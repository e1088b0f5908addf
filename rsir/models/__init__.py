"""The four systems and the linear baseline: one paper, one file."""

from rsir.models.amfmn import AMFMN
from rsir.models.base import Retriever
from rsir.models.build import MODELS, build
from rsir.models.linear import Linear

__all__ = ["AMFMN", "Linear", "MODELS", "Retriever", "build"]
