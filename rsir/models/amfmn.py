"""AMFMN: asymmetric multimodal feature matching network.

Source: Yuan et al., TGRS 2021, doi 10.1109/TGRS.2021.3078451; numbers at the
end of a line are its equations. Explained in chapter 02. The picture v
re-weights the sentence t, then both are compared:

    S(v, t) = cos(F_v, g(F_v) * F_t).    (4)

Ours: standardised features of frozen encoders, what the config marks so, and
S(T, T_I) (`rsir.models.caption_similarity`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rsir.data import Split
from rsir.encoders.base import FEATURES
from rsir.encoders.encoded_split import EncodedSplit
from rsir.models import Config, _mvsa_fast, losses
from rsir.models import released_weights as released
from rsir.models.base import TwoTower, in_chunks
from rsir.models.layers import Standardise, up2
from rsir.utils.errors import RsirError

EPS = 1e-8
cosine = partial(F.cosine_similarity, dim=-1, eps=EPS)

#: what the released code does otherwise
ALL_RELEASED = (
    "prelu",  # (14)(15): no PReLU
    "mean",  # (16): the mean of the compressed map, not of v_h
    "norm",  # (17)(18): no L2 norm
    "relu",  # s_g passes a linear layer and a ReLU
    "fusion",  # (22): the sigmoid is on W1
    "sim",  # (25): a gate for each number, not one
)


@dataclass(frozen=True)
class TripletConfig(Config):
    """What AMFMN and GaLR share.

    Attributes:
        dim: length of the joint space.
        mvsa: multiply v_g by the MVSA mask.
        dropout: on the pooled image vector while training.
        loss: "all" (28), "hard" (30), or "both".
        margin: a fixed one (as released 0.2), or None: dynamic, by gamma and
            beta (29).
        mask_shared: duplicates of the own caption are no negatives.
        released_bugs: differences of the released code, by name.
    """

    dim: int = 512
    mvsa: bool = True
    dropout: float = 0.1  # ours: frozen features are learnt by heart soon
    loss: str = "hard"
    margin: float | None = None
    gamma: float = 0.3  # ours: chosen on validation; the paper has 0.6
    beta: float = 5.0
    mask_shared: bool = False  # ours: the papers push duplicates apart
    released_bugs: tuple[str, ...] = ()

    BUGS = ALL_RELEASED

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("loss", ("all", "hard", "both"))
        self.check("released_bugs", self.BUGS)
        gamma, beta = self.gamma, self.beta
        if self.margin is None and not (0 < gamma < 1 and beta > 0):
            fault = f"gamma is {gamma}, beta is {beta}"
            raise RsirError(f"{fault}: eq. (29) needs 0 < gamma < 1 and beta > 0")


@dataclass(frozen=True)
class Config(TripletConfig):
    """Options of AMFMN; every part can be left out, as in the paper's Table VI.

    Attributes:
        attention: the form of VGMF: "soft", "fusion" or "sim".
        guidance: let the picture re-weight the sentence.
        keywords: add the keyword branch.
    """

    method: str = "amfmn"
    attention: str = "soft"
    guidance: bool = True
    keywords: bool = False

    TITLE = "AMFMN"
    YEAR = 2021

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("attention", ("soft", "fusion", "sim"))
        if self.keywords and not self.guidance:
            raise RsirError("keywords need guidance=True, eq. (26)")


class MVSA(nn.Module):
    """Multi-scale visual self-attention: four maps to a mask over v_g.

    The paper has five maps, the released code four, with strides 4 to 32. `side`
    is that of f3 (input size / 16).
    """

    def __init__(self, channels, side: int, dim: int, released_bugs=()) -> None:
        super().__init__()
        c1, c2, c3, c4 = channels
        self.released_bugs = released_bugs
        self.low = nn.Conv2d(c1 + c2, 3, 3, stride=4)
        self.high = nn.Conv2d(c3 + c4, 3, 1)
        self.main = nn.Conv2d(6, 1, 1)
        self.gate = nn.Conv2d(6, 1, 1)
        self.mask = nn.Linear(side * side, dim)
        bent = nn.Identity if "prelu" in released_bugs else nn.PReLU
        self.prelu_low, self.prelu_high = bent(), bent()

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        """The mask `[B, dim]`, values in (0, 1), of maps `[B, C, H, W]`."""
        v_i = self.salience(maps)
        return torch.sigmoid(self.mask(v_i.flatten(1)))  # m (B, dim)

    def salience(self, maps: tuple[Tensor, ...]) -> Tensor:
        """The filtered map `[B, 1, s, s]`, s the side of f3."""
        maps = (f.float() for f in maps)  # stored as half
        low, high, mean = _mvsa_fast.levels(self.low, self.high, *maps)
        low = self.prelu_low(low)  # (14) (B, 3, s, s)
        high = self.prelu_high(high)  # (15) (B, 3, s, s)
        if "mean" in self.released_bugs:
            mean = high.mean(1, keepdim=True)  # (B, 1, s, s)
        v_lh = torch.cat([low, high], 1) + mean  # (16) (B, 6, s, s)
        unit = v_lh if "norm" in self.released_bugs else F.normalize(v_lh, dim=1)
        v_i = self.main(unit)  # (17) (B, 1, s, s)
        v_w = torch.sigmoid(self.gate(unit))  # (18) (B, 1, s, s)
        return v_i * v_w  # (19)

    @staticmethod
    def levels(low, high, f1, f2, f3, f4) -> tuple[Tensor, Tensor, Tensor]:
        """What enters (14)-(16), as the paper has it: `_mvsa_fast` is equal."""
        f2, f4 = up2(f2), up2(f4)  # (6) (7) to the sides of f1 and f3
        v_l = torch.cat([f1, f2], 1)  # (8) (B, c1 + c2, 4s, 4s)
        v_h = torch.cat([f3, f4], 1)  # (9) (B, c3 + c4, s, s)
        return low(v_l), high(v_h), v_h.mean(1, keepdim=True)


class VGMF(nn.Module):
    """Visual-guided multimodal fusion: t' = g(F_v) * F_t of eq. (4).

    `image_side(v)` and `text_side(t)` give what a side computes alone, from
    `[B, dim]` and `[T, dim]`, to be stored; `guided(image, text)` gives t' of
    every pair `[B, T, dim]`.
    """

    layers: tuple[str, ...]  # from `inputs` vectors to one
    inputs = 1

    def __init__(self, dim: int, released_bugs: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.released_bugs = released_bugs
        for name in self.layers:
            setattr(self, name, nn.Linear(self.inputs * dim, dim))

    def score(self, image: Mapping[str, Tensor], text: Mapping[str, Tensor]) -> Tensor:
        """Scores `[B, T]`; `image` also holds F_v as "v"."""
        return in_chunks(self._pairs, image, text)

    def _pairs(self, image, text) -> Tensor:
        return cosine(image["v"][:, None], self.guided(image, text))  # (4)


class Soft(VGMF):
    """A gate from the picture, the paper's best form."""

    layers = ("gate",)

    def image_side(self, v):
        return {"gate": torch.sigmoid(self.gate(v))}

    def text_side(self, t):
        return {"t": t}

    def guided(self, image, text):
        return image["gate"][:, None] * text["t"][None]  # (20) (b, T, dim)

    def score(self, image, text):
        """Two matrix products: no `[B, T, dim]` is made."""
        v, g, t = image["v"], image["gate"], text["t"]
        top = (v * g) @ t.T  # (B, T)
        norm = ((g * g) @ (t * t).T).clamp(min=EPS**2).sqrt()
        return top / (v.norm(dim=1, keepdim=True) * norm).clamp(min=EPS)  # (4)


