"""The patches of ViLT, with the face of a pyramid.

ViLT has no picture encoder of its own: one matrix turns a patch of
32 x 32 pixels into a token, and the transformer does the rest. Here
the matrix is frozen, so that patches can be kept on disk. For the
paper's preset of CFITR. Explained in chapter 05.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from rsir.encoders.image import IMAGE_ENCODERS, ImageEncoder
from rsir.errors import RsirError

HUB = "dandelin/vilt-b32-mlm"


class ViLTPatches(ImageEncoder):
    """The patch projection of ViLT-B/32; all maps are the same.

    Args:
        size: input side in pixels (384: 12 x 12 patches).
        views: see `ImageEncoder`.
        source: id on the model hub, or a folder.
    """

    name = "vilt_patches"
    mean = (0.5,) * 3
    std = (0.5,) * 3

    def __init__(self, size: int = 384, views: Sequence[int] = (0,),
                 source: str = HUB) -> None:
        super().__init__(size, views)
        from transformers import ViltModel

        try:
            whole = ViltModel.from_pretrained(
                source, add_pooling_layer=False)
        except OSError as error:
            raise RsirError(
                f"image encoder {self.name}: {source} could not be "
                f"loaded from the hub ({str(error).splitlines()[0]}); "
                "connect once, or use efficientnet_lite0, which is "
                "bundled"
            ) from error
        patches = whole.embeddings.patch_embeddings
        self.projection: nn.Module = patches.projection
        self.stride = whole.config.patch_size
        self.dim = whole.config.hidden_size
        self.channels = (self.dim,) * 4

    def map_sizes(self) -> list[tuple[int, int, int]]:
        side = self.size // self.stride
        return [(c, side, side) for c in self.channels]

    def pyramid(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        patches = self.projection(images)         # (B, C, H/32, W/32)
        return [patches] * 4, patches.mean(dim=(2, 3))


IMAGE_ENCODERS[ViLTPatches.name] = ViLTPatches
