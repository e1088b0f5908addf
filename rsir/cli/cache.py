"""`rsir cache list | clear`: what the feature cache holds."""

from typing import Annotated, Optional

import typer

cache = typer.Typer(help="Features of frozen encoders on disk.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(cache, name="cache")


@cache.command("list")
def list_command() -> None:
    """Every set of features: data set, encoder, size."""
    import sys

    from rich.console import Console
    from rich.table import Table

    from rsir.encoders.feature_cache import feature_sets, features_dir

    table = Table(box=None, pad_edge=False)
    for name in ("data set", "split", "images", "encoder", "px", "MB"):
        right = name in ("images", "px", "MB")
        table.add_column(name, justify="right" if right else "left")
    total = 0
    for _, facts, size in feature_sets():
        total += size
        table.add_row(
            facts.get("dataset", "(unfinished)"),
            facts.get("split", ""),
            str(facts.get("n_images", "")),
            facts.get("encoder", ""),
            str(facts.get("size", "")),
            f"{size / 2**20:.0f}",
        )
    console = Console(file=sys.stdout, soft_wrap=True)
    console.print(table)
    console.print(f"{total / 2**20:.0f} MB in {features_dir()}")


@cache.command("clear")
def clear_command(
    dataset: Annotated[
        Optional[str], typer.Argument(help="Only this data set; default: all.")
    ] = None,
) -> None:
    """Remove cached features; they are computed again when needed."""
    from rsir.encoders.feature_cache import clear_features

    freed = clear_features(dataset)
    print(f"freed {freed / 2**20:.0f} MB")
