"""The face of systems that read a picture and a sentence at once.

EnVLF's multi-modal encoder and CFITR's single-stream module are of
this kind: they give better scores than two vectors can, but one pair
at a time. So a system has two scores. `score` compares stored vectors
and makes the list; `joint` reads the tokens of chosen pairs and orders
the top of it. Explained in chapters 04 and 05.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from rsir.models.base import Retriever


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
        self, token_ids: Tensor, keyword_ids: Tensor | None = None,
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
        encoded = encoder(token_ids) if stem is None else \
            encoder(token_ids, stem)
        missing = token_ids.shape[1] - encoded.tokens.shape[1]
        pad = torch.nn.functional.pad
        return {
            "pooled": encoded.pooled,
            "tokens": pad(encoded.tokens, (0, 0, 0, missing)),
            "mask": pad(encoded.mask, (0, missing)),
        }

    def joint(self, images: Mapping[str, Tensor],
              texts: Mapping[str, Tensor], pairs: Tensor) -> Tensor:
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


def hard_negatives(scores: Tensor, positive: Tensor, n: int,
                   temperature: float) -> tuple[Tensor, Tensor]:
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
    keys = (scores.detach() / temperature + noise).masked_fill(
        positive, float("-inf")
    )

    def drawn(keys: Tensor) -> Tensor:
        best = keys.topk(min(n, keys.shape[1]), dim=1)
        found = best.indices.masked_fill(best.values.isinf(), -1)
        missing = n - found.shape[1]
        return torch.nn.functional.pad(found, (0, missing), value=-1)

    return drawn(keys), drawn(keys.T)


def gradient_shares(losses: Mapping[str, Tensor],
                    parameters: list[Tensor]) -> dict[str, float]:
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
        norms[name] = float(torch.stack([
            g.float().square().sum() for g in grads if g is not None
        ] or [torch.zeros(())]).sum().sqrt())
    total = sum(norms.values()) or 1.0
    return {name: 100 * norm / total for name, norm in norms.items()}


@torch.inference_mode()
def _score_pairs(model, images, texts, pairs, batch, device):
    lengths = texts["text_mask"].sum(1).cpu().numpy()
    # like lengths together: little of a batch is padding then
    order = np.lexsort((pairs[:, 0], lengths[pairs[:, 1]]))
    out = np.empty(len(pairs), dtype=np.float32)
    for i in range(0, len(order), batch):
        rows = order[i:i + batch]
        part = torch.as_tensor(pairs[rows], device=device)
        out[rows] = model.joint(images, texts, part).float() \
            .cpu().numpy()
    return out


def pair_scorer(model: JointRetriever, images: Mapping[str, Tensor],
                texts: Mapping[str, Tensor], batch: int = 256
                ) -> Callable[[np.ndarray], np.ndarray]:
    """`score_pairs` for `rsir.rescore`, from encoded sides.

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
