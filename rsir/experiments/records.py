"""Measured runs: one JSON record a run, per-query ranks beside it.

A record says what was run, on what code and data, how long it took and
what came out under every tie rule. Records of code or data that have
changed are stale. Nothing here imports PyTorch.
"""

import ast
import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from rsir.evaluation.metrics import KS, TIES, Ranks, recalls_from_ranks
from rsir.models import config
from rsir.utils.errors import RsirError
from rsir.utils.io import atomic_write

PACKAGE = Path(__file__).resolve().parents[1]
#: files, or folders, that do not decide a number; what the toy scenes and a part
#: of a data set are is in the digest of the data
NOT_HASHED = (
    *("cli/", "plots/", "experiments/", "utils/errors.py", "utils/io.py"),
    *("utils/progress.py", "data/catalog.py", "data/download.py", "data/verify.py"),
    *("evaluation/bootstrap.py", "evaluation/compare.py", "data/toy.py"),
    "data/part.py",
)
FIELDS = (
    *"method dataset variant preset seed command commit modules versions".split(),
    *"hardware seconds peak_memory_gb recalls val_mR config created".split(),
)
DATA = "data.yml"
#: method of a record of somebody else's model: nothing was trained, and its
#: config only tells what was scored (`rsir bench`)
BENCH = "bench"


@dataclass(frozen=True)
class Record:
    """A JSON file and its facts, see `FIELDS`; each is an attribute, too."""

    path: Path
    facts: dict

    def __getattr__(self, name: str):
        if name.startswith("__") or name not in self.facts:
            raise AttributeError(name)
        return self.facts[name]

    @property
    def folder(self) -> Path:
        """`results/`, or what stands for it."""
        return self.path.parents[2]

    @property
    def mR(self) -> float:
        """Mean recall, percent, ties at their expectation."""
        return self.facts["recalls"]["expected"]["mR"]

    def ranks(self) -> Ranks:
        """Per-query ranks, for intervals and paired tests."""
        return Ranks.load(self.path.with_suffix(".npz"))

    def stale(self) -> list[str]:
        """What has changed since: files, "config", "data", a re-ranked run.

        ["data"] for a record that does not say on which data it rests.
        """
        if not self.facts.get("data"):
            return ["data"]
        changed = [
            name
            for name, value in self.modules.items()
            if module_hash(name) != value and not name.startswith(NOT_HASHED)
        ]
        if known_data(self.folder).get(self.dataset, self.data) != self.data:
            changed.append("data")
        if self.method != BENCH and self._other_config():
            changed.append("config")
        if rerank := self.facts.get("rerank"):
            ranks = self.path.with_name(rerank["of"] + ".npz")
            if rerank["of_ranks"] != ranks_digest(ranks):
                changed.append(rerank["of"])
        return changed

    def _other_config(self) -> bool:
        """Whether its variant is gone, or has another config now."""
        try:
            now = config(self.method, self.preset, self.variant, seed=self.seed)
        except RsirError:
            return True
        # an option that came later was at its default
        return now.to_dict() != type(now)().to_dict() | self.config


def ranks_digest(path: Path) -> str | None:
    """16 hex digits of the ranks at `path`; None: there are none."""
    return _digest(path.read_bytes()) if path.is_file() else None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def results_dir() -> Path:
    """`results/` of this checkout; RsirError outside of one."""
    folder = PACKAGE.parent / "results"
    if not (folder.parent / "pyproject.toml").is_file():
        raise RsirError(
            f"{folder}: not a checkout of the project; clone it to read or "
            "write records"
        )
    return folder


def read_record(path: str | Path) -> Record:
    """One record; RsirError if it cannot be read or lacks a field."""
    path = Path(path)
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RsirError(f"{path}: not a record ({error})") from error
    missing = [name for name in FIELDS if name not in facts]
    if missing:
        raise RsirError(
            f"{path}: record lacks {', '.join(missing)}; make it again with "
            "rsir reproduce"
        )
    return Record(path, facts)


def load_records(
    method: str | None = None,
    dataset: str | None = None,
    variant: str | None = None,
    folder: str | Path | None = None,
) -> list[Record]:
    """All records that fit, ordered by method, data set, variant, seed.

    folder: None: `results/` of the checkout; of the others None means any.
    """
    folder = Path(folder) if folder else results_dir()
    wanted = {"method": method, "dataset": dataset, "variant": variant}
    return [
        record
        for record in map(read_record, sorted(folder.glob("*/*/*-s*.json")))
        if all(v in (None, record.facts[k]) for k, v in wanted.items())
    ]


