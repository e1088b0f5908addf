"""The start on frozen vectors: it aligns, and it leaves no trace."""

import torch
from tiny import (  # noqa: F401
    cache,
    cached,
    folder,
    splits,
    tiny_recipe,
)
from torch import nn

from rsir.evaluation.metrics import evaluate
from rsir.models import build
from rsir.models.recipes import recipe
from rsir.training.batches import Corpus
from rsir.training.trainer import fit_statistics, score_corpus


def started(splits, **changes):  # noqa: F811
    """A model before its first step, and its train corpus."""
    torch.manual_seed(0)
    model = build(
        tiny_recipe(
            "envlf",
            **(
                {
                    "image_size": 64,
                    "text_encoder": "minilm",
                    "text_layers": 1,
                    "width": 16,
                    "heads": 2,
                    "turns": False,
                }
                | changes
            ),
        ),
        splits.train,
    )
    corpus = Corpus(splits.train, model, progress=False)
    fit_statistics(model, corpus)
    return model, corpus


def mean_recall(model, corpus):
    return evaluate(score_corpus(model, corpus), corpus.split.owner, bootstrap=0).mR


def test_the_list_is_there_before_the_first_step(splits, cached):  # noqa: F811
    cold = mean_recall(*started(splits, warm=0))
    warm = mean_recall(*started(splits, warm=20))
    assert warm > cold + 10


def test_the_same_draws_give_the_same_maps(splits, cached):  # noqa: F811
    one, other = (started(splits, warm=2)[0] for _ in range(2))
    assert torch.equal(one.to_image[0].weight, other.to_image[0].weight)
    assert torch.equal(one.to_text[0].weight, other.to_text[0].weight)


def test_nothing_is_left_for_the_next_optimiser(splits, cached):  # noqa: F811
    model, _ = started(splits, warm=1)
    assert all(p.grad is None for p in model.parameters())
    assert model.training


def test_without_the_contrastive_task_it_starts_from_chance(splits, cached):  # noqa: F811
    cold, _ = started(splits, warm=0, contrastive=0.0)
    asked, _ = started(splits, warm=5, contrastive=0.0)
    assert torch.equal(cold.to_image[0].weight, asked.to_image[0].weight)


def test_codes_and_gate_start_warm_too(splits, cached):  # noqa: F811
    torch.manual_seed(0)
    model = build(
        recipe(
            "cfitr",
            "toy",
            image_size=64,
            hidden=64,
            bits=64,
            grid=2,
            vectors=32,
            gate=True,
            warm=20,
        ),
        splits.train,
    )
    gate, head = (
        p.detach().clone()
        for p in (model.gate.gate.weight, model.dshm.head["image"][0].weight)
    )
    corpus = Corpus(splits.train, model, progress=False)
    fit_statistics(model, corpus)
    assert not torch.equal(gate, model.gate.gate.weight)
    assert not torch.equal(head, model.dshm.head["image"][0].weight)
    warm = mean_recall(model, corpus)  # by codes
    nn.init.xavier_uniform_(model.to_first.weight)
    assert warm > mean_recall(model, corpus) + 10
