"""The API page: the rooms of the package, each with its modules.

What a package hands on from its parts (its `__all__`) is described under
the package, not a second time under the part.
"""

import re
from pathlib import Path

ROOMS = {
    "data": "Data sets, and your own data",
    "encoders": "Encoders: from pictures and sentences to vectors",
    "models": "Models: one file for each paper",
    "training": "Training",
    "retrieval": "Search, two-stage search and re-ranking",
    "evaluation": "Evaluation",
    "experiments": "Runs, records and published numbers",
    "plots": "Figures",
    "archive": "Search your own archive",
    "utils": "Utilities",
}
MODULE = """\
(api-{label})=
### `{name}`

```{{eval-rst}}
.. automodule:: {name}
   :members:{exclude}
```
"""


def handed_on(package: Path) -> list[str]:
    """The names in a package's `__all__`, read without importing it."""
    text = (package / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r"^__all__ = (.*?[\])])$", text, re.M | re.S)
    return re.findall(r'"(\w+)"', found[1]) if found else []


def section(title: str, package: Path) -> str:
    """A package that hands names on, then its public modules."""
    skip = handed_on(package)
    names = [package.name] if skip else []
    if package.parent.name == "rsir":
        names = [f"rsir.{name}" for name in names]
        names += [
            f"rsir.{package.name}.{path.stem}"
            for path in sorted(package.glob("[!_]*.py"))
            if path.stem not in skip  # hidden behind a function of that name
        ]
    parts = [f"## {title}\n"]
    for name in names:
        inside = skip and name.count(".") > 1
        exclude = f"\n   :exclude-members: {', '.join(skip)}" if inside else ""
        label = name.replace(".", "-").replace("_", "-")
        parts.append(MODULE.format(name=name, label=label, exclude=exclude))
    return "\n".join(parts)


def render(root: Path) -> dict[str, str]:
    rooms = {root / "rsir" / name: title for name, title in ROOMS.items()}
    rooms[root / "toyscenes"] = "Toy scenes, a package of their own"
    parts = [section(title, path) for path, title in rooms.items() if path.is_dir()]
    return {"api.md": "\n".join(parts)}
