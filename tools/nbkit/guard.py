"""What a notebook of this book must be: one rule, one function.

A rule takes a `Case` and yields short sentences; none means that it is
kept. `tests/book/test_notebooks.py` runs the rules over every notebook, and each
rule over a sample that breaks it.
"""

import ast
import base64
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from PIL import Image

from . import execute, template

#: known to Jupyter Book and to nbval; ours
TAGS = set(
    "hide-input hide-output hide-cell remove-input remove-output remove-cell "
    "nbval-check-output nbval-ignore-output "
    "badge bootstrap knobs cost verdict-live verdict-record solution".split()
)
RANGE = r"^\S.* against \S.* range: (reached|below|not comparable)\b"
DIRECTION = (
    r"^\S.*: (holds|does not hold|smaller than printed|no effect here|not decided)\b"
)
#: what a cell with such a tag must print; no recall of two papers was at hand, so
#: the verdicts on their records are on directions alone
VERDICTS = {
    "verdict-live": re.compile(RANGE, re.MULTILINE),
    "verdict-record": re.compile(f"{RANGE}|{DIRECTION}", re.MULTILINE),
}
ROOTS = "home root Users tmp work content mnt media opt srv usr var private data"
ROOTS = "|".join([*ROOTS.split(), "scratch", "gpfs", "nfs"])
PATH = rf"(?<![\w.:/<~-])/(?:{ROOTS})/[\w.-]+|(?-i:\b[A-Z]:\\\w)|file://"
ELSEWHERE = r"!\[[^\]]*\]\(\s*<?(?:https?:)?//|<img\b"
LOADED = r"""<(?:script|link|img|iframe)\b[^>]*(?:src|href)=["']?(?:https?:)?//"""
#: (where it is looked for, pattern, complaint)
FORBIDDEN = [
    ("source output", PATH, "names a path of one machine"),
    ("output", r"\bnp\.(?:float|int|bool|str)\w*\(", "prints a bare NumPy scalar"),
    ("output", r"\r", "stores a moving progress bar"),
    ("markdown", ELSEWHERE, "shows a picture from elsewhere"),
    ("source output", r"data:image/|data:application/", "embeds a file"),
    ("output", r"<svg", "embeds a picture in its text"),
    ("output", LOADED, "loads something from outside"),
]
CELLS, CODE, WORDS, EXERCISES = (25, 45), (12, 25), (800, 2400), (2, 3)
LONG_CELL, USUAL_CELL, WIDTH = 20, 12, 75


@dataclass
class Case:
    """A notebook with what the rules need to know about it."""

    nb: object
    name: str  # file name, e.g. "02_amfmn.ipynb"
    status: dict = field(default_factory=dict)

    @property
    def code(self) -> list:
        return execute.code_cells(self.nb)

    def tagged(self, tag: str) -> list:
        return [c for c in self.nb.cells if tag in tags_of(c)]


