"""Weights that come with the project: found, whole, and the same model."""

import json

import numpy as np
import pytest
from tiny import quiet, tiny_config

from rsir.models.base import score_split
from rsir.training.weights import (
    SUMS,
    find_weights,
    learned,
    load_weights,
    model_card,
    save_weights,
)
from rsir.utils.errors import RsirError

pytestmark = pytest.mark.usefixtures("cached")


@pytest.fixture(scope="module")
def model(splits, cache, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RSIR_CACHE", str(cache))
        return quiet(tiny_config(epochs=1), splits).model


@pytest.fixture
def home(model, tmp_path, monkeypatch):
    save_weights(model, tmp_path / "amfmn-squares.safetensors", {"recall": 12.5})
    monkeypatch.setenv("RSIR_WEIGHTS", str(tmp_path))
    return tmp_path


def test_one_line_gives_the_model_back(model, home, splits):
    again = load_weights("amfmn-squares")
    assert not again.training and again.config == model.config
    before, after = (score_split(m, splits.val) for m in (model, again))
    np.testing.assert_allclose(after, before, atol=5e-3)  # half precision
    assert model_card("amfmn-squares") == {"recall": 12.5}
    size = (home / "amfmn-squares.safetensors").stat().st_size
    assert size < 2.2 * sum(v.numel() for v in learned(model).values()) + 20_000


def test_frozen_encoders_are_left_out(model):
    names = list(learned(model))
    assert not any(name.startswith("image_encoder.") for name in names)
    assert any(name.startswith("text_encoder.gru") for name in names)
    assert any(name.startswith("standardise.") for name in names)


def test_faults_are_named(model, home, tmp_path):
    with pytest.raises(RsirError, match=r"'galr-moon': not found.*amfmn-squares"):
        find_weights("galr-moon")
    path = home / "amfmn-squares.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(RsirError, match="SHA-256 is not in SHA256SUMS"):
        load_weights("amfmn-squares")
    (home / SUMS).write_text("")
    path.write_bytes(whole)
    with pytest.raises(RsirError, match="fetch the file again"):
        load_weights("amfmn-squares")
    save_weights(model, path, {})
    other = whole.replace(b"standardise.mean", b"standardise.moon")
    path.write_bytes(other)
    import hashlib

    digest = hashlib.sha256(other).hexdigest()
    (home / SUMS).write_text(f"{digest}  {path.name}\n")
    with pytest.raises(RsirError, match=r"another model \(standardise\.m"):
        load_weights("amfmn-squares")


def test_a_second_file_keeps_the_first_checksum(model, home):
    save_weights(model, home / "aaa.safetensors", {})
    lines = (home / SUMS).read_text().splitlines()
    assert [line.split()[1] for line in lines] == [
        "aaa.safetensors",
        "amfmn-squares.safetensors",
    ]
    assert json.loads(json.dumps(model_card("aaa"))) == {}
