"""Where the objects of a picture come from: three sources.

GaLR's detector was not released, and what it saw was not described.
All numbers of a region in here are ours. Explained in chapter 03.
"""

import hashlib
import json
import os
import pickle
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from filelock import FileLock
from PIL import Image

from rsir.data import Box, Split
from rsir.data.images import image_hashes, open_image
from rsir.encoders.feature_cache import cached_features, features_dir, features_seconds
from rsir.encoders.image import ImageEncoder
from rsir.utils.errors import RsirError
from rsir.utils.progress import track

#: numbers of a node that tell what a region is, not where
CONTENT = 12
_LABEL = 8  # of these, for a label; the rest is for its attributes

#: what the open-vocabulary detector looks for, unless told otherwise:
#: the classes of DOTA (the authors' detector knew these), in our words
DOTA = (
    "plane",
    "ship",
    "storage tank",
    "baseball diamond",
    "tennis court",
    "basketball court",
    "running track",
    "harbor",
    "bridge",
    "lorry",
    "car",
    "helicopter",
    "roundabout",
    "soccer field",
    "swimming pool",
)


@dataclass(frozen=True)
class Regions:
    """Regions of one picture, whatever found them.

    Attributes:
        boxes: `[n, 4]`: left, top, right, bottom, as shares of the
            picture's sides.
        salience: `[n]`, in [0, 1]; its square is a share of the
            picture, so squares add up.
        content: `[n, 12]`, the numbers that go into a node.
        look: `[n, D]`, by which regions are compared; longer.
        names: `[n]`, for captions of pictures.
        alike: cosine of two looks from which on they count as
            near-duplicates, unless told otherwise.
    """

    boxes: np.ndarray
    salience: np.ndarray
    content: np.ndarray
    look: np.ndarray
    names: tuple[str, ...]
    alike: float = 0.9

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def centres(self) -> np.ndarray:
        """`[n, 2]`: x and y."""
        return (self.boxes[:, :2] + self.boxes[:, 2:]) / 2

    @property
    def sizes(self) -> np.ndarray:
        """`[n, 2]`: width and height."""
        return self.boxes[:, 2:] - self.boxes[:, :2]


def code_of(word: str, length: int) -> np.ndarray:
    """A direction that stands for a word: unit vector `[length]`.

    From SHA-256, so that it is the same everywhere and for ever.
    Different words get unrelated directions.
    """
    digest = hashlib.sha256(word.encode()).digest()
    numbers = np.frombuffer(digest, dtype="<u2")[:length] / 65535 - 0.5
    return numbers / np.linalg.norm(numbers)


def regions_of_boxes(
    boxes: Sequence[Box],
    size: tuple[int, int],
    confidence: Sequence[float] | None = None,
) -> Regions:
    """Regions from labelled boxes: ground truth, or a detector's.

    Content: 8 numbers for the label, 4 for its attributes (the mean
    of their codes, zeros if there are none). Salience: root of the
    box's share of the picture, times confidence.

    Args:
        boxes: in pixels.
        size: width and height of the picture.
        confidence: of each box, in [0, 1]; None: 1.

    Raises:
        RsirError: for a box without area.
    """
    n = len(boxes)
    corners = np.array(
        [(b.x0, b.y0, b.x1, b.y1) for b in boxes], dtype=np.float64
    ).reshape(n, 4) / np.array([*size, *size])
    corners = corners.clip(0, 1)
    area = np.prod(corners[:, 2:] - corners[:, :2], axis=1)
    content = np.zeros((n, CONTENT))
    for i, box in enumerate(boxes):
        if box.x1 <= box.x0 or box.y1 <= box.y0:
            raise RsirError(
                f"box {i} ({box.label!r}) has no area: "
                f"{box.x0, box.y0, box.x1, box.y1}; needs x1 > x0 and "
                "y1 > y0"
            )
        content[i, :_LABEL] = code_of(box.label, _LABEL)
        codes = [
            code_of(f"{k}={v}", CONTENT - _LABEL)
            for k, v in sorted(box.attributes.items())
        ]
        if codes:
            content[i, _LABEL:] = np.mean(codes, axis=0)
    sure = 1.0 if confidence is None else np.asarray(confidence)
    names = (" ".join([*b.attributes.values(), b.label]) for b in boxes)
    return Regions(corners, np.sqrt(area) * sure, content, content, tuple(names))


