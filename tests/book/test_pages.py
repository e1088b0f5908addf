"""Generated pages and README follow the records; the archive is stable."""

import ast
import json
import re
import runpy
import zipfile

import nbformat
import numpy as np
import pages
import pytest
import readme
import sphinx_rsir
import systems
import yaml
from nbformat.v4 import new_markdown_cell, new_notebook
from nbkit import ROOT, chapters, template
from pages import api, claims, landing, results, status, teach
from pages import map as page_map
from PIL import Image
from result_samples import record

import book
from rsir.evaluation.metrics import (
    evaluate_ranks,
    random_baseline,
    recalls_from_ranks,
)
from rsir.evaluation.ranks import Ranks
from rsir.experiments import tables
from rsir.experiments.bench import variant_of
from rsir.experiments.claims import load_claims
from rsir.experiments.records import BENCH, write_record
from rsir.models import methods

CLAIMS = {claim.id: claim for claim in load_claims()}
README = (ROOT / "README.md").read_text(encoding="utf-8")
STRENGTHS = {"abl-global": 0.6, "abl-mvsa": 2.0, "abl-sim": 1.6, "abl-fixed": 3.0}


@pytest.fixture
def some(tmp_path):
    """Records on RSICD: a baseline, a headline, four ablations."""
    record(tmp_path, "linear", "rsicd", "linear", 1.0)
    for seed in range(3):
        record(tmp_path, "amfmn", "rsicd", "soft-minilm", 2.0, seed, n_images=1093)
    for variant, strength in STRENGTHS.items():
        record(tmp_path, "amfmn", "rsicd", variant, strength)
    return tmp_path


def page(root) -> str:
    return results.render(root)["results.md"]


def cells(text, name) -> list[str]:
    """The cells of the first table line that begins with `name`."""
    line = next(x for x in text.splitlines() if x.startswith(f"| {name}"))
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_fragments_work_from_nothing_and_old_ones_go(tmp_path):
    made = book.fragments(tmp_path)
    assert "No run" in made["results.md"]
    assert made["landing.md"] == readme.finding(tmp_path) == ""
    out = tmp_path / "out"
    out.mkdir()
    (out / "stale.md").write_text("old")
    book.write_pages(tmp_path, out)
    assert {p.name for p in out.iterdir()} == set(made)
    text = "".join(p.read_text() for p in (ROOT / "book").glob("*.md"))
    assert all(f"_generated/{name}" in text for name in made)


def test_two_makers_of_one_part_are_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(status, "render", lambda root: {"api.md": ""})
    with pytest.raises(ValueError, match="second time"):
        book.fragments(tmp_path)


def test_status_lists_executed_chapters_only(tmp_path):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    (folder / "00_a.ipynb").touch()
    (tmp_path / "_toc.yml").write_text("- file: notebooks/00_a\n")
    known = {"seconds": 7, "peak_memory_mb": 800, "preset": "toy", "python": "3.11.7"}
    known |= {"versions": {"torch": "2.14.1"}}
    (folder / "status.json").write_text(json.dumps({"00_a": known, "09_gone": known}))
    text = status.render(tmp_path)["status.md"]
    assert "| [00_a](../notebooks/00_a.ipynb) | 7 | 800 | toy |" in text
    assert "09_gone" not in text and "2.14.1" in text
    assert pages.table(["a", "b"], [["x|y", 1]], right=["b"]).splitlines() == [
        "| a | b |",
        "| :-- | --: |",
        "| x\\|y | 1 |",
    ]


def test_api_covers_the_package():
    """Each module is on the page, or a name of its room that hides it."""
    text = api.render(ROOT)["api.md"]
    for path in (ROOT / "rsir").glob("*/[!_]*.py"):
        room = path.parent.name
        if room != "cli" and path.stem not in api.handed_on(path.parent):
            assert f"automodule:: rsir.{room}.{path.stem}\n" in text, path
    for name in re.findall(r"automodule:: (\S+)", text):
        path = ROOT / name.replace(".", "/")
        assert path.with_suffix(".py").is_file() or path.is_dir(), name
        code = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        assert ast.get_docstring(ast.parse(code.read_text())), name


