"""Pictures into an archive: the whole build against the bare encoder.

    python benchmarks/embedding.py [--weights dual] [--pictures 1000] [--folder F]

* bare: the image encoder on one batch of pixels that lies in memory, again and
  again; nothing is read, scaled or written.
* build: `rsir.archive.build` of a folder with as many pictures (toy scenes, JPEG,
  unless --folder names another one), with all that belongs to it.

The bare encoder is timed before and after, in the same run. Their ratio says which
share of a build is the encoder's.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image

from rsir.archive.build import BATCH, build
from rsir.data import load_dataset
from rsir.data.images import ImageFolder
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
    least = (before + after) / 2
    print(f"{n} pictures, {torch.get_num_threads()} threads of PyTorch")
    print(f"bare encoder  {n / before:6.1f} and {n / after:6.1f} pictures a second")
    print(f"build         {n / built.seconds:6.1f} pictures a second")
    print(f"the build has {least / built.seconds:.0%} of the bare encoder's rate")


if __name__ == "__main__":
    main()
