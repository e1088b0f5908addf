"""MVSA, the multi-scale visual self-attention of AMFMN and GaLR.

Source: AMFMN paper, eqs. (6)-(9) and (14)-(19), and as released.
Explained in chapter 02.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rsir.encoders.base import FEATURES
from rsir.encoders.image import ImageEncoder
from rsir.encoders.text import TextEncoder
from rsir.models import losses
from rsir.models.base import Retriever, in_chunks
from rsir.models.layers import Standardise
from rsir.utils.errors import RsirError


class MVSA(nn.Module):
    """From four maps to a mask over the global vector.

    Low maps f1, f2 are compressed to the grid of f3 and joined with
    the compressed high maps f3, f4. Two 1x1 convolutions, one of them
    a gate, leave one value a cell; a linear layer turns the grid into
    a mask in (0, 1) that tells which parts of the global vector count.

    The paper has five maps, the released code four; both variants
    here read four.

    Args:
        channels: of the maps with strides 4, 8, 16, 32.
        side: height and width of f3 (input size / 16).
        dim: length of the mask (512).
        variant: "paper": PReLU after compression, the channel mean of
            the uncompressed high maps is added, L2 norm before the
            1x1 convolutions. "released": none of these; the mean of
            the compressed high map is added.
        width: channels after compression (3).
    """

    def __init__(
        self,
        channels: tuple[int, ...],
        side: int,
        dim: int,
        variant: str = "paper",
        width: int = 3,
    ) -> None:
        super().__init__()
        if variant not in ("paper", "released"):
            raise RsirError(f"variant is {variant!r}: 'paper' or 'released'")
        c1, c2, c3, c4 = channels
        self.variant = variant
        self.low = nn.Conv2d(c1 + c2, width, 3, stride=4)
        self.high = nn.Conv2d(c3 + c4, width, 1)
        self.main = nn.Conv2d(2 * width, 1, 1)
        self.gate = nn.Conv2d(2 * width, 1, 1)
        self.mask = nn.Linear(side * side, dim)
        if variant == "paper":
            self.prelu_low = nn.PReLU()
            self.prelu_high = nn.PReLU()

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        """The mask `[B, dim]`, values in (0, 1).

        Args:
            maps: `[B, C, H, W]` with strides 4, 8, 16 and 32.
        """
        return torch.sigmoid(self.mask(self.salience(maps).flatten(1)))

    def salience(self, maps: tuple[Tensor, ...]) -> Tensor:
        """The gated one-channel map `[B, 1, side, side]`, eq. (19)."""
        f1, f2, f3, f4 = (f.float() for f in maps)  # stored as half
        low = compress_low(self.low, f1, f2)  # (B, 3, s, s)
        high = compress_high(self.high, f3, f4)  # (B, 3, s, s)
        if self.variant == "paper":
            low = self.prelu_low(low)  # eq. (14)
            high = self.prelu_high(high)  # eq. (15)
            mean = mean_of_high(f3, f4)  # (B, 1, s, s)
        else:
            mean = high.mean(1, keepdim=True)
        both = torch.cat([low, high], 1) + mean  # (B, 6, s, s), (16)
        if self.variant == "paper":
            both = F.normalize(both, dim=1)  # L2 in (17), (18)
        return self.main(both) * torch.sigmoid(self.gate(both))


def compress_low(conv: nn.Conv2d, f1: Tensor, f2: Tensor) -> Tensor:
    """`conv(Cat(f1, up2(f2)))` without building the joint map.

    A 3x3 window with stride 4 on the doubled f2 sees rows
    2i, 2i, 2i+1 of f2: a 2x2 window with stride 2 and summed weights.

    Args:
        conv: kernel 3, stride 4, no padding.
        f1, f2: maps with strides 4 and 8.

    Returns:
        `[B, width, s, s]` where s is a quarter of f1's side.
    """
    c1 = f1.shape[1]
    w1, w2 = conv.weight[:, :c1], conv.weight[:, c1:]
    # rows 0 and 1 of the kernel meet the same row of f2
    w2 = torch.stack([w2[:, :, 0] + w2[:, :, 1], w2[:, :, 2]], 2)
    w2 = torch.stack([w2[..., 0] + w2[..., 1], w2[..., 2]], 3)
    # only 9 of 16 cells of f1 meet the kernel: take these, then matmul
    seen = f1.unfold(2, 3, 4).unfold(3, 3, 4)  # (B, C, s, s, 3, 3)
    fine = torch.einsum("bchwij,ocij->bohw", seen, w1)
    coarse = F.conv2d(f2, w2, conv.bias, stride=2)
    return fine + coarse


def compress_high(conv: nn.Conv2d, f3: Tensor, f4: Tensor) -> Tensor:
    """`conv(Cat(f3, up2(f4)))` with the 1x1 convolution done first."""
    c3 = f3.shape[1]
    coarse = F.conv2d(f4, conv.weight[:, c3:])
    return F.conv2d(f3, conv.weight[:, :c3], conv.bias) + up2(coarse)


def mean_of_high(f3: Tensor, f4: Tensor) -> Tensor:
    """Channel mean of `Cat(f3, up2(f4))`: `[B, 1, s, s]`."""
    total = f3.sum(1, keepdim=True) + up2(f4.sum(1, keepdim=True))
    return total / (f3.shape[1] + f4.shape[1])


def up2(x: Tensor) -> Tensor:
    """Nearest-neighbour doubling of height and width."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


