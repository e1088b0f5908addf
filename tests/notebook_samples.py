"""A notebook that keeps every rule, and ways to damage it."""

import base64
import io
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from nbkit import execute, template
from PIL import Image

NAME = "02_sample.ipynb"
VERDICT = "mR against its reported range: reached\n"


def figure() -> str:
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(1, 1))
    ax.plot([1, 2])
    file = io.BytesIO()
    fig.savefig(file, format="png")
    plt.close(fig)
    return base64.b64encode(file.getvalue()).decode()


def foreign_picture() -> str:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), "green").save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode()


def said(text, stream="stdout"):
    return new_output("stream", name=stream, text=text)


def shown(**data):
    return new_output(
        "display_data",
        data={k.replace("_", "/", 1): v for k, v in data.items()},
    )


def code(source, *outputs, tags=()):
    metadata = {"tags": list(tags)} if tags else {}
    return new_code_cell(source, outputs=list(outputs), metadata=metadata)


def good():
    """A notebook that keeps every rule."""
    exercise = "```{exercise-start}\n```\nTry.\n```{exercise-end}\n```"
    solution = "```{solution-start} x\n```\n```{solution-end}\n```"
    cells = [
        new_markdown_cell("# A chapter\n\n" + "word " * 900),
        new_markdown_cell(template.badge(NAME), metadata={"tags": ["badge"]}),
        new_markdown_cell("Costs little.", metadata={"tags": ["cost"]}),
        code(template.bootstrap(), tags=["bootstrap", "hide-input"]),
        code("seed = 0", tags=["knobs"]),
        code("plot()", shown(image_png=figure())),
        code("print(mR)", said("mR 20.1\n")),
        code(
            "print(verdict.line)",
            said(VERDICT),
            tags=["nbval-check-output", "verdict-live"],
        ),
        code(
            "print(recorded.line)",
            said(VERDICT),
            tags=["nbval-check-output", "verdict-record"],
        ),
    ]
    cells[5].metadata["mystnb"] = {"image": {"alt": "a line that rises"}}
    for text in (exercise, solution) * 2:
        cells += [new_markdown_cell(text), code("x = 1")]
    while len(cells) < 26:
        cells += [new_markdown_cell("More."), code("y = 2")]
    nb = nbformat.v4.new_notebook(cells=cells)
    for number, cell in enumerate(execute.code_cells(nb), 1):
        cell.execution_count = number
    nb.metadata = nbformat.from_dict(execute.METADATA)
    nbformat.validate(nb)
    return nb


def status_of(nb) -> dict:
    return {
        Path(NAME).stem: {
            "code": execute.code_hash(nb),
            "dataset": "toy",
            "preset": "toy",
        }
    }


def by_tag(nb, tag):
    return next(c for c in nb.cells if tag in c.metadata.get("tags", []))


def plain(nb):
    """A code cell without tags."""
    return next(c for c in execute.code_cells(nb) if not c.metadata.get("tags"))


def put(out):
    return lambda nb: plain(nb).outputs.append(out)


def edit(tag, text):
    def change(nb):
        by_tag(nb, tag).source = text

    return change


def no_count(nb):
    plain(nb).execution_count = None


def out_of_order(nb):
    plain(nb).execution_count = 40


def untag(tag):
    def change(nb):
        by_tag(nb, tag).metadata["tags"].remove(tag)

    return change


def add(cell):
    return lambda nb: nb.cells.append(cell)


def verdict_says(text):
    def change(nb):
        by_tag(nb, "verdict-live").outputs = [said(text)]

    return change


def silent_verdict(nb):
    by_tag(nb, "verdict-record").outputs = []


def unchecked_verdict(nb):
    by_tag(nb, "verdict-live").metadata["tags"] = ["verdict-live"]


def odd_tag(nb):
    plain(nb).metadata["tags"] = ["nbval-skip"]


def timed(nb):
    plain(nb).metadata["execution"] = {"iopub.status.busy": "now"}


