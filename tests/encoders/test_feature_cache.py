"""The feature cache: same numbers, keyed by content, never half a file."""

import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TinyEncoder, draw
from typer.testing import CliRunner

from rsir.cli import app
from rsir.data import load_dataset
from rsir.data.images import open_image
from rsir.encoders import feature_cache as cache_module
from rsir.encoders.base import FEATURES
from rsir.encoders.feature_cache import (
    FeatureStore,
    cached_features,
    clear_features,
    feature_sets,
    features_seconds,
)
from rsir.utils.errors import RsirError

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RSIR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache_module, "BATCH", 4)
    return tmp_path


@pytest.fixture
def split(tmp_path):
    folder = draw(tmp_path / "pictures", (10, 1, 1))
    return load_dataset(str(folder)).train


def direct(encoder, split):
    """Features without a cache, picture by picture."""
    rows = []
    with torch.no_grad():
        for path in split.images:
            pixels = encoder.pixels(open_image(path))
            image = encoder.normalise(torch.from_numpy(pixels)[None])
            out = encoder.eval()(image)
            rows.append([*out.maps, out.pooled])
    return {
        name: torch.cat(part).half().numpy() for name, part in zip(FEATURES, zip(*rows))
    }


def same(found, expected):
    assert set(found) == set(expected)
    for name, array in found.items():
        assert array.dtype == np.float16
        np.testing.assert_allclose(array, expected[name], atol=2e-3)


def get(split, encoder=None, names=FEATURES, **options):
    return cached_features(
        encoder or TinyEncoder(), split, names, progress=False, **options
    )


def asleep(encoder):
    """An encoder that must not be asked."""

    def refuse(images):
        raise AssertionError("computed again")

    encoder.pyramid = refuse
    return encoder


@pytest.mark.parametrize("views", [(0,), (0, 5)])
def test_features_are_those_of_the_encoder(home, split, views):
    found = get(split, TinyEncoder(32, 0, views))
    same(found, direct(TinyEncoder(32, 0, views), split))


def test_the_second_time_nothing_is_computed(home, split):
    first = {k: v.copy() for k, v in get(split).items()}
    again = get(split, asleep(TinyEncoder()))
    assert all(np.array_equal(first[k], again[k]) for k in first)
    assert isinstance(again["f1"], np.memmap)
    with pytest.raises(ValueError):
        again["f1"][0] = 0


def test_only_what_is_missing_is_computed(home, split):
    get(split, names=("pooled",))
    folder = next(feature_sets())[0]
    before = (folder / "pooled.npy").stat().st_mtime_ns
    same(get(split), direct(TinyEncoder(), split))
    assert (folder / "pooled.npy").stat().st_mtime_ns == before


def test_an_encoder_in_training_comes_back_in_training(home, split):
    encoder = TinyEncoder().train()
    get(split, encoder)
    assert encoder.training


def test_the_key_follows_content(home, split):
    def sets():
        return len(list(feature_sets()))

    get(split)
    assert sets() == 1
    moved = home / "elsewhere"
    moved.mkdir()
    copies = []
    for i, path in enumerate(split.images):
        copies.append(moved / f"other_name_{i}.png")
        copies[-1].write_bytes(path.read_bytes())
    copied = dataclasses.replace(split, images=tuple(copies))
    get(copied, asleep(TinyEncoder()))  # names do not count
    get(split, TinyEncoder(seed=1))  # weights
    assert sets() == 2
    get(split, TinyEncoder(size=64))  # size
    assert sets() == 3
    get(split, TinyEncoder(32, 0, (0, 1)))  # views
    assert sets() == 4
    get(split.subset(range(9)))  # which pictures
    get(split.subset([1, 0, *range(2, 10)]))  # their order
    assert sets() == 6
    Image.new("RGB", (64, 64)).save(copies[3])
    changed = get(copied)  # one picture's bytes
    assert sets() == 7
    assert not np.array_equal(changed["f4"][3], get(split)["f4"][3])


def test_an_exception_midway_loses_no_row(home, split):
    expected = direct(TinyEncoder(), split)
    encoder, real, calls = TinyEncoder(), TinyEncoder.pyramid, []

    def stop(images):
        calls.append(len(images))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(encoder, images)

    encoder.pyramid = stop
    with pytest.raises(KeyboardInterrupt):
        get(split, encoder)
    folder = next(feature_sets())[0]
    assert not list(folder.glob("*.npy"))
    # a torn write: half a row more in one of the files
    with open(folder / "f2.part", "ab") as file:
        file.write(b"\1" * 33)
    same(get(split, encoder), expected)
    assert calls == [4, 4, 4, 2]  # the first four were kept
    assert not list(folder.glob("*.part"))


@pytest.mark.parametrize("torn", [b"", b"\x93NUM", b"rows without a header" * 99])
def test_a_part_without_rows_is_begun_anew(home, split, torn):
    get(split)
    folder = next(feature_sets())[0]
    (folder / "f2.npy").unlink()
    (folder / "f2.part").write_bytes(torn)
    same(get(split), direct(TinyEncoder(), split))


