"""EnVLF: its parts, its tasks, two processes."""

import pytest
import small_models
import torch
from alone import TWO, alone
from small_models import TEXTS, batch_of, encoded, small_model

from rsir.models.envlf import CrossBlock, hidden_words
from rsir.utils.errors import RsirError


@pytest.fixture(scope="module")
def model():
    return small_model("envlf").eval()


def test_a_cross_block_is_its_formula(model):
    torch.manual_seed(0)
    block = CrossBlock(model.text_encoder.model.encoder.layer[0], 384, 2, 0.0).eval()
    words, tokens = torch.randn(1, 3, 384), torch.randn(1, 5, 384)
    with torch.no_grad():
        x = block.block.attention(words, None)[0]
        weights = block.cross.in_proj_weight.chunk(3), block.cross.in_proj_bias.chunk(3)
        q, k, v = (
            (y @ w.T + b).chunk(2, -1)  # two heads
            for y, w, b in zip((x, tokens, tokens), *weights, strict=True)
        )
        looks = [(a @ b.mT / 192**0.5).softmax(-1) for a, b in zip(q, k)]
        mixed = [a @ b for a, b in zip(looks, v)]
        x = block.norm(x + block.cross.out_proj(torch.cat(mixed, -1)))
        x = block.block.feed_forward_chunk(x)
        found, weights = block(words, torch.ones(1, 3).bool(), tokens, weights=True)
    torch.testing.assert_close(found, x, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(weights, sum(looks) / 2)


def test_match_scores_do_not_depend_on_the_company(model):
    images, texts = encoded(model)
    pairs = torch.tensor([[3, 1], [0, 3], [3, 3]])
    with torch.no_grad():
        together = model.score_pairs(images, texts, pairs)
        alone = model.score_pairs(
            {k: v[3:4] for k, v in images.items()},
            encoded(model, TEXTS[1:2])[1],
            torch.tensor([[0, 0]]),
        )
    torch.testing.assert_close(together[:1], alone, atol=1e-4, rtol=0)
    assert together.std() > 1e-3


def test_every_task_teaches_every_encoder_that_it_reads():
    model = small_model("envlf")
    terms = model.training_losses(batch_of(model), lambda x: x)
    reached = {}
    for name, loss in terms.items():
        model.zero_grad()
        loss.backward(retain_graph=True)
        reached[name] = {
            key.split(".")[0]
            for key, p in model.named_parameters()
            if p.grad is not None and p.grad.abs().sum() > 0
        }
    vision = {"stages", "to_tokens", "places", "blocks", "norm"}
    both = vision | {"text_encoder", "joint"}
    assert reached == {
        "contrastive": vision | {"text_encoder", "to_image", "to_text"},
        "matching": both | {"match"},
        "masked_words": both | {"to_vocabulary", "word_bias"},
    }


def test_matching_is_cross_entropy_over_own_and_hard_pairs(model, monkeypatch):
    images, texts = encoded(model)
    positive = torch.eye(6).bool()
    positive[:, 5] = True  # fits every picture: no wrong picture for text 5
    asked = []

    def spy(images, texts, pairs):
        asked.append(pairs)
        return torch.linspace(-1, 1, len(pairs))

    monkeypatch.setattr(model, "score_pairs", spy)
    scores = model.score(images, texts)
    loss = model.matching_loss(images | texts, scores, positive, torch.arange(6))
    pairs = asked[0]
    assert pairs[:6].tolist() == [[i, i] for i in range(6)]
    assert not positive[tuple(pairs[6:].T)].any()
    assert len(pairs) == 6 + 6 + 5
    p = torch.linspace(-1, 1, 17).sigmoid()
    by_hand = -(p[:6].log().sum() + (1 - p[6:]).log().sum()) / 18
    torch.testing.assert_close(loss, by_hand)


def test_hidden_words_are_words_and_one_at_least():
    ids = torch.tensor([[101, 7, 8, 9, 102], [101, 7, 102, 0, 0]])
    for share in (0.0, 0.5, 1.0):
        hidden = hidden_words(ids, torch.rand(2, 5), [0, 101, 102], share)
        assert not hidden[torch.isin(ids, torch.tensor([0, 101, 102]))].any()
        assert (hidden.sum(1) >= 1).all()
    assert hidden.sum() == 4


def test_it_learns_six_pairs():
    model, found = small_model("envlf"), []
    batch = batch_of(model)
    batch["pairs"]["positive"] = torch.eye(6).bool()
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3)
    for _ in range(60):
        found.append(model.training_losses(batch, lambda x: x))
        optimiser.zero_grad()
        sum(found[-1].values()).backward()
        optimiser.step()
    # the wrong pairs of "matching" are always the hardest ones
    for name, share in (("contrastive", 0.1), ("masked_words", 0.3), ("matching", 0.8)):
        assert sum(x[name] for x in found[-10:]) / 10 < share * found[0][name], name


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"tasks": ("matching",)}, "lack 'contrastive'"),
        ({"tasks": ("contrastive", "itm")}, "'itm'; choose one of contrastive, "),
        ({"text_layers": 0}, "set text_layers=1"),
        ({"start": "pooled"}, "start"),
    ],
)
def test_wrong_options_are_user_errors(changes, says):
    with pytest.raises(RsirError, match=says):
        small_model("envlf", **changes)


def test_two_processes_have_the_gradients_of_one(tmp_path):
    small_models.main(tmp_path)
    alone(*TWO, small_models.__file__, tmp_path)
    one, *two = (torch.load(tmp_path / f"{name}.pt") for name in ("1-0", "2-0", "2-1"))
    for found in two:
        assert found.keys() == one.keys()
        for key, grad in one.items():
            scale = grad.abs().max().clamp(min=1e-3)
            assert (found[key] - grad).abs().max() < 1e-3 * scale, key
