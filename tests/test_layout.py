"""The house: light imports, whole packages, no trace of a writer's machine.

Which room may import which is checked by import-linter (`lint-imports`).
"""

import subprocess
from pathlib import Path

import pytest
from alone import alone

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"torch", "torchvision", "transformers", "timm", "matplotlib", "faiss"}
LIGHT = ["rsir", "rsir.data", "rsir.evaluation.metrics", "rsir.models", "rsir.cli"]


@pytest.mark.parametrize("name", [*LIGHT, "rsir.experiments.records", "toyscenes"])
def test_light_imports_stay_light(name):
    code = f"import sys, {name}; print(*({HEAVY} & set(sys.modules)))"
    assert alone("-c", code).strip() == ""


def test_folders_of_code_are_packages():
    """A folder without `__init__.py` is missing from the wheel."""
    for package in ("rsir", "toyscenes"):
        for path in (ROOT / package).rglob("*.py"):
            assert (path.parent / "__init__.py").exists(), path.parent


def test_there_are_at_most_eleven_rooms():
    rooms = [p.parent.name for p in (ROOT / "rsir").glob("*/__init__.py")]
    assert len(rooms) <= 11
    files = {p.name for p in (ROOT / "rsir").glob("*.py")}
    assert files == {"__init__.py", "__main__.py"}


def test_no_path_of_a_writers_machine():
    """Files name no place that only the machine of a writer has."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    words = ["/" + "work/", "shared" + "/data", "shared" + "/reference"]
    guilty = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if not path.is_file() or name.startswith("web/mathjax/"):
            continue
        text = path.read_bytes().decode("utf-8", "ignore")
        allowed = words[1:2] if name == ".ci/run" else []
        guilty += [f"{name}: {w}" for w in words if w in text and w not in allowed]
    assert not guilty


def test_no_word_about_widgets():
    """tqdm would like ipywidgets and says so on stderr in a kernel."""
    warn = "warnings.warn('IProgress not found. Please update jupyter')"
    alone("-c", f"import warnings; warnings.simplefilter('error'); import rsir; {warn}")
