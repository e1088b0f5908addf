"""What the pages compare.

The rows that stand for a system, and the steps from one row to
another, each with the claim that it checks.
"""

#: rows that stand for a published system; the others are ablations
HEADLINES = {
    ("amfmn", "soft-minilm"): "AMFMN",
    ("amfmn", "soft-gru"): "AMFMN",
    ("galr", "midf"): "GaLR",
    ("galr", "midf+mr"): "GaLR with MR",
    ("envlf", "rescored"): "EnVLF",
    ("cfitr", "coarse-to-fine"): "CFITR",
}
#: (with the thing, without it, a claim's id or a text of our own)
PLAIN, BENT = ("linear", "linear"), ("mlp", "mlp")
FULL = ("amfmn", "soft-minilm")
FINE, CODES = ("cfitr", "coarse-to-fine"), ("cfitr", "hash")
MIDF = ("galr", "midf")
READ, LIST = ("envlf", "rescored"), ("envlf", "uni")
STEPS = [
    (("amfmn", "abl-mvsa"), ("amfmn", "abl-global"), "amfmn-mvsa"),
    (FULL, ("amfmn", "abl-mvsa"), "amfmn-visual-guidance"),
    (("amfmn", "abl-guidance"), ("amfmn", "abl-global"),
     "visual guidance helps without MVSA"),
    (FULL, ("amfmn", "abl-global"), "amfmn-baselines"),
    (FULL, ("amfmn", "abl-fixed"), "amfmn-dynamic-margin"),
    (FULL, ("amfmn", "abl-fusion"), "the soft gate beats fusion"),
    (FULL, ("amfmn", "abl-sim"), "the soft gate beats sim"),
    (BENT, PLAIN, "two layers beat one matrix"),
    (FULL, PLAIN, "the modules beat the linear baseline"),
    (FULL, BENT, "AMFMN beats the MLP baseline"),
    (FULL, ("amfmn", "abl-one-view"),
     "three views beat one"),
    (PLAIN, ("linear", "one-view"),
     "three views beat one, linear baseline"),
    (("amfmn", "tuned-minilm"), FULL,
     "a text encoder that learns beats a frozen one"),
    (MIDF, ("galr", "global"), "galr-local"),
    (MIDF, ("galr", "sum"), "galr-midf"),
    (MIDF, ("galr", "midf-released"),
     "two weights beat the one of the release"),
    (MIDF, ("galr", "drea-off"), "galr-drea"),
    (MIDF, ("galr", "paper-nodes"),
     "nodes with a whole look beat twenty numbers"),
    (MIDF, FULL, "galr-amfmn"),
    (MIDF, BENT, "GaLR beats the MLP baseline"),
    (("galr", "midf+mr"), MIDF, "galr-mr"),
    (("galr", "midf+mr-bank"), MIDF,
     "re-ranking with a training bank helps"),
    (("amfmn", "soft-minilm+mr"), FULL, "AMFMN gains from MR"),
    (READ, LIST, "envlf-rescoring"),
    (("envlf", "tokens"), ("galr", "local"), "envlf-tokens"),
    (READ, ("envlf", "frozen"),
     "EnVLF gains from encoders that learn"),
    (READ, ("envlf", "minus-contrastive"),
     "EnVLF's contrastive task helps"),
    (LIST, ("envlf", "minus-matching"),
     "EnVLF's list gains from matching"),
    (READ, ("envlf", "minus-mlm"), "EnVLF's mlm task helps"),
    (READ, ("envlf", "minus-weighing"), "EnVLF's weighing task helps"),
    (READ, ("envlf", "minus-beside"), "EnVLF's beside task helps"),
    (LIST, ("envlf", "contrastive-alone"), "envlf-end-to-end"),
    (READ, PLAIN, "EnVLF beats the linear baseline"),
    (READ, BENT, "EnVLF beats the MLP baseline"),
    (FINE, BENT, "CFITR beats the MLP baseline"),
    (FINE, CODES, "cfitr-accuracy"),
    (("cfitr", "hash-ppsr"), CODES, "cfitr-ppsr"),
    (FINE, ("cfitr", "minus-lfem"), "cfitr-lfem"),
    (("cfitr", "coarse-to-fine-ppsr"), FINE,
     "PPSR helps the list that the fine stage reads"),
    (CODES, ("cfitr", "minus-ssm"),
     "training the fine stage, too, helps the codes"),
    (("cfitr", "float"), CODES, "floats beat codes"),
]  # fmt: skip
