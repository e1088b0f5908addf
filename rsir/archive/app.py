"""A page that searches an archive in the browser: `rsir app`.

`find` asks `rsir.archive.search`, `draw_map` draws an SVG, and `page` puts both
on a page of Gradio, which alone needs it. Nothing is asked of another host.

Page: book/archive.md.
"""

import os
import tempfile
import time
import warnings
from collections.abc import Sequence
from html import escape
from math import cos, floor, log10, radians
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from rsir.archive import search as room
from rsir.archive.search import Hit
from rsir.archive.store import BOX, Store, read, rows_in
from rsir.models.base import TwoTower
from rsir.utils.errors import RsirError

Box = Sequence[float]  # west, south, east, north in degrees


class Found(NamedTuple):
    """What a query gave."""

    hits: list[Hit]
    box: Box | None
    told: list[str]  # warnings
    pictures: list[Image.Image | str]  # or the name of a file that is gone


def find(
    model: TwoTower,
    archive: str | Path,
    sentence: str | None,
    like: str | None,
    box: str | None,
    since: str | None,
    until: str | None,
    k: int,
) -> Found:
    """Search with the fields of a form, all as they were typed; empty ones are off.

    Raises:
        RsirError: a field that cannot be read, or what `search` refuses.
    """
    sentence, box, since, until = (
        (x or "").strip() for x in (sentence, box, since, until)
    )
    if bool(sentence) == bool(like):
        raise RsirError("give a sentence or a picture" + ", not both" * bool(like))
    try:
        filters = room.parse_filters(box, since, until)
    except RsirError as error:  # of fields, not of options
        raise RsirError(str(error).removeprefix("--")) from None
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        hits = room.search(model, archive, sentence, int(k), like=like, **filters)
        pictures = room.pictures_of(hits, room.pixels_of(archive))
    lines = [str(one.message) for one in told if one.category is UserWarning]
    return Found(hits, filters["box"], lines, pictures)


def scenes(archive: str | Path) -> list[Box]:
    """The box of each file of an archive that has coordinates."""
    tables = []
    for path in Store(archive).shards():
        table = read(path, ["source", "bbox"])
        sides = [pc.struct_field(table["bbox"], name) for name in BOX]
        tables.append(pa.table([table["source"], *sides], names=["source", *BOX]))
    ends = zip(BOX, ("min", "min", "max", "max"))
    found = pa.concat_tables(tables).group_by("source").aggregate([*ends])
    found = found.select([1, 2, 3, 4]).drop_null()
    return list(zip(*(column.to_pylist() for column in found.columns)))


# -- words ---------------------------------------------------------------------


def place(hit: Hit) -> str:
    """The middle of a hit and its date, in words."""
    words = []
    if hit.bbox:
        west, south, east, north = hit.bbox
        lon, lat = (west + east) / 2, (south + north) / 2
        words += [f"{abs(lat):.4f}°{'NS'[lat < 0]} {abs(lon):.4f}°{'EW'[lon < 0]}"]
    if hit.tile.datetime:
        words += [f"{hit.tile.datetime:%Y-%m-%d}"]
    return ", ".join(words)


def about(rank: int, hit: Hit) -> str:
    """All that is known of a hit, in a line."""
    window = hit.tile.window
    words = [f"{rank}: score {hit.score:.3f}", place(hit), hit.tile.source]
    if window:
        words.append("column {}, row {}, {} x {} pixels".format(*window))
    return "; ".join(filter(None, words))


# -- the map -------------------------------------------------------------------

WIDE = 480  # units of the drawing
METRES = 111_195  # in a degree of latitude


