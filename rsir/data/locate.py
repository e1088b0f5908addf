"""Find the files of a data set below a data root."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from rsir.data.catalog import Entry
from rsir.data.images import SUFFIXES
from rsir.errors import RsirError

LAYOUTS = ("karpathy", "precomp", "folder")


@dataclass(frozen=True)
class Located:
    """The files of one data set.

    Attributes:
        layout: "karpathy", "precomp" or "folder".
        folder: the data set's folder.
        source: the JSON or CSV; for precomp the folder of the texts.
        images: the image folder.
    """

    layout: str
    folder: Path
    source: Path
    images: Path


def _list(folder: Path) -> dict[str, Path]:
    """Names in a folder, lower case -> path; {} if it is none."""
    try:
        return {p.name.lower(): p for p in sorted(folder.iterdir())}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except PermissionError:
        raise RsirError(
            f"no permission to list the folder {folder}; "
            "change its mode (chmod u+rx)"
        ) from None


def _has_images(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(
            e.name.lower().endswith(SUFFIXES) for e in entries
        )


def annotation(folder: Path, names=(), layout="auto"):
    """(layout, source) of the annotations in a folder, or None.

    Args:
        folder: where to look.
        names: JSON names in order of preference; without any, every
            `dataset*.json`.
        layout: one of `LAYOUTS`, or "auto" for the first that is
            there (JSON, text files, CSV).
    """
    if layout not in ("auto", *LAYOUTS):
        raise RsirError(
            f"unknown layout {layout!r}; use auto, "
            f"{', '.join(LAYOUTS)}"
        )
    inside = _list(folder)
    wanted = [n.lower() for n in names] or [
        n for n in inside
        if n.startswith("dataset") and n.endswith(".json")
    ]
    if layout in ("auto", "karpathy"):
        for name in wanted:
            if name in inside:
                return "karpathy", inside[name]
    if layout in ("auto", "precomp"):
        below = [p for n, p in inside.items()
                 if n.endswith("_precomp") and p.is_dir()]
        for place in [folder, *below]:
            if "train_caps.txt" in _list(place):
                return "precomp", place
    if layout in ("auto", "folder"):
        from rsir.data.folder import find_csv

        source = find_csv(folder) if inside else None
        if source is not None:
            return "folder", source
    return None


def image_folder(folder: Path, source: Path, names=()) -> Path:
    """The image folder: by name, else the one that holds images.

    Raises:
        RsirError: none found, or several.
    """
    names = [n.lower() for n in names] or ["images", "imgs"]
    places = dict.fromkeys((folder, source, folder.parent))
    for place in places:
        inside = _list(place)
        for name in names:
            found = inside.get(name)
            if found is not None and found.is_dir():
                return found
    holders = [p for p in _list(folder).values()
               if p.is_dir() and _has_images(p)]
    if len(holders) == 1:
        return holders[0]
    if _has_images(folder):
        return folder
    if holders:
        raise RsirError(
            f"{folder} has several folders with images ("
            f"{', '.join(p.name for p in holders[:4])}); name one "
            "with images=..."
        )
    raise RsirError(
        f"no image folder in {folder}; expected {names[0]}/ there, or "
        "name it with images=..."
    )


def locate(
    entry: Entry,
    root: Path,
    layout: str = "auto",
    images: str | os.PathLike | None = None,
) -> Located:
    """The files of a named data set.

    `root` is the folder of the data set itself, or has `rsicd/`,
    `ucm/`, ... below it.

    Raises:
        RsirError: nothing there; the message tells how to get it.
    """
    names = entry.annotations
    below = _list(root)
    # a folder of the set's own name wins over loose files in the root
    places = [below[n.lower()] for n in entry.folders
              if n.lower() in below and below[n.lower()].is_dir()]
    for folder in dict.fromkeys([*places, root]):
        found = annotation(folder, names, layout)
        if found is None or found[0] == "folder":
            continue
        kind, source = found
        pictures = Path(images).expanduser() if images else (
            image_folder(folder, source, entry.image_folders)
            if kind == "karpathy" else
            image_folder(
                folder, source,
                (*entry.image_folders, *entry.folders),
            )
        )
        return Located(kind, folder, source, pictures)
    if root.is_dir():
        why = (f"neither {root} nor {root / entry.name} has "
               f"{names[0]} or train_caps.txt")
    else:
        why = f"the data root {root} does not exist"
    raise RsirError(
        f"{entry.name} not found: {why}; run `rsir data fetch "
        f"{entry.name}`, or name the root with root=... or RSIR_DATA"
    )
