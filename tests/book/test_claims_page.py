"""Each claim of the papers: its verdict from the stored records.

A claim that fails must be declared, with a reason, in
`results/declared.yml`; the claims page prints that reason.
"""

import json

import pytest
from nbkit import ROOT
from pages import claims as page
from result_samples import record

from rsir.experiments import tables
from rsir.experiments.claims import load_claims
from rsir.models import methods

CLAIMS = {claim.id: claim for claim in load_claims()}
WORDS = {
    "reached",
    "below",
    "not comparable",
    "holds",
    "does not hold",
    "smaller than printed",
    "no effect here",
    "not decided",
}


@pytest.fixture(scope="module")
def rows():
    return tables.load(ROOT / "results")


@pytest.fixture(scope="module")
def text():
    return page.render(ROOT)["claims.md"]


@pytest.mark.parametrize("name", CLAIMS)
def test_claim(name, rows, text):
    """Verdicts stand on the page, and no failure is undeclared."""
    claim = CLAIMS[name]
    assert f"`{name}`" in text
    for one in page.outcomes(rows, claim, ROOT):
        assert one.word in WORDS
        assert one.numbers in text
        one.verdict.require()  # a failure needs a reason in declared.yml


def test_without_records_every_claim_is_pending(tmp_path):
    made = page.render(tmp_path)["claims.md"]
    assert f"{len(CLAIMS)} claims, 0 of them" in made
    assert not WORDS & {
        one.word for c in CLAIMS.values() for one in page.outcomes([], c, tmp_path)
    }
    for method in ("AMFMN", "GaLR", "EnVLF", "CFITR"):
        waits = f"{method} is not in the book yet" in made
        assert waits == (method.lower() not in methods())


def test_a_claim_on_time_gets_the_verdict_of_its_benchmark(tmp_path):
    claim = CLAIMS["cfitr-real-time"]
    assert page.outcomes([], claim, tmp_path) == []
    path = tmp_path / "results" / "search" / "ucm-test.json"
    path.parent.mkdir(parents=True)
    path.write_text(
        json.dumps(
            {
                "n_images": 9,
                "runs": 3,
                "subsets": 1,
                "coarse_to_fine": [
                    {"M": 10, "loss": 0.2, "loss_ci95": [0.1, 0.3], "faster": 12.34}
                ],
            }
        )
    )
    assert page.outcomes([], claim, tmp_path) == []  # M is not chosen
    path.with_name("ucm-val.json").write_text(path.read_text())
    (one,) = page.outcomes([], claim, tmp_path)
    assert (one.dataset, one.word) == ("ucm", "holds")
    assert "12.3 times as fast<br>M = 10 loses 0.20" in one.numbers
    assert one.numbers in page.render(tmp_path)["claims.md"]
    path.write_text(path.read_text().replace("12.34", "8.0"))
    declared = path.parent.parent / "declared.yml"
    declared.write_text("- {claim: cfitr-real-time, dataset: ucm, why: it is so}")
    (one,) = page.outcomes([], claim, tmp_path)
    assert one.word == "does not hold"
    assert "it is so" in page.render(tmp_path)["claims.md"]


def test_a_declared_failure_shows_its_reason(tmp_path):
    record(tmp_path, "amfmn", "rsicd", "soft-gru", 0, n_images=1093)
    record(tmp_path, "amfmn", "rsicd", "soft-minilm", 0, n_images=1093)
    (tmp_path / "results/declared.yml").write_text(
        "- claim: amfmn-rsicd\n  dataset: rsicd\n  variant: soft-gru\n"
        "  why: words are learned from eight thousand pictures alone\n"
    )
    found = page.outcomes(
        tables.load(tmp_path / "results"), CLAIMS["amfmn-rsicd"], tmp_path
    )
    by_row = {one.row.split("`")[1]: one.verdict for one in found}
    assert by_row["soft-gru"].line.endswith("below, as declared")
    assert by_row["soft-minilm"].declared is None
    made = page.render(tmp_path)["claims.md"]
    assert "words are learned from eight thousand" in made


def test_chapters_that_check_a_claim_are_linked(tmp_path):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    (folder / "02_amfmn.ipynb").write_text(
        '{"cells": [{"cell_type": "code", '
        '"source": ["check_direction(\\"amfmn-mvsa\\", pair)"]}]}'
    )
    claim = CLAIMS["amfmn-mvsa"]
    assert "02_amfmn" not in page.chapters(tmp_path, claim)
    (tmp_path / "_toc.yml").write_text("- file: notebooks/02_amfmn\n")
    assert "../notebooks/02_amfmn.ipynb" in page.chapters(tmp_path, claim)
    other = CLAIMS["amfmn-keywords"]
    assert page.chapters(tmp_path, other) == ""
