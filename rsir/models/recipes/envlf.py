"""Recipe of EnVLF. Chapter 04."""

from dataclasses import dataclass

from rsir.models.recipes.base import Recipe


@dataclass(frozen=True)
class EnVLFRecipe(Recipe):
    """EnVLF; options as in `rsir.models.envlf.EnVLF`, and:

    Attributes:
        image_lr: peak rate of the image stages that learn.
        rescore: how far down a list the multi-modal encoder may
            read when the model is measured; how far it does, and how
            much of what it reads counts, is chosen on validation.
            0: not at all.
    """

    method: str = "envlf"
    image_lr: float = 1e-4
    dim: int = 512
    hidden: int = 2048
    width: int = 256
    start: str = "f3"
    stages_trained: bool = True
    vector: str = "both"
    image_blocks: int = 2
    joint_blocks: int = 2
    heads: int = 8
    dropout: float = 0.1
    text_dropout: float = 0.0
    block_dropout: float = 0.1
    turns: bool = True
    contrastive: float = 1.0
    weighing: float = 1.0
    matching: float = 1.0
    mlm: float = 0.3
    beside: float = 0.0
    temperature: float = 0.05
    negatives: int = 2
    masked: float = 0.25
    mlm_share: float = 0.25
    matching_share: float = 1.0
    warm: int = 0
    rescore: int = 32

    MODEL = (
        "dim",
        "hidden",
        "width",
        "start",
        "stages_trained",
        "vector",
        "image_blocks",
        "joint_blocks",
        "heads",
        "dropout",
        "text_dropout",
        "block_dropout",
        "turns",
        "contrastive",
        "weighing",
        "matching",
        "mlm",
        "beside",
        "temperature",
        "negatives",
        "masked",
        "mlm_share",
        "matching_share",
        "warm",
    )


#: what a preset changes
CHANGES = {
    # toy captions say left and right, so maps are not turned
    "toy": {
        "epochs": 6,
        "batch": 64,
        "text_layers": 1,
        "image_size": 128,
        "start": "f4",
        "width": 128,
        "image_blocks": 1,
        "joint_blocks": 1,
        "heads": 4,
        "turns": False,
        "patience": 20,
        "eval_every": 3,
        "text_lr": 2e-4,
        "precision": "no",
        "warm": 20,
        "beside": 0.5,
        "hidden": 512,
    },
    # text states below two blocks and f3 are kept on disk
    "cpu": {
        "views": (0, 1, 6),
        "text_layers": 2,
        "text_lr": 1e-4,
        "lr": 3e-4,
        "dropout": 0.5,
        "text_dropout": 0.2,
        "batch": 128,
        "epochs": 3,
        "block_dropout": 0.0,
        "eval_every": 3,
        "warm": 30,
        "matching_share": 0.25,
        "temperature": 0.07,
        "rescore": 16,
        "beside": 0.5,
    },
    # ours: the abstract names no sizes
    "paper": {
        "image_encoder": "vit_base",
        "start": "f1",
        "turns": False,
        "text_encoder": "google-bert/bert-base-uncased",
        "text_layers": None,
        "width": 768,
        "heads": 12,
        "image_blocks": 0,
        "joint_blocks": 6,
        "lr": 1e-4,
        "image_lr": 2e-5,
        "text_lr": 2e-5,
        "mlm": 1.0,
        "mlm_share": 1.0,
        "batch": 128,
        "epochs": 30,
    },
}

#: name -> changes; the first row is the headline. "uni" is the same
#: training, measured without the multi-modal encoder
ROWS = {
    "rescored": {},
    "uni": {"rescore": 0},
    "minus-contrastive": {"contrastive": 0.0, "beside": 0.0},
    "minus-weighing": {"weighing": 0.0},
    "minus-matching": {"matching": 0.0, "rescore": 0},
    "minus-mlm": {"mlm": 0.0},
    "contrastive-alone": {"weighing": 0.0, "matching": 0.0, "mlm": 0.0, "rescore": 0},
    "minus-beside": {"beside": 0.0},
    "frozen": {"stages_trained": False, "text_lr": 0.0},
    # tokens alone on frozen encoders, beside GaLR's "abl-local"
    "tokens": {
        "stages_trained": False,
        "text_lr": 0.0,
        "vector": "tokens",
        "weighing": 0.0,
        "matching": 0.0,
        "mlm": 0.0,
        "beside": 0.0,
        "rescore": 0,
    },
}
