"""The API page: the package's modules in the house's order.

A module is listed once it exists. What a package hands on from its parts
(its `__all__`) is described under the package, not a second time under the
part.
"""

import ast
from pathlib import Path

from . import packages

NAMES = ["api.md"]
# Section title -> modules; "name.*" stands for the direct parts of one.
SECTIONS = {
    "Data": ["rsir.data", "rsir.data.*", "toyscenes"],
    "Encoders": ["rsir.encoders", "rsir.encoders.*"],
    "Layers": ["rsir.models.layers", "rsir.models.layers.*"],
    "Models": [
        "rsir.models.baselines", "rsir.models.recipes", "rsir.models.recipes.*",
        "rsir.models", "rsir.models.*",
    ],
    "Losses": ["rsir.models.losses"],
    "Training": [
        "rsir.training.trainer", "rsir.training.trainer.*", "rsir.training.batches", "rsir.training.checkpoints",
        "rsir.training.distributed", "rsir.utils.seed",
    ],
    "Search and re-ranking": [
        "rsir.retrieval.index", "rsir.retrieval.index.*", "rsir.retrieval.search", "rsir.retrieval.rerank",
        "rsir.retrieval.two_stage", "rsir.retrieval.two_stage", "rsir.plots.attention_maps",
        "rsir.retrieval.index", "rsir.retrieval.two_stage", "rsir.retrieval.index",
        "rsir.retrieval.index", "rsir.retrieval.index",
    ],
    "Measuring": ["rsir.evaluation.metrics", "rsir.evaluation.metrics", "rsir.evaluation.compare",
                  "rsir.utils.byhand"],
    "Reported numbers and records": [
        "rsir.experiments.claims", "rsir.experiments.records", "rsir.experiments.run",
        "rsir.experiments.run", "rsir.experiments.trials",
    ],
    "Pictures": ["rsir.plots.core", "rsir.plots.core.*", "rsir.plots.figures"],
    "Errors and progress": ["rsir.utils.errors", "rsir.utils.progress"],
}  # fmt: skip
MODULE = """\
(api-{label})=
### `{name}`

```{{eval-rst}}
.. automodule:: {name}
   :members:{exclude}
```
"""


def handed_on(root: Path, name: str) -> list[str]:
    """The names in a package's `__all__`, read without importing it."""
    path = root / Path(*name.split(".")) / "__init__.py"
    if name == "rsir" or not path.exists():
        return []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "__all__"
            for target in node.targets
        ):
            return [
                item.value
                for item in ast.walk(node.value)
                if isinstance(item, ast.Constant)
            ]
    return []


def selected(heads: list[str], known: list[str], root: Path) -> list[str]:
    """The modules that `heads` stand for, each once, in order.

    Left out: private ones, and one that a package hides behind a function
    of the same name.
    """
    found = []
    for head in heads:
        if head.endswith(".*"):
            base = head.removesuffix(".*")
            found += [n for n in known if n.rpartition(".")[0] == base]
        elif head in known:
            found.append(head)
    pairs = {name: name.rpartition(".") for name in found}
    return [
        name
        for name, (base, _, leaf) in pairs.items()
        if not leaf.startswith("_") and leaf not in handed_on(root, base)
    ]


def render(root: Path) -> dict[str, str]:
    known = packages(root)
    parts = []
    for title, heads in SECTIONS.items():
        names = selected(heads, known, root)
        if names:
            parts.append(f"## {title}\n")
        for name in names:
            label = name.replace(".", "-").replace("_", "-")
            skip = handed_on(root, name.rpartition(".")[0])
            exclude = (
                f"\n   :exclude-members: {', '.join(skip)}"
                if skip and name.count(".") > 1
                else ""
            )
            parts.append(MODULE.format(name=name, label=label, exclude=exclude))
    return {"api.md": "\n".join(parts)}
