"""What chapters and pages print, from records to verdicts."""

import json

import numpy as np
import pytest
import yaml
from result_samples import ranks_of_strength, record
from tiny import stub  # noqa: F401

from rsir.evaluation.compare import compare, spread
from rsir.evaluation.metrics import recalls_from_ranks
from rsir.experiments import tables
from rsir.experiments.claims import (
    check_direction,
    check_reported,
    load_claims,
    load_reported,
)
from rsir.experiments.records import load_records, results_dir

CLAIMS = {claim.id: claim for claim in load_claims()}
PLAIN, WILD = ("stub", "plain"), ("stub", "wild")


@pytest.fixture
def found(stub, tmp_path, monkeypatch):
    """Three seeds of `plain`, two of a stronger `wild`, on UCM."""
    monkeypatch.setitem(tables.HEADLINES, PLAIN, "AMFMN")
    for seed in range(3):
        record(tmp_path, "stub", "ucm", "plain", 1.5, seed, n_images=210)
    for seed in range(2):
        record(tmp_path, "stub", "ucm", "wild", 2.5, seed)
    record(tmp_path, "stub", "toy", "plain", 1.0, preset="toy")
    return tables.load(tmp_path / "results")


def test_runs_are_grouped_in_the_order_of_the_book(found):
    assert [(one.dataset, one.variant, one.seeds) for one in found] == [
        ("ucm", "plain", [0, 1, 2]),
        ("ucm", "wild", [0, 1]),
        ("toy", "plain", [0]),
    ]
    folder = found[0].runs[0].folder
    assert tables.load(folder, dataset="toy") == found[2:]
    assert tables.load(folder, preset="paper") == []
    assert tables.pick(found, WILD, "ucm") is found[1]
    assert tables.pick(found, WILD, "toy") is None


def test_a_row_sums_up_its_runs(found):
    one = found[0]
    every = [recalls_from_ranks(ranks) for ranks in one.ranks()]
    assert one.recalls() == every
    mean = np.mean([recalls["t2i"]["R@5"] for recalls in every])
    assert one.mean()["t2i"]["R@5"] == pytest.approx(mean)
    low, high = one.interval()
    assert low < one.mean()["mR"] < high
    assert one.std() == pytest.approx(np.std(one.values(), ddof=1))
    assert one.seconds("train") == 90 and one.memory() == 2.5
    (command,) = one.commands()
    assert command.endswith("--variant plain --seeds 3")
    assert one.headline and not found[1].headline and not one.reranked
    table = tables.runs_table(found)
    assert list(table.mR) == [np.mean(x.values()) for x in found]
    assert list(table.runs) == [3, 2, 1] and list(table.stale) == [0, 0, 0]
    assert np.isnan(table["std"][2]) and table.minutes[0] == 211.5 / 60


def test_a_recall_is_counted_from_ranks_and_not_read(found):
    path = found[0].runs[0].path
    facts = json.loads(path.read_text())
    facts["recalls"]["expected"]["mR"] = 99.0
    path.write_text(json.dumps(facts))
    again = tables.load(path.parents[2])[0]
    assert again.values() == found[0].values()
    assert again.verdict().ours < 90


def test_remarks_tell_what_a_row_must_not_be_compared_with(stub, tmp_path):
    run = {"rerank": {"transductive": False, "of": "plain-s0", "of_ranks": ""}}
    record(tmp_path, "stub", "ucm", "plain+mr", 1.0)
    record(tmp_path, "stub", "ucm", "plain+mr-bank", 1.0, **run)
    record(tmp_path, "stub", "ucm", "wild", 1.0, config={"selects": "test"})
    found = {one.variant: one for one in tables.load(tmp_path / "results")}
    assert found["plain+mr"].remarks == ["transductive"]
    assert found["plain+mr-bank"].remarks == [] and found["plain+mr-bank"].reranked
    assert found["wild"].remarks == ["selected on test"]
    assert found["wild"].stale() == {0: ["config"]}


