"""ch06-seeds: how many runs a difference needs."""

SETUP = "import numpy as np"
STUB = """
def seeds_needed(d, s):
    return ...    # the next whole number
"""
CHECK = """
assert seeds_needed(1.0, 0.5) == 2
assert seeds_needed(0.5, 0.5) == 8
"""
SOLUTION = """
def seeds_needed(d, s):
    return int(np.ceil(8 * (s / d) ** 2 - 1e-9))   # d = 2 sqrt(2 s²/n)
"""
