"""The face that all systems share: two towers and a score.

A system encodes pictures and sentences apart, into tensors that can be stored,
and scores any block of pairs from these. What reads both sides at once
(`rsir.models.cross_encoder`) comes on top.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from rsir.data import Split
from rsir.encoders.base import FEATURES
from rsir.encoders.encoded_split import EncodedSplit, over_texts, text_features
from rsir.models import Config

#: features, or what `encode_images` or `encode_texts` gave, `[n, ...]` by name
Sides = Mapping[str, Tensor]


class TwoTower(nn.Module):
    """Base of the four systems and of their baselines.

    A method gives `encode_images`, `encode_texts`, `score` and `losses`. What it
    calls `stages` are pretrained image stages that learn on; `standardise` holds
    the scale of pooled vectors.

    Args:
        image_encoder: if it is frozen, new layers train on stored features.
        text_encoder: learns with them, unless it is frozen.
        config: every option of the method.
    """

    Config: type[Config]  #: of the method, declared in the same file
    reads: tuple[str, ...] = FEATURES  #: what `encode_images` needs
    reads_text: tuple[str, ...] = ("pooled",)  #: what `encode_texts` needs
    wants_similarity: bool = False  #: whether `losses` reads pairs["similarity"]

    def __init__(self, image_encoder, text_encoder, config: Config) -> None:
        super().__init__()
        self.image_encoder, self.text_encoder = image_encoder, text_encoder
        self.config = config

    def train(self, mode: bool = True) -> "TwoTower":
        """As usual, but stages keep the statistics they came with."""
        super().train(mode)
        if hasattr(self, "stages"):
            self.stages.eval()
        return self

    def encode_split(self, split: Split, **options) -> EncodedSplit:
        """A split as this model reads it; `options` of `EncodedSplit`."""
        encoders = self.image_encoder, self.text_encoder
        return EncodedSplit(split, *encoders, self.reads, self.reads_text, **options)

    def fit_statistics(self, train: EncodedSplit) -> None:
        """Measure means and deviations of frozen features on train."""
        if hasattr(self, "standardise") and not self.image_encoder.learns:
            self.standardise.fit(torch.tensor(np.array(train.features["pooled"])))

    def image_features(self, inputs: Tensor | Sides) -> dict[str, Tensor]:
        """What `encode_images` reads, from pictures `[B, 3, H, W]`, normalised, or
        from a mapping with "pixels", uint8; features pass as they are.
        """
        if isinstance(inputs, Tensor):
            return self.image_encoder(inputs).features(self.reads)
        if "pixels" not in inputs:
            return dict(inputs)
        rest = {k: v for k, v in inputs.items() if k != "pixels"}
        images = self.image_encoder.normalise(inputs["pixels"])
        images = images.contiguous(memory_format=torch.channels_last)
        return self.image_features(images) | rest

    def text_features(self, inputs: Tensor | Sides) -> dict[str, Tensor]:
        """What `encode_texts` reads, from ids `[T, L]`, padded with 0, or from a
        mapping as `EncodedSplit.inputs` is; features pass as they are.
        """
        if isinstance(inputs, Tensor):
            inputs = {"ids": inputs}
        if "ids" not in inputs:
            return dict(inputs)
        return text_features(self.text_encoder, inputs, self.reads_text)

    def encode_images(self, features: Sides) -> dict[str, Tensor]:
        """Image side, ready to be stored: tensors `[B, ...]`."""
        raise NotImplementedError

    def encode_texts(self, features: Sides) -> dict[str, Tensor]:
        """Text side, ready to be stored: tensors `[T, ...]`."""
        raise NotImplementedError

    def score(self, images: Sides, texts: Sides) -> Tensor:
        """Scores `[B, T]`, higher is closer. Holds no weights."""
        raise NotImplementedError

    def losses(self, scores: Tensor, pairs: Sides) -> dict[str, Tensor]:
        """Named losses of one batch; the sum is minimised.

        Args:
            scores: `[B, B]`.
            pairs: "positive" `[B, B]` bool and, if `wants_similarity`,
                "similarity" `[B, B]` in [0, 1].
        """
        raise NotImplementedError

    def losses_of_sides(self, images: Sides, texts: Sides, pairs: Sides):
        """`losses` of both encoded sides of one batch."""
        return self.losses(self.score(images, texts), pairs)

    def training_losses(self, batch, gather) -> dict[str, Tensor]:
        """Losses of a batch, negatives gathered from all processes.

        Args:
            batch: "images" and "texts" as `image_features` and `text_features`
                take them, and "pairs", see `losses`.
            gather: joins a tensor over processes, with gradients.
        """
        images = self.encode_images(self.image_features(batch["images"]))
        texts = self.encode_texts(self.text_features(batch["texts"]))
        images = {k: gather(v).float() for k, v in images.items()}
        texts = {k: gather(v).float() for k, v in texts.items()}
        # bf16 keeps three digits: too few for margins between scores
        device = batch["pairs"]["positive"].device.type
        with torch.autocast(device, enabled=False):
            return self.losses_of_sides(images, texts, batch["pairs"])

    def forward(self, images: Tensor | Sides, texts: Tensor | Sides) -> Tensor:
        """Scores `[B, T]` of pictures and texts, as `image_features` and
        `text_features` take them.
        """
        images, texts = self.image_features(images), self.text_features(texts)
        return self.score(self.encode_images(images), self.encode_texts(texts))


@torch.inference_mode()
def encode_sides(
    model: TwoTower, encoded: EncodedSplit, texts: bool = True
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Both sides of a split: `[n_images, ...]` and `[n_texts, ...]` each.

    The model is put into evaluation mode. Without `texts` their side is empty.
    """
    model.eval()
    device = next(model.parameters()).device
    n, parts = encoded.split.n_images, []
    many = 64 if "pixels" in encoded.features else 256
    for rows in np.split(np.arange(n), range(many, n, many)):
        found = {k: v.to(device) for k, v in encoded.images(rows).items()}
        parts.append(model.encode_images(model.image_features(found)))
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


def score_split(model: TwoTower, split: Split) -> np.ndarray:
    """Scores `[n_images, n_captions]` of a split, float32."""
    return score_encoded(model, model.encode_split(split, progress=False))


def in_chunks(pairwise, images: Sides, texts: Sides, cells: int = 2**24) -> Tensor:
    """Run a score of two sides a few images at a time: `[B, T]`.

    What `pairwise` computes in between, `[b, T, D]`, has at most `cells` numbers.
    """
    n = len(next(iter(images.values())))
    step = max(1, cells // max(1, next(iter(texts.values())).numel()))
    starts = range(0, n, step)
    parts = ({k: v[i : i + step] for k, v in images.items()} for i in starts)
    return torch.cat([pairwise(part, texts) for part in parts])
