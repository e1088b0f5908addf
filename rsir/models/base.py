"""The face that all systems share.

A system encodes pictures and sentences apart, each into a dictionary
of tensors that can be stored, and scores any block of pairs from
these. What reads both sides at once (chapters 04 and 05) comes on top.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from rsir.data import Split
from rsir.encoders.base import FEATURES, Encoded
from rsir.encoders.feature_cache import cached_features, features_seconds
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

    def split_features(
        self, split: Split, *, progress: bool = True
    ) -> dict[str, np.ndarray]:
        """What `encode_images` reads, of all pictures of a split.

        Computed once, then read from disk: `[n_images, ...]` each.
        """
        return cached_features(self.image_encoder, split, self.reads, progress=progress)

    def features_seconds(self, split: Split) -> float:
        """Seconds that `split_features` took when it computed."""
        return features_seconds(self.image_encoder, split, self.reads)

    def text_features(
        self,
        token_ids: Tensor,
        keyword_ids: Tensor | None = None,
        stem: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """What `encode_texts` reads, from ids `[T, L]`.

        Args:
            token_ids, keyword_ids: `[T, L]`, padded with 0.
            stem: what a frozen lower part gave for `token_ids`.
        """
        encoder = self.text_encoder
        encoded = encoder(token_ids) if stem is None else encoder(token_ids, stem)
        features = {"pooled": encoded.pooled}
        if keyword_ids is not None:
            features["keywords"] = self.text_encoder(keyword_ids).pooled
        return features

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

    def losses(
        self,
        scores: Tensor,
        pairs: Mapping[str, Tensor],
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

    def forward(
        self,
        images: Tensor | Mapping[str, Tensor],
        texts: Tensor | Mapping[str, Tensor],
    ) -> Tensor:
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


def named_features(encoded: Encoded, names: tuple[str, ...]) -> dict[str, Tensor]:
    """Features of an encoder's output, by the names in `FEATURES`."""
    every = dict(zip(FEATURES, (*encoded.maps, encoded.pooled)))
    return {name: every[name] for name in names}


