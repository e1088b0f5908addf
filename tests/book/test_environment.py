"""The three lists of requirements say the same, and the tools are right.

pyproject.toml has lower bounds for users, constraints.txt the tested set,
environment.yml the names that conda uses.
"""

import importlib.metadata
import re
import tomllib

import yaml
from nbkit import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import rsir

# conda-forge's name -> PyPI's
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
CONDA_ONLY = {"python", "pip", "make"}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())
PLAIN = [x for x in CONDA["dependencies"] if isinstance(x, str)]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())


def by_name(lines):
    """{canonical name: specifier} of requirement lines."""
    found = map(Requirement, lines)
    return {canonicalize_name(req.name): req.specifier for req in found}


EXTRAS = PROJECT["optional-dependencies"]
#: what only reads models of others is not part of the tested set
TESTED = [lines for name, lines in EXTRAS.items() if name != "bench"]
WANTED = by_name(sum(TESTED, PROJECT["dependencies"]))


def test_conda_asks_for_the_same():
    (pip,) = (x["pip"] for x in CONDA["dependencies"] if isinstance(x, dict))
    assert CONDA["channels"] == ["conda-forge"]
    assert "python" + PROJECT["requires-python"] in PLAIN and "-e ." in pip
    lines = [x for x in pip if x != "-e ."]
    for line in PLAIN:
        name, bounds = re.fullmatch(
            r"([a-z0-9][a-z0-9._-]*)([<>=0-9a-z.,]*)", line
        ).groups()
        if name not in CONDA_ONLY:
            lines.append(CONDA_NAMES.get(name, name) + bounds)
    assert by_name(lines) == WANTED


def test_users_get_lower_bounds_and_the_tested_set_keeps_them():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = by_name(x for x in lines if x and not x.startswith("#"))
    for name, bound in WANTED.items():
        assert {">="} <= {spec.operator for spec in bound} <= {">=", "<"}, name
        assert name in pinned, f"{name} is not in constraints.txt"
        (spec,) = pinned[name]
        assert spec.operator == "=="
        assert bound.contains(spec.version, prereleases=True), name


def test_an_extra_asks_for_what_the_package_asks_for():
    asked = by_name(PROJECT["dependencies"])
    for lines in EXTRAS.values():
        extra = by_name(lines)
        assert all(extra[name] == asked[name] for name in set(extra) & set(asked))
    assert "torch" not in by_name(EXTRAS["book"])


def test_what_runs_here_is_the_book_tool_that_reads_config_yml():
    assert importlib.metadata.version("jupyter-book").startswith("1.")
    assert (ROOT / "_config.yml").is_file()
    assert not (ROOT / "myst.yml").exists()


def test_the_wheel_takes_every_data_file():
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["rsir"]
    taken = {pattern.removeprefix("**/*") for pattern in patterns} | {".py", ".pyc"}
    files = {path for path in (ROOT / "rsir").rglob("*") if path.is_file()}
    assert not [path for path in files if path.suffix not in taken]


def test_version_and_address_are_written_once():
    assert "version" in PROJECT["dynamic"]
    assert CITATION["version"] == rsir.__version__
    assert f"## {rsir.__version__}" in (ROOT / "CHANGELOG.md").read_text()
    url = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
    assert CITATION["repository-code"] == PROJECT["urls"]["Repository"] == url
