"""The student's chapters: no solutions; checks that fail before, pass after."""

import ast

import matplotlib
import nbformat
import pytest
from nbkit import FOLDER, chapters, execute, student
from test_exercises import EXERCISES, LABEL, prose_of

EACH = pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)


def cells_of(nb) -> dict[str, tuple[str, str]]:
    """{label: (stub, self-check)} of a student's chapter."""
    pairs = zip(nb.cells, nb.cells[1:])
    return {a.id: (a.source, b.source) for a, b in pairs if a.id.startswith("ch")}


def solutions(nb) -> list[str]:
    tagged = [c for c in nb.cells if "solution" in c.metadata.get("tags", [])]
    return [cell.source for cell in tagged]


@EACH
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
    for label, (stub, check) in found.items():
        names = set().union(*map(student.defined, ast.parse(stub).body))
        assert names and "assert" in check and f"**Exercise {label}**" in text
        assert any(name in check for name in names)
        assert not names & set().union(*map(student.defined, ast.parse(check).body))


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda one: one.name)
def test_the_checks_are_those_that_are_proved_to_fail(exercise):
    """`test_exercises` fails each with its stub and passes it on stand-ins."""
    (path,) = (x for x in chapters() if x.stem.startswith(exercise.name[2:4]))
    stub, check = cells_of(student.version(execute.read(path)))[exercise.name]
    assert stub == exercise.stub.strip("\n")
    assert exercise.check.strip("\n") in check


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
    made = student.version(nb)
    names = {}
    for cell in made.cells:
        if cell.id in NEEDED:
            exec(cell.source, names)
    exec(UNTRAINED, names)
    for (stub, check), solved in zip(cells_of(made).values(), solutions(nb)):
        exec(stub, names)
        with pytest.raises((AssertionError, TypeError)):
            exec(check, names)
        capsys.readouterr()
        exec(solved, names)  # the chapter's cell: solution and check
        exec(check, names)
        assert capsys.readouterr().out.count("self-check: passed") == 2


def test_a_solution_without_an_exercise_is_an_error():
    cell = nbformat.v4.new_code_cell("x = 1", metadata={"tags": ["solution"]})
    with pytest.raises(ValueError, match=cell.id):
        student.version(nbformat.v4.new_notebook(cells=[cell]))
