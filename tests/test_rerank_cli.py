"""`rsir rerank`: same shape out, clear errors, no torch."""

from functools import partial

import numpy as np
import pytest
from light import light

from rsir.retrieval import rerank


@pytest.fixture
def run(called):
    return partial(called, "rerank")


def scores(shape=(12, 60), seed=0):
    return np.random.default_rng(seed).random(shape)


MR_OPTIONS = {
    "k": 11,
    "w_sig": 0.5,
    "w_rev": 0.9,
    "xi": 0.1,
    "style": "figure",
}


@pytest.mark.parametrize("direction", ["i2t", "t2i"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"style": "released"},
        {"style": "figure"},
        MR_OPTIONS,
    ],
)
def test_mr_is_the_function(run, saved, tmp_path, direction, options):
    words = []
    for name, value in options.items():
        name = "as" if name == "style" else name.replace("_", "-")
        words += [f"--{name}", value]
    out = tmp_path / "R.npy"
    code, said, err = run(
        "--method",
        "mr",
        "--scores",
        saved("S", scores()),
        "--out",
        out,
        "--direction",
        direction,
        *words,
    )
    assert code == 0 and err == ""
    assert "R.npy" in said and "12 x 60" in said
    got = np.load(out)
    assert got.dtype == np.float32 and got.shape == (12, 60)
    want = rerank.multivariate_rerank(scores(), direction, **options)
    assert np.array_equal(got, want)


@pytest.mark.parametrize(
    "k, more",
    [
        (10, []),
        (3, ["--k", 3]),
        (10, ["--direction", "t2i"]),
    ],
)
def test_ppsr_is_the_function(run, saved, tmp_path, k, more):
    hamming = -np.random.default_rng(1).integers(0, 9, (12, 60))
    out = tmp_path / "R.npy"
    code, _, err = run(
        "--method",
        "ppsr",
        "--scores",
        saved("S", hamming),
        "--out",
        out,
        *more,
    )
    assert code == 0 and err == ""
    got = np.load(out)
    assert got.dtype == np.float32
    assert np.array_equal(got, rerank.ppsr(hamming, k=k))


def test_a_bank_is_heard(run, saved, tmp_path):
    out = tmp_path / "R.npy"
    banks = {"i2t": scores((30, 60), 1), "t2i": scores((12, 30), 1)}
    for direction, bank in banks.items():
        for method in ("mr", "ppsr"):
            code, _, _ = run(
                "--method",
                method,
                "--scores",
                saved("S", scores()),
                "--out",
                out,
                "--direction",
                direction,
                "--bank",
                saved("B", bank),
            )
            assert code == 0
            if method == "mr":
                want = rerank.multivariate_rerank(scores(), direction, bank=bank)
            elif direction == "i2t":
                want = rerank.ppsr(scores(), image_bank=bank)
            else:
                want = rerank.ppsr(scores(), caption_bank=bank)
            assert np.array_equal(np.load(out), want)


def test_the_input_may_be_the_output(run, saved):
    path = saved("S", scores())
    code, _, _ = run("--method", "ppsr", "--scores", path, "--out", path)
    assert code == 0
    assert np.array_equal(np.load(path), rerank.ppsr(scores()))


def spoiled():
    matrix = scores()
    matrix[3, 4] = np.nan
    return matrix


MR = ["--method", "mr", "--direction", "i2t"]
PPSR = ["--method", "ppsr"]


@pytest.mark.parametrize(
    "matrix, words, said",
    [
        (spoiled(), MR, ["S.npy", "row 3, column 4", "NaN"]),
        (spoiled(), PPSR, ["S.npy", "row 3, column 4", "NaN"]),
        (scores() * 1e300, PPSR, ["S.npy", "too large for float32"]),
        (np.ones(4), MR, ["S.npy", "shape (4,)"]),
        (np.ones((0, 3)), PPSR, ["S.npy", "shape (0, 3)"]),
        (np.array([[None]]), MR, ["S.npy", "pickled"]),
        (np.zeros((3, 4)), MR, ["S.npy", "sum to 0", "w_sig"]),
        (scores(), [*MR, "--k", 0], ["k: 0", "from 1"]),
        (scores(), [*PPSR, "--k", -1], ["k: -1", "from 1"]),
        (scores(), [*MR, "--xi", "nan"], ["xi: nan"]),
        (scores(), [*MR, "--as", "paper"], ["style", "released, figure"]),
        (scores(), MR[:2], ["--direction", "missing", "i2t"]),
        (scores(), [*MR[:3], "up"], ["--direction", "'up'", "t2i"]),
        (scores(), [*PPSR, "--direction", "up"], ["'up'", "t2i"]),
        (scores(), [*PPSR, "--w-sig", 1], ["--w-sig", "--method mr"]),
        (scores(), [*PPSR, "--as", "figure"], ["--as", "--method mr"]),
        (scores(), ["--method", "csls"], ["'csls'", "mr, ppsr"]),
    ],
)
def test_errors_end_with_2(run, saved, tmp_path, matrix, words, said):
    out = tmp_path / "R.npy"
    out.write_text("what stood here")
    code, printed, err = run("--scores", saved("S", matrix), "--out", out, *words)
    assert code == 2 and printed == ""
    assert err.count("\n") == 1
    for word in said:
        assert word in err
    assert out.read_text() == "what stood here"


def test_bad_places_end_with_2(run, saved, tmp_path):
    good, out = saved("S", scores()), tmp_path / "R.npy"
    before = sorted(tmp_path.iterdir())
    for source, target, bank, said in [
        (tmp_path / "none.npy", out, None, ["--scores", "no such file"]),
        (good, tmp_path / "no" / "R.npy", None, ["--out", "no folder"]),
        (good, tmp_path, None, ["--out", "is a folder"]),
        (good, out, tmp_path / "none.npy", ["--bank", "no such file"]),
        (good, out, saved("S", scores()), None),
    ]:
        more = ["--bank", bank] if bank else []
        code, _, err = run(*MR, "--scores", source, "--out", target, *more)
        if said is None:  # the scores themselves fit as a bank
            assert code == 0
            continue
        assert code == 2 and err.count("\n") == 1
        for word in said:
            assert word in err
        assert sorted(tmp_path.iterdir()) == before
    code, _, err = run(*PPSR, "--scores", good, "--out", out, "--bank", good)
    assert code == 2 and "--direction" in err and "--bank" in err
    code, _, err = run(
        *MR,
        "--scores",
        good,
        "--out",
        out,
        "--bank",
        saved("B", scores((5, 59))),
    )
    assert code == 2 and "B.npy" in err and "60 captions" in err


def test_the_module_answers_and_loads_no_torch(saved, tmp_path):
    out = tmp_path / "R.npy"
    light("rerank", *MR, "--scores", saved("S", scores()), "--out", out)
    assert np.load(out).shape == (12, 60)
