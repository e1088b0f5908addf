"""The skip-thought GRU that the released code encodes text with.

Parameter names follow the released checkpoints, so that they load without a
translation table. Explained in chapter 02.
"""

import torch
from torch import Tensor, nn

DROPOUT = 0.25


class GRUCell(nn.Module):
    """One GRU step, with three input and three state matrices.

    r = sigmoid(W_ir x + W_hr h), the reset gate
    i = sigmoid(W_ii x + W_hi h), the update gate
    n = tanh(W_in x + r * W_hn h), the candidate
    h' = (1 - i) * n + i * h

    Source: as released; only the input matrices have a bias.
    """

    def __init__(self, embed: int, hidden: int) -> None:
        super().__init__()
        for gate in "rin":
            self.add_module(f"weight_i{gate}", nn.Linear(embed, hidden))
        for gate in "rin":
            self.add_module(f"weight_h{gate}", nn.Linear(hidden, hidden, bias=False))

    def forward(self, x: list[Tensor], h: Tensor, keep: list[Tensor]) -> Tensor:
        """One step: `x` three W_i* x `[B, hidden]`, `h` `[B, hidden]`."""
        r = torch.sigmoid(x[0] + self.weight_hr(h * keep[0]))
        i = torch.sigmoid(x[1] + self.weight_hi(h * keep[1]))
        n = torch.tanh(x[2] + r * self.weight_hn(h * keep[2]))
        return (1 - i) * n + i * h


class UniSkipGRU(nn.Module):
    """The GRU over a sentence, with Bayesian dropout.

    While training, each gate drops inputs and states with one mask that stays
    the same over the words of a sentence.
    """

    def __init__(self, embed: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.gru_cell = GRUCell(embed, hidden)

    def _masks(self, like: Tensor, shape: tuple) -> list[Tensor]:
        if not self.training:
            return [like.new_ones(())] * 3
        keep = 1 - DROPOUT
        return [torch.bernoulli(like.new_full(shape, keep)) / keep for _ in "rin"]

    def forward(self, words: Tensor) -> Tensor:
        """States `[B, L, hidden]` of words `[B, L, embed]`."""
        batch, length, embed = words.shape
        x_keep = self._masks(words, (batch, 1, embed))
        h_keep = self._masks(words, (batch, self.hidden))
        cell, h, states = self.gru_cell, words.new_zeros(batch, self.hidden), []
        layers = cell.weight_ir, cell.weight_ii, cell.weight_in
        x = [layer(words * mask) for layer, mask in zip(layers, x_keep)]
        for step in range(length):
            h = cell([gate[:, step] for gate in x], h, h_keep)
            states.append(h)
        return torch.stack(states, dim=1)