def in_chunks(
    pairwise,
    images: Mapping[str, Tensor],
    texts: Mapping[str, Tensor],
    cells: int = 2**24,
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
    return torch.cat(
        [
            pairwise({k: v[i : i + step] for k, v in images.items()}, texts)
            for i in range(0, n, step)
        ]
    )


# ----------------------------------------------------------------------
# The face of systems that read a picture and a sentence at once.
#
# EnVLF's multi-modal encoder and CFITR's single-stream module are of
# this kind: they give better scores than two vectors can, but one pair
# at a time. So a system has two scores. `score` compares stored vectors
# and makes the list; `joint` reads the tokens of chosen pairs and orders
# the top of it. Explained in chapters 04 and 05.


class JointRetriever(Retriever):
    """A retriever that can also read both sides at once.

    What a subclass gives, on top of `Retriever`:

    * `text_features` also gives "tokens" `[T, L, dim]` and "mask"
      `[T, L]` (done here);
    * `encode_images` also gives "image_tokens" `[B, P, D]`;
    * `encode_texts` also gives "text_tokens" `[T, L, D]` and
      "text_mask" `[T, L]`, True where a token is real;
    * `joint` scores chosen pairs from these.

    All of these can be stored: pictures and sentences are read once,
    however many pairs are scored after.

    Attributes:
        reading: how much of what `joint` reads counts beside what it
            has without reading; 1 while training.
    """

    reading: float = 1.0

    def text_features(
        self,
        token_ids: Tensor,
        keyword_ids: Tensor | None = None,
        stem: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Sentence and words: "pooled", "tokens" and "mask".

        Args:
            token_ids: `[T, L]`, padded with 0.
            keyword_ids: not read by joint systems.
            stem: what a frozen lower part gave for `token_ids`.

        Returns:
            "pooled" `[T, dim]`, "tokens" `[T, L, dim]`, "mask"
            `[T, L]`; as wide as `token_ids`, so that parts of a
            split fit together.
        """
        encoder = self.text_encoder
        encoded = encoder(token_ids) if stem is None else encoder(token_ids, stem)
        missing = token_ids.shape[1] - encoded.tokens.shape[1]
        pad = torch.nn.functional.pad
        return {
            "pooled": encoded.pooled,
            "tokens": pad(encoded.tokens, (0, 0, 0, missing)),
            "mask": pad(encoded.mask, (0, missing)),
        }

    def joint(
        self, images: Mapping[str, Tensor], texts: Mapping[str, Tensor], pairs: Tensor
    ) -> Tensor:
        """Match scores of chosen pairs, higher is closer.

        Args:
            images: what `encode_images` gave, `[B, ...]` each.
            texts: what `encode_texts` gave, `[T, ...]` each.
            pairs: int64 `[N, 2]`: row in `images`, row in `texts`.

        Returns:
            `[N]`, on a scale of its own, with gradients.
        """
        raise NotImplementedError


def trim_tokens(tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Drop the places that pad every sentence.

    Args:
        tokens: `[N, L, D]`.
        mask: `[N, L]`, True at the first places of each row.

    Returns:
        `[N, l, D]` and `[N, l]`, l the longest row.
    """
    longest = max(1, int(mask.sum(1).max()))
    return tokens[:, :longest], mask[:, :longest]


def hard_negatives(
    scores: Tensor, positive: Tensor, n: int, temperature: float
) -> tuple[Tensor, Tensor]:
    """Wrong partners that look right, drawn by their score.

    Drawn without replacement with probability proportional to
    exp(score / temperature), as in ALBEF: the hardest alone would
    often be a picture that fits as well, only nobody wrote it down.

    Args:
        scores: `[B, T]` of the list-making score.
        positive: `[B, T]`, True where a caption is one of the
            image's own, as text: never drawn.
        n: how many for each.
        temperature: small draws the hardest.

    Returns:
        Texts for each image `[B, n]` and images for each text
        `[T, n]`; -1 where no wrong partner is left.
    """
    noise = -torch.empty_like(scores).exponential_().log()  # Gumbel
    keys = (scores.detach() / temperature + noise).masked_fill(positive, float("-inf"))

    def drawn(keys: Tensor) -> Tensor:
        best = keys.topk(min(n, keys.shape[1]), dim=1)
        found = best.indices.masked_fill(best.values.isinf(), -1)
        missing = n - found.shape[1]
        return torch.nn.functional.pad(found, (0, missing), value=-1)

    return drawn(keys), drawn(keys.T)


def gradient_shares(
    losses: Mapping[str, Tensor], parameters: list[Tensor]
) -> dict[str, float]:
    """How much of the gradient comes from which loss, in percent.

    Norms of the gradients of each loss by itself, and their share of
    the sum of these norms.

    Args:
        losses: named scalars of one graph.
        parameters: those that are asked about.
    """
    norms = {}
    for name, value in losses.items():
        grads = torch.autograd.grad(
            value, parameters, retain_graph=True, allow_unused=True
        )
        norms[name] = float(
            torch.stack(
                [g.float().square().sum() for g in grads if g is not None]
                or [torch.zeros(())]
            )
            .sum()
            .sqrt()
        )
    total = sum(norms.values()) or 1.0
    return {name: 100 * norm / total for name, norm in norms.items()}


@torch.inference_mode()
def _score_pairs(model, images, texts, pairs, batch, device):
    lengths = texts["text_mask"].sum(1).cpu().numpy()
    # like lengths together: little of a batch is padding then
    order = np.lexsort((pairs[:, 0], lengths[pairs[:, 1]]))
    out = np.empty(len(pairs), dtype=np.float32)
    for i in range(0, len(order), batch):
        rows = order[i : i + batch]
        part = torch.as_tensor(pairs[rows], device=device)
        out[rows] = model.joint(images, texts, part).float().cpu().numpy()
    return out


def pair_scorer(
    model: JointRetriever,
    images: Mapping[str, Tensor],
    texts: Mapping[str, Tensor],
    batch: int = 256,
) -> Callable[[np.ndarray], np.ndarray]:
    """`score_pairs` for `rsir.retrieval.two_stage`, from encoded sides.

    Args:
        model: is put into evaluation mode.
        images, texts: what `encode_corpus` gave.
        batch: pairs read at a time; memory grows with it.

    Returns:
        A function: int pairs `[N, 2]` (image, text) to float32 `[N]`.
    """
    model.eval()
    device = next(model.parameters()).device

    def score_pairs(pairs: np.ndarray) -> np.ndarray:
        pairs = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
        return _score_pairs(model, images, texts, pairs, batch, device)

    return score_pairs
