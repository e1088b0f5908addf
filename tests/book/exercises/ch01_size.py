"""ch01-size: the size of a test set from its printed recalls."""

SETUP = """
import numpy as np

def fits(values, n, runs=1):
    near = np.round(values * n * runs / 100) * 100 / (n * runs)
    return np.mean(np.abs(near - values) < 0.00501)
"""
STUB = """
def best_size(values, sizes):
    ...    # the n of `sizes` that most of the values fit
"""
CHECK = """
sixths = np.array([16.67, 33.33, 66.67, 83.33, 50.0])
assert best_size(sixths, range(4, 9)) == 6
"""
SOLUTION = """
def best_size(values, sizes):
    return max(sizes, key=lambda n: fits(values, n))
"""
