"""`rsir reproduce METHOD`: measured runs with records."""

from functools import partial
from typing import Annotated

from rsir.cli import options
from rsir.cli.options import Method, Preset, Results, Root, option
from rsir.utils.errors import RsirError


def reproduce_command(
    method: Annotated[str | None, Method] = None,
    dataset: Annotated[
        str | None,
        option(f"{options.SETS} Default: toy; with --all every set of the campaign."),
    ] = None,
    part: options.Part = None,
    preset: Preset = "cpu",
    seeds: Annotated[
        int | None,
        option("How many seeds, from 0; default: 1, with --all the campaign's.", min=1),
    ] = None,
    seed: Annotated[int | None, option("Only this seed.")] = None,
    variant: Annotated[
        list[str] | None,
        option("Variants to run; 'all' for every one; default: the first."),
    ] = None,
    every: Annotated[
        bool, option("All headlines, both sides of each claim or world.", "--all")
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
    from rsir.experiments.run import jobs_of, work
    from rsir.experiments.tables import CAMPAIGN, queue
    from rsir.models import variants

    if every == (method is not None):
        raise RsirError("reproduce: name a method, or give --all")
    if part is not None:
        dataset = options.part_of(dataset or "rsitmd", part)
    if every:
        wanted, sets = queue(dataset or ""), [dataset] if dataset else [*CAMPAIGN]
    else:
        names = [*variants(method)] if variant == ["all"] else variant or [None]
        wanted, sets = [(method, name) for name in names], [dataset or "toy"]
    jobs = []
    for name in sets:
        many = seeds or (CAMPAIGN.get(name, 1) if every else 1)
        numbers = range(many) if seed is None else [seed]
        jobs += jobs_of(wanted, name, preset, numbers)
    work(
        jobs,
        root=root,
        results=results,
        force=force,
        dry_run=dry_run,
        say=partial(print, flush=True),
    )
