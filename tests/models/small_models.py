"""Models of bundled encoders, small enough for tests, and what they read.

`python small_models.py OUT` writes the gradients of an EnVLF, alone or as one of
several processes.
"""

import os
import sys

import torch
import torch.distributed as dist

from rsir.models import build, config
from rsir.training.distributed import gather_with_grad

TEXTS = ["a red roof on green ground", "many planes", "blue water"]
TEXTS += ["a road beside a long white roof", "green ground", "trees"]


SMALL = {
    "dual": {"dim": 16, "hidden": 32},
    "envlf": {"dim": 16, "joint_share": 1.0},
    "cfitr": {"bits": 16, "hidden": 24, "dropout": 0.0, "grid": 0, "joint_share": 1.0}
    | {"false_texts": 3, "hard_texts": 1},
}


def small_config(method, **changes):
    return config(method, "toy", image_size=64, **(SMALL[method] | changes))


def small_model(method, **changes):
    torch.manual_seed(0)
    return build(small_config(method, **changes))


def images_of():
    """Features of six pictures as the encoder would give them."""
    draw = torch.Generator().manual_seed(2)
    shapes = {"f3": (112, 4, 4), "f4": (320, 2, 2), "pooled": (1280,)}
    return {k: torch.randn(6, *shape, generator=draw) for k, shape in shapes.items()}


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
    model = small_model("envlf", dropout=0.0).train()
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
