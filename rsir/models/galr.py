"""GaLR: global and local information, fused dynamically.

Source: Yuan et al., TGRS 2022, doi 10.1109/TGRS.2022.3163706, read from the
abstract, the figures of the authors' page and their released code; the text
was not at hand, so lines name the figure's parts. Explained in chapter 03.

    global = l2norm(v_g * m)           MVSA, as in AMFMN
    local  = l2norm(GCN(A, X))         objects of the picture, after DREA
    visual = MIDF(global, local)
    score  = cos(visual, text)

As released: the sizes, GCN and the blocks of MIDF. Ours: how DREA finds and
strengthens, the objects (`rsir.encoders.object_graph`), and what the config
marks so. No part reads both sides: an index can hold pictures and sentences.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rsir.data import Split
from rsir.encoders import object_graph as objects
from rsir.encoders.encoded_split import EncodedSplit
from rsir.encoders.image import image_encoder
from rsir.encoders.object_graph import CONTENT, NODES, WIDTH, Regions
from rsir.models.amfmn import AT_160, TripletConfig, TripletTower
from rsir.models.amfmn import PRESETS as AMFMN
from rsir.utils.errors import RsirError

#: what the released code does otherwise: as in AMFMN, and "gamma": MIDF takes
#: gamma_0 for both terms
ALL_RELEASED = ("prelu", "mean", "norm", "relu", "gamma")


@dataclass(frozen=True)
class Config(TripletConfig):
    """Options of GaLR.

    Attributes:
        fusion: "midf"; "sum": global + local; "global" or "local": one branch
            alone, the other is not built.
        regions: where objects come from: "pyramid", "boxes" or "detector".
        drea: denoise X and enhance A.
        look_width: 0: nodes are the 20 numbers of X. Otherwise their random
            content gives way to so many numbers, learned from their looks.
        heads: of MIDF's attention.
        local_dropout: the share of numbers dropped while training from looks
            and graphs, and of pictures that lose their local vector.
    """

    method: str = "galr"
    fusion: str = "midf"
    regions: str = "pyramid"  # ours: the authors' detector was not released
    drea: bool = True
    look_width: int = 0  # ours: 12 numbers are few for what a cell shows
    heads: int = 8
    local_dropout: float = 0.0  # ours: graphs are learnt by heart soon

    TITLE = "GaLR"
    YEAR = 2022
    BUGS = ALL_RELEASED

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("fusion", ("midf", "sum", "global", "local"))


REACH = 0.25  # nodes so far apart (share of a side) hear 61 % of each other
OVERLAP = 0.5  # regions that cover each other like this are one thing seen twice


@dataclass(frozen=True)
class DREA:
    """Denoised representation, enhanced adjacency, as we read it.

    Attributes:
        threshold: cosine of looks of near-duplicates; None: the source's.
        merge: near-duplicates in other places make one node with a count.
        boost: a node hears the most salient one (1 + boost) times as loud.
    """

    threshold: float | None = None
    merge: bool = True
    boost: float = 1.0

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise RsirError(f"threshold is {self.threshold}: a cosine in (0, 1]")
        if self.boost < 0:
            raise RsirError(f"boost is {self.boost}: must not be negative")


def groups_of(regions: Regions, drea: bool | DREA | None = True) -> list[list[int]]:
    """Which regions make one node: lists of indices, the most salient first.

    A region joins the first leader that it looks like, unless it covers a member
    of that group, or `merge` is False: then it is dropped. Without DREA each
    stands alone.
    """
    x, y = regions.centres.T
    order = np.lexsort((x, y, -regions.salience.round(6)))  # ties: from the top left
    drea = DREA() if drea is True else drea
    if not drea:
        return [[i] for i in order.tolist()]
    threshold = regions.alike if drea.threshold is None else drea.threshold
    look = regions.look
    unit = look / np.maximum(np.linalg.norm(look, axis=1, keepdims=True), 1e-12)
    alike = unit @ unit.T >= threshold - 1e-6
    same = overlaps(regions.boxes) >= OVERLAP
    groups = []
    for i in order.tolist():
        group = next((g for g in groups if alike[i, g[0]]), None)
        if group is None:
            groups.append([i])
        elif drea.merge and not same[group, i].any():
            group.append(i)
    return groups


def overlaps(boxes: np.ndarray) -> np.ndarray:
    """Intersection over union of all pairs, `[n, n]`."""
    left, top, right, bottom = boxes.T[:, :, None]  # (n, 1) each
    width = np.minimum(right, right.T) - np.maximum(left, left.T)
    height = np.minimum(bottom, bottom.T) - np.maximum(top, top.T)
    both = width.clip(0) * height.clip(0)
    area = (right - left) * (bottom - top)
    return both / np.maximum(area + area.T - both, 1e-12)


def adjacency_of(nodes: np.ndarray, boost: float = 0.0) -> np.ndarray:
    """Who hears whom: nodes `[n, 20]` to `[n, n]`; each row sums to 1.

    a_ij = exp(-d_ij^2 / (2 * 0.25^2)), with the distance of centres d, times
    1 + boost * (salience of j / the largest salience).
    """
    apart = nodes[:, None, :2] - nodes[None, :, :2]
    near = np.exp(-np.square(apart).sum(axis=2) / (2 * REACH**2))
    salience = nodes[:, 7] / max(nodes[:, 7].max(initial=0), 1e-12)
    near = near * (1 + boost * salience)[None, :]  # enhanced adjacency
    return near / near.sum(axis=1, keepdims=True)


def graph_of(regions: Regions, drea: bool | DREA | None = True) -> dict:
    """X, A and looks of one picture, see `object_graph.padded_graph`."""
    drea = DREA() if drea is True else drea
    enhanced = partial(adjacency_of, boost=drea.boost if drea else 0.0)
    return objects.padded_graph(regions, groups_of(regions, drea), enhanced)


class GCN(nn.Module):
    """Three graph convolutions and a linear layer, as released.

    The order of nodes counts, by the flatten; dropout is ours.
    """

    def __init__(self, nodes=20, width=20, dim=512, dropout=0.0) -> None:
        super().__init__()
        self.shapes = (nodes, nodes), (nodes, width)
        self.fc1 = nn.Linear(width, width, bias=False)
        self.fc2 = nn.Linear(width, width // 2, bias=False)
        self.fc3 = nn.Linear(width // 2, width, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(nodes * width, dim)
        for layer in (self.fc1, self.fc2, self.fc3):
            # ours: three ReLU layers would shrink the signal tenfold
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, A: Tensor, X: Tensor) -> Tensor:
        """A `[B, nodes, nodes]` and X `[B, nodes, width]` to `[B, dim]`."""
        found = tuple(A.shape[1:]), tuple(X.shape[1:])
        if found != self.shapes:
            raise RsirError(f"A, X: of a picture {found}, expected {self.shapes}")
        X = F.relu(self.fc1(A @ X))  # GCN 1 (B, nodes, width)
        X = F.relu(self.fc2(A @ X))  # GCN 2 (B, nodes, width / 2)
        X = F.relu(self.fc3(A @ X))  # GCN 3 (B, nodes, width)
        return self.out(self.dropout(X.flatten(1)))  # GCN out (B, dim)


class LayerNorm(nn.LayerNorm):
    """As released: the unbiased deviation, 1e-6 added to it, not under the root."""

    def forward(self, x: Tensor) -> Tensor:
        mean, std = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
        return self.weight * (x - mean) / (std + 1e-6) + self.bias


class Attention(nn.Module):
    """Multi-head scaled dot-product attention on vectors of length `dim`."""

    def __init__(self, dim: int, heads: int = 8) -> None:
        super().__init__()
        if dim % heads:
            raise RsirError(f"dim is {dim}: {heads} heads need a multiple of {heads}")
        self.heads = heads
        self.value, self.key = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.query, self.merge = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """What x `[B, L, dim]` reads in y `[B, M, dim]`: `[B, L, dim]`."""
        query, key, value = (
            z.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (B, heads, L, d)
            for z in (self.query(x), self.key(y), self.value(y))
        )
        drop = 0.1 if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=drop)
        return self.merge(mixed.transpose(1, 2).flatten(2))


class SA(nn.Module):
    """Self-attention, then a feed-forward net; each adds, then normalises.

    If `guided` ("SGA"), there is attention to a guide between the two.
    """

    def __init__(self, dim: int, heads: int, guided: bool = False) -> None:
        super().__init__()
        self.attend = Attention(dim, heads)
        if guided:
            self.guide = Attention(dim, heads)
        wide = nn.Linear(dim, 2 * dim), nn.ReLU(), nn.Dropout(0.1)
        self.feed = nn.Sequential(*wide, nn.Linear(2 * dim, dim))
        self.norm1, self.norm2 = LayerNorm(dim), LayerNorm(dim)
        if guided:
            self.norm3 = LayerNorm(dim)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor, guide: Tensor | None = None) -> Tensor:
        """x `[B, L, dim]`, perhaps guided by `[B, M, dim]`; x's shape."""
        x = self.norm1(x + self.dropout(self.attend(x, x)))
        last = self.norm2
        if guide is not None:
            x = self.norm2(x + self.dropout(self.guide(x, guide)))
            last = self.norm3
        return last(x + self.dropout(self.feed(x)))


