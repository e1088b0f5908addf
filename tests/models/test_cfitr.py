"""CFITR: layers against slow forms of themselves, scores, losses, slips."""

import pytest
import torch
import torch.nn.functional as F
from small_models import batch_of, encoded, images_of, small_config, small_model
from torch import nn
from transformers import ViltConfig, ViltModel

from rsir.encoders.image import ImageEncoder
from rsir.encoders.text import SentenceEncoder
from rsir.models import cfitr
from rsir.models.cfitr import CFITR, DSHM, LFEM, code_of, through
from rsir.utils.errors import RsirError

DIM = 16
PAIRS = torch.cartesian_prod(torch.arange(6), torch.arange(6))
EYE = torch.eye(6, dtype=torch.bool)


def small(**changes):
    return small_model("cfitr", **changes)


def losses(model):
    return model.train().training_losses(batch_of(model), lambda x: x)


def dshm(**changes):
    torch.manual_seed(0)
    return DSHM(DIM, (9, 9), small_config("cfitr", **changes))


def test_lfem_has_the_released_names_and_keeps_the_shape():
    released = {}
    for at, out, into, side in (0, 384, 768, 3), (3, 384, 384, 5), (6, 768, 384, 3):
        released[f"net.{at}.weight"] = (out, into, side, side)
        released |= {f"net.{at}.bias": (out,), f"net.{at + 1}.num_batches_tracked": ()}
        for name in ("weight", "bias", "running_mean", "running_var"):
            released[f"net.{at + 1}.{name}"] = (out,)
    block = LFEM(768)
    assert {k: tuple(v.shape) for k, v in block.state_dict().items()} == released
    assert block(torch.randn(2, 144, 768)).shape == (2, 144, 768)
    with pytest.raises(RsirError, match="145 tokens"):
        block(torch.randn(2, 145, 768))


def test_hash_losses_are_the_released_sums_over_eight_pictures():
    net = dshm(quantise=0.001, balance=0.01)
    h_i, h_t = torch.rand(8, 16) * 2 - 1, torch.rand(8, 16) * 2 - 1
    b = (h_i + h_t).sign()
    quant = ((b - h_i) ** 2).sum() + ((b - h_t) ** 2).sum()
    bal = (h_i.sum(1) ** 2).sum() + (h_t.sum(1) ** 2).sum()
    found = net.losses(h_i, h_t)
    assert torch.isclose(found["quantise"], 0.001 * quant)
    assert torch.isclose(found["balance"], 0.01 * bal)


def test_the_released_table_turns_to_zero_after_the_first_epoch():
    net = dshm(released_bugs=("table",), quantise=0.001)
    net.epoch.fill_(20)  # pictures of an epoch; batches of 8: two
    h = torch.rand(8, 16) * 2 - 1
    first = [net.table(h, h) for _ in range(2)]
    assert all((b.abs() == 1).all() for b in first)
    assert not torch.equal(*first)  # chance, not the codes
    assert (net.table(h, h) == 0).all()
    # then the loss draws h to zero, away from any code
    assert torch.isclose(net.losses(h, h)["quantise"], 0.001 * 2 * (h**2).sum())


def test_pooling_leaves_padding_out_and_places_need_an_order():
    tokens, mask = torch.randn(3, 9, DIM), torch.ones(3, 9).bool()
    mean, place = dshm().eval(), dshm(pool="position").eval()
    padded, other = mask.clone(), tokens.clone()
    padded[:, 5:], other[:, 5:] = False, 7.0
    assert torch.allclose(mean(tokens, padded, "text"), mean(other, padded, "text"))
    for net, same in ((mean, True), (place, False)):
        a, b = (net(x, mask, "image") for x in (tokens, tokens.flip(1)))
        assert torch.allclose(a, b, atol=1e-5) == same
    weight, bias = place.over["image"].weight[0], place.over["image"].bias
    z = torch.tanh((tokens * weight[:, None]).sum(1) + bias)
    torch.testing.assert_close(place.head["image"](z), place(tokens, mask, "image"))


class SmallText(SentenceEncoder):
    name, max_length, dim, layers_trained = "small", 9, DIM, None

    def __init__(self, model):
        nn.Module.__init__(self)
        self.model = model


class SmallPatches(ImageEncoder):
    name, channels, dim = "small", (DIM,) * 4, DIM


