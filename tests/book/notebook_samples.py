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
SVG = "<svg></svg>"


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


def shown(kind, data):
    return new_output("display_data", data={kind: data})


def code(source, *outputs, tags=()):
    metadata = {"tags": list(tags)} if tags else {}
    return new_code_cell(source, outputs=list(outputs), metadata=metadata)


def good():
    """A notebook that keeps every rule."""
    exercise = "```{exercise-start}\n```\nTry.\n```{exercise-end}\n```"
    solution = "```{solution-start} x\n```\n```{solution-end}\n```"
    verdict = ["nbval-check-output"]
    cells = [
        new_markdown_cell("# A chapter\n\n" + "word " * 900),
        new_markdown_cell(template.badge(NAME), metadata={"tags": ["badge"]}),
        new_markdown_cell("Costs little.", metadata={"tags": ["cost"]}),
        code(template.bootstrap(), tags=["bootstrap", "hide-input"]),
        code("seed = 0", tags=["knobs"]),
        code("plot()", shown("image/png", figure())),
        code("print(mR)", said("mR 20.1\n")),
        code("print(live.line)", said(VERDICT), tags=[*verdict, "verdict-live"]),
        code("print(record.line)", said(VERDICT), tags=[*verdict, "verdict-record"]),
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
    facts = {"code": execute.code_hash(nb), "dataset": "toy", "preset": "toy"}
    return {Path(NAME).stem: facts}


def by_tag(nb, tag):
    return next(c for c in nb.cells if tag in c.metadata.get("tags", []))


def plain(nb):
    """A code cell without tags."""
    return next(c for c in execute.code_cells(nb) if not c.metadata.get("tags"))


# -- damage: functions of a notebook -----------------------------------------


def put(out):
    return lambda nb: plain(nb).outputs.append(out)


def show(kind, data):
    return put(shown(kind, data))


def add(cell):
    return lambda nb: nb.cells.append(cell)


def prose(text):
    return add(new_markdown_cell(text))


def lines(count, width=5):
    return add(code("\n".join(["x" * width] * count)))


def of_tag(tag, **changes):
    return lambda nb: by_tag(nb, tag).update(changes)


def of_plain(**changes):
    return lambda nb: plain(nb).update(changes)


def of_first(**changes):
    return lambda nb: nb.cells[0].update(changes)


def untag(tag):
    return lambda nb: by_tag(nb, tag).metadata["tags"].remove(tag)


def metadata(tag_or_none, **values):
    def change(nb):
        cell = by_tag(nb, tag_or_none) if tag_or_none else plain(nb)
        cell.metadata.update(values)

    return change


def python_version(nb):
    nb.metadata["language_info"]["version"] = "3.11.7"


def undescribed(nb):
    del nb.cells[5].metadata["mystnb"]


def long_cells(nb):
    for cell in execute.code_cells(nb)[5:]:
        cell.source = "\n".join(["x = 1"] * 15)


def late_bootstrap(nb):
    cell = by_tag(nb, "bootstrap")
    nb.cells.remove(cell)
    nb.cells.append(cell)


def many_cells(nb):
    nb.cells += [new_markdown_cell("More.") for _ in range(30)]


def one_solution_less(nb):
    next(c for c in nb.cells if "solution-start" in c.source).source = "Think."


BAD = [
    ("executed", of_plain(execution_count=None)),
    ("executed", of_plain(execution_count=40)),
    ("verdicts", untag("verdict-live")),
    ("verdicts", untag("verdict-record")),
    ("verdicts", of_tag("verdict-live", outputs=[said("mR is fine\n")])),
    ("verdicts", of_tag("verdict-live", outputs=[said("mR 20.1 reached\n")])),
    ("verdicts", of_tag("verdict-live", outputs=[said(VERDICT + "mR 21.0\n")])),
    ("verdicts", of_tag("verdict-record", outputs=[])),
    ("verdicts", metadata("verdict-live", tags=["verdict-live"])),
    ("clean_outputs", put(said("careful!\n", "stderr"))),
    ("clean_outputs", put(new_output("error", ename="E", evalue="", traceback=[]))),
    ("forbidden", put(said("np.float64(3.5)\n"))),
    ("forbidden", put(said("10%\r20%\n"))),
    ("forbidden", put(said("read /home/ann/data/a.jpg\n"))),
    ("forbidden", put(said("at C:\\Users\\ann\n"))),
    ("forbidden", show("text/plain", "PosixPath('/tmp/x/y')")),
    ("forbidden", prose("See /home/ann/notes.txt for more.")),
    ("forbidden", show("text/html", SVG)),
    ("forbidden", show("text/html", "<img src='data:image/png;a'>")),
    ("forbidden", show("text/html", "<script src='//a.io/b.js'>")),
    ("forbidden", prose("![a picture](https://a.io/b.png)")),
    ("forbidden", prose("<img src='a.png'>")),
    ("forbidden", prose("![a](data:image/png;base64,AAAA)")),
    ("pictures", show("image/png", foreign_picture())),
    ("pictures", show("image/png", "bm90IGEgcGljdHVyZQ==")),
    ("pictures", show("image/jpeg", "/9j/4AAQ")),
    ("pictures", show("image/svg+xml", SVG)),
    ("pictures", show("application/javascript", "alert(1)")),
    ("pictures", of_first(attachments={"a.png": {"image/png": "AAAA"}})),
    ("pictures", undescribed),
    ("tags", metadata(None, tags=["nbval-skip"])),
    ("shared_cells", of_tag("bootstrap", source="!pip install rsir")),
    ("shared_cells", of_tag("badge", source="[Colab](https://a.io)")),
    ("shared_cells", untag("bootstrap")),
    ("shared_cells", late_bootstrap),
    ("shared_cells", add(code(template.bootstrap(), tags=["bootstrap"]))),
    ("quiet_metadata", metadata(None, execution={"iopub.status.busy": "now"})),
    ("quiet_metadata", python_version),
    ("anatomy", of_first(source="A chapter")),
    ("anatomy", of_first(source="# A chapter")),
    ("anatomy", many_cells),
    ("anatomy", untag("knobs")),
    ("anatomy", untag("cost")),
    ("anatomy", one_solution_less),
    ("short_cells", lines(21)),
    ("short_cells", lines(1, width=76)),
    ("short_cells", long_cells),
    ("plain_code", add(code("x = 1; y = 2"))),
    ("plain_code", add(code("print(1), print(2)"))),
    ("plain_code", add(code("_ = print(1)"))),
    ("plain_code", add(code("x = ("))),
]