def test_api_names_nothing_twice(tmp_path):
    folder = tmp_path / "rsir/data"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text('__all__ = ["load", "Split"]')
    (folder / "split.py").write_text("class Split: pass")
    text = api.render(tmp_path)["api.md"]
    assert text.count("automodule") == 2
    assert ":exclude-members: load, Split" in text.split("rsir.data.split")[-1]


def test_a_row_is_counted_from_its_ranks(some):
    text = page(some)
    found = tables.load(some / "results")
    runs = tables.pick(found, ("amfmn", "soft-minilm"), "rsicd").runs
    mrs = [evaluate_ranks(run.ranks(), bootstrap=0).mR for run in runs]
    row = cells(text, "AMFMN `soft-minilm`")
    assert row[1] == f"{np.mean(mrs):.2f} ± {np.std(mrs, ddof=1):.2f} (3)"
    low, high = map(float, row[2].split(" to "))
    assert low < np.mean(mrs) < high
    released = [run.recalls["released"]["mR"] for run in runs]
    assert row[3] == f"{np.mean(released):.2f}" != f"{np.mean(mrs):.2f}"
    six = cells(text.split("i2t R@1 |")[1], "AMFMN `soft-minilm`")
    t2i = [run.recalls["expected"]["t2i"]["R@5"] for run in runs]
    assert float(six[5]) == pytest.approx(np.mean(t2i), abs=0.006)
    exact = random_baseline(found[0].ranks()[0].owner)["mR"]
    assert cells(text, "random")[1] == f"{exact:.2f}"
    one = tables.pick(found, ("linear", "linear"), "rsicd")
    alone = evaluate_ranks(one.ranks()[0]).ci95["mR"]
    assert one.interval() == pytest.approx(alone)


def test_encoders_are_named_and_those_of_other_rows(some):
    before, ablations = page(some).split("**Ablations**")
    assert "`minilm` (frozen)" in before
    assert "Encoders of every row: `efficientnet_lite0`" in ablations
    record(some, "amfmn", "rsicd", "soft-gru", 2.0)
    assert (
        "Encoders of most rows: `efficientnet_lite0` (frozen), `minilm` (frozen); "
        "AMFMN `soft-gru`: `efficientnet_lite0` (frozen), `gru` (learns)."
    ) in page(some)


def test_verdicts_stand_beside_ranges(some):
    part = page(some).split("**Reported against ours**")[1]
    row = cells(part, "AMFMN `soft-minilm`")
    assert row[2:] == ["19.38 (18.66 to 20.10)", "[reached]{.verdict .reached}"]
    assert cells(part, "linear baseline")[3] == "none is printed"
    for text in ("encoders are not the paper's", "the paper's ResNet-18"):
        assert text in part
    assert "https://github.com/MSFLabX/RRSITR" in part


@pytest.mark.parametrize(
    ("strength", "n_images", "outcome", "kind"),
    [(0.0, 1093, "below", "below"), (2.0, 60, "not comparable", "incomparable")],
)
def test_other_outcomes_are_shown(tmp_path, strength, n_images, outcome, kind):
    record(tmp_path, "amfmn", "rsicd", "soft-gru", strength, n_images=n_images)
    text = page(tmp_path)
    assert f"[{outcome}]{{.verdict .{kind}}}" in text
    assert ("60 test images instead of 1093" in text) == (n_images == 60)
    assert f"| {outcome} |" in readme.results_table(tmp_path)


def test_steps_have_gain_and_interval_and_no_verdict(some):
    text = page(some)
    guidance = cells(text, "visual guidance helps")
    low, high = map(float, re.findall(r"\[(.+), (.+)\]", guidance[1])[0])
    assert low <= 0 <= high < 3.21 / 2
    assert guidance[2] == "+3.21 on RSITMD"
    assert "verdict}" not in " ".join(cells(text, "MVSA helps"))
    assert cells(text, "the modules beat the linear")[2:4] == ["–", "1, images alone"]
    assert "the soft gate beats fusion" not in text  # no such row
    assert "Below zero" not in text
    (some / "results/declared.yml").write_text(
        "- {claim: amfmn-dynamic-margin, dataset: rsicd, variant: soft-minilm, "
        "why: the stronger one was made so}"
    )
    why = page(some).split("Below zero, and why we think so:")[1]
    assert why.startswith(
        "\n\n- the dynamic margin helps: The stronger one was made so."
    )


