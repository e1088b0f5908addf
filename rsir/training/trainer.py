"""One training loop for all systems, on Hugging Face Accelerate.

CPU, one GPU, several processes (`accelerate launch`), bf16, gradient
accumulation, early stopping on the validation mR, and checkpoints
from which a killed run goes on to the same result.
Explained in chapter 02.
"""

import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import (
    DataLoaderConfiguration,
    broadcast_object_list,
    set_seed,
)
from torch import Tensor, nn
from torch.utils.data import DataLoader

from rsir.data import Split, Splits
from rsir.evaluation.metrics import evaluate
from rsir.models import build
from rsir.models.base import Retriever
from rsir.models.recipes import Recipe
from rsir.training.batches import Batches, Corpus, Pairs, over_texts
from rsir.training.checkpoints import VOCABULARY, Checkpoints, start_run
from rsir.training.distributed import gather_with_grad, on_cpu
from rsir.utils.errors import RsirError
from rsir.utils.progress import track

IDS = ("image", "caption", "text", "texts_of")


@dataclass
class Run:
    """What training gives.

    Attributes:
        model: with the weights of the best validation epoch.
        recipe: as asked for.
        history: a row per validation: epoch, losses, val recalls.
        val_mR: best validation mR, percent.
        seconds: wall time of "features" and "train".
        precision: "no" (float32) or "bf16".
    """

    model: Retriever
    recipe: Recipe
    history: list[dict] = field(default_factory=list)
    val_mR: float = float("nan")
    seconds: dict[str, float] = field(default_factory=dict)
    precision: str = "no"


class Step(nn.Module):
    """A batch to named losses; the unit that Accelerate wraps."""

    def __init__(
        self, model: Retriever, pairs: Pairs, accelerator: Accelerator
    ) -> None:
        super().__init__()
        self.model = model
        self.pairs = pairs
        self.accelerator = accelerator

    def forward(self, batch) -> dict[str, Tensor]:
        ids = {k: self.accelerator.gather(batch[k]) for k in IDS}
        return self.model.training_losses(
            batch | {"pairs": self.pairs(ids)}, gather_with_grad
        )


def faster_precision() -> str:
    """ "bf16" if a matrix product is faster in it here, else "no"."""
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "no"
    seconds = {}
    for name, dtype in (("no", torch.float32), ("bf16", torch.bfloat16)):
        a = torch.ones(256, 256, dtype=dtype)
        a @ a
        start = time.perf_counter()
        for _ in range(3):
            a @ a
        seconds[name] = time.perf_counter() - start
    return min(seconds, key=seconds.get)


def train(
    recipe: Recipe,
    splits: Splits,
    run_dir: str | Path | None = None,
    *,
    progress: bool = True,
    epochs: int | None = None,
) -> Run:
    """Train one model; select the epoch on validation.

    Args:
        recipe: every number of the run.
        splits: `train` learns, `val` selects, `test` is not read.
        run_dir: checkpoints and the best weights; a killed run in
            the same folder goes on. None: keep nothing.
        progress: print progress.
        epochs: stop after so many (the schedule stays that of the
            recipe), for tests of interruption.

    Returns:
        The run, its model in evaluation mode.

    Raises:
        RsirError: if `run_dir` holds a run of another recipe.
    """
    run_dir = Path(run_dir) if run_dir is not None else None
    precision = _agree_on_precision(recipe, run_dir)
    accelerator = _accelerator(recipe, precision)
    set_seed(recipe.seed)
    # tiny moments of AdamW slow a processor down, and decide nothing
    torch.set_flush_denormal(True)
    start = time.perf_counter()
    model = build(recipe, splits.train)
    model.to(accelerator.device)
    model.image_encoder.requires_grad_(False).eval()
    main = accelerator.is_main_process
    words = getattr(model.text_encoder, "vocabulary", None)
    if words is not None and run_dir is not None and main:
        words.save(run_dir / VOCABULARY)
    with accelerator.main_process_first():
        corpus = Corpus(splits.train, model, progress=progress and main)
        val = Corpus(splits.val, model, progress=progress and main)
    fit_statistics(model, corpus)
    run = Run(model, recipe, precision=precision)
    run.seconds["features"] = time.perf_counter() - start

    batches = Batches(corpus, recipe.seed)
    loader = DataLoader(
        batches,
        batch_size=_joint_batch(recipe, len(batches), accelerator.num_processes),
        drop_last=True,
        collate_fn=lambda batch: batch,
    )
    steps = math.ceil(len(loader) / recipe.accumulate) * recipe.epochs
    optimiser = torch.optim.AdamW(parameter_groups(model, recipe), betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, _rate(recipe, steps))
    step = Step(model, Pairs(corpus, model.wants_similarity), accelerator)
    # the schedule counts steps of the joint batch: not prepared
    step, optimiser, loader = accelerator.prepare(step, optimiser, loader)
    accelerator.register_for_checkpointing(schedule)
    kept = Checkpoints(accelerator, run_dir)
    first = _resume(kept, run)
    if first == 0:
        set_seed(recipe.seed + 1)
    start = time.perf_counter() - run.seconds.get("train", 0.0)
    todo = range(first, min(recipe.epochs, epochs or recipe.epochs))
    for epoch in track(
        _until_stalled(todo, run),
        f"training {recipe.method}, seed {recipe.seed}",
        total=len(todo),
        show=progress and main,
    ):
        batches.draw(epoch)
        means = _epoch(accelerator, step, loader, optimiser, schedule, recipe)
        final = epoch + 1 == recipe.epochs
        if (epoch + 1) % recipe.eval_every == 0 or final:
            _validate(accelerator, run, epoch, means, val, kept)
        run.seconds["train"] = time.perf_counter() - start
        kept.save(
            epoch,
            {
                "history": run.history,
                "val_mR": run.val_mR,
                "seconds": run.seconds,
            },
        )
    kept.load_best(model)
    model.eval()
    return run


