"""`rsir index build | search`: search pictures of your own by a sentence."""

from pathlib import Path
from typing import Annotated

import typer

from rsir.cli import options
from rsir.cli.options import Dataset, Root, option
from rsir.utils.errors import RsirError

Folder = Annotated[
    Path, typer.Argument(help="Holds the pictures, in sub-folders or not.")
]
Home = Annotated[
    Path | None, option("Where the index lies; default FOLDER/.rsir-index.", "--index")
]
app = typer.Typer(
    help="Index a folder of pictures and search it.", no_args_is_help=True
)


def model_of(run: Path | None, dataset: str, root: Path | None):
    """The model of a run, or the baseline of a data set."""
    from rsir.data import load_dataset
    from rsir.retrieval.search import baseline
    from rsir.training.checkpoints import load_run

    return load_run(run) if run else baseline(load_dataset(dataset, root))


@app.command("build")
def build_command(
    folder: Folder,
    run: options.Run = None,
    kind: Annotated[
        str | None,
        option(
            "binary-flat, -ivf, -hnsw, -hash, flat, hnsw, ivf-pq, or a string "
            "of FAISS's index factory; default binary-flat for codes, flat for "
            "vectors."
        ),
    ] = None,
    home: Home = None,
    dataset: Dataset = "toy",
    root: Root = None,
    bands: options.Bands = None,
    scale: options.Scale = None,
    strict: options.Strict = False,
) -> None:
    """Read the pictures below FOLDER and index them.

    A killed build goes on when the same command is given again, and
    pictures that came later are added the same way. Pictures that cannot
    be read are left out; skipped.csv beside the index says why.
    """
    from rsir.retrieval.index import HOME, build_folder

    pixels = options.pixel_options(bands, scale)
    model = model_of(run, dataset, root)
    home = home or folder / HOME
    index = build_folder(
        model, folder, kind=kind, home=home, pixels=pixels, strict=strict
    )
    size = index.nbytes() / 2**20
    print(f"{home}: {index.kind}, {len(index):,} pictures, {size:.1f} MB")
    left_out = len(index.facts["skipped"])
    options.tell_skipped(left_out, left_out + len(index), home / "skipped.csv")


@app.command("search")
def search_command(
    folder: Folder,
    sentence: options.Sentence = None,
    run: options.Run = None,
    k: options.K = 5,
    like: options.Like = None,
    fine: Annotated[
        int,
        option(
            "Let the joint part of the model read so many candidates (cfitr).", min=0
        ),
    ] = 0,
    home: Home = None,
    dataset: Dataset = "toy",
    root: Root = None,
    as_json: options.Json = False,
) -> None:
    """Find pictures below FOLDER; prints score and file."""

    def find():
        from rsir.retrieval.index import HOME, search_folder

        model, more = model_of(run, dataset, root), {"like": like, "home": home}
        hits = search_folder(model, folder, sentence, k, fine=fine, **more)
        if not hits:
            raise RsirError(
                f"{home or folder / HOME}: nothing found in the tables of "
                "this index; build it again with --kind binary-flat"
            )
        return [(hit.score, hit.path) for hit in hits]

    options.find_and_print(sentence, like, as_json, find)
