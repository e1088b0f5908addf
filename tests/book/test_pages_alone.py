"""The pages are made where only their own packages are installed."""

import json
import tomllib

from alone import alone
from nbkit import ROOT, template
from packaging.requirements import Requirement

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]

#: no package but those of the pages can be imported
BLOCK = """
import inspect, json, sys
from importlib import import_module

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in lacks:
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.path.insert(0, "tools")
sys.meta_path.insert(0, Block())
"""
STORED = """
import book
import pkgutil, pages
for info in pkgutil.iter_modules(pages.__path__):
    import_module(f"pages.{info.name}")
print(json.dumps(book.not_stored()))
"""
DESCRIBED = """
import sphinx_rsir
from nbkit import ROOT
from pages import api
sys.meta_path.insert(0, sphinx_rsir.StandIns())
text = api.render(ROOT)["api.md"]
names = [x.split(" ")[-1] for x in text.splitlines() if "automodule" in x]
modules = {name: import_module(name) for name in names}
model = modules["rsir.models.amfmn"].AMFMN
print(json.dumps([len(modules), list(inspect.signature(model).parameters)]))
"""


def run(script):
    """What `script` prints where the pages' packages alone are installed."""
    light = {Requirement(line).name for line in EXTRAS["book"]}
    asked = [Requirement(line).name for line in PROJECT["dependencies"]]
    asked += [Requirement(x).name for e in ("archive", "test") for x in EXTRAS[e]]
    names = set(asked) - light - {"nbclient", "nbformat"}  # jupyter-book has them
    lacks = {template.IMPORT_NAMES.get(x, x.replace("-", "_")) for x in names}
    return json.loads(alone("-c", f"lacks = {lacks}\n{BLOCK}\n{script}"))


def test_the_pages_know_what_is_stored():
    assert run(STORED) == []


def test_the_package_can_be_described():
    count, asked = run(DESCRIBED)
    assert count > 60 and asked == ["image_encoder", "text_encoder", "config"]
