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
        f"The explorer has {len(scenes['kinds'])} test scenes and "
        f"{len(scenes['texts'])} different sentences. We trained each system again "
        "with the config and the seed of its {term}`record` on toy scenes. The table "
        "shows the {term}`mR` of both runs:\n\n"
    )
    return {"explorer.md": text + table(head, lines, right=head[2:])}
