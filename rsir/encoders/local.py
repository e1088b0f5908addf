"""Local features of GaLR: a small graph of a picture's objects.

X `[20, 20]` holds 20 nodes of 20 numbers, A `[20, 20]` says who hears
whom. The authors' detector, and how they made X and A, were not
released: from the abstract and the figures it is known that redundant
targets are dropped and salient ones strengthened (DREA). How that is
done in here, and each of the 20 numbers, is ours. Chapter 03.

The numbers of a node:

    0, 1    centre x, y, as shares of the picture's sides
    2, 3    width and height; means, where regions were merged
    4, 5    deviation of the merged centres in x and y, else 0
    6       log2(1 + regions merged) / 8
    7       salience: the root of a share of the picture
    8-19    content: what the region is, see `rsir.encoders.regions`

Twelve numbers of content are few for a node that 432 channels saw. So
each node also keeps its whole look, the mean over its regions.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np

from rsir.data import Split
from rsir.encoders.regions import CONTENT, Regions
from rsir.errors import RsirError
from rsir.progress import track

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
            raise RsirError(
                f"threshold is {self.threshold}: a cosine in (0, 1]"
            )
        if self.boost < 0:
            raise RsirError(
                f"boost is {self.boost}: must not be negative"
            )


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


def groups_of(regions: Regions, drea: bool | DREA = True
              ) -> list[list[int]]:
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
    threshold = regions.alike if drea.threshold is None \
        else drea.threshold
    turned = np.ix_(order, order)
    alike = _sets(cosines(regions.look)[turned] >= threshold - 1e-6)
    same = _sets(overlaps(regions.boxes)[turned] >= OVERLAP)
    groups: dict[int, list[int]] = {}     # by the leader's place
    covered: dict[int, int] = {}          # places in a group, a set
    leaders = 0                           # places of leaders, a set
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


def nodes_of(regions: Regions, groups: list[list[int]],
             ) -> tuple[np.ndarray, list[list[int]]]:
    """Numbers of all nodes `[len(groups), 20]`, most salient first.

    Also the groups in that order. Squares of saliences add up.
    """
    member = np.zeros((len(groups), len(regions)))
    for row, group in zip(member, groups):
        row[group] = 1
    counts = member.sum(axis=1, keepdims=True)    # (G, 1)
    mean = member / counts
    centres = mean @ regions.centres
    variance = mean @ np.square(regions.centres) - np.square(centres)
    salience = np.sqrt(member @ np.square(regions.salience))
    rows = np.concatenate([
        centres, mean @ regions.sizes,
        np.sqrt(np.where(counts > 1, variance, 0).clip(0)),
        np.log2(1 + counts) / 8, salience.clip(max=1)[:, None],
        mean @ regions.content,
    ], axis=1)                                    # (G, 20)
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
    near = np.exp(-np.square(apart).sum(axis=2) / (2 * REACH ** 2))
    salience = nodes[:, 7] / max(nodes[:, 7].max(initial=0), 1e-12)
    near = near * (1 + boost * salience)[None, :]
    return near / near.sum(axis=1, keepdims=True)


# -- the interface ----------------------------------------------------


def graph_of(regions: Regions, drea: bool | DREA = True
             ) -> dict[str, np.ndarray]:
    """The graph of one picture.

    The 20 most salient nodes are kept. Missing ones are rows (and
    columns, in A) of zeros; a picture without regions is all zeros.

    Args:
        regions: from any source, see `rsir.encoders.regions`.
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


def local_features(regions: Regions, drea: bool | DREA = True
                   ) -> tuple[np.ndarray, np.ndarray]:
    """X and A of one picture, see `graph_of`: what the paper has."""
    graph = graph_of(regions, drea)
    return graph["nodes"], graph["adjacency"]


def local_identity(source, drea: bool | DREA = True
                   ) -> dict[str, object]:
    """What decides X and A of a picture, for a cache's key."""
    settings = drea_of(drea)
    return source.identity() | {
        "drea": asdict(settings) if settings else None
    }


def local_of_split(source, split: Split,
                   maps: Mapping[str, np.ndarray] | None = None,
                   drea: bool | DREA = True, *, progress: bool = True
                   ) -> dict[str, np.ndarray]:
    """Graphs of all pictures, see `graph_of`: `[n, 20, ...]` each.

    Args:
        source: see `rsir.encoders.regions.region_source`.
        split: the pictures.
        maps: image features of the split, `[n, ...]`; those that
            `source.reads` names.
        drea: see `graph_of`.
        progress: print a progress line.
    """
    missing = [k for k in source.reads if k not in (maps or {})]
    if missing:
        raise RsirError(
            f"regions {source.name!r}: need the image features "
            f"{', '.join(missing)}"
        )
    graphs: dict[str, np.ndarray] = {}
    label = f"objects of {split.dataset} {split.name}"
    for i in track(range(split.n_images), label, show=progress):
        own = {name: maps[name][i] for name in source.reads}
        for name, x in graph_of(source(split, i, own), drea).items():
            if name not in graphs:
                graphs[name] = np.zeros(
                    (split.n_images, *x.shape), x.dtype)
            graphs[name][i] = x
    return graphs
