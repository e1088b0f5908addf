"""Results page, landing numbers and README table follow the records."""

import re

import measured
import nbformat
import numpy as np
import pytest
import readme
import systems
from nbformat.v4 import new_markdown_cell, new_notebook
from nbkit import ROOT
from pages import claims as claims_page
from pages import landing, results, teach
from result_samples import record

from rsir.evaluation.metrics import evaluate_ranks, random_baseline
from rsir.experiments.claims import load_reported

STRENGTHS = {
    "abl-global": 0.6, "abl-mvsa": 2.0, "abl-sim": 1.6,
    "abl-fixed": 3.0,
}  # fmt: skip


@pytest.fixture
def some(tmp_path):
    """Records on RSICD: a baseline, a headline, four ablations."""
    record(tmp_path, "linear", "rsicd", "linear", 1.0)
    for seed in range(3):
        record(tmp_path, "amfmn", "rsicd", "soft-minilm", 2.0, seed, n_images=1093)
    for row, strength in STRENGTHS.items():
        record(tmp_path, "amfmn", "rsicd", row, strength)
    return tmp_path


def cells(text, name) -> list[str]:
    """The cells of the first table line that begins with `name`."""
    line = next(x for x in text.splitlines() if x.startswith(f"| {name}"))
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_a_row_is_counted_from_its_ranks(some):
    text = results.render(some)["results.md"]
    row = cells(text, "AMFMN `soft-minilm`")
    runs = measured.pick(measured.rows(some), ("amfmn", "soft-minilm"), "rsicd").runs
    mrs = [evaluate_ranks(run.ranks(), bootstrap=0).mR for run in runs]
    assert row[1] == (f"{np.mean(mrs):.2f} ± {np.std(mrs, ddof=1):.2f} (3)")
    low, high = map(float, row[2].split(" to "))
    assert low < np.mean(mrs) < high
    released = [run.recalls["released"]["mR"] for run in runs]
    assert row[3] == f"{np.mean(released):.2f}" != f"{np.mean(mrs):.2f}"
    six = cells(text.split("i2t R@1 |")[1], "AMFMN `soft-minilm`")
    t2i = [run.recalls["expected"]["t2i"]["R@5"] for run in runs]
    assert float(six[5]) == pytest.approx(np.mean(t2i), abs=0.006)
    assert runs[0].config["text_layers"] == 0
    assert "`minilm` (frozen)" in text.split("**Ablations**")[0]
    ablations = text.split("**Ablations**")[1]
    assert "Encoders of every row: `efficientnet_lite0`" in ablations


def test_rows_with_other_encoders_are_named(tmp_path):
    for row in ("linear", "soft-minilm", "soft-gru"):
        record(tmp_path, "linear" if row == "linear" else "amfmn", "rsicd", row, 2.0)
    text = results.render(tmp_path)["results.md"]
    assert (
        "Encoders of most rows: `efficientnet_lite0` (frozen), "
        "`minilm` (frozen); AMFMN `soft-gru`: `efficientnet_lite0` "
        "(frozen), `gru` (learns)."
    ) in text


def test_a_changed_json_does_not_change_the_page(some):
    """A printed number read back from a record is no result."""
    before = results.render(some)["results.md"]
    path = some / "results/linear/rsicd/linear-s0.json"
    path.write_text(re.sub(r'"mR": [\d.]+', '"mR": 99.0', path.read_text()))
    assert results.render(some)["results.md"] == before


def test_one_run_alone_has_the_interval_of_its_report(some):
    row = measured.pick(measured.rows(some), ("linear", "linear"), "rsicd")
    report = evaluate_ranks(row.ranks()[0])
    assert row.interval() == pytest.approx(report.ci95["mR"])


def test_random_ranking_is_exact(some):
    text = results.render(some)["results.md"]
    owner = measured.rows(some)[0].ranks()[0].owner
    exact = random_baseline(owner)["mR"]
    assert cells(text, "random")[1] == f"{exact:.2f}"


