"""`rsir train METHOD`: train one model and keep it."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

from rsir.cli import options
from rsir.cli.options import Dataset, Method, Preset, Root, option


def train_command(
    method: Annotated[str, Method],
    dataset: Dataset = "toy",
    preset: Preset = "toy",
    variant: Annotated[str | None, option("A named variant of the method.")] = None,
    part: options.Part = None,
    root: Root = None,
    run: Annotated[
        Path | None, option("Run folder; default runs/METHOD-DATASET-sSEED.")
    ] = None,
    seed: Annotated[int, option("Seed of the run.")] = 0,
    change: Annotated[
        list[str] | None, option("Another value of an option: NAME=VALUE.", "--set")
    ] = None,
    bands: options.Bands = None,
    scale: options.Scale = None,
    tried: Annotated[
        Path | None, option("Table to add a line to: what was tried, and its val mR.")
    ] = None,
) -> None:
    """Train a method; the run folder then serves `rsir search`.

    A killed run goes on when the same command is given again. Test data
    are not read; `rsir reproduce` scores them.
    """
    from rsir.data import load_dataset
    from rsir.models import config
    from rsir.utils.seed import seed_everything

    dataset = options.part_of(dataset, part)
    changed = {"seed": seed} | options.changes(change or [])
    asked = config(method, preset, variant, **changed)
    pixels = options.pixel_options(bands, scale)
    if tried:
        from rsir.experiments import trials
        from rsir.experiments.run import clean_commit

        trials.read(tried)  # refuse before the training, not after it
        commit = clean_commit()
    from rsir.training.trainer import train

    seed_everything(seed)
    splits = load_dataset(dataset, root, pixels=pixels)
    folder = run or Path("runs") / f"{method}-{splits.name}-s{seed}"
    done = train(asked, splits, folder)
    for entry in done.history:
        print(f"epoch {entry['epoch']:3d}  val mR {entry['val_mR']:.2f}")
    print(f"best val mR {done.val_mR:.2f}; run folder: {folder}")
    if tried:
        facts = {"dataset": dataset, "preset": preset, "variant": variant}
        facts |= {"commit": commit[:10]}
        facts["created"] = datetime.now().isoformat(timespec="seconds")
        trials.add(tried, trials.line_of(done, **facts))
