"""The two cells that all notebooks share: Colab badge and bootstrap.

They are written here once; `python tools/notebooks.py sync` puts them into
every notebook, and a test compares.
"""

import re
import textwrap
import tomllib
from pathlib import Path

import yaml

from . import ROOT

# Where an import is called otherwise than its package. The bootstrap cell
# looks for the import, so that nothing is installed that is there already.
IMPORT_NAMES = {"faiss-cpu": "faiss"}
# Colab has these in versions that fit each other: never to be touched.
NEVER = set("numpy scipy pandas pillow torch torchvision transformers".split())
NEVER |= {"matplotlib", "pyyaml", "tqdm"}

BOOTSTRAP = """\
# The same in every notebook. On your machine it only finds rsir; on
# Colab it takes the book's own version of it, installs what Colab
# lacks, and leaves torch and numpy alone.
import importlib.util
import os
import pathlib
import subprocess
import sys

home = pathlib.Path.cwd()
if "google.colab" in sys.modules:
    source = os.environ.get("RSIR_SOURCE") or (
        "{URL}"
    )
    get = ["git", "clone", "-q", "--depth", "1", "-b", "{BRANCH}"]
    if not (home / "rsir-book").exists():
        subprocess.run([*get, source, "rsir-book"], check=True)
    needs = (
{NEEDS}
    ).split()
    lacks = [n for n in needs if not importlib.util.find_spec(n)]
    lacks = [{"faiss": "faiss-cpu"}.get(n, n) for n in lacks]
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps"]
    if lacks:
        print("Installing what Colab lacks:", *lacks)
        subprocess.run([*pip, *lacks], check=True)
    home = home / "rsir-book"
    sys.path.insert(0, str(home))
    os.environ["PYTHONPATH"] = str(home)
elif not importlib.util.find_spec("rsir"):
    for place in (home, *home.parents):
        if (place / "rsir" / "__init__.py").exists():
            sys.path.insert(0, str(place))
import rsir  # noqa: F401
"""


def repository() -> tuple[str, str]:
    """Address and branch, from the one place where they stand."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    return config["repository"]["url"], config["repository"]["branch"]


def colab_url(name: str) -> str:
    """Where Colab opens the notebook called `name` (a file name)."""
    url, branch = repository()
    place = url.replace(
        "https://github.com", "https://colab.research.google.com/github"
    )
    return f"{place}/blob/{branch}/notebooks/{name}"


def needs() -> list[str]:
    """Import names of what Colab may lack."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.split(r"[<>=]", line)[0] for line in project["dependencies"]]
    lacks = [name for name in names if name not in NEVER]
    return [IMPORT_NAMES.get(name, name.replace("-", "_")) for name in lacks]


def bootstrap() -> str:
    """Source of the bootstrap cell."""
    url, branch = repository()
    rows = textwrap.wrap(" ".join(needs()), 62)
    body = ' "\n'.join(f'        "{row}' for row in rows) + '"'
    text = BOOTSTRAP.replace("{NEEDS}", body)
    return text.replace("{URL}", url).replace("{BRANCH}", branch).strip()


def badge(name: str) -> str:
    """Source of the badge cell of the notebook called `name`."""
    return f"[Open this chapter in Colab]({colab_url(name)})"


def set_address(url: str, branch: str, root: Path = ROOT) -> list[Path]:
    """Write a new repository address wherever the old one stands."""
    old = yaml.safe_load((root / "_config.yml").read_text())["repository"]
    url, begin = url.rstrip("/"), "https://github.com/"
    was, now = (x.removeprefix(begin) for x in (old["url"], url))
    changed = []
    paths = [*sorted(root.glob("*")), *sorted(root.glob("book/*"))]
    for path in [x for x in paths if x.suffix in {".md", ".yml", ".cff", ".toml"}]:
        before = path.read_text()
        after = before.replace(f"{was}/blob/{old['branch']}/", f"{now}/blob/{branch}/")
        after = after.replace(old["url"], url)
        if path.name == "_config.yml":
            after = after.replace(f"branch: {old['branch']}", f"branch: {branch}")
        if after != before:
            path.write_text(after)
            changed.append(path)
    return changed
