"""Several frozen image encoders as one. Explained in chapter 06."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from rsir.data import Split
from rsir.encoders.feature_cache import cached_features
from rsir.encoders.image import ImageEncoder
from rsir.utils.errors import RsirError


class Several(ImageEncoder):
    """Frozen encoders side by side: the maps of the first, the vectors of all.

    Args:
        members: frozen, of one size, one normalisation and the same views.
    """

    def __init__(self, members: Sequence[ImageEncoder]) -> None:
        first = members[0]
        super().__init__(first.size, first.tta_views)
        self.members = nn.ModuleList(members)
        self.name = "+".join(member.name for member in members)
        self.channels, self.strides = first.channels, first.strides
        self.dim = sum(member.dim for member in members)
        self.mean, self.std = first.mean, first.std
        for member in members:
            if (member.mean, member.std) != (self.mean, self.std):
                raise RsirError(
                    f"image encoder {member.name!r}: takes pixels in another range "
                    f"than {first.name!r}; the two cannot read one picture together"
                )

    def pyramid(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        maps, pooled = zip(*(member.pyramid(images) for member in self.members))
        return maps[0], torch.cat(pooled, 1)

    def upper(self, level: int) -> list[nn.Module]:
        return self.members[0].upper(level)


def stored_vectors(
    encoder: ImageEncoder, split: Split, *, progress: bool = True
) -> np.ndarray:
    """Pooled vectors `[n_images, dim]`, float16; each member has its own in the store."""
    members = getattr(encoder, "members", [encoder])
    found = [
        cached_features(member, split, ["pooled"], progress=progress)["pooled"]
        for member in members
    ]
    return np.concatenate(found, 1)