def test_commands_are_exact_and_cover_the_seeds(some):
    record(some, "amfmn", "rsicd", "soft-gru", 1, seed=2)
    text = page(some)
    base = "rsir reproduce amfmn --dataset rsicd --preset cpu --variant "
    for words in ("soft-minilm --seeds 3", "abl-mvsa --seeds 1", "soft-gru --seed 2"):
        assert f"\n{base}{words}\n" in text
    tab = text.split("{tab-item} UCM-Captions")[1].split("{tab-item}")[0]
    assert "Not measured yet" in tab and "rsir reproduce amfmn --dataset ucm" in tab


def test_stale_records_are_marked(some):
    assert "†" not in page(some)
    old = {"rsir.models.losses": "another"}
    record(some, "amfmn", "rsicd", "soft-minilm", 2, 1, n_images=1093, modules=old)
    made = page(some)
    assert "1 of 3 runs were made before a change of `rsir.models.losses`" in made
    assert cells(made, "AMFMN `soft-minilm`")[0].endswith("†")
    assert "AMFMN `soft-minilm` †" in readme.results_table(some)
    assert "stale" in claims.render(some)["claims.md"]
    assert not cells(made, "MVSA helps")[1].endswith("†")
    for variant in ("abl-mvsa", "abl-global"):
        record(some, "amfmn", "rsicd", variant, 2, n_images=1093, modules=old)
    assert cells(page(some), "MVSA helps")[1].endswith(" †")


def test_nothing_is_printed_for_toy_scenes(tmp_path):
    record(tmp_path, "amfmn", "toy", "soft-minilm", 2, preset="toy")
    assert "nothing is printed" in page(tmp_path)
    assert "none is printed" in readme.results_table(tmp_path)


def test_a_paper_that_was_not_at_hand_is_said_to_be(tmp_path):
    for dataset, preset in {"toy": "toy", "rsicd": "cpu"}.items():
        record(tmp_path, "envlf", dataset, "rescored", 2, preset=preset)
    made = landing.render(tmp_path)["landing.md"]
    assert cells(made, "RSICD")[3] == "not at hand"
    assert "Toy scenes" not in made.split("## Our numbers")[1]
    assert readme.results_table(tmp_path).count("| not at hand |") == 1


def test_a_reranked_row_stands_apart_and_says_what_it_saw(tmp_path):
    record(tmp_path, "galr", "rsicd", "midf", 2.0)
    for variant, seen in (("midf+mr", True), ("midf+mr-bank", False)):
        facts = {"transductive": seen, "of": "midf-s0", "of_ranks": "0"}
        record(tmp_path, "galr", "rsicd", variant, 2.5, rerank=facts)
    recalls, rest = page(tmp_path).split("**Reported against ours**")
    verdicts, apart = rest.split("**Re-ranked**")
    assert "midf+mr" not in recalls and "**Ablations**" not in recalls + rest
    apart = apart.split("**What")[0]
    assert "`midf+mr` (transductive)" in verdicts
    assert "`midf+mr` (transductive)" in apart and "`midf+mr-bank` †" in apart


def test_rows_that_peek_or_leave_out_are_marked(tmp_path):
    for variant in ("slip-val", "minus-lfem", "slip-gallery"):
        record(tmp_path, "cfitr", "rsicd", variant, 2.0)
    text = page(tmp_path)
    assert "`slip-val` (selected on test)" in text
    assert "`slip-gallery` (other gallery)" in text
    assert "`minus-lfem` |" in text
    assert "Do not compare them with other rows" in text


@pytest.fixture(scope="module")
def stored():
    return tables.load(ROOT / "results"), claims.render(ROOT)["claims.md"]


@pytest.mark.parametrize("name", CLAIMS)
def test_claim(name, stored):
    """Verdicts stand on the page, and no failure is undeclared."""
    found, text = stored
    assert f"`{name}`" in text
    for one in claims.outcomes(found, CLAIMS[name], ROOT):
        assert one.verdict.outcome in claims.ALL
        assert one.numbers in text
        one.verdict.require()  # a failure needs a reason in declared.yml


def test_without_records_every_claim_is_pending(tmp_path):
    assert f"{len(CLAIMS)} claims, 0 of them" in claims.render(tmp_path)["claims.md"]
    assert not any(claims.outcomes([], one, tmp_path) for one in CLAIMS.values())
    built = {one.method.lower() for one in CLAIMS.values()} & set(methods())
    assert built == {"amfmn", "galr", "envlf", "cfitr"}


