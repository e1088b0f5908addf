"""An archive: its build against the bare encoder, its search against FAISS.

    python benchmarks/archive.py [--weights dual] [--pictures 1000] [--folder F]

* bare: the image encoder on one batch of pixels that lies in memory, again and
  again; nothing is read, scaled or written.
* build: `rsir.archive.build` of a folder with as many pictures (toy scenes, JPEG,
  unless --folder names another one), with all that belongs to it. The bare encoder
  is timed before and after.
* search: `rsir.archive.search` of that archive by a sentence, and the least that it
  takes: the same sentence encoded, and one scan of the same vectors by FAISS. The
  medians of 20 sentences, each asked of both in turn.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from rsir.archive.build import BATCH, build
from rsir.archive.search import search
from rsir.archive.store import Store, read, vectors_of
from rsir.data import load_dataset
from rsir.data.images import ImageFolder
from rsir.retrieval.index import Index, encode_sentence, one_vector
from rsir.retrieval.search import baseline
from rsir.training.weights import load_weights


def bare(model, n):
    """Seconds for n pictures."""
    encoder = model.image_encoder
    pixels = torch.rand(BATCH, 3, encoder.size, encoder.size)
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        start = time.perf_counter()
        for i in range(0, n, BATCH):
            encoder(pixels[: n - i])
        return time.perf_counter() - start


def jpegs(n, folder):
    """A folder with n toy scenes as JPEG files."""
    folder.mkdir()
    images = load_dataset("toy").train.images
    for i in range(n):
        with Image.open(images[i % len(images)]) as picture:
            moved = picture.rotate(90 * (i // len(images)))  # no two files are equal
            moved.save(folder / f"{i:06d}.jpg", quality=90)
    return folder


def asked_of_both(model, archive, sentences):
    """Median milliseconds of encoding and FAISS, and of a search."""
    parts = [read(path, ["embedding"]) for path in Store(archive).shards()]
    flat = Index.build("flat", np.concatenate([vectors_of(part) for part in parts]))

    def least(sentence):
        with torch.inference_mode():
            query = one_vector(encode_sentence(model, sentence), model)
        flat.search(query, 20)

    took = {least: [], lambda sentence: search(model, archive, sentence, 20): []}
    for sentence in [sentences[0], *sentences]:  # the first warms
        for ask, seconds in took.items():
            start = time.perf_counter()
            ask(sentence)
            seconds.append(time.perf_counter() - start)
    return [1000 * np.median(seconds[1:]) for seconds in took.values()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", default="", help="default: the toy baseline")
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    splits = load_dataset("toy")
    model = load_weights(asked.weights) if asked.weights else baseline(splits)
    model.eval()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or jpegs(asked.pictures, Path(temporary) / "pictures")
        n = len(ImageFolder(folder).images)
        bare(model, BATCH)  # warm
        before = bare(model, n)
        built = build(model, [folder], Path(temporary) / "archive", progress=False)
        after = bare(model, n)
        sentences = splits.test.captions[:100:5]
        faiss, whole = asked_of_both(model, Path(temporary) / "archive", sentences)
    least = (before + after) / 2
    print(f"{n} pictures, {torch.get_num_threads()} threads of PyTorch")
    print(f"bare encoder  {n / before:6.1f} and {n / after:6.1f} pictures a second")
    print(f"build         {n / built.seconds:6.1f} pictures a second")
    print(f"the build has {least / built.seconds:.0%} of the bare encoder's rate")
    print(f"search        {whole:6.1f} ms; encoding and FAISS alone {faiss:.1f} ms")
    print(f"a search takes {whole / faiss:.2f} times as long as its parts")


if __name__ == "__main__":
    main()