def test_steps_are_paired_on_the_seeds_of_both(found):
    pair = tables.paired(found, WILD, PLAIN, "ucm")
    assert pair.runs == (2, 2) and pair.difference["mR"] > 0
    alone = compare(
        *([ranks_of_strength(x, seed) for seed in range(2)] for x in (2.5, 1.5))
    )
    assert pair.difference == alone.difference and pair.ci95 == alone.ci95
    assert tables.paired(found, WILD, PLAIN, "toy") == "not measured yet"
    steps = [(WILD, PLAIN, "amfmn-mvsa"), (WILD, ("stub", "deep"), "no such thing")]
    (line,) = tables.steps_table(found, steps)
    assert line["verdict"] == check_direction("amfmn-mvsa", pair)
    assert (line["data"], line["step"]) == ("ucm", "wild − plain")
    assert line["verdict"].outcome == "holds" and line["pair"] is pair
    assert line["fresh"]
    both = tables.steps_table(found, steps, quantities=["mR", "t2i R@1"])
    assert [one["quantity"] for one in both] == ["mR", "t2i R@1"]


def test_runs_that_do_not_fit_are_not_compared(found, tmp_path):
    record(tmp_path, "stub", "toy", "wild", 1.0, preset="cpu")
    record(tmp_path, "stub", "ucm", "deep", 1.0, n=40)
    found = tables.load(tmp_path / "results")
    for key, data, why in (
        (WILD, "toy", "no seed of one preset in common"),
        (("stub", "deep"), "ucm", "measured on different test sets"),
    ):
        assert tables.paired(found, key, PLAIN, data) == why


def test_fresh_seeds_are_compared_and_stale_ones_only_without_them(stub, tmp_path):
    old = {"modules": {"gone.py": "0"}}

    def seeds(plain, wild):
        """Of the comparison of rows with these stale seeds, of 0, 1, 2."""
        for seed in range(3):
            stale = {"plain": seed in plain, "wild": seed in wild}
            for name, so in stale.items():
                record(tmp_path, "stub", "ucm", name, 1.0, seed, **(old if so else {}))
        pair = tables.paired(tables.load(tmp_path / "results"), WILD, PLAIN, "ucm")
        return pair if isinstance(pair, str) else pair.seeds

    assert seeds([], []) == (3,) and seeds([0], []) == (2,) and seeds([0], [1]) == (1,)
    assert seeds([0, 1, 2], []) == "one of the two is stale"
    assert seeds([0, 1, 2], [0, 1, 2]) == (3,)


def test_a_failure_needs_a_declared_reason(found):
    steps = [(PLAIN, WILD, "amfmn-mvsa")]
    (line,) = tables.steps_table(found, steps)
    with pytest.raises(AssertionError, match="MVSA"):
        tables.verdict_line(line["verdict"], "")
    (found[0].runs[0].folder / "declared.yml").write_text(
        "- {claim: amfmn-mvsa, dataset: ucm, variant: plain, why: it is so}"
    )
    (line,) = tables.steps_table(found, steps)
    text = "MVSA helps: does not hold, as declared"
    assert tables.verdict_line(line["verdict"], "") == text
    assert tables.verdict_line(None, "x") == "x: not comparable, no run yet"


def test_headlines_are_held_to_what_is_printed(found):
    first, last = tables.reported_table(found)
    assert (first["data"], first["variant"]) == ("ucm", "plain")
    run = tables.pick(found, PLAIN, "ucm")
    same = check_reported([r.facts for r in run.runs], "AMFMN", "ucm")
    assert first["verdict"].outcome == same.outcome
    assert first["ours"] == pytest.approx(same.ours, abs=1e-3)
    assert last["verdict"] is None


# -- worlds ----------------------------------------------------------------


def test_a_mechanism_is_measured_on_its_world_and_on_the_control(
    stub, tmp_path, monkeypatch
):
    steps = {
        "one": ("world-counts", WILD, PLAIN),
        "none": ("world-scales", WILD, PLAIN),
    }
    monkeypatch.setattr(tables, "WORLDS", steps)
    for dataset, strength in (("world-counts", 2.5), ("world-counts-control", 1.5)):
        for seed in range(2):
            record(tmp_path, "stub", dataset, "plain", 1.5, seed, preset="toy")
            record(tmp_path, "stub", dataset, "wild", strength, seed, preset="toy")
    line, none = tables.worlds_table(tables.load(tmp_path / "results"))
    assert line["verdict"].outcome == "holds" and line["pair"].seeds == (2,)
    assert line["control"].difference["mR"] == 0 < line["pair"].difference["mR"]
    assert none["verdict"] is None and none["control"] is None
    assert (
        tables.queue("world-counts")
        == [WILD, PLAIN]
        == tables.queue("world-counts-control")
    )


