"""Records made up for tests: a system of a chosen strength."""

import numpy as np

from rsir.evaluation.ranks import compute_ranks
from rsir.experiments.records import recalls_under_every_rule, write_record
from rsir.models import config

N, PER = 60, 5


def ranks_of_strength(strength, seed=0, n=N):
    """Ranks of random scores, the right pairs lifted by `strength`."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(n), PER)
    scores = rng.standard_normal((n, n * PER))
    scores[owner, np.arange(n * PER)] += strength
    # every other image shares its first caption with the one before
    scores[:, PER :: 2 * PER] = scores[:, : -PER : 2 * PER]
    return compute_ranks(scores, owner)


def facts(method, dataset, variant, seed, ranks, preset="cpu"):
    """All that a record holds, for these ranks."""
    asked = config(method, preset, variant, seed=seed)
    seconds = {"features": 120.0, "train": 90.0, "evaluate": 1.5, "total": 211.5}
    machine = {"cpu": "a processor", "cores": 2, "simd": "AVX2"}
    given = {"dataset": dataset, "preset": preset, "variant": variant, "seed": seed}
    options = " ".join(f"--{name} {value}" for name, value in given.items())
    return given | {
        "method": method,
        "command": f"rsir reproduce {method} {options}",
        "commit": "0123456789abcdef",
        "data": {"train": "a", "val": "b", "test": "c"},
        "modules": {},
        "versions": {"python": "3.11.7", "torch": "2.14.0"},
        "hardware": machine | {"memory_gb": 16, "gpu": None},
        "precision": "no",
        "seconds": seconds,
        "peak_memory_gb": 2.5,
        "recalls": recalls_under_every_rule(ranks),
        "val_mR": 20.0,
        "epochs_run": 3,
        "encoders": {"image": asked.image_encoder, "text": asked.text_encoder},
        "config": asked.to_dict(),
        "n_images": ranks.n_images,
        "n_captions": len(ranks.owner),
        "created": "2026-01-02T03:04:05",
    }


def record(root, method, dataset, variant, strength, seed=0, **changes):
    """Write one record below `root`/results; its JSON's path."""
    preset = changes.pop("preset", "cpu")
    ranks = ranks_of_strength(strength, seed, changes.pop("n", N))
    made = facts(method, dataset, variant, seed, ranks, preset) | changes
    return write_record(made, ranks, root / "results")
