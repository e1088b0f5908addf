"""`rsir evaluate`: one JSON object, clear errors, no torch."""

import json
import re
import shlex
from functools import partial

import numpy as np
import pytest
import safetensors.numpy
import scipy.io
from light import light

from rsir.evaluation.metrics import evaluate

KEYS = {"i2t", "t2i", "mR", "ties", "n_images", "n_captions", "ci95"}


@pytest.fixture
def run(called):
    return partial(called, "evaluate")


@pytest.fixture
def refused(run):
    """Run it; it must end with 2, print nothing, and say one line."""

    def call(*words):
        code, out, err = run(*words)
        assert code == 2 and out == "" and err.count("\n") == 1
        return err

    return call


def scores(shape=(12, 60), seed=0):
    return np.random.default_rng(seed).integers(0, 9, shape)


def test_json_is_the_report(run, saved):
    code, out, err = run("--scores", saved("S", scores()), "--json")
    assert code == 0 and err == ""
    answer = json.loads(out)
    assert set(answer) == KEYS
    assert list(answer["i2t"]) == ["R@1", "R@5", "R@10"]
    report = evaluate(scores()).to_dict()
    assert answer == {key: report[key] for key in KEYS}


def test_every_option_is_heard(run, saved, tmp_path):
    owner = np.random.default_rng(1).permutation(np.arange(60) % 12)
    files = ["--scores", saved("S", scores()), "--owner", saved("O", owner)]
    more = ["--ties", "pessimistic", "--bootstrap", 0, "--json"]
    answer = json.loads(run(*files, *more)[1])
    want = evaluate(scores(), owner, ties="pessimistic", bootstrap=0)
    assert answer["ties"] == "pessimistic" and answer["ci95"] is None
    assert answer["mR"] == want.mR
    other = saved("T", scores(seed=2))
    code, out, _ = run(*files, "--scores-t2i", other, "--bootstrap", 9, "--seed", 3)
    want = evaluate(scores(), owner, scores_t2i=np.load(other), bootstrap=9, seed=3)
    assert code == 0 and out == f"{want}\n"
    texts = [f"text {j % 20}\u2028" for j in range(60)]
    (tmp_path / "C.txt").write_text("\ufeff" + "\n".join(texts) + "\n", "utf-8")
    words = [*files, "--captions", tmp_path / "C.txt", "--gallery", "deduplicated"]
    answer = json.loads(run(*words, "--json")[1])
    want = evaluate(scores(), owner, captions=texts, gallery="deduplicated")
    assert answer["gallery"] == "deduplicated"
    assert (answer["mR"], answer["n_captions"]) == (want.mR, want.n_captions)


def test_notes_are_in_both_forms(run, saved):
    owner = np.repeat(np.arange(40), 5)
    distances = 3 - 4 * (owner == np.arange(50)[:, None])
    files = ["--scores", saved("S", distances), "--owner", saved("O", owner)]
    notes = json.loads(run(*files, "--json")[1])["notes"]
    assert "10 of 50 images have no caption" in notes[0] and "below chance" in notes[1]
    text = run(*files)[1].splitlines()
    assert text[-2:] == [f"note: {note}" for note in notes]


def nan():
    matrix = scores().astype(float)
    matrix[3, 4] = np.nan
    return matrix


@pytest.mark.parametrize(
    "matrix, owner, words",
    [
        (nan(), None, ["S.npy", "NaN", "image 3, caption 4"]),
        (np.zeros(4), None, ["S.npy", "1 axes"]),
        (np.zeros((3, 10)), None, ["S.npy", "dealt evenly", "give owner"]),
        (np.repeat(scores(), 5, axis=0), None, ["S.npy", "groups of 5", "scores[::5]"]),
        (scores(), np.arange(60), ["O.npy", "0..11"]),
        (scores(), np.zeros(60), ["O.npy", "not integer", "owner.astype(int)"]),
        (scores(), np.zeros(7, int), ["O.npy", "60 columns"]),
        (np.array([[None]]), None, ["S.npy", "pickled", "numpy.save"]),
    ],
)
def test_bad_arrays_end_with_2(refused, saved, matrix, owner, words):
    more = [] if owner is None else ["--owner", saved("O", owner)]
    said = refused("--scores", saved("S", matrix), "--json", *more)
    for word in words:
        assert word in said


@pytest.fixture
def files(saved, tmp_path):
    """The folder of some good and bad files, by what makes them bad."""
    good = saved("S", scores()).read_bytes()
    for name, data in {
        "short.npy": good[:-100],
        "garbage.npy": b"\xfe\xff\x00",
        "empty.npy": b"",
        "two.txt": b"one text\nand another\n",
        "latin.txt": b"\xff\xfe",
    }.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