@cache
def random_matrix(channels: int, seed: int, level: int) -> np.ndarray:
    """`[channels, 12]` of variance 1 / 12: lengths stay, about."""
    # RandomState's numbers are frozen by NumPy, for ever
    draw = np.random.RandomState([seed, level])
    return draw.standard_normal((channels, CONTENT)) / np.sqrt(CONTENT)


def regions_of_pyramid(f3: np.ndarray, f4: np.ndarray, seed: int = 0) -> Regions:
    """Cells of the two upper maps: no detector is needed.

    A cell is salient by how far its channels are from the mean over
    the picture; squared, that is its share of the picture's variance.
    Cells are compared by the same difference. Content: the cell's
    channels at unit length, through a random matrix with a fixed
    seed.

    Args:
        f3, f4: maps `[C, H, W]` with strides 16 and 32.
        seed: of the random matrices.

    Returns:
        H * W regions of each map, those of f3 first.
    """
    levels, start = (np.asarray(f, np.float32) for f in (f3, f4)), 0
    width = len(f3) + len(f4)
    parts = []
    for level, (f, stride) in enumerate(zip(levels, (16, 32))):
        c, h, w = f.shape
        x = f.reshape(c, h * w).T  # (HW, C)
        apart = x - x.mean(axis=0)
        look = np.zeros((h * w, width), dtype=np.float32)
        look[:, start : start + c] = apart  # levels: never alike
        start += c
        total = 2 * np.square(apart).sum()  # two levels: 1 in all
        share = np.square(apart).sum(axis=1) / max(total, 1e-12)
        norm = np.linalg.norm(x, axis=1, keepdims=True)
        row, column = np.divmod(np.arange(h * w), w)
        parts.append(
            (
                np.stack(
                    [column / w, row / h, (column + 1) / w, (row + 1) / h], axis=1
                ),
                np.sqrt(share),
                x / np.maximum(norm, 1e-6) @ random_matrix(c, seed, level),
                look,
                np.repeat(f"stride {stride}", h * w),
            )
        )
    boxes, salience, content, look, names = map(np.concatenate, zip(*parts))
    return Regions(boxes, salience, content, look, tuple(names), alike=0.4)


class BoxSource:
    """Ground-truth boxes of the data set (toy scenes have them)."""

    name = "boxes"
    reads: tuple[str, ...] = ()

    def identity(self) -> dict[str, object]:
        """What decides the regions, for a cache's key."""
        return {"regions": self.name}

    def __call__(self, split: Split, i: int, maps: Mapping[str, np.ndarray]) -> Regions:
        """Regions of picture i.

        Args:
            split, i: which picture.
            maps: image features of that picture, those in `reads`.
        """
        if split.objects is None:
            raise RsirError(
                f"{split.dataset}: this data set has no boxes; use the "
                "regions 'pyramid' or 'detector'"
            )
        with Image.open(split.images[i]) as picture:
            size = picture.size
        return regions_of_boxes(split.objects[i], size)


class PyramidSource:
    """Salient cells of a frozen encoder's maps (real data).

    Args:
        seed: see `regions_of_pyramid`.
    """

    name = "pyramid"
    reads = ("f3", "f4")

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def identity(self) -> dict[str, object]:
        return {"regions": self.name, "seed": self.seed}

    def __call__(self, split: Split, i: int, maps: Mapping[str, np.ndarray]) -> Regions:
        return regions_of_pyramid(maps["f3"], maps["f4"], self.seed)