def test_verdicts_stand_beside_ranges(some):
    text = results.render(some)["results.md"]
    part = text.split("**Reported against ours**")[1]
    row = cells(part, "AMFMN `soft-minilm`")
    assert row[2] == "19.38 (18.66 to 20.10)"
    assert row[3] == "[reached]{.verdict .reached}"
    assert cells(part, "linear baseline")[3] == "none is printed"
    assert "encoders are not the paper's" in part
    assert "the paper's ResNet-18" in part
    assert "https://github.com/MSFLabX/RRSITR" in part


def test_a_weak_system_is_below(tmp_path):
    record(tmp_path, "amfmn", "rsicd", "soft-gru", 0.0, n_images=1093)
    text = results.render(tmp_path)["results.md"]
    assert "[below]{.verdict .below}" in text
    assert "| below |" in readme.results_table(tmp_path)


def test_another_test_split_is_not_comparable(tmp_path):
    record(tmp_path, "amfmn", "rsicd", "soft-gru", 2.0)
    text = results.render(tmp_path)["results.md"]
    assert "[not comparable]{.verdict .incomparable}" in text
    assert "60 test images instead of 1093" in text


def test_steps_have_the_outcome_of_their_interval(some):
    text = results.render(some)["results.md"]
    assert "[holds]" in cells(text, "MVSA helps")[1]
    undecided = cells(text, "visual guidance helps")
    assert "[not decided]" in undecided[1]
    low, high = map(float, re.findall(r"\[(.+), (.+)\]", undecided[2])[0])
    assert low <= 0 <= high
    assert undecided[3] == "+3.21 on RSITMD"
    assert "[does not hold]" in cells(text, "the dynamic margin")[1]
    own = cells(text, "the modules beat the linear")
    assert own[3:5] == ["–", "1"]
    assert "the soft gate beats fusion" not in text  # no such row


def test_a_step_needs_the_same_seeds_and_queries(tmp_path):
    record(tmp_path, "amfmn", "ucm", "abl-global", 1, seed=0)
    record(tmp_path, "amfmn", "ucm", "abl-mvsa", 2, seed=1)
    keys = ("amfmn", "abl-mvsa"), ("amfmn", "abl-global")
    rows = measured.rows(tmp_path)
    assert "no seed" in measured.paired(rows, *keys, "ucm")
    record(tmp_path, "amfmn", "ucm", "abl-mvsa", 2, seed=0, n=50)
    rows = measured.rows(tmp_path)
    assert "different" in measured.paired(rows, *keys, "ucm")
    record(tmp_path, "amfmn", "ucm", "abl-mvsa", 2, seed=0)
    rows = measured.rows(tmp_path)  # seeds 0 and 1 against seed 0
    assert measured.paired(rows, *keys, "ucm").runs == (1, 1)
    assert "MVSA helps" in results.render(tmp_path)["results.md"]


def test_commands_are_exact_and_cover_the_seeds(some):
    text = results.render(some)["results.md"]
    base = "rsir reproduce amfmn --dataset rsicd --preset cpu --row "
    assert f"\n{base}soft-minilm --seeds 3\n" in text
    assert f"\n{base}abl-mvsa --seeds 1\n" in text
    record(some, "amfmn", "rsicd", "soft-gru", 1, seed=2)
    text = results.render(some)["results.md"]
    assert f"\n{base}soft-gru --seed 2\n" in text


def test_stale_records_are_marked(some):
    assert "†" not in results.render(some)["results.md"]
    record(
        some,
        "amfmn",
        "rsicd",
        "soft-minilm",
        2.0,
        seed=1,
        n_images=1093,
        modules={"rsir.models.losses": "another"},
    )
    made = results.render(some)["results.md"]
    assert "1 of 3 runs were made before a change of `rsir.models.losses`" in made
    assert cells(made, "AMFMN `soft-minilm`")[0].endswith("†")
    assert "AMFMN `soft-minilm` †" in readme.results_table(some)
    assert "stale" in claims_page.render(some)["claims.md"]


