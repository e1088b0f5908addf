"""Measured runs: one JSON record a run, per-query ranks beside it.

`rsir reproduce` makes them; book and tests read them. A record says
what was run, on what code, how long it took and what came out under
every tie rule. Records of code that has changed since are stale.
"""

import ast
import hashlib
import importlib.util
import io
import json
import sys
import tokenize
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from rsir.evaluation.metrics import KS, TIES, Ranks, recalls_from_ranks
from rsir.models.recipes import recipe
from rsir.utils.errors import RsirError
from rsir.utils.io import atomic_write

#: modules that do not decide a number: registries and presentation
NOT_HASHED = (
    "rsir.models.recipes",
    "rsir.models.registry",
    "rsir.experiments.records",
    "rsir.experiments.run",
    "rsir.experiments.claims",
    "rsir.experiments.claims",
    "rsir.plots.core",
    "rsir.utils.progress",
    "rsir.utils.errors",
    "rsir.cli",
    "rsir.data.catalog",
    "rsir.data.download",
    "rsir.data.download",
    "rsir.data.download",
    "rsir.data.verify",
    "rsir.evaluation.bootstrap",
)

FIELDS = (
    "method",
    "dataset",
    "row",
    "preset",
    "seed",
    "command",
    "commit",
    "modules",
    "versions",
    "hardware",
    "seconds",
    "peak_memory_gb",
    "recalls",
    "val_mR",
    "config",
    "created",
)


@dataclass(frozen=True)
class Record:
    """A record and the place it was read from.

    Attributes:
        path: of the JSON file.
        facts: its content, see `FIELDS`.
    """

    path: Path
    facts: dict

    def __getattr__(self, name: str):
        if name.startswith("__") or name not in self.facts:
            raise AttributeError(name)
        return self.facts[name]

    @property
    def mR(self) -> float:
        """Mean recall, percent, ties at their expectation."""
        return self.facts["recalls"]["expected"]["mR"]

    def ranks(self) -> Ranks:
        """Per-query ranks, for intervals and paired tests."""
        return Ranks.load(self.path.with_suffix(".npz"))

    def stale(self) -> list[str]:
        """What has changed since: modules, or the recipe; else []."""
        changed = [
            name
            for name, value in self.facts["modules"].items()
            if module_hash(name) != value
        ]
        try:
            asked = recipe(self.method, self.preset, self.row, seed=self.seed)
        except RsirError:
            return [*changed, "recipe"]
        rerank = self.facts.get("rerank")
        if rerank and rerank["of_ranks"] != ranks_digest(
            self.path.with_name(rerank["of"] + ".npz")
        ):
            changed.append(rerank["of"])
        # an option that came later was at its default
        then = type(asked)().to_dict() | self.facts["config"]
        if _plain(asked.to_dict()) != _plain(then):
            changed.append("recipe")
        return changed


def ranks_digest(path: Path) -> str | None:
    """16 hex digits of the ranks at `path`; None: there are none."""
    if not path.is_file():
        return None
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _plain(value):
    """As JSON has it: tuples are lists."""
    return json.loads(json.dumps(value))


def results_dir() -> Path:
    """`results/` of this checkout.

    Raises:
        RsirError: if the package is not run from a checkout.
    """
    folder = Path(__file__).resolve().parents[2] / "results"
    if not (folder.parent / "pyproject.toml").is_file():
        raise RsirError(
            f"{folder}: not a checkout of the project; clone it to "
            "read or write records"
        )
    return folder


def read_record(path: str | Path) -> Record:
    """One record.

    Raises:
        RsirError: if it cannot be read or lacks a field.
    """
    path = Path(path)
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RsirError(f"{path}: not a record ({error})") from error
    missing = [name for name in FIELDS if name not in facts]
    if missing:
        raise RsirError(
            f"{path}: record lacks {', '.join(missing)}; make it again "
            "with rsir reproduce"
        )
    return Record(path, facts)


def load_records(
    method: str | None = None,
    dataset: str | None = None,
    row: str | None = None,
    folder: str | Path | None = None,
) -> list[Record]:
    """All records that fit, ordered by method, data set, row, seed.

    Args:
        method, dataset, row: None means any.
        folder: None: `results/` of the checkout.
    """
    folder = Path(folder) if folder else results_dir()
    records = [read_record(path) for path in sorted(folder.glob("*/*/*-s*.json"))]
    wanted = {"method": method, "dataset": dataset, "row": row}
    return [
        r
        for r in records
        if all(v is None or r.facts[k] == v for k, v in wanted.items())
    ]


def write_record(facts: dict, ranks: Ranks, folder: Path) -> Path:
    """Write ranks first, then the JSON; both whole or not at all."""
    home = folder / facts["method"] / facts["dataset"]
    home.mkdir(parents=True, exist_ok=True)
    path = home / f"{facts['row']}-s{facts['seed']}.json"
    ranks.save(path.with_suffix(".npz"))
    with atomic_write(path) as file:
        json.dump(facts, file, indent=1)
        file.write("\n")
    return path


