"""Records: written whole, read with care, stale when code changes."""

import copy
import json
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from rsir.evaluation.metrics import TIES, ranks, recalls_from_ranks
from rsir.experiments import records
from rsir.experiments.records import (
    FIELDS,
    code_hash,
    load_records,
    read_record,
    recalls_under_every_rule,
    summary,
    used_modules,
    write_record,
)
from rsir.models.recipes import recipe
from rsir.utils.errors import RsirError


@pytest.fixture
def some_ranks():
    scores = np.random.default_rng(0).normal(size=(9, 18)).round(1)
    return ranks(scores, np.repeat(np.arange(9), 2))


@pytest.fixture
def facts(some_ranks):
    return {
        "method": "linear", "dataset": "toy", "row": "linear",
        "preset": "toy", "seed": 1, "command": "rsir reproduce linear",
        "commit": "0" * 40,
        "modules": {"rsir.models.losses": records.module_hash("rsir.models.losses")},
        "versions": {}, "hardware": {}, "seconds": {"total": 1.0},
        "peak_memory_gb": 1.0, "val_mR": 1.0,
        "recalls": recalls_under_every_rule(some_ranks),
        "config": json.loads(json.dumps(
            recipe("linear", "toy", "linear", seed=1).to_dict())),
        "created": "2026-01-01",
    }  # fmt: skip


def test_what_is_written_is_read(facts, some_ranks, tmp_path):
    path = write_record(facts, some_ranks, tmp_path)
    assert path == tmp_path / "linear" / "toy" / "linear-s1.json"
    record = read_record(path)
    assert record.facts == facts and record.seed == 1
    assert record.mR == facts["recalls"]["expected"]["mR"]
    for ties in TIES:
        again = recalls_from_ranks(record.ranks(), ties, (1, 5, 10))
        assert again["mR"] == pytest.approx(facts["recalls"][ties]["mR"], abs=1e-4)
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "linear-s1.json",
        "linear-s1.npz",
    ]


def test_a_record_can_be_copied_and_asked(facts, some_ranks, tmp_path):
    record = read_record(write_record(facts, some_ranks, tmp_path))
    for twin in (copy.deepcopy(record), pickle.loads(pickle.dumps(record))):
        assert twin.facts == record.facts and twin.row == "linear"
    with pytest.raises(AttributeError, match="colour"):
        record.colour
    assert not hasattr(record, "_repr_html_")


@pytest.mark.parametrize("field", FIELDS)
def test_a_missing_field_is_named(facts, some_ranks, tmp_path, field):
    path = write_record(facts, some_ranks, tmp_path)
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


def test_records_are_found_in_order(facts, some_ranks, tmp_path):
    for row, seed in (("b", 1), ("a", 0), ("b", 0)):
        write_record(facts | {"row": row, "seed": seed}, some_ranks, tmp_path)
    write_record(facts | {"dataset": "ucm"}, some_ranks, tmp_path)
    every = load_records(folder=tmp_path)
    assert [(r.dataset, r.row, r.seed) for r in every] == [
        ("toy", "a", 0),
        ("toy", "b", 0),
        ("toy", "b", 1),
        ("ucm", "linear", 1),
    ]
    assert len(load_records("linear", "toy", "b", folder=tmp_path)) == 2
    assert load_records("galr", folder=tmp_path) == []


def test_what_val_chose_is_told_of_runs_that_chose(facts, some_ranks, tmp_path):
    for seed, k in ((0, 4), (1, 8)):
        write_record(
            facts
            | {
                "seed": seed,
                "val_mR": 10.0 + seed,
                "rescored": {
                    "k": k,
                    "reading": 0.25,
                    "tried": [{"mR": 10.0}, {"mR": 11.0 + seed}],
                },
            },
            some_ranks,
            tmp_path,
        )
    runs = load_records(folder=tmp_path)
    assert records.on_validation(runs) == {
        "val": 10.5,
        "won on val": 1.5,
        "k, of m": "4, 25 %; 8, 25 %",
    }
    write_record(facts, some_ranks, tmp_path / "plain")
    plain = records.on_validation(load_records(folder=tmp_path / "plain"))
    assert plain == {"val": 1.0, "won on val": None, "k, of m": None}


