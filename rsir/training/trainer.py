"""One training loop for all systems, on Hugging Face Accelerate.

On a CPU, a GPU or in several processes; with early stopping on the validation
mR, and checkpoints from which a killed run goes on to the same result.
Explained in chapter 02.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from timeit import timeit

import numpy as np
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import DataLoaderConfiguration, broadcast_object_list, set_seed
from torch import Tensor, nn
from torch.utils.data import DataLoader

from rsir.data import Splits
from rsir.encoders.encoded_split import EncodedSplit
from rsir.evaluation.metrics import evaluate
from rsir.models import Config, build
from rsir.models.base import TwoTower, score_encoded
from rsir.training.augment import kept_size
from rsir.training.batches import PairDataset, PositivePairs
from rsir.training.checkpoints import VOCABULARY, Checkpoints, start_run
from rsir.training.distributed import gather_with_grad, on_cpu
from rsir.utils.progress import track

IDS = ("image", "caption", "text", "texts_of")


@dataclass
class Run:
    """What training gives."""

    model: TwoTower  #: with the weights of the best validation epoch
    config: Config  #: as asked for
    #: a row per validation with epoch, losses, val recalls
    history: list[dict] = field(default_factory=list)
    val_mR: float = float("nan")  #: the best validation mR, percent
    #: wall time of "features" and "train"
    seconds: dict[str, float] = field(default_factory=dict)
    precision: str = "no"  #: "no" (float32) or "bf16"

    def stalled(self) -> bool:
        """True after `patience` validations without a gain."""
        scores = [row["val_mR"] for row in self.history]
        since = len(scores) - 1 - int(np.argmax(scores or [0]))
        return since >= self.config.patience


class LossStep(nn.Module):
    """A batch to named losses; the unit that Accelerate wraps."""

    def __init__(self, model: TwoTower, pairs: PositivePairs, accelerator):
        super().__init__()
        self.model, self.pairs, self.accelerator = model, pairs, accelerator

    def forward(self, batch: dict) -> dict[str, Tensor]:
        ids = {k: self.accelerator.gather(batch[k]) for k in IDS}
        batch = batch | {"pairs": self.pairs(ids)}
        return self.model.training_losses(batch, gather_with_grad)


def train(
    config: Config, splits: Splits, run_dir: str | Path | None = None, *, progress=True
) -> Run:
    """Train one model; select the epoch on validation.

    Args:
        config: every number of the run.
        splits: `train` learns, `val` selects, `test` is not read.
        run_dir: for checkpoints and the best weights; a killed run in it goes
            on, one of another config is an RsirError. None: keep nothing.
        progress: print progress.

    Returns:
        The run, its model in evaluation mode.
    """
    run_dir = Path(run_dir) if run_dir is not None else None
    accelerator = _accelerator(config, run_dir)
    main = accelerator.is_main_process
    set_seed(config.seed)
    # tiny moments of AdamW slow a processor down, and decide nothing
    torch.set_flush_denormal(True)
    start = time.perf_counter()
    model = build(config, splits.train).to(accelerator.device)
    words = getattr(model.text_encoder, "vocabulary", None)
    if words is not None and run_dir is not None and main:
        words.save(run_dir / VOCABULARY)
    with accelerator.main_process_first():
        side = kept_size(config.augment, config.image_size)
        show = {"progress": progress and main}
        encoded = model.encode_split(splits.train, kept_size=side, **show)
        val = model.encode_split(splits.val, **show)
    model.fit_statistics(encoded)
    run = Run(model, config, precision=accelerator.mixed_precision)
    run.seconds["features"] = time.perf_counter() - start

    # not more than there are, and the same for each process
    size, each = min(config.batch, splits.train.n_images), accelerator.num_processes
    size = max(each, size - size % each)
    how = config.augment, config.image_size
    dataset = PairDataset(encoded, config.seed, size, *how)
    loader = DataLoader(
        dataset, batch_size=size, drop_last=True, collate_fn=lambda batch: batch
    )
    steps = math.ceil(len(loader) / config.accumulate) * config.epochs
    optimiser = torch.optim.AdamW(parameter_groups(model, config), betas=(0.9, 0.98))
    rate = torch.optim.lr_scheduler.LambdaLR(optimiser, rate_factor(config, steps))
    step = LossStep(model, PositivePairs(encoded, model.wants_similarity), accelerator)
    # the schedule counts steps of the joint batch: not prepared
    step, optimiser, loader = accelerator.prepare(step, optimiser, loader)
    accelerator.register_for_checkpointing(rate)
    kept = Checkpoints(accelerator, run_dir)
    first, notes = kept.load()
    vars(run).update(notes)
    if first == 0:
        set_seed(config.seed + 1)
    start = time.perf_counter() - run.seconds.get("train", 0.0)
    todo = range(first, config.epochs)
    for epoch in track(
        takewhile(lambda _: not run.stalled(), todo),
        f"training {config.method}, seed {config.seed}",
        total=len(todo),
        show=progress and main,
    ):
        dataset.draw(epoch)
        means = _epoch(accelerator, step, loader, optimiser, rate, config)
        if (epoch + 1) % config.eval_every == 0 or epoch + 1 == config.epochs:
            row = {"epoch": epoch + 1} | _validate(accelerator, model, val) | means
            if row["val_mR"] > max((r["val_mR"] for r in run.history), default=-1.0):
                run.val_mR = row["val_mR"]
                kept.keep_best(model)
            run.history.append(row)
        run.seconds["train"] = time.perf_counter() - start
        notes = {k: getattr(run, k) for k in ("history", "val_mR", "seconds")}
        kept.save(epoch, notes)
    kept.load_best(model)
    model.eval()
    return run


def faster_precision() -> str:
    """ "bf16" if a matrix product is faster in it here, else "no"."""
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(False) else "no"  # not emulated
    seconds = {}
    for name, dtype in (("no", torch.float32), ("bf16", torch.bfloat16)):
        a = torch.ones(256, 256, dtype=dtype)
        a @ a
        seconds[name] = timeit(lambda: a @ a, number=3)
    return min(seconds, key=seconds.get)


def _accelerator(config: Config, run_dir: Path | None) -> Accelerator:
    """With one precision for all processes, and for all parts of a run."""
    precision = config.precision
    with PartialState(cpu=on_cpu()).main_process_first():
        if precision == "auto":
            precision = faster_precision()
        precision = start_run(config, run_dir, precision)
    (precision,) = broadcast_object_list([precision])
    # a process may train twice, in one precision and then in another
    shared = AcceleratorState._shared_state
    if shared and AcceleratorState().mixed_precision != precision:
        AcceleratorState._reset_state()
    return Accelerator(
        cpu=on_cpu(),
        mixed_precision=precision,
        gradient_accumulation_steps=config.accumulate,
        dataloader_config=DataLoaderConfiguration(split_batches=True),
        # not every loss reaches every matrix (chapter 02)
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )


def _epoch(accelerator, step, loader, optimiser, rate, config) -> dict[str, float]:
    """One pass; returns the mean of every loss."""
    step.train()
    totals: dict[str, float] = {}
    for batch in loader:
        with accelerator.accumulate(step):
            with accelerator.autocast():
                terms = step(batch)
            accelerator.backward(sum(terms.values()))
            if accelerator.sync_gradients and config.clip:
                accelerator.clip_grad_norm_(step.parameters(), config.clip)
            optimiser.step()
            if accelerator.sync_gradients:
                rate.step()
            optimiser.zero_grad()
        for name, value in terms.items():
            totals[name] = totals.get(name, 0.0) + float(value.detach())
    return {k: v / len(loader) for k, v in totals.items()}


def _validate(accelerator, model: TwoTower, val: EncodedSplit) -> dict:
    """Recalls on val. The main process measures for all: if they measured
    apart, one might stop while another waits for it.
    """
    row = None
    if accelerator.is_main_process:
        found = evaluate(score_encoded(model, val), val.split.owner, bootstrap=0)
        row = {"val_mR": found.mR, "i2t": found.i2t, "t2i": found.t2i}
    return broadcast_object_list([row])[0]


def parameter_groups(model: TwoTower, config: Config) -> list[dict]:
    """What learns, in groups with a rate each; vectors do not decay.

    Pretrained image stages (`stages`, or the image encoder itself) take
    `image_lr`, a pretrained text encoder `text_lr`, all else `lr`.
    """
    decay = config.weight_decay
    groups = {
        "text": {"params": [], "lr": config.text_lr, "weight_decay": decay},
        "new": {"params": [], "lr": config.lr, "weight_decay": decay},
        "plain": {"params": [], "lr": config.lr, "weight_decay": 0.0},
        "image": {"params": [], "lr": config.image_lr, "weight_decay": decay},
    }
    for name, parameter in model.named_parameters():
        kind = "plain" if parameter.ndim < 2 else "new"
        if name.startswith("text_encoder.") and model.text_encoder.pretrained:
            kind = "text"
        elif name.startswith(("stages.", "image_encoder.")):
            kind = "image"
        if parameter.requires_grad:
            groups[kind]["params"].append(parameter)
    return [group for group in groups.values() if group["params"]]


def rate_factor(config: Config, steps: int) -> Callable[[int], float]:
    """Factor on the learning rates at each of `steps` steps."""
    if config.schedule == "step":  # x0.7 every 20 epochs, the papers
        per_epoch = max(1, steps // config.epochs)
        return lambda s: 0.7 ** (s // per_epoch // 20)
    warm = max(1, round(config.warmup * steps))

    def factor(s: int) -> float:
        if s < warm:
            return (s + 1) / warm
        done = min(1.0, (s - warm) / max(1, steps - warm))
        if config.schedule == "linear":
            return 1 - done
        return 0.5 * (1 + math.cos(math.pi * done))

    return factor
