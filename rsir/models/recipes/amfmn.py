"""Recipe of AMFMN. Chapter 02."""

from dataclasses import dataclass

from rsir.models.recipes.base import Recipe


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

    MODEL = (
        "dim",
        "attention",
        "variant",
        "mvsa",
        "guidance",
        "keywords",
        "dropout",
        "loss",
        "margin",
        "gamma",
        "beta",
        "mask_shared",
    )


#: what a preset changes
CHANGES = {
    "toy": {
        "epochs": 12,
        "batch": 128,
        "text_layers": 0,
        "image_size": 128,
        "patience": 20,
        "precision": "no",
    },
    # chosen on the val of RSICD and of UCM: views, batch of 64 to 256,
    # gamma of 0.1 to 0.6, loss, rate with dropout and length
    "cpu": {
        "views": (0, 1, 6),
        "text_layers": 0,
        "batch": 64,
        "epochs": 30,
        "lr": 3e-4,
        "dropout": 0.3,
        "gamma": 0.2,
        "eval_every": 3,
        "patience": 10,
    },
    "paper": {
        "gamma": 0.6,
        "image_encoder": "resnet18",
        "image_size": 256,
        "text_encoder": "gru",
        "lr": 1e-4,
        "text_lr": 1e-4,
        "weight_decay": 0.0,
        "schedule": "step",
        "warmup": 0.0,
        "clip": 0.0,
        "batch": 128,
        "epochs": 150,
        "patience": 150,
        "dropout": 0.0,
    },
}

#: name -> changes; the first row is the headline
ROWS = {
    "soft-minilm": {},
    "soft-gru": {"text_encoder": "gru", "word_dropout": 0.3, "epochs": 12, "lr": 1e-3},
    "abl-global": {"mvsa": False, "guidance": False},
    "abl-mvsa": {"guidance": False},
    "abl-guidance": {"mvsa": False},
    "abl-fixed": {"margin": 0.2},
    "abl-fusion": {"attention": "fusion"},
    "abl-sim": {"attention": "sim"},
    "abl-one-view": {"views": (0,)},
    "tuned-minilm": {
        "text_layers": 2,
        "text_lr": 2e-4,
        "epochs": 8,
        "lr": 1e-3,
        "dropout": 0.1,
        "eval_every": 1,
    },
}
