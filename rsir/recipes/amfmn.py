"""Recipe of AMFMN. Chapter 02."""

from dataclasses import dataclass

from rsir.recipes.base import FROZEN, Recipe


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


#: what a preset changes
CHANGES = {
    "toy": {
        "epochs": 12, "batch": 128, "text_layers": 0,
        "image_size": 128, "patience": 20, "precision": "no",
    },
    # chosen on RSICD's val: gamma among 0.1, 0.15, 0.3, 0.6; batch
    # of 128 or 256; loss among "all", "hard", "both"
    "cpu": {
        "text_layers": 2, "text_lr": 2e-4, "batch": 128, "epochs": 15,
    },
    "paper": {
        "gamma": 0.6,
        "image_encoder": "resnet18", "image_size": 256,
        "text_encoder": "gru", "lr": 1e-4, "text_lr": 1e-4,
        "weight_decay": 0.0, "schedule": "step", "warmup": 0.0,
        "clip": 0.0, "batch": 128, "epochs": 150, "patience": 150,
        "dropout": 0.0,
    },
}

#: name -> changes; the first row is the headline
ROWS = {
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
}
