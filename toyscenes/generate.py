"""From knobs to pictures: one picture, and a whole folder of them.

A picture and its captions depend on the seed, the split, the index and
the knobs; not on other pictures, nor on who draws it. So a folder can be
drawn by several processes, each taking every so-many-th picture. They
are started by a command of their own: that needs nothing of the caller's
`__main__` and shares no threads with it, so it works from scripts,
notebooks and beside torch alike.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from toyscenes.drawing.geometry import SIZE
from toyscenes.language.captions import describe, keywords
from toyscenes.scenes import KINDS, SCENES
from toyscenes.scenes.common import Scenery
from toyscenes.worlds import WORLDS, draw_world

GENERATOR_VERSION = 2
ANNOTATION = "dataset_toy.json"
SPLITS = ("train", "val", "test")
DUPLICATES = 0.25
SIMILARITY = 0.25
QUALITY = 92  # JPEG, full chroma: about 35 kB, quick to read
_TRAITS, _LAYOUT, _WORDS, _ORDER = range(4)


class ToySceneError(ValueError):
    """A knob out of range, or a folder that cannot be used."""


def check_knobs(seed, sizes, duplicates, similarity, size, world=""):
    """The knobs as a dict that JSON keeps as it is.

    Raises:
        ToySceneError: a knob is out of range.
    """
    three = len(sizes) == 3 and all(n >= 1 and n == int(n) for n in sizes)
    share = "a share from 0 to 1"
    for name, value, right, remedy in (
        ("duplicates", duplicates, 0 <= duplicates <= 1, share),
        ("similarity", similarity, 0 <= similarity <= 1, share),
        ("sizes", sizes, three, "three whole numbers of pictures, each from 1 up"),
        ("seed", seed, seed >= 0 and seed == int(seed), "a whole number from 0 up"),
        ("size", size, 32 <= size <= 1024 and size == int(size), "32 to 1024 pixels"),
        ("world", world, world in ("", *WORLDS), f"one of {', '.join(WORLDS)}"),
    ):
        if not right:
            raise ToySceneError(f"toy scenes: {name} is {value}; give {remedy}")
    knobs = {
        "seed": int(seed),
        "sizes": [int(n) for n in sizes],
        "duplicates": float(duplicates),
        "similarity": float(similarity),
        "size": int(size),
    }
    return knobs | ({"world": world} if world else {})


def folder_name(knobs):
    """A name for the folder of these knobs: the version and all of them."""
    sizes = "-".join(str(n) for n in knobs["sizes"])
    return (
        f"v{GENERATOR_VERSION}_{knobs.get('world', '')}seed{knobs['seed']}_{sizes}"
        f"_d{knobs['duplicates']:g}_s{knobs['similarity']:g}_{knobs['size']}px"
    )


def stream(seed, split, index, purpose):
    """A random generator for one purpose of one picture."""
    return np.random.default_rng([seed, split, index, purpose])


def kind_of(seed, split, index):
    """The kind of picture `index`: each run of kinds holds all once."""
    lap, place = divmod(index, len(KINDS))
    order = stream(seed, split, lap, _ORDER).permutation(len(KINDS))
    return KINDS[order[place]]


def draw_picture(kind, seed, split, index, similarity, duplicates):
    """Draw one picture, and say what is on it.

    `kind` is one of `KINDS` or of `WORLDS`; `seed`, `split` and `index` are whole
    numbers that name the picture; the two shares are knobs. Returns pixels, uint8 `[256, 256, 3]`, and a dict
    with `label`, `captions`, `keywords`, `objects`.
    """
    traits, layout, words = (
        stream(seed, split, index, k) for k in (_TRAITS, _LAYOUT, _WORDS)
    )
    stage = Scenery(kind, similarity, traits, layout)
    if kind in WORLDS:
        captions, keys = draw_world(stage, kind, words, duplicates), []
    else:
        SCENES[kind](stage)
        captions, keys = describe(stage, words, duplicates), keywords(stage)
    return stage.c.finish(), {
        "label": kind,
        "captions": captions,
        "keywords": keys,
        "objects": [
            {"label": m.label, "box": list(m.box), "attributes": m.attributes}
            for m in stage.marks
        ],
    }


def _make_one(folder, knobs, split, index):
    """Draw one picture into `folder/images`, then keep its record."""
    seed, size = knobs["seed"], knobs["size"]
    kind = knobs.get("world") or kind_of(seed, split, index)
    shares = (knobs["similarity"], knobs["duplicates"])
    pixels, record = draw_picture(kind, seed, split, index, *shares)
    image = Image.fromarray(pixels)
    if size != SIZE:
        image = image.resize((size, size), Image.Resampling.LANCZOS)
        for item in record["objects"]:
            item["box"] = [round(v * size / SIZE, 1) for v in item["box"]]
    name = f"{SPLITS[split]}_{index:04d}_{kind.replace(' ', '_')}.jpg"
    path = folder / "images" / name
    image.save(path, "JPEG", quality=QUALITY, subsampling=0)
    record |= {"filename": name, "bytes": path.stat().st_size}
    path = _record(folder, split, index)
    path.with_suffix(".tmp").write_text(json.dumps(record), encoding="utf-8")
    path.with_suffix(".tmp").replace(path)


def _record(folder, split, index):
    return folder / "records" / f"{split}-{index}.json"


def read(folder):
    """What is in a folder of toy scenes.

    Returns:
        The annotation: `version`, `knobs`, and `images`, a list of dicts
        with `filename`, `split`, `label`, `keywords`, `objects` (dicts
        with `label`, `box` in pixels, `attributes`), `sentences`.

    Raises:
        ToySceneError: the folder is missing or not whole: no
            annotation, another version, a picture gone or cut short.
    """
    folder = Path(folder).expanduser()
    if notes := _whole(folder):
        return notes
    raise ToySceneError(
        f"{folder} holds no whole set of toy scenes of version "
        f"{GENERATOR_VERSION}; draw it (again): python -m toyscenes {folder}"
    )


def _whole(folder):
    try:
        notes = json.loads((folder / ANNOTATION).read_text(encoding="utf-8"))
        with os.scandir(folder / "images") as entries:
            sizes = {e.name: e.stat().st_size for e in entries}
        same = notes["version"] == GENERATOR_VERSION
        same &= len(notes["images"]) == sum(notes["knobs"]["sizes"])
        same &= all(sizes.get(r["filename"]) == r["bytes"] for r in notes["images"])
        return notes if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def draw(
    folder,
    *,
    seed=0,
    sizes=(1000, 150, 150),
    duplicates=DUPLICATES,
    similarity=SIMILARITY,
    size=256,
    world="",
    workers=None,
):
    """Draw a data set into a folder, unless it is there already.

    The pictures are drawn aside and moved into place at the end, so the
    folder is never half full. A set of other knobs that is there is
    replaced; a folder with other files is left alone.

    Args:
        folder: to be made, or to be filled.
        seed, sizes, duplicates, similarity, size, world: as in `toyscenes`.
        workers: processes to draw with; by default one a core.

    Raises:
        ToySceneError: a knob out of range, a folder that holds other
            files, or one that cannot be written.
    """
    knobs = check_knobs(seed, sizes, duplicates, similarity, size, world)
    folder = Path(folder).expanduser().resolve()
    if not holds(folder, knobs):
        _refuse_others(folder)
        try:
            _draw_aside(folder, knobs, workers)
        except OSError as error:
            raise ToySceneError(
                f"cannot write toy scenes to {folder}: {error}; "
                "name a folder that can be written"
            ) from error


def holds(folder, knobs):
    """Whether a folder is whole and was drawn with these knobs."""
    notes = _whole(folder)
    return bool(notes) and notes["knobs"] == knobs


def _refuse_others(folder):
    """Only what an earlier run has made may be replaced."""
    ours = re.compile(rf"{ANNOTATION}|images|({'|'.join(SPLITS)})_\d+_\w+\.(jpg|tmp)")
    for path in [*folder.glob("*"), *folder.glob("images/*")]:
        if not ours.fullmatch(path.name):
            raise ToySceneError(
                f"{folder} holds other files ({path.relative_to(folder)}); "
                "name a new folder or an empty one"
            )


def _draw_aside(folder, knobs, workers):
    start = time.perf_counter()
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    for left in folder.parent.glob(f".{folder.name}.*.part"):
        if left == aside or _left_long_ago(left):
            shutil.rmtree(left, ignore_errors=True)
    jobs = _jobs(knobs)
    try:
        (aside / "images").mkdir(parents=True)
        (aside / "records").mkdir()
        _in_processes(aside, knobs, workers, len(jobs))
        for job in jobs:
            if not _record(aside, *job).exists():  # no process has drawn it
                _make_one(aside, knobs, *job)
        _annotate(aside, knobs, jobs)
        shutil.rmtree(aside / "records")
        if not holds(folder, knobs):  # nobody else was quicker
            shutil.rmtree(folder, ignore_errors=True)
            aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    seconds = time.perf_counter() - start
    print(f"toy scenes: {len(jobs):,} pictures drawn in {seconds:.0f} s")


def _left_long_ago(aside):
    """Whether nobody has written a picture there for an hour."""
    try:
        return time.time() - (aside / "images").stat().st_mtime > 3600
    except OSError:
        return False


def _jobs(knobs):
    """The pictures in order: `(split, index)`."""
    return [(split, i) for split, n in enumerate(knobs["sizes"]) for i in range(n)]


def _in_processes(aside, knobs, workers, total):
    """Draw in several processes; what fails is left to the caller."""
    affinity = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))
    workers = workers or min(len(affinity(0)), 8, 1 + total // 60)
    if workers < 2:
        return
    home = str(Path(__file__).resolve().parents[1])
    paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    threads = dict(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    environment = {**os.environ, **threads, "PYTHONPATH": os.pathsep.join(paths)}
    quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    code = "import toyscenes.generate as g; g.draw_share(*g.json.loads(g.sys.argv[1]))"
    lively = sys.stdout is not None and sys.stdout.isatty()
    running = []
    try:
        for share in range(workers):
            job = json.dumps([str(aside), knobs, share, workers])
            command = [sys.executable, "-c", code, job]
            running.append(subprocess.Popen(command, env=environment, **quiet))
        while any(process.poll() is None for process in running):
            if lively:
                done = len(os.listdir(aside / "images"))
                print(f"\rtoy scenes: {done:,} of {total:,} drawn", end="", flush=True)
            time.sleep(0.2)
    except OSError:
        pass
    finally:
        for process in running:
            process.kill()
            process.wait()
        if lively:
            print("\r", end="")


def draw_share(folder, knobs, share, shares):
    """Draw every `shares`-th picture, while the caller is alive."""
    parent = os.getppid()
    for split, index in _jobs(knobs)[share::shares]:
        if os.getppid() != parent:
            return
        _make_one(Path(folder), knobs, split, index)


def _annotate(aside, knobs, jobs):
    """Write the annotation, laid out as Karpathy's files are."""
    images = []
    for number, (split, index) in enumerate(jobs):
        record = json.loads(_record(aside, split, index).read_text(encoding="utf-8"))
        captions = record.pop("captions")
        ids = [number * len(captions) + k for k in range(len(captions))]
        record |= {"split": SPLITS[split], "imgid": number, "sentids": ids}
        record["sentences"] = [
            {"raw": text, "tokens": text.split()[:-1], "imgid": number, "sentid": k}
            for k, text in zip(ids, captions)
        ]
        images.append(record)
    notes = {"dataset": "toy", "version": GENERATOR_VERSION, "knobs": knobs}
    with open(aside / ANNOTATION, "w", encoding="utf-8") as out:
        json.dump({**notes, "images": images}, out, separators=(",", ":"))
        out.flush()
        os.fsync(out.fileno())
