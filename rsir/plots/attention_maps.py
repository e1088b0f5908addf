"""Where the words of a cross-encoder look, held against the boxes of toy scenes.

Explained in chapter 04.
"""

from dataclasses import dataclass

import numpy as np
import torch

from rsir.data import Box
from rsir.encoders.encoded_split import EncodedSplit


@dataclass(frozen=True)
class Look:
    """One word piece of a caption, and where it looks."""

    image: int  # index in the split
    caption: str
    word: str
    where: np.ndarray  # [side, side], sums to 1
    boxes: tuple[Box, ...]  # objects in the picture that the word names

    def inside(self, size: int) -> np.ndarray:
        """Cells that touch a named object, `[side, side]`; pictures of `size` px."""
        cell = size / len(self.where)
        out = np.zeros(self.where.shape, dtype=bool)
        for b in self.boxes:
            top, left = (max(0, int(v // cell)) for v in (b.y0, b.x0))
            out[top : -int(-b.y1 // cell), left : -int(-b.x1 // cell)] = True
        return out


@torch.inference_mode()
def word_looks(model, encoded: EncodedSplit, image: int, caption: str) -> list[Look]:
    """Where each word piece of any caption looks in the picture `image`.

    Args:
        model: has `attention`, such as EnVLF; put into evaluation mode.
        encoded: the split as the model reads it.
    """
    model.eval()
    encoder = model.text_encoder
    ids = encoder.tokenize([caption])
    images = model.encode_images(model.image_features(encoded.images([image])))
    texts = model.encode_texts(model.text_features(ids))
    pairs = torch.zeros(1, 2, dtype=torch.long)
    maps = model.attention(images, texts, pairs)[0]  # (L, P)
    side = int(maps.shape[1] ** 0.5)
    words = encoder.tokenizer.convert_ids_to_tokens(ids[0])
    objects = (encoded.split.objects or {image: ()})[image]
    boxes = [_named(objects, word) for word in words]
    maps = maps.unflatten(1, (side, side)).numpy()  # (L, side, side)
    return [Look(image, caption, *each) for each in zip(words, maps, boxes)]


def _named(objects: tuple[Box, ...], word: str) -> tuple[Box, ...]:
    """Boxes that a word names: "planes", "plane"."""
    one = word.removesuffix("s")
    return tuple(b for b in objects if len(word) > 2 and one in b.label.split())


def looks_at_objects(
    model, encoded: EncodedSplit, size: int = 256, most: float = 0.5
) -> list[Look]:
    """Looks of the words that name an object, in each picture's first caption.

    Args:
        model, encoded: as in `word_looks`.
        size: side of the stored pictures in pixels.
        most: objects that touch more than this share of the cells are left
            out: one can hardly miss them.
    """
    split = encoded.split
    return [
        look
        for i in range(split.n_images if split.objects else 0)
        for look in word_looks(model, encoded, i, split.captions_of(i)[0])
        if look.boxes and look.inside(size).mean() <= most
    ]


def on_target(looks: list[Look], size: int = 256) -> tuple[float, float]:
    """Attention on the cells of named objects, and their share of cells: percent."""
    inside = [look.inside(size) for look in looks]
    hit = [(look.where * cells).sum() for look, cells in zip(looks, inside)]
    return 100 * float(np.mean(hit)), 100 * float(np.mean([m.mean() for m in inside]))


def draw_looks(looks: list[Look], pictures: list):
    """Up to five looks on their pictures, in one scale of heat, with the boxes."""
    import matplotlib.pyplot as plt

    n, hottest = len(looks), max(look.where.max() for look in looks)
    fig, axes = plt.subplots(1, n, squeeze=False, figsize=(7.2, 7.2 / n + 0.3))
    for ax, look, picture in zip(axes.flat, looks, pictures):
        high, wide = np.asarray(picture).shape[:2]
        ax.imshow(picture)
        heat = {"cmap": "magma", "alpha": 0.45, "vmin": 0, "vmax": hottest}
        ax.imshow(
            look.where, extent=(0, wide, high, 0), interpolation="bilinear", **heat
        )
        for b in look.boxes:
            size, frame = (b.x1 - b.x0, b.y1 - b.y0), {"ec": "white", "fc": "none"}
            ax.add_patch(plt.Rectangle((b.x0, b.y0), *size, lw=1.5, **frame))
        ax.set_title(f"“{look.word}”", size=10)
        ax.set_axis_off()
    return fig