def nice(most: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is not above `most`."""
    power = 10.0 ** floor(log10(most))
    return next(f * power for f in (5, 2, 1) if f * power <= most * (1 + 1e-9))


def draw_map(
    hits: Sequence[Hit],
    scenes: Sequence[Box] = (),
    box: Box | None = None,
    chosen: int | None = None,
) -> str:
    """Footprints of hits over those of scenes, as SVG; numbers are ranks.

    Degrees of longitude are drawn as long as they are in the middle of the map.
    `box` is dashed, `chosen`, a hit by its index from 0, stands out.
    """
    placed = [(rank, hit) for rank, hit in enumerate(hits, 1) if hit.tile.ring]
    if not placed:
        return "<p>No hit has coordinates.</p>" if hits else ""
    sides = list(zip(*(hit.bbox for _, hit in placed)))
    west, south, east, north = *map(min, sides[:2]), *map(max, sides[2:])
    # a degree to the east in degrees to the north; the poles have no east
    short = max(cos(radians((south + north) / 2)), 0.01)
    across, up = (east - west) * short, north - south
    tile = max((e - w) * short for w, _, e, _ in (hit.bbox for _, hit in placed))
    pad = max(0.06 * max(across, up), tile / 2, 1e-6)
    across, up = across + 2 * pad, up + 2 * pad
    across, up = max(across, 0.75 * up), max(up, 0.5 * across)
    unit = WIDE / across  # of the drawing, in a degree to the north
    tall = unit * up
    left, top = (west + east) / 2 - across / short / 2, (south + north) / 2 + up / 2

    def xy(lon, lat):
        return (lon - left) * short * unit, (top - lat) * unit

    def rectangle(sides, kind):
        x0, y1 = xy(*sides[:2])
        x1, y0 = xy(*sides[2:])
        return (
            f'<rect class="{kind}" x="{x0:.1f}" y="{y0:.1f}" width="{x1 - x0:.1f}" '
            f'height="{y1 - y0:.1f}"/>'
        )

    out = [rectangle(sides, "scene") for sides in scenes]
    step = nice(up / 3)
    digits = max(0, -floor(log10(step)))
    for i in range(floor((top - up) / step) + 1, floor(top / step) + 1):
        _, y = xy(left, i * step)
        out.append(f'<path class="grid" d="M0 {y:.1f}H{WIDE}"/>')
        if y > 16:
            out.append(f'<text x="4" y="{y - 4:.1f}">{i * step:.{digits}f}°</text>')
    step = nice(across / short / 3)
    digits = max(0, -floor(log10(step)))
    for i in range(floor(left / step) + 1, floor((left + across / short) / step) + 1):
        x, _ = xy(i * step, top)
        out.append(f'<path class="grid" d="M{x:.1f} 0V{tall:.1f}"/>')
        out.append(
            f'<text x="{x + 4:.1f}" y="{tall - 6:.1f}">{i * step:.{digits}f}°</text>'
        )
    if box:
        out.append(rectangle(box, "box"))
    # the best last, so that it lies on top, and over all what is chosen
    for rank, hit in sorted(placed, key=lambda one: (one[0] - 1 == chosen, -one[0])):
        points = [xy(*corner) for corner in hit.tile.ring]
        ring = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        x, y = (sum(side) / len(points) for side in zip(*points))
        mark = " chosen" if rank - 1 == chosen else ""
        out.append(
            f'<g class="hit{mark}"><title>{escape(about(rank, hit))}</title>'
            f'<polygon points="{ring}"/><text x="{x:.1f}" y="{y:.1f}">{rank}</text></g>'
        )
    metres = nice(across * METRES / 4)
    long = metres / METRES * unit
    said = f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"
    out.append(
        f'<path class="bar" d="M{WIDE - 10 - long:.1f} 12v6h{long:.1f}v-6"/>'
        f'<text class="bar" x="{WIDE - 10}" y="32">{said}</text>'
    )
    label = f"Map of {len(placed)} of {len(hits)} hits, north is up"
    caption = "Numbers are those of the pictures. Choose one to see its file."
    if chosen is not None:
        caption = about(chosen + 1, hits[chosen])
    return (
        f'<svg viewBox="0 0 {WIDE} {tall:.0f}" role="img" aria-label="{label}">'
        f"{''.join(out)}</svg><p>{escape(caption)}</p>"
    )


# -- the page ------------------------------------------------------------------

CSS = """
.gradio-container, .gradio-container > main {width: 100%; max-width: 1280px !important;
  margin: 0 auto !important}
.go {align-self: flex-end; margin-bottom: 12px; height: 42px}
.hits .grid-wrap {max-height: none}
.hits .thumbnail-lg {aspect-ratio: auto; display: block}
.hits .thumbnail-lg img {aspect-ratio: 1; height: auto}
.hits .caption-label {position: static; max-width: none; border: 0;
  white-space: pre-line; text-align: left; font-size: 12px; line-height: 1.35; opacity: 1 !important}
.hits .selected {border-color: #d1570a !important; --ring-color: #d1570a}
@media (max-width: 640px) {
  .hits .grid-container {grid-template-columns: repeat(2, 1fr) !important}
  .go {flex-grow: 1 !important; margin: 0}
}
.map svg {width: 100%; height: auto; display: block; border-radius: 6px;
  border: 1px solid var(--border-color-primary)}
.map text {font: 11px system-ui, sans-serif; fill: var(--body-text-color); opacity: .75}
.map .scene {fill: var(--body-text-color); fill-opacity: .07;
  stroke: var(--body-text-color); stroke-opacity: .3}
.map .grid {stroke: var(--body-text-color); stroke-opacity: .12; fill: none}
.map .box {fill: none; stroke: var(--body-text-color); stroke-dasharray: 6 4}
.map .bar {fill: none; stroke: var(--body-text-color)}
.map text.bar {fill: var(--body-text-color); stroke: none; text-anchor: end}
.map .hit polygon {fill: #1f6feb; fill-opacity: .25; stroke: #1f6feb; stroke-width: 1.5}
.map .hit text {font-size: 15px; font-weight: 700; text-anchor: middle; opacity: 1;
  dominant-baseline: central; paint-order: stroke; stroke-width: 4px;
  stroke: var(--body-background-fill)}
.map .chosen polygon {fill: #d1570a; fill-opacity: .4; stroke: #d1570a; stroke-width: 3}
.map p, .said {overflow-wrap: anywhere}
.said .bad {color: var(--error-text-color); font-weight: 600}
"""


def page(model: TwoTower, archive: str | Path):
    """The page as `gradio.Blocks`; RsirError if model and archive do not belong."""
    store = Store(archive)
    room.checked(model, store)
    # before the import: it asks for its newest version, and keeps what is typed
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_RUN_HISTORY"] = "False"
    try:
        import gradio as gr
    except ImportError:
        raise RsirError(
            "the app needs gradio, which is not installed; pip install 'rsir[app]'"
        ) from None

    n = sum(map(rows_in, store.shards()))
    files = tempfile.TemporaryDirectory(prefix="rsir-app-")

    def said(*lines, bad=False):
        kind = 'class="bad" role="alert"' if bad else 'role="status"'
        return "".join(f"<p {kind}>{escape(line)}</p>" for line in lines)

    def search(*fields):
        began = time.perf_counter()
        off = gr.DownloadButton(interactive=False)
        try:
            found = find(model, archive, *fields)
        except RsirError as error:
            return said(str(error), bad=True), gr.Row(visible=False), [], "", off, None
        hits = found.hits
        grey = Image.new("RGB", (256, 256), "grey")
        items = []
        for rank, (one, hit) in enumerate(zip(found.pictures, hits), 1):
            caption = f"{rank}: {hit.score:.3f}\n" + place(hit).replace(", ", "\n")
            items.append((grey if isinstance(one, str) else one, caption))
        path = Path(tempfile.mkdtemp(dir=files.name), "hits.geojson")
        n = room.write_geojson(path, hits)
        seconds = time.perf_counter() - began
        lines = [f"{len(hits)} hits in {seconds:.1f} s, best first.", *found.told]
        drawn = hits, scenes(archive), found.box
        button = gr.DownloadButton(value=path, interactive=True) if n else off
        shown = gr.Row(visible=True)
        return said(*lines), shown, items, draw_map(*drawn), button, drawn

    def choose(drawn, event: gr.SelectData):
        return draw_map(*drawn, chosen=event.index)

    name = Path(archive).resolve().name
    with gr.Blocks(title=f"Search {name}", delete_cache=(3600, 86400)) as app:
        gr.HTML(
            f"<h1>Search {escape(name)}</h1>"
            f"<p>{n:,} tiles; {escape(room.extent(store))}</p>"
        )
        with gr.Row():
            sentence = gr.Textbox(
                label="What should the picture show?",
                placeholder="storage tanks beside a road",
                autofocus=True,
                scale=6,
                min_width=200,
            )
            button = gr.Button(
                "Search", variant="primary", scale=0, min_width=120, elem_classes="go"
            )
        with gr.Accordion("Box, dates, or a picture to search by", open=False):
            with gr.Row():
                box = gr.Textbox(label="Box W,S,E,N", placeholder="9.0,47.8,9.1,47.9")
                since = gr.Textbox(label="Since", placeholder="2024-05-01")
                until = gr.Textbox(label="Until", placeholder="2024-05-31")
                k = gr.Slider(1, 60, 12, step=1, label="Hits")
            like = gr.Image(
                label="A picture like this",
                type="filepath",
                image_mode=None,  # the file as it is
                sources=["upload", "clipboard"],
                height=200,
            )
        status = gr.HTML(elem_classes="said")
        with gr.Row(visible=False) as results:
            with gr.Column(scale=3):
                gallery = gr.Gallery(
                    label="Hits, best first: rank, score, place",
                    show_label=False,
                    elem_classes="hits",
                    columns=4,
                    height="auto",
                    object_fit="cover",
                    interactive=False,
                    allow_preview=False,
                    buttons=[],
                )
            with gr.Column(scale=2):
                drawing = gr.HTML(elem_classes="map")
                download = gr.DownloadButton(
                    "Hits as GeoJSON", size="md", interactive=False
                )
        drawn = gr.State()
        gr.on(
            [button.click, *(x.submit for x in (sentence, box, since, until))],
            search,
            [sentence, like, box, since, until, k],
            [status, results, gallery, drawing, download, drawn],
            show_progress_on=status,
            api_visibility="private",
        )
        gallery.select(choose, drawn, drawing, api_visibility="private")
    return app


def launch(
    model: TwoTower, archive: str | Path, *, port: int | None = None, share=False
):
    """Serve the page on this machine; in a notebook it is shown below the cell.

    Args:
        model: the one that built the archive, in evaluation mode.
        port: None: the first free one from 7860 on.
        share: also under an address of gradio.live, for all who know it.

    Returns:
        the page; its `local_url` says where, `close()` ends it.
    """
    app = page(model, archive)
    import gradio as gr

    plain = ["system-ui", "sans-serif"]
    theme = gr.themes.Default(primary_hue="blue", font=plain, font_mono=["monospace"])
    app.launch(
        server_port=port,
        share=share,
        theme=theme,
        css=CSS,
        footer_links=[],
        show_error=True,
        quiet=True,
        prevent_thread_lock=True,
    )
    return app
