"""Encoders: `encoder(batch)` gives tokens, their mask and a pooled vector."""

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
