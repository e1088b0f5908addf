"""Toy scenes: procedural aerial pictures with captions that are true.

No download and no licence to mind: pictures, boxes and captions are
drawn from a seed. Two knobs show what duplicate captions and look-alike
scenes do to retrieval. Needs NumPy and Pillow only.

The knobs of `draw`:

* `seed`: whole number from 0 up; another seed, other pictures.
* `sizes`: number of train, val and test pictures.
* `duplicates`: 0..1, share of captions that are general sentences of
  the scene kind or repeat one of the same picture.
* `similarity`: 0..1, how alike the pictures of a kind are: the chance
  that an attribute has the kind's typical value.
* `size`: edge of the stored pictures in pixels, 32..1024.
* `world`: one of `WORLDS`, see `toyscenes.worlds`, in place of all kinds.

Chapter: book/toyscenes.md.
"""

from toyscenes.generate import DUPLICATES, SIMILARITY, ToySceneError, draw, read
from toyscenes.scenes import KINDS
from toyscenes.sheet import contact_sheet
from toyscenes.worlds import WORLDS

__all__ = [
    "DUPLICATES",
    "KINDS",
    "SIMILARITY",
    "WORLDS",
    "ToySceneError",
    "contact_sheet",
    "draw",
    "read",
]
