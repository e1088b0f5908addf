"""`rsir data list | fetch | verify`."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the `data` commands to the command line."""
    data = typer.Typer(
        help="List, fetch and verify the data sets.",
        no_args_is_help=True,
    )

    @data.command("list")
    def list_() -> None:
        """Show the data sets, their sizes and licences."""
        from rsir.data import NAMES

        for name in NAMES:
            print(name)

    app.add_typer(data, name="data")
