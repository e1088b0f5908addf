"""ch05-bits: the first q bits of a code, packed."""

SETUP = """
import numpy as np
from rsir.retrieval.index import hamming, pack
code = np.sign(np.random.default_rng(0).standard_normal((6, 128)))
"""
STUB = """
def shorter(code, q):
    return ...    # packed, [n, q / 8]
"""
CHECK = """
assert shorter(code, 16).shape[1] == 2
assert hamming(shorter(code, 16), shorter(code, 16)).max() <= 16
"""
SOLUTION = """
def shorter(code, q):
    return pack(np.asarray(code)[:, :q])
"""
