"""Recipe of AMFMN. Chapter 02."""

from dataclasses import dataclass

from rsir.recipes.base import Recipe


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
    # chosen on RSICD's val: views, batch of 64, 128 or 256, gamma of
    # 0.1 to 0.6, loss; 25 epochs are no better than 15
    "cpu": {
        "views": (0, 1, 6), "text_layers": 0, "batch": 64, "epochs": 15,
        "gamma": 0.2,
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
    "soft-gru": {"text_encoder": "gru", "word_dropout": 0.3},
    "abl-global": {"mvsa": False, "guidance": False},
    "abl-mvsa": {"guidance": False},
    "abl-guidance": {"mvsa": False},
    "abl-fixed": {"margin": 0.2},
    "abl-fusion": {"attention": "fusion"},
    "abl-sim": {"attention": "sim"},
    "abl-one-view": {"views": (0,)},
    "abl-tuned": {"text_layers": 2, "text_lr": 2e-4, "epochs": 8},
}