@pytest.mark.parametrize(
    "words, said",
    [
        ("garbage.npy", "garbage.npy: --scores: is of an unknown kind"),
        ("empty.npy", "empty.npy: --scores: is empty"),
        ("short.npy", "short.npy: --scores: is damaged"),
        ("two.txt", "two.txt: --scores: is a text without numbers"),
        (".", "--scores: is a folder"),
        ("none.npy", "none.npy: --scores: no such file"),
        ("S.npy --ties lucky", "pessimistic"),
        ("S.npy --bootstrap -3", "0 or more"),
        ("S.npy --captions two.txt", "give both"),
        ("S.npy --gallery deduplicated", "--captions C.txt"),
        ("S.npy --gallery deduplicated --captions two.txt", "2 texts for 60"),
        ("S.npy --gallery deduplicated --captions latin.txt", "latin.txt is not UTF-8"),
    ],
)
def test_bad_files_and_options_end_with_2(refused, files, monkeypatch, words, said):
    monkeypatch.chdir(files)
    assert said in refused("--scores", *words.split())


# ---- other files: the remedy that is named works -----------------------


def of_torch(path, array, **options):
    import torch

    torch.save(torch.tensor(array).requires_grad_(), path, **options)


def of_npz(path, array):
    with open(path, "wb") as file:
        np.savez(file, sims=array, other=array[:1])


def of_json(path, array):
    path.write_text(json.dumps(array.tolist()))


def of_safetensors(path, array):
    safetensors.numpy.save_file({"NAME": array}, path)


LEGACY = {"_use_new_zipfile_serialization": False}
COMMA = {"delimiter": ",", "comments": ""}
TAB = {"delimiter": "\t", "comments": "", "header": "a\tb"}
OTHER = [
    ("s.pt", of_torch, "a PyTorch file"),
    ("s.pth", partial(of_torch, **LEGACY), "a PyTorch file"),
    ("s.npz", of_npz, "an .npz archive (sims, other)"),
    ("s.npy", of_npz, "an .npz archive (sims, other)"),
    ("s.mat", lambda p, a: scipy.io.savemat(p, {"NAME": a}), "a MATLAB file"),
    ("s.safetensors", of_safetensors, "a safetensors file"),
    ("s.pkl", lambda p, a: a.dump(p), "a pickle, which can run any code"),
    ("s.json", of_json, "a JSON file"),
    ("s.txt", np.savetxt, "a text file"),
    ("s.csv", partial(np.savetxt, **COMMA), "a text file"),
    ("s.tsv", partial(np.savetxt, **TAB), "a text file"),
]


@pytest.mark.parametrize("name, write, kind", OTHER)
def test_other_files_are_named_and_the_remedy_works(
    refused, run, tmp_path, name, write, kind
):
    matrix = scores().astype(float) + 0.5
    write(tmp_path / name, matrix)
    said = refused("--scores", tmp_path / name)
    assert f"{name}: --scores: is {kind}" in said
    answer = json.loads(run("--scores", follow(said), "--json")[1])
    assert answer["mR"] == evaluate(matrix).mR


@pytest.mark.parametrize(
    "name, write",
    [
        ("o.txt", partial(np.savetxt, fmt="%d")),
        ("o.csv", partial(np.savetxt, header="owner", comments="")),  # 0.0000e+00
        ("o.pt", lambda p, a: of_torch(p, a * 1.0)),
        ("o.json", of_json),
    ],
)
def test_owner_files_of_other_kinds(refused, run, saved, tmp_path, name, write):
    owner = np.arange(60) % 12
    write(tmp_path / name, owner)
    files = ["--scores", saved("S", scores())]
    made = follow(refused(*files, "--owner", tmp_path / name))
    answer = json.loads(run(*files, "--owner", made, "--json")[1])
    assert answer["mR"] == evaluate(scores(), owner).mR


def follow(said):
    """Run the command that an error names; the file that it makes."""
    (command,) = re.findall(r'python -c ".*"$', said.strip())
    code = shlex.split(command)[-1]
    exec(code, {})
    return re.findall(r"numpy\.save\('(.*?)'", code)[0]


def test_pickles_are_not_run(refused, tmp_path):
    witness = tmp_path / "witness"

    class Trap:
        def __reduce__(self):
            return open, (str(witness), "w")

    trap = np.array([Trap()], dtype=object)
    np.save(tmp_path / "trap.npy", trap)
    trap.dump(tmp_path / "trap.pkl")
    assert "pickled" in refused("--scores", tmp_path / "trap.npy")
    assert "only if you trust it" in refused("--scores", tmp_path / "trap.pkl")
    assert not witness.exists()


def test_the_module_answers_and_loads_no_torch(saved):
    said = light("evaluate", "--scores", saved("S", scores()), "--json")
    assert json.loads(said)["n_captions"] == 60
