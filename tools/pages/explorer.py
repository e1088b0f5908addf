"""What stands behind the explorer page: systems, seeds, recalls."""

from pathlib import Path

from . import system_name, table

EMPTY = (
    "No system has a recorded run on toy scenes yet, so there is nothing to explore."
)


def render(root: Path) -> dict[str, str]:
    import explorer

    known = explorer.load(root / "web/explorer")
    if not known or not known["systems"]:
        return {"explorer.md": EMPTY}
    lines = []
    for one in known["systems"]:
        both = (f"{one[name]:.2f}" for name in ("mR", "recorded"))
        name = system_name(one["method"])
        lines.append([name, f"`{one['variant']}`", one["seed"], *both])
    head = ["system", "variant", "seed", "mR here", "mR recorded"]
    scenes = known["scenes"]
    text = (
        f"{len(scenes['kinds'])} test scenes, {len(scenes['texts'])} different "
        "sentences. Each system was trained once more with the config and the "
        "seed of its record on toy scenes:\n\n"
    )
    return {"explorer.md": text + table(head, lines, right=head[2:])}