class Fusion(VGMF):
    """Both vectors together: W Cat(v, t) = Wa v + Wb t, each side does its half."""

    layers = ("fc1", "fc2")
    inputs = 2

    def image_side(self, v):
        halves, n = {"a1": self.fc1, "a2": self.fc2}, v.shape[1]
        return {k: F.linear(v, f.weight[:, :n], f.bias) for k, f in halves.items()}

    def text_side(self, t):
        halves, n = {"b1": self.fc1, "b2": self.fc2}, t.shape[1]
        return {k: F.linear(t, f.weight[:, n:]) for k, f in halves.items()}

    def guided(self, image, text):
        one = image["a1"][:, None] + text["b1"][None]  # (21) W1 f (b, T, dim)
        two = image["a2"][:, None] + text["b2"][None]  # (21) W2 f
        if "fusion" in self.released_bugs:
            return torch.sigmoid(one) * two
        return one * torch.sigmoid(two)  # (22)


class Sim(VGMF):
    """A gate from the similarity of both: one positive number a pair.

    It cancels in the cosine: `score` leaves it out, and W_v is never trained.
    """

    layers = ("visual", "text")

    def image_side(self, v):
        return {"fv": self.visual(v)}  # (23)

    def text_side(self, t):
        return {"ft": self.text(t)}  # (24)

    def guided(self, image, text):
        fv, ft = image["fv"][:, None], text["ft"][None]
        if "sim" in self.released_bugs:
            return torch.sigmoid(fv * ft) * ft
        gate = torch.sigmoid(F.cosine_similarity(fv, ft, dim=-1))  # (25)
        return gate[..., None] * ft

    def score(self, image, text):
        if "sim" in self.released_bugs:
            return super().score(image, text)
        return F.normalize(image["v"], dim=1) @ F.normalize(text["ft"], dim=1).T