def _agree_on_precision(recipe: Recipe, run_dir: Path | None) -> str:
    """The same for all processes, and for all parts of a run."""
    wanted = recipe.precision
    with PartialState(cpu=on_cpu()).main_process_first():
        precision = start_run(
            recipe,
            run_dir,
            faster_precision() if wanted == "auto" else wanted,
        )
    return broadcast_object_list([precision])[0]


def _accelerator(recipe: Recipe, precision: str) -> Accelerator:
    # a process may train twice, in one precision and then in another
    if (
        AcceleratorState._shared_state
        and AcceleratorState().mixed_precision != precision
    ):
        AcceleratorState._reset_state()
    return Accelerator(
        cpu=on_cpu(),
        mixed_precision=precision,
        gradient_accumulation_steps=recipe.accumulate,
        dataloader_config=DataLoaderConfiguration(split_batches=True),
        kwargs_handlers=_ddp_options(),
    )


def _joint_batch(recipe: Recipe, n: int, processes: int) -> int:
    """Images in a batch: not more than `n`, the same per process."""
    size = min(recipe.batch, n)
    return max(processes, size - size % processes)


def _resume(kept: Checkpoints, run: Run) -> int:
    """First epoch to do; history and clock as they were."""
    found = kept.load()
    if found is None:
        return 0
    epoch, notes = found
    run.history, run.val_mR = notes["history"], notes["val_mR"]
    run.seconds = notes["seconds"]
    return epoch


def _has_stalled(run: Run) -> bool:
    """True after `patience` validations without a gain."""
    scores = [row["val_mR"] for row in run.history]
    if not scores:
        return False
    since = len(scores) - 1 - int(np.argmax(scores))
    return since >= run.recipe.patience


def _until_stalled(epochs: range, run: Run):
    for epoch in epochs:
        if _has_stalled(run):
            return
        yield epoch


def _validate(
    accelerator: Accelerator,
    run: Run,
    epoch: int,
    means: dict,
    val: Corpus,
    kept: Checkpoints,
) -> None:
    """Recalls on val; the best weights so far are kept.

    The main process measures for all: if they measured apart, one
    might stop while another waits for it.
    """
    row = None
    if accelerator.is_main_process:
        scores = score_corpus(run.model, val)
        report = evaluate(scores, val.split.owner, bootstrap=0)
        row = {
            "epoch": epoch + 1,
            "val_mR": report.mR,
            "i2t": report.i2t,
            "t2i": report.t2i,
            **means,
        }
    row = broadcast_object_list([row])[0]
    best = max((row["val_mR"] for row in run.history), default=float("-inf"))
    run.history.append(row)
    if row["val_mR"] > best:
        run.val_mR = row["val_mR"]
        kept.keep_best(run.model)


def _ddp_options() -> list:
    from accelerate import DistributedDataParallelKwargs

    # paper-"sim" has a matrix without gradient (chapter 02)
    return [DistributedDataParallelKwargs(find_unused_parameters=True)]


