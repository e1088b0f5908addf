"""The skip-thought GRU that the released code encodes text with.

Parameter names follow the released checkpoints, so that they load without a
translation table. Explained in chapter 02.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rsir.utils.errors import RsirError


class GRUCell(nn.Module):
    """One GRU step, with three input and three state matrices.

    r = sigmoid(W_ir x + W_hr h), the reset gate
    i = sigmoid(W_ii x + W_hi h), the update gate
    n = tanh(W_in x + r * W_hn h), the candidate
    h' = (1 - i) * n + i * h

    Source: as released; only the input matrices have a bias.
    """

    GATES = ("r", "i", "n")

    def __init__(self, embed: int, hidden: int) -> None:
        super().__init__()
        for gate in self.GATES:
            self.add_module(f"weight_i{gate}", nn.Linear(embed, hidden))
        for gate in self.GATES:
            self.add_module(f"weight_h{gate}", nn.Linear(hidden, hidden, bias=False))

    def inputs(self, words: Tensor, keep: list[Tensor]) -> list[Tensor]:
        """W_i* x of all steps at once: three `[B, L, hidden]`."""
        return [
            getattr(self, f"weight_i{gate}")(words * mask)
            for gate, mask in zip(self.GATES, keep, strict=True)
        ]

    def forward(self, x: list[Tensor], h: Tensor, keep: list[Tensor]) -> Tensor:
        """One step: `x` three `[B, hidden]`, `h` `[B, hidden]`."""
        r = torch.sigmoid(x[0] + self.weight_hr(h * keep[0]))
        i = torch.sigmoid(x[1] + self.weight_hi(h * keep[1]))
        n = torch.tanh(x[2] + r * self.weight_hn(h * keep[2]))
        return (1 - i) * n + i * h


class UniSkipGRU(nn.Module):
    """The GRU over a sentence, with Bayesian dropout.

    While training, each gate drops inputs and states with one mask that stays
    the same over the words of a sentence.
    """

    def __init__(self, embed: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.hidden, self.dropout = hidden, dropout
        self.gru_cell = GRUCell(embed, hidden)

    def _masks(self, like: Tensor, shape: tuple) -> list[Tensor]:
        if not self.training or self.dropout == 0:
            return [like.new_ones(())] * 3
        keep = 1 - self.dropout
        return [
            torch.bernoulli(like.new_full(shape, keep)) / keep for _ in GRUCell.GATES
        ]

    def forward(self, words: Tensor) -> Tensor:
        """States `[B, L, hidden]` of words `[B, L, embed]`."""
        batch, length, embed = words.shape
        x_keep = self._masks(words, (batch, 1, embed))
        h_keep = self._masks(words, (batch, self.hidden))
        x = self.gru_cell.inputs(words, x_keep)
        h = words.new_zeros(batch, self.hidden)
        states = []
        for step in range(length):
            h = self.gru_cell([gate[:, step] for gate in x], h, h_keep)
            states.append(h)
        return torch.stack(states, dim=1)


@torch.no_grad()
def load_tables(encoder, folder: Path, vocabulary) -> None:
    """Fill a `UniSkip` from the public skip-thought files.

    Words that the skip-thought dictionary lacks keep their random vector, as
    released.

    Raises:
        RsirError: if a file is missing or does not fit.
    """
    names = ("dictionary.txt", "utable.npy", "uni_skip.npz")
    dictionary, utable, uni_skip = (folder / name for name in names)
    for path in (dictionary, utable, uni_skip):
        if not path.is_file():
            raise RsirError(
                f"{path}: not found; get it from www.cs.toronto.edu/~rkiros/models/ "
                "or give no source, and the encoder starts from random weights"
            )
    # line i of the dictionary names row i of the table; only "\n" ends a
    # line, while splitlines() knows ten more signs
    lines = dictionary.read_bytes().decode("utf-8").removesuffix("\n").split("\n")
    place = {word.strip(): i for i, word in enumerate(lines)}
    table = np.load(utable, mmap_mode="r", allow_pickle=False)
    wide = encoder.embedding.embedding_dim
    if table.ndim != 2 or len(table) < len(lines) or table.shape[1] != wide:
        raise RsirError(
            f"{utable}: shape {table.shape} does not fit {len(lines)} words of "
            f"{dictionary.name} and vectors of {wide} numbers"
        )
    for i, word in enumerate(vocabulary.words):
        if word in place:
            encoder.embedding.weight[i] = torch.from_numpy(np.array(table[place[word]]))
    _fill_cell(encoder.rnn.gru_cell, uni_skip)


def _fill_cell(cell: GRUCell, path: Path) -> None:
    """Copy the arrays of `uni_skip.npz` into the cell."""
    arrays = np.load(path, allow_pickle=False)
    try:
        w, u, b = (arrays[f"encoder_{k}"] for k in ("W", "U", "b"))
        wx, ux, bx = (arrays[f"encoder_{k}"] for k in ("Wx", "Ux", "bx"))
    except KeyError as error:
        raise RsirError(
            f"{path}: array {error} is missing; fetch uni_skip.npz again"
        ) from error
    d = cell.weight_hr.out_features
    weights = {
        "ir": w[:, :d], "ii": w[:, d:], "in": wx,
        "hr": u[:, :d], "hi": u[:, d:], "hn": ux,
    }  # fmt: skip
    for name, weight in weights.items():
        layer = getattr(cell, f"weight_{name}")
        layer.weight.copy_(torch.from_numpy(weight.T.copy()))
    for name, bias in {"ir": b[:d], "ii": b[d:], "in": bx}.items():
        getattr(cell, f"weight_{name}").bias.copy_(torch.from_numpy(bias.copy()))
