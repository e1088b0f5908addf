"""ch02-zero: the same model with a gate that says nothing."""

SETUP = """
import copy
import torch
torch.manual_seed(0)
model = torch.nn.Module()
model.guidance = torch.nn.Linear(4, 4)
"""
STUB = """
def without_gate(model):
    return model    # a copy; W and bias of its gate are 0
"""
CHECK = """
ungated = without_gate(model)
assert not any(p.any() for p in ungated.guidance.parameters())
assert all(p.any() for p in model.guidance.parameters()), "a copy!"
"""
SOLUTION = """
def without_gate(model):
    model = copy.deepcopy(model)
    for parameter in model.guidance.parameters():
        torch.nn.init.zeros_(parameter)
    return model
"""