# ----------------------------------------------------------------------
# What systems with the triplet loss share: its options.
#
# Source: AMFMN paper, eqs. (28)-(30). Explained in chapter 02.


class TripletRetriever(Retriever):
    """A retriever that learns from triplets.

    Attributes:
        loss: "all" (28), "hard" (30), or "both".
        margin: of the fixed margin, or None for the dynamic one.
        gamma, beta: of the dynamic margin, eq. (29).
        mask_shared: treat shared captions as positives (ours).
    """

    def set_loss(
        self,
        loss: str,
        margin: float | None,
        gamma: float,
        beta: float,
        mask_shared: bool,
    ) -> None:
        """Keep the options.

        Raises:
            RsirError: for an option that does not exist.
        """
        if loss not in ("all", "hard", "both"):
            raise RsirError(f"loss is {loss!r}: 'all', 'hard' or 'both'")
        if margin is None and not (0 < gamma < 1 and beta > 0):
            raise RsirError(
                f"gamma is {gamma}, beta is {beta}: eq. (29) needs "
                "0 < gamma < 1 and beta > 0"
            )
        self.loss, self.margin = loss, margin
        self.gamma, self.beta = gamma, beta
        self.mask_shared = mask_shared

    @property
    def wants_similarity(self) -> bool:
        """The dynamic margin needs S(T, T_I)."""
        return self.margin is None

    def losses(self, scores: Tensor, pairs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Triplet losses of eqs. (28) and (30)."""
        margin = self.margin
        if margin is None:
            margin = losses.dynamic_margin(
                pairs["similarity"], self.gamma, self.beta
            )  # eq. (29)
        positive = pairs["positive"] if self.mask_shared else None
        terms = {}
        if self.loss in ("all", "both"):
            terms["triplet_all"] = losses.triplet_all(scores, margin, positive)
        if self.loss in ("hard", "both"):
            terms["triplet_hard"] = losses.triplet_hard(scores, margin, positive)
        return terms


# ----------------------------------------------------------------------
# AMFMN: asymmetric multimodal feature matching network.
#
# Source: Yuan et al., TGRS 2021 (doi 10.1109/TGRS.2021.3078451); where
# the released code differs, `variant` decides. Explained in chapter 02.
#
# The score is asymmetric, eq. (4): the picture v re-weights the
# sentence t before both are compared,
#
#     S(v, t) = cos(F_v, g(F_v) * F_t).


EPS = 1e-8


class VGMF(nn.Module):
    """Visual-guided multimodal fusion, g(F_v) * F_t of eq. (4).

    Each kind is split into what the image side and the text side can
    compute alone (stored), and what a pair needs.

    Args:
        dim: length of both vectors.
        attention: "soft", eq. (20): t' = sigmoid(W v) * t.
            "fusion", eqs. (21)(22): t' = W1 f * sigmoid(W2 f) with
            f = Cat(v, t); as released the sigmoid is on W1.
            "sim", eqs. (23)-(25): t' = sigmoid(cos(f_v, f_t)) * f_t
            with f_v = W_v v, f_t = W_t t; as released the gate is
            sigmoid(f_v * f_t), element by element.
        variant: "paper" or "released".
    """

    def __init__(self, dim: int, attention: str, variant: str) -> None:
        super().__init__()
        self.attention, self.variant = attention, variant
        if attention == "soft":
            self.gate = nn.Linear(dim, dim)
        elif attention == "fusion":
            self.fc1 = nn.Linear(2 * dim, dim)
            self.fc2 = nn.Linear(2 * dim, dim)
        elif attention == "sim":
            self.visual = nn.Linear(dim, dim)
            self.text = nn.Linear(dim, dim)
        else:
            raise RsirError(f"attention is {attention!r}: 'soft', 'fusion' or 'sim'")

    def image_side(self, v: Tensor) -> dict[str, Tensor]:
        """What the picture contributes: tensors `[B, dim]`."""
        if self.attention == "soft":
            return {"gate": torch.sigmoid(self.gate(v))}
        if self.attention == "sim":
            return {"fv": self.visual(v)}
        # W Cat(v, t) = Wa v + Wb t: each side does its half
        half = v.shape[1]
        return {
            "a1": F.linear(v, self.fc1.weight[:, :half], self.fc1.bias),
            "a2": F.linear(v, self.fc2.weight[:, :half], self.fc2.bias),
        }

    def text_side(self, t: Tensor) -> dict[str, Tensor]:
        """What the sentence contributes: tensors `[T, dim]`."""
        if self.attention == "soft":
            return {"t": t}
        if self.attention == "sim":
            return {"ft": self.text(t)}
        half = t.shape[1]
        return {
            "b1": F.linear(t, self.fc1.weight[:, half:]),
            "b2": F.linear(t, self.fc2.weight[:, half:]),
        }

    def guided(self, image: Mapping[str, Tensor], text: Mapping[str, Tensor]) -> Tensor:
        """t' of every pair: `[b, T, dim]`."""
        if self.attention == "soft":
            return image["gate"][:, None] * text["t"][None]
        if self.attention == "fusion":
            one = image["a1"][:, None] + text["b1"][None]
            two = image["a2"][:, None] + text["b2"][None]
            if self.variant == "released":
                return torch.sigmoid(one) * two
            return one * torch.sigmoid(two)  # eq. (22)
        fv, ft = image["fv"][:, None], text["ft"][None]
        if self.variant == "released":
            return torch.sigmoid(fv * ft) * ft
        gate = torch.sigmoid(F.cosine_similarity(fv, ft, dim=-1))
        return gate[..., None] * ft  # eq. (25)

    def score(self, image: Mapping[str, Tensor], text: Mapping[str, Tensor]) -> Tensor:
        """cos(F_v, t') of every pair `[B, T]`, eq. (4).

        Soft needs two matrix products and no `[B, T, dim]`. So does
        the paper's sim: a positive factor cancels in a cosine, so
        its gate changes nothing, and W_v is never trained.
        """
        v = image["v"]
        if self.attention == "soft":
            g, t = image["gate"], text["t"]
            top = (v * g) @ t.T  # (B, T)
            norm = ((g * g) @ (t * t).T).clamp(min=EPS**2).sqrt()
            v_norm = v.norm(dim=1, keepdim=True)  # (B, 1)
            return top / (v_norm * norm).clamp(min=EPS)
        if self.attention == "sim" and self.variant == "paper":
            return F.normalize(v, dim=1) @ F.normalize(text["ft"], dim=1).T
        return in_chunks(self._pairs, image, text)

    def _pairs(self, image, text) -> Tensor:
        return F.cosine_similarity(
            image["v"][:, None],
            self.guided(image, text),
            dim=-1,
            eps=EPS,
        )


class AMFMN(TripletRetriever):
    """The model. Every part can be left out, as in Table VI.

    Args:
        image_encoder: gives the pyramid (paper: ResNet-18).
        text_encoder: gives the sentence vector (paper: BiGRU).
        dim: length of the joint space (512).
        attention: see `VGMF`.
        variant: "paper" or "released", wherever they differ.
        mvsa: multiply the global vector by the MVSA mask, else v(g).
        guidance: let the picture re-weight the sentence, else s(g).
        keywords: add the keyword branch, eqs. (13), (26), (27).
        dropout: on the pooled image vector while training (ours).
        loss: "all" (28), "hard" (30), or "both".
        margin: of the fixed margin, or None for the dynamic one.
        gamma, beta: of the dynamic margin, eq. (29).
        mask_shared: treat shared captions as positives (ours).
    """

    def __init__(
        self,
        image_encoder: ImageEncoder,
        text_encoder: TextEncoder,
        *,
        dim: int = 512,
        attention: str = "soft",
        variant: str = "paper",
        mvsa: bool = True,
        guidance: bool = True,
        keywords: bool = False,
        dropout: float = 0.0,
        loss: str = "all",
        margin: float | None = 0.2,
        gamma: float = 0.6,
        beta: float = 5.0,
        mask_shared: bool = False,
    ) -> None:
        super().__init__()
        if keywords and not guidance:
            raise RsirError("keywords need guidance=True, eq. (26)")
        if variant not in ("paper", "released"):
            raise RsirError(f"variant is {variant!r}: 'paper' or 'released'")
        self.set_loss(loss, margin, gamma, beta, mask_shared)
        self.variant = variant
        self.image_encoder = image_encoder
        self.text_encoder = text_encoder
        self.reads = FEATURES if mvsa else ("pooled",)

        # v_g, eq. (5): the pooled vector, projected
        self.standardise = Standardise(image_encoder.dim)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(image_encoder.dim, dim)
        self.mvsa = (
            MVSA(
                image_encoder.channels,
                image_encoder.size // 16,
                dim,
                variant,
            )
            if mvsa
            else None
        )

        # s_g, eq. (12): the paper's GRU has `dim` units already
        own = text_encoder.dim == dim and variant == "paper"
        self.to_text = nn.Identity() if own else nn.Linear(text_encoder.dim, dim)
        self.guidance = VGMF(dim, attention, variant) if guidance else None
        if keywords:
            self.to_keywords = nn.Sequential(  # MLP of eq. (13)
                nn.Linear(text_encoder.dim, dim),
                nn.ReLU(),
                nn.Linear(dim, dim),
            )
            self.guidance_k = VGMF(dim, attention, variant)
            self.balance = nn.Linear(2 * dim, dim)  # W of eq. (26)
        self.keywords = keywords

    # -- the two sides ------------------------------------------------

    def encode_images(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """F_v = v_g * m, and what guidance needs of it."""
        pooled = self.standardise(features["pooled"].float())
        v = self.project(self.dropout(pooled))  # v_g (B, dim)
        if self.mvsa is not None:
            maps = [features[f] for f in FEATURES[:4]]
            v = v * self.mvsa(maps)  # (B, dim)
        sides = {"v": v}
        if self.guidance is not None:
            sides |= self.guidance.image_side(v)
        if self.keywords:
            side = self.guidance_k.image_side(v)
            sides |= {f"{k}_k": x for k, x in side.items()}
        return sides

    def encode_texts(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Sentence, and keywords if the model has that branch.

        Args:
            features: "pooled" `[T, dim]` of the sentences and, with
                the keyword branch, "keywords" `[T, dim]`.
        """
        t = self.to_text(features["pooled"])
        if self.variant == "released":
            t = F.relu(t)
        if self.guidance is None:
            return {"t": t}
        sides = self.guidance.text_side(t)
        if self.keywords:
            if "keywords" not in features:
                raise RsirError(
                    "this model has a keyword branch: it needs the "
                    "keywords of each query beside its sentence"
                )
            k = self.to_keywords(features["keywords"])
            side = self.guidance_k.text_side(k)
            sides |= {f"{name}_k": x for name, x in side.items()}
        return sides

    # -- the pair -----------------------------------------------------

    def score(
        self, images: Mapping[str, Tensor], texts: Mapping[str, Tensor]
    ) -> Tensor:
        """Scores `[B, T]`, cosines in [-1, 1]."""
        if self.guidance is None:
            return F.normalize(images["v"], dim=1) @ F.normalize(texts["t"], dim=1).T
        if self.keywords:
            return in_chunks(self._with_keywords, images, texts)
        return self.guidance.score(images, texts)

    def _with_keywords(self, images, texts) -> Tensor:
        """Dynamic fusion of sentence and keywords, eqs. (26)(27)."""
        s = self.guidance.guided(images, texts)  # (b, T, dim)
        of_k = [
            {name[:-2]: x for name, x in side.items() if name.endswith("_k")}
            for side in (images, texts)
        ]
        k = self.guidance_k.guided(*of_k)  # (b, T, dim)
        both = torch.cat([F.normalize(s, dim=-1), F.normalize(k, dim=-1)], dim=-1)
        w = torch.sigmoid(self.balance(both))  # eq. (26)
        fused = s * w + k * (1 - w)  # eq. (27)
        return F.cosine_similarity(images["v"][:, None], fused, dim=-1, eps=EPS)

    @classmethod
    def from_official(
        cls, state_dict, vocabulary=None, attention: str = "soft"
    ) -> "AMFMN":
        """The authors' released checkpoint as a model of ours.

        Args:
            state_dict: names and tensors of the released model; a
                checkpoint that holds it under "model" also works.
            vocabulary: the words behind the ids, only for
                `text_encoder.tokenize`; scores need none.
            attention: "soft", "fusion" or "sim", as it was trained.

        Returns:
            A model in evaluation mode. `model(images, token_ids)`
            with images `[B, 3, 256, 256]`, normalised, and ids
            `[T, L]`, padded with 0, gives scores `[B, T]`.

        Raises:
            RsirError: if names or shapes differ; it lists which.
        """
        from rsir.models.released_weights import load_amfmn

        return load_amfmn(cls, state_dict, vocabulary, attention)
