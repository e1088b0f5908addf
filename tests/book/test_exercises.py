"""Exercises can be failed: stubs fail, solutions pass; students see no solution.

Stub, solution and check are the chapter's own, as `make student` cuts them. A
check runs to its last assertion, with the chapter's imports and functions, on
`STAND_INS` for what the chapter has at that point.
"""

import ast
import re
from dataclasses import dataclass

import matplotlib
import nbformat
import pytest
from nbkit import FOLDER, chapters, execute, student

LABEL = re.compile(r"^:label: *(\S+)", re.M)
CHAPTERS = pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
#: {label: what the chapter has drawn or trained before the exercise, in small}
STAND_INS = {
    "ch00-chance": """
scores, owner = np.zeros((150, 750)), np.repeat(np.arange(150), 5)
""",
    "ch01-dead": """
scores, owner = np.ones((30, 150)), np.repeat(np.arange(30), 5)
floor = metrics.random_baseline(owner)
""",
    "ch03-half": """
model = torch.nn.Module()
model.midf = torch.nn.Module()
layers = torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Identity()
model.midf.dynamic_weight = torch.nn.Sequential(*layers, torch.nn.Linear(4, 2))
""",
    "ch03-ten": """
from types import SimpleNamespace
from rsir.evaluation.ranks import compute_ranks
owner, k = np.repeat(np.arange(60), 5), 30
S = np.random.default_rng(0).random((60, 300))
S += 0.25 * (np.arange(60)[:, None] == owner)
test = SimpleNamespace(owner=owner)
report = SimpleNamespace(ranks=compute_ranks(S, owner))
""",
    "ch04-oracle": """
from types import SimpleNamespace
test = SimpleNamespace(owner=np.repeat(np.arange(7), 5))
""",
    "ch04-shuffle": """
from types import SimpleNamespace
images = {"v": torch.randn(4, 8), "image_tokens": torch.randn(4, 3, 8)}
there = SimpleNamespace(images=images)
""",
    "ch05-bits": """
from types import SimpleNamespace
code = {"code": np.sign(np.random.default_rng(0).standard_normal((6, 128)))}
stages = SimpleNamespace(images=code, texts=code)
""",
}


@dataclass(frozen=True)
class Exercise:
    label: str  # "ch01-dead"
    before: str  # imports and functions of the chapter, then stand-ins
    stub: str
    solution: str
    check: str

    def fault(self, answer: str) -> str:
        """ "" if `answer` passes the check, else what went wrong."""
        names = {}
        exec(self.before, names)
        try:
            exec(answer, names)
            exec(self.check, names)
        except Exception as error:  # any failure is a failure
            return f"{type(error).__name__}: {error}"
        return ""


def source_of(nodes) -> str:
    return "\n".join(map(ast.unparse, nodes))


def names_in(*sources) -> set[str]:
    nodes = (node for source in sources for node in ast.walk(ast.parse(source)))
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def asserted(check: str) -> str:
    """A check without what it prints after its last assertion."""
    body = ast.parse(check).body
    last = max(i for i, node in enumerate(body) if "assert" in ast.unparse(node))
    return source_of(body[: last + 1])


def cells_of(made) -> dict[str, tuple[str, str, str]]:
    """{label: (stub, self-check, id of the solution)} of a student's chapter."""
    pairs = zip(made.cells, made.cells[1:])
    return {a.id: (a.source, b.source, b.id) for a, b in pairs if a.id.startswith("ch")}


