"""Objects of a picture as a small graph: regions, nodes, stored graphs.

X `[20, 20]` holds 20 nodes of 20 numbers, A `[20, 20]` says who hears whom.
GaLR's detector was neither released nor described: where regions come from, and
each of the 20 numbers, is ours. Explained in chapter 03.

    0, 1    centre x, y, as shares of the picture's sides
    2, 3    width and height; means, where regions were merged
    4, 5    deviation of the merged centres in x and y, else 0
    6       log2(1 + regions merged) / 8
    7       salience: the root of a share of the picture
    8-19    content: what the region is

Each node also keeps its whole look, the mean over its regions.
"""

import hashlib
import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from rsir.data import Box, Split
from rsir.encoders.base import loading
from rsir.encoders.feature_cache import cached_features, stored
from rsir.encoders.image import ImageEncoder
from rsir.utils.errors import RsirError

NODES = 20
#: numbers of a node that tell what a region is, not where
CONTENT = 12
WIDTH = 8 + CONTENT
LABEL = 8  # of the content, for a label; the rest is for its attributes
#: what a graph has: X, A, and what its nodes look like
GRAPH = ("nodes", "adjacency", "looks")

#: what the open-vocabulary detector looks for, unless told otherwise: the
#: classes of DOTA (the authors' detector knew these), in our words
DOTA = tuple(
    "plane,ship,storage tank,baseball diamond,tennis court,basketball court,"
    "running track,harbor,bridge,lorry,car,helicopter,roundabout,soccer field,"
    "swimming pool".split(",")
)


