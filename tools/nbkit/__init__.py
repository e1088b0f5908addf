"""Tools for the book's notebooks: template, execution, guards."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "notebooks"
STATUS = FOLDER / "status.json"


def chapters() -> list[Path]:
    """Every chapter of the book, in order."""
    return sorted(FOLDER.glob("[0-9]*.ipynb"))
