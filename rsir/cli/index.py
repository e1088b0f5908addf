"""`rsir index`: search pictures of your own by a sentence.

rsir index build FOLDER --run RUN
rsir index search FOLDER "a white plane on the apron" --run RUN
"""

from pathlib import Path
from typing import Annotated, Optional

import typer

from rsir.cli.options import Dataset, Root

Folder = Annotated[
    Path, typer.Argument(help="Holds the pictures, in sub-folders or not.")
]
Run = Annotated[
    Optional[Path],
    typer.Option(
        help="Run folder of `rsir train`; default: the frozen baseline "
        "of --dataset, made once."
    ),
]
Home = Annotated[
    Optional[Path],
    typer.Option("--index", help="Where the index lies; default FOLDER/.rsir-index."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    group = typer.Typer(
        help="Index a folder of pictures and search it.",
        no_args_is_help=True,
    )
    group.command("build")(build_command)
    group.command("search")(search_command)
    app.add_typer(group, name="index")


def model_of(run: Path | None, dataset: str, root: Path | None):
    """The model of a run, or the baseline of a data set."""
    from rsir.data import load_dataset
    from rsir.retrieval.search import baseline, load_run

    if run is not None:
        return load_run(run)
    return baseline(load_dataset(dataset, root))


def build_command(
    folder: Folder,
    run: Run = None,
    kind: Annotated[
        Optional[str],
        typer.Option(
            help="binary-flat, -ivf, -hnsw, -hash, flat, hnsw, ivf-pq; "
            "default binary-flat for codes, flat for vectors."
        ),
    ] = None,
    home: Home = None,
    dataset: Dataset = "toy",
    root: Root = None,
) -> None:
    """Read the pictures below FOLDER and index them.

    A killed build goes on when the same command is given again, and
    pictures that came later are added the same way.
    """
    from rsir.retrieval.index import HOME, build_folder

    model = model_of(run, dataset, root)
    index = build_folder(model, folder, kind=kind, home=home)
    print(
        f"{home or folder / HOME}: {index.kind}, {len(index):,} "
        f"pictures, {index.nbytes() / 2**20:.1f} MB"
    )


def search_command(
    folder: Folder,
    sentence: Annotated[str, typer.Argument(help="What the picture should show.")],
    run: Run = None,
    k: Annotated[int, typer.Option("--k", min=1, help="How many pictures.")] = 5,
    fine: Annotated[
        int,
        typer.Option(
            min=0,
            help="Let the joint part of the model read so many candidates (cfitr).",
        ),
    ] = 0,
    reading: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="How much of what it reads counts beside its cosines."
        ),
    ] = 1.0,
    home: Home = None,
    dataset: Dataset = "toy",
    root: Root = None,
) -> None:
    """Find pictures below FOLDER; prints score and file."""
    from rsir.cli.search import print_hits
    from rsir.retrieval.index import HOME, search_folder
    from rsir.utils.errors import RsirError

    if not sentence.strip():
        raise RsirError("the sentence is empty; say what to look for")
    model = model_of(run, dataset, root)
    hits = search_folder(
        model, folder, sentence, k, fine=fine, reading=reading, home=home
    )
    if not hits:
        raise RsirError(
            f"{home or folder / HOME}: nothing found in the tables of "
            "this index; build it again with --kind binary-flat"
        )
    print_hits([(h.score, h.path) for h in hits])
