"""The three lists of requirements say the same, and the tools are right.

pyproject.toml has lower bounds for users, constraints.txt the tested set,
environment.yml the names that conda uses.
"""

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "rsir"
# conda-forge's name -> PyPI's
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
CONDA_ONLY = {"python", "pip", "make"}


def by_name(lines):
    """{canonical name: specifier} of requirement lines."""
    found = {}
    for line in lines:
        req = Requirement(line)
        found[canonicalize_name(req.name)] = req.specifier
    return found


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def wanted():
    data = project()
    lines = list(data["dependencies"])
    for extra in data["optional-dependencies"].values():
        lines += extra
    return by_name(lines)


def conda():
    """(conda's specs, the pip section's specs, the raw document)."""
    document = yaml.safe_load((ROOT / "environment.yml").read_text())
    plain, pip = [], []
    for item in document["dependencies"]:
        if isinstance(item, dict):
            pip += item["pip"]
        else:
            plain.append(item)
    return plain, pip, document


def pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return by_name(x for x in lines if x and not x.startswith("#"))


def test_conda_asks_for_the_same():
    plain, pip, document = conda()
    assert document["channels"] == ["conda-forge"]
    assert "-e ." in pip
    names = [re.split(r"[<>=]", x)[0] for x in plain]
    plain = [
        CONDA_NAMES.get(name, name) + line[len(name) :]
        for name, line in zip(names, plain, strict=True)
        if name not in CONDA_ONLY
    ]
    ours = by_name(plain + [x for x in pip if x != "-e ."])
    assert ours == wanted()


def test_conda_and_pip_want_the_same_python():
    plain, _, _ = conda()
    python = next(x for x in plain if x.startswith("python"))
    assert python == "python" + project()["requires-python"]


def test_every_conda_spec_is_well_formed():
    for line in conda()[0]:
        assert re.fullmatch(
            r"[a-z0-9][a-z0-9._-]*"
            r"((>=|<)[0-9][0-9a-z.]*(,(>=|<)[0-9][0-9a-z.]*)*)?",
            line,
        ), line


def test_the_tested_set_pins_every_direct_requirement():
    pinned = pins()
    for name, bound in wanted().items():
        assert name in pinned, f"{name} is not in constraints.txt"
        (spec,) = pinned[name]
        assert spec.operator == "=="
        assert bound.contains(spec.version, prereleases=True), name


def test_users_get_lower_bounds_not_pins():
    for name, bound in wanted().items():
        kinds = {spec.operator for spec in bound}
        assert ">=" in kinds, name
        assert kinds <= {">=", "<"}, name


def test_what_runs_here_is_the_book_tool_that_reads_config_yml():
    import importlib.metadata as meta

    assert meta.version("jupyter-book").startswith("1.")
    assert (ROOT / "_config.yml").is_file()
    assert not (ROOT / "myst.yml").exists()


def test_the_wheel_takes_every_data_file():
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    patterns = tool["setuptools"]["package-data"]["rsir"]
    taken = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    for path in PACKAGE.rglob("*"):
        if path.is_dir() or path.suffix in {".py", ".pyc"}:
            continue
        assert path in taken, f"{path.name}: not in an installed rsir"


def test_version_is_written_once():
    text = (ROOT / "rsir/__init__.py").read_text()
    version = re.search(r'__version__ = "([^"]+)"', text).group(1)
    assert "version" in project()["dynamic"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == version
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_one_address_for_the_repository():
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    url = config["repository"]["url"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["repository-code"] == url
    assert project()["urls"]["Repository"] == url