def recalls_under_every_rule(ranks: Ranks) -> dict:
    """Recalls and mR per tie rule, rounded to 4 places."""

    def rounded(value):
        if isinstance(value, dict):
            return {k: rounded(v) for k, v in value.items()}
        return round(float(value), 4)

    return {ties: rounded(recalls_from_ranks(ranks, ties, KS)) for ties in TIES}


def summary(records: list[Record]) -> dict:
    """Mean, standard deviation and number of runs of the mR."""
    values = np.array([r.mR for r in records])
    return {
        "mean": float(values.mean()),
        "n": len(values),
        "std": float(values.std(ddof=1)) if len(values) > 1 else None,
    }


def on_validation(records: list[Record]) -> dict:
    """What val said about runs: their mR there, and what it chose.

    Returns:
        "val" (the mean of the lists' mR); of runs that re-score also
        "won on val" (what that added there) and "k, of m": how far
        down each run reads, and how much of the reading counts.
    """
    chosen = [
        r.facts["rescored"] for r in records if "tried" in r.facts.get("rescored", {})
    ]
    tried = [[row["mR"] for row in one["tried"]] for one in chosen]
    return {
        "val": float(np.mean([r.facts["val_mR"] for r in records])),
        "won on val": float(np.mean([max(x) - x[0] for x in tried])) if tried else None,
        "k, of m": "; ".join(
            f"{one['k']}, {100 * one['reading']:.0f} %" for one in chosen
        )
        or None,
    }


def declarations(folder: str | Path | None = None) -> list[dict]:
    """`results/declared.yml`: failures that are expected, and why.

    A list of entries with `claim` (an id, or our own words),
    `dataset`, `why` and, if not all rows are meant, `row`.
    """
    import yaml

    path = (Path(folder) if folder else results_dir()) / "declared.yml"
    if not path.exists():
        return []
    return yaml.safe_load(path.read_text(encoding="utf-8")) or []


def declared(
    claim: str, dataset: str, row: str, folder: str | Path | None = None
) -> str | None:
    """Why a claim is expected to fail for a row, if it is declared."""
    for entry in declarations(folder):
        named = entry["claim"], entry["dataset"], entry.get("row", row)
        if named == (claim, dataset, row):
            return " ".join(entry["why"].split())
    return None


# -- which code was used ----------------------------------------------


def used_modules() -> dict[str, str]:
    """Hashes of the modules of ours that are loaded now.

    Packages (`__init__`) only register names and are left out.
    """
    names = sorted(
        name
        for name, module in sys.modules.items()
        if name.startswith("rsir.")
        and not hasattr(module, "__path__")
        and not name.startswith(NOT_HASHED)
    )
    return {name: module_hash(name) for name in names}


@lru_cache(maxsize=None)
def module_hash(name: str) -> str | None:
    """Hash of a module's code; prose in it does not count.

    Comments and docstrings are left out, so that a better sentence
    does not make a record stale. None if the module is gone.
    """
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None
    if spec is None or spec.origin is None:
        return None
    return code_hash(Path(spec.origin).read_text(encoding="utf-8"))


def code_hash(source: str) -> str:
    """First 16 hex digits of the hash of the code without prose."""
    skip = set()  # (line, column) where a docstring begins
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        if (
            isinstance(body, list)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
            and isinstance(body[0].value.value, str)
        ):
            skip.add((body[0].lineno, body[0].col_offset))
    digest = hashlib.sha256()
    for token in _tokens(source):
        if token.type == tokenize.INDENT:
            digest.update(b"\0indent")
        elif (
            token.type not in (tokenize.COMMENT, tokenize.NL)
            and token.start not in skip
        ):
            digest.update(b"\0" + token.string.strip().encode())
    return digest.hexdigest()[:16]


def _tokens(source: str):
    """Tokens of a source, the same under every Python.

    Python 3.12 and later part an f-string into tokens of its own;
    here it is one token, as before. (`ast.unparse`, which would be
    shorter, writes other quotes under each version.)
    """
    begin = getattr(tokenize, "FSTRING_START", None)
    end = getattr(tokenize, "FSTRING_END", None)
    lines = source.splitlines(keepends=True)
    depth, first = 0, (0, 0)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == begin:
            first = first if depth else token.start
            depth += 1
        elif token.type == end:
            depth -= 1
            if depth == 0:
                (row, left), (last, right) = first, token.end
                text = "".join(lines[row - 1 : last])
                right -= len(lines[last - 1])
                yield token._replace(
                    type=tokenize.STRING,
                    start=first,
                    string=text[left : right or None],
                )
        elif depth == 0:
            yield token
