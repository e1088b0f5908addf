"""The feature cache: same numbers, keyed by content, never half a file."""

import dataclasses
import signal

import numpy as np
import pytest
import torch
from alone import alone, start
from PIL import Image
from tiny import TinyEncoder, draw

from rsir.data import load_dataset
from rsir.encoders import feature_cache as cache_module
from rsir.encoders.base import FEATURES
from rsir.encoders.feature_cache import cached_features, clear_features, feature_sets
from rsir.utils.errors import RsirError


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RSIR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache_module, "BATCH", 4)
    return tmp_path


@pytest.fixture
def split(tmp_path):
    return load_dataset(str(draw(tmp_path / "pictures", (10, 1, 1)))).train


def get(split, encoder=None, names=FEATURES):
    return cached_features(encoder or TinyEncoder(), split, names, progress=False)


def same(found, split, encoder=None):
    """Features are those without a cache, picture by picture."""
    encoder, rows = encoder or TinyEncoder(), []
    with torch.no_grad():
        for i in range(split.n_images):
            pixels = encoder.pixels(split.open(i))
            rows.append(encoder(encoder.normalise(torch.from_numpy(pixels)[None])))
    assert set(found) == set(FEATURES)
    for name, array in found.items():
        plain = torch.cat([row.features()[name] for row in rows]).half().numpy()
        assert array.dtype == np.float16
        np.testing.assert_allclose(array, plain, atol=2e-3)


def asleep():
    """An encoder that must not be asked."""
    encoder = TinyEncoder()
    encoder.pyramid = lambda images: pytest.fail("computed again")
    return encoder


@pytest.mark.parametrize("views", [(0,), (0, 5)])
def test_features_are_those_of_the_encoder(home, split, views):
    encoder = TinyEncoder(32, 0, views)
    same(get(split, encoder), split, encoder)


def test_the_second_time_nothing_is_computed_or_locked(home, split):
    first = {k: v.copy() for k, v in get(split).items()}
    folder = next(feature_sets())[0]
    (folder / ".lock").unlink()
    folder.chmod(0o500)
    try:
        again = get(split, asleep())
    finally:
        folder.chmod(0o700)
    assert not (folder / ".lock").exists()
    assert all(np.array_equal(first[k], again[k]) for k in first)
    assert isinstance(again["f1"], np.memmap)
    with pytest.raises(ValueError):
        again["f1"][0] = 0


def test_only_what_is_missing_is_computed(home, split):
    get(split, names=("pooled",))
    folder = next(feature_sets())[0]
    before = (folder / "pooled.npy").stat().st_mtime_ns
    same(get(split), split)
    assert (folder / "pooled.npy").stat().st_mtime_ns == before
    seconds = cache_module.features_seconds
    assert seconds(TinyEncoder(), split) >= seconds(TinyEncoder(), split, ("f1",)) > 0


def test_the_key_follows_content(home, split):
    def sets():
        return len(list(feature_sets()))

    get(split)
    copies = [home / f"other_name_{i}.png" for i in range(split.n_images)]
    for path, copy in zip(split.images, copies, strict=True):
        copy.write_bytes(path.read_bytes())
    copied = dataclasses.replace(split, images=tuple(copies))
    get(copied, asleep())  # names do not count
    assert sets() == 1
    # weights, size and views; which pictures, and their order
    for i, options in enumerate([{"seed": 1}, {"size": 64}, {"tta_views": (0, 1)}], 2):
        get(split, TinyEncoder(**options))
        assert sets() == i
    for i, rows in enumerate([range(9), [1, 0, *range(2, 10)]], 5):
        get(split.subset(rows))
        assert sets() == i
    Image.new("RGB", (64, 64)).save(copies[3])
    changed = get(copied)  # one picture's bytes
    assert sets() == 7
    assert not np.array_equal(changed["f4"][3], get(split)["f4"][3])


def test_an_exception_midway_loses_no_row(home, split):
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
    same(get(split, encoder), split)
    assert calls == [4, 4, 4, 2]  # the first four were kept
    assert not list(folder.glob("*.part"))


WRITER = """
import os, signal, sys, time
from pathlib import Path
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
(here / f"ready-{os.getpid()}").touch()
while len(list(here.glob("ready-*"))) < together:
    time.sleep(0.01)
feature_cache.cached_features(encoder, train)
print("batches", len(calls))
"""


def test_a_kill_and_two_writers_leave_whole_files(home, split):
    words = ["-c", WRITER, split.images[0].parent]
    alone(*words, 3, home, 1, code=-signal.SIGKILL)
    assert not list((home / "cache").rglob("*.npy"))
    # the killed one left its mark: three in all
    both = [start(*words, 99, home, 3) for _ in range(2)]
    lines = [p.communicate(timeout=300)[0] for p in both]
    assert [p.returncode for p in both] == [0, 0]
    done = [int(line.split("batches")[1]) for line in lines]
    # two of five batches were kept; one writer did the other three
    assert sorted(done) == [0, 3]
    same(get(split, asleep()), split)


def test_a_damaged_file_is_named(home, split):
    get(split)
    path = next(feature_sets())[0] / "f3.npy"
    for damaged in (path.read_bytes()[:-9], b"", b"not numpy" * 99):
        path.write_bytes(damaged)
        with pytest.raises(RsirError, match="f3.npy.*rsir cache clear"):
            get(split)


def test_list_and_clear(home, split, called):
    def rsir(*words):
        code, out, _ = called("cache", *words)
        assert code == 0
        return out

    assert "0 MB" in rsir("list")
    get(split)
    get(dataclasses.replace(split.subset([0]), dataset="other"))
    assert "other" in rsir("list")
    assert rsir("clear", "other").startswith("freed")
    kept = [facts["dataset"] for _, facts, _ in feature_sets()]
    assert kept == [split.dataset]
    assert clear_features() > 0 and not list(feature_sets())
    rsir("clear")  # nothing left: no fault
