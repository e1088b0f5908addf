"""Four long jobs, killed with SIGKILL at random moments and begun again. By hand:

RSIR_KILLS=10 pytest tests/slow -m slow -s

kills each ten times and says when.
"""

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tiny import draw

from rsir.retrieval.index import HOME, Index

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("RSIR_KILLS", 1))
HERE = Path(__file__).parent

#: what each child runs, in a folder with `squares` (a data set) in it
RSIR = "import sys; from rsir import cli; sys.argv[1:] = {!r}.split(); cli.main()"
JOBS = {
    "features": """
        from rsir.data import load_dataset
        from rsir.encoders import feature_cache, image_encoder
        encoder = image_encoder("efficientnet_lite0")
        feature_cache.cached_features(encoder, load_dataset("squares").train)
        """,
    "train": RSIR.format("train amfmn --dataset squares --preset toy --run run"),
    "index": RSIR.format("index build squares --run ../linear"),
    "fetch": """
        import dataclasses, sys, time, types
        from pathlib import Path
        from rsir.data import catalog
        from rsir.data.download import fetch
        def download(output, **_):  # as gdown: goes on, and renames at the end
            whole, part = Path("../rsicd.zip").read_bytes(), Path(output + ".part")
            with part.open("ab") as file:
                while (n := file.tell()) < len(whole):
                    file.write(whole[n : n + len(whole) // 40])
                    file.flush()
                    time.sleep(0.02)
            part.rename(output)
        sys.modules["gdown"] = types.SimpleNamespace(download=download)
        source = catalog.Source("drive", "here", {"rsicd.zip": "key"})
        rsicd = dataclasses.replace(catalog.CATALOG["rsicd"], sources=(source,))
        catalog.CATALOG["rsicd"] = rsicd
        fetch("rsicd", "root")
        """,
}


def files(folder, pattern="**/*"):
    """The sha256 of files, by their place."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).digest()
        for path in sorted(folder.glob(pattern))
        if path.is_file() and "lock" not in path.name
    }


def rows(folder):
    """The vector of each picture in the index, by name."""
    home = folder / "squares" / HOME
    names = [row[0] for row in Index.load(home / "pictures.index").facts["pictures"]]
    assert len(set(names)) == len(names) == 176
    assert sorted(p.name for p in home.iterdir()) == ["lock", "pictures.index"]
    with np.load(home / "pictures.index") as file:
        return dict(zip(names, map(tuple, file["rows"].tolist()), strict=True))


RESULT = {
    "features": lambda folder: files(folder / "cache", "features/**/*.npy"),
    "train": lambda folder: files(folder / "run", "best.safetensors"),
    "index": rows,
    "fetch": lambda folder: files(folder / "root", "rsicd/**/*"),
}


def archive(folder):
    """RSICD's zip as its authors lay it out, of drawn pictures."""
    names = sorted(path.name for path in folder.glob("*.png"))
    images = [
        {"filename": name, "split": name.split("_")[0], "sentences": [{"raw": name}]}
        for name in names
    ]
    box = io.BytesIO()
    with zipfile.ZipFile(box, "w") as file:
        facts = json.dumps({"dataset": "rsicd", "images": images})
        file.writestr("dataset_rsicd.json", facts)
        for name in names:
            file.write(folder / name, f"RSICD_images/{name}")
    return box.getvalue()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A data set, a trained run, features of both, and an archive."""
    place = tmp_path_factory.mktemp("kill")
    draw(place / "squares", sizes=(160, 8, 8))
    (place / "rsicd.zip").write_bytes(archive(place / "squares"))
    train = "train linear --dataset squares --preset toy --run linear"
    assert start(RSIR.format(train), place).wait() == 0
    return place


def start(code, folder):
    path = os.pathsep.join([str(HERE.parent.parent), os.environ.get("PYTHONPATH", "")])
    env = os.environ | {"PYTHONPATH": path, "RSIR_CACHE": str(folder / "cache")}
    with open(folder / "said.txt", "a") as said:
        command = [sys.executable, "-c", textwrap.dedent(code)]
        return subprocess.Popen(command, cwd=folder, env=env, stdout=said, stderr=said)


def fresh(place, name):
    """A folder with the data set in it, and nothing of a job."""
    shutil.rmtree(place / name, ignore_errors=True)
    shutil.copytree(place / "squares", place / name / "squares")
    return place / name


@pytest.mark.parametrize("job", JOBS)
def test_a_job_killed_at_any_moment_comes_to_the_same_result(place, job):
    draws = np.random.default_rng(list(JOBS).index(job))
    began = time.monotonic()
    folder = fresh(place, "whole")
    assert start(JOBS[job], folder).wait() == 0, (folder / "said.txt").read_text()
    seconds, right = time.monotonic() - began, RESULT[job](folder)
    assert right
    moments, whole, folder = [], 0, fresh(place, "killed")
    while len(moments) < KILLS or not whole:
        process = start(JOBS[job], folder)
        moment = draws.uniform(0, seconds)
        try:
            code = process.wait(moment if len(moments) < KILLS else None)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            moments.append(moment)
            whole = 0
            continue
        assert code == 0, (folder / "said.txt").read_text()
        assert RESULT[job](folder) == right
        whole += 1
        if len(moments) < KILLS:
            folder = fresh(place, "killed")
    said = " ".join(f"{moment:.1f}" for moment in moments)
    print(f"\n{job}: {seconds:.1f} s whole; killed after {said} s; same result")
