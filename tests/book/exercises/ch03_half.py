"""ch03-half: the same model, its two weights held at one half."""

SETUP = """
from copy import deepcopy
import torch
torch.manual_seed(0)
model = torch.nn.Module()
model.midf = torch.nn.Module()
model.midf.dynamic_weight = torch.nn.Sequential(
    torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Identity(),
    torch.nn.Linear(4, 2))
"""
STUB = """
def undynamic(model):
    return model    # a copy; the last layer of its head is 0
"""
CHECK = """
fixed = undynamic(model)
assert not any(p.any() for p in fixed.midf.dynamic_weight[3].parameters())
assert any(p.any() for p in model.midf.dynamic_weight[3].parameters())
"""
SOLUTION = """
def undynamic(model):
    model = deepcopy(model)
    for parameter in model.midf.dynamic_weight[3].parameters():
        torch.nn.init.zeros_(parameter)
    return model
"""