def test_summary_of_seeds(facts, some_ranks, tmp_path):
    values = [10.0, 12.0, 17.0]
    for seed, mR in enumerate(values):
        facts["recalls"]["expected"]["mR"] = mR
        write_record(facts | {"seed": seed}, some_ranks, tmp_path)
    found = summary(load_records(folder=tmp_path))
    assert found == {
        "mean": pytest.approx(13),
        "n": 3,
        "std": pytest.approx(np.std(values, ddof=1)),
    }
    assert summary(load_records(folder=tmp_path)[:1])["std"] is None


def test_changed_code_or_recipe_makes_a_record_stale(facts, some_ranks, tmp_path):
    def stale(**changes):
        path = write_record(facts | changes, some_ranks, tmp_path)
        return read_record(path).stale()

    assert stale() == []
    assert stale(modules={"rsir.models.losses": "0" * 16}) == ["rsir.models.losses"]
    assert stale(modules={"rsir.gone": "0" * 16}) == ["rsir.gone"]
    assert stale(modules={"rsir.gone.far": "0"}) == ["rsir.gone.far"]
    other = facts["config"] | {"lr": 0.5}
    assert stale(config=other) == ["recipe"]
    assert stale(row="no-such-row") == ["recipe"]


# -- the hash of code -------------------------------------------------

CODE = '''
"""A module."""
import math  # for pi


def area(r):
    """Of a circle."""
    # an old formula
    text = f"{math.pi:.{2}f} {'#' + str(r)}"
    return math.pi * r ** 2, text


class Circle:
    """Round."""
    sides = 0
'''


@pytest.mark.parametrize("old, new", [
    ('"""A module."""', '"""Another\n\nmodule."""'),
    ("  # for pi", ""),
    ('"""Of a circle."""', '"""The area."""'),
    ("    # an old formula\n", "\n\n    # new\n    # formula\n"),
    ('"""Round."""', '"""Rounder."""'),
    ("r ** 2, text", "r  **  2,  text"),
])  # fmt: skip
def test_prose_does_not_change_the_hash(old, new):
    assert CODE.count(old) == 1
    assert code_hash(CODE.replace(old, new)) == code_hash(CODE)


@pytest.mark.parametrize("old, new", [
    ("r ** 2", "r ** 3"),
    ("sides = 0", "sides = 1"),
    ("'#'", "'##'"),
    ("f\"{math", "f\"x{math"),
    ("import math", "import cmath"),
    ("    return math.pi * r ** 2, text", "    return r"),
    ('    sides = 0', '    sides = "Round."'),
])  # fmt: skip
def test_code_changes_the_hash(old, new):
    assert CODE.count(old) == 1
    assert code_hash(CODE.replace(old, new)) != code_hash(CODE)


def test_blocks_count_though_spaces_do_not():
    inside = "for i in a:\n    b()\n    c()\n"
    outside = "for i in a:\n    b()\nc()\n"
    assert code_hash(inside) != code_hash(outside)
    assert code_hash(inside) == code_hash(inside.replace("    ", "  "))


def test_the_hash_is_the_same_under_every_python():
    """Python 3.12 splits f-strings into tokens, 3.11 does not."""
    assert code_hash(CODE) == "1291fff6ea16d2d4"
    nested = "f\"{a:{b}} {f'{c}'}\" + f'''{d}\n#{e}'''\n"
    assert code_hash(nested) == "91db600788c7ef56"


def test_used_modules_are_those_that_decide_numbers():
    code = textwrap.dedent("""
        import json, sys, rsir.training.trainer, rsir.experiments.run
        import rsir.cli.train
        import rsir.models.amfmn
        from rsir.experiments.records import used_modules
        print(json.dumps(used_modules()))
    """)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=Path(__file__).resolve().parent.parent,
        check=True,
    )
    found = json.loads(done.stdout)
    for name in (
        "train",
        "losses",
        "metrics",
        "batches",
        "data.text",
        "data.split",
        "models.amfmn",
        "layers.mvsa",
        "encoders.image",
    ):
        path = Path(records.__file__).parent / (name.replace(".", "/") + ".py")
        assert found[f"rsir.{name}"] == code_hash(path.read_text())
    for name in (
        "cli.train",
        "recipes",
        "records",
        "reproduce",
        "progress",
        "errors",
        "models.registry",
        "models.galr",
    ):
        assert f"rsir.{name}" not in found
    assert used_modules().items() <= used_modules().items()
