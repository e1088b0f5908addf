"""ch03-ten: a re-ranking of ten reaches what is among the ten."""

SETUP = """
import numpy as np
from types import SimpleNamespace
from rsir.evaluation import metrics
from rsir.evaluation.ranks import compute_ranks
from rsir.experiments.run import rerank_both

rng = np.random.default_rng(0)
owner = np.repeat(np.arange(60), 5)
k = 30
S = rng.random((60, 300)) + 0.25 * (np.arange(60)[:, None] == owner)
test = SimpleNamespace(owner=owner)
report = SimpleNamespace(ranks=compute_ranks(S, owner))
"""
STUB = """
def in_reach(scores, owner, k):
    return ...    # share of captions whose picture is in their top k
"""
CHECK = """
ten_only = rerank_both(S, test.owner, k=10, w_sig=0.0)
before = metrics.recalls_from_ranks(report.ranks)["t2i"]["R@10"]
after = metrics.recalls_from_ranks(ten_only)["t2i"]["R@10"]
assert np.isclose(before, after)
reach = [100 * in_reach(S, test.owner, n) for n in (10, k)]
assert np.isclose(reach[0], before, atol=0.5)
"""
SOLUTION = """
def in_reach(scores, owner, k):
    own = scores[owner, np.arange(len(owner))]
    return np.mean((scores > own).sum(axis=0) < k)
"""
