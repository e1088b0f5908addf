"""ch05-depth: what the short list has lost."""

SETUP = "import numpy as np"
STUB = """
def missed(coarse, owner, m):
    place = ...    # of the own picture, for each caption
    return ...
"""
CHECK = """
assert missed(np.eye(4), np.arange(4), 1) == 0
assert missed(-np.eye(4), np.arange(4), 3) == 100
"""
SOLUTION = """
def missed(coarse, owner, m):
    own = coarse[owner, np.arange(len(owner))]
    place = (coarse > own).sum(0)          # how many stand before it
    return 100 * (place >= m).mean()
"""
