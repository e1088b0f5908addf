"""What all recipes share."""

import dataclasses
from dataclasses import dataclass

PRESETS = ("toy", "cpu", "paper")

#: re-rankings of a finished run, named after its row: "midf+mr".
#: bank: training queries take the place of the other test queries.
RERANKS: dict[str, dict] = {
    "mr": {"style": "released", "bank": False},
    "mr-figure": {"style": "figure", "bank": False},
    "mr-bank": {"style": "released", "bank": True},
}


@dataclass(frozen=True)
class Recipe:
    """What all methods share: encoders, optimiser, selection.

    Attributes:
        image_encoder, image_size: backbone and input side in pixels.
        views: symmetries of the square whose pooled vectors are
            averaged, see `ImageEncoder`.
        text_encoder: "gru", "uniskip", "minilm" or a hub id.
        text_layers: last blocks of a sentence transformer that learn;
            0: it stays frozen.
        vocabulary_threshold: a word must occur as often in train.
        word_dropout: on word vectors of the GRU.
        epochs: passes over the images; each shows one caption an
            image, drawn anew.
        batch: images in a batch, over all processes.
        lr, text_lr: peak rates of heads and of a pretrained text
            encoder.
        weight_decay: of AdamW.
        schedule: "cosine" with warm-up, or "step": x0.7 every 20
            epochs, as in the papers.
        warmup: share of all steps.
        clip: largest gradient norm; 0: none.
        accumulate: micro-batches in a step.
        eval_every: epochs between validations.
        patience: validations without a gain before stopping.
        precision: "auto" (bf16 where it is faster), "no" or "bf16".
        seed: of weights, order, captions and dropout.
    """

    method: str = ""
    image_encoder: str = "efficientnet_lite0"
    image_size: int = 224
    views: tuple[int, ...] = (0,)
    text_encoder: str = "minilm"
    text_layers: int | None = 3
    vocabulary_threshold: int = 5
    word_dropout: float = 0.0
    epochs: int = 12
    batch: int = 256
    lr: float = 1e-3
    text_lr: float = 1e-4
    weight_decay: float = 0.01
    schedule: str = "cosine"
    warmup: float = 0.1
    clip: float = 5.0
    accumulate: int = 1
    eval_every: int = 1
    patience: int = 6
    precision: str = "auto"
    seed: int = 0

    #: fields that are handed to the model of the method
    MODEL = ()

    def model_options(self) -> dict:
        """Keyword arguments of the method's model."""
        return {name: getattr(self, name) for name in self.MODEL}

    def __post_init__(self) -> None:
        # read back from JSON it is a list
        object.__setattr__(self, "views", tuple(self.views))

    def to_dict(self) -> dict:
        """Every option, as JSON has it."""
        return dataclasses.asdict(self) | {"views": list(self.views)}


#: on frozen encoders a run takes a minute: room for many rows
FROZEN = {"text_layers": 0}
