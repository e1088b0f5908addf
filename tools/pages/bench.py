"""The table of models that somebody else has re-run, and how to do it here."""

from pathlib import Path

from rsir.experiments.claims import load_reported

from . import table, wide

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
DATASETS = ["RSICD", "RSITMD", "UCM", "Sydney"]


def render(root: Path) -> dict[str, str]:
    """mR of each model on each data set: re-run / by its own paper."""
    known = load_reported()
    mr = {(x.system, x.dataset): x.mr for x in known.itertuples()}
    lines = []
    for model, system in MODELS:
        cells = [f"{mr[system + RERUN, name]:.2f}" for name in DATASETS]
        for place, name in enumerate(DATASETS):
            own = mr.get((system, name))
            # the table of another paper is not the model's own
            if own is not None and not system.startswith("CLIP "):
                cells[place] += f" / {own:.2f}"
        named = system.removesuffix(" zero-shot")
        lines.append([f"{named}<br>`rsir bench {model}`", *cells])
    body = wide(table(["model", *DATASETS], lines, right=DATASETS), "first")
    return {"bench.md": body}
