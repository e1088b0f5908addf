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
        Optional[str], typer.Argument(help="linear, amfmn, galr, ...")
    ] = None,
    dataset: Dataset = "toy",
    preset: Preset = "cpu",
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from 0.")] = 1,
    seed: Annotated[Optional[int], typer.Option(help="Only this seed.")] = None,
    variant: Annotated[
        Optional[list[str]],
        typer.Option(help="Variants to run; 'all' for every one; default: the first."),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="All headlines, both sides of each claim.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it would cost.")
    ] = False,
    root: Root = None,
    results: Annotated[
        Optional[Path], typer.Option(help="Where records go; default results/.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Make standing records again.")
    ] = False,
) -> None:
    """Train, select on validation, score the test split, write records.

    A queue that was killed goes on when the command is given again. The
    tree must be clean at its start: a record names the commit it is of.
    """
    from rsir.experiments.run import reproduce
    from rsir.experiments.tables import queue
    from rsir.models import variants
    from rsir.utils.errors import RsirError

    if every == (method is not None):
        raise RsirError("reproduce: name a method, or give --all")
    if every:
        wanted = queue()
    else:
        names = [*variants(method)] if variant == ["all"] else variant or [None]
        wanted = [(method, name) for name in names]
    reproduce(
        wanted,
        dataset,
        preset,
        range(seeds) if seed is None else [seed],
        root=root,
        results=results,
        force=force,
        dry_run=dry_run,
        say=lambda line: print(line, flush=True),
    )
