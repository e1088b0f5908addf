"""The results page and the landing page's numbers, from `results/`.

Until there is a record the page says so.
"""

from pathlib import Path

NAMES = ["results.md", "landing.md"]


def render(root: Path) -> dict[str, str]:
    records = sorted((root / "results").glob("*/*/*.json"))
    if not records:
        return {
            "results.md": "No run has been recorded yet.",
            "landing.md": "",
        }
    return {
        "results.md": f"{len(records)} runs are recorded.",
        "landing.md": "",
    }