def test_a_data_set_without_records_says_how_to_make_them(some):
    text = results.render(some)["results.md"]
    tab = text.split("{tab-item} UCM-Captions")[1].split("{tab-item}")[0]
    assert "Not measured yet" in tab
    assert "rsir reproduce amfmn --dataset ucm" in tab


def test_nothing_is_printed_for_toy_scenes(tmp_path):
    record(tmp_path, "amfmn", "toy", "soft-minilm", 2, preset="toy")
    text = results.render(tmp_path)["results.md"]
    assert "nothing is printed" in text
    assert "none is printed" in readme.results_table(tmp_path)


def test_a_paper_that_was_not_at_hand_is_said_to_be(tmp_path):
    for kind in ("toy", "rsicd"):
        record(
            tmp_path,
            "envlf",
            kind,
            "rescored",
            2,
            preset="toy" if kind == "toy" else "cpu",
        )
    made = landing.render(tmp_path)["landing.md"]
    assert cells(made, "RSICD")[3] == "not at hand"
    assert "Toy scenes" not in made.split("## Where")[1]
    assert readme.results_table(tmp_path).count("| not at hand |") == 1


def test_the_landing_page_shows_what_ties_can_do(some):
    made = landing.render(some)["landing.md"]
    low, high = re.search(r": ([\d.]+) or ([\d.]+)\*", made).groups()
    assert float(low) < float(high)
    assert f"--share: {low}%" in made and f"--share: {high}%" in made
    assert cells(made, "RSICD")[1] == "AMFMN `soft-minilm`"
    assert f"of {low} or of" in " ".join(readme.finding(some).split())


def test_before_any_record_the_landing_page_has_its_finding(tmp_path):
    """The facts of chapter 01 must do."""
    folder = tmp_path / "results/protocol"
    folder.mkdir(parents=True)
    assert landing.render(tmp_path)["landing.md"] == ""
    assert readme.finding(tmp_path) == ""
    known = (ROOT / "results/protocol/ucm.json").read_text()
    (folder / "ucm.json").write_text(known)
    made = landing.render(tmp_path)["landing.md"]
    assert "UCM-Captions" in made and "finding" in made


def test_systems_are_named_as_they_land(tmp_path, monkeypatch):
    """Chapter, package only, or neither: nothing is promised."""
    monkeypatch.setattr(systems, "HOMES", {"amfmn": (), "galr": ()})
    (tmp_path / "notebooks").mkdir()
    before = systems.sentence(tmp_path)
    assert before.startswith("AMFMN and GaLR are in the package only")
    assert before.endswith("EnVLF and CFITR are not in this edition.")
    nb = new_notebook(cells=[new_markdown_cell("# One\n\n*Two.*")])
    nbformat.write(nb, tmp_path / "notebooks/02_amfmn.ipynb")
    assert systems.chapters(tmp_path) == []
    (tmp_path / "_toc.yml").write_text(
        "parts:\n- chapters:\n  - file: notebooks/02_amfmn\n"
    )
    (one,) = systems.chapters(tmp_path)
    assert (one.title, one.subtitle) == ("One", "Two.")
    assert one.method == "amfmn"
    after = systems.sentence(tmp_path)
    assert after.startswith("So far AMFMN has its chapter; GaLR is in")
    assert (
        "[One](../notebooks/02_amfmn.ipynb)" in landing.render(tmp_path)["chapters.md"]
    )


def test_the_plan_of_a_course_follows_the_contents(tmp_path):
    made = teach.render(tmp_path)
    assert teach.MISSING in made["lectures.md"]
    assert made["lectures.md"].count("](../notebooks") == 0
    real = teach.render(ROOT)
    assert "(../notebooks/02_amfmn.ipynb)" in real["day.md"]
    assert real["questions.md"].count(":::{dropdown}") >= 7


# -- README -----------------------------------------------------------


def test_the_readme_has_the_table_that_the_tool_makes():
    now, right = readme.filled(ROOT)
    assert now == right, "run python tools/readme.py"