# -- pools -----------------------------------------------------------------


def test_every_system_stands_with_its_kind_once(found):
    stand = tables.standing(found)
    assert list(stand) == ["RSICD", "RSITMD", "UCM", "Sydney"]
    printed = load_reported().query("kind != 'ablation'").groupby("dataset").mr.count()
    ours = {"UCM": 1}  # a headline of ours; the toy scenes are nobody's
    for where, kinds in stand.items():
        assert sum(map(len, kinds.values())) == printed[where] + ours.get(where, 0)
    assert stand["UCM"]["this book, the four"] == [found[0].mean()["mR"]]
    assert stand["UCM"]["CLIP, zero-shot"][0] == 33.08
    assert max(stand["RSICD"]["CLIP or GeoRSCLIP, tuned"]) == 38.87
    assert max(stand["RSICD"]["RemoteCLIP and its like"]) == 36.35
    assert 16.42 in stand["RSICD"]["other printed systems"]
    assert len(stand["Sydney"]["GeoRSCLIP, zero-shot"]) == 4


def test_a_pool_has_the_verdict_and_stale_sets_take_no_part(found, tmp_path):
    for seed in range(3):
        record(tmp_path, "stub", "rsicd", "plain", 1.5, seed, n=80)
        record(tmp_path, "stub", "rsicd", "wild", 1.5, seed, n=80)
    home = found[0].runs[0].folder
    both = tables.pooled(tables.load(home), WILD, PLAIN, "amfmn-mvsa")
    ucm, part, rsicd = both.parts
    assert [x.dataset for x in both.taking_part] == ["ucm", "rsicd"]
    assert (ucm.pair.seeds, rsicd.pair.seeds) == ((2,), (3,))
    assert part.pair is None and part.why == "not measured yet"
    gains = [x.pair.difference["mR"] for x in (ucm, rsicd)]
    assert gains[1] == 0 and rsicd.pair.ci95["mR"] == [0, 0]
    mean = (60 * gains[0] + 80 * gains[1]) / 140
    assert both.pair.difference["mR"] == pytest.approx(mean)
    assert both.pair.n_images == 140 and both.pair.seeds == (2, 3)
    assert both.verdict == check_direction("amfmn-mvsa", both.pair)
    # one stale seed: the others stay; one stale row: the set takes no part
    old = {"modules": {"gone.py": "0"}}
    record(tmp_path, "stub", "ucm", "wild", 2.5, 1, **old)
    for seed in range(3):
        record(tmp_path, "stub", "rsicd", "wild", 1.5, seed, n=80, **old)
    less = tables.pooled(tables.load(home), WILD, PLAIN, "amfmn-mvsa")
    ucm, _, rsicd = less.parts
    assert less.pair.seeds == (1,) and less.pair == ucm.pair
    assert rsicd.why == "no fresh pair" and rsicd.pair.n_images == 80
    record(tmp_path, "stub", "ucm", "wild", 2.5, 0, **old)
    none = tables.pooled(tables.load(home), WILD, PLAIN, "amfmn-mvsa")
    assert none.verdict is None and none.pair is None and not none.taking_part


def test_gains_have_a_line_a_set_and_a_pool_where_a_paper_claims_them(
    found, tmp_path, monkeypatch
):
    for seed in range(3):
        record(tmp_path, "stub", "rsicd", "plain", 1.5, seed, n=80)
        record(tmp_path, "stub", "rsicd", "wild", 1.5, seed, n=80)
    found = tables.load(found[0].runs[0].folder)
    ours = [(PLAIN, WILD, "plain is best"), (PLAIN, ("stub", "deep"), "none of it")]
    monkeypatch.setattr(tables, "STEPS", [(WILD, PLAIN, "amfmn-mvsa"), *ours])
    (claim,) = pools = tables.pools(found, "stub")
    assert claim == "MVSA helps" and tables.pools(found, "amfmn") == {}
    table = tables.gains_table(found, "stub")
    assert list(table.step) == 3 * ["MVSA helps"] + 2 * ["plain is best"]
    assert list(table.data) == ["ucm", "rsicd", "pooled", "ucm", "rsicd"]
    assert list(table.printed) == ["", "", 1.68, "", ""]
    assert list(table.seeds) == ["2", "3", "2 + 3", "2", "3"]
    pair = pools[claim].pair
    assert [table.gain[2], table.low[2], table.high[2]] == [
        pair.difference["mR"],
        *pair.ci95["mR"],
    ]
    assert table.gain[3] == pytest.approx(-table.gain[0])
    assert tables.gains_table(found, "galr").empty


