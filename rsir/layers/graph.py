"""Graph convolution over the objects of a picture: GaLR's GCN.

Source: as released by GaLR's authors. Explained in chapter 03.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from rsir.errors import RsirError


class GCN(nn.Module):
    """Three graph convolutions and a linear layer.

    X1 = ReLU((A X) W1), X2 = ReLU((A X1) W2), X3 = ReLU((A X2) W3),
    local = W flatten(X3) + b. No bias inside, no residual, and A is
    taken as it comes. The order of the nodes counts, by the flatten.

    Args:
        nodes: nodes of a graph (20).
        width: numbers of a node (20); the middle layer has half.
        dim: length of the result (512).
        dropout: on the flattened nodes while training (ours).
    """

    def __init__(self, nodes: int = 20, width: int = 20,
                 dim: int = 512, dropout: float = 0.0) -> None:
        super().__init__()
        self.nodes, self.width = nodes, width
        self.fc1 = nn.Linear(width, width, bias=False)
        self.fc2 = nn.Linear(width, width // 2, bias=False)
        self.fc3 = nn.Linear(width // 2, width, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(nodes * width, dim)
        for layer in (self.fc1, self.fc2, self.fc3):
            # ours: three ReLU layers would shrink the signal tenfold
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, A: Tensor, X: Tensor) -> Tensor:
        """The local vector `[B, dim]`, not normalised.

        Args:
            A: adjacency `[B, nodes, nodes]`.
            X: representation of the nodes `[B, nodes, width]`.

        Raises:
            RsirError: for other shapes.
        """
        for name, x, last in (("A", A, self.nodes),
                              ("X", X, self.width)):
            want = (len(X), self.nodes, last)
            if tuple(x.shape) != want:
                raise RsirError(
                    f"{name}: shape {tuple(x.shape)}, expected {want}"
                )
        for layer in (self.fc1, self.fc2, self.fc3):
            X = F.relu(layer(A @ X))              # (B, nodes, .)
        return self.out(self.dropout(X.flatten(1)))
