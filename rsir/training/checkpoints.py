"""Checkpoints of a training run, whole or not there at all."""

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from rsir.utils.errors import RsirError
from rsir.utils.io import atomic_write

if TYPE_CHECKING:
    from rsir.models.recipes import Recipe


BEST = "best.safetensors"
RECIPE = "recipe.json"
VOCABULARY = "vocabulary.json"


def start_run(recipe: "Recipe", run_dir: Path | None, precision: str) -> str:
    """Claim a run folder; return the precision it began with.

    Raises:
        RsirError: if the folder holds a run of another recipe.
    """
    if run_dir is None:
        return precision
    run_dir.mkdir(parents=True, exist_ok=True)
    path = run_dir / RECIPE
    wanted = recipe.to_dict()
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        begun = found.pop("began_with_precision", precision)
        if found != json.loads(json.dumps(wanted)):
            other = [k for k in wanted if found.get(k) != wanted[k]]
            raise RsirError(
                f"{path}: this folder holds a run of another recipe "
                f"({', '.join(other)} differ); remove the folder or "
                "name another one"
            )
        return begun
    with atomic_write(path) as file:
        json.dump(wanted | {"began_with_precision": precision}, file, indent=1)
    return precision


def save_weights(model, path: Path) -> None:
    """All weights but the frozen image encoder's, atomically."""
    state = {
        k: v.detach().cpu().contiguous()
        for k, v in model.state_dict().items()
        if not k.startswith("image_encoder.")
    }
    aside = path.with_suffix(".tmp")
    save_file(state, aside)
    os.replace(aside, path)


def load_weights(model, path: Path) -> None:
    """Read what `save_weights` wrote.

    Raises:
        RsirError: if the file is missing or does not fit the model.
    """
    if not Path(path).is_file():
        raise RsirError(f"{path}: no weights here; train first")
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise RsirError(f"{path}: damaged ({error}); train again") from error
    expected = {
        k: v.shape
        for k, v in model.state_dict().items()
        if not k.startswith("image_encoder.")
    }
    found = {k: v.shape for k, v in state.items()}
    if found != expected:
        odd = sorted(dict(found.items() ^ expected.items()))[:5]
        raise RsirError(f"{path}: weights of another model ({', '.join(odd)})")
    model.load_state_dict(state, strict=False)


class Checkpoints:
    """State of a run after each epoch: `state-<epoch>/`, renamed.

    Args:
        accelerator: saves model, optimiser, schedule, random states.
        run_dir: None keeps the best weights in memory only.
    """

    def __init__(self, accelerator, run_dir: Path | None) -> None:
        self.accelerator = accelerator
        self.run_dir = run_dir
        self._best: dict | None = None

    def latest(self) -> tuple[int, Path] | None:
        """Last whole state: its epoch and folder."""
        if self.run_dir is None or not self.run_dir.is_dir():
            return None
        found = [
            (int(p.name.removeprefix("state-")), p)
            for p in self.run_dir.glob("state-*")
            if p.name.removeprefix("state-").isdigit()
        ]
        return max(found, default=None)

    def load(self) -> tuple[int, dict] | None:
        """Restore the last state; return next epoch and notes."""
        last = self.latest()
        if last is None:
            return None
        epoch, folder = last
        self.accelerator.load_state(str(folder))
        notes = json.loads((folder / "notes.json").read_text())
        return epoch + 1, notes

    def save(self, epoch: int, notes: dict) -> None:
        """Write aside, rename, remove the older state."""
        if self.run_dir is None:
            return
        target = self.run_dir / f"state-{epoch}"
        aside = self.run_dir / "state.tmp"
        main = self.accelerator.is_main_process
        if main and aside.exists():
            shutil.rmtree(aside)
        self.accelerator.wait_for_everyone()
        self.accelerator.save_state(str(aside))
        self.accelerator.wait_for_everyone()
        if not main:
            return
        (aside / "notes.json").write_text(json.dumps(notes))
        if target.exists():
            shutil.rmtree(target)
        os.replace(aside, target)
        for old in self.run_dir.glob("state-*"):
            if old != target:
                shutil.rmtree(old)

    def keep_best(self, model) -> None:
        """Keep the weights of the best epoch so far."""
        if self.run_dir is None:
            self._best = {k: v.detach().clone() for k, v in model.state_dict().items()}
        elif self.accelerator.is_main_process:
            save_weights(model, self.run_dir / BEST)

    def load_best(self, model) -> None:
        """Put the best weights back into the model, if any."""
        self.accelerator.wait_for_everyone()
        if self._best is not None:
            model.load_state_dict(self._best)
        elif self.run_dir and (self.run_dir / BEST).exists():
            load_weights(model, self.run_dir / BEST)
