"""Readers for the Karpathy-style JSON of the authors' archives.

`dataset_rsicd.json`, `dataset_RSITMD.json`, and `dataset.json` (UCM
and Sydney) share one form: `images`, each with `filename`, `split`
and `sentences` that hold `raw`. RSITMD adds keywords.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from rsir.data.assemble import Record, Rules, assemble, split_name
from rsir.data.images import ImageFolder
from rsir.data.paths import read_text
from rsir.data.split import Splits
from rsir.errors import RsirError


def read_karpathy(
    name: str,
    source: Path,
    images: Path,
    rules: Rules | None = None,
    label_of: Callable[[str], str] | None = None,
) -> Splits:
    """Read one JSON file and the image folder beside it.

    Args:
        name: name of the data set.
        source: the JSON file.
        images: folder of the image files.
        rules: checks and cut of val, see `rsir.data.assemble`.
        label_of: gives the scene kind for an image id.

    Raises:
        RsirError: not JSON, a key missing, or a fault of the data.
    """
    records = parse_karpathy(source, expect=name)
    return assemble(
        name, Path(source).parent, records, ImageFolder(images),
        rules or Rules(), Path(source), label_of,
    )


def parse_karpathy(source: Path, expect: str = "") -> list[Record]:
    """The records of a JSON file, in file order.

    Args:
        source: the JSON file.
        expect: data set that it should be; another known name in the
            file's `dataset` field is an error.
    """
    text = read_text(source, "annotation file")
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise RsirError(
            f"{source} is not JSON (line {error.lineno}, column "
            f"{error.colno}: {error.msg}); it may be cut off, fetch "
            "it again"
        ) from None
    if not isinstance(data, dict) or "images" not in data:
        keys = f" (it has {sorted(data)})" if isinstance(
            data, dict) else ""
        raise RsirError(
            f"{source} has no key 'images'{keys}; a Karpathy-style "
            "file is an object with a list 'images'"
        )
    says = str(data.get("dataset", "")).lower().replace("_captions", "")
    known = {"rsicd", "rsitmd", "ucm", "sydney"}
    if expect in known and says in known - {expect}:
        raise RsirError(
            f"{source} is the data set {says!r} by its own words, "
            f"not {expect!r}; give the folder of {expect}"
        )
    if not isinstance(data["images"], list):
        raise RsirError(f"{source}: 'images' is not a list")
    return [
        _record(source, i, item) for i, item in enumerate(data["images"])
    ]


def _record(source: Path, i: int, item) -> Record:
    where = f"images[{i}]"
    if not isinstance(item, dict):
        raise RsirError(f"{source}: {where} is not an object")
    for key in ("filename", "split", "sentences"):
        if key not in item:
            raise RsirError(
                f"{source}: {where} has no key {key!r} (it has "
                f"{', '.join(sorted(item)) or 'none'})"
            )
    name = item["filename"]
    if not isinstance(name, str) or not name.strip():
        raise RsirError(
            f"{source}: {where} has an empty 'filename' ({name!r})"
        )
    if not isinstance(item["sentences"], list):
        raise RsirError(
            f"{source}: {where} ({name}): 'sentences' is not a list"
        )
    captions, words = [], list(_words(item))
    for j, sentence in enumerate(item["sentences"]):
        raw = (sentence.get("raw") if isinstance(sentence, dict)
               else sentence)
        if not isinstance(raw, str):
            raise RsirError(
                f"{source}: {where} ({name}): sentences[{j}] has no "
                "text under 'raw'"
            )
        captions.append(" ".join(raw.splitlines()))
        if isinstance(sentence, dict):
            words += _words(sentence)
    return Record(
        id=name.strip(),
        captions=tuple(captions),
        split=split_name(item["split"], f"{source}: {where} ({name})"),
        where=where,
        keywords=tuple(dict.fromkeys(words)) if words else None,
    )


def _words(item: dict) -> list[str]:
    found = item.get("keywords", item.get("keyword")) or []
    if isinstance(found, str):
        found = found.split(",")
    return [w.strip() for w in found if isinstance(w, str) and w.strip()]
