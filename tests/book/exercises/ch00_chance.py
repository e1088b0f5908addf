"""ch00-chance: the recall at 10 of a random ranking."""

SETUP = """
from math import comb
import numpy as np
from rsir.evaluation.metrics import random_baseline
scores = np.zeros((150, 750))
owner = np.repeat(np.arange(150), 5)
"""
STUB = """
def chance_at_10(n, c):
    t2i = ...    # one right picture among n
    i2t = ...    # c right captions among n * c
    return {"t2i": t2i, "i2t": i2t}    # in percent
"""
CHECK = """
mine = chance_at_10(len(scores), scores.shape[1] // len(scores))
for side, value in mine.items():
    assert np.isclose(value, random_baseline(owner)[side]["R@10"])
"""
SOLUTION = """
def chance_at_10(n, c):
    t2i = 10 / n
    i2t = 1 - comb(n * c - c, 10) / comb(n * c, 10)
    return {"t2i": 100 * t2i, "i2t": 100 * i2t}
"""
