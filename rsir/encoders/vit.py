"""A vision transformer of the hub, with the face of a pyramid.

For the paper's preset of EnVLF: large, and made for a GPU. Explained
in chapter 04.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from rsir.encoders.image import IMAGE_ENCODERS, ImageEncoder
from rsir.errors import RsirError


class ViT(ImageEncoder):
    """ViT-B/16, ImageNet weights from the model hub.

    Its four maps have one stride, 16: the tokens after the patch
    embedding ("f1"), a third and two thirds of the blocks, and all of
    them. A model that starts at "f1" trains every block.

    Args:
        size: input side in pixels.
        views: see `ImageEncoder`.
        pretrained: load the weights (a download of 350 MB at the
            first use).
    """

    name = "vit_base"
    model = "vit_base_patch16_224"
    dim = 768
    channels = (768,) * 4
    mean = (0.5,) * 3
    std = (0.5,) * 3

    def __init__(self, size: int = 224, views: Sequence[int] = (0,),
                 pretrained: bool = True) -> None:
        super().__init__(size, views)
        import timm

        try:
            self.net = timm.create_model(
                self.model, pretrained=pretrained, num_classes=0,
                img_size=size,
            )
        except Exception as error:  # the hub's client has its own
            raise RsirError(
                f"image encoder {self.name}: {self.model} could not "
                f"be loaded from the model hub ({error}); connect "
                "once, or use efficientnet_lite0, which is bundled"
            ) from error
        n = len(self.net.blocks)
        #: blocks below each of the four maps
        self.depths = (0, n // 3, 2 * n // 3, n)

    def map_sizes(self) -> list[tuple[int, int, int]]:
        side = self.size // 16
        return [(c, side, side) for c in self.channels]

    def pyramid(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        net = self.net
        x = net.norm_pre(net._pos_embed(net.patch_embed(images)))
        maps = []
        for depth in range(len(net.blocks) + 1):
            if depth in self.depths:
                maps.append(x if depth < len(net.blocks)
                            else net.norm(x))
            if depth < len(net.blocks):
                x = net.blocks[depth](x)
        side = self.size // 16
        first = net.num_prefix_tokens             # the class token
        maps = [
            m[:, first:].transpose(1, 2).unflatten(2, (side, side))
            for m in maps
        ]
        return maps, maps[-1].mean((2, 3))

    def upper(self, level: int) -> tuple[nn.Module, nn.Module]:
        """Blocks above a map, and the norm after them.

        They work without the class token, which a map has no place
        for.
        """
        blocks = self.net.blocks[self.depths[level]:]
        last = self.depths[level] == len(self.net.blocks)
        return blocks, nn.Identity() if last else self.net.norm


IMAGE_ENCODERS.setdefault("vit_base", ViT)
