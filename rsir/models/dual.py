"""The dual baseline: two towers and good practice, no idea.

Ours; no paper stands behind it. The modules of the papers are held against it:
several frozen image encoders, three views, heads of two layers with dropout, a
sentence transformer whose last blocks learn, InfoNCE in which a shared caption is a
second right answer, a start on stored vectors, and several pairs of heads, whose
cosines are averaged. Explained in chapter 06.

    score = mean over k of cos(v_k, t_k)

The vectors of all pairs stand in a row, so the score is one inner product, and an
index holds one vector for each picture.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from rsir.data import Split
from rsir.encoders.encoded_split import EncodedSplit, over_texts
from rsir.encoders.image import (
    dihedral,
    image_encoder,
    random_dihedral,
    upper_stages,
)
from rsir.encoders.several import Several, stored_vectors
from rsir.models import END_TO_END, Config
from rsir.models.base import Sides, TwoTower
from rsir.models.layers import Standardise, head
from rsir.models.losses import contrastive
from rsir.utils.errors import RsirError

#: of the start on stored vectors, chosen on RSICD's val
HEAD_BATCH, HEAD_LR, HEAD_DECAY = 256, 1e-3, 0.3


@dataclass(frozen=True)
class DualConfig(Config):
    """The dual baseline."""

    method: str = "dual"
    #: frozen encoders beside `image_encoder`; their vectors are put behind its own
    more_encoders: tuple[str, ...] = ()
    heads: int = 1  #: pairs of heads that learn apart
    dim: int = 512  #: length of the vectors that a pair compares
    hidden: int = 2048  #: units of each head
    #: map where image stages that learn begin, "f1" to "f4"; with "" the picture
    #: stays the frozen encoders'
    start: str = ""
    #: these stages see a map in a random symmetry of the square in training, in
    #: all eight after; not for captions that say "left"
    dihedral: bool = True
    dropout: float = 0.5  #: on the picture's vectors
    text_dropout: float = 0.2  #: on the sentence's
    temperature: float = 0.07  #: divides cosines in InfoNCE
    #: epochs in which heads alone learn on stored vectors, before anything else
    head_epochs: int = 0

    TITLE = "dual baseline"
    YEAR = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.more_encoders and self.image_trained != "none":
            raise RsirError(
                f"more_encoders is {self.more_encoders}, but image_trained is "
                f"{self.image_trained!r}: several encoders stay frozen; set "
                "image_trained='none' or more_encoders=()"
            )


class Dual(TwoTower):
    """Two towers whose inner product is the score.

    What stands above the first image encoder's map `start` is copied, and learns.
    """

    Config = DualConfig

    def __init__(self, image_encoder, text_encoder, config: DualConfig) -> None:
        if config.more_encoders:
            image_encoder = Several([image_encoder, *_more_of(config)])
        super().__init__(image_encoder, text_encoder, config)
        dims = {"image": image_encoder.dim, "text": text_encoder.dim}
        self.reads = ("pooled",)
        if config.start:
            self.reads = (config.start, "pooled")
            self.stages = upper_stages(image_encoder, config.start)
        self.standardise = Standardise(dims["image"])
        self.dropout = nn.Dropout(config.dropout)
        self.text_dropout = nn.Dropout(config.text_dropout)
        self.to_image, self.to_text = (
            nn.ModuleList(
                head(dim, config.dim, config.hidden) for _ in range(config.heads)
            )
            for dim in dims.values()
        )

    def encode_split(self, split: Split, **options) -> EncodedSplit:
        """A split as this model reads it; each encoder's vectors are stored apart."""
        if not self.config.more_encoders:
            return super().encode_split(split, **options)
        first, *_ = self.image_encoder.members
        encoded = EncodedSplit(
            split, first, self.text_encoder, self.reads, self.reads_text, **options
        )
        show = {"progress": options.get("progress", True)}
        encoded.features["pooled"] = stored_vectors(self.image_encoder, split, **show)
        return encoded

    def encode_images(self, features: Sides) -> dict[str, Tensor]:
        """The picture as "v" `[B, heads * dim]`, of unit length.

        Without the map `start` in `features`, stages that learn say nothing.
        """
        pooled = features["pooled"].float()  # (B, P)
        seen = [self.standardise(pooled)]
        if self.config.start in features:
            own = self._learned(features[self.config.start].float())  # (B, C)
            rest = pooled[:, own.shape[1] :]  # the other encoders'
            seen.append(self.standardise(torch.cat([own, rest], 1)))
        return {
            "v": _in_a_row(
                sum(to(self.dropout(x)) for x in seen) for to in self.to_image
            )
        }

    def encode_texts(self, features: Sides) -> dict[str, Tensor]:
        """The sentence as "t" `[T, heads * dim]`, of unit length."""
        pooled = features["pooled"].float()
        return {"t": _in_a_row(to(self.text_dropout(pooled)) for to in self.to_text)}

    def _learned(self, maps: Tensor) -> Tensor:
        """What the stages that learn say, `[B, C]`."""
        views = [maps]
        if self.config.dihedral and self.training:
            views = [random_dihedral(maps)]
        elif self.config.dihedral:
            views = [dihedral(maps, view) for view in range(8)]
        return sum(self.stages(view).mean(1) for view in views) / len(views)

    def score(self, images: Sides, texts: Sides) -> Tensor:
        """The mean of the pairs' cosines, `[B, T]`."""
        return images["v"] @ texts["t"].T

    def losses_of_sides(self, images: Sides, texts: Sides, pairs: Sides):
        """InfoNCE of each pair of heads, their mean."""
        heat, n = self.config.temperature, self.config.heads
        sides = zip(images["v"].chunk(n, 1), texts["t"].chunk(n, 1), strict=True)
        # a part has length 1 / sqrt(n)
        each = [contrastive(n * v @ t.T, heat, pairs["positive"]) for v, t in sides]
        return {"contrastive": sum(each) / n}

    def fit_statistics(self, train: EncodedSplit) -> None:
        """Measure the scale of pooled vectors; then the heads start alone."""
        super().fit_statistics(train)
        if self.config.head_epochs:
            self._head_start(train)

    def _head_start(self, train: EncodedSplit) -> None:
        """Train the heads on stored vectors: cheap, for nothing else moves."""
        was, device = self.training, next(self.to_image.parameters()).device
        self.eval()
        pooled = torch.from_numpy(np.array(train.features["pooled"])).to(device)
        with torch.no_grad():
            texts = over_texts(train.inputs, self.text_features, device)["pooled"]
        texts_of = torch.from_numpy(train.texts_of).to(device)
        captions = torch.from_numpy(train.n_captions_of).to(device)
        heads = nn.ModuleList([self.to_image, self.to_text])
        heads.extend([self.dropout, self.text_dropout]).train()
        optimiser = torch.optim.AdamW(
            heads.parameters(), HEAD_LR, weight_decay=HEAD_DECAY
        )
        n = len(pooled)
        batch = min(HEAD_BATCH, n)
        steps = self.config.head_epochs * (n // batch)
        schedule = OneCycleLR(optimiser, HEAD_LR, total_steps=steps, pct_start=0.1)
        for _ in range(self.config.head_epochs):
            order = torch.randperm(n).to(device)[: n // batch * batch]
            for rows in order.split(batch):
                pick = (torch.rand(batch).to(device) * captions[rows]).long()
                text = texts_of[rows].gather(1, pick[:, None])[:, 0]
                positive = (texts_of[rows][:, :, None] == text).any(1)  # (B, B)
                images = self.encode_images({"pooled": pooled[rows]})
                said = self.encode_texts({"pooled": texts[text]})
                losses = self.losses_of_sides(images, said, {"positive": positive})
                sum(losses.values()).backward()
                optimiser.step()
                optimiser.zero_grad()
                schedule.step()
        self.train(was)


def _more_of(config: DualConfig) -> list:
    options = {"size": config.image_size, "tta_views": config.tta_views}
    return [image_encoder(name, **options) for name in config.more_encoders]


def _in_a_row(vectors) -> Tensor:
    """Vectors `[B, dim]` each of length 1, one behind the other, as one of length 1."""
    parts = [F.normalize(x, dim=1) for x in vectors]
    return torch.cat(parts, 1) / len(parts) ** 0.5


PRESETS = {
    # toy captions say left and right, so maps are not turned
    "toy": {
        "image_size": 128,
        "text_layers": 0,
        "heads": 3,
        "dim": 256,
        "hidden": 384,
        "dihedral": False,
        "epochs": 30,
        "batch": 128,
        "weight_decay": 0.3,
        "eval_every": 5,
        "precision": "no",
    },
    # heads and text blocks have less than 20 MB in half precision
    "cpu": {
        "more_encoders": ("efficientnet_lite1",),
        "tta_views": (0, 1, 6),
        "heads": 3,
        "dim": 256,
        "hidden": 384,
        "text_layers": 2,
        "head_epochs": 30,
        "epochs": 3,
        "batch": 128,
        "lr": 3e-4,
        "image_lr": 2e-4,
    },
    "paper": END_TO_END | {"start": "", "dihedral": False, "head_epochs": 0},
}

VARIANTS = {
    "dual": {},
    "one-encoder": {"more_encoders": ()},
    "one-pair-of-heads": {"heads": 1},
    "text-frozen": {
        "text_layers": 0,
        "head_epochs": 0,
        "epochs": 30,
        "batch": 256,
        "lr": 1e-3,
        "weight_decay": 0.3,
    },
    "image-learns": {"start": "f3"},
}