def tags_of(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def where(case: Case, cell) -> str:
    """`cell 7 (train the model)`: place and first line of a cell."""
    place = next(i for i, c in enumerate(case.nb.cells) if c is cell)
    head = (cell.source.strip().splitlines() or [""])[0]
    return f"cell {place} ({head[:40]})"


def printed(cell) -> str:
    """All text that the outputs of a cell show."""
    said = []
    for out in cell.get("outputs", ()):
        data = out.get("data", {}).items()
        said += [out.get("text", ""), *out.get("traceback", ())]
        said += [str(value) for kind, value in data if kind.startswith("text/")]
    return "\n".join(filter(None, said))


def outputs(case: Case) -> Iterator[tuple]:
    for cell in case.nb.cells:
        for out in cell.get("outputs", ()):
            yield cell, out


def executed(case: Case) -> Iterator[str]:
    for number, cell in enumerate(case.code, 1):
        if (count := cell.get("execution_count")) != number:
            yield f"{where(case, cell)} has the count {count}, not {number}: run all"


def fresh(case: Case) -> Iterator[str]:
    known = case.status.get(Path(case.name).stem, {})
    if known.get("code") != execute.code_hash(case.nb):
        yield "the code is not the code that was executed"
    if known.get("dataset") != "toy" or known.get("preset") != "toy":
        yield "the stored outputs are not from toy scenes"


def verdicts(case: Case) -> Iterator[str]:
    checked = case.tagged("nbval-check-output")
    if not checked:
        yield "no cell is compared by nbval (tag nbval-check-output)"
    for cell in checked:
        if not cell.get("outputs"):
            yield f"{where(case, cell)} is compared but prints nothing"
    if int(case.name[:2]) < 2:
        return
    for tag, pattern in VERDICTS.items():
        cells = case.tagged(tag)
        if not cells:
            yield f"no cell has the tag {tag}"
        for cell in cells:
            said = printed(cell)
            if cell not in checked:
                yield f"{where(case, cell)} is a verdict nbval skips"
            if not pattern.search(said):
                yield f"{where(case, cell)} prints no verdict line"
            if re.search(r"\d", pattern.sub("", said)):
                yield f"{where(case, cell)} prints a number; it belongs to the cell above"


def clean_outputs(case: Case) -> Iterator[str]:
    for cell, out in outputs(case):
        kind = out.get("name", out.output_type)
        if kind in ("error", "stderr"):
            yield f"{where(case, cell)} stores an {kind}"


def forbidden(case: Case) -> Iterator[str]:
    for cell in case.nb.cells:
        texts = {"source": cell.source, "output": printed(cell)}
        texts["markdown"] = cell.source if cell.cell_type == "markdown" else ""
        for places, pattern, complaint in FORBIDDEN:
            for place in places.split():
                if found := re.search(pattern, texts[place], re.IGNORECASE):
                    yield f"{where(case, cell)} {complaint}: {found.group()!r}"


def drawn_by_us(png: str) -> bool:
    """Whether matplotlib wrote this PNG in base64 (it signs its files)."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(png))) as picture:
            signed = picture.info.get("Software", "")
            return picture.format == "PNG" and signed.startswith("Matplotlib")
    except (OSError, SyntaxError, ValueError):
        return False


def pictures(case: Case) -> Iterator[str]:
    """Drawn by our code, and with words for those who cannot see them."""
    for cell in case.nb.cells:
        if cell.get("attachments"):
            yield f"{where(case, cell)} has an attached file"
    for cell, out in outputs(case):
        for kind, value in out.get("data", {}).items():
            if kind == "image/png":
                if not drawn_by_us(value):
                    yield f"{where(case, cell)} holds a foreign picture"
                alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
                if len(alt.split()) < 3:
                    yield f"{where(case, cell)} shows a picture without mystnb.image.alt"
            elif not kind.startswith("text/"):
                yield f"{where(case, cell)} holds {kind}"


def tags(case: Case) -> Iterator[str]:
    for cell in case.nb.cells:
        for tag in set(tags_of(cell)) - TAGS:
            yield f"{where(case, cell)} has the unknown tag {tag}"


def shared_cells(case: Case) -> Iterator[str]:
    wanted = {"badge": template.badge(case.name), "bootstrap": template.bootstrap()}
    for tag, source in wanted.items():
        cells = case.tagged(tag)
        if len(cells) != 1:
            yield f"{len(cells)} cells have the tag {tag}, not one"
        elif cells[0].source != source:
            yield f"the {tag} cell differs from the template"
    if case.code and "bootstrap" not in tags_of(case.code[0]):
        yield "the bootstrap cell is not the first code cell"


def quiet_metadata(case: Case) -> Iterator[str]:
    if dict(case.nb.metadata) != execute.METADATA:
        yield "the notebook holds metadata that a run leaves behind"
    for cell in case.nb.cells:
        if set(cell.metadata) - execute.KEPT:
            yield f"{where(case, cell)} holds metadata of a run"


def anatomy(case: Case) -> Iterator[str]:
    first = case.nb.cells[0]
    if first.cell_type != "markdown" or not first.source.startswith("# "):
        yield "the first cell is no title"
    if len(case.tagged("knobs")) != 1:
        yield "not exactly one cell has the tag knobs"
    if not case.tagged("cost"):
        yield "no cell has the tag cost (the cost card)"
    prose = "\n".join(c.source for c in case.nb.cells if c.cell_type == "markdown")
    opened = len(re.findall(r"\{exercise(?:-start)?\}", prose))
    solved = len(re.findall(r"\{solution(?:-start)?\}", prose))
    for what, count, (low, high) in (
        ("cells", len(case.nb.cells), CELLS),
        ("code cells", len(case.code), CODE),
        ("words", len(re.findall(r"[A-Za-z][\w'’-]*", prose)), WORDS),
        ("exercises", opened, EXERCISES),
    ):
        if not low <= count <= high:
            yield f"{count} {what}; wanted {low} to {high}"
    if solved != opened:
        yield f"{opened} exercises but {solved} solutions"


def short_cells(case: Case) -> Iterator[str]:
    own = [c for c in case.code if "bootstrap" not in tags_of(c)]
    long = 0
    for cell in own:
        lines = cell.source.strip().splitlines()
        long += len(lines) > USUAL_CELL
        if len(lines) > LONG_CELL:
            yield f"{where(case, cell)} has {len(lines)} lines"
        if (width := max(map(len, lines))) > WIDTH:
            yield f"{where(case, cell)}: a line of {width}"
    if long > 0.3 * len(own):
        yield f"{long} of {len(own)} cells have over {USUAL_CELL} lines"


def plain_code(case: Case) -> Iterator[str]:
    """One statement a line; no tuple of calls to save a line."""
    for cell in case.code:
        try:
            tree = ast.parse(cell.source)
        except SyntaxError as error:
            yield f"{where(case, cell)} is not Python: {error}"
            continue
        for node in ast.walk(tree):
            for _, body in ast.iter_fields(node):
                for before, after in pairwise(body if isinstance(body, list) else ()):
                    same = isinstance(after, ast.stmt) and after.lineno
                    if same and before.end_lineno == same:
                        yield f"{where(case, cell)}: two statements on line {same}"
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Tuple):
                yield f"{where(case, cell)}: a tuple as a statement"
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_":
                yield f"{where(case, cell)}: an assignment to _"


RULES = {
    rule.__name__: rule
    for rule in (
        *(executed, fresh, verdicts, clean_outputs, forbidden, pictures),
        *(tags, shared_cells, quiet_metadata, anatomy, short_cells, plain_code),
    )
}


def check(path: Path, status: dict) -> list[str]:
    """Every complaint about the notebook at `path`."""
    case = Case(execute.read(path), path.name, status)
    return [
        f"{path.name}: {rule}: {complaint}"
        for rule, function in RULES.items()
        for complaint in function(case)
    ]
