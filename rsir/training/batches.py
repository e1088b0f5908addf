"""From a split to batches: cached features, token ids, pairs.

Explained in chapter 02.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.data import Dataset

from rsir.data import Split
from rsir.encoders.text import trim
from rsir.models.base import Retriever
from rsir.models.caption_similarity import CaptionSimilarity
from rsir.utils.errors import RsirError

NONE = -1


class Corpus:
    """A split as a model reads it.

    Equal captions are tokenised and encoded once. Images come as
    cached features of the frozen encoder.

    Attributes:
        split: where it comes from.
        features: of the pictures, `[n_images, ...]` each.
        text_id: `[n_captions]`, index of each caption's text.
        texts_of: `[n_images, most]`, text ids of an image, padded
            with -1.
        inputs: text side, `[n_texts, ...]` each: "ids" (and
            "keyword_ids"), or the features of a frozen encoder.
    """

    def __init__(
        self, split: Split, model: Retriever, *, progress: bool = True
    ) -> None:
        self.split = split
        self.features = model.split_features(split, progress=progress)
        self.texts, self.text_id = split.unique_texts()
        keywords = getattr(model, "keywords", False)
        self.inputs = self._text_inputs(model, keywords)
        counts = np.bincount(split.owner, minlength=split.n_images)
        self.texts_of = np.full((split.n_images, counts.max()), NONE, dtype=np.int64)
        self.captions_of = self.texts_of.copy()
        self.n_captions_of = counts
        place = np.zeros(split.n_images, dtype=np.int64)
        for caption, image in enumerate(split.owner):
            self.texts_of[image, place[image]] = self.text_id[caption]
            self.captions_of[image, place[image]] = caption
            place[image] += 1

    def _text_inputs(self, model, keywords: bool) -> dict[str, Tensor]:
        if not keywords:
            inputs = {"ids": model.text_encoder.tokenize(self.texts)}
            return self._frozen(model, inputs)
        if self.split.keywords is None:
            raise RsirError(
                f"{self.split.dataset}: this data set has no keywords; "
                "set keywords=False"
            )
        # a query is a sentence with the keywords of its picture: no
        # two queries are the same, so each caption stands for itself
        self.texts = list(self.split.captions)
        self.text_id = np.arange(self.split.n_captions)
        words = [" ".join(k) for k in self.split.keywords]
        of_image = model.text_encoder.tokenize(words)
        return self._frozen(
            model,
            {
                "ids": model.text_encoder.tokenize(self.texts),
                "keyword_ids": of_image[torch.tensor(self.split.owner)],
            },
        )

    def _frozen(self, model, inputs) -> dict[str, Tensor]:
        """Features in place of ids, if the text encoder is frozen.

        If only its lower part is, the states of that are kept.
        """
        model.text_encoder.eval()
        if any(p.requires_grad for p in model.text_encoder.parameters()):
            return inputs | self._stem(model, inputs["ids"])
        device = next(model.text_encoder.parameters()).device

        def encode(part):
            part = {k: v.to(device) for k, v in part.items()}
            return model.text_features(part["ids"], part.get("keyword_ids"))

        with torch.inference_mode():
            out = over_texts(inputs, encode)
        return {k: v.cpu().clone() for k, v in out.items()}

    def _stem(self, model, ids: Tensor) -> dict[str, Tensor]:
        """States of a frozen lower part, `[n_texts, L, D]`, half."""
        encoder = model.text_encoder
        device = next(encoder.parameters()).device
        if encoder.stem(ids[:1].to(device)) is None:
            return {}
        width = ids.shape[1]

        def encode(part):
            states = encoder.stem(trim(part["ids"]).to(device)).cpu()
            missing = width - states.shape[1]
            return {"stem": pad(states, (0, 0, 0, missing))}

        return over_texts({"ids": ids}, encode)

    def images(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """Features of some images, float16 as they are stored."""
        return {
            name: torch.from_numpy(array[rows]) for name, array in self.features.items()
        }

    def text_rows(self, rows) -> dict[str, Tensor]:
        """Text inputs of some texts."""
        rows = torch.as_tensor(rows)
        return {name: x[rows] for name, x in self.inputs.items()}


def over_texts(
    inputs: Mapping[str, Tensor], encode, batch: int = 256
) -> dict[str, Tensor]:
    """Encode all texts, short ones together.

    Args:
        inputs: `[n_texts, ...]` each.
        encode: maps a part of `inputs` to tensors `[b, ...]`.
        batch: texts at a time.

    Returns:
        Tensors `[n_texts, ...]`, in the order of `inputs`.
    """
    n = len(next(iter(inputs.values())))
    order = torch.arange(n)
    if "ids" in inputs:
        order = (inputs["ids"] != 0).sum(1).argsort(stable=True)
    parts: dict[str, list[Tensor]] = {}
    for i in range(0, n, batch):
        rows = order[i : i + batch]
        out = encode({k: v[rows] for k, v in inputs.items()})
        for name, value in out.items():
            parts.setdefault(name, []).append(value)
    back = order.argsort()
    return {k: torch.cat(v)[back.to(v[0].device)] for k, v in parts.items()}


class Batches(Dataset):
    """Items of one epoch: every image once, with one of its captions.

    Order and captions are drawn from (seed, epoch), so a resumed run
    sees what the killed one would have seen.

    Args:
        corpus: the train split.
        seed: of order and captions.
    """

    def __init__(self, corpus: Corpus, seed: int) -> None:
        self.corpus, self.seed = corpus, seed
        empty = np.flatnonzero(corpus.n_captions_of == 0)
        if len(empty):
            raise RsirError(
                f"{corpus.split.dataset} {corpus.split.name}: image "
                f"{corpus.split.ids[empty[0]]} has no caption to learn "
                "from; leave it out with Split.subset"
            )
        self.draw(0)

    # not named set_epoch: Accelerate would call that with a count of
    # its own, which starts at 0 again in a resumed run
    def draw(self, epoch: int) -> None:
        """Draw order and captions of an epoch."""
        draw = np.random.default_rng([self.seed, epoch])
        n = self.corpus.split.n_images
        self.order = draw.permutation(n)
        self.pick = (draw.random(n) * self.corpus.n_captions_of).astype(np.int64)

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, place: int) -> dict:
        return self.__getitems__([place])

    def __getitems__(self, places: list[int]) -> dict:
        """A batch, see `training_losses`; ids tell who is who."""
        corpus = self.corpus
        image = self.order[places]  # (B,)
        caption = corpus.captions_of[image, self.pick[image]]
        text = corpus.text_id[caption]
        return {
            "images": corpus.images(image),
            "texts": corpus.text_rows(text),
            "image": torch.from_numpy(image),
            "caption": torch.from_numpy(caption),
            "text": torch.from_numpy(np.asarray(text)),
            "texts_of": torch.from_numpy(corpus.texts_of[image]),
        }


class Pairs:
    """What is known of every pair of a batch: `[B, B]` each.

    Args:
        corpus: the train split.
        similarity: also compute S of AMFMN's eq. (29).
    """

    def __init__(self, corpus: Corpus, similarity: bool) -> None:
        split = corpus.split
        self.similarity = (
            CaptionSimilarity(split.captions, split.owner) if similarity else None
        )

    def __call__(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """ "positive" and, if asked for, "similarity".

        Args:
            batch: ids of all processes together: "image" `[B]`,
                "caption" `[B]`, "text" `[B]`, "texts_of" `[B, most]`.
        """
        same = batch["texts_of"][:, :, None] == batch["text"]
        pairs = {"positive": same.any(dim=1)}  # (B images, B texts)
        if self.similarity is not None:
            block = self.similarity.block(
                batch["caption"].cpu().numpy(),
                batch["image"].cpu().numpy(),
            )  # (B texts, B images)
            pairs["similarity"] = torch.from_numpy(np.ascontiguousarray(block.T)).to(
                batch["text"].device
            )
        return pairs