def test_claims_on_published_weights_name_the_command_of_their_record(tmp_path):
    scored = [one for one in CLAIMS.values() if one.check.startswith("rsir bench")]
    assert {one.method for one in scored} == {"RemoteCLIP", "GeoRSCLIP"}
    text = claims.render(tmp_path)["claims.md"]
    for one in scored:
        assert f"`{one.check}`" in text
        ((method, variant),) = tables.RANGES[one.system]
        model = one.check.split()[2]
        assert (method, variant) == (BENCH, variant_of(model)), one.id


def test_a_record_of_published_weights_gets_its_verdict(tmp_path):
    path = record(tmp_path, "linear", "rsicd", "linear", 1.0, n_images=1093)
    weights = {"model": "open_clip:RN50/RemoteCLIP-RN50.pt", "prompt": "{}"}
    facts = json.loads(path.read_text()) | {"method": BENCH, "val_mR": None}
    facts |= {"variant": variant_of(weights["model"]), "config": weights}
    made = Ranks.load(path.with_suffix(".npz"))
    assert write_record(facts, made, tmp_path / "results").parent.parent.name == BENCH
    found = tables.load(tmp_path / "results")
    (one,) = claims.outcomes(found, CLAIMS["remoteclip-rn50-rsicd"], tmp_path)
    ours = recalls_from_ranks(made)["mR"]
    assert one.verdict.ours == pytest.approx(ours)
    low = CLAIMS["remoteclip-rn50-rsicd"].low
    assert one.verdict.outcome == ("below" if ours < low else "reached")
    assert one.verdict.reported == 30.58 and one.row.startswith("bench `open_clip")
    assert claims.outcomes(found, CLAIMS["remoteclip-b32-rsicd"], tmp_path) == []


def test_sets_have_gains_and_their_pool_has_the_verdict(tmp_path):
    for seed in range(2):
        for variant, strength in (("abl-mvsa", 2.0), ("abl-global", 0.6)):
            record(tmp_path, "amfmn", "ucm", variant, strength, seed)
            if not seed:
                record(tmp_path, "amfmn", "rsitmd-part", variant, strength)
            old = {"modules": {"gone.py": "0"}}
            record(tmp_path, "amfmn", "rsicd", variant, strength, seed, **old)
    text = claims.render(tmp_path)["claims.md"]
    mvsa = text.split("(claim-amfmn-mvsa)=")[1].split("(claim-")[0]
    assert "*Rows:* `abl-mvsa` against `abl-global`" in mvsa
    rows = [cells(mvsa, x) for x in ("UCM", "RSITMD (rebuilt", "RSICD", "**pooled**")]
    assert [row[3] for row in rows] == ["2", "1, images alone", "2", "2 + 1"]
    assert [row[2] for row in rows] == ["60", "60", "60", "120"]
    said = ["yes", "yes", "no: no fresh pair", "[holds]{.verdict .reached}"]
    assert [row[4] for row in rows] == said
    assert mvsa.count("{.verdict") == 1 and rows[2][1].endswith("†")
    assert all(re.match(r"\+\d+\.\d+ \[\+\d", row[1]) for row in rows)
    takes = text.split("**What a gain of 0.5 mR takes**")[1]
    assert re.fullmatch(r"[\d,]+ pictures,<br>\d+ seeds", cells(takes, "RSICD")[5])
    assert cells(takes, "UCM-Captions")[6].endswith("<br>(60 pictures,<br>5 seeds)")
    assert "RSITMD" not in takes.split("(claims-")[0]  # one seed


def test_without_a_fresh_pair_a_claim_is_not_comparable(tmp_path):
    old = {"modules": {"gone.py": "0"}}
    for variant in ("abl-mvsa", "abl-global"):
        record(tmp_path, "amfmn", "ucm", variant, 1.0, **old)
    text = claims.render(tmp_path)["claims.md"]
    mvsa = text.split("(claim-amfmn-mvsa)=")[1].split("(claim-")[0]
    assert "pooled" not in mvsa and "not comparable, no fresh pair" in mvsa
    assert "What a gain of" not in text
    assert f"{len(CLAIMS)} claims, 0 of them" in text


