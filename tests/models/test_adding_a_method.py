"""CONTRIBUTING's worked example, done in a copy of the project.

One model file, one notebook, one record: the lines are taken from the
document, so that it cannot promise what does not work.
"""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbkit import ROOT, execute

from rsir.data import cache_dir, load_dataset

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(
    r"^```python\n(.*?)^```",
    TEXT.split("### A worked example")[1].split("\n## ")[0], re.M | re.S,
)  # fmt: skip
IMPORTS = """\
from rsir.data import load_dataset
from rsir.evaluation.metrics import evaluate, evaluate_ranks
from rsir.models.recipes import recipe
from rsir.experiments.records import load_records
from rsir.experiments.claims import check_reported
from rsir.training.trainer import score_split, train
"""


def block(word: str) -> str:
    """The one block of the example that holds `word`."""
    (found,) = [text for text in BLOCKS if word in text]
    return found


def copied(home):
    """What git knows of the project, without the heavy parts."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    if not listed:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.split("\0")):
        if name.startswith(("web/", "book/images/")):
            continue
        if (ROOT / name).is_file():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, home / name)


def change(path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, (path.name, old)
    path.write_text(text.replace(old, new))


def add_code(home) -> None:
    """The model, its recipe, and the lines that name them."""
    for text in BLOCKS:
        if found := re.match(r"# (rsir/\S+)\n", text):
            (home / found.group(1)).write_text(text[found.end() :])
    change(
        home / "rsir/models/registry.py",
        "HOMES = {\n",
        "HOMES = {\n    " + block('("rsir.models.oneside"'),
    )
    recipes = home / "rsir/recipes/__init__.py"
    change(
        recipes,
        "from rsir.utils.errors import RsirError\n",
        "from rsir.utils.errors import RsirError\n"
        + block("from rsir.models.recipes import oneside"),
    )
    change(
        recipes, "_METHODS = {\n", "_METHODS = {\n    " + block("oneside.OneSideRecipe")
    )
    change(home / "rsir/published.py", 'OURS = ("linear", "mlp")\n', block("OURS = "))


def add_notebook(home) -> None:
    """The heart of a chapter: knobs, training, both verdicts."""

    def code(source, *tags):
        return new_code_cell(source.strip(), metadata={"tags": list(tags)})

    checked = "nbval-check-output"
    nb = new_notebook(
        cells=[
            new_markdown_cell("# One side\n\n*Pictures move.*"),
            code(IMPORTS),
            code('dataset = preset = "toy"', "knobs"),
            code(block("score_split(run.model")),
            code(block("live = check_reported"), "verdict-live", checked),
            code(block("record = check_reported"), "verdict-record", checked),
        ]
    )
    execute.write(home / "notebooks/07_oneside.ipynb", nb)
    toc = home / "_toc.yml"
    lines = toc.read_text().splitlines()
    last = max(i for i, x in enumerate(lines) if "notebooks/" in x)
    lines.insert(last + 1, "      - file: notebooks/07_oneside")
    toc.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """(the copy with the example in it, how to run Python there)."""
    home = tmp_path_factory.mktemp("example") / "rsir"
    copied(home)
    add_code(home)
    add_notebook(home)
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (
        ["init", "-q"],
        ["add", "-A"],
        [*who, "commit", "-q", "-m", "a system more"],
    ):
        subprocess.run(["git", "-C", str(home), *words], check=True)
    # a cache of its own, so that no other queue is in the way; the toy
    # scenes and their features are taken as they are
    load_dataset("toy")
    cache = home.parent / "cache"
    cache.mkdir()
    for name in ("toy", "features"):
        (cache_dir() / name).mkdir(parents=True, exist_ok=True)
        (cache / name).symlink_to(cache_dir() / name)
    env = dict(
        os.environ,
        PYTHONPATH=str(home),
        RSIR_CACHE=str(cache),
        RSIR_DATASET="toy",
        RSIR_PRESET="toy",
    )

    def run(*words):
        done = subprocess.run(
            [sys.executable, *words], cwd=home, env=env, check=False,
            capture_output=True, text=True,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    return home, run


def test_the_document_has_the_blocks():
    assert len(BLOCKS) >= 8
    assert "class OneSide(Retriever)" in block("# rsir/models/oneside.py")


def test_a_record_a_notebook_and_the_pages(example):
    home, run = example
    code, said = run(
        "-m",
        "rsir",
        "reproduce",
        "oneside",
        "--dataset",
        "toy",
        "--preset",
        "toy",
        "--seeds",
        "1",
    )
    assert code == 0, said
    path = home / "results/oneside/toy/oneside-s0.json"
    facts = json.loads(path.read_text())
    assert facts["recalls"]["expected"]["mR"] > 30, "it learnt nothing"
    assert path.with_suffix(".npz").exists()
    assert "rsir.models.oneside" in facts["modules"]

    notebook = "notebooks/07_oneside.ipynb"
    code, said = run("tools/notebooks.py", "execute", notebook)
    assert code == 0, said
    _, said = run("tools/notebooks.py", "check", notebook)
    broken = {
        line.split(": ")[1] for line in said.splitlines()
        if line.startswith("07_oneside")
    }  # fmt: skip
    assert broken <= {"anatomy", "short_cells"}, said
    nb = execute.read(home / notebook)
    lines = [
        out.text for cell in nb.cells for out in cell.get("outputs", ())
        if "nbval-check-output" in cell.metadata.get("tags", ())
    ]  # fmt: skip
    assert lines == ["mR against its recorded range: reached\n"] * 2

    code, said = run("tools/build_pages.py")
    assert code == 0, said
    made = (home / "book/_generated/results.md").read_text()
    assert "oneside" in made
    assert "rsir.models.oneside" in (home / "book/_generated/api.md").read_text()


def test_it_keeps_the_house_rules(example):
    _, run = example
    code, said = run("-m", "pytest", "-q", "tests/test_layout.py")
    assert code == 0, said
