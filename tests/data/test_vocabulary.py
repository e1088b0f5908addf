"""Words and vocabularies."""

import numpy as np
import pytest

from rsir.data.text import PUNCTUATION, Vocabulary, stem, tokenize
from rsir.utils.errors import RsirError


@pytest.mark.parametrize(
    "text, words",
    [
        ("Many planes are parked.", "many planes are parked"),
        ("It can't be seen .", "it ca n't be seen"),
        ("it's a road, isn't it?", "it 's a road is n't it"),
        ("we cannot see", "we can not see"),
        ("the boats' wake", "the boats ' wake"),
        ("a T-shaped road (new)", "a t-shaped road new"),
        ("1,000 cars, 3.5 m wide", "1,000 cars 3.5 m wide"),
        ("two,three:four;five", "two three four five"),
        ("trees. some roads", "trees some roads"),
        ("very green.there is a lake", "very green there is a lake"),
        ("50% of it & more!", "50 of it more"),
        ("it\u2019s \u201cbig\u201d", "it 's `` big ''"),
        ("houses ... and -- trees", "houses ... and -- trees"),
        ('house."', "house ''"),
        (" .", ""),
        ("", ""),
    ],
)
def test_tokens(text, words):
    assert tokenize(text) == words.split()


def test_listed_signs_are_dropped_and_nothing_else():
    text = "a , . : ; ? ( ) [ ] & ! * @ # $ % - / b"
    assert tokenize(text) == ["a", "-", "/", "b"]
    assert set(text.split()) - set(tokenize(text)) == PUNCTUATION


def test_stem_is_english_snowball():
    assert stem("planes") == stem("plane")
    assert stem("buildings") == "build"
    assert stem("road") != stem("river")


CAPTIONS = ["a road a road", "a lake near a road", "b . lake", "c"]


def test_vocabulary_order_and_threshold():
    v = Vocabulary.build(CAPTIONS, threshold=2)
    assert v.words == ("<pad>", "<unk>", "a", "road", "lake")
    assert v == Vocabulary.build(CAPTIONS[::-1], threshold=2)
    assert len(v) == 5 and v.unk == 1
    assert "near" not in v and v["near"] == v.unk
    assert len(Vocabulary.build(CAPTIONS)) == 2


def test_encode_and_decode():
    v = Vocabulary.build(CAPTIONS, threshold=2)
    assert v.encode("A road, near.") == [2, 3, 1]
    assert v.encode(".") == [v.unk]
    ids, lengths = v.encode_batch(["a road", ".", "a a a a"], max_len=3)
    assert ids.dtype == lengths.dtype == np.int64
    assert ids.tolist() == [[2, 3, 0], [1, 0, 0], [2, 2, 2]]
    assert lengths.tolist() == [2, 1, 3]
    assert v.encode_batch([])[0].shape == (0, 0)
    with pytest.raises(RsirError, match="max_len"):
        v.encode_batch(["a"], max_len=0)


def test_save_and_load(tmp_path):
    v = Vocabulary.build(CAPTIONS + ["caf\u00e9"] * 5, threshold=1)
    v.save(tmp_path / "deep" / "v.json")
    assert Vocabulary.load(tmp_path / "deep" / "v.json") == v
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["v.json"]


def test_released_vocabulary_keeps_its_ids(tmp_path):
    path = tmp_path / "rsicd_vocab.json"
    path.write_text('{"word2idx": {"road": 1, "lake": 2, "<unk>": 3}, "idx": 4}')
    v = Vocabulary.load(path)
    assert v.encode("lake of road") == [2, 3, 1]
    assert len(v) == 4
    v.save(path)
    assert Vocabulary.load(path) == v


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "not JSON"),
        ("[]", "no vocabulary"),
        ('{"words": ["a"]}', "<pad> at id 0"),
        ('{"words": ["<pad>", "a"]}', "<unk>"),
        ('{"word2idx": {"a": "b"}}', "word2idx"),
    ],
)
def test_bad_vocabulary_files(tmp_path, text, message):
    path = tmp_path / "v.json"
    path.write_text(text)
    with pytest.raises(RsirError, match=message):
        Vocabulary.load(path)
