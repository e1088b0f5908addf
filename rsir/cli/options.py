"""Options that several commands share, and how tables and hits are printed."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from rsir.utils.errors import RsirError


def option(text: str, *names: str, **more):
    """An option with this help."""
    return typer.Option(*names, help=text, **more)


SETS = "toy, ucm, rsicd, rsitmd, rsitmd-part, sydney, or a folder."
Dataset = Annotated[str, option(SETS)]
Part = Annotated[
    str | None,
    option("rebuilt: of rsitmd the part that RSICD and UCM show, too (rsitmd-part)."),
]
Root = Annotated[Path | None, option("Data root; default RSIR_DATA, else the cache.")]
Preset = Annotated[str, option("toy, cpu or paper; world on a world of toy scenes.")]
Method = typer.Argument(help="linear, amfmn, galr, ...")
Results = Annotated[Path | None, option("Where records lie; default results/.")]
Run = Annotated[
    Path | None,
    option(
        "Run folder of `rsir train`; default: the weights that come with the "
        "project, and for toy scenes their frozen baseline, made once."
    ),
]
Sentence = Annotated[str | None, typer.Argument(help="What the picture should show.")]
Like = Annotated[Path | None, option("A picture to search by, not a sentence.")]
K = Annotated[int, option("How many pictures.", "--k", min=1)]
Json = Annotated[bool, option("Print the hits as JSON.", "--json")]
Scores = Annotated[
    Path, option("Scores, n_images x n_captions, as .npy; higher is closer.")
]
Strict = Annotated[bool, option("Stop at a picture that cannot be read.", "--strict")]
Tile = Annotated[int | None, option("Side of a tile, in pixels; default 256.")]
Overlap = Annotated[float | None, option("Share of a tile that the next one has, too.")]
Bands = Annotated[str | None, option("Bands to read as red, green, blue: 3,2,1.")]
Scale = Annotated[
    str | None, option("LOW,HIGH of data of more than 8 bits, or 2%,98%.")
]


def pixel_options(bands: str | None, scale: str | None):
    """`PixelOptions` of the two options; None where neither is given."""
    if not bands and not scale:
        return None
    from rsir.data.images import PixelOptions

    return PixelOptions.parse(bands, scale)


def part_of(dataset: str, part: str | None) -> str:
    """The name of a part of a data set: rsitmd and "rebuilt", or no part."""
    if part is None:
        return dataset
    if part != "rebuilt" or dataset not in ("rsitmd", "rsitmd-part"):
        raise RsirError(
            f"--part {part} of {dataset}: there is --dataset rsitmd --part rebuilt"
        )
    return "rsitmd-part"


def changes(pairs: list[str]) -> dict:
    """`lr=1e-3 mvsa=false` as a dictionary of Python values."""
    import ast

    words = {"true": True, "false": False, "none": None}
    found = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            raise RsirError(f"--set {pair!r}: write it as NAME=VALUE")
        try:
            parsed = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            parsed = words.get(value.lower(), value)
        found[name.replace("-", "_")] = parsed
    return found


# -- printing ------------------------------------------------------------


def print_table(heads: Sequence[str], rows: Iterable[Sequence]) -> None:
    """Print rows under their heads; numbers stand to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    rows = list(rows)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, head in enumerate(heads):
        right = any(not isinstance(row[place], str) for row in rows)
        table.add_column(head, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(c if isinstance(c, str) else f"{c:,}" for c in row))
    Console(file=sys.stdout, highlight=False, soft_wrap=True).print(table)


def find_and_print(
    sentence: str | None,
    like: Path | None,
    as_json: bool,
    find: Callable[[], Sequence[tuple]],
) -> None:
    """Check the query, run `find`, and print its (score, picture file).

    A third part, if any, is a dictionary of what else is known of a hit.

    With `as_json` nothing else goes to stdout: progress is told on stderr.
    """
    if like is not None and sentence:
        raise RsirError("give a sentence or --like PICTURE, not both")
    if like is None and not (sentence or "").strip():
        raise RsirError("the sentence is empty; say what to look for")
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        hits = find()
    table = [
        {"rank": rank, "score": score, "picture": str(path)} | dict(*more)
        for rank, (score, path, *more) in enumerate(hits, 1)
    ]
    if as_json:
        print(json.dumps(table, indent=1))
        return
    print("rank    score  picture")
    for hit in table:
        name = hit["picture"].encode("utf-8", "backslashreplace").decode()
        more = hit.keys() - {"rank", "score", "picture", "id"}
        about = [name, *(str(hit[key]) for key in hit if key in more and hit[key])]
        print(f"{hit['rank']:<4} {hit['score']:>8.3f}  {'  '.join(about)}")


def tell_skipped(left_out: int, of: int, where: Path, file=None) -> None:
    """Say last how many pictures were left out, if any."""
    if left_out:
        print(f"{left_out:,} of {of:,} pictures were left out, see {where}", file=file)
