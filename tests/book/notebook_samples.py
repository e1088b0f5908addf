"""A notebook that keeps every rule, and ways to damage it."""

import base64
import io
from pathlib import Path

import nbformat
import numpy as np
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from nbkit import execute, template
from PIL import Image, PngImagePlugin

NAME = "02_sample.ipynb"
VERDICT = "mR against its reported range: reached\n"


def picture(size=4, signed=True) -> str:
    """A PNG of noise, signed as matplotlib does or by nobody."""
    pixels = np.random.default_rng(0).integers(0, 255, (size, size, 3), np.uint8)
    by, file = PngImagePlugin.PngInfo(), io.BytesIO()
    by.add_text("Software", "Matplotlib version 3" if signed else "another")
    Image.fromarray(pixels).save(file, "PNG", pnginfo=by)
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
        code("plot()", shown("image/png", picture())),
        code("print(mR)", said("mR 20.1\n")),
        code("print(live.line)", said(VERDICT), tags=[*verdict, "verdict-live"]),
        code(
            "print(one.line)",
            said("MVSA helps: holds\n"),
            tags=[*verdict, "verdict-record"],
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


def add(*cells):
    return lambda nb: nb.cells.extend(cells)


def run(source):
    return add(code(source))


def prose(text):
    return add(new_markdown_cell(text))


def change(find, **changes):
    """`find`: a function of the notebook, or the tag of the cell."""
    tagged = (lambda nb: by_tag(nb, find)) if isinstance(find, str) else find
    return lambda nb: tagged(nb).update(changes)


def first(nb):
    return nb.cells[0]


def prints(tag, *texts):
    return change(tag, outputs=[said(text) for text in texts])


def tags(tag, *new):
    return change(tag, metadata={"tags": list(new)})


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


def one_solution_less(nb):
    next(c for c in nb.cells if "solution-start" in c.source).source = "Think."


OUTPUTS = {
    "clean_outputs": [
        said("careful!\n", "stderr"),
        new_output("error", ename="E", evalue="", traceback=[]),
    ],
    "forbidden": [
        said("np.float64(3.5)\n"),
        said("10%\r20%\n"),
        said("read /home/ann/data/a.jpg\n"),
        said("at C:\\Users\\ann\n"),
        shown("text/plain", "PosixPath('/tmp/x/y')"),
        shown("text/html", "<svg></svg>"),
        shown("text/html", "<img src='data:image/png;a'>"),
        shown("text/html", "<script src='//a.io/b.js'>"),
    ],
    "pictures": [
        shown("image/png", picture(signed=False)),
        shown("image/png", "bm90IGEgcGljdHVyZQ=="),
        shown("image/jpeg", "/9j/4AAQ"),
        shown("image/svg+xml", "<svg></svg>"),
        shown("application/javascript", "alert(1)"),
    ],
}
BAD = [(rule, put(out)) for rule, outs in OUTPUTS.items() for out in outs] + [
    ("executed", change(plain, execution_count=None)),
    ("executed", change(plain, execution_count=40)),
    ("verdicts", tags("verdict-live", "nbval-check-output")),
    ("verdicts", tags("verdict-record", "nbval-check-output")),
    ("verdicts", tags("verdict-live", "verdict-live")),
    ("verdicts", prints("verdict-live", "mR is fine\n")),
    ("verdicts", prints("verdict-live", "mR 20.1 reached\n")),
    ("verdicts", prints("verdict-live", VERDICT + "mR 21.0\n")),
    ("verdicts", prints("verdict-live", "MVSA helps: holds\n")),
    ("verdicts", prints("verdict-record")),
    ("verdicts", prints("verdict-record", "MVSA helps: holds, by 1.2\n")),
    ("forbidden", prose("See /home/ann/notes.txt for more.")),
    ("forbidden", prose("![a picture](https://a.io/b.png)")),
    ("forbidden", prose("<img src='a.png'>")),
    ("forbidden", prose("![a](data:image/png;base64,AAAA)")),
    ("pictures", change(first, attachments={"a.png": {"image/png": "AAAA"}})),
    ("pictures", undescribed),
    ("tags", change(plain, metadata={"tags": ["nbval-skip"]})),
    ("shared_cells", change("bootstrap", source="!pip install rsir")),
    ("shared_cells", change("badge", source="[Colab](https://a.io)")),
    ("shared_cells", tags("bootstrap", "hide-input")),
    ("shared_cells", late_bootstrap),
    ("shared_cells", add(code(template.bootstrap(), tags=["bootstrap"]))),
    ("quiet_metadata", change(plain, metadata={"execution": {}})),
    ("quiet_metadata", python_version),
    ("anatomy", change(first, source="A chapter")),
    ("anatomy", change(first, source="# A chapter")),
    ("anatomy", add(*[new_markdown_cell("More.") for _ in range(30)])),
    ("anatomy", tags("knobs")),
    ("anatomy", tags("cost")),
    ("anatomy", one_solution_less),
    ("short_cells", run("x = 1\n" * 21)),
    ("short_cells", run("x" * 76)),
    ("short_cells", long_cells),
    ("plain_code", run("x = 1; y = 2")),
    ("plain_code", run("print(1), print(2)")),
    ("plain_code", run("_ = print(1)")),
    ("plain_code", run("x = (")),
]
