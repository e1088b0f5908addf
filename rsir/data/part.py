"""The rebuilt part of RSITMD: its pictures that RSICD or UCM-Captions show, too.

`rsitmd_part.txt` lists their names, so that whoever has the whole data set
measures on the same pictures. Its test split is smaller than the one that
papers print numbers of: these are not comparable with it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from rsir.data.readers import some
from rsir.data.split import SPLIT_NAMES, Split, Splits
from rsir.utils.errors import RsirError

NAME, WHOLE, PART = "rsitmd-part", "rsitmd", "rebuilt"
LIST = Path(__file__).with_name("rsitmd_part.txt")


def listed() -> dict[str, list[str]]:
    """{split: names without their suffix}, in the order of the list."""
    found = {name: [] for name in SPLIT_NAMES}
    for line in LIST.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            part, name = line.split(" ", 1)
            found[part].append(Path(name).stem)
    return found


def rebuilt_part(whole: Splits) -> Splits:
    """The part, of splits of the whole set or of the part itself.

    Train, val and test are those of the list, whatever val was cut.

    Raises:
        RsirError: pictures of the list are missing, or `whole` has another
            test split.
    """
    place = {
        Path(name).stem: (split, i)
        for split in whole
        for i, name in enumerate(split.ids)
    }
    wanted = listed()
    missing = [x for names in wanted.values() for x in names if x not in place]
    if missing:
        raise RsirError(
            f"{whole.root}: {len(missing):,} of the {sum(map(len, wanted.values())):,} "
            f"pictures of {NAME} are not there ({some(missing)}); give the folder of "
            "the whole RSITMD, or of its rebuilt part"
        )
    moved = [
        name
        for part, names in wanted.items()
        for name in names
        if (place[name][0].name == "test") != (part == "test")
    ]
    if moved:
        raise RsirError(
            f"{whole.root}: the test split is not the official one: {len(moved):,} "
            f"pictures of {NAME} moved into it or out of it ({some(moved)}); see "
            f"rsir data verify {WHOLE}"
        )
    made = [_gathered(part, [place[x] for x in wanted[part]]) for part in SPLIT_NAMES]
    return Splits(NAME, whole.root, *made)


def _gathered(name: str, places: list[tuple[Split, int]]) -> Split:
    """A split of images that stand in several others."""
    first = places[0][0]
    facts = {}
    for key in ("images", "ids", "labels", "keywords"):
        lists = [(getattr(split, key), i) for split, i in places]
        known = all(values is not None for values, _ in lists)
        facts[key] = tuple(values[i] for values, i in lists) if known else None
    captions = [split.captions_of(i) for split, i in places]
    return replace(
        first,
        dataset=NAME,
        name=name,
        captions=tuple(text for own in captions for text in own),
        owner=np.repeat(np.arange(len(places)), list(map(len, captions))),
        objects=None,
        **facts,
    )
