"""Published numbers, their ranges, and the verdicts."""

import re
import types

import numpy as np
import pytest

from rsir.evaluation.metrics import evaluate
from rsir.experiments import claims
from rsir.experiments.claims import (
    Range,
    check_direction,
    check_reported,
    check_short_list,
    load_claims,
    load_reported,
    recorded_range,
    reported_range,
)
from rsir.utils.errors import RsirError

SIX = ["i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10"]
CLAIMS = {c.id: c for c in load_claims()}


@pytest.fixture(scope="module")
def table():
    return load_reported()


# ---- the files -----------------------------------------------------


def test_every_row_is_whole_and_has_a_public_source(table):
    assert len(table) > 100
    assert not table.duplicated(["dataset", "system", "kind"]).any()
    assert not table.drop(columns=["mr_std"]).isna().any().any()
    assert table.url.str.match(r"https://\S+$").all()
    assert set(table.dataset) == {"RSICD", "RSITMD", "UCM", "Sydney"}
    values = table[[*SIX, "mr"]]
    assert ((values > 0) & (values < 100)).all().all()
    for side in (SIX[:3], SIX[3:]):  # recall rises with its depth
        assert (table[side].diff(axis=1).iloc[:, 1:] >= 0).all().all()
    assert not table.system.str.contains("quoted|,").any()


def test_a_printed_mr_is_its_mean_or_the_note_says_so(table):
    gap = (table[SIX].mean(axis=1) - table.mr).abs() > 0.015
    assert gap.sum() == 2
    assert (gap == table.note.str.contains("average")).all()


def test_known_disagreements_are_noted(table):
    amfmn = table[table.system.str.startswith("AMFMN-") & (table.dataset == "RSICD")]
    assert len(amfmn) == 3 and (amfmn.n_images == 1094).all()
    assert amfmn.note.str.contains("1093").all()
    galr = table[table.system == "GaLR with MR"]
    assert galr.note.str.contains("transductive").all()


def test_claims_are_whole_and_agree_with_the_table(table):
    assert len(CLAIMS) == len(load_claims())
    built, scored = {"AMFMN", "GaLR", "EnVLF", "CFITR"}, {"RemoteCLIP", "GeoRSCLIP"}
    assert {c.method for c in CLAIMS.values()} == built | scored
    for c in CLAIMS.values():
        assert c.kind in {"range", "direction", "qualitative"}, c.id
        assert c.text and c.check and c.sources, c.id
        assert all("https://" in s for s in c.sources), c.id
        here = table[table.dataset == c.dataset]
        mr = dict(zip(here.system, here.mr, strict=True))
        if c.kind == "range":
            assert c.value == mr[c.row], c.id
            assert c.low < c.value < c.high and c.why, c.id
        if c.kind == "direction":
            assert c.line, c.id
        if c.rows:
            gain = mr[c.rows[0]] - mr[c.rows[1]]
            assert c.value == pytest.approx(gain, abs=0.005), c.id


# ---- ranges --------------------------------------------------------


def test_a_range_is_computed_from_seeds_or_from_the_test_size():
    seeds = reported_range("AMFMN", "RSICD")
    assert seeds.value == 19.38 and "five" in seeds.why
    assert seeds.low == pytest.approx(19.38 - 2 * 0.36)
    assert any("16.42" in note for note in seeds.notes)
    ucm = reported_range("AMFMN", "ucm")
    assert ucm.value == 46.08 and "210 images" in ucm.why
    p = np.array([16.67, 45.71, 68.57, 12.86, 53.24, 79.43]) / 100
    error = 100 * np.sqrt(p * (1 - p) / 210).mean()
    assert ucm.low == pytest.approx(46.08 - 2 * error)
    one = reported_range("AMFMN", "RSICD", "t2i R@5")
    assert one.value == 20.44 and "binomial" in one.why
    assert reported_range("GaLR", "rsicd").value == 18.62
    assert reported_range("GaLR with MR", "rsicd").value == 18.96
    assert reported_range("EnVLF", "RSICD") is None
    assert reported_range("AMFMN", "toy") is None


