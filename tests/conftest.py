"""What all tests share: no network, a private cache, no silent skip."""

import os

import pytest

for _name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("MPLBACKEND", "agg")


def must_not_skip() -> bool:
    """Whether a skipped page test counts as a failure (under CI)."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false"}


def skip_or_fail(reason: str) -> None:
    """Skip for want of a browser or a book; under CI that is a fault."""
    if must_not_skip():
        pytest.fail(f"{reason} (CI=true: a skip is a failure)")
    pytest.skip(reason)