class MIDF(nn.Module):
    """Multi-level information dynamic fusion, as released.

    Each vector is a sequence of length 1: every attention is `merge(value(y))`,
    and query and key learn nothing. With "gamma" in `released_bugs`, gamma_0
    stands for both: it cancels in the cosine, and `dynamic_weight` cannot learn.
    """

    def __init__(self, dim: int = 512, heads: int = 8, released_bugs=()) -> None:
        super().__init__()
        self.released_bugs = released_bugs
        self.g2g_SA, self.l2l_SA = SA(dim, heads), SA(dim, heads)
        self.g2l_SGA = SA(dim, heads, guided=True)
        self.l2g_SGA = SA(dim, heads, guided=True)
        first = nn.Linear(dim, dim), nn.Sigmoid(), nn.Dropout(0.2)
        self.dynamic_weight = nn.Sequential(*first, nn.Linear(dim, 2))

    def forward(self, g: Tensor, loc: Tensor) -> Tensor:
        """The visual vector `[B, dim]` of global and local ones."""
        g, loc = g[:, None], loc[:, None]  # (B, 1, dim)
        g = self.g2g_SA(g)  # re-transformation of global
        loc = self.l2l_SA(loc)  # re-transformation of local
        loc = self.g2l_SGA(loc, g)  # global supplements local
        g = self.l2g_SGA(g, loc)  # local, as it is now, corrects global
        g, loc = g[:, 0], loc[:, 0]  # (B, dim)
        g_new = torch.sigmoid(loc) * g  # g'
        l_new = g + loc  # l', from the old g
        gamma = self.dynamic_weight(g_new + l_new).softmax(1)  # gamma (B, 2)
        first = gamma[:, :1]  # (B, 1)
        second = first if "gamma" in self.released_bugs else gamma[:, 1:]
        return first * g_new + second * l_new  # MIDF


