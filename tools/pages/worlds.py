"""Mechanisms on the worlds that were made for them, from `results/`."""

import json
from pathlib import Path

from rsir.experiments import tables, trials

from . import badge, gain, joined, system_name, table, wide
from .results import attempts


def render(root: Path) -> dict[str, str]:
    lines = tables.worlds_table(tables.load(root / "results"))
    open_ones = [line["mechanism"] for line in lines if line["verdict"] is None]
    waits = f"Not measured: {', '.join(open_ones)}." if open_ones else ""
    worlds = sorted({one["dataset"] for one in trials.read(root / "results/tried.csv")})
    worlds = [name for name in worlds if name.startswith("world-")]
    parts = [measured([x for x in lines if x["verdict"]]), doubtful(lines), waits]
    for name in worlds:
        parts += [f"On `{name}`:", attempts(root, name)]
    return {"worlds.md": joined(parts), "weights.md": ready(root / "weights")}


def ready(folder: Path) -> str:
    """The models that come with the project, from their cards."""
    rows = []
    for path in sorted(folder.glob("*.safetensors"), key=lambda path: path.stem):
        card = card_of(path)
        found = (f"{name} {six['mR']:.1f}" for name, six in card["recalls"].items())
        size = f"{path.stat().st_size / 1e6:.1f}"
        system = system_name(card["method"])
        rows.append([f"`{path.stem}`", system, ", ".join(found), card["seed"], size])
    if not rows:
        return ""
    head = ["name", "system", "mR on test", "seed", "MB"]
    return wide(table(head, rows, right=("seed", "MB")), "first")


def card_of(path: Path) -> dict:
    """`rsir.training.weights.model_card` of a file, without PyTorch."""
    with path.open("rb") as file:
        head = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return json.loads(head["__metadata__"]["card"])


def doubtful(lines: list[dict]) -> str:
    """Mechanisms that gain where their reason is absent."""
    both = [x["mechanism"] for x in lines if x["control"] and gains(x["control"])]
    if not both:
        return ""
    return (
        f"Gains on its control as well: {', '.join(both)}. There the gain on the world "
        "does not show the reason that the world was made for."
    )


def gains(pair) -> bool:
    return pair.ci95["mR"][0] > 0


def measured(lines: list[dict]) -> str:
    """The gain of each mechanism on its world, and on the control."""
    if not lines:
        return ""
    rows = []
    for line in lines:
        (method, better), (_, worse) = line["step"]
        control, seeds = line["control"], line["pair"].seeds[0]
        what = f"{line['mechanism']}: {system_name(method)} `{better}` − `{worse}`"
        what += f" on `{line['world'].removeprefix('world-')}`, {seeds} seeds"
        found = [gain(line["pair"]), gain(control) if control else "–"]
        found = [text.replace(" [", "<br>[") for text in found]
        rows.append([what, found[0], badge(line["verdict"].outcome), found[1]])
    head = ["with and without", "gain", "verdict", "on the control"]
    return wide(table(head, rows), "first")
