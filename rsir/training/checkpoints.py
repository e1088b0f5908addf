"""Run folders: a training's state and its best weights.

Each file or folder is whole or not there at all.
"""

import json
import os
import shutil
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from rsir import models
from rsir.data.text import Vocabulary
from rsir.models import Config, build
from rsir.models.base import TwoTower
from rsir.utils.errors import RsirError
from rsir.utils.io import atomic_write

BEST = "best.safetensors"
CONFIG = "config.json"
VOCABULARY = "vocabulary.json"


def start_run(config: Config, run_dir: Path | None, precision: str) -> str:
    """Claim a run folder; return the precision it began with.

    RsirError if it holds a run of another config.
    """
    if run_dir is None:
        return precision
    path, wanted = run_dir / CONFIG, config.to_dict()
    if not path.exists():
        with atomic_write(path) as file:
            json.dump(wanted | {"began_with_precision": precision}, file, indent=1)
        return precision
    found = json.loads(path.read_text(encoding="utf-8"))
    begun = found.pop("began_with_precision", precision)
    if found != wanted:
        other = [k for k in wanted | found if found.get(k) != wanted.get(k)]
        raise RsirError(
            f"{path}: this folder holds a run of another config "
            f"({', '.join(other)} differ); remove the folder or name another one"
        )
    return begun


def load_run(run_dir: str | Path) -> TwoTower:
    """The model of a run folder, in evaluation mode.

    RsirError if it holds no run, or a damaged one.
    """
    path = Path(run_dir) / CONFIG
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RsirError(
            f"{run_dir}: not a run folder ({error}); make one with rsir train"
        ) from error
    facts.pop("began_with_precision", None)
    try:
        config = models.methods()[facts["method"]].config(**facts)
    except (KeyError, TypeError) as error:
        raise RsirError(
            f"{path}: a config of another version ({error}); train again"
        ) from error
    words = path.with_name(VOCABULARY)
    vocabulary = Vocabulary.load(words) if words.exists() else None
    model = build(config, vocabulary=vocabulary)
    _read_weights(model, path.with_name(BEST))
    return model.eval()


def _learned(model: TwoTower) -> dict[str, Tensor]:
    """Copies of all weights but those of a frozen image encoder."""
    frozen = "image_encoder." if not model.image_encoder.learns else "-"
    state = model.state_dict().items()
    own = {k: v for k, v in state if not k.startswith(frozen)}
    return {k: v.detach().cpu().contiguous().clone() for k, v in own.items()}


def _read_weights(model: TwoTower, path: Path) -> None:
    if not path.is_file():
        raise RsirError(f"{path}: no weights here; train first")
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise RsirError(f"{path}: damaged ({error}); train again") from error
    expected = {k: v.shape for k, v in _learned(model).items()}
    found = {k: v.shape for k, v in state.items()}
    if found != expected:
        odd = sorted(dict(found.items() ^ expected.items()))[:5]
        raise RsirError(f"{path}: weights of another model ({', '.join(odd)})")
    model.load_state_dict(state, strict=False)


class Checkpoints:
    """State of a run after its last epoch, `state-<epoch>/`, and its best weights.

    Accelerate rotates checkpoints, too, but in place: a run that is killed
    meanwhile finds half a state. Without `run_dir` no state is kept, and the best
    weights in memory.
    """

    def __init__(self, accelerator, run_dir: Path | None) -> None:
        self.accelerator, self.run_dir = accelerator, run_dir
        self._best: dict[str, Tensor] = {}

    def states(self) -> dict[int, Path]:
        """Whole states by epoch."""
        paths = self.run_dir.glob("state-*") if self.run_dir else ()
        return {int(p.name.removeprefix("state-")): p for p in paths}

    def load(self) -> tuple[int, dict]:
        """Restore the last state; return next epoch and notes."""
        states = self.states()
        if not states:
            return 0, {}
        last = max(states)
        self.accelerator.load_state(str(states[last]))
        return last + 1, json.loads((states[last] / "notes.json").read_text())

    def save(self, epoch: int, notes: dict) -> None:
        """Write aside, rename, remove the older state."""
        if self.run_dir is None:
            return
        main = self.accelerator.is_main_process
        aside = self.run_dir / "state.tmp"
        if main:
            shutil.rmtree(aside, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        self.accelerator.save_state(str(aside))
        self.accelerator.wait_for_everyone()
        if main:
            (aside / "notes.json").write_text(json.dumps(notes))
            older = self.states().values()
            os.replace(aside, self.run_dir / f"state-{epoch}")
            for folder in older:
                shutil.rmtree(folder)

    def keep_best(self, model: TwoTower) -> None:
        """Keep the weights of the best epoch so far."""
        if self.run_dir is None:
            self._best = _learned(model)
        elif self.accelerator.is_main_process:
            aside = self.run_dir / "best.tmp"
            save_file(_learned(model), aside)
            os.replace(aside, self.run_dir / BEST)

    def load_best(self, model: TwoTower) -> None:
        """Put the best weights back into the model, if any."""
        self.accelerator.wait_for_everyone()
        if self.run_dir is None:
            model.load_state_dict(self._best, strict=False)
        elif (self.run_dir / BEST).exists():
            _read_weights(model, self.run_dir / BEST)