@dataclass(frozen=True)
class Regions:
    """Regions of one picture, whatever found them.

    Attributes:
        boxes: `[n, 4]`: left, top, right, bottom, as shares of the sides.
        salience: `[n]` in [0, 1]; its square is a share of the picture.
        content: `[n, 12]`, the numbers that go into a node.
        look: `[n, D]`, by which regions are compared.
        names: `[n]`, for captions of pictures.
        alike: cosine of looks from which on regions are near-duplicates.
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


def code_of(word: str, length: int) -> np.ndarray:
    """A unit vector `[length]` that stands for a word, from its SHA-256."""
    digest = hashlib.sha256(word.encode()).digest()
    numbers = np.frombuffer(digest, dtype="<u2")[:length] / 65535 - 0.5
    return numbers / np.linalg.norm(numbers)


def regions_of_boxes(
    boxes: Sequence[Box],
    size: tuple[int, int],
    confidence: Sequence[float] | None = None,
) -> Regions:
    """Regions from labelled boxes: ground truth, or a detector's.

    Content: 8 numbers for the label, 4 for its attributes (the mean of their
    codes, or zeros). Salience: root of the box's share of the picture, times
    confidence.

    Args:
        boxes: in pixels; an RsirError for one without area.
        size: width and height of the picture.
        confidence: of each box, in [0, 1]; None: 1.
    """
    n = len(boxes)
    corners = np.array([(b.x0, b.y0, b.x1, b.y1) for b in boxes], dtype=np.float64)
    corners = (corners.reshape(n, 4) / np.array([*size, *size])).clip(0, 1)
    area = np.prod(corners[:, 2:] - corners[:, :2], axis=1)
    content = np.zeros((n, CONTENT))
    for i, box in enumerate(boxes):
        if box.x1 <= box.x0 or box.y1 <= box.y0:
            raise RsirError(
                f"box {i} ({box.label!r}) has no area: "
                f"{box.x0, box.y0, box.x1, box.y1}; needs x1 > x0 and y1 > y0"
            )
        content[i, :LABEL] = code_of(box.label, LABEL)
        attributes = [f"{k}={v}" for k, v in sorted(box.attributes.items())]
        if attributes:
            codes = [code_of(each, CONTENT - LABEL) for each in attributes]
            content[i, LABEL:] = np.mean(codes, axis=0)
    sure = 1.0 if confidence is None else np.asarray(confidence)
    names = (" ".join([*b.attributes.values(), b.label]) for b in boxes)
    return Regions(corners, np.sqrt(area) * sure, content, content, tuple(names))


@cache
def random_matrix(channels: int, level: int) -> np.ndarray:
    """`[channels, 12]` of variance 1 / 12: lengths stay, about."""
    # RandomState's numbers are frozen by NumPy, for ever
    draw = np.random.RandomState([0, level])
    return draw.standard_normal((channels, CONTENT)) / np.sqrt(CONTENT)


def regions_of_pyramid(f3: np.ndarray, f4: np.ndarray) -> Regions:
    """Cells of the two upper maps `[C, H, W]`, H * W of each, f3's first.

    A cell is salient by how far its channels are from the picture's mean:
    squared, its share of the variance. Cells are compared by that difference.
    Content: the cell's channels at unit length, through a random matrix.
    """
    parts, start, width = [], 0, len(f3) + len(f4)
    for level, (f, stride) in enumerate(((f3, 16), (f4, 32))):
        c, h, w = f.shape
        x = np.asarray(f, np.float32).reshape(c, h * w).T  # (HW, C)
        apart = x - x.mean(axis=0)
        look = np.zeros((h * w, width), dtype=np.float32)
        look[:, start : start + c] = apart  # cells of two levels: never alike
        start += c
        total = 2 * np.square(apart).sum()  # two levels: 1 in all
        share = np.square(apart).sum(axis=1) / max(total, 1e-12)
        unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-6)
        row, column = np.divmod(np.arange(h * w), w)
        corners = [column / w, row / h, (column + 1) / w, (row + 1) / h]
        names = np.repeat(f"stride {stride}", h * w)
        content = unit @ random_matrix(c, level)
        parts.append((np.stack(corners, axis=1), np.sqrt(share), content, look, names))
    boxes, salience, content, look, names = map(np.concatenate, zip(*parts))
    return Regions(boxes, salience, content, look, tuple(names), alike=0.4)


# -- sources: `source(split, i, maps)` gives the regions of picture i --


class BoxSource:
    """Ground-truth boxes of the data set (toy scenes have them)."""

    name = "boxes"
    reads: tuple[str, ...] = ()  # image features that it needs, in `maps`
    options: Mapping[str, object] = {}  # what decides the regions

    def __call__(self, split: Split, i: int, maps: Mapping[str, np.ndarray]) -> Regions:
        if split.objects is None:
            raise RsirError(
                f"{split.dataset}: this data set has no boxes; use the "
                "regions 'pyramid' or 'detector'"
            )
        return regions_of_boxes(split.objects[i], split.open(i).size)


class PyramidSource(BoxSource):
    """Salient cells of a frozen encoder's maps, see `regions_of_pyramid`."""

    name = "pyramid"
    reads = ("f3", "f4")
    options = {"seed": 0}

    def __call__(self, split: Split, i: int, maps: Mapping[str, np.ndarray]) -> Regions:
        return regions_of_pyramid(maps["f3"], maps["f4"])


class DetectorSource(BoxSource):
    """An open-vocabulary detector of the model hub (wants a GPU).

    Args:
        model: id of the hub, for "zero-shot-object-detection".
        labels: what to look for.
        threshold: confidence that a box needs.
        pipeline: used in place of a new one.
    """

    name = "detector"

    def __init__(
        self,
        model: str = "google/owlv2-base-patch16-ensemble",
        labels: Sequence[str] = DOTA,
        threshold: float = 0.2,
        pipeline=None,
    ) -> None:
        self.options = {"model": model, "labels": [*labels], "threshold": threshold}
        self.pipeline = pipeline

    def __call__(self, split: Split, i: int, maps: Mapping[str, np.ndarray]) -> Regions:
        model, labels, threshold = self.options.values()
        if self.pipeline is None:
            from transformers.pipelines import pipeline

            task = "zero-shot-object-detection"
            device = "cuda" if torch.cuda.is_available() else "cpu"
            remedy = "connect once, or use the regions 'pyramid'"
            with loading(f"detector {model!r}", remedy):
                self.pipeline = pipeline(task, model=model, device=device)
        picture = split.open(i)
        boxes, confidence = [], []
        for one in self.pipeline(picture, threshold=threshold, candidate_labels=labels):
            x0, y0, x1, y1 = (one["box"][k] for k in ("xmin", "ymin", "xmax", "ymax"))
            x0, x1 = max(x0, 0), min(x1, picture.width)  # outside: no area
            y0, y1 = max(y0, 0), min(y1, picture.height)
            if x1 > x0 and y1 > y0:
                boxes.append(Box(one["label"], x0, y0, x1, y1))
                confidence.append(float(one["score"]))
        return regions_of_boxes(boxes, picture.size, confidence)


