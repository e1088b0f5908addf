"""ch04-oracle: a reader that knows the answers."""

SETUP = """
import numpy as np
owner = np.repeat(np.arange(7), 5)
"""
STUB = """
def knows(pairs):
    return ...    # [n_pairs], 1.0 for a true pair, else 0.0
"""
CHECK = """
pairs = np.column_stack([owner, np.arange(len(owner))])
assert np.all(knows(pairs) == 1)
assert np.all(knows(pairs + [1, 0]) == 0)
"""
SOLUTION = """
def knows(pairs):
    return (owner[pairs[:, 1]] == pairs[:, 0]) * 1.0
"""
