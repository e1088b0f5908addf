"""One picture of the data set, from nothing but its numbers.

The picture and its captions depend on the seed, the split, the index
and the knobs; not on other pictures, nor on who draws it.
"""

import io

import numpy as np
from PIL import Image

from toyscenes.captions import describe, keywords
from toyscenes.geometry import SIZE
from toyscenes.scenes import KINDS, SCENES
from toyscenes.stage import Stage

QUALITY = 92  # JPEG, full chroma: about 35 kB, quick to read
_TRAITS, _LAYOUT, _WORDS, _ORDER = range(4)


def stream(seed, split, index, purpose):
    """A random generator for one purpose of one picture."""
    return np.random.default_rng([seed, split, index, purpose])


def kind_of(seed, split, index):
    """The kind of picture `index`: each run of kinds holds all once."""
    lap, place = divmod(index, len(KINDS))
    order = stream(seed, split, lap, _ORDER).permutation(len(KINDS))
    return KINDS[order[place]]


def draw(kind, seed, split, index, similarity, duplicates):
    """Draw one picture and say what is on it.

    Args:
        kind: a name of `KINDS`.
        seed, split, index: whole numbers that name the picture.
        similarity: 0..1, likeness within a kind.
        duplicates: 0..1, share of general or repeated captions.

    Returns:
        Pixels, uint8 `[256, 256, 3]`, and a dict with `label`,
        `captions`, `keywords`, `objects`.
    """
    stage = Stage(
        kind,
        similarity,
        stream(seed, split, index, _TRAITS),
        stream(seed, split, index, _LAYOUT),
    )
    SCENES[kind](stage)
    pixels = stage.c.finish()
    words = stream(seed, split, index, _WORDS)
    return pixels, {
        "label": kind,
        "captions": describe(stage, words, duplicates),
        "keywords": keywords(stage),
        "objects": [
            {"label": m.label, "box": list(m.box), "attributes": m.attributes}
            for m in stage.marks
        ],
    }


def encode(pixels, record, size):
    """The picture as JPEG bytes; boxes follow when `size` is not 256."""
    image = Image.fromarray(pixels)
    if size != SIZE:
        image = image.resize((size, size), Image.Resampling.LANCZOS)
        for item in record["objects"]:
            item["box"] = [round(v * size / SIZE, 1) for v in item["box"]]
    out = io.BytesIO()
    image.save(out, "JPEG", quality=QUALITY, subsampling=0)
    return out.getvalue()
