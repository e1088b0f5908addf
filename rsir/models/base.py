"""The face that all systems share: two towers and a score.

A system encodes pictures and sentences apart, into tensors that can be stored,
and scores any block of pairs from these. What reads both sides at once
(`rsir.models.cross_encoder`) comes on top.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from rsir.data import Split
from rsir.encoders.base import FEATURES
from rsir.encoders.encoded_split import EncodedSplit, over_texts, text_features
from rsir.encoders.image import ImageEncoder
from rsir.encoders.text import TextEncoder
from rsir.models import Config


class TwoTower(nn.Module):
    """Base of the four systems and of their baselines.

    Args:
        image_encoder: frozen while new layers train on stored features.
        text_encoder: learns with them, unless it is frozen.
        config: every option of the method.

    Attributes:
        Config: of the method, declared in the same file.
        reads: the image features that `encode_images` needs.
        reads_text: the text features that `encode_texts` needs.
        wants_similarity: whether `losses` reads pairs["similarity"].
    """

    Config: type[Config]
    reads: tuple[str, ...] = FEATURES
    reads_text: tuple[str, ...] = ("pooled",)
    wants_similarity: bool = False

    def __init__(
        self, image_encoder: ImageEncoder, text_encoder: TextEncoder, config: Config
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.text_encoder = text_encoder
        self.config = config

    # -- what encoders give

    def encode_split(
        self, split: Split, *, progress: bool = True, **extra_texts: Sequence[str]
    ) -> EncodedSplit:
        """A split as this model reads it; `extra_texts` as in `EncodedSplit`."""
        encoders = self.image_encoder, self.text_encoder
        options = {"extra_texts": extra_texts, "progress": progress}
        return EncodedSplit(split, *encoders, self.reads, self.reads_text, **options)

    def fit_statistics(self, train: EncodedSplit) -> None:
        """Measure means and deviations of frozen features on train."""
        if hasattr(self, "standardise"):
            self.standardise.fit(torch.tensor(np.array(train.features["pooled"])))

    def image_features(self, images: Tensor) -> dict[str, Tensor]:
        """What `encode_images` reads, from pictures `[B, 3, H, W]`."""
        return self.image_encoder(images).features(self.reads)

    def text_features(self, inputs: Tensor | Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What `encode_texts` reads, from ids `[T, L]`, padded with 0, or from a
        mapping as `EncodedSplit.inputs` is; features pass as they are.
        """
        if isinstance(inputs, Tensor):
            inputs = {"ids": inputs}
        if "ids" not in inputs:
            return dict(inputs)
        return text_features(self.text_encoder, inputs, self.reads_text)

    # -- what a method gives

    def encode_images(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Image side, ready to be stored: tensors `[B, ...]`."""
        raise NotImplementedError

    def encode_texts(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Text side, ready to be stored: tensors `[T, ...]`."""
        raise NotImplementedError

    def score(
        self, images: Mapping[str, Tensor], texts: Mapping[str, Tensor]
    ) -> Tensor:
        """Scores `[B, T]`, higher is closer. Holds no weights."""
        raise NotImplementedError

    def losses(self, scores: Tensor, pairs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Named losses of one batch; the sum is minimised.

        Args:
            scores: `[B, B]`.
            pairs: "positive" `[B, B]` bool and, if `wants_similarity`,
                "similarity" `[B, B]` in [0, 1].
        """
        raise NotImplementedError

    # -- what follows from it

    def training_losses(self, batch, gather) -> dict[str, Tensor]:
        """Losses of a batch, negatives gathered from all processes.

        Args:
            batch: "images" features, "texts" as `text_features` takes them,
                and "pairs", see `losses`.
            gather: joins a tensor over processes, with gradients.
        """
        images = self.encode_images(batch["images"])
        texts = self.encode_texts(self.text_features(batch["texts"]))
        images = {k: gather(v).float() for k, v in images.items()}
        texts = {k: gather(v).float() for k, v in texts.items()}
        # bf16 keeps three digits: too few for margins between scores
        device = batch["pairs"]["positive"].device.type
        with torch.autocast(device, enabled=False):
            return self.losses(self.score(images, texts), batch["pairs"])

    def forward(
        self,
        images: Tensor | Mapping[str, Tensor],
        texts: Tensor | Mapping[str, Tensor],
    ) -> Tensor:
        """Scores `[B, T]` of every picture with every sentence.

        Args:
            images: `[B, 3, H, W]`, normalised, or what `image_features` gave.
            texts: as `text_features` takes them.
        """
        if isinstance(images, Tensor):
            images = self.image_features(images)
        return self.score(
            self.encode_images(images), self.encode_texts(self.text_features(texts))
        )


@torch.inference_mode()
def encode_sides(
    model: TwoTower, encoded: EncodedSplit, batch: int = 256, texts: bool = True
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Both sides of a split: `[n_images, ...]` and `[n_texts, ...]` each.

    Args:
        model: is put into evaluation mode.
        encoded: the split as the model reads it.
        batch: images at a time.
        texts: False: leave the text side empty.
    """
    model.eval()
    device = next(model.parameters()).device
    rows, parts = np.arange(encoded.split.n_images), []
    for start in range(0, len(rows), batch):
        found = encoded.images(rows[start : start + batch])
        parts.append(model.encode_images({k: v.to(device) for k, v in found.items()}))
    images = {k: torch.cat([p[k] for p in parts]) for k in parts[0]}
    if not texts:
        return images, {}
    return images, over_texts(
        encoded.inputs, lambda x: model.encode_texts(model.text_features(x)), device
    )


@torch.inference_mode()
def score_encoded(model: TwoTower, encoded: EncodedSplit) -> np.ndarray:
    """Scores `[n_images, n_captions]` of a split as the model reads it."""
    scores = model.score(*encode_sides(model, encoded)).float().cpu().numpy()
    return np.ascontiguousarray(scores[:, encoded.text_id])


def score_split(model: TwoTower, split: Split, *, progress: bool = False) -> np.ndarray:
    """Scores `[n_images, n_captions]` of a split, float32."""
    return score_encoded(model, model.encode_split(split, progress=progress))


def in_chunks(
    pairwise,
    images: Mapping[str, Tensor],
    texts: Mapping[str, Tensor],
    cells: int = 2**24,
) -> Tensor:
    """Run a pairwise score a few images at a time: `[B, T]`.

    Args:
        pairwise: maps image tensors `[b, ...]` and text tensors `[T, ...]` to
            `[b, T]` through `[b, T, D]`.
        images, texts: encoded sides.
        cells: at most this many numbers in one `[b, T, D]`.
    """
    n = len(next(iter(images.values())))
    step = max(1, cells // max(1, next(iter(texts.values())).numel()))
    starts = range(0, n, step)
    parts = ({k: v[i : i + step] for k, v in images.items()} for i in starts)
    return torch.cat([pairwise(part, texts) for part in parts])
