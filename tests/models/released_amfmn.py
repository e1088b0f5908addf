"""The released AMFMN, written down from its published tables.

Plain functions on a dictionary with the released names. It shares no
code with `rsir`, so that both must be right to agree.
"""

import torch
import torch.nn.functional as F
from torchvision.models import resnet18

WORDS, EMBED, HIDDEN = 51, 620, 2400
NET = "extract_feature.resnet."


def names(attention):
    """{released name: shape} of a checkpoint."""
    net = resnet18().state_dict().items()
    shapes = {f"{NET}{name}": tuple(value.shape) for name, value in net}
    text, cross = "text_feature.seq2vec.", "cross_attention_s."
    linear = {
        "extract_feature.linear": (512, 512),
        "mvsa.LF_conv": (3, 192, 3, 3),
        "mvsa.HF_conv": (3, 768, 1, 1),
        "mvsa.conv1x1_1": (1, 6, 1, 1),
        "mvsa.conv1x1_2": (1, 6, 1, 1),
        "mvsa.solo_attention": (512, 256),
        "text_feature.to_out": (512, HIDDEN),
        "vgmf_gate.gate": (512, 1024),
    } | {f"{text}rnn.gru_cell.weight_i{gate}": (HIDDEN, EMBED) for gate in "rin"}
    if attention == "soft":
        linear[f"{cross}cross_attention.0"] = (512, 512)
    elif attention == "fusion":
        linear |= {f"{cross}cross_attention_fc{i}.0": (512, 1024) for i in (1, 2)}
    else:
        linear |= {f"{cross}fc_{side}.0": (512, 512) for side in ("visual", "text")}
    for name, shape in linear.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    shapes[f"{text}embedding.weight"] = (WORDS, EMBED)
    for gate in "rin":
        shapes[f"{text}rnn.gru_cell.weight_h{gate}.weight"] = (HIDDEN, HIDDEN)
    return shapes


def random_state(shapes, seed=0):
    """Weights of a sane size, so that no activation saturates."""
    draw = torch.Generator().manual_seed(seed)
    ones = (".weight", "running_var", ".a_2")  # of a norm
    state = {}
    for name, shape in shapes.items():
        value = torch.randn(shape, generator=draw)
        if len(shape) < 2:
            state[name] = 0.1 * value + name.endswith(ones)
        elif name.endswith("embedding.weight"):
            state[name] = value  # and a row 0 that must not count as zeros
        else:
            fan_in = torch.Size(shape[1:]).numel()
            gain = 2.0 if len(shape) == 4 else 1.5
            state[name] = value * (gain / fan_in) ** 0.5
    return state


def maps_of(state, x):
    """The four residual stages of ResNet-18."""
    net, maps = resnet18().eval(), []
    net.load_state_dict(
        {k.removeprefix(NET): v for k, v in state.items() if k.startswith(NET)}
    )
    for name, layer in list(net.named_children())[:-2]:
        x = layer(x)
        if name.startswith("layer"):
            maps.append(x)
    return maps


def linear(state, name, x):
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def image_vectors(state, images):
    f1, f2, f3, f4 = maps_of(state, images)

    def double(x):
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)

    def conv(x, name, stride=1):
        weights = (state[f"mvsa.{name}.{part}"] for part in ("weight", "bias"))
        return F.conv2d(x, *weights, stride=stride)

    lower = torch.cat([f1, double(f2)], 1)  # (B, 192, 64, 64)
    higher = torch.cat([f3, double(f4)], 1)  # (B, 768, 16, 16)
    solo = linear(state, "extract_feature.linear", f4.mean((2, 3)))
    low, high = conv(lower, "LF_conv", 4), conv(higher, "HF_conv")
    cat = torch.cat([low, high], 1) + high.mean(1, keepdim=True)
    kept = conv(cat, "conv1x1_1") * torch.sigmoid(conv(cat, "conv1x1_2"))
    mask = torch.sigmoid(linear(state, "mvsa.solo_attention", kept.flatten(1)))
    return solo * mask


def text_vectors(state, ids):
    at = "text_feature.seq2vec."
    cell = f"{at}rnn.gru_cell.weight_"
    table, rows = state[f"{at}embedding.weight"], []
    for row in ids:
        length = max(1, int((row != 0).sum()))
        h = torch.zeros(HIDDEN)
        for word in row[:length]:
            x = table[word]
            put = {g: linear(state, f"{cell}i{g}", x) for g in "rin"}
            kept = {g: state[f"{cell}h{g}.weight"] @ h for g in "rin"}
            r = torch.sigmoid(put["r"] + kept["r"])
            i = torch.sigmoid(put["i"] + kept["i"])
            n = torch.tanh(put["n"] + r * kept["n"])
            h = (1 - i) * n + i * h
        rows.append(h)
    return F.relu(linear(state, "text_feature.to_out", torch.stack(rows)))


def scores(state, attention, images, ids):
    """`[B, T]`, by way of the tensor of all pairs, as released."""
    with torch.no_grad():
        v, t = image_vectors(state, images), text_vectors(state, ids)
        shape = (len(v), len(t), 512)
        v, t = v[:, None].expand(shape), t[None].expand(shape)
        at = "cross_attention_s."
        if attention == "soft":
            guided = torch.sigmoid(linear(state, f"{at}cross_attention.0", v)) * t
        elif attention == "fusion":
            both, fc = torch.cat([v, t], -1), f"{at}cross_attention_fc"
            gate = torch.sigmoid(linear(state, f"{fc}1.0", both))
            guided = gate * linear(state, f"{fc}2.0", both)
        else:
            f_v = linear(state, f"{at}fc_visual.0", v)
            f_t = linear(state, f"{at}fc_text.0", t)
            guided = torch.sigmoid(f_v * f_t) * f_t
        return F.cosine_similarity(v, guided, dim=-1)
