"""Exercises can be failed: stubs fail, solutions pass.

`tests/book/exercises/chNN_name.py` holds an exercise as CONTRIBUTING says:
`SETUP`, `STUB`, `CHECK`, `SOLUTION`; the chapter shows stub and check in these
words.
"""

import re
import runpy
from dataclasses import dataclass
from pathlib import Path

import pytest
from nbkit import ROOT, chapters, execute

FOLDER = ROOT / "tests/book/exercises"
LABEL = re.compile(r"^:label: *(\S+)", re.M)


@dataclass(frozen=True)
class Exercise:
    name: str  # "ch01-dead"
    setup: str
    stub: str
    check: str
    solution: str

    def fault(self, answer: str) -> str:
        """ "" if `answer` passes the check, else what went wrong."""
        names = {}
        exec(self.setup, names)
        try:
            exec(answer, names)
            exec(self.check, names)
        except Exception as error:  # any failure is a failure
            return f"{type(error).__name__}: {error}"
        return ""


def load(path: Path) -> Exercise:
    known = runpy.run_path(str(path))
    parts = [known[part] for part in ("SETUP", "STUB", "CHECK", "SOLUTION")]
    return Exercise(path.stem.replace("_", "-"), *parts)


def prose_of(path) -> str:
    cells = execute.read(path).cells
    return "\n".join(c.source for c in cells if c.cell_type == "markdown")


EXERCISES = [load(path) for path in sorted(FOLDER.glob("ch*.py"))]
EACH = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda one: one.name)


@EACH
def test_the_stub_fails_and_the_solution_passes(exercise):
    assert exercise.fault(exercise.stub)
    assert exercise.fault(exercise.solution) == ""
    names = {}
    exec(exercise.setup, names)
    assert not set(re.findall(r"^def (\w+)", exercise.stub, re.M)) & set(names)


@EACH
def test_the_notebook_shows_it(exercise):
    (path,) = (x for x in chapters() if x.stem.startswith(exercise.name[2:4]))
    cells, prose = execute.read(path).cells, prose_of(path)
    tagged = [c.source for c in cells if "solution" in c.metadata.get("tags", [])]
    assert exercise.name in LABEL.findall(prose)
    assert exercise.stub.strip("\n") in prose
    assert exercise.check.strip("\n") in "\n".join([prose, *tagged])


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_labels_of_a_chapter_begin_with_its_number(path):
    for label in LABEL.findall(prose_of(path)):
        assert not label.startswith("ch") or label[2:4] == path.stem[:2], label


def test_a_stub_that_passes_would_be_noticed():
    easy = Exercise("ch00-x", "x = 1", "y = x", "assert y == 1", "y = 1")
    assert easy.fault(easy.stub) == ""
    hard = Exercise("ch00-x", "x = 1", "y = ...", "assert y == 1", "")
    assert hard.fault(hard.stub).startswith("AssertionError")
    assert "NameError" in hard.fault("")


def test_the_example_of_the_rules_is_an_exercise(tmp_path):
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (body,) = re.findall(r'^```python\n(""".*?^SETUP = .*?)^```', text, re.M | re.S)
    (tmp_path / "ch01_example.py").write_text(body)
    exercise = load(tmp_path / "ch01_example.py")
    assert exercise.fault(exercise.stub) and not exercise.fault(exercise.solution)
