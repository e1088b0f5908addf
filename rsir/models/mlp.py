"""The MLP baseline: two frozen encoders, a small network on each side.

Not a published system. The linear baseline can only turn and stretch
what the encoders say; this one can bend it. What it adds, a method
has to add as well before its own idea counts. Chapter 02.
"""

from rsir.encoders.image import ImageEncoder
from rsir.encoders.text import TextEncoder
from rsir.layers.heads import head
from rsir.models.linear import Linear


class MLP(Linear):
    """cos(f(v), g(t)) with InfoNCE; f and g have two layers.

    Args:
        image_encoder, text_encoder: frozen.
        dim: length of the joint space.
        hidden: units of f and g.
        dropout: on pictures' vectors while training.
        temperature: divides the cosines in the loss.
    """

    def __init__(self, image_encoder: ImageEncoder,
                 text_encoder: TextEncoder, *, dim: int = 512,
                 hidden: int = 2048, dropout: float = 0.3,
                 temperature: float = 0.07) -> None:
        super().__init__(image_encoder, text_encoder, dim=dim,
                         dropout=dropout, temperature=temperature)
        self.to_image = head(image_encoder.dim, dim, hidden)
        self.to_text = head(text_encoder.dim, dim, hidden)
