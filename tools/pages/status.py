"""The status page: cost of each chapter, versions behind its outputs."""

import json
from pathlib import Path

from . import in_book, table


def costs(root: Path) -> dict[str, dict]:
    """{chapter: what its last execution cost}, of chapters that exist."""
    path = root / "notebooks/status.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    return {
        name: cost | {"peak_memory_mb": cost["peak_memory_mb"] or "–"}
        for name, cost in sorted(known.items())
        if (root / f"notebooks/{name}.ipynb").exists()
    }


def render(root: Path) -> dict[str, str]:
    status = costs(root)
    if not status:
        return {"status.md": "No chapter has been executed yet."}
    lines = []
    for name, x in status.items():
        link = f"[{name}](../notebooks/{name}.ipynb)"
        link = link if in_book(root, name) else f"`{name}`"
        lines.append([link, x["seconds"], x["peak_memory_mb"], x["preset"]])
    names = sorted({n for known in status.values() for n in known["versions"]})
    versions = {
        (x["python"], *(x["versions"].get(n, "–") for n in names))
        for x in status.values()
    }
    head = ["chapter", "seconds", "peak memory, MB", "preset"]
    parts = [
        table(head, lines, right=head[1:3]),
        "The outputs were made with these versions:",
        table(["Python", *names], sorted(map(list, versions))),
        "The times are from one machine with two cores. Yours may differ.",
    ]
    return {"status.md": "\n\n".join(parts)}
