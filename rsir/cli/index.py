"""`rsir index build | search | load | locate`: search pictures of your own."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from rsir.cli import options
from rsir.cli.options import Root, option
from rsir.utils.errors import RsirError

Sources = Annotated[
    list[Path],
    typer.Argument(
        help="Folders of pictures; with --out also GeoTIFFs, and archives to embed "
        "again.",
        metavar="SOURCE...",
    ),
]
Place = Annotated[
    str,
    typer.Argument(
        help="A folder of pictures, an archive, or milvus://host:19530/name.",
        metavar="PLACE",
    ),
]
Home = Annotated[
    Path | None, option("Where the index lies; default FOLDER/.rsir-index.", "--index")
]
BaselineOf = Annotated[
    str | None,
    option(
        "Use the frozen baseline of this data set, made once: toy, rsicd, ...; "
        "default: the weights that come with the project.",
        "--dataset",
    ),
]
app = typer.Typer(
    help="Index pictures and scenes of your own, and search them.",
    no_args_is_help=True,
)


def model_of(run: Path | None, dataset: str | None, root: Path | None):
    """The model of a run, the baseline of a data set, or the weights `dual`."""
    from rsir.data import load_dataset
    from rsir.retrieval.search import baseline
    from rsir.training.checkpoints import load_run
    from rsir.training.weights import load_weights

    if run:
        return load_run(run)
    return baseline(load_dataset(dataset, root)) if dataset else load_weights("dual")


def only_with(what: str, **given) -> None:
    """RsirError if one of these options was given."""
    for name, value in given.items():
        if value:
            raise RsirError(f"--{name.replace('_', '-')} is for {what}")


@app.command("build")
def build_command(
    sources: Sources,
    run: options.Run = None,
    out: Annotated[
        Path | None,
        option(
            "Make an archive there, of tiles with coordinates; default: an index "
            "beside the pictures of one folder."
        ),
    ] = None,
    tile: options.Tile = None,
    overlap: options.Overlap = None,
    kind: Annotated[
        str | None,
        option(
            "binary-flat, -ivf, -hnsw, -hash, flat, hnsw, ivf-pq, or a string "
            "of FAISS's index factory; default binary-flat for codes, flat for "
            "vectors."
        ),
    ] = None,
    home: Home = None,
    dataset: BaselineOf = None,
    root: Root = None,
    bands: options.Bands = None,
    scale: options.Scale = None,
    strict: options.Strict = False,
    cluster: Annotated[
        str | None, option("Dask scheduler to embed with: tcp://host:8786.")
    ] = None,
) -> None:
    """Read pictures and scenes and index them.

    A killed build goes on when the same command is given again, and
    what came later is added the same way. What cannot be read is left
    out; skipped.csv beside the index, or _left_out.csv in the archive,
    says why.
    """
    pixels = options.pixel_options(bands, scale)
    if out:
        only_with("the index of a folder, not for --out", kind=kind, index=home)
        from rsir.archive.build import build

        model = model_of(run, dataset, root)
        more = {"strict": strict, "run": run, "cluster": cluster, "pixels": pixels}
        done = build(model, sources, out, tile=tile, overlap=overlap, **more)
        rate = f", {done.new / max(done.seconds, 1e-9):.1f} a second" * bool(done.new)
        print(f"{out}: {done.tiles:,} tiles, {done.new:,} of them new{rate}")
        if done.empty or done.unreadable:
            print(
                f"left out: {done.empty:,} tiles without data, {done.unreadable:,} "
                f"that cannot be read, see {out / '_left_out.csv'}"
            )
        return
    only_with("archives, so name --out ARCHIVE", tile=tile, overlap=overlap)
    only_with("archives, so name --out ARCHIVE", cluster=cluster)
    if len(sources) > 1 or sources[0].is_file():
        raise RsirError(
            "scenes and several sources make an archive: name --out ARCHIVE"
        )
    from rsir.retrieval.index import HOME, build_folder

    (folder,) = sources
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
    place: Place,
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
    box: Annotated[str | None, option("W,S,E,N in degrees (archives).")] = None,
    since: Annotated[str | None, option("First day, 2024-05-01 (archives).")] = None,
    until: Annotated[str | None, option("Last day (archives).")] = None,
    source: Annotated[
        Path | None, option("Tiles of this file, or below this folder (archives).")
    ] = None,
    geojson: Annotated[
        Path | None, option("Write the hits there, as GeoJSON (archives).")
    ] = None,
    sheet: Annotated[
        Path | None, option("Write the hits there, as a contact sheet (archives).")
    ] = None,
    home: Home = None,
    dataset: BaselineOf = None,
    root: Root = None,
    as_json: options.Json = False,
) -> None:
    """Find pictures of a folder, or tiles of an archive; prints score and file."""

    def in_folder():
        from rsir.retrieval.index import HOME, search_folder

        model, more = model_of(run, dataset, root), {"like": like, "home": home}
        hits = search_folder(model, folder, sentence, k, fine=fine, **more)
        if not hits:
            raise RsirError(
                f"{home or folder / HOME}: nothing found in the tables of "
                "this index; build it again with --kind binary-flat"
            )
        return [(hit.score, hit.path) for hit in hits]

    def in_archive():
        from rsir.archive import search as room

        only_with("the index of a folder", index=home)
        more = room.parse_filters(box, since, until)
        more |= {"like": like, "fine": fine, "source": source}
        model = model_of(run, dataset, root)
        hits = room.search(model, place, sentence, k, **more)
        if geojson:
            n = room.write_geojson(geojson, hits)
            print(f"{geojson}: {n} of {len(hits)} hits have coordinates")
        if sheet:
            room.write_sheet(sheet, hits, room.pixels_of(place), sentence or str(like))
            print(f"{sheet}: {len(hits)} hits")
        return [(hit.score, hit.tile.source, hit.to_dict()) for hit in hits]

    # what an archive is made of; asked here, since a folder's index needs no extra
    folder, there = Path(place), place.startswith("milvus://")
    made = any(folder.glob("*.parquet")) or (folder / ".parts").is_dir()
    if not there and not made:
        what = f"archives, and {place} is none (rsir index build SOURCE --out ARCHIVE)"
        only_with(what, box=box, since=since, until=until, source=source)
        only_with(what, geojson=geojson, sheet=sheet)
        options.find_and_print(sentence, like, as_json, in_folder)
    else:
        options.find_and_print(sentence, like, as_json, in_archive)


@app.command("load")
def load_command(
    archive: Annotated[Path, typer.Argument(help="A folder of rsir index build.")],
    url: Annotated[
        str, typer.Argument(help="milvus://host:19530/name.", metavar="URL")
    ],
) -> None:
    """Copy an archive to a Milvus server, to be searched there.

    A killed load goes on when the same command is given again. Rows that the
    archive has no more are removed from the copy.
    """
    from rsir.archive.milvus import load

    done = load(archive, url)
    rate = f", {done.new / max(done.seconds, 1e-9):,.0f} a second" * bool(done.new)
    print(f"{url}: {done.tiles:,} tiles, {done.new:,} of them new{rate}")
    if done.gone:
        print(f"removed: {done.gone:,} tiles that {archive} has no more")


@app.command("locate")
def locate_command(
    scene: Annotated[Path, typer.Argument(help="A GeoTIFF.")],
    sentence: Annotated[str, typer.Argument(help="What to look for.")],
    out: Annotated[Path, option("The map of scores, a GeoTIFF; a PNG lies beside it.")],
    run: options.Run = None,
    tile: options.Tile = 256,
    overlap: options.Overlap = 0.5,
    dataset: BaselineOf = None,
    root: Root = None,
    bands: options.Bands = None,
    scale: options.Scale = None,
) -> None:
    """Where in a scene is it? Writes a map of scores."""
    from rsir.archive.locate import locate, write_heat

    if not sentence.strip():
        raise RsirError("the sentence is empty; say what to look for")
    pixels = options.pixel_options(bands, scale)
    model = model_of(run, dataset, root)
    heat = locate(model, scene, sentence, tile=tile, overlap=overlap, pixels=pixels)
    picture = write_heat(heat, scene, out, pixels)
    rows, columns = heat.scores.shape
    print(f"{out}: {rows} x {columns} cells of {heat.cell} pixels; over it: {picture}")
    if heat.unread:
        print(f"{heat.unread:,} windows could not be read", file=sys.stderr)
