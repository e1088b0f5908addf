"""`rsir train METHOD`: train one model and keep it."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from rsir.cli.options import Dataset, Preset, Root


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("train")(train_command)


def train_command(
    method: Annotated[str, typer.Argument(help="linear, amfmn, galr, ...")],
    dataset: Dataset = "toy",
    preset: Preset = "toy",
    variant: Annotated[
        Optional[str], typer.Option(help="A named variant of the method.")
    ] = None,
    root: Root = None,
    run: Annotated[
        Optional[Path],
        typer.Option(help="Run folder; default runs/METHOD-DATASET-sSEED."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the run.")] = 0,
    change: Annotated[
        Optional[list[str]],
        typer.Option("--set", help="Another value of an option: NAME=VALUE."),
    ] = None,
    tried: Annotated[
        Optional[Path],
        typer.Option(help="Table to add a line to: what was tried, and its val mR."),
    ] = None,
) -> None:
    """Train a method; the run folder then serves `rsir search`.

    A killed run goes on when the same command is given again. Test data
    are not read; `rsir reproduce` scores them.
    """
    from datetime import datetime

    from rsir.cli.options import changes
    from rsir.data import load_dataset
    from rsir.models import config
    from rsir.utils.seed import seed_everything

    asked = config(method, preset, variant, **{"seed": seed} | changes(change or []))
    if tried:
        from rsir.experiments import trials
        from rsir.experiments.run import clean_commit

        trials.read(tried)  # refuse before the training, not after it
        commit = clean_commit()
    from rsir.training.trainer import train

    seed_everything(seed)
    splits = load_dataset(dataset, root)
    folder = run or Path("runs") / f"{method}-{dataset}-s{seed}"
    done = train(asked, splits, folder)
    for entry in done.history:
        print(f"epoch {entry['epoch']:3d}  val mR {entry['val_mR']:.2f}")
    print(f"best val mR {done.val_mR:.2f}; run folder: {folder}")
    if tried:
        line = trials.line_of(
            done,
            dataset=dataset,
            preset=preset,
            variant=variant,
            commit=commit[:10],
            created=datetime.now().isoformat(timespec="seconds"),
        )
        trials.add(tried, line)
