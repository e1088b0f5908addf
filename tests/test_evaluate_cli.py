"""`rsir evaluate`: one JSON object, clear errors, no torch."""

import json
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from light import light

from rsir.evaluation import metrics

KEYS = {"i2t", "t2i", "mR", "ties", "n_images", "n_captions", "ci95"}


@pytest.fixture
def run(called):
    return partial(called, "evaluate")


def scores(shape=(12, 60), seed=0):
    return np.random.default_rng(seed).integers(0, 9, shape)


def test_json_is_the_report(run, saved):
    code, out, err = run("--scores", saved("S", scores()), "--json")
    assert code == 0 and err == ""
    answer = json.loads(out)
    assert set(answer) == KEYS
    assert list(answer["i2t"]) == ["R@1", "R@5", "R@10"]
    report = metrics.evaluate(scores()).to_dict()
    assert answer == {key: report[key] for key in KEYS}


def test_owner_ties_and_bootstrap_are_heard(run, saved):
    owner = np.random.default_rng(1).permutation(np.arange(60) % 12)
    code, out, _ = run(
        "--scores",
        saved("S", scores()),
        "--owner",
        saved("O", owner),
        "--ties",
        "pessimistic",
        "--bootstrap",
        0,
        "--json",
    )
    answer = json.loads(out)
    want = metrics.evaluate(scores(), owner, ties="pessimistic", bootstrap=0)
    assert code == 0
    assert answer["ties"] == "pessimistic" and answer["ci95"] is None
    assert answer["mR"] == want.mR
    _, out, _ = run("--scores", saved("S", scores()), "--bootstrap", 9)
    assert out == f"{metrics.evaluate(scores(), bootstrap=9)}\n"


def nan():
    matrix = scores().astype(float)
    matrix[3, 4] = np.nan
    return matrix


@pytest.mark.parametrize(
    "matrix, owner, words",
    [
        (nan(), None, ["S.npy", "NaN", "image 3, caption 4"]),
        (np.zeros(4), None, ["S.npy", "1 axes"]),
        (np.zeros((0, 4)), None, ["S.npy", "empty"]),
        (np.zeros((3, 10)), None, ["S.npy", "dealt evenly", "give owner"]),
        (scores(), np.arange(60), ["O.npy", "0..11"]),
        (scores(), np.zeros(60, int), ["O.npy", "no caption", "image 1"]),
        (scores(), np.zeros(60), ["O.npy", "not integer", "astype"]),
        (scores(), np.zeros(7, int), ["O.npy", "60 columns"]),
        (np.array([[None]]), None, ["S.npy", "pickled", "numpy.save"]),
    ],
)
def test_bad_arrays_end_with_2(run, saved, matrix, owner, words):
    more = [] if owner is None else ["--owner", saved("O", owner)]
    code, out, err = run("--scores", saved("S", matrix), "--json", *more)
    assert code == 2 and out == ""
    assert err.count("\n") == 1
    for word in words:
        assert word in err


def test_bad_files_and_options_end_with_2(run, saved, tmp_path):
    good = saved("S", scores())
    garbage = tmp_path / "garbage.npy"
    garbage.write_bytes(b"not an array")
    empty = tmp_path / "empty.npy"
    empty.write_bytes(b"")
    short = tmp_path / "short.npy"
    short.write_bytes(good.read_bytes()[:-100])
    archive = tmp_path / "archive.npy"
    with open(archive, "wb") as file:
        np.savez(file, a=np.zeros(3))
    for path, word in [
        (garbage, "numpy.save"),
        (empty, "numpy.save"),
        (short, "numpy.save"),
        (archive, ".npz archive"),
        (tmp_path, "folder"),
        (tmp_path / "none.npy", "no such file"),
    ]:
        code, out, err = run("--scores", path)
        assert code == 2 and out == "", path
        assert path.name in err and word in err
        assert "--scores" in err and err.count("\n") == 1
    code, _, err = run("--scores", good, "--ties", "lucky")
    assert code == 2 and "lucky" in err and "pessimistic" in err
    code, _, err = run("--scores", good, "--bootstrap", -3)
    assert code == 2 and "0 or more" in err
    code, _, _ = run()
    assert code == 2


def test_pickles_are_not_run(run, tmp_path):
    witness = tmp_path / "witness"

    class Trap:
        def __reduce__(self):
            return open, (str(witness), "w")

    path = tmp_path / "trap.npy"
    np.save(path, np.array([Trap()], dtype=object))
    code, _, err = run("--scores", path)
    assert code == 2 and "pickled" in err
    assert not witness.exists()


def test_the_module_answers_and_loads_no_torch(saved):
    path = saved("S", scores())
    said = light("evaluate", "--scores", path, "--json")
    assert json.loads(said)["n_captions"] == 60
    bad = subprocess.run(
        [sys.executable, "-m", "rsir", "evaluate", "--scores", "no.npy"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert bad.returncode == 2 and bad.stdout == ""
    assert "no.npy" in bad.stderr and "Traceback" not in bad.stderr
