"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Optional

import typer

Dataset = Annotated[
    str, typer.Option(help="toy, ucm, rsicd, rsitmd, sydney, or a folder.")
]
Root = Annotated[
    Optional[Path], typer.Option(help="Data root; default RSIR_DATA, else the cache.")
]
Preset = Annotated[str, typer.Option(help="toy, cpu or paper.")]
Row = Annotated[Optional[str], typer.Option(help="A named variation of the method.")]


def changes(pairs: list[str]) -> dict:
    """`lr=1e-3 mvsa=false` as a dictionary of Python values.

    Raises:
        RsirError: if a word has no "=".
    """
    import ast

    from rsir.utils.errors import RsirError

    words = {"true": True, "false": False, "none": None}
    found = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            raise RsirError(f"--set {pair!r}: write it as NAME=VALUE")
        try:
            parsed = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            parsed = words.get(value.lower(), value)
        found[name.replace("-", "_")] = parsed
    return found
