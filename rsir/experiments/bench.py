"""Records of models that others have trained (`rsir bench`).

They lie beside the others, under the method `bench`, with what was scored in
the place of a config. Nothing was trained and nothing selected, so there is
no val mR. Page: book/bench.md.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from rsir.data import Splits
from rsir.evaluation.metrics import Report
from rsir.experiments import records
from rsir.experiments.run import digests, write_measured

#: ends the name of a system in recalls.csv that VT-RSBS has run again
RERUN = " (as run by VT-RSBS)"
#: (model of `rsir bench`, the system that it is in recalls.csv)
MODELS = [
    ("hf:flax-community/clip-rsicd-v2", "CLIP-RSICD-v2"),
    ("open_clip:RN50/RemoteCLIP-RN50.pt", "RemoteCLIP RN50"),
    ("open_clip:ViT-B-32/RemoteCLIP-ViT-B-32.pt", "RemoteCLIP ViT-B/32"),
    ("open_clip:ViT-L-14/RemoteCLIP-ViT-L-14.pt", "RemoteCLIP ViT-L/14"),
    ("open_clip:ViT-B-32-quickgelu/RS5M_ViT-B-32.pt", "GeoRSCLIP-B/32 zero-shot"),
    ("open_clip:ViT-L-14-quickgelu/RS5M_ViT-L-14.pt", "GeoRSCLIP-L/14 zero-shot"),
    (
        "open_clip:ViT-L-14-336-quickgelu/RS5M_ViT-L-14-336.pt",
        "GeoRSCLIP-L/14-336 zero-shot",
    ),
    ("open_clip:ViT-H-14/RS5M_ViT-H-14.pt", "GeoRSCLIP-H/14 zero-shot"),
    ("open_clip:RN101-quickgelu/openai", "CLIP RN101 zero-shot"),
    ("open_clip:RN50x4-quickgelu/openai", "CLIP RN50x4 zero-shot"),
    ("open_clip:RN50x16-quickgelu/openai", "CLIP RN50x16 zero-shot"),
    ("open_clip:RN50x64-quickgelu/openai", "CLIP RN50x64 zero-shot"),
    ("open_clip:ViT-B-32-quickgelu/openai", "CLIP ViT-B/32 zero-shot"),
    ("open_clip:ViT-B-16-quickgelu/openai", "CLIP ViT-B/16 zero-shot"),
    ("open_clip:ViT-L-14-quickgelu/openai", "CLIP ViT-L/14 zero-shot"),
    ("open_clip:ViT-L-14-336-quickgelu/openai", "CLIP ViT-L/14@336px zero-shot"),
]


def variant_of(model: str, prompt: str = "{}") -> str:
    """The variant of a record, which names its file: `hf-NAME-PROMPT`."""
    said = f"{model} {prompt.replace('{}', '')}"
    return re.sub(r"[^\w.]+", "-", said).strip("-")


def write(
    report: Report,
    splits: Splits,
    config: Mapping[str, object],
    *,
    command: str,
    commit: str,
    seconds: Mapping[str, float],
    results: Path,
) -> Path:
    """Write the record of a scored test split; its path.

    Args:
        report: of the test split, with its ranks.
        config: "model", named without a path of this machine, "prompt", and what
            else decides the scores; JSON.
        command: what makes it again.
        commit: of this checkout.
        seconds: "features" and "evaluate".
        results: the folder of all records.
    """
    facts = {
        "method": records.BENCH,
        "dataset": splits.name,
        "variant": variant_of(config["model"], config["prompt"]),
        "preset": "none",
        "seed": 0,
        "command": command,
        "commit": commit,
        "seconds": {"features": 0.0, "train": 0.0, **seconds},
        "val_mR": None,
        "encoders": {"image": config["model"], "text": config["model"]},
        "config": dict(config),
    }
    records.note_data(results, splits.name, digests(splits))
    return write_measured(facts, report.ranks, splits, results)
