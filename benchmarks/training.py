"""What each choice of frozen stages and tasks costs EnVLF in time.

    python benchmarks/training.py
    python benchmarks/training.py --size 128 --steps 3

One training step (forward, backward, optimiser) on drawn features,
for several choices, in one run, in processor time: compare the
ratios. "whole backbone" reads pictures and trains every stage: what
keeping features on disk saves. bf16 pays where the processor has it;
elsewhere it is emulated, and slow: it is measured only when asked
for (--only "f3, bf16").
"""

import argparse
import time

import torch

from rsir.encoders.image import Stages
from rsir.models import build
from rsir.models.recipes import recipe
from rsir.training.trainer import parameter_groups

#: name -> changes of the recipe; the first is what ratios refer to
CHOICES = {
    "frozen, heads only": {
        "start": "f4", "stages_trained": False, "text_layers": 1,
        "mlm": 0.0, "matching": 0.0, "text_lr": 0.0},
    "+ text, last block": {
        "start": "f4", "stages_trained": False, "text_layers": 1,
        "mlm": 0.0, "matching": 0.0},
    "+ text, two blocks": {
        "start": "f4", "stages_trained": False, "text_layers": 2,
        "mlm": 0.0, "matching": 0.0},
    "+ stages from f4": {
        "start": "f4", "text_layers": 2, "mlm": 0.0, "matching": 0.0},
    "stages from f3": {
        "text_layers": 2, "mlm": 0.0, "matching": 0.0},
    "f3 + matching": {"text_layers": 2, "mlm": 0.0},
    "f3 + matching + words": {"text_layers": 2},
    "f4 + matching + words": {"start": "f4", "text_layers": 2},
    "f3, bf16": {"text_layers": 2, "precision": "bf16"},
    "whole backbone": {"text_layers": 2, "whole": True},
}  # fmt: skip
WORDS = 14  # word pieces of a usual caption


def step_of(changes: dict, size: int, batch: int):
    """A function that does one step of a choice, and its images."""
    changes = dict(changes)
    whole = changes.pop("whole", False)
    asked = recipe("envlf", "cpu", image_size=size, views=(0,), batch=batch, **changes)
    torch.manual_seed(0)
    model = build(asked)
    model.image_encoder.requires_grad_(False).eval()
    encoder = model.image_encoder
    level = int(asked.start[1]) - 1
    maps = torch.randn(batch, *encoder.map_sizes()[level])
    if whole:
        net = encoder.net
        parts = [net.conv_stem, net.bn1, *net.blocks, net.conv_head, net.bn2]
        model.stages = Stages(parts, model.stages.dim, model.stages.grid)
        model.stages.requires_grad_(True)
        maps = torch.randn(batch, 3, size, size)
    ids = torch.randint(1000, 20000, (batch, WORDS))
    ids[:, 0], ids[:, -1] = 101, 102
    texts = {"ids": ids, "stem": model.text_encoder.stem(ids)}
    data = {
        "images": {asked.start: maps, "pooled": torch.randn(batch, encoder.dim)},
        "texts": texts,
        "pairs": {"positive": torch.eye(batch, dtype=torch.bool)},
    }
    if not asked.text_lr:
        model.text_encoder.requires_grad_(False)
    optimiser = torch.optim.AdamW(parameter_groups(model, asked))
    model.train()
    half = asked.precision == "bf16"

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            terms = model.training_losses(data, lambda x: x)
        sum(terms.values()).backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def measure(names, size: int, batch: int, steps: int) -> dict[str, float]:
    """Images per processor second, the best of some steps.

    Not wall time: ratios then hold on a busy machine, too.
    """
    found = {}
    for name in names:
        step = step_of(CHOICES[name], size, batch)
        step()
        seconds = []
        for _ in range(steps):
            start = time.process_time()
            step()
            seconds.append(time.process_time() - start)
        found[name] = batch / min(seconds)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument(
        "--only",
        nargs="*",
        choices=list(CHOICES),
        metavar="CHOICE",
        default=[c for c in CHOICES if "bf16" not in c],
    )
    asked = parser.parse_args()
    torch.set_flush_denormal(True)
    found = measure(asked.only, asked.size, asked.batch, asked.steps)
    first = next(iter(found.values()))
    print(f"size {asked.size}, batch {asked.batch}, {torch.get_num_threads()} threads")
    print(f"{'choice':<24}{'img/cpu s':>10}{'time':>8}")
    for name, speed in found.items():
        print(f"{name:<24}{speed:>10.1f}{first / speed:>7.1f}x")


if __name__ == "__main__":
    main()
