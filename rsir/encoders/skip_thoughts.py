"""The skip-thought GRU that the released code encodes text with.

Parameter names follow the released checkpoints, so that they load without a
translation table. Explained in chapter 02.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rsir.data.text import Vocabulary
from rsir.utils.errors import RsirError

FILES = ("dictionary.txt", "utable.npy", "uni_skip.npz")
DROPOUT = 0.25


class UniSkipGRU(nn.Module):
    """A GRU over a sentence, with Bayesian dropout.

    r = sigmoid(W_ir x + W_hr h), the reset gate
    i = sigmoid(W_ii x + W_hi h), the update gate
    n = tanh(W_in x + r * W_hn h), the candidate
    h' = (1 - i) * n + i * h

    Source: as released; only the input matrices have a bias. While training,
    each gate drops inputs and states with one mask for all words.
    """

    def __init__(self, embed: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        inputs = {f"weight_i{gate}": nn.Linear(embed, hidden) for gate in "rin"}
        states = {
            f"weight_h{gate}": nn.Linear(hidden, hidden, bias=False) for gate in "rin"
        }
        self.gru_cell = nn.ModuleDict(inputs | states)

    def _masks(self, like: Tensor, shape: tuple) -> list[Tensor]:
        if not self.training:
            return [like.new_ones(())] * 3
        keep = 1 - DROPOUT
        return [torch.bernoulli(like.new_full(shape, keep)) / keep for _ in "rin"]

    def forward(self, words: Tensor) -> Tensor:
        """States `[B, L, hidden]` of words `[B, L, embed]`."""
        batch, _, embed = words.shape
        x_keep = self._masks(words, (batch, 1, embed))
        keep_r, keep_i, keep_n = self._masks(words, (batch, self.hidden))
        w_ir, w_ii, w_in, w_hr, w_hi, w_hn = self.gru_cell.values()
        gates = (w(words * keep) for w, keep in zip((w_ir, w_ii, w_in), x_keep))
        h, states = words.new_zeros(batch, self.hidden), []
        for x_r, x_i, x_n in zip(*(gate.unbind(1) for gate in gates)):
            r = torch.sigmoid(x_r + w_hr(h * keep_r))
            i = torch.sigmoid(x_i + w_hi(h * keep_i))
            n = torch.tanh(x_n + r * w_hn(h * keep_n))
            h = (1 - i) * n + i * h
            states.append(h)
        return torch.stack(states, dim=1)


@torch.no_grad()
def load_tables(
    embedding: nn.Embedding, rnn: UniSkipGRU, folder: Path, vocabulary: Vocabulary
) -> None:
    """Fill word vectors and GRU from the public skip-thought files in `folder`.

    Words that their dictionary lacks keep their random vector, as released.
    RsirError if a file is missing or does not fit.
    """
    paths = dictionary, utable, uni_skip = [folder / name for name in FILES]
    for path in paths:
        if not path.is_file():
            raise RsirError(
                f"{path}: not found; get it from www.cs.toronto.edu/~rkiros/models/, "
                "or take text_encoder='uniskip', which starts from random weights"
            )
    # line i names row i of the table; splitlines() would know ten more ends
    lines = dictionary.read_bytes().decode("utf-8").removesuffix("\n").split("\n")
    table = np.load(utable, mmap_mode="r", allow_pickle=False)
    wide = embedding.embedding_dim
    if table.ndim != 2 or len(table) < len(lines) or table.shape[1] != wide:
        raise RsirError(
            f"{utable}: shape {table.shape} does not fit {len(lines)} words of "
            f"{dictionary.name} and vectors of {wide} numbers"
        )
    place = {word.strip(): i for i, word in enumerate(lines)}
    for i, word in enumerate(vocabulary.words):
        if word in place:
            embedding.weight[i] = torch.from_numpy(np.array(table[place[word]]))
    with np.load(uni_skip, allow_pickle=False) as file:
        if missing := {f"encoder_{k}" for k in "W U b Wx Ux bx".split()} - {*file}:
            raise RsirError(f"{uni_skip}: lacks {', '.join(missing)}; fetch it again")
        # two gates side by side, then the candidate
        x, h, bias = (
            np.concatenate([file[f"encoder_{k}"] for k in pair], axis=-1)
            for pair in (("W", "Wx"), ("U", "Ux"), ("b", "bx"))
        )
    for k, gate in enumerate("rin"):
        own = slice(k * rnn.hidden, (k + 1) * rnn.hidden)
        layer = rnn.gru_cell[f"weight_i{gate}"]
        layer.weight.copy_(torch.from_numpy(x[:, own].T.copy()))
        layer.bias.copy_(torch.from_numpy(bias[own].copy()))
        states = torch.from_numpy(h[:, own].T.copy())
        rnn.gru_cell[f"weight_h{gate}"].weight.copy_(states)
