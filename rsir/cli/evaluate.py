"""`rsir evaluate`: score a similarity matrix of your own.

    rsir evaluate --scores S.npy [--owner O.npy] [--ties RULE] [--json]

Only numpy is loaded, so the command answers within a second or two.
Chapter 01 explains the numbers.
"""

import json
import tokenize
import zipfile
from pathlib import Path
from typing import Annotated

import typer

from rsir.errors import RsirError

JSON_KEYS = (
    "i2t", "t2i", "mR", "ties", "n_images", "n_captions", "ci95",
)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("evaluate")(evaluate_command)


def evaluate_command(
    scores: Annotated[Path, typer.Option(
        help="scores[n_images, n_captions] as .npy; higher is closer.",
    )],
    owner: Annotated[Path | None, typer.Option(
        help="owner[n_captions] as .npy: the image of each caption, "
        "counted from 0. Without it captions are dealt evenly in order.",
    )] = None,
    ties: Annotated[str, typer.Option(
        help="expected, optimistic, pessimistic or released.",
    )] = "expected",
    as_json: Annotated[bool, typer.Option(
        "--json", help="Print one JSON object and nothing else.",
    )] = False,
    bootstrap: Annotated[int, typer.Option(
        help="Draws behind the 95 % intervals; 0 leaves them out.",
    )] = 1000,
    seed: Annotated[int, typer.Option(
        help="Seed of the bootstrap.",
    )] = 0,
) -> None:
    """Recall@1/5/10 both ways and mR of a score matrix, in percent."""
    from rsir import metrics

    if ties not in metrics.TIES:
        raise RsirError(
            f"--ties: {ties!r} is not a tie rule; "
            f"use one of {', '.join(metrics.TIES)}."
        )
    matrix = load_array(scores, "--scores")
    owners = None if owner is None else load_array(owner, "--owner")
    try:
        report = metrics.evaluate(
            matrix, owners, ties=ties, bootstrap=bootstrap, seed=seed
        )
    except ValueError as error:
        files = str(scores) if owner is None else f"{scores}, {owner}"
        raise RsirError(f"{files}: {error}") from error
    if as_json:
        full = report.to_dict()
        print(json.dumps({key: full[key] for key in JSON_KEYS}))
    else:
        print(report)


def load_array(path: Path, option: str):
    """Read one .npy array without running anything that it holds.

    Args:
        path: the file.
        option: the option that named it, for the message.

    Returns:
        A read-only array, mapped from the disk.

    Raises:
        RsirError: no such file, no .npy, damaged, or pickled objects.
    """
    import numpy as np

    remedy = "save one plain array with numpy.save(path, array)."
    if not path.exists():
        raise RsirError(f"{path}: {option}: no such file; check the path.")
    if path.is_dir():
        raise RsirError(f"{path}: {option}: is a folder; {remedy}")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except PermissionError as error:
        raise RsirError(
            f"{path}: {option}: no permission to read; "
            "change the file's mode."
        ) from error
    except (ValueError, EOFError, OSError, SyntaxError,
            zipfile.BadZipFile, tokenize.TokenError) as error:
        text = one_line(error)
        if "pickle" in text or "Python objects" in text:
            text = "no .npy file, or one with pickled objects"
        raise RsirError(
            f"{path}: {option}: not a readable array ({text}); {remedy}"
        ) from error
    if not isinstance(array, np.ndarray):
        raise RsirError(f"{path}: {option}: is an .npz archive; {remedy}")
    return array


def one_line(error: Exception) -> str:
    """The message of a foreign error, on one line and not too long."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else text[:117] + "..."
