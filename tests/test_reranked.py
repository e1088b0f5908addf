"""Records of a re-ranking, from a run to its verdict."""

import json

import numpy as np
import pytest
from tiny import cache, cached, folder, splits  # noqa: F401

import rsir.data
from rsir.evaluation.metrics import evaluate_ranks, ranks
from rsir.experiments import run as queue
from rsir.experiments import run as reranked
from rsir.experiments.records import read_record
from rsir.models.recipes import recipe
from rsir.retrieval.rerank import multivariate_rerank
from rsir.utils.errors import RsirError

pytestmark = pytest.mark.usefixtures("cached")


@pytest.fixture(scope="module")
def made(splits, cache, tmp_path_factory):
    """A recorded run of GaLR, and three re-rankings of it."""
    results = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RSIR_CACHE", str(cache))
        for module in (rsir.data, reranked):
            patch.setattr(module, "load_dataset", lambda *_: splits)
        small = recipe(
            "galr",
            "toy",
            "midf",
            seed=1,
            epochs=2,
            dim=16,
            image_size=32,
            batch=8,
            regions="pyramid",
            precision="no",
        )
        patch.setattr(queue, "recipe", lambda *_, **__: small)
        for row in ("midf", "midf+mr", "midf+mr-bank"):
            queue.run_job("galr", "toy", "toy", row, 1, None, str(results), "c" * 40)
    home = results / "galr" / "toy"
    return {p.stem: read_record(p) for p in home.glob("*.json")}


def test_a_rerank_has_a_record_of_its_own(made):
    assert set(made) == {"midf-s1", "midf+mr-s1", "midf+mr-bank-s1"}
    run, mr = made["midf-s1"], made["midf+mr-s1"]
    assert mr.command.endswith("--row midf+mr --seed 1")
    assert mr.rerank["transductive"] and mr.rerank["bank"] is None
    assert mr.rerank["of"] == "midf-s1"
    assert mr.rerank["of_mR"] == run.mR
    assert mr.modules["rsir.retrieval.rerank"] and mr.modules["rsir.models.galr"]
    assert mr.config == run.config and mr.val_mR == run.val_mR
    assert mr.seconds["total"] >= run.seconds["total"]
    again = evaluate_ranks(mr.ranks(), bootstrap=0)
    assert again.mR == pytest.approx(mr.mR, abs=1e-3)
    with_bank = made["midf+mr-bank-s1"].rerank
    assert not with_bank["transductive"]
    assert with_bank["bank"] == {"i2t": 8, "t2i": 16}


def test_it_is_stale_with_its_run(made, tmp_path):
    mr = made["midf+mr-s1"]
    assert "midf-s1" not in mr.stale()
    for path in mr.path.parent.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    other = made["midf+mr-bank-s1"].path.with_suffix(".npz")
    (tmp_path / "midf-s1.npz").write_bytes(other.read_bytes())
    assert "midf-s1" in read_record(tmp_path / mr.path.name).stale()


def test_a_folder_of_another_run_is_refused(made, tmp_path, splits, monkeypatch):
    monkeypatch.setattr(reranked, "load_dataset", lambda *_: splits)
    run = made["midf-s1"]
    facts = json.loads(run.path.read_text())
    facts["recalls"]["expected"]["mR"] += 1
    path = tmp_path / "midf-s1.json"
    path.write_text(json.dumps(facts))
    from rsir.data import cache_dir

    with pytest.raises(RsirError, match="make the record again"):
        reranked.run_rerank(
            "midf+mr",
            path,
            cache_dir() / "runs" / "galr" / "toy" / "toy-midf-s1",
            "toy",
            None,
            tmp_path,
            "c" * 40,
        )


def test_both_directions_for_themselves():
    draw = np.random.default_rng(0)
    scores = draw.random((12, 24)).astype("f4")
    owner = np.repeat(np.arange(12), 2)
    found = reranked.rerank_both(scores, owner, style="figure", k=5)
    for way in ("i2t", "t2i"):
        new = multivariate_rerank(scores, way, style="figure", k=5)
        alone = getattr(ranks(new, owner), way)
        for name in ("better", "equal", "own", "released"):
            assert np.array_equal(
                getattr(getattr(found, way), name), getattr(alone, name)
            )
    bank = {"i2t": draw.random((7, 24)), "t2i": draw.random((12, 9))}
    other = reranked.rerank_both(scores, owner, bank)
    assert not np.array_equal(other.i2t.better, found.i2t.better)


def test_a_row_names_its_rerank():
    assert recipe("amfmn", "cpu", "soft-minilm+mr") == recipe(
        "amfmn", "cpu", "soft-minilm"
    )
    with pytest.raises(RsirError, match="re-ranking 'xx'"):
        recipe("galr", "cpu", "midf+xx")


def test_the_queue_wants_the_run_first(tmp_path, monkeypatch):
    monkeypatch.setenv("RSIR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(queue, "clean_commit", lambda: "c" * 40)
    with pytest.raises(RsirError, match="reproduce the row midf first"):
        queue.reproduce("galr", "toy", "toy", [0], ["midf+mr"], results=tmp_path)
