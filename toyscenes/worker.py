"""Draw a share of the pictures; run as a process of its own.

`python -m toyscenes.worker` reads a job as JSON from its standard
input. A process started so needs nothing of the caller's `__main__`
and shares no threads with it, so it works from scripts, notebooks and
beside torch alike.
"""

import json
import os
import sys
from pathlib import Path

from toyscenes.draw import draw, encode, kind_of

SPLITS = ("train", "val", "test")


def plan(sizes):
    """All pictures in order: `(split number, index in the split)`."""
    return [(s, i) for s, n in enumerate(sizes) for i in range(n)]


def file_name(split, index, kind):
    """A picture's name, e.g. `train_0007_tennis_court.jpg`."""
    return f"{SPLITS[split]}_{index:04d}_{kind.replace(' ', '_')}.jpg"


def make_one(folder, knobs, split, index):
    """Draw one picture into `folder/images`; return its record."""
    seed = knobs["seed"]
    kind = kind_of(seed, split, index)
    pixels, record = draw(
        kind, seed, split, index, knobs["similarity"], knobs["duplicates"]
    )
    data = encode(pixels, record, knobs["size"])
    record["filename"] = file_name(split, index, kind)
    record["bytes"] = len(data)
    path = Path(folder) / "images" / record["filename"]
    aside = path.with_suffix(".tmp")
    aside.write_bytes(data)
    os.replace(aside, path)
    return record


def make_share(folder, knobs, share, shares):
    """Draw every `shares`-th picture, from `share` on.

    Writes `folder/records-<share>.jsonl`, a line a picture. Stops when
    the process that wanted the pictures is gone.
    """
    parent = os.getppid()
    jobs = plan(knobs["sizes"])[share::shares]
    path = Path(folder) / f"records-{share}.jsonl"
    with open(path, "w", encoding="utf-8") as out:
        for split, index in jobs:
            if os.getppid() != parent:
                return
            record = make_one(folder, knobs, split, index)
            record["split"], record["index"] = split, index
            out.write(json.dumps(record) + "\n")
            out.flush()


if __name__ == "__main__":
    job = json.load(sys.stdin)
    make_share(job["folder"], job["knobs"], job["share"], job["shares"])