def test_a_recorded_range_is_never_narrower_than_its_floor():
    r = recorded_range([50, 50.2, 49.8])
    assert (r.low, r.high) == pytest.approx((49, 51))
    wide = recorded_range([40, 50, 60])
    assert wide.low == pytest.approx(20) and "mean of 3 recorded run" in wide.why
    assert recorded_range([50], floor=4).low == 46


def short_lists(*lists):
    names = "M", "loss", "loss_ci95", "faster"
    rows = [(m, x, [x - wide, x + wide], faster) for m, x, wide, faster in lists]
    rows = [dict(zip(names, row)) for row in rows]
    return {"n_images": 7, "runs": 3, "subsets": 2, "coarse_to_fine": rows}


@pytest.mark.parametrize(
    "loss, faster, outcome",
    [
        (0.5, 10, "holds"),
        (0.5, 9.9, "does not hold"),
        (0.6, 10, "does not hold"),
    ],
)
def test_a_short_list_is_as_good_and_much_faster(loss, faster, outcome):
    """Its length is the shortest good one of val, whatever test says.

    Good is what val shows: a loss of 0.45 may as well be one of 0.6.
    """
    val = short_lists((50, 0, 0.1, 3), (20, 0.4, 0.1, 1), (10, 0.45, 0.15, 30))
    test = short_lists((10, 0, 0.1, 30), (20, loss, 0.1, faster))
    verdict = check_short_list("cfitr-real-time", val, test, declared="so")
    assert (verdict.outcome, verdict.ours) == (outcome, faster)
    assert verdict.require().line.endswith("declared") == (outcome != "holds")
    assert verdict.notes[0].startswith("M = 20 loses 0.")
    assert "galleries of 7 pictures: 2; seeds: 3" in verdict.notes[0]
    assert verdict.notes[1] == (
        "by its mean alone val would choose M = 10, which loses 0.00 [-0.10, 0.10]"
    )


BAD_LIST, LIST = short_lists((10, 1, 0.1, 30)), short_lists((20, 0, 0.1, 30))


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: check_reported(20, "AMFNM", "RSICD"), "system"),
        (lambda: check_reported(20, "amfmn-soft", "RSICD"), "system"),
        (lambda: check_reported(20, "", "RSICD"), "system"),
        (lambda: check_reported(20, "AMFMN", "RSICD", "R@1"), "t2i R@10"),
        (lambda: check_direction("amfmn-mvsaa", None), "claim"),
        (lambda: recorded_range([]), "record a run"),
        (lambda: recorded_range([np.nan]), "record a run"),
        (lambda: check_short_list("a list", BAD_LIST, LIST), "val shows of none"),
        (lambda: check_short_list("a list", LIST, BAD_LIST), "M = 20 and M = 20 w"),
        (lambda: check_short_list("cfitr-no-time", LIST, LIST), "no id of claims"),
        *(
            (lambda x=x: check_reported(x, "AMFMN", "RSICD"), "ours")
            for x in (np.nan, np.inf, -1, 101, [])
        ),
    ],
)
def test_what_cannot_be_checked_is_an_error(call, says):
    with pytest.raises(RsirError, match=says):
        call()


# ---- verdicts on numbers -------------------------------------------


@pytest.mark.parametrize(
    "ours, outcome",
    [(18.6, "below"), (18.7, "reached"), (19.38, "reached"), (35, "reached")],
)
def test_outcomes(ours, outcome):
    verdict = check_reported(ours, "AMFMN", "RSICD")
    assert verdict.outcome == outcome
    assert verdict.line == f"mR against its reported range: {outcome}"
    if outcome == "below":
        with pytest.raises(AssertionError, match="below"):
            verdict.require()
        declared = check_reported(ours, "AMFMN", "RSICD", declared="toy GRU").require()
        assert declared.line.endswith("below, as declared")
        assert "toy GRU" in declared.details()
    else:
        assert verdict.require() is verdict


def test_the_line_is_the_same_on_every_data_set():
    lines = {
        check_reported(60, "AMFMN", "ucm").line,
        check_reported(60, "AMFMN", "RSICD").line,
        check_reported(60, "AMFMN", "toy", recorded=[59, 60]).line,
        check_reported(60, "AMFMN", "toy", recorded=Range(50, 45, 55, "so")).line,
    }
    assert lines == {"mR against its reported range: reached"}
    assert not re.search(r"\d", lines.pop())


