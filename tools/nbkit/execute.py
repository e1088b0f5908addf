"""Execute a notebook in place and keep only what is worth keeping."""

import hashlib
import json
import os
import platform
import re
import time
from importlib.metadata import version
from pathlib import Path

import nbformat
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell

from rsir.utils.io import atomic_write

from . import STATUS, template
from .pictures import smaller

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
METADATA = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
KEPT = {"tags", "mystnb"}  # of a cell's metadata
VERSIONS = ("torch", "transformers", "numpy", "matplotlib")


def read(path: Path):
    """The notebook as nbformat 4.5, cell ids kept or made."""
    nb = nbformat.read(path, as_version=4)
    for number, cell in enumerate(nb.cells):
        cell.setdefault("id", f"cell-{number:02d}")
    nb.nbformat, nb.nbformat_minor = 4, 5
    return nb


def write(path: Path, nb) -> None:
    """Write aside, then replace: a kill leaves the old file whole."""
    nbformat.validate(nb)
    with atomic_write(path) as file:
        nbformat.write(nb, file)


def code_cells(nb) -> list:
    """The cells that hold code (blank ones do not)."""
    return [c for c in nb.cells if c.cell_type == "code" and c.source.strip()]


def code_hash(nb) -> str:
    """Checksum of the code; ties stored outputs to what made them.

    The shared bootstrap cell is left out: it decides no output.
    """
    own = [c for c in code_cells(nb) if "bootstrap" not in c.metadata.get("tags", [])]
    text = "\n# ---\n".join(c.source.strip() for c in own)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_executed(nb) -> bool:
    return all(c.get("execution_count") for c in code_cells(nb))


def last_write(text: str) -> str:
    """What a terminal would show: the part after the last return."""
    lines = [[p for p in line.split("\r") if p] for line in text.split("\n")]
    return "\n".join(pieces[-1] if pieces else "" for pieces in lines)


def strip(nb) -> None:
    """Drop what differs from run to run and says nothing."""
    nb.metadata = nbformat.from_dict(METADATA)
    for cell in nb.cells:
        kept = {k: v for k, v in cell.metadata.items() if k in KEPT}
        cell.metadata = nbformat.from_dict(kept)
        cell.source = cell.source.strip("\n")
        for out in cell.get("outputs", ()):
            if out.output_type == "stream":
                out.text = last_write(out.text)
            data = out.get("data", {})
            for kind in list(data):
                if kind.startswith("application/vnd.jupyter.widget"):
                    del data[kind]
                elif kind == "image/png":
                    data[kind] = smaller(data[kind])


def sync(nb, name: str) -> None:
    """Put the shared cells, as the template has them, into `nb`."""
    kinds = [cell.cell_type for cell in nb.cells]
    code = kinds.index("code") if "code" in kinds else len(kinds)
    for tags, make, source, place in (
        (["bootstrap", "hide-input"], new_code_cell, template.bootstrap(), code),
        (["badge"], new_markdown_cell, template.badge(name), 1),
    ):
        found = [c for c in nb.cells if tags[0] in c.metadata.get("tags", [])]
        if not found:
            found = [make(id=tags[0])]
            nb.cells.insert(place, found[0])
        found[0].source = source
        found[0].metadata["tags"] = tags


class Client(NotebookClient):
    """Looks at the kernel's memory before it is stopped, and stops it
    once (nbclient tries again when Python ends, and trips)."""

    peak = None  # MB, where the system tells

    async def _async_cleanup_kernel(self):
        if self.km is None:
            return
        status = Path(f"/proc/{self.km.provisioner.pid}/status")
        text = status.read_text() if status.exists() else ""
        if found := re.search(r"VmHWM:\s+(\d+) kB", text):
            self.peak = round(int(found[1]) / 1024)
        await super()._async_cleanup_kernel()

    _cleanup_kernel = run_sync(_async_cleanup_kernel)


def execute(path: Path, timeout: int = 1200) -> dict:
    """Run the notebook at `path` in place; what it cost.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed; the file
            is left as it was.
        RuntimeError: somebody saved the file meanwhile; it is left so.
    """
    before = path.read_bytes()
    nb = read(path)
    sync(nb, path.name)
    strip(nb)
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = Client(
        nb,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(path.parent)}},
    )
    start = time.perf_counter()
    client.execute()
    seconds = time.perf_counter() - start
    strip(nb)
    if path.read_bytes() != before:
        raise RuntimeError(f"{path.name} was saved while it ran")
    write(path, nb)
    return {
        "code": code_hash(nb),
        "seconds": round(seconds),
        "peak_memory_mb": client.peak,
        "dataset": os.environ.get("RSIR_DATASET", "toy"),
        "preset": os.environ.get("RSIR_PRESET", "toy"),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in VERSIONS},
    }


def load_status() -> dict:
    return json.loads(STATUS.read_text()) if STATUS.exists() else {}


def save_status(status: dict) -> None:
    with atomic_write(STATUS) as file:
        file.write(json.dumps(status, indent=1, sort_keys=True) + "\n")
