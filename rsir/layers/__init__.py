"""Blocks that several methods share."""

from rsir.layers.basic import Standardise
from rsir.layers.mvsa import MVSA

__all__ = ["MVSA", "Standardise"]
