"""`rsir data list | fetch | verify`."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Optional

import typer

from rsir.cli.options import Root

Text = Optional[str]


def _print_table(heads: list[str], rows) -> None:
    import sys

    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        right = head in ("images", "captions", "distinct")
        table.add_column(head, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(c if isinstance(c, str) else f"{c:,}" for c in row))
    Console(file=sys.stdout, highlight=False, soft_wrap=True).print(table)


def list_sets(root: Root = None) -> None:
    """Show the data sets, their sizes, licences and sources."""
    from rsir.data.catalog import CATALOG
    from rsir.data.readers import locate
    from rsir.utils.errors import RsirError
    from rsir.utils.io import data_root

    rows = [
        ("toy", 1300, 6500, "1000/150/150", "MIT, drawn by rsir", "none needed", "yes")
    ]
    for e in CATALOG.values():
        try:
            locate(e, data_root(root))
            here = "yes"
        except RsirError:
            here = "no"
        parts = "/".join("cut" if n is None else str(n) for n in e.splits)
        kinds = ", ".join(s.kind for s in e.sources)
        rows.append((e.name, e.images, e.captions, parts, e.licence, kinds, here))
    heads = "name images captions train/val/test licence sources here"
    _print_table(heads.split(), rows)
    print(f"data root: {data_root(root)}\nfetch one with: rsir data fetch NAME")


def fetch_set(
    name: Annotated[str, typer.Argument(help="ucm, rsicd, rsitmd or sydney.")],
    root: Root = None,
    source: Annotated[Text, typer.Option(help="hub or drive; default: in order.")] = (
        None
    ),
    keep: Annotated[bool, typer.Option(help="Keep the archives.")] = False,
    quiet: Annotated[bool, typer.Option(help="No progress bar.")] = False,
) -> None:
    r"""Download a data set; needs pip install 'rsir\[fetch]'.

    Run it again to go on after a break.
    """
    from rsir.data.download import ManualSteps, fetch
    from rsir.utils.errors import RsirError

    say = partial(print, flush=True)
    try:
        fetch(name, root, source=source, keep=keep, progress=not quiet, say=say)
    except ManualSteps as error:
        print(f"Get {name} by hand:")
        for i, step in enumerate(error.steps, 1):
            print(f"  {i}. {step}")
        raise RsirError(
            f"{name} could not be fetched; the steps above lead to it"
        ) from None


def verify_set(
    name: Annotated[str, typer.Argument(help="ucm, rsicd, ..., or a folder.")],
    root: Root = None,
    decode: Annotated[bool, typer.Option(help="Open every image.")] = True,
    bands: Annotated[Text, typer.Option(help="Bands to read, such as 3,2,1.")] = None,
    scale: Annotated[
        Text, typer.Option(help="LOW,HIGH of data of more than 8 bits, or 2%,98%.")
    ] = None,
) -> None:
    """Tell what a folder holds, which split it is, and its faults."""
    from rsir.data.images import PixelOptions
    from rsir.data.verify import verify
    from rsir.utils.errors import RsirError

    pixels = PixelOptions.parse(bands, scale)
    seen = verify(name, root, decode=decode, pixels=pixels)
    print(f"{seen.name} ({seen.layout}) in {seen.folder}")
    if seen.splits is not None:
        _print_table(
            ["split", "images", "captions", "distinct"],
            [(s.name, len(s), s.n_captions, len(set(s.captions))) for s in seen.splits],
        )
    if seen.hashes:
        rows = [(key, digest[:16] + "...", state) for key, digest, state in seen.hashes]
        _print_table(["caption file", "sha256", "official"], rows)
    print(f"split: {seen.identity}")
    for word, lines in (
        ("note", seen.notes),
        ("repaired", seen.repairs),
        ("problem", seen.problems),
    ):
        for line in lines:
            print(f"{word}: {line}")
    if not seen.ok:
        raise RsirError(
            f"{name} in {seen.folder} has {len(seen.problems)} problem(s); see above"
        )
    print("all is well")


def register(app: typer.Typer) -> None:
    """Add the `data` commands to the command line."""
    data = typer.Typer(
        help="List, fetch and verify the data sets.", no_args_is_help=True
    )
    data.command("list")(list_sets)
    data.command("fetch")(fetch_set)
    data.command("verify")(verify_set)
    app.add_typer(data, name="data")
