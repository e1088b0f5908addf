"""Find captions of the real data sets in text that is to be published."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

LONG = 8  # words; shorter sentences are nobody's
WORD = re.compile(r"[a-z0-9]+")


def words(text: str) -> tuple[str, ...]:
    return tuple(WORD.findall(text.lower()))


def load(root: Path) -> dict:
    """{first LONG words: set of whole captions} of every data set.

    `root` is a data set's folder or holds several; files are the
    Karpathy-style JSON of the data sets' authors.
    """
    found = {}
    for path in sorted([*root.glob("*.json"), *root.glob("*/*.json")]):
        data = json.loads(path.read_text(encoding="utf-8"))
        for image in data.get("images", ()) if isinstance(data, dict) else ():
            for sentence in image.get("sentences", ()):
                whole = words(sentence.get("raw", ""))
                if len(whole) >= LONG:
                    found.setdefault(whole[:LONG], set()).add(whole)
    return found


def hits(text: str, known: dict) -> Iterable[str]:
    """Captions of `known` that stand in `text`, word for word."""
    said = words(text)
    for start in range(len(said) - LONG + 1):
        for whole in known.get(said[start : start + LONG], ()):
            if said[start : start + len(whole)] == whole:
                yield " ".join(whole)
