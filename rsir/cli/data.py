"""`rsir data list | fetch | verify`."""

from functools import partial
from typing import Annotated

import typer

from rsir.cli.options import Bands, Root, Scale, option, pixel_options, print_table
from rsir.utils.errors import RsirError

app = typer.Typer(help="List, fetch and verify the data sets.", no_args_is_help=True)


@app.command("list")
def list_command(root: Root = None) -> None:
    """Show the data sets, their sizes, licences and sources."""
    from rsir.data.catalog import CATALOG
    from rsir.data.readers import locate
    from rsir.utils.io import data_root

    def here(entry) -> str:
        try:
            return "yes" if locate(entry, data_root(root)) else "no"
        except RsirError:
            return "no"

    toy = ("MIT, drawn by rsir", "none needed", "yes")
    rows = [("toy", 1300, 6500, "1000/150/150", *toy)]
    for e in CATALOG.values():
        parts = "/".join("cut" if n is None else str(n) for n in e.splits)
        kinds = ", ".join(s.kind for s in e.sources)
        rows.append((e.name, e.images, e.captions, parts, e.licence, kinds, here(e)))
    heads = "name images captions train/val/test licence sources here"
    print_table(heads.split(), rows)
    print(f"data root: {data_root(root)}\nfetch one with: rsir data fetch NAME")


@app.command("fetch")
def fetch_command(
    name: Annotated[str, typer.Argument(help="ucm, rsicd, rsitmd or sydney.")],
    root: Root = None,
    source: Annotated[str | None, option("hub or drive; default: in order.")] = None,
    keep: Annotated[bool, option("Keep the archives.")] = False,
    quiet: Annotated[bool, option("No progress bar.")] = False,
) -> None:
    r"""Download a data set; needs pip install 'rsir\[fetch]'.

    Run it again to go on after a break.
    """
    from rsir.data.download import ManualSteps, fetch

    say = partial(print, flush=True)
    try:
        fetch(name, root, source=source, keep=keep, progress=not quiet, say=say)
    except ManualSteps as error:
        print(f"Get {name} by hand:")
        for i, step in enumerate(error.steps, 1):
            print(f"  {i}. {step}")
        said = f"{name} could not be fetched; the steps above lead to it"
        raise RsirError(said) from None


@app.command("verify")
def verify_command(
    name: Annotated[str, typer.Argument(help="ucm, rsicd, ..., or a folder.")],
    root: Root = None,
    decode: Annotated[bool, option("Open every image.")] = True,
    bands: Bands = None,
    scale: Scale = None,
) -> None:
    """Tell what a folder holds, which split it is, and its faults."""
    from rsir.data.verify import verify

    seen = verify(name, root, decode=decode, pixels=pixel_options(bands, scale))
    print(f"{seen.name} ({seen.layout}) in {seen.folder}")
    if seen.splits is not None:
        found = [
            (s.name, len(s), s.n_captions, len({*s.captions})) for s in seen.splits
        ]
        print_table(["split", "images", "captions", "distinct"], found)
    if seen.hashes:
        rows = [(key, digest[:16] + "...", state) for key, digest, state in seen.hashes]
        print_table(["caption file", "sha256", "official"], rows)
    print(f"split: {seen.identity}")
    said = {"note": seen.notes, "repaired": seen.repairs, "problem": seen.problems}
    for word, lines in said.items():
        for line in lines:
            print(f"{word}: {line}")
    if not seen.ok:
        faults = f"{len(seen.problems)} problem(s); see above"
        raise RsirError(f"{name} in {seen.folder} has {faults}")
    print("all is well")
