"""From a split to batches: features, texts, and who is paired with whom.

Explained in chapter 02.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from rsir.encoders.encoded_split import EncodedSplit
from rsir.models.caption_similarity import CaptionSimilarity
from rsir.training.augment import augmented
from rsir.utils.errors import RsirError


class PairDataset(Dataset):
    """Items of one epoch: every image once, with one of its captions.

    Order and captions are drawn from (seed, epoch): a resumed run sees what the
    killed one would have seen. While a batch is learned from, a thread reads the
    next, `stride` places further: images of a batch, over all processes.
    Pixels are changed by `augment`, see there, to squares of `size`.
    """

    def __init__(
        self,
        encoded: EncodedSplit,
        seed: int,
        stride: int = 0,
        augment: str = "none",
        size: int = 0,
    ) -> None:
        self.encoded, self.seed, self.stride = encoded, seed, stride
        self.augment, self.size = augment, size
        self._reader = ThreadPoolExecutor(1)
        split = encoded.split
        empty = np.flatnonzero(encoded.n_captions_of == 0)
        if len(empty):
            raise RsirError(
                f"{split.dataset} {split.name}: image {split.ids[empty[0]]} has no "
                "caption to learn from; leave it out with Split.subset"
            )
        self.draw(0)

    # not set_epoch: Accelerate calls that, and counts from 0 in a resumed run
    def draw(self, epoch: int) -> None:
        """Draw order and captions of an epoch."""
        self.epoch = epoch
        draw = np.random.default_rng([self.seed, epoch])
        self.order = draw.permutation(self.encoded.split.n_images)
        share = draw.random(len(self))
        self.pick = (share * self.encoded.n_captions_of).astype(np.int64)
        self._ahead = {}

    def __len__(self) -> int:
        return len(self.order)

    def __getitems__(self, places: Sequence[int]) -> dict:
        ahead = self._ahead.pop(tuple(places), None)
        batch = ahead.result() if ahead else self.read(places)
        following = [place + self.stride for place in places]
        self._ahead = {}
        if self.stride and following[-1] < len(self):
            self._ahead[tuple(following)] = self._reader.submit(self.read, following)
        return batch

    def read(self, places: Sequence[int]) -> dict:
        """A batch, see `TwoTower.training_losses`; ids tell who is who."""
        image = self.order[places]  # (B,)
        caption = self.encoded.captions_of[image, self.pick[image]]
        text = self.encoded.text_id[caption]
        ids = {"image": image, "caption": caption, "text": text}
        ids["texts_of"] = self.encoded.texts_of[image]
        images = self.encoded.images(image)
        if "pixels" in images:
            drawn = self.augment, self.size, self.seed, self.epoch, image
            images["pixels"] = augmented(images["pixels"], *drawn)
        return {
            "images": images,
            "texts": self.encoded.text_rows(text),
            **{name: torch.from_numpy(np.asarray(x)) for name, x in ids.items()},
        }


class PositivePairs:
    """What is known of every pair of a batch: `[B, B]` each.

    With `similarity` also S of AMFMN's eq. (29).
    """

    def __init__(self, encoded: EncodedSplit, similarity: bool) -> None:
        captions, owner = encoded.split.captions, encoded.split.owner
        self.similarity = CaptionSimilarity(captions, owner) if similarity else None

    def __call__(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """ "positive", and "similarity" if asked for, from all processes' ids:
        "image", "caption", "text" `[B]` and "texts_of" `[B, most]`.
        """
        same = batch["texts_of"][:, :, None] == batch["text"]
        pairs = {"positive": same.any(dim=1)}  # (B images, B texts)
        if self.similarity is not None:
            caption, image = (batch[k].cpu().numpy() for k in ("caption", "image"))
            block = self.similarity.block(caption, image)  # (B texts, B images)
            block = torch.from_numpy(np.ascontiguousarray(block.T))
            pairs["similarity"] = block.to(batch["text"].device)
        return pairs