def test_a_row_on_the_part_is_named_and_not_comparable(tmp_path):
    record(tmp_path, "amfmn", "rsitmd-part", "soft-gru", 3.0)
    text = claims.render(tmp_path)["claims.md"]
    row = cells(text, "Re-run five times, AMFMN reaches a mean mR of 31.66")
    assert row[1].startswith("[not comparable]")
    assert "AMFMN `soft-gru`<br>on RSITMD (rebuilt part)" in row[1]
    assert "{tab-item} RSITMD (rebuilt part)" in page(tmp_path)


def test_a_claim_on_time_gets_the_verdict_of_its_benchmark(tmp_path):
    claim = CLAIMS["cfitr-real-time"]
    assert claims.outcomes([], claim, tmp_path) == []
    path = tmp_path / "results/search/ucm-test.json"
    path.parent.mkdir(parents=True)
    row = {"M": 10, "loss": 0.2, "loss_ci95": [0.1, 0.3], "faster": 12.34}
    facts = {"n_images": 9, "runs": 3, "subsets": 1, "coarse_to_fine": [row]}
    path.write_text(json.dumps(facts))
    assert claims.outcomes([], claim, tmp_path) == []  # M is not chosen
    path.with_name("ucm-val.json").write_text(path.read_text())
    (one,) = claims.outcomes([], claim, tmp_path)
    assert (one.dataset, one.verdict.outcome) == ("ucm", "holds")
    assert "12.3 times as fast<br>M = 10 loses 0.20" in one.numbers
    assert one.numbers in claims.render(tmp_path)["claims.md"]
    path.write_text(path.read_text().replace("12.34", "8.0"))
    words = "- {claim: cfitr-real-time, dataset: ucm, why: it is so}"
    (tmp_path / "results/declared.yml").write_text(words)
    (one,) = claims.outcomes([], claim, tmp_path)
    assert one.verdict.outcome == "does not hold"
    assert "it is so" in claims.render(tmp_path)["claims.md"]


def test_a_declared_failure_shows_its_reason(tmp_path):
    for variant in ("soft-gru", "soft-minilm"):
        record(tmp_path, "amfmn", "rsicd", variant, 0, n_images=1093)
    (tmp_path / "results/declared.yml").write_text(
        "- {claim: amfmn-rsicd, dataset: rsicd, variant: soft-gru, why: few words}"
    )
    found = tables.load(tmp_path / "results")
    made = claims.outcomes(found, CLAIMS["amfmn-rsicd"], tmp_path)
    by_row = {one.row.split("`")[1]: one.verdict for one in made}
    assert by_row["soft-gru"].line.endswith("below, as declared")
    assert by_row["soft-minilm"].declared is None
    assert "few words" in claims.render(tmp_path)["claims.md"]


def test_chapters_that_check_a_claim_are_linked(tmp_path):
    code = nbformat.v4.new_code_cell('check_direction("amfmn-mvsa", pair)')
    (tmp_path / "notebooks").mkdir()
    nbformat.write(new_notebook(cells=[code]), tmp_path / "notebooks/02_amfmn.ipynb")
    assert claims.chapters(tmp_path, CLAIMS["amfmn-mvsa"]) == ""
    (tmp_path / "_toc.yml").write_text("- file: notebooks/02_amfmn\n")
    link = "../notebooks/02_amfmn.ipynb"
    assert link in claims.chapters(tmp_path, CLAIMS["amfmn-mvsa"])
    assert claims.chapters(tmp_path, CLAIMS["amfmn-keywords"]) == ""


def test_the_landing_page_shows_what_ties_can_do(some):
    made = landing.render(some)["landing.md"]
    low, high = re.search(r": ([\d.]+) or ([\d.]+)\*", made).groups()
    assert float(low) < float(high)
    assert f"--share: {low}%" in made and f"--share: {high}%" in made
    assert cells(made, "RSICD")[1] == "AMFMN `soft-minilm`"
    assert f"of {low} or of" in " ".join(readme.finding(some).split())


