"""What every encoder returns, and how weights are identified."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from rsir.utils.errors import RsirError

#: what an image encoder gives: maps with strides 4 to 32, and a vector
FEATURES = ("f1", "f2", "f3", "f4", "pooled")


@dataclass
class Encoded:
    """The output of an encoder, for pictures and sentences alike.

    Attributes:
        tokens: `[B, L, D]`; words, or the cells of the last map.
        mask: `[B, L]` bool, True where a token is real.
        pooled: `[B, P]`, one vector for each picture or sentence.
        maps: for pictures, the pyramid: four maps `[B, C, H, W]` with
            strides 4, 8, 16 and 32. Empty for sentences.
    """

    tokens: Tensor
    mask: Tensor
    pooled: Tensor
    maps: tuple[Tensor, ...] = ()


def weights_hash(module: torch.nn.Module) -> str:
    """First 16 hex digits of the SHA-256 of all weights, in order."""
    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        digest.update(name.encode())
        array = value.detach().cpu().contiguous()
        digest.update(
            array.view(-1).view(torch.uint8).numpy().tobytes() if array.numel() else b""
        )
    return digest.hexdigest()[:16]


def check_sha256(path: Path, expected: str, remedy: str) -> Path:
    """Return `path` if its SHA-256 is `expected`.

    Raises:
        RsirError: if the file is missing or is another file.
    """
    if not path.is_file():
        raise RsirError(f"{path}: weights not found; {remedy}")
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise RsirError(
            f"{path}: SHA-256 is {found[:12]}..., expected {expected[:12]}...; {remedy}"
        )
    return path
