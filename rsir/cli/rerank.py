"""`rsir rerank`: re-rank a similarity matrix of your own.

    rsir rerank --method mr --direction i2t --scores S.npy --out R.npy
    rsir rerank --method ppsr --scores S.npy --out R.npy

Only numpy is loaded. Chapters 03 (MR) and 05 (PPSR) explain the methods.
"""

from pathlib import Path
from typing import Annotated

import typer

from rsir.cli.evaluate import load_array, one_line
from rsir.utils.errors import RsirError

METHODS = ("mr", "ppsr")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("rerank")(rerank_command)


def rerank_command(
    method: Annotated[
        str,
        typer.Option(
            help="mr (GaLR) or ppsr (CFITR).",
        ),
    ],
    scores: Annotated[
        Path,
        typer.Option(
            help="scores[n_images, n_captions] as .npy; higher is closer.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Where to write: .npy, float32, shape as --scores.",
        ),
    ],
    k: Annotated[
        int | None,
        typer.Option(
            "--k",
            help="Candidates (mr, 30) or neighbours (ppsr, 10).",
        ),
    ] = None,
    direction: Annotated[
        str | None,
        typer.Option(
            help="i2t (images ask) or t2i (captions ask); mr needs it.",
        ),
    ] = None,
    w_sig: Annotated[
        float | None,
        typer.Option(
            "--w-sig",
            help="mr: weight of the significance [0.3].",
        ),
    ] = None,
    w_rev: Annotated[
        float | None,
        typer.Option(
            "--w-rev",
            help="mr: weight of the reverse rank [1.1].",
        ),
    ] = None,
    xi: Annotated[
        float | None,
        typer.Option(
            "--xi",
            help="mr: decay of a place [0.05].",
        ),
    ] = None,
    style: Annotated[
        str | None,
        typer.Option(
            "--as",
            help="mr: released or figure [released].",
        ),
    ] = None,
    bank: Annotated[
        Path | None,
        typer.Option(
            help="Scores of training queries with the same gallery, .npy; "
            "makes --direction inductive.",
        ),
    ] = None,
) -> None:
    """Re-rank a score matrix: mr or ppsr, float32 as .npy."""
    import numpy as np

    from rsir.retrieval import rerank

    if method not in METHODS:
        raise RsirError(
            f"--method: {method!r} is unknown; use one of {', '.join(METHODS)}."
        )
    if direction not in (None, *rerank.ANSWERS):
        raise RsirError(
            f"--direction: {direction!r} is unknown; "
            "give i2t (images ask) or t2i (captions ask)."
        )
    if direction is None and (method == "mr" or bank is not None):
        why = "mr" if method == "mr" else "--bank"
        raise RsirError(
            f"--direction: missing; {why} works in one direction, give "
            "i2t (images ask) or t2i (captions ask)."
        )
    given = {
        "k": k,
        "w_sig": w_sig,
        "w_rev": w_rev,
        "xi": xi,
        "style": style,
    }
    given = {key: v for key, v in given.items() if v is not None}
    options = {"style": "--as"}
    if method == "ppsr" and given.keys() - {"k"}:
        name = min(given.keys() - {"k"})
        option = options.get(name, "--" + name.replace("_", "-"))
        raise RsirError(f"{option}: belongs to --method mr; leave it out.")

    matrix = load_array(scores, "--scores")
    side = None if bank is None else load_array(bank, "--bank")
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # see below
            if method == "mr":
                new = rerank.multivariate_rerank(matrix, direction, bank=side, **given)
            else:
                name = "image_bank" if direction == "i2t" else "caption_bank"
                new = rerank.ppsr(matrix, **{name: side}, **given)
    except ValueError as error:
        files = str(scores) if bank is None else f"{scores}, {bank}"
        raise RsirError(f"{files}: {error}") from error
    if not np.isfinite(new).all():
        raise RsirError(
            f"{scores}: --scores: some values are too large for "
            "float32 once re-ranked; scale the matrix down"
        )
    write_array(out, new)
    print(f"{out}: {method}, {new.shape[0]} x {new.shape[1]}, float32")


def write_array(path: Path, array) -> None:
    """Write one .npy, aside first and then in place at once.

    Raises:
        RsirError: the folder is missing, or the disk refuses.
    """
    import numpy as np

    from rsir.utils.io import atomic_write

    if not path.parent.is_dir():
        raise RsirError(f"{path}: --out: no folder {path.parent}; make it first.")
    if path.is_dir():
        raise RsirError(f"{path}: --out: is a folder; name a file in it.")
    try:
        with atomic_write(path, "wb") as file:
            np.save(file, array)
    except OSError as error:
        raise RsirError(
            f"{path}: --out: cannot be written ({one_line(error)}); "
            "choose another place."
        ) from error