def test_systems_are_named_as_they_land(tmp_path):
    (tmp_path / "notebooks").mkdir()
    nb = new_notebook(cells=[new_markdown_cell("# One\n\n*Two.*")])
    nbformat.write(nb, tmp_path / "notebooks/02_amfmn.ipynb")
    assert systems.chapters(tmp_path) == []
    assert systems.sentence(tmp_path).endswith(": AMFMN, GaLR, EnVLF, CFITR.")
    toc = "parts:\n- chapters:\n  - file: notebooks/02_amfmn\n"
    (tmp_path / "_toc.yml").write_text(toc)
    (one,) = systems.chapters(tmp_path)
    assert (one.title, one.subtitle, one.method) == ("One", "Two.", "amfmn")
    assert systems.sentence(tmp_path).endswith(": GaLR, EnVLF, CFITR.")
    link = "[One](../notebooks/02_amfmn.ipynb)"
    assert link in landing.render(tmp_path)["chapters.md"]


def test_the_plan_of_a_course_follows_the_contents(tmp_path):
    assert "](../notebooks" not in teach.render(tmp_path)["lectures.md"]
    real = teach.render(ROOT)
    for part in ("lectures.md", "day.md"):
        assert "(../notebooks/02_amfmn.ipynb)" in real[part]
        assert teach.MISSING not in real[part]
    assert real["questions.md"].count(":::{dropdown}") >= 7


def test_a_deck_has_a_lecture_of_its_own():
    plan = teach.render(ROOT)["lectures.md"].split("**Lecture ")[1:]
    shown = [re.findall(r"_build/slides/(\w+)\.html", one) for one in plan]
    decks = sorted(path.stem for path in (ROOT / "book/slides").glob("[0-9]*.md"))
    assert sorted(name for names in shown for name in names) == decks
    for names, one in zip(shown, plan):
        assert not names or one.count("../notebooks/") == 1, one


def test_the_readme_is_as_the_tool_makes_it(monkeypatch):
    assert readme.filled(ROOT)[1] == README, "run python tools/readme.py"
    for path in chapters():
        assert f"](notebooks/{path.name})" in README
        assert template.colab_url(path.name) in README
    monkeypatch.setattr(readme, "chapters_table", lambda root: "")
    assert readme.filled(ROOT)[1] != README


def test_the_tool_writes_and_checks_between_marks(some, monkeypatch, capsys):
    path, names = some / "README.md", "results chapters systems finding".split()
    marks = "".join(f"a\n<!-- {x}:begin -->\nold\n<!-- {x}:end -->\n" for x in names)
    path.write_text(marks)
    monkeypatch.setattr(readme, "ROOT", some)
    assert readme.main(["--check"]) == 1
    assert "tools/readme.py" in capsys.readouterr().err
    assert readme.main([]) == readme.main(["--check"]) == 0
    table = readme.results_table(some)
    assert path.read_text().startswith(marks.split("old")[0] + table + "\n<!--")
    row = cells(table, "RSICD | AMFMN")
    assert row[3] == "19.38 (18.66 to 20.10)" and row[-1] == "reached"
    with pytest.raises(ValueError, match="stand once"):
        readme.fill("no marks", "results", table)


def test_the_example_in_python_runs(tmp_path, monkeypatch, capsys):
    """In order, in an empty folder; the shell lines read its files."""
    blocks = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "example.py").write_text("\n".join(blocks))
    runpy.run_path("example.py")
    said = capsys.readouterr().out
    assert said.count("mR") == 1 and "750 captions" in said
    scores, owner = np.load("scores.npy"), np.load("owner.npy")
    assert scores.shape == (150, 750) and owner.shape == (750,)


@pytest.mark.parametrize("name", ["README.md", "book/intro.md"])
def test_pictures_are_there_small_and_described(name):
    found = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", (ROOT / name).read_text())
    assert found
    for words, target in found:
        path = (ROOT / name).parent / target
        assert len(words.split()) >= 5 and path.stat().st_size < 400_000, target
        with Image.open(path) as picture:
            assert picture.format == "PNG"


HANGING = """\
A report.

a, b: one line,
    and the next.
c: short.

Args:
    x, y: two names.
    options: for files:
        first: long and
            longer.
        second: short.

Attributes:
    v, w: a corner.

Plain: a sentence with a colon."""


LISTED = """\
A report.
* ``a``, ``b``: one line,
  and the next.
* ``c``: short.
Args:
    x,y: two names.
    options: for files:
        * ``first``: long and
          longer.
        * ``second``: short.
* ``v``, ``w``: a corner.
Plain: a sentence with a colon."""