class DetectorSource:
    """An open-vocabulary detector of the model hub (wants a GPU).

    Args:
        model: id of the hub, for "zero-shot-object-detection".
        labels: what to look for.
        threshold: confidence that a box needs.
        device: as transformers takes it; None: a GPU if there is one.
        pipeline: used in place of a new one.
    """

    name = "detector"
    reads: tuple[str, ...] = ()

    def __init__(
        self,
        model: str = "google/owlv2-base-patch16-ensemble",
        labels: Sequence[str] = DOTA,
        threshold: float = 0.2,
        device=None,
        pipeline=None,
    ) -> None:
        self.model, self.labels = model, tuple(labels)
        self.threshold, self.device = threshold, device
        self.pipeline = pipeline

    def identity(self) -> dict[str, object]:
        return {
            "regions": self.name,
            "model": self.model,
            "labels": list(self.labels),
            "threshold": self.threshold,
        }

    def _load(self):
        import torch
        from transformers.pipelines import pipeline

        device = self.device
        if device is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            return pipeline(
                "zero-shot-object-detection", model=self.model, device=device
            )
        except OSError as error:
            raise RsirError(
                f"detector {self.model!r}: could not be loaded from the "
                f"model hub ({str(error).splitlines()[0]}); connect "
                "once, or use the regions 'pyramid'"
            ) from error

    def detect(self, picture: Image.Image) -> list[tuple[Box, float]]:
        """Boxes of a picture, each with its confidence."""
        if self.pipeline is None:
            self.pipeline = self._load()
        found = self.pipeline(
            picture, threshold=self.threshold, candidate_labels=list(self.labels)
        )
        pairs = []
        for one in found:
            x0, y0, x1, y1 = (one["box"][k] for k in ("xmin", "ymin", "xmax", "ymax"))
            # what lies outside of the picture has no area
            x0, x1 = max(x0, 0), min(x1, picture.width)
            y0, y1 = max(y0, 0), min(y1, picture.height)
            if x1 > x0 and y1 > y0:
                box = Box(one["label"], x0, y0, x1, y1)
                pairs.append((box, float(one["score"])))
        return pairs

    def __call__(self, split: Split, i: int, maps: Mapping[str, np.ndarray]) -> Regions:
        picture = open_image(split.images[i])
        pairs = self.detect(picture)
        return regions_of_boxes(
            [b for b, _ in pairs], picture.size, [s for _, s in pairs]
        )


SOURCES = {source.name: source for source in (BoxSource, PyramidSource, DetectorSource)}


def region_source(name: str, **options):
    """A source of regions by name.

    Args:
        name: "boxes", "pyramid" or "detector".
        options: passed on to the source.

    Raises:
        RsirError: for an unknown name.
    """
    if name not in SOURCES:
        raise RsirError(
            f"regions {name!r}: unknown; choose one of {', '.join(SOURCES)}"
        )
    return SOURCES[name](**options)


# ----------------------------------------------------------------------
# Local features of GaLR: a small graph of a picture's objects.
#
# X `[20, 20]` holds 20 nodes of 20 numbers, A `[20, 20]` says who hears
# whom. The authors' detector, and how they made X and A, were not
# released: from the abstract and the figures it is known that redundant
# targets are dropped and salient ones strengthened (DREA). How that is
# done in here, and each of the 20 numbers, is ours. Chapter 03.
#
# The numbers of a node:
#
#     0, 1    centre x, y, as shares of the picture's sides
#     2, 3    width and height; means, where regions were merged
#     4, 5    deviation of the merged centres in x and y, else 0
#     6       log2(1 + regions merged) / 8
#     7       salience: the root of a share of the picture
#     8-19    content: what the region is, see `rsir.encoders.object_graph`
#
# Twelve numbers of content are few for a node that 432 channels saw. So
# each node also keeps its whole look, the mean over its regions.


NODES = 20
WIDTH = 8 + CONTENT
#: nodes this far apart (share of a side) hear 61 % of each other
REACH = 0.25
#: a region that covers another like this is the same thing seen twice
OVERLAP = 0.5