SOURCES = {source.name: source for source in (BoxSource, PyramidSource, DetectorSource)}


def region_source(name: str) -> BoxSource:
    """A source of regions: "boxes", "pyramid" or "detector"."""
    if name not in SOURCES:
        raise RsirError(
            f"regions {name!r}: unknown; choose one of {', '.join(SOURCES)}"
        )
    return SOURCES[name]()


def nodes_of(
    regions: Regions, groups: list[list[int]]
) -> tuple[np.ndarray, list[list[int]]]:
    """A node `[20]` for each group, most salient first; groups in that order.

    Squares of saliences add up.
    """
    member = np.zeros((len(groups), len(regions)))
    for row, group in zip(member, groups):
        row[group] = 1
    counts = member.sum(axis=1, keepdims=True)  # (G, 1)
    mean = member / counts
    centres = mean @ regions.centres
    variance = mean @ np.square(regions.centres) - np.square(centres)
    salience = np.sqrt(member @ np.square(regions.salience))
    parts = [
        centres,
        mean @ (regions.boxes[:, 2:] - regions.boxes[:, :2]),
        np.sqrt(np.where(counts > 1, variance, 0).clip(0)),
        np.log2(1 + counts) / 8,
        salience.clip(max=1)[:, None],
        mean @ regions.content,
    ]
    rows = np.concatenate(parts, axis=1)  # (G, 20)
    # rounded: what differs by an ulp stays in order
    order = np.argsort(-rows[:, 7].round(6), kind="stable")
    return rows[order], [groups[i] for i in order]


def padded_graph(
    regions: Regions,
    groups: list[list[int]],
    adjacency: Callable[[np.ndarray], np.ndarray],
) -> dict[str, np.ndarray]:
    """The graph of the 20 most salient nodes; missing ones are zeros.

    Args:
        regions: of one picture.
        groups: of regions, one for each node.
        adjacency: maps nodes `[n, 20]` to A `[n, n]`.

    Returns:
        "nodes" and "adjacency", float32 `[20, 20]`; "looks", float16 `[20, D]`.
    """
    nodes, groups = (found[:NODES] for found in nodes_of(regions, groups))
    n = len(nodes)
    X = np.zeros((NODES, WIDTH), dtype=np.float32)
    A = np.zeros((NODES, NODES), dtype=np.float32)
    looks = np.zeros((NODES, regions.look.shape[1]), dtype=np.float16)
    X[:n], A[:n, :n] = nodes, adjacency(nodes)
    for row, group in zip(looks, groups):
        row[:] = regions.look[group].mean(axis=0)
    return {"nodes": X, "adjacency": A, "looks": looks}


