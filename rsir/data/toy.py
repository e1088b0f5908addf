"""The toy scenes as splits; `toyscenes` draws them, this reads them.

Chapter: notebooks/01_data_and_protocol.ipynb.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

import toyscenes
from rsir.data.split import SPLIT_NAMES, Box, Split, Splits
from rsir.utils.errors import RsirError
from rsir.utils.io import cache_dir
from toyscenes.generate import check_knobs, folder_name, holds
from toyscenes.worlds import RECIPE

WORLD = "world-"  # begins the name of a world among the data sets
WORLDS = tuple(f"{WORLD}{name}" for name in toyscenes.WORLDS)
ERRORS = ("colour", "form", "exchange")  # of `with_errors`


def load_toy(
    root: str | os.PathLike | None = None,
    *,
    seed: int = 0,
    sizes: tuple[int, int, int] = (1000, 150, 150),
    duplicates: float = toyscenes.DUPLICATES,
    similarity: float = toyscenes.SIMILARITY,
    size: int = 256,
    world: str = "",
    workers: int | None = None,
) -> Splits:
    """The toy scenes, with labels, objects and keywords; drawn if not there.

    Args:
        root: folder to keep them in; by default the user cache.
        seed, sizes, duplicates, similarity, size, world: see `toyscenes`.
        workers: processes to draw with; by default one a core.

    Raises:
        RsirError: a knob out of range, or a cache that cannot be written.
    """
    from filelock import FileLock

    try:
        knobs = check_knobs(seed, sizes, duplicates, similarity, size, world)
    except toyscenes.ToySceneError as error:
        raise RsirError(str(error)) from None
    base = Path(root).expanduser() if root is not None else cache_dir()
    folder = base / "toy" / folder_name(knobs)
    try:
        if not holds(folder, knobs):
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{folder}.lock"):  # one process draws, others wait
                for left in folder.parent.glob(f".{folder.name}.*"):
                    shutil.rmtree(left, ignore_errors=True)  # of a killed run
                toyscenes.draw(folder, **knobs, workers=workers)
        notes = toyscenes.read(folder)
    except (OSError, toyscenes.ToySceneError) as error:
        raise RsirError(
            f"cannot keep the toy scenes in {folder}: {error}; "
            "set RSIR_CACHE to a folder that can be written"
        ) from error
    parts, set_name = {}, f"{WORLD}{world}" if world else "toy"
    for name in SPLIT_NAMES:
        rows = [r for r in notes["images"] if r["split"] == name]
        counts = [len(r["sentences"]) for r in rows]
        parts[name] = Split(
            dataset=set_name,
            name=name,
            images=tuple(folder / "images" / r["filename"] for r in rows),
            captions=tuple(s["raw"] for r in rows for s in r["sentences"]),
            owner=np.repeat(np.arange(len(rows)), counts),
            ids=tuple(r["filename"] for r in rows),
            labels=tuple(r["label"] for r in rows),
            objects=tuple(
                tuple(
                    Box(o["label"], *o["box"], attributes=o["attributes"])
                    for o in r["objects"]
                )
                for r in rows
            ),
            keywords=tuple(tuple(r["keywords"]) for r in rows),
        )
    return Splits(name=set_name, root=folder, **parts)


def load_world(
    name: str, root: str | os.PathLike | None = None, *, seed: int = 0, **knobs
) -> Splits:
    """A world by its recipe: 6,000 pictures to learn from, 1,000 to choose on.

    The 1,000 test pictures are drawn from a seed of their own.

    Args:
        name: one of `WORLDS`.
        root, seed: as for `load_toy`.
        knobs: of `load_toy`, where not the recipe's; `sizes` as there.
    """
    world = name.removeprefix(WORLD)
    train, val, test = knobs.pop("sizes", RECIPE["sizes"])
    knobs = {"duplicates": RECIPE["duplicates"], "world": world} | knobs
    learned = load_toy(root, seed=seed, sizes=(train, val, 1), **knobs)
    held_out = seed + RECIPE["test_seed"]
    asked = load_toy(root, seed=held_out, sizes=(1, 1, test), **knobs)
    return replace(learned, test=asked.test)


def with_errors(split: Split, seed: int = 0) -> Split:
    """Pictures of `world-things`, each with a true sentence and `ERRORS` of it.

    After the first caption comes the same with another colour of one object,
    with another form of it, and with the colours of two objects exchanged. None
    of them names an object twice; a picture where that cannot be is left out.
    """
    rng = np.random.default_rng(seed)
    names = [
        [(box.attributes["colour"], box.label) for box in boxes]
        for boxes in split.objects
    ]
    colours, forms = (sorted({*part}) for part in zip(*sum(names, [])))
    kept, captions = [], []
    for i, mine in enumerate(names):
        for (c, a), (d, b) in combinations(mine, 2):
            if c != d and a != b and not {(d, a), (c, b)} & {*mine}:
                said, one, two = split.captions_of(i)[0], f"{c} {a}", f"{d} {b}"
                colour = rng.choice([x for x in colours if (x, a) not in mine])
                form = rng.choice([x for x in forms if (c, x) not in mine])
                new = (
                    {one: f"{colour} {a}"},
                    {one: f"{c} {form}"},
                    {one: f"{d} {a}", two: f"{c} {b}"},
                )
                captions += [said, *(_renamed(said, turn) for turn in new)]
                kept.append(i)
                break
    owner = np.repeat(np.arange(len(kept)), 1 + len(ERRORS))
    return replace(split.subset(kept), captions=tuple(captions), owner=owner)


def _renamed(said: str, names: dict[str, str]) -> str:
    """A sentence with other names, each after its "a" or "an"."""

    def named(found: re.Match) -> str:
        name = names[found[1]]
        return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"

    return re.sub(rf"\ban? ({'|'.join(names)})\b", named, said)
