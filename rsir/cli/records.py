"""`rsir records`: which records stand, and a run that confirms them."""

from typing import Annotated

import typer

from rsir.cli.options import Dataset, Method, Preset, Results, Root, option

app = typer.Typer(no_args_is_help=True, help="Records of measured runs.")


@app.command("list")
def list_command(
    stale: Annotated[bool, option("Only those that are stale.", "--stale")] = False,
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


@app.command("confirm")
def confirm_command(
    method: Annotated[str, Method],
    dataset: Dataset = "ucm",
    preset: Preset = "cpu",
    seed: Annotated[int, option("The seed that is run again.")] = 0,
    root: Root = None,
    results: Results = None,
) -> None:
    """Run a seed of the headline again; equal ranks renew all hashes."""
    from rsir.experiments.run import confirm

    renewed = confirm(method, dataset, preset, seed, root=root, results=results)
    print(f"{method} {dataset}: equal to the bit; {len(renewed)} records renewed")
