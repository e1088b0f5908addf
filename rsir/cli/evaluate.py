"""`rsir evaluate`: score a similarity matrix of your own.

    rsir evaluate --scores S.npy [--owner O.npy] [--ties RULE] [--json]
                  [--captions C.txt --gallery deduplicated]

Only numpy is loaded, so the command answers within a second or two.
Chapter 01 explains the numbers.
"""

import json
import tokenize
import zipfile
from pathlib import Path
from typing import Annotated

import typer

from rsir.utils.errors import RsirError

JSON_KEYS = (
    "i2t",
    "t2i",
    "mR",
    "ties",
    "n_images",
    "n_captions",
    "ci95",
)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("evaluate")(evaluate_command)


def evaluate_command(
    scores: Annotated[
        Path,
        typer.Option(
            help="scores[n_images, n_captions] as .npy; higher is closer.",
        ),
    ],
    owner: Annotated[
        Path | None,
        typer.Option(
            help="owner[n_captions] as .npy: the image of each caption, "
            "counted from 0. Without it captions are dealt evenly in order.",
        ),
    ] = None,
    ties: Annotated[
        str,
        typer.Option(
            help="expected, optimistic, pessimistic or released.",
        ),
    ] = "expected",
    captions: Annotated[
        Path | None,
        typer.Option(
            help="The captions as text, one a line, in the order of the "
            "columns; for --gallery.",
        ),
    ] = None,
    gallery: Annotated[
        str,
        typer.Option(
            help="full, or deduplicated: of each image every text once, "
            "as the code of CFITR does. Not the field's protocol.",
        ),
    ] = "full",
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print one JSON object and nothing else.",
        ),
    ] = False,
    bootstrap: Annotated[
        int,
        typer.Option(
            help="Draws behind the 95 % intervals; 0 leaves them out.",
        ),
    ] = 1000,
    seed: Annotated[
        int,
        typer.Option(
            help="Seed of the bootstrap.",
        ),
    ] = 0,
) -> None:
    """Recall@1/5/10 both ways and mR of a score matrix, in percent."""
    from rsir.evaluation import metrics
    from rsir.evaluation.metrics import GALLERIES

    if gallery not in GALLERIES:
        raise RsirError(
            f"--gallery: {gallery!r} is no gallery; use one of {', '.join(GALLERIES)}."
        )
    if (gallery != "full") != (captions is not None):
        raise RsirError(
            "--gallery: deduplicated needs --captions C.txt, the text of "
            "each caption, and full has no use for it; give both or none."
        )
    if ties not in metrics.TIES:
        raise RsirError(
            f"--ties: {ties!r} is not a tie rule; use one of {', '.join(metrics.TIES)}."
        )
    matrix = load_array(scores, "--scores")
    owners = None if owner is None else load_array(owner, "--owner")
    options = {"ties": ties, "bootstrap": bootstrap, "seed": seed}
    try:
        if captions is None:
            report = metrics.evaluate(matrix, owners, **options)
        else:
            from rsir.evaluation.metrics import evaluate_gallery

            report = evaluate_gallery(
                matrix, owners, load_lines(captions), gallery, **options
            )
    except ValueError as error:
        files = ", ".join(str(x) for x in (scores, owner, captions) if x is not None)
        raise RsirError(f"{files}: {error}") from error
    if as_json:
        full = report.to_dict()
        keys = JSON_KEYS + (("gallery",) if "gallery" in full else ())
        print(json.dumps({key: full[key] for key in keys}))
    else:
        print(report)


def load_lines(path: Path) -> list[str]:
    """The lines of a text file, without their ends.

    Raises:
        RsirError: no such file, or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RsirError(
            f"{path}: --captions: not a readable text "
            f"({one_line(error)}); save one caption a line, as UTF-8."
        ) from error


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
            f"{path}: {option}: no permission to read; change the file's mode."
        ) from error
    except (
        ValueError,
        EOFError,
        OSError,
        SyntaxError,
        zipfile.BadZipFile,
        tokenize.TokenError,
    ) as error:
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
