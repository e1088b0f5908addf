"""One file makes a method: the very lines of CONTRIBUTING's worked example.

It is listed, built, trained and recorded without another edit.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import cache, cached, folder, splits  # noqa: F401

from rsir import models
from rsir.evaluation.metrics import evaluate
from rsir.models.base import score_split
from rsir.training.trainer import train
from rsir.utils.io import cache_dir

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
(FILE,) = re.findall(
    r"^```python\n# rsir/models/oneside.py\n(.*?)^```", TEXT, re.M | re.S
)


@pytest.fixture
def registered(tmp_path, monkeypatch):
    """The file lies in a folder that the registry looks into."""
    (tmp_path / "oneside.py").write_text(FILE)
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    models.methods.cache_clear()
    yield
    models.methods.cache_clear()
    sys.modules.pop("rsir.models.oneside", None)


def test_a_file_is_a_method(registered, splits, cached):
    assert "oneside" in models.methods()
    assert list(models.variants("oneside")) == ["oneside"]
    small = {"image_size": 32, "text_encoder": "gru", "vocabulary_threshold": 1}
    steps = {"epochs": 20, "batch": 8, "lr": 1e-2, "patience": 20}
    run = train(
        models.config("oneside", "toy", **small, **steps), splits, progress=False
    )
    assert type(run.model).__name__ == "OneSide"
    report = evaluate(score_split(run.model, splits.train), splits.train.owner)
    assert report.mR > 60, "it learnt nothing"


def test_a_file_makes_a_record(tmp_path):
    home = tmp_path / "project"
    listed = subprocess.run(
        ["git", "ls-files", "rsir", "toyscenes", "pyproject.toml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    ).stdout.split()
    if not listed:
        pytest.skip("not a git checkout")
    for name in listed:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, home / name)
    (home / "results").mkdir()
    (home / "results/.keep").touch()
    (home / "rsir/models/oneside.py").write_text(FILE)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "one more"]):
        subprocess.run([*git, *words], cwd=home, check=True)
    # a cache of its own, so that no other queue is in the way; toy scenes and
    # their features are taken as they are
    cache = tmp_path / "cache"
    cache.mkdir()
    for name in ("toy", "features"):
        (cache_dir() / name).mkdir(parents=True, exist_ok=True)
        (cache / name).symlink_to(cache_dir() / name)
    words = "reproduce oneside --dataset toy --preset toy --seeds 1"
    done = subprocess.run(
        [sys.executable, "-m", "rsir", *words.split()],
        cwd=home,
        env=os.environ | {"PYTHONPATH": str(home), "RSIR_CACHE": str(cache)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    path = home / "results/oneside/toy/oneside-s0.json"
    facts = json.loads(path.read_text())
    assert facts["recalls"]["expected"]["mR"] > 30, "it learnt nothing"
    assert path.with_suffix(".npz").exists()
    assert "models/oneside.py" in facts["modules"]