def exercises_of(path) -> list[Exercise]:
    """The exercises of a chapter."""
    nb = execute.read(path)
    cells = {cell.id: cell for cell in execute.code_cells(nb)}
    solved = [c for c in cells.values() if "solution" in c.metadata.get("tags", [])]
    own = [c.source for c in cells.values() if c not in solved]
    nodes = [node for source in own for node in ast.parse(source).body]
    imports = [x for x in nodes if isinstance(x, ast.Import | ast.ImportFrom)]
    functions = [x for x in nodes if isinstance(x, ast.FunctionDef)]
    found = []
    for label, (stub, check, cell) in cells_of(student.version(nb)).items():
        names = set().union(*map(student.defined, ast.parse(stub).body))
        body = ast.parse(cells[cell].source).body
        solution = source_of(x for x in body if student.defined(x) & names)
        check = asserted(check)
        used = names_in(solution, check)
        helpers = [x for x in functions if x.name in used - names]
        parts = [source_of([*imports, *helpers]), STAND_INS.get(label, "")]
        found.append(Exercise(label, "\n".join(parts), stub, solution, check))
    return found


def prose_of(path) -> str:
    cells = execute.read(path).cells
    return "\n".join(c.source for c in cells if c.cell_type == "markdown")


# chapter 02 has its own test, below
EXERCISES = [
    x for path in chapters() if "02" not in path.stem for x in exercises_of(path)
]


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda one: one.label)
def test_the_stub_fails_and_the_solution_passes(exercise):
    assert exercise.fault(exercise.stub)
    assert exercise.fault(exercise.solution) == ""


def test_a_stub_that_passes_would_be_noticed():
    easy = Exercise("ch00-x", "x = 1", "y = x", "y = 1", "assert y == 1")
    assert easy.fault(easy.stub) == ""
    assert "NameError" in easy.fault("")


@CHAPTERS
def test_labels_of_a_chapter_begin_with_its_number(path):
    for label in LABEL.findall(prose_of(path)):
        assert not label.startswith("ch") or label[2:4] == path.stem[:2], label


@CHAPTERS
def test_no_solution_is_left_and_every_exercise_has_a_check(path):
    nb = execute.read(path)
    before = nbformat.writes(nb)
    made = student.version(nb)
    nbformat.validate(made)
    assert nbformat.writes(nb) == before
    text = "\n".join(cell.source for cell in made.cells)
    assert "{exercise" not in text and "{solution" not in text
    assert not any(
        cell.get("outputs") or cell.get("execution_count") for cell in made.cells
    )
    found = cells_of(made)
    assert list(found) == LABEL.findall(prose_of(path))
    for label, (stub, check, _) in found.items():
        names = set().union(*map(student.defined, ast.parse(stub).body))
        assert names and "assert" in check and f"**Exercise {label}**" in text
        assert any(name in check for name in names)
        assert not names & set().union(*map(student.defined, ast.parse(check).body))


#: cells of chapter 02 that its exercises need, but for the training
NEEDED = ("cell-03", "cell-04", "cell-08", "cell-10", "cell-12")
UNTRAINED = """
few = test.subset(range(12))
def measured(model):
    scores = base.score_split(model, few)
    return metrics.evaluate(scores, few.owner, bootstrap=0)
report = measured(model)
"""


@pytest.fixture
def figures():
    """A chapter sets the style of its figures: for this test alone."""
    with matplotlib.rc_context():
        matplotlib.use("agg")
        yield


def test_chapter_02_fails_before_and_passes_after(capsys, figures):
    """In the chapter's own code, with a model that is not trained."""
    nb = execute.read(FOLDER / "02_amfmn.ipynb")
    solutions = {cell.id: cell.source for cell in nb.cells}
    made = student.version(nb)
    names = {}
    for cell in made.cells:
        if cell.id in NEEDED:
            exec(cell.source, names)
    exec(UNTRAINED, names)
    for stub, check, solved in cells_of(made).values():
        exec(stub, names)
        with pytest.raises((AssertionError, TypeError)):
            exec(check, names)
        capsys.readouterr()
        exec(solutions[solved], names)  # the chapter's cell: solution and check
        exec(check, names)
        assert capsys.readouterr().out.count("self-check: passed") == 2


def test_a_solution_without_an_exercise_is_an_error():
    cell = nbformat.v4.new_code_cell("x = 1", metadata={"tags": ["solution"]})
    with pytest.raises(ValueError, match=cell.id):
        student.version(nbformat.v4.new_notebook(cells=[cell]))
