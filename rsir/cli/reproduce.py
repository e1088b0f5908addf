"""`rsir reproduce METHOD`: measured runs with records."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from rsir.cli.options import Dataset, Preset, Root


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("reproduce")(reproduce_command)


def reproduce_command(
    method: Annotated[
        str, typer.Argument(help="linear, mlp, amfmn, galr, envlf or cfitr.")
    ],
    dataset: Dataset = "toy",
    preset: Preset = "cpu",
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from 0.")] = 1,
    seed: Annotated[Optional[int], typer.Option(help="Only this seed.")] = None,
    row: Annotated[
        Optional[list[str]],
        typer.Option(
            help="Rows to run; 'all' for every row of the method; "
            "default: the headline row."
        ),
    ] = None,
    root: Root = None,
    results: Annotated[
        Optional[Path], typer.Option(help="Where records go; default results/.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Make standing records again.")
    ] = False,
) -> None:
    """Train, select on validation, score the test split, write records.

    A queue that was killed goes on when the command is given again.
    The tree must be clean: a record names the commit it comes from.
    """
    from rsir.experiments.run import reproduce
    from rsir.models.recipes import ROWS

    rows = list(ROWS.get(method, {})) if row == ["all"] else row
    reproduce(
        method,
        dataset,
        preset,
        range(seeds) if seed is None else [seed],
        rows,
        root=root,
        results=results,
        force=force,
        say=lambda line: print(line, flush=True),
    )