@dataclass(frozen=True)
class DREA:
    """Denoised representation and enhanced adjacency, as we read it.

    Attributes:
        threshold: regions whose looks have a cosine of at least this
            are near-duplicates; None: what suits the source.
        merge: near-duplicates in other places become one node with a
            count; if False, they are dropped.
        boost: a node hears the most salient one (1 + boost) times as
            loud; 0 leaves the adjacency as it is.
    """

    threshold: float | None = None
    merge: bool = True
    boost: float = 1.0

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise RsirError(f"threshold is {self.threshold}: a cosine in (0, 1]")
        if self.boost < 0:
            raise RsirError(f"boost is {self.boost}: must not be negative")


def drea_of(drea: bool | DREA) -> DREA | None:
    """True: the defaults; False: None."""
    if isinstance(drea, DREA):
        return drea
    return DREA() if drea else None


# -- denoised representation ------------------------------------------


def by_salience(regions: Regions) -> np.ndarray:
    """Indices, the most salient first; equals from the top left."""
    x, y = regions.centres.T
    return np.lexsort((x, y, -regions.salience.round(6)))


def cosines(look: np.ndarray) -> np.ndarray:
    """`[n, n]`, 0 where a vector is zero."""
    norm = np.linalg.norm(look, axis=1, keepdims=True)
    unit = look / np.maximum(norm, 1e-12)
    return unit @ unit.T


def overlaps(boxes: np.ndarray) -> np.ndarray:
    """Intersection over union of all pairs, `[n, n]`."""
    return _overlaps(np.asarray(boxes, np.float64).tobytes())


@lru_cache(maxsize=8)  # all pictures have the same cells
def _overlaps(raw: bytes) -> np.ndarray:
    boxes = np.frombuffer(raw).reshape(-1, 4)
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    both = np.prod((high - low).clip(0), axis=2)
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    either = area[:, None] + area[None, :] - both
    return both / np.maximum(either, 1e-12)


def groups_of(regions: Regions, drea: bool | DREA = True) -> list[list[int]]:
    """Which regions make one node: lists of indices.

    The most salient region leads. Another joins the first leader that
    it looks like, unless it covers a member of that group, or `merge`
    is False: then it is dropped. Without DREA each stands alone.

    Returns:
        Groups, the leader first in each.
    """
    order, drea = by_salience(regions), drea_of(drea)
    if drea is None:
        return [[int(i)] for i in order]
    threshold = regions.alike if drea.threshold is None else drea.threshold
    turned = np.ix_(order, order)
    alike = _sets(cosines(regions.look)[turned] >= threshold - 1e-6)
    same = _sets(overlaps(regions.boxes)[turned] >= OVERLAP)
    groups: dict[int, list[int]] = {}  # by the leader's place
    covered: dict[int, int] = {}  # places in a group, a set
    leaders = 0  # places of leaders, a set
    for place, i in enumerate(map(int, order)):
        similar = alike[place] & leaders
        if not similar:
            leaders |= 1 << place
            groups[place], covered[place] = [i], 1 << place
            continue
        first = (similar & -similar).bit_length() - 1
        if drea.merge and not same[place] & covered[first]:
            groups[first].append(i)
            covered[first] |= 1 << place
    return list(groups.values())


