"""The first code cell of every chapter, as Colab runs it.

A fresh virtual environment sees the project's packages through a path
file, so that nothing is downloaded; it has a `pip` that only writes down
what it was asked, a stubbed `google.colab`, and no rsir. The source is
this checkout, put under git, at the address that the cell is told.

What Colab has in truth stands in `data/colab.txt`.
"""

import importlib.metadata
import importlib.util
import json
import os
import shutil
import site
import subprocess
import tomllib
import venv
from pathlib import Path

import pytest
from nbkit import ROOT, chapters, execute, template
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import rsir

PIP = """\
import json, os, pathlib, sys
place = pathlib.Path(os.environ["PIP_SAID"])
said = json.loads(place.read_text()) if place.exists() else []
place.write_text(json.dumps([*said, sys.argv[1:]]))
"""

STUB = """\
import importlib.metadata, importlib.util, json, os, sys, types
for name in ("google", "google.colab"):
    sys.modules[name] = types.ModuleType(name)
lacks = set(os.environ["LACKS"].split())
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: (
    None if name in lacks else find(name, *rest))
assert find("rsir") is None, "rsir is here before the cell"
kept = ["torch", "numpy"]
version = importlib.metadata.version
before = {name: (version(name), find(name).origin) for name in kept}
"""

AFTER = """
import subprocess
importlib.util.find_spec = find
after = {name: (version(name), find(name).origin) for name in kept}
child = subprocess.run(
    [sys.executable, "-c", "import rsir; print(rsir.__file__)"],
    capture_output=True, text=True, check=True).stdout.strip()
facts = {"rsir": rsir.__file__, "version": rsir.__version__,
         "child": child, "same": before == after,
         "loaded": sorted({"torch", "numpy"} & set(sys.modules))}
print("FACTS", json.dumps(facts))
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The checkout as a repository with the branch that the cell takes."""
    if not shutil.which("git"):
        pytest.skip("no git on this machine")
    home = tmp_path_factory.mktemp("source")
    shutil.copytree(ROOT / "rsir", home / "rsir")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    begin = f"init -q -b {template.repository()[1]}"
    for words in (begin, "add -A", "commit -q -m copy"):
        subprocess.run([*git, *words.split()], cwd=home, check=True)
    return home.as_uri()


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """A fresh environment on top of the packages of this one."""
    home = tmp_path_factory.mktemp("colab")
    venv.create(home, with_pip=False, symlinks=True)
    (packages,) = home.glob("lib/python*/site-packages")
    (packages / "pip").mkdir()
    (packages / "pip/__init__.py").touch()
    (packages / "pip/__main__.py").write_text(PIP)
    # a path file is read for paths only: an editable rsir stays out
    (packages / "project.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return home / "bin/python"


def run_cell(python, source, folder, cell, lacks="") -> dict:
    """Run a bootstrap cell in `folder`; what it did, what pip heard."""
    said = folder / "pip.json"
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        [python, "-c", f"{STUB}\n{cell}\n{AFTER}"],
        cwd=folder,
        capture_output=True,
        text=True,
        env=env | {"RSIR_SOURCE": source, "PIP_SAID": str(said), "LACKS": lacks},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told, _, line = done.stdout.rpartition("FACTS ")
    asked = json.loads(said.read_text()) if said.exists() else []
    return json.loads(line) | {"pip": asked, "told": told}


def bootstrap_of(path) -> str:
    cells = execute.read(path).cells
    return next(c.source for c in cells if "bootstrap" in c.metadata.get("tags", []))


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_the_first_cell_works_in_colab(path, python, source, tmp_path):
    facts = run_cell(python, source, tmp_path, bootstrap_of(path))
    inside = str(tmp_path / "rsir-book" / "rsir")
    assert facts["rsir"].startswith(inside) and facts["child"].startswith(inside)
    assert facts["same"]
    assert facts["pip"] == [], "all is there: nothing to install"
    assert facts["told"] == ""
    assert facts["version"] == rsir.__version__


def test_only_what_is_lacking_is_installed(python, source, tmp_path):
    cell = template.bootstrap()
    facts = run_cell(python, source, tmp_path, cell, "pooch faiss torch numpy")
    (asked,) = facts["pip"]
    assert asked[:1] == ["install"] and "--no-deps" in asked
    names = [word for word in asked[1:] if not word.startswith("-")]
    assert names == ["faiss-cpu", "pooch"]
    assert facts["told"] == "Installing what Colab lacks: faiss-cpu pooch\n"
    assert facts["same"]
    assert run_cell(python, source, tmp_path, f"{cell}\n{cell}")["pip"] == [asked]


def test_what_is_asked_for_can_be_asked_for():
    """Every name that may be installed imports, and is a package that we pin."""
    pinned = (ROOT / "constraints.txt").read_text().lower()
    back = {v: k for k, v in template.IMPORT_NAMES.items()}
    for name in template.needs():
        package = back.get(name, name).replace("_", "-")
        assert f"\n{package}==" in pinned and importlib.util.find_spec(name), name
        assert package not in template.NEVER | {"torch", "numpy"}


def listed(lines) -> dict[str, Requirement]:
    """Requirements by canonical name; comments are left out."""
    found = [Requirement(x) for x in lines if x and not x.startswith("#")]
    return {canonicalize_name(x.name): x for x in found}


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WANTED = listed(PROJECT["dependencies"])
ON_COLAB = {
    name: next(iter(one.specifier)).version
    for name, one in listed(
        Path(__file__).with_name("data").joinpath("colab.txt").read_text().splitlines()
    ).items()
}
LACKS = set(WANTED) - set(ON_COLAB)


def met(one: Requirement) -> bool:
    """Whether Colab has it, in a version that will do."""
    version = ON_COLAB.get(canonicalize_name(one.name))
    return version is not None and one.specifier.contains(version)


def test_what_colab_has_is_new_enough():
    assert not [str(WANTED[x]) for x in set(WANTED) - LACKS if not met(WANTED[x])]
    assert {canonicalize_name(name) for name in template.NEVER} <= set(ON_COLAB)


def test_what_colab_lacks_is_installed_and_asks_for_nothing_else_there():
    """pip is told to follow no requirements: Colab must have met them."""
    back = {v: k for k, v in template.IMPORT_NAMES.items()}
    assert LACKS and LACKS <= {
        canonicalize_name(back.get(name, name)) for name in template.needs()
    }
    for name in LACKS:
        asked = map(Requirement, importlib.metadata.requires(name) or ())
        own = [x for x in asked if not x.marker or x.marker.evaluate({"extra": ""})]
        assert all(map(met, own)), f"{name}: {[str(x) for x in own if not met(x)]}"
