"""`rsir rerank`: same shape out, clear errors, no torch."""

import numpy as np
import pytest
from light import light

from rsir.retrieval.rerank import multivariate_rerank, ppsr


@pytest.fixture
def run(called, tmp_path):
    """Run it with the scores; (code, stdout, stderr), --out is R.npy."""

    def call(matrix, *words):
        np.save(tmp_path / "S.npy", matrix)
        files = ["--scores", tmp_path / "S.npy", "--out", tmp_path / "R.npy"]
        return called("rerank", *files, *words)

    return call


def scores(shape=(12, 60), seed=0):
    return np.random.default_rng(seed).random(shape)


MR = ["--method", "mr", "--direction", "i2t"]
PPSR = ["--method", "ppsr"]
ALL = "--k 11 --w-sig 0.5 --w-rev 0.9 --xi 0.1 --as figure".split()


FIGURE = {"k": 11, "w_sig": 0.5, "w_rev": 0.9, "xi": 0.1, "style": "figure"}


@pytest.mark.parametrize("direction", ["i2t", "t2i"])
@pytest.mark.parametrize(
    "words, options", [([], {}), (["--as", "released"], {}), (ALL, FIGURE)]
)
def test_mr_is_the_function(run, tmp_path, direction, words, options):
    code, said, err = run(scores(), *MR[:3], direction, *words)
    assert code == 0 and err == "" and "R.npy" in said and "12 x 60" in said
    got = np.load(tmp_path / "R.npy")
    assert got.dtype == np.float32 and got.shape == (12, 60)
    assert np.array_equal(got, multivariate_rerank(scores(), direction, **options))


@pytest.mark.parametrize(
    "k, more", [(10, []), (3, ["--k", 3]), (10, ["--direction", "t2i"])]
)
def test_ppsr_is_the_function(run, tmp_path, k, more):
    hamming = -np.random.default_rng(1).integers(0, 9, (12, 60))
    code, _, err = run(hamming, *PPSR, *more)
    assert code == 0 and err == ""
    assert np.array_equal(np.load(tmp_path / "R.npy"), ppsr(hamming, k=k))


@pytest.mark.parametrize("direction, shape", [("i2t", (30, 60)), ("t2i", (12, 30))])
def test_a_bank_is_heard(run, saved, tmp_path, direction, shape):
    bank = scores(shape, 1)
    name = "image_bank" if direction == "i2t" else "caption_bank"
    wanted = {
        "mr": multivariate_rerank(scores(), direction, bank=bank),
        "ppsr": ppsr(scores(), **{name: bank}),
    }
    for method, want in wanted.items():
        words = ["--method", method, "--direction", direction]
        assert run(scores(), *words, "--bank", saved("B", bank))[0] == 0
        assert np.array_equal(np.load(tmp_path / "R.npy"), want)


def test_the_input_may_be_the_output(called, saved):
    path = saved("S", scores())
    assert called("rerank", *PPSR, "--scores", path, "--out", path)[0] == 0
    assert np.array_equal(np.load(path), ppsr(scores()))


def spoiled():
    matrix = scores()
    matrix[3, 4] = np.nan
    return matrix


@pytest.mark.parametrize(
    "matrix, words, said",
    [
        (spoiled(), MR, ["S.npy", "image 3, caption 4", "NaN"]),
        (spoiled(), PPSR, ["S.npy", "image 3, caption 4", "NaN"]),
        (scores() * 1e300, PPSR, ["S.npy", "too large for float32"]),
        (np.ones(4), MR, ["S.npy", "shape (4,)"]),
        (np.array([[None]]), MR, ["S.npy", "pickled"]),
        (np.zeros((3, 4)), MR, ["S.npy", "sum to 0", "w_sig"]),
        (scores(), [*MR, "--k", 0], ["k: 0", "from 1"]),
        (scores(), [*MR, "--xi", "nan"], ["xi: nan"]),
        (scores(), [*MR, "--as", "paper"], ["style", "released, figure"]),
        (scores(), MR[:2], ["--direction", "missing", "i2t"]),
        (scores(), [*MR[:3], "up"], ["--direction", "up", "t2i"]),
        (scores(), [*PPSR, "--direction", "up"], ["up", "t2i"]),
        (scores(), [*PPSR, "--bank", "S.npy"], ["--direction", "--bank"]),
        (scores(), [*PPSR, "--w-sig", 1], ["--w-sig", "--method mr"]),
        (scores(), [*PPSR, "--as", "figure"], ["--as", "--method mr"]),
        (scores(), ["--method", "csls"], ["'csls'", "mr, ppsr"]),
        (scores(), [*MR, "--bank", "none.npy"], ["none.npy", "no such file"]),
    ],
)
def test_errors_end_with_2(run, tmp_path, matrix, words, said):
    out = tmp_path / "R.npy"
    out.write_text("what stood here")
    code, printed, err = run(matrix, *words)
    assert code == 2 and printed == ""
    assert err.count("\n") == 1
    for word in said:
        assert word in err
    assert out.read_text() == "what stood here"


@pytest.mark.parametrize("place, said", [("no/R.npy", "no folder"), (".", "a folder")])
def test_bad_places_end_with_2(called, saved, tmp_path, place, said):
    words = ["--scores", saved("S", scores()), "--out", tmp_path / place]
    code, _, err = called("rerank", *MR, *words)
    assert code == 2 and err.count("\n") == 1 and "--out" in err and said in err
    assert [p.name for p in tmp_path.iterdir()] == ["S.npy"]


def test_a_bank_must_fit(run, saved):
    code, _, err = run(scores(), *MR, "--bank", saved("B", scores((5, 59))))
    assert code == 2 and "B.npy" in err and "60 captions" in err


def test_the_module_answers_and_loads_no_torch(saved, tmp_path):
    out = tmp_path / "R.npy"
    light("rerank", *MR, "--scores", saved("S", scores()), "--out", out)
    assert np.load(out).shape == (12, 60)
