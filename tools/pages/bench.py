"""The table of models that somebody else has re-run, and how to do it here."""

from pathlib import Path

from rsir.experiments.bench import MODELS, RERUN
from rsir.experiments.claims import load_reported

from . import table, wide

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