def test_above_the_range_says_by_how_much_and_why():
    text = check_reported(22.1, "AMFMN", "RSICD", encoders="Lite0 and MiniLM").details()
    assert "above the range by 2.00" in text
    assert "the encoders are not the paper's" in text
    assert "ours Lite0 and MiniLM" in text and "the paper's ResNet-18" in text
    assert "22.10" in text and "18.66 to 20.10" in text
    assert "above" not in check_reported(19.4, "AMFMN", "RSICD").details()


def test_recorded_values_decide_where_nothing_is_published():
    low = check_reported(40, "CFITR", "RSICD", recorded=[50, 51])
    assert low.outcome == "below" and "our own" in low.details()
    none = check_reported(40, "CFITR", "RSICD")
    assert none.outcome == "not comparable"
    assert none.reported is None and "were not at hand" in none.details()
    # what is published outweighs what we recorded
    both = check_reported(19.4, "AMFMN", "RSICD", recorded=[50, 51])
    assert both.outcome == "reached"


def test_stale_records_do_not_count():
    def run(mR, *stale):
        return types.SimpleNamespace(mR=mR, stale=lambda: list(stale))

    old, new = run(90.0, "models/galr.py"), run(50.0)
    assert recorded_range([old, new]).value == 50
    assert check_reported(50, "GaLR", "toy", recorded=[old, new]).outcome == "reached"
    for recorded in ([old], [], None):
        verdict = check_reported(50, "GaLR", "toy", recorded=recorded).require()
        assert verdict.line == (
            "mR against its reported range: not comparable, no fresh run"
        )


@pytest.mark.parametrize("name", ["toy", "UCM", "RSICD"])
def test_our_own_baseline_is_held_to_its_records_everywhere(name):
    for ours, outcome in ((30.0, "below"), (41.5, "reached")):
        verdict = check_reported(ours, "linear", name, recorded=[40.0, 41.0, 42.0])
        assert verdict.line == f"mR against its recorded range: {outcome}"
        assert verdict.sources == ()
    assert check_reported(41.5, "linear", name).outcome == "not comparable"


def record(**changes):
    recalls = {
        "mR": 19.5,
        "i2t": {"R@1": 7.0, "R@5": 1, "R@10": 2},
        "t2i": {"R@1": 5, "R@5": 20.5, "R@10": 30},
    }
    return {
        "recalls": {"expected": recalls, "optimistic": {"mR": 90}},
        "dataset": "rsicd",
        "n_images": 1093,
        "encoders": {"image": "a net", "text": "a GRU"},
        **changes,
    }


@pytest.mark.parametrize(
    "ours",
    [19.5, np.float32(19.5), [19, 20], np.array([19, 20]), record(), [record()] * 2],
)
def test_ours_may_be_a_number_a_report_a_record_or_runs(ours):
    verdict = check_reported(ours, "AMFMN", "RSICD")
    assert verdict.ours == pytest.approx(19.5) and verdict.outcome == "reached"


def test_a_record_names_its_encoders_and_has_all_recalls():
    one = check_reported(record(), "AMFMN", "RSICD", "t2i R@5")
    assert one.ours == 20.5 and "ours a net, a GRU" in one.details()
    assert one.line == "t2i R@5 against its reported range: reached"


SCORES = np.eye(210).repeat(5, axis=1)
OTHER_GALLERY = {"captions": list("abcd"), "gallery": "deduplicated"}


@pytest.mark.parametrize(
    "ours, why",
    [
        (evaluate(SCORES[:50, :250]), "50 test images instead of 210"),
        (evaluate(SCORES, captions=["a"] * 1050), "duplicate captions"),
        (evaluate(SCORES, ties="optimistic"), "own favour"),
        (evaluate(SCORES, ks=(1, 50)), "other recalls"),
        ([record(), record(dataset="ucm")], "measured on rsicd"),
        (evaluate(np.eye(4), **OTHER_GALLERY), "the deduplicated gallery"),
        ({"mR": 20.0, "config": {"selects": "test"}}, "selected on test"),
    ],
)
def test_another_protocol_is_not_comparable(ours, why):
    verdict = check_reported(ours, "AMFMN", "ucm")
    assert verdict.outcome == "not comparable" and why in verdict.details()


