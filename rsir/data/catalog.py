"""The catalogue of data sets, from `catalog.yml`; its head explains it.

Chapter: notebooks/01_data_and_protocol.ipynb.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from rsir.utils.errors import RsirError


@dataclass(frozen=True)
class Source:
    """One place to get a data set from: hub, drive or manual."""

    kind: str
    title: str
    files: dict[str, str] = field(default_factory=dict)
    steps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One data set; the fields are those of the file."""

    name: str
    title: str
    licence: str
    folders: tuple[str, ...]
    annotations: tuple[str, ...]
    image_folders: tuple[str, ...]
    images: int
    captions: int
    splits: tuple[int, int | None, int]
    pixels: str
    sources: tuple[Source, ...]
    hashes: dict[str, str] = field(default_factory=dict)
    known: tuple[tuple[list[int], str], ...] = ()


_FILE = Path(__file__).with_name("catalog.yml")
CATALOG: dict[str, Entry] = {
    name: Entry(name, sources=tuple(Source(**s) for s in facts.pop("sources")), **facts)
    for name, facts in yaml.safe_load(_FILE.read_text("utf-8")).items()
}

UCM_CLASSES = (
    "agricultural airplane baseballdiamond beach buildings chaparral "
    "denseresidential forest freeway golfcourse harbor intersection "
    "mediumresidential mobilehomepark overpass parkinglot river runway "
    "sparseresidential storagetanks tenniscourt"
).split()


def entry(name: str) -> Entry:
    """The catalogue entry of a data set.

    Raises:
        RsirError: unknown name; the message lists the names.
    """
    if name == "toy":
        raise RsirError(
            "the toy scenes are drawn by rsir itself; there is nothing "
            "to fetch or verify: load_dataset('toy')"
        )
    if name not in CATALOG:
        raise RsirError(f"unknown data set {name!r}; there are {', '.join(CATALOG)}")
    return CATALOG[name]


def scene_of(name: str, image_id: str) -> str:
    """The scene kind that an image's name tells, else "".

    RSICD and RSITMD name most images `<kind>_<number>`; 921 names of
    RSICD are numbers only. UCM-Captions numbers its images through
    the 21 classes of UC Merced, 100 each, in alphabetical order.
    """
    stem = image_id.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
    if name == "ucm":
        known = stem.isdecimal() and 1 <= int(stem) <= 2_100
        return UCM_CLASSES[(int(stem) - 1) // 100] if known else ""
    kind, _, number = stem.rpartition("_")
    return kind if number.isdecimal() else ""
