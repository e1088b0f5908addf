"""What chapter 01 counts about duplicates, against plain counting."""

import itertools

import numpy as np
import pytest

from rsir.data import Split
from rsir.data import caption_statistics as dup


def split_of(*captions):
    """One string an image; its letters are the captions."""
    owner = np.repeat(np.arange(len(captions)), [len(c) for c in captions])
    return Split(
        "made",
        "train",
        [f"{i}.png" for i in range(len(captions))],
        "".join(captions),
        owner,
        [str(i) for i in range(len(captions))],
    )


def test_sharing_counts_captions_of_other_images():
    split = split_of("aab", "ac", "dd", "a")
    assert dup.sharing(split).tolist() == [2, 2, 0, 3, 0, 0, 0, 3]
    facts = dup.duplicate_facts(split)
    assert facts == {
        "n_images": 4,
        "n_captions": 8,
        "n_texts": 4,
        "shared_captions": 4,
        "shared_images": 3,
        "repeating_images": 2,
        "one_text_images": 2,
        "commonest": 4,
    }


def test_fresh_images_have_no_caption_of_train():
    val, train = split_of("ab", "cd", "ee", "f"), split_of("a", "dxx")
    new = dup.fresh(val, train)
    assert new.tolist() == [False, False, True, True]
    some = dup.to_choose_on(val, train, least=2)
    assert some.tolist() == new.tolist()
    assert dup.to_choose_on(val, train, least=3).all()


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 8])
def test_false_negatives_equal_all_batches_counted(batch):
    split = split_of("aab", "ac", "dd", "a")
    owner, captions = split.owner, split.captions
    hit_captions = hit_batches = total = 0
    for chosen in itertools.combinations(range(8), batch):
        false = [
            any(captions[i] == captions[j] and owner[i] != owner[j] for j in chosen)
            for i in chosen
        ]
        hit_captions += sum(false)
        hit_batches += any(false)
        total += 1
    found = dup.false_negatives(split, batch, draws=3000)
    assert found["captions"] == pytest.approx(100 * hit_captions / total / batch)
    assert found["batches"] == pytest.approx(100 * hit_batches / total, abs=4)


def test_a_hash_knows_words_and_owners():
    one = dup.captions_hash(split_of("ab", "c"))
    assert one == dup.captions_hash(split_of("ab", "c"))
    assert one != dup.captions_hash(split_of("a", "bc"))
    assert one != dup.captions_hash(split_of("ab", "d"))
