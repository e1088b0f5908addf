"""ch01-dead: the mR of a model whose scores are all 0."""

SETUP = """
import numpy as np
from rsir.evaluation import metrics
from rsir.evaluation.ranks import compute_ranks
scores, owner = np.ones((30, 150)), np.repeat(np.arange(30), 5)
floor = metrics.random_baseline(owner)
"""
STUB = """
guess = {"expected": ..., "optimistic": ..., "pessimistic": ...}
"""
CHECK = """
dead = compute_ranks(np.zeros_like(scores), owner)
for rule, value in guess.items():
    truth = metrics.recalls_from_ranks(dead, rule)["mR"]
    assert np.isclose(value, truth), f"{rule}: look again"
"""
SOLUTION = """
guess = {"expected": floor["mR"], "optimistic": 100, "pessimistic": 0}
"""
