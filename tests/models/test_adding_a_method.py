"""One file makes a method: the very lines of CONTRIBUTING's worked example.

It is listed, built, trained and recorded without another edit.
"""

import re
import sys
from pathlib import Path

import pytest

from rsir import models
from rsir.evaluation.metrics import evaluate
from rsir.models.base import score_split
from rsir.training.trainer import train

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
    assert list(models.variants("oneside")) == ["oneside"]
    small = {"image_size": 32, "text_encoder": "gru", "vocabulary_threshold": 1}
    steps = {"epochs": 20, "batch": 8, "lr": 1e-2, "patience": 20}
    run = train(
        models.config("oneside", "toy", **small, **steps), splits, progress=False
    )
    assert type(run.model).__name__ == "OneSide"
    report = evaluate(score_split(run.model, splits.train), splits.train.owner)
    assert report.mR > 60, "it learnt nothing"
