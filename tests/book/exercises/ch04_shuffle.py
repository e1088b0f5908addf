"""ch04-shuffle: every picture with the tokens of another."""

SETUP = """
import torch
torch.manual_seed(0)
images = {"v": torch.randn(4, 8), "image_tokens": torch.randn(4, 3, 8)}
"""
STUB = """
def misread(images):
    return images    # a copy; each picture has another one's tokens
"""
CHECK = """
other = misread(images)
assert torch.equal(other["v"], images["v"])
assert not torch.equal(other["image_tokens"], images["image_tokens"])
"""
SOLUTION = """
def misread(images):
    tokens = images["image_tokens"]
    return images | {"image_tokens": tokens.roll(len(tokens) // 2, 0)}
"""
