"""The model of those who name none, and search in a split (chapter 00)."""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch

from rsir.data import Split, Splits, cache_dir
from rsir.data.images import content_hash, open_image, unreadable
from rsir.data.toy import WORLDS
from rsir.encoders.encoded_split import EncodedSplit
from rsir.models import config
from rsir.models.base import TwoTower, encode_sides
from rsir.retrieval.index import Index, encode_pictures, encode_sentence, one_vector
from rsir.training.trainer import train
from rsir.training.weights import load_weights
from rsir.utils.errors import RsirError
from rsir.utils.io import locked


def baseline(splits: Splits) -> TwoTower:
    """The linear baseline of a data set, trained once and kept.

    Toy scenes take the preset `toy`, others `cpu`. Returns a model in
    evaluation mode.
    """
    preset = "toy" if splits.name == "toy" else "cpu"
    # one view: a third of the time before the first search
    asked = config("linear", preset, "one-view")
    facts = json.dumps(asked.to_dict(), sort_keys=True)
    key = hashlib.sha256(
        (facts + content_hash(splits.train) + "\n".join(splits.train.captions)).encode()
    ).hexdigest()[:16]
    run_dir = cache_dir() / "baseline" / f"{splits.name}-{key}"
    run_dir.mkdir(parents=True, exist_ok=True)
    with locked(run_dir / ".lock", "the frozen baseline"):  # two notebooks at once
        return train(asked, splits, run_dir).model


def ready_model(splits: Splits) -> TwoTower:
    """The model of those who name none: the weights `dual`, which have learned on
    real pictures; for toy scenes, their baseline.
    """
    toy = splits.name in ("toy", *WORLDS)
    return baseline(splits) if toy else load_weights("dual")


def readable(splits: Splits) -> tuple[Splits, list[tuple[str, str]]]:
    """Splits without unreadable pictures, and (path, cause) of those."""
    kept, skipped = [], []
    for split in splits:
        bad = dict(unreadable(split.images, split.pixels))
        good = [path not in bad for path in split.images]
        kept.append(split.subset(np.array(good)) if bad else split)
        skipped += [(str(path), cause) for path, cause in bad.items()]
    return Splits(splits.name, splits.root, *kept), skipped


@torch.inference_mode()
def search(
    model: TwoTower,
    split: Split,
    sentence: str | None = None,
    k: int = 5,
    *,
    like: str | Path | None = None,
    encoded: EncodedSplit | None = None,
) -> list[tuple[int, float]]:
    """The k pictures of a split that fit a query best.

    `like` is a picture as the query; `encoded`, the split as the model
    reads it, saves time. Gives (index of the picture, score), best first,
    ties in split order.

    Raises:
        RsirError: the model needs keywords beside the sentence, or more
            than one vector to compare pictures.
    """
    if getattr(model.config, "keywords", False) and like is None:
        raise RsirError(
            "this model was trained with keywords beside each "
            "sentence; train one with keywords=false to search"
        )
    encoded = encoded or model.encode_split(split, progress=False)
    images, _ = encode_sides(model, encoded, texts=False)
    if like is None:
        scores = model.score(images, encode_sentence(model, sentence))[:, 0]
        order = scores.argsort(descending=True, stable=True)[:k]
        return [(int(i), float(scores[i])) for i in order]
    own = encode_pictures(model, [open_image(like, split.pixels)])
    rows, query = (one_vector(side, model) for side in (images, own))
    kind = "binary-flat" if rows.dtype == np.uint8 else "flat"
    scores, found = Index.build(kind, rows).search(query, k)
    return list(zip(found[0].tolist(), scores[0].tolist()))
