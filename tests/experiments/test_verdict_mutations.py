"""Damage must show: every broken system gets the verdict "below".

A synthetic system that reaches AMFMN's range on a test set of UCM's
size is broken in the ways that really happen. A verdict that still says
"reached" would be worth nothing.
"""

import numpy as np
import pytest

from rsir.evaluation.compare import compare
from rsir.evaluation.metrics import evaluate
from rsir.evaluation.ranks import compute_ranks
from rsir.experiments.claims import check_direction, check_reported

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


def half_mislabelled(scores, rng):
    picked = rng.random(N * PER) < 1 / 2
    owner = OWNER.copy()
    owner[picked] = rng.permutation(owner[picked])
    return scores, owner


#: what goes wrong: (scores, random numbers) to (scores, owner)
DAMAGES = {
    "shuffled rows": lambda s, rng: (s[rng.permutation(N)], OWNER),
    "shuffled columns": lambda s, rng: (s[:, rng.permutation(N * PER)], OWNER),
    "shuffled scores": lambda s, rng: (rng.permuted(s), OWNER),
    "untrained": lambda s, rng: (rng.standard_normal(s.shape), OWNER),
    "constant": lambda s, rng: (np.zeros_like(s), OWNER),
    "distances for scores": lambda s, rng: (1 - s, OWNER),
    "wrong owner": lambda s, rng: (s, rng.permutation(OWNER)),
    "owner off by one": lambda s, rng: (s, (OWNER + 1) % N),
    "owner dealt round": lambda s, rng: (s, np.tile(np.arange(N), PER)),
    "captions as rows, reshaped": lambda s, rng: (s.T.copy().reshape(N, -1), OWNER),
    "one image off": lambda s, rng: (np.roll(s, PER, axis=1), OWNER),
    "half mislabelled": half_mislabelled,
    "one bit a score, nearly all tie": lambda s, rng: (s > np.median(s), OWNER),
}


@pytest.fixture(scope="module")
def verdicts():
    """Against the printed range, and against a recorded one."""
    runs = [evaluate(trained(s), OWNER, bootstrap=0).mR for s in range(3)]

    def call(scores, owner):
        report = evaluate(scores * 1.0, owner, bootstrap=0)
        yield check_reported(report, "AMFMN", "UCM")
        yield check_reported(report, "AMFMN", "toy", recorded=runs)

    return call


@pytest.mark.parametrize("seed", range(3))
def test_the_sound_system_reaches_both_ranges(verdicts, seed):
    for verdict in verdicts(trained(seed), OWNER):
        assert verdict.require().outcome == "reached"


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_system_falls_below(verdicts, damage):
    for verdict in verdicts(*DAMAGES[damage](trained(), np.random.default_rng(1))):
        with pytest.raises(AssertionError, match="below"):
            verdict.require()


def test_swapped_places_turn_a_direction_round():
    good, bad = (compute_ranks(trained() * sign) for sign in (1, -1))
    verdict = check_direction("amfmn-visual-guidance", compare(good, bad, draws=300))
    assert verdict.line == "visual guidance helps: holds"
    assert "reported  3.21" in verdict.details() and "p = " in verdict.details()
    turned = compare(bad, good, draws=300)
    assert check_direction("amfmn-mvsa", turned).outcome == "does not hold"


def test_an_untrained_pair_decides_nothing():
    rng = np.random.default_rng(0)
    a, b = (compute_ranks(rng.standard_normal((N, N * PER))) for _ in range(2))
    found = compare(a, b, draws=500)
    assert check_direction("amfmn-mvsa", found).outcome == "not decided"