def test_vilt_lends_its_lower_blocks_and_gives_its_upper_ones():
    sizes = {"num_hidden_layers": 4, "num_attention_heads": 2, "vocab_size": 50}
    sizes |= {"hidden_size": DIM, "intermediate_size": 32, "max_position_embeddings": 8}
    vilt = ViltModel(ViltConfig(image_size=64, patch_size=32, **sizes), False).eval()
    settings = small_config("cfitr", pool="position", image_blocks=2)
    model = CFITR(SmallPatches(64), SmallText(vilt), settings).eval()
    assert len(vilt.encoder.layer) == len(model.ssm.blocks) == 2
    assert model.text_encoder.max_length == 8  # as many places as there are
    ids = torch.tensor([[1, 5, 6, 2], [1, 7, 2, 0]])
    with torch.inference_mode():  # a sentence alone, by ViLT's own code
        texts = model.encode_texts(model.text_features(ids))
        x = vilt.embeddings.text_embeddings(torch.tensor([[1, 7, 2]]))
        x = x + vilt.embeddings.token_type_embeddings.weight[0]
        x = through(vilt.encoder.layer, x)
    assert texts["text_tokens"].shape == (2, 4, DIM)
    assert torch.allclose(texts["text_tokens"][1, :3], x[0], atol=1e-5)
    images = {"f1": torch.randn(2, DIM, 2, 2)}
    batch = {
        "images": images,
        "texts": {"ids": ids},
        "pairs": {"positive": EYE[:2, :2]},
    }
    assert set(model.train().training_losses(batch, lambda x: x)) >= {"ssm"}


def test_coarse_scores_are_minus_the_bits_that_differ():
    assert code_of(torch.tensor([0.0, -0.5, 0.5])).tolist() == [-1, -1, 1]  # no zeros
    model = small()
    images, texts = encoded(model)
    far = (images["code"][:, None] != texts["code"][None]).sum(-1)
    assert torch.equal(model.score(images, texts), -far.float())
    cosine = F.cosine_similarity(images["h"][:, None], texts["h"][None], dim=-1)
    for found in (
        model.score(images, texts, "float"),
        small(coarse="float").score(images, texts),
    ):
        assert torch.allclose(found, cosine, atol=1e-6)


def test_every_part_that_should_learn_gets_a_gradient():
    model = small(grid=1)
    terms = losses(model)
    assert set(terms) == {"triplet", "quantise", "balance", "ssm"}
    sum(terms.values()).backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    assert model.ssm.blocks[0].output.dense.weight.grad.abs().sum() > 0
    alone = small(ssm=False, rerank_top=0)
    assert "ssm" not in losses(alone)
    with pytest.raises(RsirError, match="no fine stage"):
        alone.score_pairs({}, {}, PAIRS)


def test_the_loss_of_the_ssm_is_a_choice_among_all_texts():
    model = small(false_texts=15, hard_texts=5)
    images, texts = encoded(model)
    with torch.inference_mode():
        f = model.score_pairs(images, texts, PAIRS).view(6, 6)
        found = model.ssm_loss(images, texts, EYE)
    # six pairs: all five others are false
    assert torch.isclose(found, -f.log_softmax(1).diagonal().mean(), atol=1e-5)


@pytest.mark.parametrize("bugs, barred", [((), True), (("false",), False)])
def test_own_captions_are_no_false_texts_unless_as_released(monkeypatch, bugs, barred):
    drawn, real = [], cfitr.hard_negatives

    def spy(scores, positive, n, temperature):
        drawn.append(bool(positive[5, 1]))  # the same sentence
        return real(scores, positive, n, temperature)

    monkeypatch.setattr(cfitr, "hard_negatives", spy)
    losses(small(released_bugs=bugs))
    assert drawn == [barred, barred]


def test_slips_are_switched_one_by_one():
    x = images_of()
    with torch.no_grad():
        whole, bare = (small(released_bugs=b).eval() for b in ((), ("lfem",)))
        assert not torch.allclose(whole.picture(x), bare.picture(x))
        whole.lfem = nn.Identity()
        assert torch.equal(whole.picture(x), bare.picture(x))
    for bugs, same in (((), True), (("patches",), False)):
        model = small(pool="position", released_bugs=bugs)
        a, b = (encoded(model)[0]["h"] for _ in range(2))
        assert torch.equal(a, b) == same


@pytest.mark.parametrize(
    "options, says",
    [
        ({"coarse": "bits"}, "coarse is 'bits'; choose one of hash, float"),
        ({"bits": 12}, "bits is 12: .* a multiple of 8"),
        ({"hard_texts": 9}, "hard_texts is 9: 0 to false_texts, which is 3"),
        ({"image_blocks": 7}, "image_blocks is 7: .* has 6 blocks"),
        ({"released_bugs": ("x",)}, "'x'; choose one of table, lfem, patches, false"),
    ],
)
def test_wrong_options_are_user_errors(options, says):
    with pytest.raises(RsirError, match=says):
        small(**options)