def _sets(flags: np.ndarray) -> list[int]:
    """Each row of a boolean matrix as one whole number, bit by bit."""
    rows = np.packbits(flags, axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


def nodes_of(
    regions: Regions,
    groups: list[list[int]],
) -> tuple[np.ndarray, list[list[int]]]:
    """Numbers of all nodes `[len(groups), 20]`, most salient first.

    Also the groups in that order. Squares of saliences add up.
    """
    member = np.zeros((len(groups), len(regions)))
    for row, group in zip(member, groups):
        row[group] = 1
    counts = member.sum(axis=1, keepdims=True)  # (G, 1)
    mean = member / counts
    centres = mean @ regions.centres
    variance = mean @ np.square(regions.centres) - np.square(centres)
    salience = np.sqrt(member @ np.square(regions.salience))
    rows = np.concatenate(
        [
            centres,
            mean @ regions.sizes,
            np.sqrt(np.where(counts > 1, variance, 0).clip(0)),
            np.log2(1 + counts) / 8,
            salience.clip(max=1)[:, None],
            mean @ regions.content,
        ],
        axis=1,
    )  # (G, 20)
    # rounded: what differs by an ulp stays in order
    order = np.argsort(-rows[:, 7].round(6), kind="stable")
    return rows[order], [groups[i] for i in order]


# -- enhanced adjacency -----------------------------------------------


def adjacency_of(nodes: np.ndarray, boost: float = 0.0) -> np.ndarray:
    """Who hears whom, `[n, n]`; each row sums to 1.

    a_ij = exp(-d_ij^2 / (2 * 0.25^2)), with the distance of centres
    d, times 1 + boost * (salience of j / the largest salience).

    Args:
        nodes: `[n, 20]`.
        boost: of salient nodes.
    """
    apart = nodes[:, None, :2] - nodes[None, :, :2]
    near = np.exp(-np.square(apart).sum(axis=2) / (2 * REACH**2))
    salience = nodes[:, 7] / max(nodes[:, 7].max(initial=0), 1e-12)
    near = near * (1 + boost * salience)[None, :]
    return near / near.sum(axis=1, keepdims=True)


# -- the interface ----------------------------------------------------


def graph_of(regions: Regions, drea: bool | DREA = True) -> dict[str, np.ndarray]:
    """The graph of one picture.

    The 20 most salient nodes are kept. Missing ones are rows (and
    columns, in A) of zeros; a picture without regions is all zeros.

    Args:
        regions: from any source, see `rsir.encoders.object_graph`.
        drea: True, False, or other settings.

    Returns:
        "nodes" X and "adjacency" A, float32 `[20, 20]` each, and
        "looks", float16 `[20, D]`.
    """
    drea = drea_of(drea)
    nodes, groups = nodes_of(regions, groups_of(regions, drea or False))
    nodes, groups = nodes[:NODES], groups[:NODES]
    n = len(nodes)
    X = np.zeros((NODES, WIDTH), dtype=np.float32)
    A = np.zeros((NODES, NODES), dtype=np.float32)
    looks = np.zeros((NODES, regions.look.shape[1]), dtype=np.float16)
    X[:n] = nodes
    A[:n, :n] = adjacency_of(nodes, drea.boost if drea else 0.0)
    for row, group in zip(looks, groups):
        row[:] = regions.look[group].mean(axis=0)
    return {"nodes": X, "adjacency": A, "looks": looks}


def local_features(
    regions: Regions, drea: bool | DREA = True
) -> tuple[np.ndarray, np.ndarray]:
    """X and A of one picture, see `graph_of`: what the paper has."""
    graph = graph_of(regions, drea)
    return graph["nodes"], graph["adjacency"]


def local_identity(source, drea: bool | DREA = True) -> dict[str, object]:
    """What decides X and A of a picture, for a cache's key."""
    settings = drea_of(drea)
    return source.identity() | {"drea": asdict(settings) if settings else None}


def local_of_split(
    source,
    split: Split,
    maps: Mapping[str, np.ndarray] | None = None,
    drea: bool | DREA = True,
    *,
    progress: bool = True,
) -> dict[str, np.ndarray]:
    """Graphs of all pictures, see `graph_of`: `[n, 20, ...]` each.

    Args:
        source: see `rsir.encoders.object_graph.region_source`.
        split: the pictures.
        maps: image features of the split, `[n, ...]`; those that
            `source.reads` names.
        drea: see `graph_of`.
        progress: print a progress line.
    """
    missing = [k for k in source.reads if k not in (maps or {})]
    if missing:
        raise RsirError(
            f"regions {source.name!r}: need the image features {', '.join(missing)}"
        )
    graphs: dict[str, np.ndarray] = {}
    label = f"objects of {split.dataset} {split.name}"
    for i in track(range(split.n_images), label, show=progress):
        own = {name: maps[name][i] for name in source.reads}
        for name, x in graph_of(source(split, i, own), drea).items():
            if name not in graphs:
                graphs[name] = np.zeros((split.n_images, *x.shape), x.dtype)
            graphs[name][i] = x
    return graphs


# ----------------------------------------------------------------------
# Graphs of all pictures of a split, computed once and then read.
#
# A set is keyed by the bytes of all pictures, the source of regions
# with its encoder or its boxes, and the settings of DREA. It is written
# aside and renamed when it is whole. Explained in chapter 03.


#: what a graph has: X, A, and what its nodes look like
GRAPH = ("nodes", "adjacency", "looks")


def cached_graphs(
    source,
    encoder: ImageEncoder | None,
    split: Split,
    drea: bool | DREA = True,
    *,
    progress: bool = True,
) -> dict[str, np.ndarray]:
    """Graphs of a split, see `rsir.encoders.object_graph.graph_of`.

    Args:
        source: see `rsir.encoders.object_graph.region_source`.
        encoder: gives the maps that the source reads, if it does.
        split: the pictures.
        drea: see `graph_of`.
        progress: print a progress line.

    Returns:
        Read-only memory maps: "nodes" and "adjacency" `[n, 20, 20]`
        float32, "looks" `[n, 20, D]` float16.

    Raises:
        RsirError: for a damaged set, or what the source refuses.
    """
    home, identity = _home(source, encoder, split, drea)
    home.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(home.with_suffix(".lock")):
        if not home.is_dir():
            _compute(source, encoder, split, drea, home, identity, progress)
    return {name: _open(home / f"{name}.npy") for name in GRAPH}


def graphs_seconds(
    source, encoder: ImageEncoder | None, split: Split, drea: bool | DREA = True
) -> float:
    """Seconds that the graphs of a split took when they were made.

    What the encoder took for the maps is not in it.
    """
    home, _ = _home(source, encoder, split, drea)
    return json.loads((home / "about.json").read_text())["seconds"]["graphs"]


def _home(source, encoder, split, drea) -> tuple[Path, dict]:
    """The folder of a set, and what decides its content."""
    identity = local_identity(source, drea)
    if source.reads:
        # the maps are those of the picture as it is, in all views
        identity["maps"] = encoder.identity() | {"views": [0]}
    if source.name == "boxes":
        boxes = repr(
            [
                [
                    (b.label, b.x0, b.y0, b.x1, b.y1, sorted(b.attributes.items()))
                    for b in some
                ]
                for some in split.objects or ()
            ]
        )
        identity["boxes"] = hashlib.sha256(boxes.encode()).hexdigest()
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode())
    for value in image_hashes(split):
        digest.update(value.encode())
    name = f"graphs-{source.name}-{digest.hexdigest()[:20]}"
    return features_dir() / name, identity


