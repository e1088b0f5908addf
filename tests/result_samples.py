"""Records made up for tests: a system of a chosen strength."""

import numpy as np

from rsir.evaluation import metrics
from rsir.experiments.records import recalls_under_every_rule, write_record
from rsir.models.recipes import recipe

N, PER = 60, 5


def ranks_of_strength(strength, seed=0, n=N):
    """Ranks of random scores, the right pairs lifted by `strength`."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(n), PER)
    scores = rng.standard_normal((n, n * PER))
    scores[owner, np.arange(n * PER)] += strength
    # every other image shares its first caption with the one before
    scores[:, PER :: 2 * PER] = scores[:, : -PER : 2 * PER]
    return metrics.ranks(scores, owner)


def facts(method, dataset, row, seed, ranks, preset="cpu"):
    """All that a record holds, for these ranks."""
    asked = recipe(method, preset, row, seed=seed)
    return {
        "method": method, "dataset": dataset, "row": row,
        "preset": preset, "seed": seed,
        "command": f"rsir reproduce {method} --dataset {dataset} "
                   f"--preset {preset} --row {row} --seed {seed}",
        "commit": "0123456789abcdef", "modules": {},
        "versions": {"python": "3.11.7", "torch": "2.14.0"},
        "hardware": {"cpu": "a processor", "cores": 2, "simd": "AVX2",
                     "memory_gb": 16, "gpu": None},
        "seconds": {"features": 120.0, "train": 90.0, "evaluate": 1.5,
                    "total": 211.5},
        "peak_memory_gb": 2.5,
        "recalls": recalls_under_every_rule(ranks), "val_mR": 20.0,
        "encoders": {"image": asked.image_encoder,
                     "text": asked.text_encoder},
        "config": asked.to_dict(),
        "n_images": len(ranks.i2t.better),
        "n_captions": len(ranks.owner),
        "created": "2026-01-02T03:04:05",
    }  # fmt: skip


def record(root, method, dataset, row, strength, seed=0, **changes):
    """Write one record below `root`/results; its JSON's path."""
    preset = changes.pop("preset", "cpu")
    ranks = ranks_of_strength(strength, seed, changes.pop("n", N))
    made = facts(method, dataset, row, seed, ranks, preset) | changes
    return write_record(made, ranks, root / "results")