def _epoch(accelerator, step, loader, optimiser, schedule, recipe) -> dict[str, float]:
    """One pass; returns the mean of every loss."""
    step.train()
    accelerator.unwrap_model(step).model.image_encoder.eval()
    totals: dict[str, float] = {}
    for batch in loader:
        with accelerator.accumulate(step):
            with accelerator.autocast():
                terms = step(batch)
            accelerator.backward(sum(terms.values()))
            if accelerator.sync_gradients:
                if recipe.clip:
                    accelerator.clip_grad_norm_(step.parameters(), recipe.clip)
            optimiser.step()
            if accelerator.sync_gradients:
                schedule.step()
            optimiser.zero_grad()
        for name, value in terms.items():
            totals[name] = totals.get(name, 0.0) + float(value.detach())
    return {k: v / len(loader) for k, v in totals.items()}


def fit_statistics(model: Retriever, corpus: Corpus) -> None:
    """Measure means and deviations of frozen features on train."""
    if hasattr(model, "standardise"):
        pooled = np.array(corpus.features["pooled"])
        model.standardise.fit(torch.from_numpy(pooled))
    if hasattr(model, "fit"):  # what else a method wants to know
        model.fit(corpus)


def parameter_groups(model: Retriever, recipe: Recipe) -> list[dict]:
    """Heads, pretrained text encoder, image stages that learn.

    Each has its rate. A model holds such stages as `stages`.
    """
    slow, fast, plain, stages = [], [], [], []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if name.startswith("text_encoder.") and model.text_encoder.pretrained:
            slow.append(parameter)
        elif name.startswith("stages."):
            stages.append(parameter)
        elif parameter.ndim < 2:
            plain.append(parameter)
        else:
            fast.append(parameter)
    decay = recipe.weight_decay
    groups = [
        {"params": slow, "lr": recipe.text_lr, "weight_decay": decay},
        {"params": fast, "lr": recipe.lr, "weight_decay": decay},
        {"params": plain, "lr": recipe.lr, "weight_decay": 0.0},
        {
            "params": stages,
            "lr": getattr(recipe, "image_lr", 0.0),
            "weight_decay": decay,
        },
    ]
    return [group for group in groups if group["params"]]


def _rate(recipe: Recipe, steps: int):
    """Factor on the learning rates at each step."""
    if recipe.schedule == "step":  # x0.7 every 20 epochs, the papers
        per_epoch = max(1, steps // recipe.epochs)
        return lambda s: 0.7 ** (s // per_epoch // 20)
    if recipe.schedule != "cosine":
        raise RsirError(f"schedule {recipe.schedule!r}: 'cosine' or 'step'")
    warm = max(1, round(recipe.warmup * steps))

    def factor(s: int) -> float:
        if s < warm:
            return (s + 1) / warm
        done = (s - warm) / max(1, steps - warm)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    return factor


# -- scores -----------------------------------------------------------


@torch.inference_mode()
def encode_corpus(
    model: Retriever, corpus: Corpus, batch: int = 256, texts: bool = True
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Both sides of a split: `[n_images, ...]`, `[n_texts, ...]`.

    Args:
        model: is put into evaluation mode.
        corpus: the split as the model reads it.
        batch: images at a time.
        texts: False: leave the text side empty.
    """
    model.eval()
    device = next(model.parameters()).device
    n = corpus.split.n_images
    parts = [
        model.encode_images(
            {
                k: v.to(device)
                for k, v in corpus.images(range(i, min(n, i + batch))).items()
            }
        )
        for i in range(0, n, batch)
    ]
    images = {k: torch.cat([p[k] for p in parts]) for k in parts[0]}
    if not texts:
        return images, {}

    def encode(part):
        part = {k: v.to(device) for k, v in part.items()}
        return model.encode_texts(model._text_inputs(part))

    return images, over_texts(corpus.inputs, encode)


@torch.inference_mode()
def score_corpus(model: Retriever, corpus: Corpus) -> np.ndarray:
    """Scores `[n_images, n_captions]`, float32."""
    images, texts = encode_corpus(model, corpus)
    scores = model.score(images, texts).float().cpu().numpy()
    return np.ascontiguousarray(scores[:, corpus.text_id])


def score_split(
    model: Retriever, split: Split, *, progress: bool = False
) -> np.ndarray:
    """Scores `[n_images, n_captions]` of a split, float32."""
    return score_corpus(model, Corpus(split, model, progress=progress))