def test_a_pooled_failure_is_declared_as_pooled(found):
    home = found[0].runs[0].folder
    words = "- {claim: amfmn-mvsa, dataset: DATA, variant: plain, why: it is so}"
    for dataset, says in (("ucm", None), ("pooled", "it is so")):
        (home / "declared.yml").write_text(words.replace("DATA", dataset))
        result = tables.pooled(found, PLAIN, WILD, "amfmn-mvsa")
        assert result.verdict.outcome == "does not hold"
        assert result.verdict.declared == says


def test_a_part_of_a_data_set_compares_with_no_printed_number(tmp_path):
    record(tmp_path, "amfmn", "rsitmd-part", "soft-minilm", 9.0)
    one = tables.load(tmp_path / "results")[0]
    verdict = one.verdict("AMFMN")
    assert verdict.outcome == "not comparable" and verdict.reported == 31.66
    assert "measured on rsitmd-part" in verdict.why
    claims = {x["id"]: x for x in tables.claims_table([one], tmp_path)}
    facts = claims["amfmn-rsitmd"]
    assert facts["verdict"] is None and facts["why"] == "no fresh run that compares"
    (row,) = facts["per_set"]["rsitmd-part"]
    assert (row["verdict"], row["stale"]) == ("not comparable", False)
    assert tables.DATASETS["rsitmd-part"] == "RSITMD (rebuilt part)"


def test_noise_is_of_steps_with_several_seeds(found, monkeypatch):
    monkeypatch.setattr(
        tables, "STEPS", [(WILD, PLAIN, "a text"), (PLAIN, WILD, "x y")]
    )
    ((varies, images, steps),) = tables.noise(found).values()
    sides = [tables.pick(found, key, "ucm").ranks()[:2] for key in (WILD, PLAIN)]
    assert (images, steps) == (60, 2) and varies == pytest.approx(spread(*sides))
    assert tables.noise(found[:1]) == {}


# -- the records of this checkout ------------------------------------------


@pytest.fixture(scope="module")
def ours():
    return tables.load()


@pytest.mark.parametrize("key", tables.HEADLINES)
def test_no_headline_of_ours_fails_undeclared(ours, key):
    for line in tables.reported_table(one for one in ours if one.key == key):
        tables.verdict_line(line["verdict"], "mR")


@pytest.mark.parametrize("step", tables.STEPS, ids=lambda step: step[2])
def test_no_step_of_ours_fails_undeclared(ours, step):
    # toy scenes are for learning: of our own texts none is about them
    sets = [name for name in tables.DATASETS if " " not in step[2] or name != "toy"]
    for line in tables.steps_table(ours, [step], sets):
        tables.verdict_line(line["verdict"], "")


def test_recalls_of_records_are_those_of_their_ranks():
    for run in load_records():
        ranks = run.ranks()
        for ties, stored in run.recalls.items():
            counted = recalls_from_ranks(ranks, ties)
            assert stored["mR"] == pytest.approx(counted["mR"], abs=1e-3), run.path


def test_declarations_name_claims_and_reasons():
    claims = {*CLAIMS, *(claim for *_, claim in tables.STEPS)}
    claims |= {f"{name} acts on {at}" for name, (at, *_) in tables.WORLDS.items()}
    worlds = {at for at, *_ in tables.WORLDS.values()}
    path = results_dir() / "declared.yml"
    for entry in yaml.safe_load(path.read_text("utf-8")):
        assert set(entry) <= {"claim", "dataset", "variant", "why"}
        assert entry["claim"] in claims
        assert entry["dataset"] in (*tables.DATASETS, tables.POOLED, *worlds)
        assert len(entry["why"].split()) >= 5


def test_every_step_with_an_id_is_a_claim():
    for *_, claim in tables.STEPS:
        assert claim in CLAIMS or " " in claim
    assert tables.claim_step("amfmn-mvsa")[0] == ("amfmn", "abl-mvsa")
    assert tables.claim_step("amfmn-time") is None
