"""Recipe of CFITR. Chapter 05."""

from dataclasses import dataclass

from rsir.models.recipes.base import Recipe


@dataclass(frozen=True)
class CFITRRecipe(Recipe):
    """CFITR; options as in `rsir.models.cfitr.CFITR`, and:

    Attributes:
        image_lr: peak rate of the joint half (and of image stages, if
            they learn): weights that come from elsewhere.
        rescore: M, candidates of each list that the SSM orders anew
            when the model is measured; 0: the coarse list stands.
            As released 70.
        ppsr: neighbours of PPSR on the coarse scores when the model
            is measured; 0: no PPSR. As released 10. It looks at all
            queries at once.
        gallery: a name in `rsir.evaluation.metrics`; as released "deduplicated".
        selects: the split on which the epoch, and how much reading
            counts, are chosen; as released "test", which no number
            but that of this slip may rest on.
    """

    method: str = "cfitr"
    image_lr: float = 1e-4
    bits: int = 128
    hidden: int = 4096
    pool: str = "mean"
    start: str | None = None
    grid: int | None = None
    image_blocks: int = 1
    joint_blocks: int = 2
    rewrite: bool = False
    lfem: bool = True
    variant: str = "paper"
    slips: tuple[str, ...] = ()
    coarse: str = "hash"
    false_texts: int = 15
    hard_texts: int = 5
    false_images: int = 0
    share: float = 1.0
    from_coarse: bool = False
    beside: float = 0.0
    vectors: int = 0
    gate: bool = False
    warm: int = 0
    ssm: float = 1.0
    margin: float = 0.2
    mask_shared: bool = False
    contrastive: float = 0.0
    quantise: float = 0.001
    balance: float = 0.01
    dropout: float = 0.1
    text_dropout: float = 0.0
    straight: bool = False
    turns: bool = False
    rescore: int = 50
    ppsr: int = 0
    gallery: str = "full"
    selects: str = "val"

    MODEL = (
        "bits",
        "hidden",
        "pool",
        "start",
        "grid",
        "image_blocks",
        "joint_blocks",
        "rewrite",
        "lfem",
        "variant",
        "slips",
        "coarse",
        "false_texts",
        "hard_texts",
        "false_images",
        "share",
        "from_coarse",
        "beside",
        "vectors",
        "gate",
        "warm",
        "ssm",
        "margin",
        "mask_shared",
        "contrastive",
        "quantise",
        "balance",
        "dropout",
        "text_dropout",
        "straight",
        "turns",
    )

    #: fields that change how a trained model is measured, not it
    MEASURED = ("rescore", "ppsr", "coarse")


#: what a preset changes
CHANGES = {
    # toy captions say left and right, so maps are not turned
    "toy": {
        "epochs": 6,
        "batch": 64,
        "text_layers": 0,
        "image_size": 128,
        "grid": 3,
        "hidden": 512,
        "joint_blocks": 1,
        "false_texts": 7,
        "hard_texts": 3,
        "false_images": 2,
        "share": 0.33,
        "from_coarse": True,
        "beside": 0.5,
        "vectors": 512,
        "gate": True,
        "warm": 20,
        "straight": True,
        "image_lr": 3e-4,
        "mask_shared": True,
        "contrastive": 1.0,
        "balance": 0.0003,
        "quantise": 0.0001,
        "eval_every": 3,
        "patience": 20,
        "precision": "no",
        "rescore": 20,
    },
    # floating-point operations of an epoch of RSICD, forward and back,
    # in 10^12: LFEM on 25 cells 3.0, the image block 1.6, the SSM on
    # a quarter of the pictures with 7 pairs each 2.6, all else 0.5
    "cpu": {
        "views": (0, 1, 6),
        "text_layers": 0,
        "batch": 128,
        "epochs": 3,
        "grid": 5,
        "hidden": 2048,
        "dropout": 0.5,
        "text_dropout": 0.2,
        "lr": 3e-4,
        "gate": True,
        "warm": 30,
        "straight": True,
        "false_texts": 4,
        "hard_texts": 2,
        "false_images": 2,
        "share": 0.25,
        "from_coarse": True,
        "beside": 0.5,
        "vectors": 512,
        "image_lr": 2e-4,
        "turns": True,
        "mask_shared": True,
        "contrastive": 1.0,
        "balance": 0.0003,
        "quantise": 0.0001,
        "eval_every": 3,
    },
    # as released, but for the frozen patch projection, and for five of
    # the false texts, which the coarse stage draws
    "paper": {
        "image_encoder": "vilt_patches",
        "image_size": 384,
        "text_encoder": "dandelin/vilt-b32-mlm",
        "text_layers": None,
        "image_blocks": 6,
        "joint_blocks": 6,
        "rewrite": True,
        "pool": "position",
        "false_texts": 15,
        "hard_texts": 5,
        "lr": 1e-4,
        "image_lr": 1e-4,
        "text_lr": 1e-4,
        "batch": 8,
        "accumulate": 32,
        "epochs": 50,
        "patience": 50,
        "dropout": 0.0,
        "rescore": 70,
        "ppsr": 10,
    },
}

_HASH = {"rescore": 0, "ppsr": 0}
_ALONE = _HASH | {"ssm": 0.0}

#: name -> changes; the first row is the headline. Rows that differ
#: in `MEASURED` alone are one training
ROWS = {
    "coarse-to-fine": {},
    "hash": _HASH,
    "float": _HASH | {"coarse": "float"},
    "vectors": _HASH | {"coarse": "vectors", "vectors": 512},
    "gated": _HASH | {"coarse": "gated", "vectors": 512, "gate": True},
    "hash-ppsr": {"rescore": 0, "ppsr": 10},
    "coarse-to-fine-ppsr": {"ppsr": 10},
    **{f"m-{m}": {"rescore": m} for m in (10, 20, 100)},
    "minus-lfem": {"lfem": False},
    "minus-lfem-hash": _HASH | {"lfem": False},
    "minus-ssm": _ALONE,
    "minus-ssm-float": _ALONE | {"coarse": "float"},
    "minus-straight": _ALONE | {"straight": False},
    **{f"bits-{n}": _ALONE | {"bits": n} for n in (16, 32, 64, 256, 512)},
    "slip-table": _HASH | {"slips": ("table",)},
    "slip-patches": {"slips": ("patches",)},
    "slip-false": {"slips": ("false",)},
    "slip-val": {"selects": "test", "eval_every": 1},
    "slip-gallery": {"gallery": "deduplicated"},
    "released": {"variant": "released"},
}
