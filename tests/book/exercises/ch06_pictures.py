"""ch06-pictures: how many pictures an interval needs."""

SETUP = "import numpy as np"
STUB = """
def pictures_needed(n, low, high, wanted):
    return ...
"""
CHECK = """
assert pictures_needed(100, -1.0, 1.0, 1.0) == 400
assert pictures_needed(210, 0.0, 2.0, 2.0) == 210
"""
SOLUTION = """
def pictures_needed(n, low, high, wanted):
    return int(np.ceil(n * ((high - low) / wanted) ** 2 - 1e-9))
"""
