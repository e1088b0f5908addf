"""The status page: cost of each chapter, versions behind its outputs."""

import json
from pathlib import Path

from . import in_book, table

NAMES = ["status.md"]


def link(root: Path, name: str) -> str:
    if not in_book(root, name):
        return f"`{name}`"
    return f"[{name}](../notebooks/{name}.ipynb)"


def render(root: Path) -> dict[str, str]:
    path = root / "notebooks/status.json"
    status = json.loads(path.read_text()) if path.exists() else {}
    if not status:
        return {"status.md": "No chapter has been executed yet."}
    costs = [
        [
            link(root, name),
            known["seconds"],
            known["peak_memory_mb"] or "–",
            known["preset"],
        ]
        for name, known in sorted(status.items())
        if (root / f"notebooks/{name}.ipynb").exists()
    ]
    names = sorted({n for known in status.values() for n in known["versions"]})
    rows = {
        (known["python"], *(known["versions"].get(n, "–") for n in names))
        for known in status.values()
    }
    head = ["chapter", "seconds", "peak memory, MB", "preset"]
    text = (
        table(head, costs, right=head[1:3])
        + "\n\nVersions behind these outputs:\n\n"
        + table(["Python", *names], sorted(map(list, rows)))
        + "\n\nTimes are from one machine with two cores and are not"
        " promises."
    )
    return {"status.md": text}
