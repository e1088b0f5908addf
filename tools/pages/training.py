"""What training costs, from `benchmarks/training.py`, and what an encoder gains."""

import json
from pathlib import Path

from rsir.data.catalog import CATALOG
from rsir.experiments import tables

from . import badge, gain, system_name, table, wide

#: a GPU of Colab, as its maker prints it: float32 operations a second
PEAK = 8.1e12
SHARE = 0.4  # of the peak that a training step reaches; an assumption
LEARNS = {"frozen": "nothing", "upper": "what stands above `f3`", "all": "all of it"}


def render(root: Path) -> dict[str, str]:
    return {"learning.md": learning(root / "results"), **costs(root / "results")}


def learning(results: Path) -> str:
    """What an image encoder that learns adds to a frozen one, in pairs."""
    steps = [step for step in tables.STEPS if step[0][1] == "end-to-end"]
    rows = []
    for line in tables.steps_table(tables.load(results), steps):
        pair, claim = line["pair"], line["claim"]
        system = claim.rpartition(", ")[2]
        data = f"{tables.DATASETS[line['data']]}, {pair.seeds[0]}"
        rows.append([system, data, gain(pair), badge(line["verdict"].outcome)])
    head = ["system", "data, seeds", "gain in mR", "verdict"]
    return wide(table(head, rows)) if rows else "Not measured yet."


def costs(results: Path) -> dict[str, str]:
    path = results / "training.json"
    if not path.exists():
        return {"cost.md": "Not counted yet.", "speeds.md": "Not measured yet."}
    facts = json.loads(path.read_text(encoding="utf-8"))
    n = CATALOG["rsicd"].splits[0]
    rows = []
    for one in facts["operations"]:
        total = one["gflop"] * 1e9 * n * one["epochs"]
        hours = total / (PEAK * SHARE) / 3600
        cells = system_name(one["method"]), f"{one['gflop']:.0f}", one["epochs"]
        rows.append([*cells, f"{total / 1e15:.0f}", f"{hours:.1f}"])
    head = ["system", "GFLOP per picture", "epochs", "PFLOP", "hours"]
    cost = table(head, rows, right=head[1:])
    cost += (
        "\n\nThese times are computed, not measured. We count the operations of the "
        f"forward and backward pass for the {n:,} training pictures of RSICD, and "
        f"divide by {SHARE:.0%} of the {PEAK / 1e12:.1f} TFLOP/s that a T4 has in "
        "float32. Validation needs additional time."
    )
    speeds = facts["speeds"]
    frozen = {(x["size"], x["precision"]): x["images_per_s"] for x in speeds[::-1]
              if x["learns"] == "frozen"}  # fmt: skip
    rows = []
    for x in speeds:
        times = frozen[x["size"], x["precision"]] / x["images_per_s"]
        precision = {"no": "float32"}.get(x["precision"], x["precision"])
        cells = LEARNS[x["learns"]], x["size"], precision
        rows.append([*cells, f"{x['images_per_s']:.1f}", f"{times:.1f}"])
    head = ["trained", "pixels", "precision", "pictures per second", "times frozen"]
    hardware = facts["hardware"]
    measured = table(head, rows, right=[head[1], *head[3:]])
    measured += (
        f"\n\nMeasured on one step of AMFMN with EfficientNet-Lite0 and "
        f"{facts['batch']} pictures, on {hardware['cpu']}, {hardware['cores']} cores. "
        "The last column is how many times slower a step is than with a frozen "
        "encoder."
    )
    return {"cost.md": cost, "speeds.md": measured}