WRITER = """
import os, signal, sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from rsir.data import load_dataset
from rsir.encoders import feature_cache
from tiny import TinyEncoder
feature_cache.BATCH = 2
encoder, real, calls = TinyEncoder(), TinyEncoder.pyramid, []
def pyramid(images):
    time.sleep(0.2)  # time enough to get into each other's way
    calls.append(len(images))
    if len(calls) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(encoder, images)
encoder.pyramid = pyramid
train = load_dataset(sys.argv[1]).train
here, together = Path(sys.argv[3]), int(sys.argv[4])
(here / f"ready-{{os.getpid()}}").touch()
while len(list(here.glob("ready-*"))) < together:
    time.sleep(0.01)
feature_cache.cached_features(encoder, train)
print("batches", len(calls))
"""


def test_a_kill_and_two_writers_leave_whole_files(home, split):
    code = WRITER.format(tests=str(TESTS))
    folder = split.images[0].parent

    def start(kill_at, together):
        words = [sys.executable, "-c", code, folder, kill_at, home, together]
        return subprocess.Popen(
            [*map(str, words)], cwd=TESTS.parent, stdout=subprocess.PIPE, text=True
        )

    killed = start(3, together=1)
    killed.communicate(timeout=300)
    assert killed.returncode == -signal.SIGKILL
    assert not list((home / "cache").rglob("*.npy"))
    # the killed one left its mark: three in all
    both = [start(99, together=3), start(99, together=3)]
    lines = [p.communicate(timeout=300)[0] for p in both]
    assert [p.returncode for p in both] == [0, 0]
    done = [int(line.split("batches")[1]) for line in lines]
    # two of five batches were kept; one writer did the other three
    assert sorted(done) == [0, 3]
    same(get(split, asleep(TinyEncoder())), direct(TinyEncoder(), split))


def test_any_arrays_are_stored_with_their_types(home):
    asked = []

    def compute(rows, names):
        asked.append((list(rows), list(names)))
        every = {"nodes": np.ones((len(rows), 2, 3)), "n": np.array(rows, np.int32)}
        return {name: every[name] for name in names}

    store = FeatureStore("graphs of boxes", {"a": 1}, ["x", "y", "z"])
    about = {"dataset": "tiny", "split": "test"}

    def get(*names, store=store):
        return store.arrays(names, compute, about, batch=2, progress=False)

    assert get("n")["n"].tolist() == [0, 1, 2]
    found = get("n", "nodes")
    assert found["n"].dtype == np.int32 and found["nodes"].shape == (3, 2, 3)
    assert asked == [
        ([0, 1], ["n"]), ([2], ["n"]), ([0, 1], ["nodes"]), ([2], ["nodes"]),
    ]  # fmt: skip
    assert store.home.name.startswith("graphs_of_boxes-") and store.seconds(["n"]) >= 0
    empty = FeatureStore("graphs of boxes", {"a": 1}, [])
    assert get("nodes", store=empty)["nodes"].shape == (0, 2, 3)


def test_whole_sets_are_read_without_a_lock(home, split):
    get(split)
    folder = next(feature_sets())[0]
    (folder / ".lock").unlink()
    folder.chmod(0o500)
    try:
        get(split, asleep(TinyEncoder()))
    finally:
        folder.chmod(0o700)
    assert not (folder / ".lock").exists()


@pytest.mark.parametrize("damage", ["short", "empty", "other"])
def test_a_damaged_file_is_named(home, split, damage):
    get(split)
    path = next(feature_sets())[0] / "f3.npy"
    data = path.read_bytes()
    path.write_bytes(
        {"short": data[:-9], "empty": b"", "other": b"not numpy" * 99}[damage]
    )
    with pytest.raises(RsirError, match="f3.npy.*rsir cache clear"):
        get(split)


def test_a_picture_that_does_not_open_is_named(home, split):
    split.images[6].write_bytes(b"no picture")
    with pytest.raises(RsirError, match=split.images[6].name):
        get(split)


def test_time_is_kept_with_the_features(home, split):
    get(split, names=("f1",))
    assert features_seconds(TinyEncoder(), split, ("f1",)) > 0
    get(split)
    about = next(home.rglob("about.json"))
    kept = json.loads(about.read_text())
    kept["seconds"] |= {"f1": 3.0, "f2": 5.0, "pooled": 4.0}
    about.write_text(json.dumps(kept))

    def seconds(*names):
        return features_seconds(TinyEncoder(), split, names)

    # each was made in one pass: passes are not added up
    assert seconds("f1", "pooled") == 4.0
    assert seconds("f1", "f2") == 5.0


def test_list_and_clear(home, split):
    def rsir(*words):
        done = CliRunner().invoke(app, ["cache", *words])
        assert done.exit_code == 0, done.output
        return done.output

    assert "0 MB" in rsir("list")
    get(split)
    get(dataclasses.replace(split.subset([0]), dataset="other"))
    listed = rsir("list")
    assert "tiny" in listed and "other" in listed
    assert str(split.n_images) in listed
    assert rsir("clear", "other").startswith("freed")
    kept = [facts["dataset"] for _, facts, _ in feature_sets()]
    assert kept == [split.dataset]
    assert clear_features() > 0 and not list(feature_sets())
    rsir("clear")  # nothing left: no fault
