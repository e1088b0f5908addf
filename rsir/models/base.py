"""The face that all systems share.

A system encodes pictures and sentences apart, each into a dictionary
of tensors that can be stored, and scores any block of pairs from
these. What reads both sides at once (chapters 04 and 05) comes on top.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from rsir.data import Split
from rsir.encoders.base import FEATURES, Encoded
from rsir.encoders.cache import cached_features, features_seconds
from rsir.encoders.image import ImageEncoder
from rsir.encoders.text import TextEncoder


class Retriever(nn.Module):
    """Base of the four systems and of the linear baseline.

    Attributes:
        image_encoder: frozen while heads train on cached features.
        text_encoder: learns with the heads, unless it is frozen.
        reads: the image features that `encode_images` needs.
    """

    reads: tuple[str, ...] = FEATURES
    image_encoder: ImageEncoder | None
    text_encoder: TextEncoder | None

    def image_features(self, images: Tensor) -> dict[str, Tensor]:
        """What `encode_images` reads, from pictures `[B, 3, H, W]`."""
        return named_features(self.image_encoder(images), self.reads)

    def split_features(self, split: Split, *, progress: bool = True
                       ) -> dict[str, np.ndarray]:
        """What `encode_images` reads, of all pictures of a split.

        Computed once, then read from disk: `[n_images, ...]` each.
        """
        return cached_features(self.image_encoder, split, self.reads,
                               progress=progress)

    def features_seconds(self, split: Split) -> float:
        """Seconds that `split_features` took when it computed."""
        return features_seconds(self.image_encoder, split, self.reads)

    def text_features(
        self, token_ids: Tensor, keyword_ids: Tensor | None = None,
        stem: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """What `encode_texts` reads, from ids `[T, L]`.

        Args:
            token_ids, keyword_ids: `[T, L]`, padded with 0.
            stem: what a frozen lower part gave for `token_ids`.
        """
        encoder = self.text_encoder
        encoded = encoder(token_ids) if stem is None else \
            encoder(token_ids, stem)
        features = {"pooled": encoded.pooled}
        if keyword_ids is not None:
            features["keywords"] = self.text_encoder(keyword_ids).pooled
        return features

    def encode_images(
        self, features: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Image side, ready to be stored: tensors `[B, ...]`."""
        raise NotImplementedError

    def encode_texts(
        self, features: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Text side, ready to be stored: tensors `[T, ...]`."""
        raise NotImplementedError

    def score(self, images: Mapping[str, Tensor],
              texts: Mapping[str, Tensor]) -> Tensor:
        """Scores `[B, T]`, higher is closer. Holds no weights."""
        raise NotImplementedError

    def losses(self, scores: Tensor, pairs: Mapping[str, Tensor],
               ) -> dict[str, Tensor]:
        """Named losses of one batch; the sum is minimised.

        Args:
            scores: `[B, B]`.
            pairs: "positive" `[B, B]` bool and, if `wants_similarity`,
                "similarity" `[B, B]` in [0, 1].
        """
        raise NotImplementedError

    #: whether `losses` reads "similarity" (it costs some milliseconds)
    wants_similarity: bool = False

    def training_losses(self, batch, gather) -> dict[str, Tensor]:
        """Losses of a batch, negatives gathered from all processes.

        Args:
            batch: "images" and "texts" as `forward` takes them.
            gather: joins a tensor over processes, with gradients.

        Methods that read both sides at once override this.
        """
        images = self.encode_images(batch["images"])
        texts = self.encode_texts(self._text_inputs(batch["texts"]))
        images = {k: gather(v).float() for k, v in images.items()}
        texts = {k: gather(v).float() for k, v in texts.items()}
        # bf16 keeps three digits: too few for margins between scores
        device = batch["pairs"]["positive"].device.type
        with torch.autocast(device, enabled=False):
            scores = self.score(images, texts)
            return self.losses(scores, batch["pairs"])

    def _text_inputs(self, texts):
        """Features of text input: ids are encoded, features pass."""
        if isinstance(texts, Tensor):
            texts = {"ids": texts}
        if "ids" not in texts:
            return texts
        return self.text_features(
            texts["ids"], texts.get("keyword_ids"), texts.get("stem")
        )

    def forward(self, images: Tensor | Mapping[str, Tensor],
                texts: Tensor | Mapping[str, Tensor]) -> Tensor:
        """Scores `[B, T]` of every picture with every sentence.

        Args:
            images: pictures `[B, 3, H, W]`, normalised already, or
                the features that `image_features` gave.
            texts: token ids `[T, L]`, padded with 0; or a mapping
                with "ids" (and "keyword_ids"); or the features that
                `text_features` gave.
        """
        if isinstance(images, Tensor):
            images = self.image_features(images)
        return self.score(
            self.encode_images(images),
            self.encode_texts(self._text_inputs(texts)),
        )


def named_features(encoded: Encoded,
                   names: tuple[str, ...]) -> dict[str, Tensor]:
    """Features of an encoder's output, by the names in `FEATURES`."""
    every = dict(zip(FEATURES, (*encoded.maps, encoded.pooled)))
    return {name: every[name] for name in names}


def in_chunks(pairwise, images: Mapping[str, Tensor],
              texts: Mapping[str, Tensor], cells: int = 2 ** 24
              ) -> Tensor:
    """Run a pairwise score a few images at a time.

    Args:
        pairwise: maps image tensors `[b, ...]` and text tensors
            `[T, ...]` to `[b, T]` through `[b, T, D]`.
        images, texts: encoded sides.
        cells: at most this many numbers in one `[b, T, D]`.

    Returns:
        `[B, T]`.
    """
    n = len(next(iter(images.values())))
    text = next(iter(texts.values()))
    step = max(1, cells // max(1, text.numel()))
    return torch.cat([
        pairwise({k: v[i:i + step] for k, v in images.items()}, texts)
        for i in range(0, n, step)
    ])
