"""`rsir rerank`: re-rank a similarity matrix of your own; loads only numpy."""

from pathlib import Path
from typing import Annotated

from rsir.cli.evaluate import load_array, one_line
from rsir.cli.options import Scores, option
from rsir.utils.errors import RsirError
from rsir.utils.io import atomic_write


def rerank_command(
    method: Annotated[str, option("mr (GaLR) or ppsr (CFITR).")],
    scores: Scores,
    out: Annotated[Path, option("Where to write: .npy, float32, shape as --scores.")],
    k: Annotated[
        int | None, option("Candidates (mr, 30) or neighbours (ppsr, 10).", "--k")
    ] = None,
    direction: Annotated[
        str | None, option("i2t (images ask) or t2i (captions ask); mr needs it.")
    ] = None,
    w_sig: Annotated[
        float | None, option("mr: weight of the significance [0.3].", "--w-sig")
    ] = None,
    w_rev: Annotated[
        float | None, option("mr: weight of the reverse rank [1.1].", "--w-rev")
    ] = None,
    xi: Annotated[float | None, option("mr: decay of a place [0.05].")] = None,
    style: Annotated[
        str | None, option("mr: released or figure [released].", "--as")
    ] = None,
    bank: Annotated[
        Path | None,
        option(
            "Scores of training queries with the same gallery, .npy; makes "
            "--direction inductive."
        ),
    ] = None,
) -> None:
    """Re-rank a score matrix: mr or ppsr, float32 as .npy."""
    import numpy as np

    from rsir.retrieval.rerank import multivariate_rerank, ppsr

    if method not in ("mr", "ppsr"):
        raise RsirError(f"--method: {method!r} is unknown; use one of mr, ppsr.")
    if direction not in ("i2t", "t2i") and (method == "mr" or bank or direction):
        raise RsirError(
            f"--direction: {direction or 'missing'}; mr and --bank work in one "
            "direction, give i2t (images ask) or t2i (captions ask)."
        )
    of_mr = {"--w-sig": w_sig, "--w-rev": w_rev, "--xi": xi, "--as": style}
    given = [name for name, value in of_mr.items() if value is not None]
    if method == "ppsr" and given:
        raise RsirError(f"{given[0]}: belongs to --method mr; leave it out.")
    if not out.parent.is_dir():
        raise RsirError(f"{out}: --out: no folder {out.parent}; make it first.")
    if out.is_dir():
        raise RsirError(f"{out}: --out: is a folder; name a file in it.")

    matrix = load_array(scores, "--scores")
    side = bank and load_array(bank, "--bank")
    options = {"k": k, "w_sig": w_sig, "w_rev": w_rev, "xi": xi, "style": style}
    options = {name: value for name, value in options.items() if value is not None}
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # see below
            if method == "mr":
                new = multivariate_rerank(matrix, direction, bank=side, **options)
            else:
                name = "image_bank" if direction == "i2t" else "caption_bank"
                new = ppsr(matrix, **{name: side}, **options)
    except ValueError as error:
        files = f"{scores}, {bank}" if bank else scores
        raise RsirError(f"{files}: {error}") from error
    if not np.isfinite(new).all():
        raise RsirError(
            f"{scores}: --scores: some values are too large for float32 once "
            "re-ranked; scale the matrix down."
        )
    try:
        with atomic_write(out, "wb") as file:
            np.save(file, new)
    except OSError as error:
        raise RsirError(
            f"{out}: --out: cannot be written ({one_line(error)}); choose another "
            "place."
        ) from error
    print(f"{out}: {method}, {new.shape[0]} x {new.shape[1]}, float32")
