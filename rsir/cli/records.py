"""`rsir records`: which records stand, and a run that confirms them."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from rsir.cli.options import Preset, Root

Results = Annotated[
    Optional[Path], typer.Option(help="Where records lie; default results/.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    group = typer.Typer(no_args_is_help=True, help="Records of measured runs.")
    group.command("list")(list_command)
    group.command("confirm")(confirm_command)
    app.add_typer(group, name="records")


def list_command(
    stale: Annotated[
        bool, typer.Option("--stale", help="Only those that are stale.")
    ] = False,
    results: Results = None,
) -> None:
    """Every record, its mR, and why it is stale, if it is."""
    from rsir.experiments.records import load_records

    records = load_records(folder=results)
    reasons = [record.stale() for record in records]
    for record, why in zip(records, reasons):
        if why or not stale:
            name = record.path.relative_to(record.folder).with_suffix("")
            print(f"{name}  mR {record.mR:.2f}  {', '.join(why)}".rstrip())
    print(f"{len(records)} records, {sum(map(bool, reasons))} stale")


def confirm_command(
    method: Annotated[str, typer.Argument(help="linear, amfmn, galr, ...")],
    dataset: Annotated[str, typer.Option(help="toy, ucm, rsicd, ...")] = "ucm",
    preset: Preset = "cpu",
    seed: Annotated[int, typer.Option(help="The seed that is run again.")] = 0,
    root: Root = None,
    results: Results = None,
) -> None:
    """Run a seed of the headline again; equal ranks renew all hashes."""
    from rsir.experiments.run import confirm

    renewed = confirm(method, dataset, preset, seed, root=root, results=results)
    print(f"{method} {dataset}: equal to the bit; {len(renewed)} records renewed")
