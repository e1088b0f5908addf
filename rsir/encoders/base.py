"""What every encoder returns, and how weights are found and identified."""

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from rsir.utils.errors import RsirError
from rsir.utils.io import sha256_of

#: what an image encoder gives: four maps, fine to coarse, and a vector
FEATURES = ("f1", "f2", "f3", "f4", "pooled")


@dataclass
class Encoded:
    """The output of an encoder, for pictures and sentences alike.

    Attributes:
        tokens: `[B, L, D]`; words, or the cells of the last map.
        mask: `[B, L]` bool, True where a token is real.
        pooled: `[B, P]`, one vector for each picture or sentence.
        maps: of pictures, four `[B, C, H, W]`; empty for sentences.
    """

    tokens: Tensor
    mask: Tensor
    pooled: Tensor
    maps: tuple[Tensor, ...] = ()

    def features(self, names=FEATURES) -> dict[str, Tensor]:
        """Features of pictures by name: some of `FEATURES`."""
        every = dict(zip(FEATURES, (*self.maps, self.pooled), strict=True))
        return {name: every[name] for name in names}


def weights_hash(module: torch.nn.Module) -> str:
    """First 16 hex digits of the SHA-256 of all weights, in order."""
    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def check_sha256(path: Path, expected: str, remedy: str) -> Path:
    """Return `path`; an RsirError if it is missing or is another file."""
    if not path.is_file() or sha256_of(path) != expected:
        raise RsirError(
            f"{path}: missing, or its SHA-256 is not {expected[:12]}...; {remedy}"
        )
    return path


@contextmanager
def loading(what: str, remedy: str):
    """Weights of a hub or a package: any failure is a user error."""
    try:
        yield
    except Exception as error:  # each hub's client has errors of its own
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise RsirError(f"{what}: could not be loaded ({why}); {remedy}") from error