# ---- verdicts on directions ----------------------------------------


def gain(low, high, quantity="mR", run_se=None):
    """A comparison of which only the interval matters."""
    every, middle = (low, high), (low + high) / 2
    for key in reversed(quantity.split(" ")):
        every, middle = {key: every}, {key: middle}
    return types.SimpleNamespace(
        ci95=every, difference=middle, p=middle, over="9 images alone", run_se=run_se
    )


@pytest.mark.parametrize(
    "claim, low, high, outcome",
    [
        ("amfmn-visual-guidance", 0.01, 0.3, "holds"),  # 3.21 is printed
        ("amfmn-visual-guidance", -3, -0.01, "does not hold"),
        ("amfmn-visual-guidance", -0.4, 1.6, "smaller than printed"),
        ("amfmn-visual-guidance", -0.4, 1.61, "not decided"),
        ("galr-midf", -0.4, 0.49, "no effect here"),  # nothing is printed
        ("galr-midf", -0.4, 0.5, "not decided"),
        ("galr-midf", -0.5, 0.1, "not decided"),
        ("galr-midf", 0, 0, "no effect here"),  # equal ranks
        ("amfmn-mvsa", 0, 0, "smaller than printed"),
        ("amfmn-mvsa", 0, 0.84, "not decided"),  # half of 1.68
        ("more helps more", -0.1, 0.1, "no effect here"),
        ("more helps more", 0.1, 0.2, "holds"),
    ],
)
def test_outcomes_of_a_direction_in_their_order(claim, low, high, outcome):
    verdict = check_direction(claim, gain(low, high))
    assert verdict.outcome == outcome and verdict.line.endswith(f": {outcome}")
    if outcome == "does not hold":
        with pytest.raises(AssertionError):
            verdict.require()
        said = check_direction(claim, gain(low, high), declared="frozen encoders")
        assert said.require().line.endswith("does not hold, as declared")
    else:
        verdict.require()


def test_half_a_point_of_a_recall_is_not_half_a_point_of_mR():
    found = gain(-0.1, 0.1, "t2i R@1")
    verdict = check_direction("galr-midf", found, quantity="t2i R@1")
    assert verdict.line == "dynamic fusion (MIDF) helps (t2i R@1): not decided"
    none = check_direction("galr-midf", gain(0, 0, "t2i R@1"), quantity="t2i R@1")
    assert none.outcome == "no effect here"  # whatever half a point is worth
    # what is printed of mR says nothing on another recall
    assert check_direction("amfmn-mvsa", found, quantity="t2i R@1").reported is None


def test_a_verdict_says_what_its_interval_is_of():
    alone = check_direction("galr-midf", gain(-1, 1)).details()
    assert "difference over images alone" in alone and "9 images alone" in alone
    both = check_direction("galr-midf", gain(-1, 1, run_se=0.25)).details()
    assert "over images and seeds" in both
    assert "standard error from seed to seed, mR: 0.25" in both


def test_order_and_margins_are_read_from_the_file(monkeypatch):
    assert claims.OUTCOMES == (
        "holds|does not hold|smaller than printed|no effect here|not decided".split("|")
    )
    assert claims.MARGINS == {"smaller than printed": 0.5, "no effect here": 0.5}
    monkeypatch.setitem(claims.MARGINS, "smaller than printed", 0.1)
    monkeypatch.setitem(claims.MARGINS, "no effect here", 2)
    assert check_direction("amfmn-mvsa", gain(-1, 0.3)).outcome == "not decided"
    assert check_direction("galr-midf", gain(-1, 1)).outcome == "no effect here"
    monkeypatch.setattr(claims, "OUTCOMES", claims.OUTCOMES[::-1])
    assert check_direction("galr-midf", gain(1, 2)).outcome == "not decided"
