"""The dual baseline: two towers and good practice, no idea.

Ours; no paper stands behind it. It is what the modules of the papers are held
against: frozen features of several views, image stages that may learn, heads
of two layers with dropout, a sentence transformer, InfoNCE in which a shared
caption is a second right answer, a start on stored vectors, and two pairs of
heads, which err differently. Explained in chapter 04.

    score = cos(v, t) + second_head * cos(h_v, h_t)
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from rsir.encoders.encoded_split import EncodedSplit, over_texts
from rsir.encoders.image import ImageEncoder, dihedral, random_dihedral, upper_stages
from rsir.encoders.text import TextEncoder
from rsir.models import Config
from rsir.models.base import TwoTower
from rsir.models.layers import Standardise, head
from rsir.models.losses import contrastive, triplet_hard

MARGIN = 0.2  # of the second heads' triplet loss
SECOND = 128  # length of their vectors
#: of the start on stored vectors, chosen on RSICD's val
HEAD_BATCH, HEAD_LR, HEAD_DECAY = 256, 1e-3, 0.3


@dataclass(frozen=True)
class DualConfig(Config):
    """The dual baseline.

    Attributes:
        dim: length of the vectors that are compared.
        hidden: units of each head.
        start: map where image stages that learn begin, "f1" to "f4"; "":
            the picture stays the frozen encoder's.
        dihedral: these stages see each map in a random symmetry of the
            square while training, and in all eight after. Not for captions
            that say "left".
        dropout, text_dropout: on what the heads read.
        temperature: divides cosines in InfoNCE.
        second_head: weight of the second pair of heads; 0: none.
        head_epochs: epochs in which heads alone learn on stored vectors,
            before anything else.
    """

    method: str = "dual"
    dim: int = 512
    hidden: int = 2048
    start: str = ""
    dihedral: bool = True
    dropout: float = 0.5
    text_dropout: float = 0.2
    temperature: float = 0.07
    second_head: float = 0.5
    head_epochs: int = 0

    TITLE = "dual baseline"
    YEAR = 0


class SecondHeads(nn.Module):
    """Short, squashed vectors of both sides: of another kind than the first."""

    def __init__(self, image_dim: int, text_dim: int, hidden: int) -> None:
        super().__init__()
        self.image, self.text = (
            nn.Sequential(
                nn.Linear(dim, hidden),
                nn.BatchNorm1d(hidden),
                nn.ReLU(),
                nn.Linear(hidden, SECOND),
                nn.Tanh(),
            )
            for dim in (image_dim, text_dim)
        )


class Dual(TwoTower):
    """Two towers whose cosine is the score.

    Args:
        image_encoder: frozen; with `start`, what stands above that map is
            copied, and learns.
        text_encoder: a sentence transformer, frozen or not.
        config: see `DualConfig`.
    """

    Config = DualConfig

    def __init__(
        self, image_encoder: ImageEncoder, text_encoder: TextEncoder, config
    ) -> None:
        super().__init__(image_encoder, text_encoder, config)
        image_dim, text_dim = image_encoder.dim, text_encoder.dim
        self.reads = (config.start, "pooled") if config.start else ("pooled",)
        self.stages = None
        if config.start:
            self.stages = upper_stages(image_encoder, config.start)
        self.standardise = Standardise(image_dim)
        self.dropout = nn.Dropout(config.dropout)
        self.text_dropout = nn.Dropout(config.text_dropout)
        self.to_image = head(image_dim, config.dim, config.hidden)
        self.to_text = head(text_dim, config.dim, config.hidden)
        self.second = None
        if config.second_head:
            self.second = SecondHeads(image_dim, text_dim, config.hidden)

    def train(self, mode: bool = True) -> "Dual":
        """As usual, but stages keep the statistics they came with."""
        super().train(mode)
        if self.stages is not None:
            self.stages.eval()
        return self

    # -- both sides -----------------------------------------------------------

    def encode_images(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The picture as "v" `[B, dim]` and "h" `[B, 128]`, of unit length."""
        pooled = self.standardise(features["pooled"].float())
        own = None if self.stages is None else self._learned(features)
        return self._image_sides(pooled, own)

    def encode_texts(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The sentence as "v" `[T, dim]` and "h" `[T, 128]`, of unit length."""
        pooled = self.text_dropout(features["pooled"].float())
        sides = {"v": F.normalize(self.to_text(pooled), dim=1)}
        if self.second is not None:
            sides["h"] = F.normalize(self.second.text(pooled), dim=1)
        return sides

    def _image_sides(self, pooled: Tensor, own: Tensor | None) -> dict[str, Tensor]:
        """From standardised vectors `[B, C]`, the frozen one and the learned."""
        pooled = self.dropout(pooled)
        v = self.to_image(pooled)  # (B, dim)
        if own is not None:
            v = v + self.to_image(self.dropout(own))
        sides = {"v": F.normalize(v, dim=1)}
        if self.second is not None:
            sides["h"] = F.normalize(self.second.image(pooled), dim=1)
        return sides

    def _learned(self, features: Mapping[str, Tensor]) -> Tensor:
        """What the stages that learn say, `[B, C]`, standardised."""
        maps = features[self.config.start].float()
        if not self.config.dihedral:
            views = [maps]
        elif self.training:
            views = [random_dihedral(maps)]
        else:
            views = [dihedral(maps, view) for view in range(8)]
        cells = sum(self.stages(view).mean(1) for view in views)
        return self.standardise(cells / len(views))

    def score(
        self, images: Mapping[str, Tensor], texts: Mapping[str, Tensor]
    ) -> Tensor:
        """Cosines `[B, T]`, the second ones weighed."""
        scores = images["v"] @ texts["v"].T
        if self.second is not None:
            scores = scores + self.config.second_head * images["h"] @ texts["h"].T
        return scores

    # -- training -------------------------------------------------------------

    def training_losses(self, batch, gather) -> dict[str, Tensor]:
        """InfoNCE of the first heads; triplets and InfoNCE of the second."""
        images = self.encode_images(batch["images"])
        texts = self.encode_texts(self.text_features(batch["texts"]))
        images = {k: gather(x).float() for k, x in images.items()}
        texts = {k: gather(x).float() for k, x in texts.items()}
        positive = batch["pairs"]["positive"]
        with torch.autocast(positive.device.type, enabled=False):
            return self._losses(images, texts, positive)

    def _losses(self, images, texts, positive: Tensor) -> dict[str, Tensor]:
        heat = self.config.temperature
        first = contrastive(images["v"] @ texts["v"].T, heat, positive)
        if self.second is None:
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
        """Train the heads on stored vectors; nothing else moves.

        What they can learn from vectors that are computed once is cheap here,
        and expensive where stages compute every picture anew in every epoch.
        """
        was, device = self.training, self.to_image[0].weight.device
        self.eval()
        with torch.no_grad():
            pooled = torch.as_tensor(train.features["pooled"][:]).float()
            pooled = self.standardise(pooled.to(device))
            texts = over_texts(train.inputs, self.text_features, device)["pooled"]
        texts_of = torch.from_numpy(train.texts_of).to(device)
        captions = torch.from_numpy(train.n_captions_of).to(device)
        heads = [m for m in (self.to_image, self.to_text, self.second) if m is not None]
        for module in (*heads, self.dropout, self.text_dropout):
            module.train()
        parameters = [p for m in heads for p in m.parameters()]
        optimiser = torch.optim.AdamW(parameters, HEAD_LR, weight_decay=HEAD_DECAY)
        n = len(pooled)
        batch = min(HEAD_BATCH, n)
        steps = self.config.head_epochs * (n // batch)
        schedule = OneCycleLR(optimiser, HEAD_LR, total_steps=steps, pct_start=0.1)
        for step in range(steps):
            if step % (n // batch) == 0:
                order = torch.randperm(n).to(device)
            start = step % (n // batch) * batch
            rows = order[start : start + batch]
            pick = (torch.rand(batch).to(device) * captions[rows]).long()
            text = texts_of[rows].gather(1, pick[:, None])[:, 0]
            positive = (texts_of[rows][:, :, None] == text).any(1)  # (B, B)
            images = self._image_sides(pooled[rows], None)
            said = self.encode_texts({"pooled": texts[text]})
            loss = sum(self._losses(images, said, positive).values())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        optimiser.zero_grad()  # nothing is left for the next optimiser
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
    "paper": {
        "image_encoder": "vit_base",
        "start": "f1",
        "dihedral": False,
        "text_encoder": "google-bert/bert-base-uncased",
        "text_layers": None,
        "epochs": 30,
        "batch": 128,
        "lr": 1e-4,
        "image_lr": 2e-5,
        "text_lr": 2e-5,
    },
}

VARIANTS = {
    "dual": {},
    "heads-alone": {"start": "", "text_layers": 0, "epochs": 30, "head_epochs": 0},
    "minus-second-head": {"second_head": 0.0},
    "minus-head-epochs": {"head_epochs": 0},
}
