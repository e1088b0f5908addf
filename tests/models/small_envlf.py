"""An EnVLF of bundled encoders, small enough for tests, and what it reads.

`python small_envlf.py OUT` writes its gradients, alone or as one of several
processes.
"""

import os
import sys

import torch
import torch.distributed as dist

from rsir.models import build, config
from rsir.training.distributed import gather_with_grad

TEXTS = ["a red roof on green ground", "many planes", "blue water"]
TEXTS += ["a road beside a long white roof", "green ground", "trees"]


def small_model(**changes):
    torch.manual_seed(0)
    small = {"image_size": 64, "dim": 16, "joint_share": 1.0}
    return build(config("envlf", "toy", **(small | changes)))


def images_of():
    """Features of six pictures as the encoder would give them."""
    draw = torch.Generator().manual_seed(2)
    return {
        "f4": torch.randn(6, 320, 2, 2, generator=draw),
        "pooled": torch.randn(6, 1280, generator=draw),
    }


def batch_of(model):
    """Six pairs; the second caption also describes picture 5."""
    positive = torch.eye(6, dtype=torch.bool)
    positive[5, 1] = True
    return {
        "images": images_of(),
        "texts": {"ids": model.text_encoder.tokenize(TEXTS)},
        "pairs": {"positive": positive},
    }


@torch.inference_mode()
def encoded(model, texts=TEXTS, images=None):
    """Both sides, in evaluation mode."""
    ids = model.eval().text_encoder.tokenize(texts)
    texts = model.encode_texts(model.text_features(ids))
    return model.encode_images(images or images_of()), texts


def main(out):
    world, rank = (
        int(os.environ.get(k, d)) for k, d in (("WORLD_SIZE", 1), ("RANK", 0))
    )
    if world > 1:
        dist.init_process_group("gloo")
    model = small_model(dropout=0.0).train()
    for module in model.modules():
        for name in {"p", "dropout_prob"} & vars(module).keys():  # of any dropout
            setattr(module, name, 0.0)
    batch = batch_of(model)
    for side in ("images", "texts"):
        batch[side] = {k: v.chunk(world)[rank] for k, v in batch[side].items()}
    torch.manual_seed(1)
    grads = {}
    for name, value in model.training_losses(batch, gather_with_grad).items():
        model.zero_grad()
        value.backward(retain_graph=True)
        for key, p in model.named_parameters():
            if p.requires_grad:
                grad = torch.zeros_like(p) if p.grad is None else p.grad
                if world > 1:
                    dist.all_reduce(grad)
                grads[f"{name}/{key}"] = grad.clone() / world
    torch.save(grads, f"{out}/{world}-{rank}.pt")
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
