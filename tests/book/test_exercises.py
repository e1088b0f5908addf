"""Exercises can be failed: stubs fail, solutions pass.

`tests/book/exercises/chNN_name.py` holds an exercise as CONTRIBUTING says:
`SETUP`, `STUB`, `CHECK`, `SOLUTION`, and `NOTEBOOK = True` once the
chapter shows it in these words.
"""

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from nbkit import ROOT, chapters, execute

FOLDER = ROOT / "tests/book/exercises"
PARTS = ("SETUP", "STUB", "CHECK", "SOLUTION")
LABEL = re.compile(r"^:label: *(\S+)", re.M)


@dataclass(frozen=True)
class Exercise:
    name: str  # "ch01-dead"
    setup: str
    stub: str
    check: str
    solution: str
    notebook: bool = False

    def passes(self, answer: str) -> str:
        """ "" if `answer` passes the check, else what went wrong."""
        names = {}
        exec(compile(self.setup, "setup", "exec"), names)
        try:
            exec(compile(answer, "answer", "exec"), names)
            exec(compile(self.check, "check", "exec"), names)
        except Exception as error:  # any failure is a failure
            return f"{type(error).__name__}: {error}" or "failed"
        return ""


def load(path: Path) -> Exercise:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Exercise(
        path.stem.replace("_", "-"),
        *(getattr(module, part) for part in PARTS),
        notebook=getattr(module, "NOTEBOOK", False),
    )


EXERCISES = [load(path) for path in sorted(FOLDER.glob("ch*.py"))]
EACH = pytest.mark.parametrize(
    "exercise", EXERCISES, ids=[one.name for one in EXERCISES]
)


def notebook_of(exercise: Exercise):
    number = exercise.name[2:4]
    for path in chapters():
        if path.stem.startswith(number):
            return execute.read(path)
    return None


def words(code: str) -> str:
    """Code without the empty lines around it."""
    return code.strip("\n")


@EACH
def test_the_stub_fails(exercise):
    assert exercise.passes(exercise.stub)


@EACH
def test_the_solution_passes(exercise):
    assert exercise.passes(exercise.solution) == ""


@EACH
def test_the_stub_is_not_the_solution_and_sets_up_nothing(exercise):
    assert words(exercise.stub) != words(exercise.solution)
    names = {}
    exec(compile(exercise.setup, "setup", "exec"), names)
    defined = re.findall(r"^def (\w+)", exercise.stub, re.M)
    assert not set(defined) & set(names)


@EACH
def test_the_notebook_shows_it(exercise):
    if not exercise.notebook:
        pytest.skip("not in the chapter yet")
    cells = notebook_of(exercise).cells
    prose = "\n".join(c.source for c in cells if c.cell_type == "markdown")
    solutions = "\n".join(
        c.source for c in cells
        if "solution" in c.metadata.get("tags", [])
    )  # fmt: skip
    assert exercise.name in LABEL.findall(prose)
    assert words(exercise.stub) in prose
    assert words(exercise.check) in prose + solutions


def test_labels_of_chapters_begin_with_their_number():
    for path in chapters():
        for cell in execute.read(path).cells:
            if cell.cell_type == "markdown":
                for label in LABEL.findall(cell.source):
                    if label.startswith("ch"):
                        assert label[2:4] == path.stem[:2], label


def test_a_stub_that_passes_would_be_noticed():
    easy = Exercise("ch00-x", "x = 1", "y = x", "assert y == 1", "y = 1")
    assert easy.passes(easy.stub) == ""
    hard = Exercise("ch00-x", "x = 1", "y = ...", "assert y == 1", "")
    assert hard.passes(hard.stub).startswith("AssertionError")
    assert "NameError" in hard.passes("")


def test_the_example_of_the_rules_is_an_exercise(tmp_path):
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (body,) = re.findall(r'^```python\n(""".*?^SETUP = .*?)^```', text, re.M | re.S)
    path = tmp_path / "ch01_example.py"
    path.write_text(body)
    exercise = load(path)
    assert exercise.passes(exercise.stub)
    assert exercise.passes(exercise.solution) == ""
