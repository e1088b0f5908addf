"""`rsir app ARCHIVE`: search an archive in the browser."""

from pathlib import Path
from typing import Annotated

import typer

from rsir.cli import options
from rsir.cli.index import BaselineOf, model_of
from rsir.cli.options import Root, option


def app_command(
    archive: Annotated[Path, typer.Argument(help="What rsir index build --out made.")],
    run: options.Run = None,
    port: Annotated[
        int | None, option("Default: the first free one from 7860 on.")
    ] = None,
    share: Annotated[
        bool,
        option("Also give the page a public address (gradio.live).", "--share"),
    ] = False,
    dataset: BaselineOf = None,
    root: Root = None,
) -> None:
    """Search an archive in the browser, on this machine alone."""
    from rsir.archive.app import launch

    app = launch(model_of(run, dataset, root), archive, port=port, share=share)
    print(f"{archive}: {app.local_url} (Ctrl-C ends it)", flush=True)
    app.block_thread()
