"""`rsir data list | fetch | verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

Root = Annotated[
    Optional[Path],  # noqa: UP045 (typer reads the annotation)
    typer.Option(help="Data root; default RSIR_DATA, else the cache."),
]


def _console():
    import sys

    from rich.console import Console

    return Console(file=sys.stdout, highlight=False, soft_wrap=True)


def _table(*heads: str):
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        right = head in ("images", "captions", "distinct", "MB")
        table.add_column(head, justify="right" if right else "left", overflow="fold")
    return table


def list_sets(root: Root = None) -> None:
    """Show the data sets, their sizes, licences and sources."""
    from rsir.data.catalog import CATALOG
    from rsir.data.readers import locate
    from rsir.utils.errors import RsirError
    from rsir.utils.io import data_root

    table = _table(
        "name",
        "images",
        "captions",
        "train/val/test",
        "licence",
        "sources",
        "here",
    )
    table.add_row(
        "toy",
        "1,300",
        "6,500",
        "1000/150/150",
        "MIT, drawn by rsir",
        "none needed",
        "yes",
    )
    for e in CATALOG.values():
        try:
            locate(e, data_root(root))
            here = "yes"
        except RsirError:
            here = "no"
        parts = "/".join("cut" if n is None else str(n) for n in e.splits)
        table.add_row(
            e.name,
            f"{e.images:,}",
            f"{e.captions:,}",
            parts,
            e.licence,
            ", ".join(s.kind for s in e.sources),
            here,
        )
    out = _console()
    out.print(table)
    out.print(f"data root: {data_root(root)}", markup=False)
    out.print("fetch one with: rsir data fetch NAME", markup=False)


def fetch_set(
    name: Annotated[str, typer.Argument(help="ucm, rsicd, ...")],
    root: Root = None,
    source: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="hub, drive or https; default: in order."),
    ] = None,
    keep: Annotated[bool, typer.Option(help="Keep the archives.")] = False,
    quiet: Annotated[bool, typer.Option(help="No progress bar.")] = False,
) -> None:
    """Download a data set; run it again to go on after a break."""
    from rsir.data.download import ManualSteps, fetch
    from rsir.utils.errors import RsirError

    try:
        fetch(
            name,
            root,
            source=source,
            keep=keep,
            progress=not quiet,
            say=lambda text: print(text, flush=True),
        )
    except ManualSteps as error:
        print(f"Get {name} by hand:")
        for i, step in enumerate(error.steps, 1):
            print(f"  {i}. {step}")
        raise RsirError(
            f"{name} could not be fetched; the steps above lead to it"
        ) from None


def verify_set(
    name: Annotated[str, typer.Argument(help="ucm, rsicd, ...")],
    root: Root = None,
    decode: Annotated[bool, typer.Option(help="Open every image.")] = True,
) -> None:
    """Tell what a folder holds, which split it is, and its faults."""
    from rsir.data.verify import verify
    from rsir.utils.errors import RsirError

    seen = verify(name, root, decode=decode)
    out = _console()
    print(f"{seen.name} ({seen.layout}) in {seen.folder}")
    if seen.splits is not None:
        table = _table("split", "images", "captions", "distinct")
        for s in seen.splits:
            table.add_row(
                s.name,
                f"{len(s):,}",
                f"{s.n_captions:,}",
                f"{len(set(s.captions)):,}",
            )
        out.print(table)
    if seen.hashes:
        table = _table("caption file", "sha256", "official")
        for key, digest, state in seen.hashes:
            table.add_row(key, digest[:16] + "...", state)
        out.print(table)
    print(f"split: {seen.identity}")
    for title, lines in (
        ("note", seen.notes),
        ("repaired", seen.repairs),
        ("problem", seen.problems),
    ):
        for line in lines:
            print(f"{title}: {line}")
    if not seen.ok:
        count = len(seen.problems)
        raise RsirError(
            f"{name} in {seen.folder} has {count} "
            f"problem{'s' if count > 1 else ''}; see above"
        )
    print("all is well")


def register(app: typer.Typer) -> None:
    """Add the `data` commands to the command line."""
    data = typer.Typer(
        help="List, fetch and verify the data sets.",
        no_args_is_help=True,
    )
    data.command("list")(list_sets)
    data.command("fetch")(fetch_set)
    data.command("verify")(verify_set)
    app.add_typer(data, name="data")
