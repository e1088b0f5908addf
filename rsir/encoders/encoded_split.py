"""A split as models read it; equal captions are one text, encoded once."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from rsir.data import Split
from rsir.encoders.feature_cache import cached_features, cached_pixels, cached_texts
from rsir.encoders.image import ImageEncoder
from rsir.encoders.text import TextEncoder, trim


class EncodedSplit:
    """What frozen encoders say of a split, computed once.

    Args:
        split: pictures and captions.
        image_encoder: if it is frozen, its features come from the disk store;
            if a part of it learns, pixels do.
        text_encoder: if all of it is frozen, its features are kept; if its
            lower blocks are, the states that these give; else token ids.
        reads: features of pictures, some of "f1" to "f4" and "pooled".
        reads_text: features of texts, some of "pooled", "tokens", "mask".
        extra_texts: strings beside each caption, such as keywords, by name.
            Then no two queries are the same, and each stands for itself.
        kept_size: side of the pixels; the encoder's, unless told otherwise.

    Attributes:
        features: of the pictures, `[n_images, ...]` each, or their "pixels".
        texts: the different captions, `[n_texts]`.
        text_id: `[n_captions]`, the text of each caption.
        texts_of, captions_of: `[n_images, most]`, texts and captions of an
            image, filled up with -1.
        n_captions_of: `[n_images]`.
        inputs: text side, `[n_texts, ...]` each: features, or "ids" (and
            "frozen_prefix", and "NAME_ids" of extra texts).
    """

    def __init__(
        self,
        split: Split,
        image_encoder: ImageEncoder,
        text_encoder: TextEncoder,
        reads: Sequence[str],
        reads_text: Sequence[str] = ("pooled",),
        *,
        extra_texts: Mapping[str, Sequence[str]] | None = None,
        kept_size: int | None = None,
        progress: bool = True,
    ) -> None:
        self.split = split
        self.features: dict[str, np.ndarray] = {}
        if reads and image_encoder.learns:
            size = kept_size or image_encoder.size
            self.features["pixels"] = cached_pixels(split, size, progress=progress)
        elif reads:
            self.features = cached_features(
                image_encoder, split, reads, progress=progress
            )
        if extra_texts:
            self.texts = list(split.captions)
            self.text_id = np.arange(split.n_captions)
        else:
            self.texts, self.text_id = split.unique_texts()
        ids = {"ids": text_encoder.tokenize(self.texts)}
        for name, strings in (extra_texts or {}).items():
            ids[f"{name}_ids"] = text_encoder.tokenize(strings)
        self.inputs = _text_inputs(text_encoder, split, ids, reads_text)
        self.n_captions_of = split.counts()
        shape = (split.n_images, self.n_captions_of.max(initial=0))
        self.captions_of, self.texts_of = np.full(shape, -1), np.full(shape, -1)
        for image, n in enumerate(self.n_captions_of):
            own = split.caption_indices(image)
            self.captions_of[image, :n] = own
            self.texts_of[image, :n] = self.text_id[own]

    def images(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """Features of some images, as they are stored."""
        found = {k: np.asarray(v).take(rows, 0) for k, v in self.features.items()}
        return {k: torch.from_numpy(v) for k, v in found.items()}

    def text_rows(self, rows) -> dict[str, Tensor]:
        """Text inputs of some texts."""
        rows = torch.as_tensor(rows)
        return {name: value[rows] for name, value in self.inputs.items()}


def _text_inputs(encoder: TextEncoder, split, ids, reads_text) -> dict[str, Tensor]:
    encoder.eval()
    device, width = next(encoder.parameters()).device, ids["ids"].shape[1]

    def features(part):
        return text_features(encoder, part, reads_text)

    def prefix(part):
        states = encoder.frozen_prefix(trim(part["ids"])).cpu()
        return {"frozen_prefix": pad(states, (0, 0, 0, width - states.shape[1]))}

    @torch.inference_mode()
    def frozen():
        found = over_texts(ids, features, device)
        return {name: value.cpu().clone() for name, value in found.items()}

    if not any(p.requires_grad for p in encoder.parameters()):
        if "tokens" in reads_text:  # too much to keep
            return frozen()
        return cached_texts(encoder, split, ids, reads_text, frozen)
    if encoder.frozen_prefix(ids["ids"][:1].to(device)) is None:
        return ids
    one = {"ids": ids["ids"]}
    what = encoder, split, one, ["frozen_prefix"]
    return ids | cached_texts(*what, lambda: over_texts(one, prefix, device))


def text_features(
    encoder: TextEncoder, inputs: Mapping[str, Tensor], reads_text: Sequence[str]
) -> dict[str, Tensor]:
    """Features of texts from their ids, as wide as "ids".

    Args:
        encoder: reads "ids" `[T, L]`, "frozen_prefix", "NAME_ids".
        reads_text: some of "pooled" `[T, D]`, "tokens" `[T, L, D]` and
            "mask" `[T, L]`; with them comes NAME `[T, D]` of extra texts.
    """
    ids = inputs["ids"]
    kept = {k: v for k, v in inputs.items() if k == "frozen_prefix"}
    encoded = encoder(ids, **kept)
    missing = ids.shape[1] - encoded.tokens.shape[1]
    every = {
        "pooled": encoded.pooled,
        "tokens": pad(encoded.tokens, (0, 0, 0, missing)),
        "mask": pad(encoded.mask, (0, missing)),
    }
    found = {name: every[name] for name in reads_text}
    for name, value in inputs.items():
        if name.endswith("_ids"):
            found[name.removesuffix("_ids")] = encoder(value).pooled
    return found


def over_texts(
    inputs: Mapping[str, Tensor],
    encode: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    device: torch.device | str = "cpu",
    batch: int = 256,
) -> dict[str, Tensor]:
    """Encode all texts, `batch` of like length together.

    Args:
        inputs: `[n_texts, ...]` each.
        encode: maps a part of `inputs`, on `device`, to tensors `[b, ...]`.

    Returns:
        Tensors `[n_texts, ...]`, in the order of `inputs`.
    """
    order = torch.arange(len(next(iter(inputs.values()))))
    if "ids" in inputs:
        order = (inputs["ids"] != 0).sum(1).argsort(stable=True)
    parts: dict[str, list[Tensor]] = {}
    for rows in order.split(batch):
        found = encode({k: v[rows].to(device) for k, v in inputs.items()})
        for name, value in found.items():
            parts.setdefault(name, []).append(value)
    back = order.argsort()
    return {k: torch.cat(v)[back.to(v[0].device)] for k, v in parts.items()}