def _compute(source, encoder, split, drea, home, identity, progress):
    """All graphs into a folder aside, then rename it."""
    maps = (
        cached_features(encoder, split, source.reads, progress=progress)
        if source.reads
        else {}
    )
    start = time.perf_counter()
    graphs = local_of_split(source, split, maps, drea, progress=progress)
    about = identity | {
        "encoder": f"graphs of {source.name}",
        "dataset": split.dataset,
        "split": split.name,
        "n_images": split.n_images,
        "seconds": {"graphs": time.perf_counter() - start},
    }
    aside = home.with_suffix(".tmp")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    for name in GRAPH:
        np.save(aside / f"{name}.npy", graphs[name])
    (aside / "about.json").write_text(json.dumps(about, indent=1))
    os.replace(aside, home)


def _open(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RsirError(
            f"{path}: graph file is damaged ({error}); remove it with: rsir cache clear"
        ) from error


def all_features_seconds(
    encoder: ImageEncoder, split: Split, names, source, drea
) -> float:
    """Seconds of one pass of the encoder, and of the graphs."""
    maps = tuple(dict.fromkeys([*names, *source.reads]))
    passed = features_seconds(encoder, split, maps) if maps else 0.0
    return passed + graphs_seconds(source, encoder, split, drea)


# ----------------------------------------------------------------------
# Read pickled dictionaries of arrays without running anything.
#
# GaLR's authors share their local features as `*_local.npy`: a pickled
# dictionary. A pickle may name any function of any library, and
# unpickling calls it. In here a pickle can only build dictionaries,
# strings and arrays of numbers; even NumPy's own functions are not
# called, but noted down by stand-ins and built afterwards, checked.
# Explained in chapter 03.


DEPTH = 4  # dictionaries in dictionaries
_NUMBERS = re.compile(r"[<>=|]?[fiub][1248]\d?|[<>=|]?b1")
_MODULES = re.compile(r"numpy\._?core\.(multiarray|numeric)|numpy")


class _Refused(Exception):
    """What the pickle asks for is not admitted."""


class _Name:
    """Stands for a class that a pickle may name, but not call."""

    __slots__ = ()

    def __setstate__(self, state):
        raise _Refused("a state for a class")


class _Call(_Name):
    """Stands for a function: hands its arguments to a stand-in."""

    __slots__ = ("make",)

    def __init__(self, make):
        object.__setattr__(self, "make", make)

    def __setattr__(self, name, value):
        raise _Refused("a changed function")

    def __call__(self, *arguments):
        return self.make(*arguments)


class _Type:
    """Stands for a dtype."""

    def __init__(self, code, *_):
        self.code, self.order = code, "|"

    def __setstate__(self, state):
        self.order = state[1]

    @property
    def is_object(self) -> bool:
        return str(self.code).lstrip("|") in ("O", "O8", "O4")

    def build(self) -> np.dtype:
        code = self.code
        if not isinstance(code, str) or not _NUMBERS.fullmatch(code):
            raise _Refused(f"an array of {code!r}")
        kind = np.dtype(code)
        return kind.newbyteorder(self.order) if self.order in ("<", ">") else kind


class _Array:
    """Stands for an array until its state is known."""

    def __init__(self, *_):
        self.shape, self.type, self.data = None, None, None
        self.fortran = False

    def __setstate__(self, state):
        _, self.shape, self.type, self.fortran, self.data = state

    @classmethod
    def from_buffer(cls, data, kind, shape, order="C"):
        array = cls()
        array.__setstate__((1, shape, kind, order == "F", data))
        return array

    def build(self) -> np.ndarray:
        data, shape = self.data, self.shape
        if isinstance(data, str):  # pickled by Python 2
            data = data.encode("latin1")
        if not isinstance(self.type, _Type) or not isinstance(data, bytes | bytearray):
            raise _Refused("an array of objects")
        if not isinstance(shape, tuple) or not all(
            isinstance(n, int) and n >= 0 for n in shape
        ):
            raise _Refused("an array without a shape")
        flat = np.frombuffer(bytes(data), self.type.build())
        order = "F" if self.fortran else "C"
        native = flat.dtype.newbyteorder("=")
        return flat.reshape(shape, order=order).astype(native)

    def item(self):
        """The one object of an array of objects without axes."""
        if (
            isinstance(self.type, _Type)
            and self.type.is_object
            and self.shape == ()
            and isinstance(self.data, list)
            and len(self.data) == 1
        ):
            return self.data[0]
        return self


def _latin1(text, codec):
    """Bytes, as Python 3 writes them in old protocols."""
    if not isinstance(text, str) or codec != "latin1":
        raise _Refused(f"the codec {codec!r}")
    return text.encode("latin1")


class _Unpickler(pickle.Unpickler):
    """Admits the few names that arrays of numbers need."""

    def __init__(self, file):
        super().__init__(file, encoding="latin1")
        self._known = {  # new ones each time: nothing is shared
            "_reconstruct": _Call(_Array),
            "_frombuffer": _Call(_Array.from_buffer),
            "dtype": _Call(_Type),
            "ndarray": _Name(),
        }

    def find_class(self, module, name):
        if (module, name) == ("_codecs", "encode"):
            return _Call(_latin1)
        if (module, name) == ("__builtin__", "bytes"):
            return _Call(lambda: b"")  # of an empty array
        if _MODULES.fullmatch(module) and name in self._known:
            return self._known[name]
        raise _Refused(f"{module}.{name}")

    def persistent_load(self, key):
        raise _Refused("a persistent id")


def read_pickle(path: str | Path) -> dict:
    """A pickled dictionary of strings, arrays and dictionaries.

    Args:
        path: a pickle, or a `.npy` file that holds one.

    Returns:
        The dictionary; its keys are strings, its arrays hold numbers.

    Raises:
        RsirError: if the file holds anything else; nothing in it is
            run.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            _skip_header(file)
            value = _Unpickler(file).load()
        if isinstance(value, _Array):
            value = value.item()
        if not isinstance(value, dict):
            raise _Refused(f"{_kind(value)}, not a dictionary")
        return _built(value, "")
    except FileNotFoundError as error:
        raise RsirError(f"{path}: not found") from error
    except _Refused as error:
        raise RsirError(
            f"{path}: refused, because it holds {error}; only "
            "dictionaries, strings and arrays of numbers are read"
        ) from error
    except Exception as error:  # a damaged pickle fails in any way
        raise RsirError(
            f"{path}: not a readable pickle ({error}); fetch it again"
        ) from error


def _skip_header(file) -> None:
    """Go to the pickle: past the header of a `.npy` file, if any."""
    npy = file.read(6) == b"\x93NUMPY"
    file.seek(0)
    if not npy:
        return
    version = np.lib.format.read_magic(file)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    _, _, kind = read(file)
    if not kind.hasobject:
        raise _Refused(f"an array of {kind}, not a dictionary")


def _kind(value) -> str:
    name = (
        "array"
        if isinstance(value, _Array)
        else type(value).__name__.lstrip("_").lower()
    )
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _built(value, where: str, depth: int = 0):
    """`value` with arrays in place of stand-ins; refuse the rest."""
    if isinstance(value, str):
        return value
    if isinstance(value, _Array):
        try:
            return value.build()
        except _Refused as error:
            raise _Refused(f"{error} at {where}") from error
    if not isinstance(value, dict):
        raise _Refused(f"{_kind(value)} at {where}")
    if depth >= DEPTH:
        raise _Refused(f"dictionaries deeper than {DEPTH} at {where}")
    wrong = [key for key in value if not isinstance(key, str)]
    if wrong:
        raise _Refused(f"{_kind(wrong[0])} as a key at {where or '/'}")
    return {key: _built(one, f"{where}/{key}", depth + 1) for key, one in value.items()}


def released_local(path: str | Path, ids: Sequence[str]) -> dict[str, np.ndarray]:
    """X and A that GaLR's authors share, for some pictures.

    Args:
        path: their `rsicd_local.npy` or `rsitmd_local.npy`.
        ids: file names of the pictures, with any ending.

    Returns:
        "nodes" and "adjacency", float32 `[n, 20, 20]` each.

    Raises:
        RsirError: for a refused file, a missing picture or a shape.
    """
    held, out = read_pickle(path), {}
    for name, key in (("nodes", "local_rep"), ("adjacency", "adj_matrix")):
        table = held.get(key)
        if not isinstance(table, dict):
            raise RsirError(
                f"{path}: no {key}; expected the dictionaries local_rep and adj_matrix"
            )
        keys = [i.split(".")[0] + ".txt" for i in ids]
        missing = [k for k in keys if k not in table]
        if missing:
            raise RsirError(
                f"{path}: {key} lacks {len(missing)} of {len(keys)} "
                f"pictures, the first is {missing[0]}; take the file "
                "of this data set"
            )
        shapes = {k: np.shape(table[k]) for k in keys}
        wrong = [k for k in keys if shapes[k] != (20, 20)]
        if wrong:
            raise RsirError(
                f"{path}: {key} of {wrong[0]} has shape "
                f"{shapes[wrong[0]]}, expected (20, 20)"
            )
        out[name] = np.array([table[k] for k in keys], np.float32)
        out[name] = out[name].reshape(-1, 20, 20)
    return out
