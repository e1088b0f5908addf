"""How often captions say the same, and what that does to a batch.

Duplicates are the same string. Those of different images are what a
protocol has to decide about, and what makes negatives of a batch false.

Chapter: notebooks/01_data_and_protocol.ipynb.
"""

from __future__ import annotations

import numpy as np

from rsir.data.images import hash_of_captions
from rsir.data.split import Split
from rsir.evaluation.metrics import chance


def sharing(split: Split) -> np.ndarray:
    """How many captions of other images say the same, [n_captions]."""
    _, text = split.unique_texts()
    code = text * split.n_images + split.owner
    _, place, own = np.unique(code, return_inverse=True, return_counts=True)
    return np.bincount(text)[text] - own[place]


def duplicate_facts(split: Split) -> dict[str, int]:
    """Counts of a split.

    Returns:
        n_images, n_captions, n_texts: distinct captions;
        shared_captions: captions that another image has too;
        shared_images: images with such a caption;
        repeating_images: images that have one caption twice;
        one_text_images: images whose captions are all the same;
        commonest: how often the commonest caption stands there.
    """
    _, text = split.unique_texts()
    shared = sharing(split) > 0
    pairs = np.stack([split.owner, text])
    own, often = np.unique(pairs, axis=1, return_counts=True)
    return {
        "n_images": split.n_images,
        "n_captions": split.n_captions,
        "n_texts": len(np.unique(text)),
        "shared_captions": int(shared.sum()),
        "shared_images": len(np.unique(split.owner[shared])),
        "repeating_images": len(np.unique(own[0, often > 1])),
        "one_text_images": int((np.bincount(own[0]) == 1).sum()),
        "commonest": int(np.bincount(text).max()),
    }


def fresh(split: Split, train: Split) -> np.ndarray:
    """Images none of whose captions stands in train, [n_images] bool.

    For the others a good answer may be a good memory.
    """
    known = set(train.captions)
    seen = [text in known for text in split.captions]
    return np.bincount(split.owner[seen], minlength=split.n_images) == 0


def to_choose_on(val: Split, train: Split, least: int = 200) -> np.ndarray:
    """Images of val to choose an option on, [n_images] bool.

    The fresh ones, since copies of what train says reward a memory
    that test does not ask for. All, where fewer than `least` are fresh.
    """
    new = fresh(val, train)
    return new if new.sum() >= least else np.ones_like(new)


def false_negatives(
    split: Split, batch: int, draws: int = 1000, seed: int = 0
) -> dict[str, float]:
    """False negatives when a batch draws captions at random.

    Returns:
        In percent: "captions", the expected share of a batch's
        captions that stand there a second time under another image
        (exact: the other batch - 1 are drawn without replacement);
        "batches", the share of `draws` batches with at least one.
    """
    batch = min(batch, split.n_captions)
    same = sharing(split)
    wrong = split.n_captions - 1 - same
    share = 100 * chance(wrong, same, batch - 1).mean()
    # only captions that are shared matter; the others can meet no duplicate
    _, text = split.unique_texts()
    text, owner = text[same > 0], split.owner[same > 0]
    rng = np.random.default_rng(seed)
    found = 0
    for _ in range(draws):
        pick = rng.choice(split.n_captions, batch, replace=False)
        pick = pick[pick < len(text)]
        pairs = set(zip(text[pick].tolist(), owner[pick].tolist()))
        found += len({t for t, _ in pairs}) < len(pairs)
    return {"captions": float(share), "batches": 100 * found / draws}


def captions_hash(split: Split) -> str:
    """sha256 of captions and owners in order; pictures do not enter."""
    return hash_of_captions(split, "rsir captions 1\n")
