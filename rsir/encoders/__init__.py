"""Encoders: pictures and sentences to tokens and pooled vectors.

Every encoder has the same face. `encoder(batch)` gives an `Encoded`:
tokens, their mask, and one pooled vector for each picture or sentence.
Chapter 00 uses them frozen; chapters 02 to 05 build on them.
"""

from rsir.encoders.base import Encoded
from rsir.encoders.image import IMAGE_ENCODERS, image_encoder
from rsir.encoders.text import TEXT_ENCODERS, text_encoder

__all__ = [
    "Encoded",
    "IMAGE_ENCODERS",
    "TEXT_ENCODERS",
    "image_encoder",
    "text_encoder",
]
