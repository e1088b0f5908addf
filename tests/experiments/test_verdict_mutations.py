"""Damage must show: every broken system gets the verdict "below".

A synthetic system that reaches AMFMN's range on a test set of UCM's
size is broken in the ways that really happen. A verdict that still says
"reached" would be worth nothing.
"""

import numpy as np
import pytest

from rsir.evaluation import metrics
from rsir.experiments.claims import check_direction, check_reported, recorded_range

N, PER = 210, 5
NOISE = 1.2  # so that the sound system has an mR of about 50
OWNER = np.repeat(np.arange(N), PER)


def trained(seed=0):
    """Vectors that agree with their owner about as well as AMFMN's."""
    rng = np.random.default_rng(seed)
    meaning = rng.standard_normal((N, 24))
    images = meaning + NOISE * rng.standard_normal(meaning.shape)
    captions = meaning[OWNER] + NOISE * rng.standard_normal((N * PER, 24))
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    captions /= np.linalg.norm(captions, axis=1, keepdims=True)
    return images @ captions.T


def shuffled_rows(scores, rng):
    return scores[rng.permutation(N)], OWNER


def shuffled_columns(scores, rng):
    return scores[:, rng.permutation(N * PER)], OWNER


def shuffled_scores(scores, rng):
    return rng.permutation(scores.ravel()).reshape(scores.shape), OWNER


def untrained(scores, rng):
    return rng.standard_normal(scores.shape), OWNER


def constant(scores, rng):
    return np.zeros_like(scores), OWNER


def distances_for_scores(scores, rng):
    return 1 - scores, OWNER


def wrong_owner(scores, rng):
    return scores, rng.permutation(OWNER)


def owner_off_by_one(scores, rng):
    return scores, (OWNER + 1) % N


def owner_dealt_round(scores, rng):
    return scores, np.tile(np.arange(N), PER)


def reshaped_for_transposed(scores, rng):
    # captions as rows, forced into the expected shape
    return np.ascontiguousarray(scores.T).reshape(N, N * PER), OWNER


def one_caption_off(scores, rng):
    return np.roll(scores, PER, axis=1), OWNER


def half_mislabelled(scores, rng):
    owner = OWNER.copy()
    picked = rng.random(len(owner)) < 1 / 2
    owner[picked] = rng.permutation(owner[picked])
    return scores, owner


def coarse(scores, rng):
    # one bit a score: nearly everything ties
    return (scores > np.median(scores)).astype(np.int8), OWNER


DAMAGES = [
    shuffled_rows,
    shuffled_columns,
    shuffled_scores,
    untrained,
    constant,
    distances_for_scores,
    wrong_owner,
    owner_off_by_one,
    owner_dealt_round,
    reshaped_for_transposed,
    one_caption_off,
    half_mislabelled,
    coarse,
]


def verdicts(scores, owner):
    """Against the printed range, and against a recorded one."""
    report = metrics.evaluate(scores, owner, bootstrap=0)
    recorded = recorded_range(
        [metrics.evaluate(trained(s), OWNER, bootstrap=0).mR for s in range(3)]
    )
    return (
        check_reported(report, "AMFMN", "UCM"),
        check_reported(report, "AMFMN", "toy", recorded=recorded),
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_sound_system_reaches_both_ranges(seed):
    for verdict in verdicts(trained(seed), OWNER):
        assert verdict.require().outcome == "reached"


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: d.__name__)
def test_a_damaged_system_falls_below(damage):
    rng = np.random.default_rng(1)
    for verdict in verdicts(*damage(trained(), rng)):
        assert verdict.outcome == "below"
        with pytest.raises(AssertionError, match="below"):
            verdict.require()


def test_a_matrix_the_wrong_way_round_is_refused():
    with pytest.raises(ValueError, match="owner"):
        metrics.evaluate(trained().T)
    with pytest.raises(ValueError, match="transposed"):
        metrics.evaluate(trained().T, OWNER)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: d.__name__)
def test_stored_ranks_show_the_damage_too(damage, tmp_path):
    broken = metrics.ranks(*damage(trained(), np.random.default_rng(2)))
    broken.save(tmp_path / "run.npz")
    again = metrics.Ranks.load(tmp_path / "run.npz")
    report = metrics.evaluate_ranks(again, bootstrap=0)
    assert check_reported(report, "AMFMN", "UCM").outcome == "below"


def test_swapped_places_turn_a_direction_round():
    good = metrics.ranks(trained())
    bad = metrics.ranks(trained() * -1)
    found = metrics.compare(good, bad, draws=300)
    assert check_direction("amfmn-mvsa", found).outcome == "holds"
    turned = metrics.compare(bad, good, draws=300)
    with pytest.raises(AssertionError, match="does not hold"):
        check_direction("amfmn-mvsa", turned).require()


def test_an_untrained_pair_decides_nothing():
    rng = np.random.default_rng(0)
    a, b = (metrics.ranks(rng.standard_normal((N, N * PER))) for _ in range(2))
    found = metrics.compare(a, b, draws=500)
    assert check_direction("amfmn-mvsa", found).outcome == "not decided"
