"""What learning costs: pictures a second, and operations of the presets `paper`.

    python benchmarks/training.py            # frozen, upper stages, all of it
    python benchmarks/training.py --count    # operations, by system
    python benchmarks/training.py --read     # what reading ahead hides
    python benchmarks/training.py --write    # the first two, for the book

The first is one training step of AMFMN (forward, backward, optimiser) on drawn
pictures or features, by size and precision: compare the ratios. The second counts
multiplications and additions; no time is measured. `--read` measures how much of
an epoch's reading a thread hides that reads the next batch meanwhile.
"""

import argparse
import json
import os
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
WRITTEN = ROOT / "results" / "training.json"
LEARNS = {"frozen": "none", "upper": "f3", "all": "all"}
WORDS = "many green trees and some white buildings are near a wide grey road".split()


def step_of(trained: str, size: int, batch: int, precision: str):
    """A function that does one step of AMFMN."""
    import torch

    from rsir.data.text import Vocabulary
    from rsir.encoders.base import FEATURES
    from rsir.models import build, config
    from rsir.training.trainer import parameter_groups

    options = {"image_size": size, "tta_views": (0,), "image_trained": trained}
    torch.manual_seed(0)
    words = Vocabulary.build([" ".join(WORDS)], 1)
    asked = config("amfmn", "cpu", text_encoder="gru", margin=0.2, **options)
    model = build(asked, vocabulary=words).train()
    shapes = dict(zip(FEATURES, model.image_encoder.map_sizes()))
    shapes["pooled"] = (model.image_encoder.dim,)
    images = {name: torch.randn(batch, *shape) for name, shape in shapes.items()}
    if trained != "none":
        pixels = torch.randint(256, (batch, 3, size, size), dtype=torch.uint8)
        images = {"pixels": pixels}
    data = {
        "images": images,
        "texts": {"ids": model.text_encoder.tokenize([" ".join(WORDS)] * batch)},
        "pairs": {"positive": torch.eye(batch, dtype=torch.bool)},
    }
    optimiser = torch.optim.AdamW(parameter_groups(model, asked))

    def step():
        half = torch.autocast("cpu", torch.bfloat16)
        with half if precision == "bf16" else nullcontext():
            loss = sum(model.training_losses(data, lambda x: x).values())
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def speeds(batch: int, steps: int) -> list[dict]:
    """Pictures a second of every choice, the best of some steps."""
    found = []
    for precision in ("no", "bf16"):
        for size in (160, 256):
            for name, trained in LEARNS.items():
                step, seconds = step_of(trained, size, batch, precision), []
                for _ in range(1 + steps):
                    start = time.perf_counter()
                    step()
                    seconds.append(time.perf_counter() - start)
                row = {"learns": name, "size": size, "precision": precision}
                found.append(row | {"images_per_s": batch / min(seconds[1:])})
                print(*found[-1].values(), sep="\t", flush=True)
    return found


def operations(method: str, **changes) -> float:
    """GFLOP that one picture of an epoch costs, forward and backward."""
    from torch.utils.flop_counter import FlopCounterMode

    from rsir.data import load_dataset
    from rsir.models import build, config
    from rsir.training.augment import kept_size
    from rsir.training.batches import PairDataset, PositivePairs

    batch = 4
    asked = config(method, "paper", vocabulary_threshold=1, **changes)
    split = load_dataset("toy").train.subset(range(batch))
    model = build(asked, split).train()
    side = kept_size(asked.augment, asked.image_size)
    encoded = model.encode_split(split, kept_size=side, progress=False)
    how = 0, 0, asked.augment, asked.image_size
    data = PairDataset(encoded, *how).read(range(batch))
    pairs = PositivePairs(encoded, model.wants_similarity)(data)
    with FlopCounterMode(display=False) as counter:
        losses = model.training_losses(data | {"pairs": pairs}, lambda x: x)
        sum(losses.values()).backward()
    return counter.get_total_flops() / batch / 1e9


def counts() -> list[dict]:
    """GFLOP a picture of each preset `paper`, with its epochs."""
    from paper import SYSTEMS

    from rsir.models import config

    found = []
    for method in SYSTEMS:
        asked = config(method, "paper")
        many = {"false_texts": 2, "hard_texts": 1} if method == "cfitr" else {}
        gflop = operations(method, **many)
        if many:  # each further false text costs the same
            less = operations(method, false_texts=1, hard_texts=1)
            gflop += (gflop - less) * (asked.false_texts - 2)
        row = {"method": method, "gflop": gflop, "epochs": asked.epochs}
        found.append(row)
        print(*row.values(), sep="\t", flush=True)
    return found


def random_weights():
    """Presets `paper` find random weights, laid out as the hubs'."""
    import sys

    sys.path.insert(0, str(ROOT / "tools"))
    import hub_layout
    from paper import HOMES

    home = tempfile.TemporaryDirectory()
    for variable, name in HOMES.items():
        os.environ[variable] = str(Path(home.name) / name)
    os.environ["HF_HUB_OFFLINE"] = "1"
    hub_layout.write(Path(home.name), WORDS)
    return home


def reading(home: Path, n: int, batch: int, pause: float) -> tuple[float, float]:
    """Seconds of an epoch over drawn maps, without and with reading ahead.

    A step is a pause here: what is hidden then does not depend on how
    many cores a step would take.
    """
    shapes = {"f2": (40, 28, 28), "f3": (112, 14, 14), "f4": (320, 7, 7)}
    for name, shape in shapes.items():
        np.save(home / f"{name}.npy", np.zeros((n, *shape), np.float16))
    import torch

    from rsir.training.batches import PairDataset

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
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--count", action="store_true")
    parser.add_argument("--read", action="store_true")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    if asked.read:
        for pause in (0.01, 0.03):
            with tempfile.TemporaryDirectory() as home:
                plain, ahead = reading(Path(home), 2000, asked.batch, pause)
            print(f"steps of {1000 * pause:.0f} ms: {plain / ahead:.2f} times as fast")
        return
    found = {}
    if asked.write or asked.count:
        with random_weights():
            found["operations"] = counts()
    if not asked.count:
        found["speeds"] = speeds(asked.batch, asked.steps)
    if asked.write:
        from rsir.experiments.run import hardware

        facts = {"hardware": hardware(), "batch": asked.batch} | found
        WRITTEN.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
