"""The `rsir` command: a file for each command or group of them.

Commands import what is heavy inside their functions, so that
`rsir evaluate` starts without torch.
"""

import logging
import os
import sys
import warnings
from importlib import import_module

import typer

COMMANDS = "data train search index evaluate bench rerank reproduce records claims"
COMMANDS += " cache app"

root = typer.Typer(
    name="rsir",
    help="Cross-modal remote-sensing retrieval, re-run.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@root.callback()
def _root() -> None:
    """Find satellite images by a sentence, and sentences by an image."""


for _name in COMMANDS.split():
    _module = import_module(f"rsir.cli.{_name}")
    if hasattr(_module, "app"):  # a group of commands
        root.add_typer(_module.app, name=_name)
    else:
        root.command(_name)(getattr(_module, f"{_name}_command"))


def main() -> None:
    """Run the command; a user error is one line and exit code 2."""
    from rsir.utils.errors import RsirError

    # says what it cannot read without a file's name; our errors give it
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    warnings.formatwarning = lambda message, *_: f"rsir: warning: {message}\n"
    try:
        root()
    except BrokenPipeError:
        os._exit(0)
    except (RsirError, OSError) as error:  # OSError: such as a full disk
        print(f"rsir: error: {error}", file=sys.stderr)
        sys.exit(2)
