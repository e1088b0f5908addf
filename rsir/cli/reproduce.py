"""`rsir reproduce METHOD`: measured runs with records."""

from functools import partial
from typing import Annotated

from rsir.cli.options import Dataset, Method, Preset, Results, Root, option
from rsir.utils.errors import RsirError


def reproduce_command(
    method: Annotated[str | None, Method] = None,
    dataset: Dataset = "toy",
    preset: Preset = "cpu",
    seeds: Annotated[int, option("How many seeds, from 0.", min=1)] = 1,
    seed: Annotated[int | None, option("Only this seed.")] = None,
    variant: Annotated[
        list[str] | None,
        option("Variants to run; 'all' for every one; default: the first."),
    ] = None,
    every: Annotated[
        bool, option("All headlines, both sides of each claim.", "--all")
    ] = False,
    dry_run: Annotated[
        bool, option("Only say what it would cost.", "--dry-run")
    ] = False,
    root: Root = None,
    results: Results = None,
    force: Annotated[bool, option("Make standing records again.", "--force")] = False,
) -> None:
    """Train, select on validation, score the test split, write records.

    A queue that was killed goes on when the command is given again. The
    tree must be clean at its start: a record names the commit it is of.
    """
    from rsir.experiments.run import reproduce
    from rsir.experiments.tables import queue
    from rsir.models import variants

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
        say=partial(print, flush=True),
    )