def record_path(folder: Path, facts: Mapping) -> Path:
    """Where the record of these facts lies; preset `paper` has names of its own."""
    home = folder / facts["method"] / facts["dataset"]
    paper = "paper-" * (facts["preset"] == "paper")
    return home / f"{paper}{facts['variant']}-s{facts['seed']}.json"


def write_record(facts: dict, ranks: Ranks, folder: Path) -> Path:
    """Write ranks first, then the JSON; both whole or not at all."""
    path = record_path(folder, facts)
    path.parent.mkdir(parents=True, exist_ok=True)
    ranks.save(path.with_suffix(".npz"))
    write_facts(path, facts)
    return path


def write_facts(path: Path, facts: dict) -> None:
    """The JSON of a record alone."""
    with atomic_write(path) as file:
        json.dump(facts, file, indent=1)
        file.write("\n")


def recalls_under_every_rule(ranks: Ranks) -> dict:
    """Recalls and mR per tie rule, rounded to 4 places."""
    found = json.dumps({ties: recalls_from_ranks(ranks, ties, KS) for ties in TIES})
    return json.loads(found, parse_float=lambda text: round(float(text), 4))


# -- data and code that records rest on ---------------------------------


def known_data(folder: Path) -> dict[str, dict]:
    """`data.yml`: digests of the splits last measured, by data set."""
    return _read_yaml(folder / DATA) or {}


def note_data(folder: Path, dataset: str, digests: Mapping[str, str]) -> None:
    """Write the digests of a data set into `data.yml`."""
    table = known_data(folder)
    if table.get(dataset) != digests:
        table = dict(sorted((table | {dataset: dict(digests)}).items()))
        with atomic_write(folder / DATA) as file:
            file.write("# Digests of the lists that the records rest on.\n")
            yaml.safe_dump(table, file)


def declared(
    claim: str, dataset: str, variant: str, folder: str | Path | None = None
) -> str | None:
    """Why a claim is expected to fail for a variant, if it is declared.

    In `declared.yml` of `results/`: entries with `claim` (an id, or our own
    words), `dataset`, `why` and, if not all variants are meant, `variant`.
    """
    folder = Path(folder) if folder else results_dir()
    for entry in _read_yaml(folder / "declared.yml") or []:
        named = entry["claim"], entry["dataset"], entry.get("variant", variant)
        if named == (claim, dataset, variant):
            return " ".join(entry["why"].split())
    return None


def _read_yaml(path: Path):
    return _parsed(path, path.stat().st_mtime_ns) if path.exists() else None


@lru_cache
def _parsed(path: Path, _changed: int):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def used_modules() -> dict[str, str]:
    """Hashes of the files of ours that are loaded now, by their names.

    `__init__` files name things and are left out: what a config holds is
    compared as data.
    """
    names = sorted(name for name in list(sys.modules) if name.startswith("rsir."))
    files = [name[len("rsir.") :].replace(".", "/") + ".py" for name in names]
    hashes = {f: module_hash(f) for f in files if not f.startswith(NOT_HASHED)}
    return {file: value for file, value in hashes.items() if value}


@lru_cache
def module_hash(file: str) -> str | None:
    """Hash of the code in a file of the package; None if it is gone."""
    path = PACKAGE / file
    return code_hash(path.read_text(encoding="utf-8")) if path.is_file() else None


def code_hash(source: str) -> str:
    """First 16 hex digits of the hash of what a source does.

    Prose and layout do not count, nor do imports and the tables PRESETS
    and VARIANTS: a record is compared with its config itself.
    """
    return _digest(repr(_plain(ast.parse(source))).encode())


def _plain(node):
    """A syntax tree as lists, the same under every Python."""
    if isinstance(node, list):
        return [_plain(x) for x in node if not _left_out(x)]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = ((name, _plain(value)) for name, value in ast.iter_fields(node))
    return [type(node).__name__, *(x for x in fields if x[1] not in ([], "None"))]


def _left_out(node) -> bool:
    match node:
        case ast.Import() | ast.ImportFrom() | ast.Expr(ast.Constant(str())):
            return True
        case ast.Assign(targets=names):
            pass
        case ast.AnnAssign(target=name):
            names = [name]
        case _:
            return False
    named = (x.id for x in names if isinstance(x, ast.Name))
    return any(name.endswith(("PRESETS", "VARIANTS")) for name in named)
