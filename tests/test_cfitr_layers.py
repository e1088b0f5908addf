"""CFITR's layers against slow forms of themselves, and their slips."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from small_cfitr import DIM, IDS, SmallBert, encoded, small, vilt
from torch import nn

from rsir.models.cfitr import LFEM, SSM, Block, Sentences, ViLT
from rsir.models.dual import DSHM, code_of
from rsir.utils.errors import RsirError

RELEASED_LFEM = {
    "net.0.weight": (384, 768, 3, 3), "net.0.bias": (384,),
    "net.1.weight": (384,), "net.1.bias": (384,),
    "net.1.running_mean": (384,), "net.1.running_var": (384,),
    "net.1.num_batches_tracked": (),
    "net.3.weight": (384, 384, 5, 5), "net.3.bias": (384,),
    "net.4.weight": (384,), "net.4.bias": (384,),
    "net.4.running_mean": (384,), "net.4.running_var": (384,),
    "net.4.num_batches_tracked": (),
    "net.6.weight": (768, 384, 3, 3), "net.6.bias": (768,),
    "net.7.weight": (768,), "net.7.bias": (768,),
    "net.7.running_mean": (768,), "net.7.running_var": (768,),
    "net.7.num_batches_tracked": (),
}  # fmt: skip


# -- LFEM -------------------------------------------------------------


def test_lfem_has_the_released_names_and_keeps_the_shape():
    block = LFEM(768)
    own = {k: tuple(v.shape) for k, v in block.state_dict().items()}
    assert own == RELEASED_LFEM
    assert block(torch.randn(2, 144, 768)).shape == (2, 144, 768)


def test_lfem_is_local_and_adds_to_what_is_there():
    block = LFEM(8).eval()
    x = torch.randn(1, 144, 8)
    nn.init.zeros_(block.net[7].weight)
    nn.init.zeros_(block.net[7].bias)
    assert torch.equal(block(x), F.relu(x))
    nn.init.ones_(block.net[7].weight)
    far = x.clone()
    far[0, 143] += 9.0  # the opposite corner: out of reach
    near = x.clone()
    near[0, 13] += 9.0
    assert torch.equal(block(x)[0, 0], block(far)[0, 0])
    assert not torch.equal(block(x)[0, 0], block(near)[0, 0])


def test_released_lfem_does_nothing_and_odd_grids_are_refused():
    x = torch.randn(2, 9, 8)
    assert torch.equal(LFEM(8, "released")(x), x)
    with pytest.raises(RsirError, match="no square grid"):
        LFEM(8)(x[:, :8])
    with pytest.raises(RsirError, match="variant is 'new'"):
        LFEM(8, "new")


# -- DSHM -------------------------------------------------------------


def test_hash_losses_are_the_released_sums_over_eight_pictures():
    dshm = DSHM(DIM, 16, 24)
    h_i, h_t = torch.rand(8, 16) * 2 - 1, torch.rand(8, 16) * 2 - 1
    b = (h_i + h_t).sign()
    quant = ((b - h_i) ** 2).sum() + ((b - h_t) ** 2).sum()
    bal = (h_i.sum(1) ** 2).sum() + (h_t.sum(1) ** 2).sum()
    found = dshm.losses(h_i, h_t)
    assert torch.isclose(found["quantise"], 0.001 * quant)
    assert torch.isclose(found["balance"], 0.01 * bal)
    again = dshm.losses(h_i.repeat(2, 1), h_t.repeat(2, 1))["balance"]
    assert torch.isclose(again, found["balance"])


def test_the_released_table_turns_to_zero_after_the_first_epoch():
    dshm = DSHM(DIM, 16, 24, variant="released")
    dshm.epoch.fill_(20)  # pictures of an epoch; batches of 8: two
    h = torch.rand(8, 16) * 2 - 1
    first = [dshm.table(h, h) for _ in range(2)]
    assert all((b.abs() == 1).all() for b in first)
    assert not torch.equal(*first)  # chance, not the codes
    assert (dshm.table(h, h) == 0).all()
    # then the loss draws h to zero, away from any code
    found = dshm.losses(h, h)["quantise"]
    assert torch.isclose(found, 0.001 * 2 * (h**2).sum())


def test_quantisation_draws_to_signs_or_as_released_to_nothing():
    for variant, end in (("paper", 1.0), ("released", 0.0)):
        dshm = DSHM(DIM, 16, 24, variant=variant)
        h = nn.Parameter(torch.full((4, 16), 0.4))
        optimiser = torch.optim.SGD([h], lr=3.0)
        for _ in range(200):
            optimiser.zero_grad()
            dshm.losses(h, h)["quantise"].backward()
            optimiser.step()
        assert torch.allclose(h, torch.full_like(h, end), atol=0.05)


def test_straight_through_compares_signs_with_the_gradient_of_h():
    torch.manual_seed(0)
    soft, straight = (DSHM(DIM, 16, 24, straight=on) for on in (False, True))
    h_i, h_t = (torch.rand(3, 16, requires_grad=True) * 2 - 1 for _ in range(2))
    signs = code_of(h_i), code_of(h_t)
    near = straight.compared(h_i, h_t)
    assert torch.allclose(near, signs[0] @ signs[1].T / 16, atol=1e-6)
    assert torch.allclose(
        soft.compared(h_i, h_t),
        F.cosine_similarity(h_i[:, None], h_t[None], dim=-1),
        atol=1e-6,
    )
    (got,) = torch.autograd.grad(near[0, 0], h_i)
    one = signs[0].detach().requires_grad_()  # as if signs could move
    (want,) = torch.autograd.grad(soft.compared(one, signs[1])[0, 0], one)
    assert torch.allclose(got, want, atol=1e-6) and got.abs().sum() > 0


def test_dropout_falls_on_the_side_that_has_it():
    torch.manual_seed(0)
    tokens, mask = torch.randn(3, 9, DIM), torch.ones(3, 9).bool()
    for side, options in (("image", {"dropout": 0.5}), ("text", {"text_dropout": 0.5})):
        dshm = DSHM(DIM, 16, 24, **options)
        for head in dshm.head.values():
            head.eval()
        for other in ("image", "text"):
            where = None if other == "image" else mask
            a, b = (dshm(tokens, where, other) for _ in range(2))
            assert torch.equal(a, b) == (other != side)


def test_pooling_leaves_padding_out_and_places_need_an_order():
    mean = DSHM(DIM, 16, 24).eval()
    nn.init.ones_(mean.cells)
    tokens, mask = torch.randn(3, 9, DIM), torch.ones(3, 9).bool()
    mask[:, 5:] = False
    other = tokens.clone()
    other[:, 5:] = 7.0
    assert torch.allclose(mean(tokens, mask, "text"), mean(other, mask, "text"))
    shuffled = torch.cat([tokens[:, :1], tokens[:, 1:].flip(1)], 1)
    assert torch.allclose(
        mean(tokens, None, "image"), mean(shuffled, None, "image"), atol=1e-6
    )
    place = DSHM(DIM, 16, 24, pool="position", places=(9, 9)).eval()
    assert not torch.allclose(
        place(tokens, None, "image"), place(shuffled, None, "image"), atol=1e-3
    )


def test_a_code_has_no_zeros():
    assert code_of(torch.tensor([[0.0, -0.5, 0.5]])).tolist() == [[-1.0, -1.0, 1.0]]
    for bits in (12, 0):
        with pytest.raises(RsirError, match="multiple of 8"):
            DSHM(DIM, bits)


# -- the shared transformer -------------------------------------------


def test_blocks_copy_bert_and_vilt():
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    hide = torch.zeros(2, 5).masked_fill(~mask, -1e9)[:, None, None]
    for model in (SmallBert().model.eval(), vilt()):
        layer = model.encoder.layer[1]
        block = Block.copy_of(layer, model.config).eval()
        x = torch.randn(2, 5, DIM)
        with torch.inference_mode():
            want = layer(x, hide)
            want = want[0] if isinstance(want, tuple) else want
            got = block(x, mask)
            first = block(x, mask, first=True)
        assert torch.allclose(got[mask], want[mask], atol=1e-5)
        assert torch.allclose(first, got[:, :1], atol=1e-6)


def test_a_memory_is_read_like_tokens_that_stand_beside():
    block = Block(DIM, 2, 32, before=True).eval()
    x, y = torch.randn(2, 4, DIM), torch.randn(2, 7, DIM)
    apart = block(x, None, block.memory(y))
    beside = block(torch.cat([x, y], 1))[:, :4]
    assert torch.allclose(apart, beside, atol=1e-6)


def test_picture_and_sentence_pass_the_same_weights():
    model = small(image_blocks=2)
    last = model.text_encoder.model.encoder.layer[-2:]
    for own, theirs in zip(model.shared.blocks, last):
        assert own is theirs
    before = encoded(model)
    with torch.no_grad():
        last[0].output.dense.weight.mul_(1.5)
    after = encoded(model)
    assert not torch.allclose(before[0]["h"], after[0]["h"])
    assert not torch.allclose(before[1]["h"], after[1]["h"])


def test_vilt_lends_its_lower_blocks_and_gives_its_upper_ones():
    whole = vilt()
    encoder = SimpleNamespace(model=whole, dim=DIM, name="vilt")
    shared = ViLT(encoder, 2)
    upper = shared.upper(encoder, 2)
    assert len(upper) == 2 and len(whole.encoder.layer) == 2
    assert encoder.max_length == 12  # as many places as it knows
    tokens = shared.places(encoder, torch.randn(3, 4, DIM))
    assert shared.apart(tokens).shape == (3, 5, DIM)
    words, mask = shared.words(encoder, IDS, None)
    assert words.shape == (6, 6, DIM) and mask.sum() == 25
    with pytest.raises(RsirError, match="no blocks to share"):
        Sentences(SimpleNamespace(name="gru"), 1)


def test_the_joint_half_reads_words_and_picture():
    blocks = [Block(DIM, 2, 32, before=False) for _ in range(2)]
    for rewrite in (True, False):
        ssm = SSM(blocks, rewrite).eval()
        nn.init.normal_(ssm.rank.weight)
        words, mask = torch.randn(2, 4, DIM), torch.ones(2, 4).bool()
        mask[:, 3:] = False
        picture = torch.randn(2, 5, DIM)

        def verdict(words, picture):
            seen = picture if rewrite else ssm.memory(picture)
            return ssm(words, mask, seen)

        base = verdict(words, picture)
        other = words.clone()
        other[:, 3:] = 5.0  # padding
        assert torch.allclose(verdict(other, picture), base, atol=1e-5)
        other[:, 2] += 1.0
        assert not torch.allclose(verdict(other, picture), base)
        assert not torch.allclose(verdict(words, picture + 1), base)
