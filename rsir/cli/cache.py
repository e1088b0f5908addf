"""`rsir cache list | clear`: what the feature cache holds."""

from typing import Annotated

import typer

from rsir.cli.options import print_table

app = typer.Typer(help="Features of frozen encoders on disk.", no_args_is_help=True)


@app.command("list")
def list_command() -> None:
    """Every set of features: data set, encoder, size."""
    from rsir.encoders.feature_cache import feature_sets, features_dir

    sets, rows = list(feature_sets()), []
    for _, facts, size in sets:
        facts = {"dataset": "(unfinished)"} | facts
        names = ("dataset", "split", "n_images", "encoder", "size")
        rows.append((*(facts.get(name, "") for name in names), round(size / 2**20)))
    print_table("dataset split images encoder px MB".split(), rows)
    total = sum(size for *_, size in sets)
    print(f"{total / 2**20:.0f} MB in {features_dir()}")


@app.command("clear")
def clear_command(
    dataset: Annotated[
        str | None, typer.Argument(help="Only this data set; default: all.")
    ] = None,
) -> None:
    """Remove cached features; they are computed again when needed."""
    from rsir.encoders.feature_cache import clear_features

    print(f"freed {clear_features(dataset) / 2**20:.0f} MB")
