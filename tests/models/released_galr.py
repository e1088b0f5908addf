"""The released GaLR, written down from its published tables.

Plain functions on a dictionary with the released names; it shares no
code with `rsir`. What GaLR takes over from AMFMN is written there.
"""

import math

import released_amfmn as amfmn
import torch
from released_amfmn import linear

DIM, HIDDEN, HEADS = 512, 1024, 8
BLOCKS = {
    "l2l_SA": ["mhatt"],
    "g2g_SA": ["mhatt"],
    "g2l_SGA": ["mhatt1", "mhatt2"],
    "l2g_SGA": ["mhatt1", "mhatt2"],
}


def names():
    """{released name: shape} of a checkpoint."""
    other = ("cross_attention_s.", "vgmf_gate.")
    shapes = amfmn.names("soft").items()
    shapes = {name: shape for name, shape in shapes if not name.startswith(other)}
    for layer, shape in {"fc1": (20, 20), "fc2": (10, 20), "fc3": (20, 10)}.items():
        shapes[f"local_feature.{layer}.weight"] = shape
    linear = {
        "local_feature.out": (DIM, 400),
        "fusion.dynamic_weight.0": (DIM, DIM),
        "fusion.dynamic_weight.3": (2, DIM),
    }
    for block, attentions in BLOCKS.items():
        at = f"fusion.{block}"
        for attention in attentions:
            for part in ("v", "k", "q", "merge"):
                linear[f"{at}.{attention}.linear_{part}"] = (DIM, DIM)
        linear[f"{at}.ffn.mlp.fc.linear"] = (HIDDEN, DIM)
        linear[f"{at}.ffn.mlp.linear"] = (DIM, HIDDEN)
        for norm in range(1, len(attentions) + 2):
            shapes |= {f"{at}.norm{norm}.a_2": (DIM,), f"{at}.norm{norm}.b_2": (DIM,)}
    for name, shape in linear.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return shapes


def unit(x):
    return x / (x.pow(2).sum(-1, keepdim=True).sqrt() + 1e-8)


def local_vectors(state, X, A):
    for layer in ("fc1", "fc2", "fc3"):
        weight = state[f"local_feature.{layer}.weight"]
        X = torch.relu(torch.bmm(A, X) @ weight.T)
    return unit(linear(state, "local_feature.out", X.flatten(1)))


def norm(state, at, x):
    spread = x - x.mean(-1, keepdim=True)
    std = (spread.pow(2).sum(-1, keepdim=True) / (x.shape[-1] - 1)).sqrt()
    return state[f"{at}.a_2"] * spread / (std + 1e-6) + state[f"{at}.b_2"]


def attend(state, at, x, y):
    """Attention of x to y, head by head; both `[B, L, 512]`."""
    size = DIM // HEADS
    q = linear(state, f"{at}.linear_q", x)
    k = linear(state, f"{at}.linear_k", y)
    v = linear(state, f"{at}.linear_v", y)
    heads = []
    for h in range(HEADS):
        part = slice(h * size, (h + 1) * size)
        logits = q[..., part] @ k[..., part].mT / math.sqrt(size)
        heads.append(logits.softmax(-1) @ v[..., part])
    return linear(state, f"{at}.linear_merge", torch.cat(heads, -1))


def block(state, name, x, guide=None):
    """SA, or SGA if there is a guide."""
    at = f"fusion.{name}"
    first, *second = BLOCKS[name]
    x = norm(state, f"{at}.norm1", x + attend(state, f"{at}.{first}", x, x))
    for name in second:
        x = norm(state, f"{at}.norm2", x + attend(state, f"{at}.{name}", x, guide))
    hidden = torch.relu(linear(state, f"{at}.ffn.mlp.fc.linear", x))
    x = x + linear(state, f"{at}.ffn.mlp.linear", hidden)
    return norm(state, f"{at}.norm{2 + len(second)}", x)


def fused(state, g, loc, mended):
    g, loc = g[:, None], loc[:, None]
    g, loc = block(state, "g2g_SA", g), block(state, "l2l_SA", loc)
    loc = block(state, "g2l_SGA", loc, g)
    g = block(state, "l2g_SGA", g, loc)
    g, loc = g[:, 0], loc[:, 0]
    one, two = torch.sigmoid(loc) * g, g + loc
    head = torch.sigmoid(linear(state, "fusion.dynamic_weight.0", one + two))
    gamma = linear(state, "fusion.dynamic_weight.3", head).softmax(1)
    return gamma[:, :1] * one + gamma[:, int(mended)][:, None] * two


def scores(state, images, X, A, ids, mended=False):
    """`[B, T]`, as released, or with gamma_1 for the second term."""
    with torch.no_grad():
        g = unit(amfmn.image_vectors(state, images))
        v = fused(state, g, local_vectors(state, X, A), mended)
        return unit(v) @ unit(amfmn.text_vectors(state, ids)).T
