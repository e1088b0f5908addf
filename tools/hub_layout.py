"""Random weights of the papers' encoders, in a folder laid out as the hubs'.

With them the presets `paper` run without network (`tools/paper.py`), for tests
and for counting operations. What is learned from them means nothing.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

BERT = "google-bert/bert-base-uncased"
VILT = "dandelin/vilt-b32-mlm"
VIT = "timm/vit_base_patch16_224.augreg2_in21k_ft_in1k"
SKIP_THOUGHTS = {"W": (620, 4800), "U": (2400, 4800), "b": 4800} | {
    "Wx": (620, 2400), "Ux": (2400, 2400), "bx": 2400
}  # fmt: skip


def write(home: Path, words: list[str], **sizes) -> None:
    """Fill `home/huggingface`, `home/torch` and `home/cache`.

    Args:
        words: those that BERT, ViLT and the skip-thoughts know.
        sizes: of BERT and ViLT, where not the papers'.
    """
    import timm
    from safetensors.torch import save_file
    from torchvision.models import resnet18
    from transformers import BertConfig, BertModel, ViltConfig, ViltModel

    torch.manual_seed(0)
    for name, model in {
        BERT: BertModel(BertConfig(**sizes)),
        VILT: ViltModel(ViltConfig(**sizes)),
    }.items():
        _tokenizer(_in_hub(home, name, model.save_pretrained), words)
    vit = timm.create_model("vit_base_patch16_224").state_dict()
    _in_hub(home, VIT, lambda place: save_file(vit, place / "model.safetensors"))
    weights = home / "torch" / "hub" / "checkpoints"
    weights.mkdir(parents=True)
    torch.save(resnet18().state_dict(), weights / "resnet18-f37072fd.pth")

    files = home / "cache" / "skip-thoughts"
    files.mkdir(parents=True)
    (files / "dictionary.txt").write_text("\n".join(words) + "\n")
    draw = np.random.default_rng(0)
    table = draw.normal(size=(len(words), 620)).astype(np.float32)
    np.save(files / "utable.npy", table)
    arrays = {
        f"encoder_{k}": (draw.normal(size=s) / 50).astype(np.float32)
        for k, s in SKIP_THOUGHTS.items()
    }
    np.savez(files / "uni_skip.npz", **arrays)


def _in_hub(home: Path, name: str, save: Callable[[Path], object]) -> Path:
    """A model, written by `save`, in the layout of the hub's cache: its folder."""
    commit = "0" * 40
    place = home / "huggingface" / "hub" / f"models--{name.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(commit)
    place = place / "snapshots" / commit
    place.mkdir(parents=True)
    save(place)
    return place


def _tokenizer(place: Path, words: list[str]) -> None:
    from transformers import BertTokenizerFast

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (place / "vocab.txt").write_text("\n".join(pieces))
    BertTokenizerFast(str(place / "vocab.txt")).save_pretrained(place)
