"""The gallery that is searched, by name.

* "full": all captions. The field's protocol.
* "deduplicated": of each picture every text once. The code released
  with CFITR does so before it tests. Fewer wrong texts stand in the
  way of a picture, and fewer captions ask.

Both are recalls, and they do not compare. Only numpy is needed.
Explained in chapter 05.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from rsir import metrics
from rsir.counting import check_owner, check_scores
from rsir.metrics import Report

__all__ = ["GALLERIES", "GalleryReport", "evaluate", "kept"]

GALLERIES = ("full", "deduplicated")


@dataclass(frozen=True)
class GalleryReport(Report):
    """A report that says which gallery was searched.

    Attributes:
        gallery: one of `GALLERIES`.
        left_out: captions that were not part of it.
    """

    gallery: str = "full"
    left_out: int = 0

    def to_dict(self) -> dict:
        """As of `Report`, with the name of the gallery."""
        return super().to_dict() | {"gallery": self.gallery}

    def _foot(self) -> str:
        return super()._foot() + (
            f", gallery {self.gallery} ({self.left_out} left out)")


def kept(captions: Sequence[str], owner, gallery: str = "full"
         ) -> np.ndarray:
    """Which captions belong to a gallery, bool [n_captions].

    Args:
        captions: texts. Two are the same if they are equal to the
            letter.
        owner: [n_captions] ints, the image of each caption.
        gallery: one of `GALLERIES`. Of equal texts of one image the
            first is kept; as released it is one at random. Only the
            tie rule "released" can tell.

    Raises:
        ValueError: an unknown gallery, or not a text for each owner.
    """
    if gallery not in GALLERIES:
        raise ValueError(
            f"gallery: {gallery!r} is none; use one of "
            f"{', '.join(GALLERIES)}."
        )
    owner = np.asarray(owner)
    if len(captions) != len(owner):
        raise ValueError(
            f"captions: {len(captions)} texts for {len(owner)} "
            "columns of scores; give one text for each."
        )
    keep = np.ones(len(owner), bool)
    if gallery == "deduplicated":
        seen = set()
        for place, pair in enumerate(zip(owner.tolist(), captions)):
            keep[place] = pair not in seen
            seen.add(pair)
    return keep


def evaluate(scores, owner, captions: Sequence[str],
             gallery: str = "full", **options) -> GalleryReport:
    """Score a similarity matrix on a gallery of this name.

    Args:
        scores, owner: as for `metrics.evaluate`; of all captions.
        captions, gallery: as for `kept`.
        options: of `metrics.evaluate`.

    Raises:
        ValueError: as `kept` and `metrics.evaluate` do.
    """
    scores = check_scores(scores)
    owner = check_owner(owner, *scores.shape)
    keep = kept(captions, owner, gallery)
    report = metrics.evaluate(scores[:, keep], owner[keep], **options)
    same = {f.name: getattr(report, f.name) for f in fields(report)}
    return GalleryReport(**same, gallery=gallery,
                         left_out=int((~keep).sum()))