class GaLR(TripletTower):
    """The model.

    Attributes:
        reads_local: "nodes" X, "adjacency" A, perhaps "looks": `[B, 20, ...]`.
        source: of the regions.
    """

    Config = Config

    def __init__(self, image_encoder, text_encoder, config: Config) -> None:
        super().__init__(image_encoder, text_encoder, config)
        self.reads = self.reads_local = ()
        self.gcn = self.midf = None
        if config.fusion != "local":
            self.build_picture()
        if config.fusion != "global":
            self.reads_local, width = ("nodes", "adjacency"), WIDTH
            self.source = objects.region_source(config.regions)
            if config.look_width:
                self.reads_local += ("looks",)
                width = WIDTH - CONTENT + config.look_width
                cells = sum(image_encoder.channels[2:])
                look = cells if self.source.reads else CONTENT
                self.see = nn.Linear(look, config.look_width)
            self.gcn = GCN(NODES, width, config.dim, config.local_dropout)
        if config.fusion == "midf":
            self.midf = MIDF(config.dim, config.heads, config.released_bugs)
        self.build_text()

    def encode_split(self, split: Split, **options) -> EncodedSplit:
        """A split as this model reads it, with the graphs of its pictures.

        Objects are those that the encoder sees before it learns.
        """
        encoded = super().encode_split(split, **options)
        if self.reads_local:
            drea = DREA() if self.config.drea else None
            how = partial(graph_of, drea=drea), {"drea": drea and asdict(drea)}
            eye = self.image_encoder
            if eye.learns and self.source.reads:
                eye = image_encoder(self.config.image_encoder, size=eye.size)
            where = self.source, eye, split
            show = {"progress": options.get("progress", True)}
            graphs = objects.cached_graphs(*where, *how, **show)
            encoded.features |= {k: graphs[k] for k in self.reads_local}
        return encoded

    def global_vector(self, features: Mapping[str, Tensor]) -> Tensor:
        """l2norm(v_g * m): `[B, dim]`."""
        v = self.masked_picture(features)
        return F.normalize(v, dim=1)  # global

    def local_vector(self, features: Mapping[str, Tensor]) -> Tensor:
        """l2norm(GCN(A, X)): `[B, dim]`."""
        missing = [k for k in self.reads_local if k not in features]
        if missing:
            raise RsirError(
                f"{' and '.join(missing)}: missing; this model reads local features, "
                "see rsir.encoders.object_graph, or set fusion='global'"
            )
        A, X = features["adjacency"].float(), features["nodes"].float()
        drop = self.config.local_dropout
        if self.config.look_width:
            looks = F.layer_norm(features["looks"].float(), features["looks"].shape[2:])
            seen = F.relu(self.see(F.dropout(looks, drop, self.training)))
            seen = seen * X.any(2, keepdim=True)  # (B, 20, w): no node sees nothing
            X = torch.cat([X[..., :-CONTENT], seen], 2)
        loc = F.normalize(self.gcn(A, X), dim=1)  # local
        if self.training and drop and self.reads:
            loc = loc * (torch.rand_like(loc[:, :1]) >= drop)  # whole pictures
        return loc

    def encode_images(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The visual vector of unit length, "v" `[B, dim]`."""
        if self.config.fusion == "global":
            return {"v": self.global_vector(features)}
        loc = self.local_vector(features)
        if self.config.fusion == "local":
            return {"v": loc}
        g = self.global_vector(features)
        v = g + loc if self.midf is None else self.midf(g, loc)  # visual
        return {"v": F.normalize(v, dim=1)}

    def encode_texts(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The sentence vector of unit length, "t" `[T, dim]`."""
        return {"t": F.normalize(self.to_text(features["pooled"]), dim=1)}

    def score(self, images: Mapping[str, Tensor], texts: Mapping[str, Tensor]):
        """Cosines `[B, T]`."""
        return images["v"] @ texts["t"].T  # score

    def forward(self, images, *rest) -> Tensor:
        """As `TwoTower`; as released, X and A `[B, 20, 20]` may stand between."""
        *graph, texts = rest
        if graph:
            images = self.image_features(images) | dict(zip(self.reads_local, graph))
        return super().forward(images, texts)


# encoders, loss and schedule are AMFMN's: the two differ in what the papers do
PRESETS = {
    "toy": AMFMN["toy"] | {"regions": "boxes"},
    # chosen on RSICD's val, where the sum without local dropout got worse from
    # its fourth measurement on
    "cpu": AMFMN["cpu"] | {"look_width": 192, "local_dropout": 0.3, "epochs": 20},
    # as released
    "paper": AMFMN["paper"]
    | {"text_encoder": "skip_thoughts", "lr": 2e-4, "text_lr": 2e-4, "image_lr": 2e-4}
    | {"loss": "all", "margin": 0.2, "batch": 100, "epochs": 70, "patience": 70},
    # vectors so short that its weights can come with the book
    "world": AMFMN["world"] | {"image_size": 128, "regions": "boxes", "dim": 192},
}

VARIANTS = {
    "midf": {},
    "midf-released": {"released_bugs": ("gamma",)},
    "sum": {"fusion": "sum"},
    "global": {"fusion": "global"},
    "local": {"fusion": "local"},
    "local-long": {"fusion": "local", "epochs": 80},  # alone it learns slowly
    "drea-off": {"drea": False},
    "paper-nodes": {"look_width": 0},
    **AT_160,
}
