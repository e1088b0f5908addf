"""ch03-ten: a re-ranking of ten reaches what is among the ten."""

SETUP = """
import numpy as np
from types import SimpleNamespace
from rsir import metrics, reranked
rng = np.random.default_rng(0)
owner = np.repeat(np.arange(60), 5)
k = 30
S = rng.random((60, 300)) + 0.25 * (np.arange(60)[:, None] == owner)
test = SimpleNamespace(owner=owner)
report = SimpleNamespace(ranks=metrics.ranks(S, owner))
"""
STUB = """
def in_reach(scores, owner, k):
    return ...    # share of captions whose picture is in their top k
"""
CHECK = """
ten_only = reranked.rerank_both(S, test.owner, k=10, w_sig=0.0)
ten = [metrics.recalls_from_ranks(r)["t2i"]["R@10"]
       for r in (report.ranks, ten_only)]
assert np.isclose(*ten)
reach = [100 * in_reach(S, test.owner, n) for n in (10, k)]
assert np.isclose(reach[0], ten[0], atol=0.5)
"""
SOLUTION = """
def in_reach(scores, owner, k):
    own = scores[owner, np.arange(len(owner))]
    return np.mean((scores > own).sum(axis=0) < k)
"""

NOTEBOOK = True
