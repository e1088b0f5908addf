"""What each choice of parts that learn costs the dual baseline in time.

    python benchmarks/training.py
    python benchmarks/training.py --size 128 --steps 3
    python benchmarks/training.py --read

One training step (forward, backward, optimiser) on drawn features, for
several choices, in one run, in processor time: compare the ratios.
`--read` instead measures how much of an epoch's reading a thread hides
that reads the next batch meanwhile.
"""

import argparse
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from rsir.encoders.base import FEATURES
from rsir.models import build, config
from rsir.training.batches import PairDataset
from rsir.training.trainer import parameter_groups

#: name -> changes of the config; the first is what ratios refer to
CHOICES = {
    "heads alone": {"start": "", "text_layers": 0},
    "text, last block": {"start": "", "text_layers": 1},
    "text, two blocks": {"start": "", "text_layers": 2},
    "stages from f4": {"start": "f4", "text_layers": 2},
    "stages from f3": {"start": "f3", "text_layers": 2},
}
WORDS = 14  # word pieces of a usual caption


def step_of(changes: dict, size: int, batch: int):
    """A function that does one step of a choice."""
    asked = config("dual", "cpu", image_size=size, tta_views=(0,), **changes)
    torch.manual_seed(0)
    model = build(asked)
    model.image_encoder.requires_grad_(False).eval()
    shapes = dict(zip(FEATURES, model.image_encoder.map_sizes()))
    shapes["pooled"] = (model.image_encoder.dim,)
    ids = torch.randint(1000, 20000, (batch, WORDS))
    ids[:, 0], ids[:, -1] = 101, 102
    prefix = model.text_encoder.frozen_prefix(ids)
    texts = {"ids": ids} | ({} if prefix is None else {"frozen_prefix": prefix})
    if not asked.text_layers:  # such a split holds features
        texts = model.text_features(ids)
    data = {
        "images": {name: torch.randn(batch, *shapes[name]) for name in model.reads},
        "texts": texts,
        "pairs": {"positive": torch.eye(batch, dtype=torch.bool)},
    }
    optimiser = torch.optim.AdamW(parameter_groups(model, asked))
    model.train()

    def step():
        sum(model.training_losses(data, lambda x: x).values()).backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def speed(step, batch: int, steps: int) -> float:
    """Images per processor second, the best of some steps."""
    step()
    seconds = []
    for _ in range(steps):
        start = time.process_time()
        step()
        seconds.append(time.process_time() - start)
    return batch / min(seconds)


def reading(home: Path, n: int, batch: int, pause: float) -> tuple[float, float]:
    """Seconds of an epoch over drawn maps, without and with reading ahead.

    A step is a pause here: what is hidden then does not depend on how
    many cores a step would take.
    """
    shapes = {"f2": (40, 28, 28), "f3": (112, 14, 14), "f4": (320, 7, 7)}
    for name, shape in shapes.items():
        np.save(home / f"{name}.npy", np.zeros((n, *shape), np.float16))
    maps = {name: np.load(home / f"{name}.npy", mmap_mode="r") for name in shapes}
    rows = np.arange(n)
    encoded = SimpleNamespace(
        split=SimpleNamespace(n_images=n),
        n_captions_of=np.ones(n, int),
        captions_of=rows[:, None],
        texts_of=rows[:, None],
        text_id=rows,
        images=lambda rows: {k: torch.from_numpy(v[rows]) for k, v in maps.items()},
        text_rows=lambda rows: {},
    )
    seconds = []
    for stride in (0, batch):
        dataset = PairDataset(encoded, 0, stride)
        times = []
        for _ in range(3):
            dataset.draw(0)
            start = time.perf_counter()
            for i in range(0, n - batch + 1, batch):
                dataset.__getitems__(range(i, i + batch))
                time.sleep(pause)
            times.append(time.perf_counter() - start)
        seconds.append(min(times))
    return tuple(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--read", action="store_true")
    asked = parser.parse_args()
    if asked.read:
        for pause in (0.01, 0.03):
            with tempfile.TemporaryDirectory() as home:
                plain, ahead = reading(Path(home), 2000, asked.batch, pause)
            print(f"steps of {1000 * pause:.0f} ms: {plain / ahead:.2f} times as fast")
        return
    torch.set_flush_denormal(True)
    print(f"size {asked.size}, batch {asked.batch}, {torch.get_num_threads()} threads")
    print(f"{'choice':<20}{'img/cpu s':>10}{'time':>8}")
    first = None
    for name, changes in CHOICES.items():
        step = step_of(changes, asked.size, asked.batch)
        found = speed(step, asked.batch, asked.steps)
        first = first or found
        print(f"{name:<20}{found:>10.1f}{first / found:>7.1f}x")


if __name__ == "__main__":
    main()
