"""The skip-thought GRU that the released code encodes text with.

Parameter names follow the released checkpoints, so that they load without a
translation table. Explained in chapter 02.
"""

import torch
from torch import Tensor, nn

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
