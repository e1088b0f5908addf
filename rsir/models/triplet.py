"""What systems with the triplet loss share: its options.

Source: AMFMN paper, eqs. (28)-(30). Explained in chapter 02.
"""

from collections.abc import Mapping

from torch import Tensor

from rsir import losses
from rsir.errors import RsirError
from rsir.models.base import Retriever


class TripletRetriever(Retriever):
    """A retriever that learns from triplets.

    Attributes:
        loss: "all" (28), "hard" (30), or "both".
        margin: of the fixed margin, or None for the dynamic one.
        gamma, beta: of the dynamic margin, eq. (29).
        mask_shared: treat shared captions as positives (ours).
    """

    def set_loss(self, loss: str, margin: float | None, gamma: float,
                 beta: float, mask_shared: bool) -> None:
        """Keep the options.

        Raises:
            RsirError: for an option that does not exist.
        """
        if loss not in ("all", "hard", "both"):
            raise RsirError(f"loss is {loss!r}: 'all', 'hard' or 'both'")
        if margin is None and not (0 < gamma < 1 and beta > 0):
            raise RsirError(
                f"gamma is {gamma}, beta is {beta}: eq. (29) needs "
                "0 < gamma < 1 and beta > 0"
            )
        self.loss, self.margin = loss, margin
        self.gamma, self.beta = gamma, beta
        self.mask_shared = mask_shared

    @property
    def wants_similarity(self) -> bool:
        """The dynamic margin needs S(T, T_I)."""
        return self.margin is None

    def losses(self, scores: Tensor, pairs: Mapping[str, Tensor]
               ) -> dict[str, Tensor]:
        """Triplet losses of eqs. (28) and (30)."""
        margin = self.margin
        if margin is None:
            margin = losses.dynamic_margin(
                pairs["similarity"], self.gamma, self.beta
            )                                     # eq. (29)
        positive = pairs["positive"] if self.mask_shared else None
        terms = {}
        if self.loss in ("all", "both"):
            terms["triplet_all"] = losses.triplet_all(
                scores, margin, positive
            )
        if self.loss in ("hard", "both"):
            terms["triplet_hard"] = losses.triplet_hard(
                scores, margin, positive
            )
        return terms
