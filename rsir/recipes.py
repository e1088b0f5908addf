"""One dataclass per method: every number that decides a run.

Three presets of each. `toy`: procedural scenes, a minute on two
cores. `cpu`: real data, bundled encoders, minutes on two cores.
`paper`: the authors' backbones and sizes, for a GPU. Same code, other
numbers.
"""

import dataclasses
from dataclasses import dataclass

from rsir.errors import RsirError

PRESETS = ("toy", "cpu", "paper")


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

    def to_dict(self) -> dict:
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class LinearRecipe(Recipe):
    """The linear baseline on two frozen encoders."""

    method: str = "linear"
    text_layers: int | None = 0
    epochs: int = 20
    patience: int = 5
    dim: int = 512
    dropout: float = 0.1
    temperature: float = 0.07

    MODEL = ("dim", "dropout", "temperature")


@dataclass(frozen=True)
class AMFMNRecipe(Recipe):
    """AMFMN; options as in `rsir.models.amfmn.AMFMN`."""

    method: str = "amfmn"
    dim: int = 512
    attention: str = "soft"
    variant: str = "paper"
    mvsa: bool = True
    guidance: bool = True
    keywords: bool = False
    dropout: float = 0.1
    loss: str = "hard"
    margin: float | None = None
    gamma: float = 0.3
    beta: float = 5.0
    mask_shared: bool = False

    MODEL = ("dim", "attention", "variant", "mvsa", "guidance",
             "keywords", "dropout", "loss", "margin", "gamma", "beta",
             "mask_shared")


RECIPES = {"linear": LinearRecipe, "amfmn": AMFMNRecipe}

#: what a preset changes, per method
CHANGES = {
    ("linear", "toy"): {
        "batch": 128, "image_size": 128, "precision": "no",
    },
    ("linear", "cpu"): {},
    ("linear", "paper"): {},
    ("amfmn", "toy"): {
        "epochs": 12, "batch": 128, "text_layers": 0,
        "image_size": 128, "patience": 20, "precision": "no",
    },
    # chosen on RSICD's val: gamma among 0.1, 0.15, 0.3, 0.6; batch
    # of 128 or 256; loss among "all", "hard", "both"
    ("amfmn", "cpu"): {
        "text_layers": 2, "text_lr": 2e-4, "batch": 128, "epochs": 15,
    },
    ("amfmn", "paper"): {
        "gamma": 0.6,
        "image_encoder": "resnet18", "image_size": 256,
        "text_encoder": "gru", "lr": 1e-4, "text_lr": 1e-4,
        "weight_decay": 0.0, "schedule": "step", "warmup": 0.0,
        "clip": 0.0, "batch": 128, "epochs": 150, "patience": 150,
        "dropout": 0.0,
    },
}

#: on frozen encoders a run takes a minute: all rows of Tables V, VI
FROZEN = {"text_layers": 0}

#: the rows that a chapter shows, per method: name -> changes.
#: The first is the headline.
ROWS: dict[str, dict[str, dict]] = {
    "linear": {"linear": {}},
    "amfmn": {
        "soft-minilm": {},
        "soft-gru": {"text_encoder": "gru", "epochs": 25,
                     "word_dropout": 0.3},
        "abl-global": FROZEN | {"mvsa": False, "guidance": False},
        "abl-mvsa": FROZEN | {"guidance": False},
        "abl-guidance": FROZEN | {"mvsa": False},
        "abl-full": FROZEN,
        "abl-fixed": FROZEN | {"margin": 0.2},
        "abl-fusion": FROZEN | {"attention": "fusion"},
        "abl-sim": FROZEN | {"attention": "sim"},
    },
}


def recipe(method: str, preset: str = "cpu", row: str | None = None,
           **changes) -> Recipe:
    """The recipe of a method, a preset and a row, with changes.

    Args:
        method: "linear", "amfmn", ...
        preset: "toy", "cpu" or "paper".
        row: a name in `ROWS[method]`; None: the preset as it is.
        changes: fields to replace, such as `seed=1`.

    Raises:
        RsirError: for a name that does not exist; it lists which do.
    """
    _known("method", method, RECIPES)
    _known("preset", preset, PRESETS)
    every = dict(CHANGES[method, preset])
    if row is not None:
        _known(f"row of {method}", row, ROWS[method])
        every |= ROWS[method][row]
    every |= changes
    fields = {f.name for f in dataclasses.fields(RECIPES[method])}
    for name in every:
        _known(f"option of {method}", name, sorted(fields))
    return RECIPES[method](**every)


def _known(what: str, name: str, names) -> None:
    if name not in names:
        raise RsirError(
            f"{what} {name!r}: unknown; choose one of "
            f"{', '.join(names)}"
        )
