"""Records: written whole, read with care, stale when code or data change."""

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
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
    with pytest.raises(RsirError, match="none.json: not a record"):
        read_record(tmp_path / "none.json")
    (tmp_path / "half.json").write_text('{"method": ')
    with pytest.raises(RsirError, match="half.json: not a record"):
        read_record(tmp_path / "half.json")


def test_records_are_found_in_order(tmp_path):
    for dataset, variant, seed in (
        ("ucm", "plain", 0),
        ("toy", "wild", 1),
        ("toy", "deep", 0),
        ("toy", "wild", 0),
    ):
        record(tmp_path, "stub", dataset, variant, 1.0, seed)
    folder = tmp_path / "results"
    assert [(r.dataset, r.variant, r.seed) for r in load_records(folder=folder)] == [
        ("toy", "deep", 0),
        ("toy", "wild", 0),
        ("toy", "wild", 1),
        ("ucm", "plain", 0),
    ]
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
    ],
)
def test_what_has_changed_makes_a_record_stale(tmp_path, changes, reasons):
    changes = {"modules": {LOSSES: module_hash(LOSSES)}} | changes
    path = record(tmp_path, "stub", "toy", "plain", 1.0, **changes)
    assert read_record(path).stale() == reasons


def test_a_variant_that_is_no_more_is_stale(tmp_path):
    path = record(tmp_path, "stub", "toy", "plain", 1.0)
    facts = json.loads(path.read_text()) | {"variant": "no-such-one"}
    path.write_text(json.dumps(facts))
    assert read_record(path).stale() == ["config"]


def test_other_data_make_a_record_stale(tmp_path):
    found = read_record(record(tmp_path, "stub", "toy", "plain", 1.0))
    note_data(tmp_path / "results", "ucm", {"train": "x", "val": "y", "test": "z"})
    assert found.stale() == []
    note_data(tmp_path / "results", "toy", found.data)
    assert found.stale() == []
    note_data(tmp_path / "results", "toy", found.data | {"val": "other"})
    assert found.stale() == ["data"]
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


def test_records_are_judged_without_torch():
    code = """
        import json, sys
        class Refuse:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in ("torch", "accelerate", "timm"):
                    raise ImportError(name)
        sys.meta_path.insert(0, Refuse())
        from rsir.experiments import claims, records, tables, trials
        print(sorted({why for r in records.load_records() for why in r.stale()}))
        print(records.module_hash("models/losses.py"))
    """
    code = "\n".join(line[8:] for line in code.splitlines())
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent
    )
    assert done.returncode == 0, done.stderr
    assert module_hash(LOSSES) == done.stdout.split()[-1] and "gone" not in done.stdout


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
    "old, new",
    [
        ('"""A module."""', '"""Another\n\nmodule."""'),
        ("  # for pi", ""),
        ('"""Of a circle."""', '"""The area."""'),
        ("    # an old formula\n", "\n\n    # new\n    # formula\n"),
        ('    """Round."""\n', ""),
        ("r ** 2, text", "(\n        r  **  2), text"),
        ("import math", "import cmath, math"),
        ('"toy": {"lr": 1.0}', '"cpu": {}'),
        ('{"deep": {}}', "{}"),
    ],
)
def test_prose_imports_and_tables_do_not_change_the_hash(old, new):
    assert CODE.count(old) == 1
    assert code_hash(CODE.replace(old, new)) == code_hash(CODE)


@pytest.mark.parametrize(
    "old, new",
    [
        ("r ** 2", "r ** 3"),
        ("sides = 0", "sides = 1"),
        ("'#'", "'##'"),
        ('f"{math', 'f"x{math'),
        ("    return math.pi * r ** 2, text", "    return r"),
        ("    sides = 0", '    sides = "Round."'),
        ("PRESETS", "SETTINGS"),
    ],
)
def test_code_changes_the_hash(old, new):
    assert CODE.count(old) == 1
    assert code_hash(CODE.replace(old, new)) != code_hash(CODE)


def test_the_hash_is_the_same_under_every_python():
    """Syntax trees differ a little from one version to the next."""
    assert code_hash(CODE) == "24fd3b4e754edc2e"
    nested = "f\"{a} {f'{c}'}\" + f'''{d}\n#{e}'''\n"
    assert code_hash(nested) == "db039eb08a1af8c6"


def test_used_modules_are_those_that_decide_numbers():
    code = (
        "import json, rsir.training.trainer, rsir.experiments.run, rsir.cli.train\n"
        "import rsir.experiments.records as r; print(json.dumps(r.used_modules()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=PACKAGE.parent,
        check=True,
    )
    found = json.loads(done.stdout)
    for name in (
        "training/trainer.py",
        "training/batches.py",
        "models/base.py",
        "evaluation/metrics.py",
        "data/split.py",
        "retrieval/rerank.py",
    ):
        assert found[name] == code_hash(Path(PACKAGE / name).read_text())
    for name in found:
        assert not name.startswith(("cli", "experiments", "utils/errors", "plots"))
        assert not name.endswith("__init__.py")