def test_the_readme_is_filled_between_its_marks(some):
    table = readme.results_table(some)
    row = cells(table, "RSICD | AMFMN")
    assert row[3] == "19.38 (18.66 to 20.10)" and row[-1] == "reached"
    text = "a\n<!-- results:begin -->\nold\n<!-- results:end -->\nb\n"
    filled = readme.fill(text, "results", table)
    assert "old" not in filled and table in filled
    assert filled.startswith("a\n") and filled.endswith("\nb\n")
    assert readme.fill(filled, "results", table) == filled
    with pytest.raises(ValueError, match="stand once"):
        readme.fill("no marks", "results", table)


def test_the_tool_writes_and_checks(some, monkeypatch, capsys):
    path = some / "README.md"
    path.write_text("<!-- results:begin -->\n<!-- results:end -->\n")
    monkeypatch.setattr(readme, "ROOT", some)
    assert readme.main(["--check"]) == 1
    assert "tools/readme.py" in capsys.readouterr().err
    assert readme.main([]) == 0
    assert "soft-minilm" in path.read_text()
    assert readme.main(["--check"]) == 0


# -- prose ------------------------------------------------------------

RECALL = re.compile(r"\bmR\b|\bR@\d+|\brecall", re.IGNORECASE)
GENERATED = re.compile(r"<!-- (\w+):begin -->.*?<!-- \1:end -->", re.DOTALL)


def recalls_in_prose(text: str) -> set[str]:
    """Numbers with decimals in paragraphs that speak of recalls."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = GENERATED.sub("", text)
    return {
        number
        for part in text.split("\n\n")
        if RECALL.search(part)
        for number in re.findall(r"(?<![\d.])\d{1,2}\.\d{1,2}(?!\d|\.\d)", part)
    }


def test_prose_names_no_recall_that_is_not_on_record():
    known = {f"{v:.2f}" for v in load_reported().mr}
    for row in measured.rows(ROOT):
        for ties in ("expected", "released"):
            found = row.mean(ties)
            known.add(f"{found['mR']:.2f}")
            known |= {
                f"{v:.2f}" for side in ("i2t", "t2i") for v in found[side].values()
            }
    for page in [ROOT / "README.md", *(ROOT / "book").glob("*.md")]:
        unknown = recalls_in_prose(page.read_text()) - known
        assert not unknown, page.name


def test_a_typed_recall_would_be_found():
    text = "A\n\nOurs has an mR of 21.97.\n\n```\nmR 33.33\n```\n\n3.14"
    assert recalls_in_prose(text) == {"21.97"}


def test_a_reranked_row_stands_apart_and_says_what_it_saw(tmp_path):
    record(tmp_path, "galr", "rsicd", "midf", 2.0)
    for row, seen in (("midf+mr", True), ("midf+mr-bank", False)):
        record(
            tmp_path,
            "galr",
            "rsicd",
            row,
            2.5,
            rerank={"transductive": seen, "of": "midf-s0", "of_ranks": "0"},
        )
    text = results.render(tmp_path)["results.md"]
    recalls, rest = text.split("**Reported against ours**")
    verdicts, apart = rest.split("**Re-ranked**")
    assert "midf+mr" not in recalls and "**Ablations**" not in text
    assert "`midf+mr` (transductive)" in verdicts
    assert "`midf+mr` (transductive)" in apart.split("**What")[0]
    assert "`midf+mr-bank` †" in apart.split("**What")[0]


def test_rows_that_peek_or_leave_out_are_marked(tmp_path):
    record(tmp_path, "cfitr", "rsicd", "slip-val", 2.0)
    record(tmp_path, "cfitr", "rsicd", "minus-lfem", 2.0)
    record(tmp_path, "cfitr", "rsicd", "slip-gallery", 2.0)
    text = results.render(tmp_path)["results.md"]
    assert "`slip-val` (selected on test)" in text
    assert "`slip-gallery` (other gallery)" in text
    assert "`minus-lfem` †" in text or "`minus-lfem` |" in text
    assert "compares with no other row" in text
    for path in (tmp_path / "results").rglob("slip-*"):
        path.unlink()
    text = results.render(tmp_path)["results.md"]
    assert "compares with no other row" not in text
