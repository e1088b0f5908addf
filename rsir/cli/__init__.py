"""The `rsir` command. One file per command; each has `register(app)`.

Commands import what is heavy inside their functions, so that
`rsir evaluate` starts without torch.
"""

import os
import sys
import warnings
from importlib import import_module

import typer

COMMANDS = [
    "data",
    "train",
    "search",
    "index",
    "evaluate",
    "rerank",
    "reproduce",
    "records",
    "cache",
]

app = typer.Typer(
    name="rsir",
    help="Cross-modal remote-sensing retrieval, re-run.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _root() -> None:
    """Find satellite images by a sentence, and sentences by an image."""


for _name in COMMANDS:
    import_module(f"rsir.cli.{_name}").register(app)


def main() -> None:
    """Run the command; a user error is one line and exit code 2."""
    from rsir.utils.errors import RsirError

    warnings.formatwarning = lambda message, *_: f"rsir: warning: {message}\n"
    try:
        app()
    except (RsirError, FileNotFoundError, PermissionError) as error:
        print(f"rsir: error: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        os._exit(0)