def python_version(nb):
    nb.metadata["language_info"]["version"] = "3.11.7"


def attachment(nb):
    nb.cells[0]["attachments"] = {"a.png": {"image/png": "AAAA"}}


def undescribed(nb):
    del nb.cells[5].metadata["mystnb"]


def prose(text):
    return add(new_markdown_cell(text))


def lines(count, width=5):
    return add(code("\n".join(["x" * width] * count)))


def long_cells(nb):
    for cell in execute.code_cells(nb)[5:]:
        cell.source = "\n".join(["x = 1"] * 15)


def no_title(nb):
    nb.cells[0].source = "A chapter"


def few_words(nb):
    nb.cells[0].source = "# A chapter"


def late_bootstrap(nb):
    cell = by_tag(nb, "bootstrap")
    nb.cells.remove(cell)
    nb.cells.append(cell)


def twice_bootstrap(nb):
    nb.cells.append(code(template.bootstrap(), tags=["bootstrap"]))


def many_cells(nb):
    nb.cells += [new_markdown_cell("More.") for _ in range(30)]


def one_solution_less(nb):
    for cell in nb.cells:
        if "solution-start" in cell.source:
            cell.source = "Think."
            return


SVG = "<svg></svg>"
BAD = [
    ("executed", no_count),
    ("executed", out_of_order),
    ("verdicts", untag("verdict-live")),
    ("verdicts", untag("verdict-record")),
    ("verdicts", verdict_says("mR is fine\n")),
    ("verdicts", verdict_says("mR 20.1 reached\n")),
    ("verdicts", verdict_says(VERDICT + "mR 21.0\n")),
    ("verdicts", silent_verdict),
    ("verdicts", unchecked_verdict),
    ("clean_outputs", put(said("careful!\n", "stderr"))),
    ("clean_outputs", put(said("np.float64(3.5)\n"))),
    ("clean_outputs", put(said("10%\r20%\n"))),
    (
        "clean_outputs",
        put(new_output("error", ename="E", evalue="", traceback=["E"])),
    ),
    ("paths", put(said("read /home/ann/data/a.jpg\n"))),
    ("paths", put(said("at C:\\Users\\ann\n"))),
    ("paths", put(shown(text_plain="PosixPath('/tmp/x/y')"))),
    ("paths", prose("See /home/ann/notes.txt for more.")),
    ("pictures", put(shown(image_png=foreign_picture()))),
    ("pictures", put(shown(image_png="bm90IGEgcGljdHVyZQ=="))),
    ("pictures", put(shown(image_jpeg="/9j/4AAQ"))),
    ("pictures", put(shown(**{"image_svg+xml": SVG}))),
    ("pictures", put(shown(text_html=SVG))),
    ("pictures", put(shown(text_html="<img src='data:image/png;a'>"))),
    ("pictures", put(shown(text_html="<script src='//a.io/b.js'>"))),
    ("pictures", put(shown(application_javascript="alert(1)"))),
    ("pictures", prose("![a picture](https://a.io/b.png)")),
    ("pictures", prose("<img src='a.png'>")),
    ("pictures", prose("![a](data:image/png;base64,AAAA)")),
    ("pictures", attachment),
    ("described", undescribed),
    ("tags", odd_tag),
    ("shared_cells", edit("bootstrap", "!pip install rsir")),
    ("shared_cells", edit("badge", "[Colab](https://a.io)")),
    ("shared_cells", untag("bootstrap")),
    ("shared_cells", late_bootstrap),
    ("shared_cells", twice_bootstrap),
    ("quiet_metadata", timed),
    ("quiet_metadata", python_version),
    ("anatomy", no_title),
    ("anatomy", few_words),
    ("anatomy", many_cells),
    ("anatomy", untag("knobs")),
    ("anatomy", untag("cost")),
    ("anatomy", one_solution_less),
    ("short_cells", lines(21)),
    ("short_cells", lines(1, width=76)),
    ("short_cells", long_cells),
]