def cached_graphs(
    source: BoxSource,
    encoder: ImageEncoder | None,
    split: Split,
    graph_of: Callable[[Regions], dict[str, np.ndarray]],
    settings: Mapping[str, object],
    *,
    progress: bool = True,
) -> dict[str, np.ndarray]:
    """Graphs of all pictures, computed once and then read from disk.

    Args:
        source: see `region_source`.
        encoder: gives the maps that the source reads, if it does.
        split: the pictures.
        graph_of: the graph of one picture's regions, see `padded_graph`.
        settings: what decides `graph_of`, as JSON has it; part of the key.
        progress: print a progress line.

    Returns:
        Read-only memory maps of all of `GRAPH`, `[n_images, 20, ...]` each.
    """
    identity: dict = {"regions": source.name} | source.options | settings
    if source.reads:  # maps are those of the picture as it is, in all views
        identity["maps"] = encoder.identity() | {"views": [0]}
    if source.name == "boxes":
        boxes = [
            [(b.label, b.x0, b.y0, b.x1, b.y1, sorted(b.attributes.items())) for b in x]
            for x in split.objects or ()
        ]
        identity["boxes"] = hashlib.sha256(repr(boxes).encode()).hexdigest()

    def compute(rows: range, names: Sequence[str]) -> dict[str, np.ndarray]:
        maps = {}
        if source.reads:
            maps = cached_features(encoder, split, source.reads, progress=progress)
        regions = (source(split, i, {k: v[i] for k, v in maps.items()}) for i in rows)
        graphs = [graph_of(found) for found in regions]
        return {name: np.stack([graph[name] for graph in graphs]) for name in names}

    what = f"graphs-{source.name}", identity, split
    return stored(*what, GRAPH, compute, progress=progress)


# -- the authors' own graphs ------------------------------------------


class _Array:
    """Stands for an array in a pickle: notes what it would be made of."""

    def __init__(self, *made_of) -> None:
        self.made_of = made_of

    def __setstate__(self, state) -> None:
        self.state = state

    def build(self) -> np.ndarray:
        _, shape, kind, fortran, data = self.state
        (code, *_), order = kind.made_of, kind.state[1].replace("|", "=")
        if shape != (NODES, NODES) or not re.fullmatch("[fiu][1248]", code):
            raise pickle.UnpicklingError(f"an array {shape} of {code!r}")
        flat = np.frombuffer(data, order + code)
        return flat.reshape(shape, order="F" if fortran else "C")


class _Bytes(_Array):
    def __new__(cls, text: str, codec: str) -> bytes:
        return text.encode("latin1")


class _Unpickler(pickle.Unpickler):
    """Builds dictionaries, strings and stand-ins for arrays; runs nothing."""

    def find_class(self, module: str, name: str) -> type:
        if (module, name) == ("_codecs", "encode"):  # bytes, in old protocols
            return _Bytes
        known = name in ("_reconstruct", "ndarray", "dtype")
        if known and re.fullmatch(r"numpy(\._?core\.multiarray)?", module):
            return _Array
        raise pickle.UnpicklingError(f"{module}.{name}")


def released_local(path: str | Path, ids: Sequence[str]) -> dict[str, np.ndarray]:
    """X and A that GaLR's authors share, for some pictures.

    Args:
        path: their `rsicd_local.npy` or `rsitmd_local.npy`, a pickle; only
            dictionaries, strings and arrays of numbers in it are read.
        ids: file names of the pictures, with any ending.

    Returns:
        "nodes" and "adjacency", float32 `[n, 20, 20]` each.

    Raises:
        RsirError: for anything else in it, a missing picture, or a shape.
    """
    names = [f"{i.split('.')[0]}.txt" for i in ids]
    try:
        with open(path, "rb") as file:
            np.lib.format.read_magic(file)
            np.lib.format.read_array_header_1_0(file)
            (held,) = _Unpickler(file, encoding="latin1").load().state[4]
        nodes, adjacency = (
            np.array([held[table][name].build() for name in names], np.float32)
            for table in ("local_rep", "adj_matrix")
        )
    except Exception as error:  # a damaged pickle fails in any way
        lacks = "lacks " if isinstance(error, KeyError) else ""
        raise RsirError(
            f"{path}: not GaLR's local features of these pictures ({lacks}{error}); "
            "take the authors' file of this data set"
        ) from error
    shape = (-1, NODES, NODES)
    return {"nodes": nodes.reshape(shape), "adjacency": adjacency.reshape(shape)}
