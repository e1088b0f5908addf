"""What stands behind the explorer page: systems, seeds, recalls."""

from pathlib import Path

from . import system_name, table

NAMES = ["explorer.md"]
EMPTY = (
    "No system has a recorded run on toy scenes yet, so there is nothing to explore."
)


def render(root: Path) -> dict[str, str]:
    import explorer

    known = explorer.load(root / "web/explorer")
    if not known or not known["systems"]:
        return {"explorer.md": EMPTY}
    lines = [
        [
            system_name(one["method"]),
            f"`{one['variant']}`",
            one["seed"],
            f"{one['mR']:.2f}",
            f"{one['recorded']:.2f}",
        ]
        for one in known["systems"]
    ]
    head = ["system", "variant", "seed", "mR here", "mR recorded"]
    scenes = len(known["scenes"]["kinds"])
    return {
        "explorer.md": (
            f"{scenes} test scenes, {len(known['scenes']['texts'])} different "
            "sentences. Each system was trained once more with the config and the "
            "seed of its record on toy scenes:\n\n" + table(head, lines, right=head[2:])
        )
    }
