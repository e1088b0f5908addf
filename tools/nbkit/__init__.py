"""Tools for the book's notebooks: template, execution, guards."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "notebooks"
STATUS = FOLDER / "status.json"
sys.path.insert(0, str(ROOT))  # rsir, wherever a tool is called from


def chapters() -> list[Path]:
    """Every chapter of the book, in order."""
    return sorted(FOLDER.glob("[0-9]*.ipynb"))
