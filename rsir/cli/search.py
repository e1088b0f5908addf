"""`rsir search "a sentence"`: pictures that fit a sentence."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from rsir.cli.options import Dataset, Root


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("search")(search_command)


def search_command(
    sentence: Annotated[str, typer.Argument(help="What the picture should show.")],
    run: Annotated[
        Optional[Path],
        typer.Option(
            help="Run folder of `rsir train`; default: the frozen baseline, made once."
        ),
    ] = None,
    dataset: Dataset = "toy",
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    k: Annotated[int, typer.Option("--k", min=1, help="How many pictures.")] = 5,
    root: Root = None,
) -> None:
    """Find pictures by a sentence; prints score and file."""
    from rsir.data import load_dataset
    from rsir.retrieval.search import baseline, load_run, search
    from rsir.utils.errors import RsirError

    if not sentence.strip():
        raise RsirError("the sentence is empty; say what to look for")
    if split not in ("train", "val", "test"):
        raise RsirError(f"--split {split!r}: train, val or test")
    splits = load_dataset(dataset, root)
    model = load_run(run) if run else baseline(splits)
    hits = search(model, splits[split], sentence, k)
    print_hits([(score, splits[split].images[image]) for image, score in hits])


def print_hits(hits) -> None:
    """(score, picture file), best first; a file is one word a line."""
    print("rank    score  picture")
    for rank, (score, path) in enumerate(hits, 1):
        name = str(path).encode("utf-8", "backslashreplace").decode()
        print(f"{rank:<4} {score:>8.3f}  {name}")
