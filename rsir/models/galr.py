"""Attention blocks of GaLR's fusion: SA and SGA.

Source: as released by GaLR's authors, in the style of MCAN. A block
adds, then normalises; it has no positions. Explained in chapter 03.
"""

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rsir.data import Split
from rsir.encoders.base import FEATURES
from rsir.encoders.image import ImageEncoder
from rsir.encoders.object_graph import (
    CONTENT,
    DREA,
    WIDTH,
    all_features_seconds,
    cached_graphs,
    region_source,
)
from rsir.encoders.text import TextEncoder
from rsir.models.amfmn import MVSA, TripletRetriever
from rsir.models.layers import Standardise
from rsir.utils.errors import RsirError

EPS = 1e-6


class LayerNorm(nn.LayerNorm):
    """(x - mean) / (std + 1e-6) * weight + bias, as released.

    The deviation is the unbiased one and the small number is added to
    it, not to the variance: torch's own layer differs in both.
    """

    def forward(self, x: Tensor) -> Tensor:
        mean, std = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
        return self.weight * (x - mean) / (std + EPS) + self.bias


class Attention(nn.Module):
    """Multi-head scaled dot-product attention.

    Over a sequence of length 1 the softmax is 1, whatever query and
    key are: what is left is `merge(value(y))`, a linear map, and
    `query` and `key` learn nothing.

    Args:
        dim: length of the vectors (512).
        heads: each takes `dim / heads` of it (8 heads of 64).
        dropout: on the attention weights while training.
    """

    def __init__(self, dim: int, heads: int = 8, dropout: float = 0.1) -> None:
        super().__init__()
        if dim % heads:
            raise RsirError(f"dim is {dim}: {heads} heads need a multiple of {heads}")
        self.heads, self.dropout = heads, dropout
        self.value = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.query = nn.Linear(dim, dim)
        self.merge = nn.Linear(dim, dim)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """What x `[B, L, dim]` reads in y `[B, M, dim]`."""
        mixed = F.scaled_dot_product_attention(
            self._split(self.query(x)),
            self._split(self.key(y)),
            self._split(self.value(y)),
            dropout_p=self.dropout if self.training else 0.0,
        )  # (B, heads, L, d)
        return self.merge(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        """`[B, L, dim]` to `[B, heads, L, dim / heads]`."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


def feed_forward(dim: int, hidden: int, dropout: float) -> nn.Module:
    """Linear, ReLU, dropout, linear: `dim` to `hidden` and back."""
    return nn.Sequential(
        nn.Linear(dim, hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, dim),
    )


class SA(nn.Module):
    """Self-attention, then a feed-forward net; each with a residual.

    Args:
        dim: length of the vectors (512).
        heads: of the attention (8).
        hidden: units between (1024); None: twice `dim`.
        dropout: 0.1 as released.
    """

    def __init__(
        self, dim: int, heads: int = 8, hidden: int | None = None, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.attend = Attention(dim, heads, dropout)
        self.feed = feed_forward(dim, hidden or 2 * dim, dropout)
        self.norm1, self.norm2 = LayerNorm(dim), LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, L, dim]` to the same shape."""
        x = self.norm1(x + self.dropout(self.attend(x, x)))
        return self.norm2(x + self.dropout(self.feed(x)))


class SGA(nn.Module):
    """Self-attention, attention to a guide, then a feed-forward net.

    Args:
        dim, heads, hidden, dropout: as in `SA`.
    """

    def __init__(
        self, dim: int, heads: int = 8, hidden: int | None = None, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.attend = Attention(dim, heads, dropout)
        self.guide = Attention(dim, heads, dropout)
        self.feed = feed_forward(dim, hidden or 2 * dim, dropout)
        self.norm1, self.norm2 = LayerNorm(dim), LayerNorm(dim)
        self.norm3 = LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """x `[B, L, dim]` guided by `[B, M, dim]`; x's shape."""
        x = self.norm1(x + self.dropout(self.attend(x, x)))
        x = self.norm2(x + self.dropout(self.guide(x, guide)))
        return self.norm3(x + self.dropout(self.feed(x)))


# ----------------------------------------------------------------------
# Graph convolution over the objects of a picture: GaLR's GCN.
#
# Source: as released by GaLR's authors. Explained in chapter 03.


class GCN(nn.Module):
    """Three graph convolutions and a linear layer.

    X1 = ReLU((A X) W1), X2 = ReLU((A X1) W2), X3 = ReLU((A X2) W3),
    local = W flatten(X3) + b. No bias inside, no residual, and A is
    taken as it comes. The order of the nodes counts, by the flatten.

    Args:
        nodes: nodes of a graph (20).
        width: numbers of a node (20); the middle layer has half.
        dim: length of the result (512).
        dropout: on the flattened nodes while training (ours).
    """

    def __init__(
        self, nodes: int = 20, width: int = 20, dim: int = 512, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.nodes, self.width = nodes, width
        self.fc1 = nn.Linear(width, width, bias=False)
        self.fc2 = nn.Linear(width, width // 2, bias=False)
        self.fc3 = nn.Linear(width // 2, width, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(nodes * width, dim)
        for layer in (self.fc1, self.fc2, self.fc3):
            # ours: three ReLU layers would shrink the signal tenfold
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, A: Tensor, X: Tensor) -> Tensor:
        """The local vector `[B, dim]`, not normalised.

        Args:
            A: adjacency `[B, nodes, nodes]`.
            X: representation of the nodes `[B, nodes, width]`.

        Raises:
            RsirError: for other shapes.
        """
        for name, x, last in (("A", A, self.nodes), ("X", X, self.width)):
            want = (len(X), self.nodes, last)
            if tuple(x.shape) != want:
                raise RsirError(f"{name}: shape {tuple(x.shape)}, expected {want}")
        for layer in (self.fc1, self.fc2, self.fc3):
            X = F.relu(layer(A @ X))  # (B, nodes, .)
        return self.out(self.dropout(X.flatten(1)))


# ----------------------------------------------------------------------
# GaLR: global and local information, fused dynamically.
#
# Source: Yuan et al., TGRS 2022 (doi 10.1109/TGRS.2022.3163706), read
# from the abstract, the figures of the authors' page and their released
# code; the paper's text was not at hand. Explained in chapter 03.
#
#     global = l2norm(v_g * m)           MVSA, as in AMFMN
#     local  = l2norm(GCN(A, X))         objects of the picture
#     visual = MIDF(global, local)
#     score  = cos(visual, text)
#
# No part reads both sides: pictures and sentences are encoded apart,
# and an index can hold them.


FUSIONS = ("midf", "midf-released", "sum", "global", "local")


class MIDF(nn.Module):
    """Multi-level information dynamic fusion.

    Source: as released. Each vector is a sequence of length 1, so
    every attention in here is a linear map.

    Args:
        dim: length of all vectors (512).
        released: keep the slip of the release, which takes gamma_0
            for both terms. Then visual = gamma_0 (g' + l'), gamma_0
            cancels in the cosine, and `dynamic_weight` cannot learn.
        heads: of the attention (8).
        dropout: of the blocks (0.1); the head has 0.2.
    """

    def __init__(
        self,
        dim: int = 512,
        *,
        released: bool = False,
        heads: int = 8,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.released = released
        self.g2g_SA = SA(dim, heads, dropout=dropout)
        self.l2l_SA = SA(dim, heads, dropout=dropout)
        self.g2l_SGA = SGA(dim, heads, dropout=dropout)
        self.l2g_SGA = SGA(dim, heads, dropout=dropout)
        self.dynamic_weight = nn.Sequential(
            nn.Linear(dim, dim),
            nn.Sigmoid(),
            nn.Dropout(0.2),
            nn.Linear(dim, 2),
        )

    def terms(self, g: Tensor, loc: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What is added: g' and l' `[B, dim]`, and gamma `[B, 2]`.

        Args:
            g, loc: global and local vectors `[B, dim]`.
        """
        g, loc = g[:, None], loc[:, None]  # (B, 1, dim)
        g, loc = self.g2g_SA(g), self.l2l_SA(loc)
        loc = self.g2l_SGA(loc, g)
        g = self.l2g_SGA(g, loc)  # by the new local
        g, loc = g[:, 0], loc[:, 0]  # (B, dim)
        g_new = torch.sigmoid(loc) * g  # g'
        l_new = g + loc  # l', from the old g
        gamma = self.dynamic_weight(g_new + l_new).softmax(1)
        return g_new, l_new, gamma

    def forward(self, g: Tensor, loc: Tensor) -> Tensor:
        """The visual vector `[B, dim]` of global and local ones."""
        g_new, l_new, gamma = self.terms(g, loc)
        first, second = gamma[:, :1], gamma[:, 1:]
        if self.released:
            second = first  # the slip
        return first * g_new + second * l_new


class GaLR(TripletRetriever):
    """The model. Every part can be left out.

    Args:
        image_encoder: gives the pyramid (released: ResNet-18).
        text_encoder: gives the sentence vector (released: uniskip).
        dim: length of the joint space (512).
        variant: "paper" or "released". "released": MVSA as released,
            a ReLU on the text vector, and the slip in MIDF.
        fusion: "midf"; "midf-released": MIDF with the slip, whatever
            `variant` is; "sum": global + local; "global" or "local":
            one branch alone, the other is not built.
        mvsa: multiply the global vector by the MVSA mask, else v(g).
        regions: where objects come from: "pyramid", "boxes" or
            "detector", see `rsir.encoders.object_graph`.
        drea: denoise X and enhance A, see `rsir.encoders.object_graph.DREA`.
        look_width: 0: nodes are the 20 numbers of X, as in the
            paper. Otherwise (ours) the random content in X gives way
            to so many numbers, learned from the node's whole look.
        heads: of MIDF's attention.
        dropout: on the pooled image vector while training (ours).
        local_dropout: while training (ours), the share of numbers
            dropped from the looks and from what the graph hands on,
            and of pictures whose local vector is dropped whole.
        loss, margin, gamma, beta, mask_shared: see
            `TripletRetriever`; as released "all" and 0.2.

    Attributes:
        reads: features of the image encoder that this model needs.
        reads_local: "nodes", "adjacency" and perhaps "looks", or ()
            for fusion="global".
        source: of the regions.
    """

    def __init__(
        self,
        image_encoder: ImageEncoder,
        text_encoder: TextEncoder,
        *,
        dim: int = 512,
        variant: str = "paper",
        fusion: str = "midf",
        mvsa: bool = True,
        regions: str = "pyramid",
        drea: bool | DREA = True,
        look_width: int = 0,
        heads: int = 8,
        dropout: float = 0.0,
        local_dropout: float = 0.0,
        loss: str = "all",
        margin: float | None = 0.2,
        gamma: float = 0.6,
        beta: float = 5.0,
        mask_shared: bool = False,
    ) -> None:
        super().__init__()
        if variant not in ("paper", "released"):
            raise RsirError(f"variant is {variant!r}: 'paper' or 'released'")
        if fusion not in FUSIONS:
            raise RsirError(f"fusion is {fusion!r}: one of {', '.join(FUSIONS)}")
        self.set_loss(loss, margin, gamma, beta, mask_shared)
        self.variant, self.fusion = variant, fusion
        self.image_encoder = image_encoder
        self.text_encoder = text_encoder

        self.reads, self.reads_local = (), ()
        self.project = self.mvsa = self.gcn = self.midf = None
        if fusion != "local":
            self.reads = FEATURES if mvsa else ("pooled",)
            self.standardise = Standardise(image_encoder.dim)
            self.dropout = nn.Dropout(dropout)
            self.project = nn.Linear(image_encoder.dim, dim)
            if mvsa:
                self.mvsa = MVSA(
                    image_encoder.channels,
                    image_encoder.size // 16,
                    dim,
                    variant,
                )
        if fusion != "global":
            self.reads_local = ("nodes", "adjacency")
            self.source, self.drea = region_source(regions), drea
            self.look_width, width = look_width, WIDTH
            if look_width:
                self.reads_local += ("looks",)
                width = WIDTH - CONTENT + look_width
                self.see = nn.Linear(
                    sum(image_encoder.channels[2:]) if self.source.reads else CONTENT,
                    look_width,
                )
            self.gcn = GCN(width=width, dim=dim, dropout=local_dropout)
            self.local_dropout = local_dropout
        if fusion.startswith("midf"):
            slip = variant == "released" or fusion == "midf-released"
            self.midf = MIDF(dim, released=slip, heads=heads)

        own = text_encoder.dim == dim and variant == "paper"
        self.to_text = nn.Identity() if own else nn.Linear(text_encoder.dim, dim)

    # -- the picture --------------------------------------------------

    def split_features(
        self, split: Split, *, progress: bool = True
    ) -> dict[str, np.ndarray]:
        """Maps, pooled vector and graphs, `[n_images, ...]` each."""
        found = super().split_features(split, progress=progress) if self.reads else {}
        if not self.reads_local:
            return found
        graphs = cached_graphs(
            self.source, self.image_encoder, split, self.drea, progress=progress
        )
        return found | {k: graphs[k] for k in self.reads_local}

    def features_seconds(self, split: Split) -> float:
        """Seconds that `split_features` took when it computed."""
        if not self.reads_local:
            return super().features_seconds(split)
        return all_features_seconds(
            self.image_encoder, split, self.reads, self.source, self.drea
        )

    def image_features(self, images: Tensor) -> dict[str, Tensor]:
        """What the image encoder gives, from `[B, 3, H, W]`."""
        return super().image_features(images) if self.reads else {}

    def global_vector(self, features: Mapping[str, Tensor]) -> Tensor:
        """l2norm(v_g * m), `[B, dim]`."""
        pooled = self.standardise(features["pooled"].float())
        v = self.project(self.dropout(pooled))  # v_g
        if self.mvsa is not None:
            v = v * self.mvsa([features[f] for f in FEATURES[:4]])
        return F.normalize(v, dim=1)

    def local_vector(self, features: Mapping[str, Tensor]) -> Tensor:
        """l2norm(GCN(A, X)), `[B, dim]`.

        Args:
            features: "nodes" X `[B, 20, 20]`, "adjacency" A
                `[B, 20, 20]` and, if `look_width`, "looks"
                `[B, 20, D]`, see `rsir.encoders.object_graph`.
        """
        missing = [k for k in self.reads_local if k not in features]
        if missing:
            raise RsirError(
                f"{' and '.join(missing)}: missing; this model reads "
                "local features, see rsir.encoders.object_graph, or set "
                "fusion='global'"
            )
        A, X = features["adjacency"].float(), features["nodes"].float()
        if self.look_width:
            looks = F.layer_norm(features["looks"].float(), features["looks"].shape[2:])
            looks = F.dropout(looks, self.local_dropout, self.training)
            seen = F.relu(self.see(looks))  # (B, 20, look_width)
            seen = seen * X.any(2, keepdim=True)  # nobody sees nothing
            X = torch.cat([X[..., :-CONTENT], seen], 2)
        loc = F.normalize(self.gcn(A, X), dim=1)
        if self.training and self.local_dropout and self.reads:
            kept = torch.rand_like(loc[:, :1]) >= self.local_dropout
            loc = loc * kept  # whole pictures
        return loc

    def encode_images(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The visual vector of unit length, "v" `[B, dim]`."""
        if self.fusion == "global":
            return {"v": self.global_vector(features)}
        if self.fusion == "local":
            return {"v": self.local_vector(features)}
        loc = self.local_vector(features)
        g = self.global_vector(features)
        v = g + loc if self.midf is None else self.midf(g, loc)
        return {"v": F.normalize(v, dim=1)}

    # -- the sentence and the pair ------------------------------------

    def encode_texts(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The sentence vector of unit length, "t" `[T, dim]`."""
        t = self.to_text(features["pooled"])
        if self.variant == "released":
            t = F.relu(t)
        return {"t": F.normalize(t, dim=1)}

    def score(
        self, images: Mapping[str, Tensor], texts: Mapping[str, Tensor]
    ) -> Tensor:
        """Cosines `[B, T]`, in [-1, 1]."""
        return images["v"] @ texts["t"].T

    def forward(
        self,
        images: Tensor | Mapping[str, Tensor],
        *rest: Tensor | Mapping[str, Tensor],
    ) -> Tensor:
        """Scores `[B, T]`: `model(images, X, A, texts)`.

        Args:
            images: pictures `[B, 3, H, W]`, normalised already, or
                features as `encode_images` takes them.
            rest: X and A `[B, 20, 20]`, unless the features hold
                them, and then the texts, see `Retriever.forward`.
        """
        *local, texts = rest
        if len(local) not in (0, 2):
            raise RsirError(
                f"{len(rest) + 1} arguments: expected images, X, A and "
                "texts, or features and texts"
            )
        if isinstance(images, Tensor):
            images = self.image_features(images)
        given = dict(zip(("nodes", "adjacency"), local))
        return super().forward({**images, **given}, texts)

    @classmethod
    def from_official(cls, state_dict, vocabulary=None) -> "GaLR":
        """The authors' released checkpoint as a model of ours.

        Args:
            state_dict: names and tensors of the released model; a
                checkpoint that holds it under "model" also works.
            vocabulary: the words behind the ids, only for
                `text_encoder.tokenize`; scores need none.

        Returns:
            A model in evaluation mode. `model(images, X, A,
            token_ids)` with images `[B, 3, 256, 256]`, normalised,
            X and A `[B, 20, 20]`, and ids `[T, L]`, padded with 0,
            gives scores `[B, T]`.

        Raises:
            RsirError: if names or shapes differ; it lists which.
        """
        from rsir.models.released_weights import load_galr

        return load_galr(cls, state_dict, vocabulary)
