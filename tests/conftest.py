"""What all tests share: no network, `rsir` in this process, arrays in files."""

import os
import sys

import numpy as np
import pytest

for _name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("MPLBACKEND", "agg")


@pytest.fixture(autouse=True)
def seeded():
    """The same draws whatever ran before; without importing PyTorch for it."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
    np.random.seed(0)  # noqa: NPY002


@pytest.fixture
def called(monkeypatch, capsys):
    """Run `rsir` in this process: (exit code, stdout, stderr)."""
    from rsir import cli

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["rsir", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out = capsys.readouterr()
        return stop.value.code or 0, out.out, out.err

    return call


@pytest.fixture
def saved(tmp_path):
    """Write an array to NAME.npy, and say where."""

    def save(name, array):
        path = tmp_path / f"{name}.npy"
        np.save(path, array)
        return path

    return save
