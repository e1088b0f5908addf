"""Records: written whole, read with care, stale when code or data change."""

import copy
import json
import pickle

import pytest
from alone import alone
from result_samples import record
from tiny import stub  # noqa: F401

from rsir.evaluation.metrics import TIES, recalls_from_ranks
from rsir.experiments import records
from rsir.experiments.records import (
    FIELDS,
    PACKAGE,
    code_hash,
    load_records,
    module_hash,
    note_data,
    read_record,
)
from rsir.utils.errors import RsirError

pytestmark = pytest.mark.usefixtures("stub")


def test_what_is_written_is_read(tmp_path):
    path = record(tmp_path, "stub", "toy", "plain", 1.0, seed=1)
    assert path == tmp_path / "results" / "stub" / "toy" / "plain-s1.json"
    found = read_record(path)
    assert found.seed == 1 and found.folder == tmp_path / "results"
    assert found.mR == found.recalls["expected"]["mR"]
    for ties in TIES:
        again = recalls_from_ranks(found.ranks(), ties, (1, 5, 10))
        assert again["mR"] == pytest.approx(found.recalls[ties]["mR"], abs=1e-4)
    assert len(list(path.parent.iterdir())) == 2
    for twin in (copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert twin.facts == found.facts and twin.variant == "plain"
    with pytest.raises(AttributeError, match="colour"):
        found.colour
    assert not hasattr(found, "_repr_html_")


@pytest.mark.parametrize("field", FIELDS)
def test_a_missing_field_is_named(tmp_path, field):
    path = record(tmp_path, "stub", "toy", "plain", 1.0)
    facts = json.loads(path.read_text())
    del facts[field]
    path.write_text(json.dumps(facts))
    with pytest.raises(RsirError, match=f"lacks {field};"):
        read_record(path)


def test_what_is_no_record_is_named(tmp_path):
    (tmp_path / "half.json").write_text('{"method": ')
    for name in ("none", "half"):
        with pytest.raises(RsirError, match=f"{name}.json: not a record"):
            read_record(tmp_path / f"{name}.json")


def test_records_are_found_in_order(tmp_path):
    wanted = [("toy", "deep", 0), ("toy", "wild", 0), ("toy", "wild", 1)]
    wanted += [("ucm", "plain", 0)]
    for dataset, variant, seed in reversed(wanted):
        record(tmp_path, "stub", dataset, variant, 1.0, seed)
    folder = tmp_path / "results"
    found = [(r.dataset, r.variant, r.seed) for r in load_records(folder=folder)]
    assert found == wanted
    assert len(load_records("stub", "toy", "wild", folder=folder)) == 2
    assert load_records("galr", folder=folder) == []


# -- stale -------------------------------------------------------------

LOSSES = "models/losses.py"


@pytest.mark.parametrize(
    "changes, reasons",
    [
        ({}, []),
        ({"modules": {LOSSES: "0" * 16}}, [LOSSES]),
        ({"modules": {"gone.py": "0"}}, ["gone.py"]),
        ({"config": {"method": "stub", "lr": 0.5}}, ["config"]),
        # an option that came later was at its default
        ({"config": {"method": "stub", "lr": 3e-3}}, []),
        ({"data": None, "modules": {"gone.py": "0"}}, ["data"]),
        # a variant that is no more
        ({"variant": "no-such-one"}, ["config"]),
    ],
)
def test_what_has_changed_makes_a_record_stale(tmp_path, changes, reasons):
    changes = {"modules": {LOSSES: module_hash(LOSSES)}} | changes
    path = record(tmp_path, "stub", "toy", "plain", 1.0)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    assert read_record(path).stale() == reasons


def test_other_data_make_a_record_stale(tmp_path):
    found = read_record(record(tmp_path, "stub", "toy", "plain", 1.0))
    for dataset, change, reasons in (
        ("ucm", {"val": "y"}, []),
        ("toy", {}, []),
        ("toy", {"val": "other"}, ["data"]),
    ):
        note_data(tmp_path / "results", dataset, found.data | change)
        assert found.stale() == reasons
    table = records.known_data(tmp_path / "results")
    assert list(table) == ["toy", "ucm"] and table["ucm"]["val"] == "y"


def test_a_rerank_is_stale_with_its_run(tmp_path):
    run = record(tmp_path, "stub", "toy", "plain", 1.0)
    digest = records.ranks_digest(run.with_suffix(".npz"))
    rerank = {"of": "plain-s0", "of_ranks": digest}
    path = record(tmp_path, "stub", "toy", "plain+mr", 2.0, rerank=rerank)
    assert read_record(path).stale() == []
    record(tmp_path, "stub", "toy", "plain", 1.5)
    assert read_record(path).stale() == ["plain-s0"]


WITHOUT_TORCH = """
import sys
for name in ("torch", "accelerate", "timm"):
    sys.modules[name] = None
from rsir.experiments import claims, records, tables, trials
print(*{why for r in records.load_records() for why in r.stale()})
print(records.module_hash("models/losses.py"))
"""


def test_records_are_judged_without_torch():
    said = alone("-c", WITHOUT_TORCH)
    assert module_hash(LOSSES) == said.split()[-1] and "gone" not in said


# -- the hash of code -------------------------------------------------

CODE = '''
"""A module."""
import math  # for pi

PRESETS = {"toy": {"lr": 1.0}}
DEEP_VARIANTS: dict = {"deep": {}}


def area(r):
    """Of a circle."""
    # an old formula
    text = f"{math.pi:.{2}f} {'#' + str(r)}"
    return math.pi * r ** 2, text


class Circle:
    """Round."""
    sides = 0
'''


@pytest.mark.parametrize(
    "old, new, equal",
    [
        ('"""A module."""', '"""Another\n\nmodule."""', True),
        ("  # for pi", "", True),
        ('"""Of a circle."""', '"""The area."""', True),
        ("    # an old formula\n", "\n\n    # new\n    # formula\n", True),
        ('    """Round."""\n', "", True),
        ("r ** 2, text", "(\n        r  **  2), text", True),
        ("import math", "import cmath, math", True),
        ('"toy": {"lr": 1.0}', '"cpu": {}', True),
        ('{"deep": {}}', "{}", True),
        ("r ** 2", "r ** 3", False),
        ("sides = 0", "sides = 1", False),
        ("'#'", "'##'", False),
        ('f"{math', 'f"x{math', False),
        ("    return math.pi * r ** 2, text", "    return r", False),
        ("    sides = 0", '    sides = "Round."', False),
        ("PRESETS", "SETTINGS", False),
    ],
)
def test_code_changes_the_hash_and_prose_imports_and_tables_do_not(old, new, equal):
    assert CODE.count(old) == 1
    assert (code_hash(CODE.replace(old, new)) == code_hash(CODE)) == equal


def test_the_hash_is_the_same_under_every_python():
    """Syntax trees differ a little from one version to the next."""
    assert code_hash(CODE) == "24fd3b4e754edc2e"
    nested = "f\"{a} {f'{c}'}\" + f'''{d}\n#{e}'''\n"
    assert code_hash(nested) == "db039eb08a1af8c6"


USED = """
import json, rsir.training.trainer, rsir.experiments.run, rsir.cli.train
import rsir.experiments.records as r
print(json.dumps(r.used_modules()))
"""


def test_used_modules_are_those_that_decide_numbers():
    found = json.loads(alone("-c", USED))
    rooms = "training/trainer training/batches models/base evaluation/metrics"
    for name in f"{rooms} data/split retrieval/rerank".split():
        assert found[f"{name}.py"] == code_hash((PACKAGE / f"{name}.py").read_text())
    for name in found:
        assert not name.startswith(("cli", "experiments", "utils/errors", "plots"))
        assert not name.endswith("__init__.py")
