"""The dual baseline: two towers and good practice, no idea.

Ours; no paper stands behind it. The modules of the papers are held against it:
image stages that may learn, heads of two layers with dropout, a sentence
transformer, InfoNCE in which a shared caption is a second right answer, a start
on stored vectors, and two pairs of heads. Explained in chapter 04.

    score = cos(v, t) + second_head * cos(h_v, h_t)
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from rsir.encoders.encoded_split import EncodedSplit, over_texts
from rsir.encoders.image import dihedral, random_dihedral, upper_stages
from rsir.models import END_TO_END, Config
from rsir.models.base import Sides, TwoTower
from rsir.models.layers import Standardise, head
from rsir.models.losses import contrastive, triplet_hard

MARGIN = 0.2  # of the second heads' triplet loss
SECOND = 128  # length of their vectors
#: of the start on stored vectors, chosen on RSICD's val
HEAD_BATCH, HEAD_LR, HEAD_DECAY = 256, 1e-3, 0.3


@dataclass(frozen=True)
class DualConfig(Config):
    """The dual baseline."""

    method: str = "dual"
    dim: int = 512  #: length of the vectors that are compared
    hidden: int = 2048  #: units of each head
    #: map where image stages that learn begin, "f1" to "f4"; with "" the picture
    #: stays the frozen encoder's
    start: str = ""
    #: these stages see a map in a random symmetry of the square in training, in
    #: all eight after; not for captions that say "left"
    dihedral: bool = True
    dropout: float = 0.5  #: on the picture's vectors
    text_dropout: float = 0.2  #: on the sentence's
    temperature: float = 0.07  #: divides cosines in InfoNCE
    second_head: float = 0.5  #: weight of the second pair of heads (0 for none)
    #: epochs in which heads alone learn on stored vectors, before anything else
    head_epochs: int = 0

    TITLE = "dual baseline"
    YEAR = 0


def squashing_head(dim: int, hidden: int) -> nn.Module:
    """`dim` to a short vector in (-1, 1): of another kind than `head`."""
    return nn.Sequential(
        nn.Linear(dim, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, SECOND),
        nn.Tanh(),
    )


class Dual(TwoTower):
    """Two towers whose cosine is the score.

    What stands above the image encoder's map `start` is copied, and learns.
    """

    Config = DualConfig

    def __init__(self, image_encoder, text_encoder, config: DualConfig) -> None:
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
            head(dim, config.dim, config.hidden) for dim in dims.values()
        )
        self.second = nn.ModuleDict()
        if config.second_head:
            for side, dim in dims.items():
                self.second[side] = squashing_head(dim, config.hidden)

    def encode_images(self, features: Sides) -> dict[str, Tensor]:
        """The picture as "v" `[B, dim]` and "h" `[B, 128]`, of unit length.

        Without the map `start` in `features`, stages that learn say nothing.
        """
        own = self._learned(features) if self.config.start in features else None
        pooled = self.dropout(self.standardise(features["pooled"].float()))
        v = self.to_image(pooled)  # (B, dim)
        if own is not None:
            v = v + self.to_image(self.dropout(own))
        return self._sides("image", v, pooled)

    def encode_texts(self, features: Sides) -> dict[str, Tensor]:
        """The sentence as "v" `[T, dim]` and "h" `[T, 128]`, of unit length."""
        pooled = self.text_dropout(features["pooled"].float())
        return self._sides("text", self.to_text(pooled), pooled)

    def _sides(self, side: str, v: Tensor, pooled: Tensor) -> dict[str, Tensor]:
        found = {"v": v}
        if self.second:
            found["h"] = self.second[side](pooled)
        return {name: F.normalize(x, dim=1) for name, x in found.items()}

    def _learned(self, features: Sides) -> Tensor:
        """What the stages that learn say, `[B, C]`, standardised."""
        views = [features[self.config.start].float()]
        if self.config.dihedral and self.training:
            views = [random_dihedral(views[0])]
        elif self.config.dihedral:
            views = [dihedral(views[0], view) for view in range(8)]
        cells = sum(self.stages(view).mean(1) for view in views)
        return self.standardise(cells / len(views))

    def score(self, images: Sides, texts: Sides) -> Tensor:
        """Cosines `[B, T]`, the second ones weighed."""
        scores = images["v"] @ texts["v"].T
        if self.second:
            scores = scores + self.config.second_head * images["h"] @ texts["h"].T
        return scores

    def losses_of_sides(self, images: Sides, texts: Sides, pairs: Sides):
        """InfoNCE of the first heads; triplets and InfoNCE of the second."""
        heat, positive = self.config.temperature, pairs["positive"]
        first = contrastive(images["v"] @ texts["v"].T, heat, positive)
        if not self.second:
            return {"contrastive": first}
        scores = images["h"] @ texts["h"].T
        second = contrastive(scores, heat, positive)
        second = second + triplet_hard(scores, MARGIN, positive)
        return {"contrastive": first, "second": second}

    def fit_statistics(self, train: EncodedSplit) -> None:
        """Measure the scale of pooled vectors; then the heads start alone."""
        super().fit_statistics(train)
        if self.config.head_epochs:
            self._head_start(train)

    def _head_start(self, train: EncodedSplit) -> None:
        """Train the heads on stored vectors: cheap, for nothing else moves."""
        was, device = self.training, next(self.to_image.parameters()).device
        self.eval()
        pooled = torch.as_tensor(train.features["pooled"][:]).to(device)
        with torch.no_grad():
            texts = over_texts(train.inputs, self.text_features, device)["pooled"]
        texts_of = torch.from_numpy(train.texts_of).to(device)
        captions = torch.from_numpy(train.n_captions_of).to(device)
        heads = nn.ModuleList([self.to_image, self.to_text, self.second])
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


PRESETS = {
    # toy captions say left and right, so maps are not turned
    "toy": {
        "image_size": 128,
        "text_layers": 0,
        "hidden": 512,
        "dihedral": False,
        "epochs": 30,
        "batch": 128,
        "weight_decay": 0.3,
        "eval_every": 5,
        "precision": "no",
    },
    "cpu": {
        "tta_views": (0, 1, 6),
        "start": "f3",
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
    "heads-alone": {"start": "", "text_layers": 0, "epochs": 30, "head_epochs": 0},
    "minus-second-head": {"second_head": 0.0},
    "minus-head-epochs": {"head_epochs": 0},
}