def test_hanging_items_become_lists():
    lines = sphinx_rsir.hanging_lists(HANGING.splitlines())
    assert [line for line in lines if line.strip()] == LISTED.splitlines()
    lines = ["One.", "", "Two lines", "of text.", "", "    literal"]
    assert sphinx_rsir.hanging_lists(lines) == lines


def test_only_chapters_are_linked_and_bars_stay(monkeypatch, tmp_path):
    (tmp_path / "_toc.yml").write_text("- file: notebooks/00_a\n")
    monkeypatch.setattr(sphinx_rsir, "ROOT", tmp_path)
    text = "Chapters notebooks/00_a.ipynb, notebooks/01_b.ipynb."
    linked = sphinx_rsir.chapter_link(text)
    assert ":doc:`/notebooks/00_a`" in linked
    assert "notebooks/01_b.ipynb" in linked
    assert sphinx_rsir.plain_bars("|a| `b|c`") == "\\|a\\| `b|c`"


def test_citations_read_name_and_year():
    from pybtex.database import parse_string

    form = "@book{{{}, author={{{}}}, title={{T}}, year={{2021}}}}"
    names = {"a": "Yuan, A", "b": "Yuan, B", "c": "{van Dyk}, C"}
    books = "".join(form.format(*item) for item in names.items())
    entries = parse_string(books, "bibtex").entries.values()
    labels = sphinx_rsir.NameAndYear().format_labels(entries)
    assert list(labels) == ["Yuan 2021", "Yuan 2021b", "van Dyk 2021"]


def test_one_book_gives_one_archive(tmp_path):
    with pytest.raises(FileNotFoundError, match="make book"):
        book.pack(tmp_path, tmp_path / "b.zip")
    assert not list(tmp_path.iterdir())
    html = tmp_path / "html"
    (html / "book").mkdir(parents=True)
    for name in ("index.html", "book/a.html", "objects.inv"):
        (html / name).write_text(name)
    out, made = tmp_path / "b.zip", set()
    for _ in range(2):
        assert book.pack(html, out) == 2
        made.add(out.read_bytes())
        (html / "index.html").touch()
    assert len(made) == 1
    with zipfile.ZipFile(out) as found:
        assert found.namelist() == ["b/book/a.html", "b/index.html"]


def test_the_map_follows_contents_needs_and_costs(tmp_path, monkeypatch):
    def chapter(name, text, seconds):
        cells = [new_markdown_cell(f"# {name.upper()}\n\n{text}")]
        nbformat.write(new_notebook(cells=cells), tmp_path / f"notebooks/{name}.ipynb")
        status_of[name] = {"seconds": seconds, "peak_memory_mb": 1500}

    assert page_map.render(tmp_path)["map.md"] == "No chapter is in the contents yet."
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "book").mkdir()
    status_of = {}
    chapter("00_a", "word " * 399, 20)
    chapter("01_b", "| disk | 0.1 GB of features |", 300)
    chapter("02_c", "As in [a](00_a.ipynb), before [d](03_d.ipynb).", 60)
    chapter("03_d", "As in {doc}`b <01_b>` and [c](02_c.ipynb).", 60)
    (tmp_path / "notebooks/status.json").write_text(json.dumps(status_of))
    files = "\n".join(f"      - file: notebooks/{name}" for name in status_of)
    (tmp_path / "_toc.yml").write_text(f"parts:\n  - chapters:\n{files}\n")
    (tmp_path / "book/teach.yml").write_text("needs: {b: [a], d: [b, a, gone]}")
    monkeypatch.setattr(page_map, "ROOT", tmp_path)
    text = page_map.render(tmp_path)["map.md"]
    assert cells(text, "00")[1:] == ["–", "–", "2", "1", "1.5", "–"]
    assert cells(text, "01")[1:] == ["00", "–", "1", "5", "1.5", "0.1 GB"]
    assert cells(text, "02")[1:3] == ["–", "00"]
    assert cells(text, "03")[1:3] == ["01, 00", "02"]
    assert "Together 5 minutes to read and 8 to run." in text
    # d needs a through b: two arrows for three needs; two dotted lines
    assert text.count('class="needs"') == text.count('class="back"') == 2


def test_the_map_names_every_chapter_of_the_contents():
    said = yaml.safe_load((ROOT / "book/teach.yml").read_text())["needs"]
    known = {one.method for one in systems.chapters(ROOT)}
    assert set(said) | set(sum(said.values(), [])) <= known
