"""Words and vocabularies, as the papers use them.

AMFMN and GaLR tokenise with NLTK, lower-case, drop fifteen signs, and
keep words that occur five times. The splitter here does the same on
ordinary captions without NLTK or a download. It differs in one thing:
a full stop glued between two words ("green.there") parts them, where
NLTK keeps one word that no vocabulary knows.

Chapter: notebooks/01_data_and_protocol.ipynb.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache

import numpy as np

from rsir.utils.errors import RsirError
from rsir.utils.io import atomic_write, read_text

PUNCTUATION = frozenset(",.:;?()[]&!*@#$%")  # both released codes drop these
PAD, UNK = "<pad>", "<unk>"

_QUOTES = str.maketrans({"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"'})
_STEPS = [
    (re.compile(pattern), by)
    for pattern, by in (
        (r'(^|[\s(\[{<])"', r"\1 `` "),  # opening quotes
        (r'"', " '' "),  # the others close
        (r"([:,])(?=\D|$)", r" \1 "),  # not inside 1,000
        (r"\.{2,}", " ... "),
        (r"([;@#$%&?!()\[\]{}<>])", r" \1 "),
        (r"--+", " -- "),
        (r"(?<=[a-z]{2})\.(?=[a-z]{2})", " . "),
        (r"(?<![.\s])\.(?=[\s)\]}>'\"]*(?:\s|$))", " ."),
        (r"(?<=[^\s'])('(?:s|m|d|ll|re|ve))(?=\s|$)", r" \1"),
        (r"(?<=[a-z])(n't)(?=\s|$)", r" \1"),
        (r"\bcannot\b", "can not"),
        (r"(?<=[^\s'])'(?=\s|$)", " '"),  # the boats' wake
    )
]


def tokenize(text: str) -> list[str]:
    """The words of a sentence, lower-case, without `PUNCTUATION`.

    "can't" gives `ca n't`, "it's" gives `it 's`; hyphens, digits and
    numbers such as "1,000" and "3.5" stay in one piece. A sentence
    without a word, such as ".", gives an empty list.
    """
    text = text.translate(_QUOTES).lower()
    for pattern, by in _STEPS:
        text = pattern.sub(by, text)
    return [w for w in text.split() if w not in PUNCTUATION]


@cache
def _stemmer():
    import snowballstemmer

    return snowballstemmer.stemmer("english")


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """The English Snowball stem of a lower-case word."""
    return _stemmer().stemWord(word)


class Vocabulary:
    """Words and their numbers. 0 is the padding, always.

    Built here, 1 is `<unk>` and words follow by falling count, then
    alphabet; released vocabularies have `<unk>` at the end.

    Attributes:
        words: the word of each id; None for an id without one.
        unk: id of `<unk>`.

    Raises:
        RsirError: no `<unk>`, or the padding is not at 0.
    """

    def __init__(self, words: Sequence[str | None]):
        self.words = tuple(words)
        self._id: dict[str, int] = {}
        for i, word in enumerate(self.words):
            self._id.setdefault(word, i)
        self._id.pop(None, None)
        if self._id.get(PAD, 0) != 0 or self.words[:1] not in ((PAD,), (None,)):
            raise RsirError(
                f"a vocabulary has {PAD} at id 0; this one has {self.words[:1]}"
            )
        if UNK not in self._id:
            raise RsirError(f"a vocabulary needs the word {UNK}")
        self.unk = self._id[UNK]

    @classmethod
    def build(cls, captions: Iterable[str], threshold: int = 5) -> Vocabulary:
        """Words that occur at least `threshold` times (5 as released).

        `captions`: of train, or train and val; the released RSICD
        vocabulary has seen the test captions as well. The released code
        also leaves out NLTK's English stop words; here they stay.
        """
        count = Counter(w for c in captions for w in tokenize(c))
        kept = [w for w, n in count.items() if n >= threshold and w not in (PAD, UNK)]
        kept.sort(key=lambda w: (-count[w], w))
        return cls([PAD, UNK, *kept])

    def __len__(self) -> int:
        """Highest id plus one: the rows an embedding needs."""
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self._id

    def __getitem__(self, word: str) -> int:
        """The id of a word, that of `<unk>` if it is not known."""
        return self._id.get(word, self.unk)

    def __eq__(self, other) -> bool:
        return isinstance(other, Vocabulary) and self.words == other.words

    def encode(self, caption: str) -> list[int]:
        """Ids of the words; `<unk>` alone for a wordless caption."""
        return [self[w] for w in tokenize(caption)] or [self.unk]

    def encode_batch(
        self, captions: Sequence[str], max_len: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Ids of several captions, int64 [n, L], filled up with 0.

        L is the length of the longest, at most `max_len` (as released:
        47). Also the lengths, int64 [n], each from 1 to L.
        """
        if max_len is not None and max_len < 1:
            raise RsirError(f"max_len is {max_len}; give at least 1")
        rows = [self.encode(c)[:max_len] for c in captions]
        lengths = np.array([len(r) for r in rows], dtype=np.int64)
        width = int(lengths.max()) if rows else 0
        ids = np.zeros((len(rows), width), dtype=np.int64)
        for line, row in zip(ids, rows, strict=True):
            line[: len(row)] = row
        return ids, lengths

    def save(self, path: str | os.PathLike) -> None:
        """Write JSON, aside and then into place."""
        data = {"format": "rsir vocabulary 1", "words": self.words}
        with atomic_write(path) as file:
            json.dump(data, file, ensure_ascii=False, indent=0)
            file.write("\n")

    @classmethod
    def load(cls, path: str | os.PathLike) -> Vocabulary:
        """Read what `save` wrote, or a released `*_vocab.json`.

        Raises:
            RsirError: not JSON, or neither form.
        """
        try:
            data = json.loads(read_text(path, "vocabulary"))
        except json.JSONDecodeError as error:
            raise RsirError(f"{path} is not JSON ({error}); write it anew") from None
        match data:
            case {"words": [*words]}:
                return cls(words)
            case {"word2idx": {**table}} if table:
                if not all(isinstance(i, int) and i >= 0 for i in table.values()):
                    raise RsirError(f"{path}: 'word2idx' must give counts")
                words = dict((i, word) for word, i in table.items())
                return cls([words.get(i) for i in range(max(words) + 1)])
        raise RsirError(
            f"{path} is no vocabulary: it needs the key 'words' (of "
            "rsir) or 'word2idx' (of the released codes)"
        )
