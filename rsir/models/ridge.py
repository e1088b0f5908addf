"""The ridge baseline: picture statistics, bags of words, one matrix.

Not a published system: ridge regression from simple measurements of a picture
to the mean bag of words of its captions, with NumPy, in seconds, without
PyTorch or weights. Chapter 01 builds it and explains the protocol with it.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image
from scipy import sparse

from rsir.data.images import open_image
from rsir.data.split import Split
from rsir.data.text import Vocabulary, tokenize

PENALTY = 0.03  # of the ridge
THRESHOLD = 5  # least count of a word
EDGE = 64  # pictures are measured in this size, in pixels
STRENGTHS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32]  # of edges
_WAVE = np.fft.fftfreq(EDGE)
_LENGTH = np.hypot(_WAVE[:, None], _WAVE[None]).ravel()
RING = np.digitize(_LENGTH, [0.03, 0.06, 0.1, 0.15, 0.22, 0.3, 0.4])
RING_SIZE = np.bincount(RING)


def colour(rgb: np.ndarray) -> np.ndarray:
    """245 numbers of a picture [64, 64, 3] in 0..1.

    How often each of 125 colours occurs, and mean and spread of each channel in
    the fields of two grids, sorted: the same for a turned picture.
    """
    code = np.minimum((rgb * 5).astype(int), 4) @ [25, 5, 1]
    found = [np.sqrt(np.bincount(code.ravel(), minlength=125) / code.size)]
    for n in (2, 4):
        side = EDGE // n
        fields = rgb.reshape(n, side, n, side, 3).swapaxes(1, 2)
        fields = fields.reshape(n * n, side * side, 3)
        for values in (fields.mean(axis=1), fields.std(axis=1)):
            found.append(np.sort(values, axis=0).ravel())
    return np.concatenate(found)


def texture(rgb: np.ndarray) -> np.ndarray:
    """77 numbers of a picture [64, 64, 3] in 0..1.

    Directions and strengths of edges at three scales; power in eight rings.
    """
    grey = rgb.mean(axis=2)
    found = []
    for step in (1, 2, 4):
        small = grey.reshape(EDGE // step, step, EDGE // step, step)
        down, right = np.gradient(small.mean(axis=(1, 3)))
        strength = np.hypot(down, right).ravel()
        angle = np.arctan2(down, right).ravel() % np.pi
        way = np.minimum((angle / np.pi * 8).astype(int), 7)
        ways = np.bincount(way, strength, minlength=8) / len(way)
        bins = np.digitize(strength, STRENGTHS)
        steps = np.bincount(bins, minlength=len(STRENGTHS) + 1)
        # sorted: the same for a turned picture
        found += [np.sqrt(ways), np.sqrt(np.sort(ways)), np.sqrt(steps / len(way))]
    power = np.abs(np.fft.fft2(grey - grey.mean())).ravel()
    found.append(np.log(1e-3 + np.bincount(RING, power) / RING_SIZE))
    return np.concatenate(found)


def picture_statistics(paths: Sequence) -> np.ndarray:
    """Measurements of pictures, float32 [n_images, 322]."""

    def measure(path):
        image = open_image(path).resize((EDGE, EDGE), Image.Resampling.BOX)
        rgb = np.asarray(image, np.float32) / 255  # (64, 64, 3)
        return np.concatenate([colour(rgb), texture(rgb)])

    with ThreadPoolExecutor(4) as pool:
        return np.array(list(pool.map(measure, paths)), np.float32)


class BagOfWords:
    """Sentences as sets of weighted words, of length one, minus their mean.

    A word weighs -log of the share of captions of `train` that hold it; the
    mean is that of these captions.
    """

    def __init__(self, train: Split) -> None:
        self.words = Vocabulary.build(train.captions, THRESHOLD)
        self.weight, self.mean = np.float32(1), np.float32(0)
        texts, which = train.unique_texts()
        often = np.bincount(which) / len(which)  # [n_texts]
        share = often @ (self.encode(texts) > 0)  # [n_words]
        self.weight = -np.log(np.maximum(share, 1 / len(which))).astype(np.float32)
        self.mean = (often @ self.encode(texts)).astype(np.float32)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """[n_texts, n_words]."""
        bags = np.zeros((len(texts), len(self.words)), np.float32)
        for bag, text in zip(bags, texts, strict=True):
            bag[[self.words[w] for w in tokenize(text)]] = 1
        bags[:, : self.words.unk + 1] = 0  # padding and unknown words
        return unit(bags * self.weight) - self.mean

    def of_images(self, split: Split) -> np.ndarray:
        """Mean of each image's captions, float64 [n_images, n_words]."""
        texts, which = split.unique_texts()
        part = 1 / split.counts()[split.owner]  # [n_captions]
        shape = split.n_images, len(texts)
        shares = sparse.csr_array((part, (split.owner, which)), shape)
        return shares @ self.encode(texts)


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows with length one; a row of zeros stays one."""
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / np.where(length > 0, length, 1)


def solve(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    """W that minimises |XW - Y|^2 + penalty * n |W|^2, in closed form.

    Args:
        x, y: [n, n_in] and [n, n_out], centred.
        penalty: from 0; times n, so that it does not depend on n.
    """
    square = x.T @ x + penalty * len(x) * np.eye(x.shape[1])
    return np.linalg.solve(square, x.T @ y)


class Ridge:
    """Ridge regression from picture statistics to bags of words.

    Args:
        look: function of a split that gives [n_images, n_features]; None:
            `picture_statistics` of its images.
    """

    def __init__(self, look: Callable[[Split], np.ndarray] | None = None) -> None:
        self.look = look or (lambda split: picture_statistics(split.images))

    def fit(self, train: Split) -> "Ridge":
        """Learn from a training split; takes seconds."""
        x = np.asarray(self.look(train), float)
        self.mean, self.std = x.mean(axis=0), x.std(axis=0) + 1e-6
        self.words = BagOfWords(train)
        y = self.words.of_images(train)
        self.matrix = solve((x - self.mean) / self.std, y, PENALTY)
        return self

    def scores(self, split: Split) -> np.ndarray:
        """[n_images, n_captions], float32; duplicates tie exactly."""
        x = (np.asarray(self.look(split), float) - self.mean) / self.std
        # one product of all captions might add up the same in another order
        texts, which = split.unique_texts()
        table = unit(x @ self.matrix) @ unit(self.words.encode(texts)).T
        return table.astype(np.float32)[:, which]
