"""Where the objects of a picture come from: three sources.

GaLR's detector was not released, and what it saw was not described.
All numbers of a region in here are ours. Explained in chapter 03.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from rsir.data import Box, Split
from rsir.data.images import open_image
from rsir.errors import RsirError

#: numbers of a node that tell what a region is, not where
CONTENT = 12
_LABEL = 8  # of these, for a label; the rest is for its attributes

#: what the open-vocabulary detector looks for, unless told otherwise:
#: the classes of DOTA (the authors' detector knew these), in our words
DOTA = (
    "plane", "ship", "storage tank", "baseball diamond",
    "tennis court", "basketball court", "running track", "harbor",
    "bridge", "lorry", "car", "helicopter", "roundabout",
    "soccer field", "swimming pool",
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


def regions_of_boxes(boxes: Sequence[Box], size: tuple[int, int],
                     confidence: Sequence[float] | None = None
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
        codes = [code_of(f"{k}={v}", CONTENT - _LABEL)
                 for k, v in sorted(box.attributes.items())]
        if codes:
            content[i, _LABEL:] = np.mean(codes, axis=0)
    sure = 1.0 if confidence is None else np.asarray(confidence)
    names = (" ".join([*b.attributes.values(), b.label]) for b in boxes)
    return Regions(corners, np.sqrt(area) * sure, content, content,
                   tuple(names))


@cache
def random_matrix(channels: int, seed: int, level: int) -> np.ndarray:
    """`[channels, 12]` of variance 1 / 12: lengths stay, about."""
    # RandomState's numbers are frozen by NumPy, for ever
    draw = np.random.RandomState([seed, level])
    return draw.standard_normal((channels, CONTENT)) / np.sqrt(CONTENT)


def regions_of_pyramid(f3: np.ndarray, f4: np.ndarray, seed: int = 0
                       ) -> Regions:
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
        x = f.reshape(c, h * w).T                 # (HW, C)
        apart = x - x.mean(axis=0)
        look = np.zeros((h * w, width), dtype=np.float32)
        look[:, start:start + c] = apart          # levels: never alike
        start += c
        total = 2 * np.square(apart).sum()        # two levels: 1 in all
        share = np.square(apart).sum(axis=1) / max(total, 1e-12)
        norm = np.linalg.norm(x, axis=1, keepdims=True)
        row, column = np.divmod(np.arange(h * w), w)
        parts.append((
            np.stack([column / w, row / h, (column + 1) / w,
                      (row + 1) / h], axis=1),
            np.sqrt(share),
            x / np.maximum(norm, 1e-6)
            @ random_matrix(c, seed, level), look,
            np.repeat(f"stride {stride}", h * w),
        ))
    boxes, salience, content, look, names = map(
        np.concatenate, zip(*parts)
    )
    return Regions(boxes, salience, content, look, tuple(names),
                   alike=0.4)


class BoxSource:
    """Ground-truth boxes of the data set (toy scenes have them)."""

    name = "boxes"
    reads: tuple[str, ...] = ()

    def identity(self) -> dict[str, object]:
        """What decides the regions, for a cache's key."""
        return {"regions": self.name}

    def __call__(self, split: Split, i: int,
                 maps: Mapping[str, np.ndarray]) -> Regions:
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

    def __call__(self, split: Split, i: int,
                 maps: Mapping[str, np.ndarray]) -> Regions:
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

    def __init__(self, model: str = "google/owlv2-base-patch16-ensemble",
                 labels: Sequence[str] = DOTA, threshold: float = 0.2,
                 device=None, pipeline=None) -> None:
        self.model, self.labels = model, tuple(labels)
        self.threshold, self.device = threshold, device
        self.pipeline = pipeline

    def identity(self) -> dict[str, object]:
        return {"regions": self.name, "model": self.model,
                "labels": list(self.labels),
                "threshold": self.threshold}

    def _load(self):
        import torch
        from transformers.pipelines import pipeline

        device = self.device
        if device is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            return pipeline("zero-shot-object-detection",
                            model=self.model, device=device)
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
        found = self.pipeline(picture, threshold=self.threshold,
                              candidate_labels=list(self.labels))
        pairs = []
        for one in found:
            x0, y0, x1, y1 = (
                one["box"][k] for k in ("xmin", "ymin", "xmax", "ymax")
            )
            # what lies outside of the picture has no area
            x0, x1 = max(x0, 0), min(x1, picture.width)
            y0, y1 = max(y0, 0), min(y1, picture.height)
            if x1 > x0 and y1 > y0:
                box = Box(one["label"], x0, y0, x1, y1)
                pairs.append((box, float(one["score"])))
        return pairs

    def __call__(self, split: Split, i: int,
                 maps: Mapping[str, np.ndarray]) -> Regions:
        picture = open_image(split.images[i])
        pairs = self.detect(picture)
        return regions_of_boxes([b for b, _ in pairs], picture.size,
                                [s for _, s in pairs])


SOURCES = {
    source.name: source
    for source in (BoxSource, PyramidSource, DetectorSource)
}


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
            f"regions {name!r}: unknown; choose one of "
            f"{', '.join(SOURCES)}"
        )
    return SOURCES[name](**options)
