"""Small trained models that come with the project, in one line and offline.

    model = load_weights("amfmn-scales")

A file holds, in half precision, what was learned; frozen encoders come from their
packages. Its metadata hold config, vocabulary and model card.
"""

import json
import os
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from rsir import models
from rsir.data.text import Vocabulary
from rsir.models import build
from rsir.models.base import TwoTower
from rsir.utils.errors import RsirError
from rsir.utils.io import sha256_of

SUMS = "SHA256SUMS"


def weights_folders() -> list[Path]:
    """Where weights are looked for: `RSIR_WEIGHTS`, the checkout, the installation."""
    named = os.environ.get("RSIR_WEIGHTS")
    checkout = Path(__file__).resolve().parents[2] / "weights"
    installed = Path(sysconfig.get_path("data")) / "share" / "rsir" / "weights"
    every = [Path(named).expanduser()] if named else []
    return [f for f in (*every, checkout, installed) if f.is_dir()]


def find_weights(name: str) -> Path:
    """The file of these weights; RsirError if there is none."""
    folders = weights_folders()
    for folder in folders:
        if (path := folder / f"{name}.safetensors").is_file():
            return path
    known = sorted({p.stem for f in folders for p in f.glob("*.safetensors")})
    raise RsirError(
        f"weights {name!r}: not found; there are {', '.join(known) or 'none'} in "
        f"{', '.join(map(str, folders)) or 'no folder'}; RSIR_WEIGHTS names another"
    )


def learned(model: TwoTower) -> dict[str, Tensor]:
    """What a model learned: its state without frozen encoders and their parts."""
    towers = {"image_encoder.": model.image_encoder.learns}
    towers["text_encoder."] = not model.text_encoder.pretrained
    free = {name for name, p in model.named_parameters() if p.requires_grad}
    return {
        name: value
        for name, value in model.state_dict().items()
        if name in free
        or all(whole for tower, whole in towers.items() if name.startswith(tower))
    }


def save_weights(model: TwoTower, path: Path, card: Mapping[str, object]) -> None:
    """Write weights, and their checksum beside them; `card` is JSON."""
    words = getattr(model.text_encoder, "vocabulary", None)
    about = {
        "config": json.dumps(model.config.to_dict()),
        "vocabulary": json.dumps(words.words if words else None),
        "card": json.dumps(dict(card)),
    }
    half = {
        name: (v.half() if v.is_floating_point() else v).cpu().contiguous()
        for name, v in learned(model).items()
    }
    save_file(half, path, about)
    sums = path.with_name(SUMS)
    lines = sums.read_text().splitlines() if sums.exists() else []
    kept = [line for line in lines if line.split()[1] != path.name]
    kept.append(f"{sha256_of(path)}  {path.name}")
    sums.write_text("\n".join(sorted(kept, key=lambda s: s.split()[1])) + "\n")


def load_weights(name: str) -> TwoTower:
    """A model of `weights/` by its name, in evaluation mode.

    RsirError if it is not there, is damaged, or is of another version.
    """
    path = find_weights(name)
    sums = path.with_name(SUMS)
    listed = sums.read_text().splitlines() if sums.exists() else []
    if f"{sha256_of(path)}  {path.name}" not in listed:
        raise RsirError(f"{path}: its SHA-256 is not in {SUMS}; fetch the file again")
    try:
        with safe_open(path, "pt") as file:
            about = {k: json.loads(v) for k, v in file.metadata().items()}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        method = about["config"]["method"]
        config = models.methods()[method].config(**about["config"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise RsirError(
            f"{path}: not weights of this version ({error}); fetch the file again"
        ) from error
    words = about["vocabulary"]
    model = build(config, vocabulary=words and Vocabulary(words))
    if odd := sorted(learned(model).keys() ^ state.keys()):
        raise RsirError(f"{path}: weights of another model ({', '.join(odd[:5])})")
    with torch.no_grad():
        model.load_state_dict(state, strict=False)
    return model.eval()


def model_card(name: str) -> dict:
    """What is told of these weights: world, data, seeds, recalls, licence."""
    with safe_open(find_weights(name), "pt") as file:
        return json.loads(file.metadata()["card"])