FORMS = {"soft": Soft, "fusion": Fusion, "sim": Sim}


class TripletTower(TwoTower):
    """What AMFMN and GaLR share; the config is a `TripletConfig`."""

    @property
    def wants_similarity(self) -> bool:
        return self.config.margin is None

    def build_picture(self) -> None:
        """The layers of `masked_picture`."""
        config, encoder = self.config, self.image_encoder
        self.reads = FEATURES if config.mvsa else ("pooled",)
        self.standardise = Standardise(encoder.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.project = nn.Linear(encoder.dim, config.dim)
        sizes = encoder.channels, encoder.size // 16, config.dim
        self.mvsa = MVSA(*sizes, config.released_bugs) if config.mvsa else None

    def build_text(self) -> None:
        """`to_text`; the paper's sentences have length `dim` already."""
        width, dim = self.text_encoder.dim, self.config.dim
        if "relu" in self.config.released_bugs:
            self.to_text = nn.Sequential(nn.Linear(width, dim), nn.ReLU())
        else:
            self.to_text = nn.Identity() if width == dim else nn.Linear(width, dim)

    def masked_picture(self, features: Mapping[str, Tensor]) -> Tensor:
        """F_v = v_g * m: `[B, dim]`."""
        pooled = self.standardise(features["pooled"].float())
        v = self.project(self.dropout(pooled))  # (5) v_g (B, dim)
        maps = [features[f] for f in self.reads[:-1]]  # f1 to f4, or none
        return v * self.mvsa(maps) if maps else v

    def losses(self, scores: Tensor, pairs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Triplet losses, eqs. (28) and (30), with the margin of (29)."""
        c, margin = self.config, self.config.margin
        if margin is None:
            margin = losses.dynamic_margin(pairs["similarity"], c.gamma, c.beta)
        positive = pairs["positive"] if c.mask_shared else None
        terms = {"all": losses.triplet_all, "hard": losses.triplet_hard}
        chosen = terms if c.loss == "both" else (c.loss,)
        return {f"triplet_{n}": terms[n](scores, margin, positive) for n in chosen}

    @classmethod
    def from_official(cls, state_dict, vocabulary=None, **attention):
        """The authors' checkpoint in evaluation mode, see `released_weights.load`.

        `model(images, token_ids)` with images `[B, 3, 256, 256]`, normalised,
        and ids `[T, L]`, padded with 0, gives scores `[B, T]`; GaLR also takes X
        and A before the ids, and AMFMN the `attention` it was trained with.
        """
        fixed = {"released_bugs": cls.Config.BUGS, "loss": "all", "margin": 0.2}
        config = cls.Config(**fixed, **attention)
        return released.load(cls, config, state_dict, vocabulary)


class AMFMN(TripletTower):
    """The model; images give F_v as "v", texts what VGMF needs of them."""

    Config = Config

    def __init__(self, image_encoder, text_encoder, config: Config) -> None:
        super().__init__(image_encoder, text_encoder, config)
        dim, form = config.dim, FORMS[config.attention]
        self.build_picture()
        self.build_text()
        self.guidance = form(dim, config.released_bugs) if config.guidance else None
        if config.keywords:
            first = nn.Linear(text_encoder.dim, dim)
            self.to_keywords = nn.Sequential(first, nn.ReLU(), nn.Linear(dim, dim))
            self.guidance_k = form(dim, config.released_bugs)
            self.balance = nn.Linear(2 * dim, dim)

    def encode_split(self, split: Split, **options) -> EncodedSplit:
        """A split; with the keyword branch, a query has its picture's keywords."""
        if self.config.keywords:
            if split.keywords is None:
                raise RsirError(f"{split.dataset}: no keywords; set keywords=False")
            words = [" ".join(split.keywords[i]) for i in split.owner]
            options["extra_texts"] = {"keywords": words}
        return super().encode_split(split, **options)

    def encode_images(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """F_v, and what guidance needs of it: `[B, dim]` each."""
        v = self.masked_picture(features)
        sides = {"v": v}
        if self.guidance is not None:
            sides |= self.guidance.image_side(v)
        if self.config.keywords:
            sides |= of_keywords(self.guidance_k.image_side(v))
        return sides

    def encode_texts(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What guidance needs of "pooled", and of "keywords": `[T, dim]` each."""
        s = self.to_text(features["pooled"])  # s_g (T, dim)
        if self.guidance is None:
            return {"t": s}
        sides = self.guidance.text_side(s)
        if self.config.keywords:
            if "keywords" not in features:
                raise RsirError("keyword branch: a query needs the keywords, too")
            k = self.to_keywords(features["keywords"])  # (13) (T, dim)
            sides |= of_keywords(self.guidance_k.text_side(k))
        return sides

    def score(self, images: Mapping[str, Tensor], texts: Mapping[str, Tensor]):
        """Cosines `[B, T]`, eq. (4)."""
        if self.guidance is None:
            return F.normalize(images["v"], dim=1) @ F.normalize(texts["t"], dim=1).T
        if self.config.keywords:
            return in_chunks(self._with_keywords, images, texts)
        return self.guidance.score(images, texts)

    def _with_keywords(self, images, texts) -> Tensor:
        s = self.guidance.guided(images, texts)  # (b, T, dim)
        images_k, texts_k = (
            {name[:-2]: x for name, x in side.items() if name.endswith("_k")}
            for side in (images, texts)
        )
        k = self.guidance_k.guided(images_k, texts_k)  # (b, T, dim)
        both = torch.cat([F.normalize(s, dim=-1), F.normalize(k, dim=-1)], dim=-1)
        w = torch.sigmoid(self.balance(both))  # (26) (b, T, dim)
        fused = s * w + k * (1 - w)  # (27)
        return cosine(images["v"][:, None], fused)  # (4)


def of_keywords(side: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{name}_k": x for name, x in side.items()}


PRESETS = {
    "toy": {"text_layers": 0, "image_size": 128, "precision": "no"}
    | {"epochs": 12, "batch": 128, "patience": 20},
    # chosen on the val of RSICD and of UCM: views, batch of 64 to 256, gamma
    # of 0.1 to 0.6, loss, rate with dropout and length
    "cpu": {"tta_views": (0, 1, 6), "text_layers": 0, "gamma": 0.2}
    | {"lr": 3e-4, "dropout": 0.3, "batch": 64}
    | {"epochs": 30, "eval_every": 3, "patience": 10},
    "paper": {"image_encoder": "resnet18", "image_size": 256, "text_encoder": "gru"}
    | {"image_trained": "all", "batch_norm": "learnt", "augment": "crop-rotate"}
    | {"gamma": 0.6, "lr": 1e-4, "text_lr": 1e-4, "weight_decay": 0.0}
    | {"schedule": "step", "warmup": 0.0, "clip": 0.0, "dropout": 0.0}
    | {"batch": 128, "epochs": 150, "patience": 150},
    # in a picture of 128 pixels, a tiny thing would have six
    "world": {"text_layers": 0, "image_size": 224, "precision": "no"}
    | {"epochs": 8, "batch": 128, "patience": 20},
}

_SMALL = {"image_size": 160, "tta_views": (0,)}
#: also GaLR's: the encoder learns, at a size that two cores can train, and the
#: same without that
AT_160 = {
    "end-to-end": _SMALL
    | {"image_trained": "all", "augment": "crop-rotate", "image_lr": 1e-4}
    | {"epochs": 8, "eval_every": 1},
    "frozen-same-size": _SMALL,
}

VARIANTS = {
    "soft-minilm": {},
    "soft-gru": {"text_encoder": "gru", "word_dropout": 0.3, "epochs": 12, "lr": 1e-3},
    "abl-global": {"mvsa": False, "guidance": False},
    "abl-mvsa": {"guidance": False},
    "abl-guidance": {"mvsa": False},
    "abl-fixed": {"margin": 0.2},
    "abl-fusion": {"attention": "fusion"},
    "abl-sim": {"attention": "sim"},
    "abl-one-view": {"tta_views": (0,)},
    "tuned-minilm": {"text_layers": 2, "text_lr": 2e-4, "lr": 1e-3, "dropout": 0.1}
    | {"epochs": 8, "eval_every": 1},
    **AT_160,
}
