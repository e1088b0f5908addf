"""The linear baseline: two frozen encoders, one matrix on each side.

Not a published system. It says how far the encoders alone go, so
that a chapter can tell what a method's own modules add. Chapter 01.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch.nn.functional as F
from PIL import Image
from scipy import sparse
from torch import Tensor, nn

from rsir.data.images import open_image
from rsir.data.split import Split
from rsir.data.text import Vocabulary, tokenize
from rsir.encoders.image import ImageEncoder
from rsir.encoders.text import TextEncoder
from rsir.models import losses
from rsir.models.base import Retriever
from rsir.models.layers import Standardise, head


class Linear(Retriever):
    """cos(W_v v, W_t t) with InfoNCE; shared captions count as one.

    Args:
        image_encoder, text_encoder: frozen.
        dim: length of the joint space.
        dropout: on pictures' vectors while training.
        temperature: divides the cosines in the loss.
    """

    reads = ("pooled",)

    def __init__(
        self,
        image_encoder: ImageEncoder,
        text_encoder: TextEncoder,
        *,
        dim: int = 512,
        dropout: float = 0.3,
        temperature: float = 0.07,
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.text_encoder = text_encoder
        self.temperature = temperature
        self.standardise = Standardise(image_encoder.dim)
        self.dropout = nn.Dropout(dropout)
        self.to_image = nn.Linear(image_encoder.dim, dim)
        self.to_text = nn.Linear(text_encoder.dim, dim)

    def encode_images(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        pooled = self.standardise(features["pooled"].float())
        v = self.to_image(self.dropout(pooled))
        return {"v": F.normalize(v, dim=1)}

    def encode_texts(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        t = self.to_text(features["pooled"])
        return {"t": F.normalize(t, dim=1)}

    def score(
        self, images: Mapping[str, Tensor], texts: Mapping[str, Tensor]
    ) -> Tensor:
        return images["v"] @ texts["t"].T

    def losses(self, scores: Tensor, pairs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {
            "contrastive": losses.contrastive(
                scores, self.temperature, pairs["positive"]
            )
        }


# ----------------------------------------------------------------------
# The MLP baseline: two frozen encoders, a small network on each side.
#
# Not a published system. The linear baseline can only turn and stretch
# what the encoders say; this one can bend it. What it adds, a method
# has to add as well before its own idea counts. Chapter 02.


class MLP(Linear):
    """cos(f(v), g(t)) with InfoNCE; f and g have two layers.

    Args:
        image_encoder, text_encoder: frozen.
        dim: length of the joint space.
        hidden: units of f and g.
        dropout: on pictures' vectors while training.
        temperature: divides the cosines in the loss.
    """

    def __init__(
        self,
        image_encoder: ImageEncoder,
        text_encoder: TextEncoder,
        *,
        dim: int = 512,
        hidden: int = 2048,
        dropout: float = 0.3,
        temperature: float = 0.07,
    ) -> None:
        super().__init__(
            image_encoder,
            text_encoder,
            dim=dim,
            dropout=dropout,
            temperature=temperature,
        )
        self.to_image = head(image_encoder.dim, dim, hidden)
        self.to_text = head(text_encoder.dim, dim, hidden)


# ----------------------------------------------------------------------
# The pocket baseline: picture statistics, bags of words, one matrix.
#
# Not a published system. It needs NumPy and seconds, no network and no
# weights, and still it is a real linear model: ridge regression from
# simple measurements of a picture to the mean bag of words of its
# captions. Chapter 01 builds it and then uses it to explain the protocol.
#
# Chapter: notebooks/01_data_and_protocol.ipynb.


EDGE = 64
"""Pictures are looked at in this size, in pixels."""

PARTS = ("colour", "texture")


def picture_statistics(paths: Sequence, parts: Sequence[str] = PARTS) -> np.ndarray:
    """Measurements of pictures, float32 [n_images, n_statistics].

    "colour", 245 numbers: how often each of 125 colours occurs, and
    mean and spread of each channel in the fields of a 2 x 2 and a
    4 x 4 grid, sorted, so that a turned picture gives the same.
    "texture", 77 numbers: directions and strengths of edges at three
    scales, and the power spectrum in eight rings.

    Raises:
        RsirError: a picture cannot be read; the message names it.
    """

    def measure(path):
        image = open_image(path)
        image = image.resize((EDGE, EDGE), Image.Resampling.BOX)
        rgb = np.asarray(image, np.float32) / 255  # (64, 64, 3)
        return np.concatenate([MEASURES[p](rgb) for p in parts])

    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(measure, paths))
    return np.array(rows, np.float32)


def colour(rgb: np.ndarray) -> np.ndarray:
    """245 numbers of a picture [64, 64, 3] with values in 0..1."""
    level = np.minimum((rgb * 5).astype(int), 4)
    code = level @ [25, 5, 1]
    share = np.bincount(code.ravel(), minlength=125) / code.size
    found = [np.sqrt(share)]
    for n in (2, 4):
        side = EDGE // n
        fields = rgb.reshape(n, side, n, side, 3).swapaxes(1, 2)
        fields = fields.reshape(n * n, side * side, 3)
        for values in (fields.mean(axis=1), fields.std(axis=1)):
            found.append(np.sort(values, axis=0).ravel())
    return np.concatenate(found)


def texture(rgb: np.ndarray) -> np.ndarray:
    """77 numbers of a picture [64, 64, 3] with values in 0..1."""
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
        found += [
            np.sqrt(ways),
            np.sqrt(np.sort(ways)),  # the same for a turned picture
            np.sqrt(steps / len(way)),
        ]
    power = np.abs(np.fft.fft2(grey - grey.mean())).ravel()
    found.append(np.log(1e-3 + np.bincount(RING, power) / RING_SIZE))
    return np.concatenate(found)


MEASURES = {"colour": colour, "texture": texture}
STRENGTHS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32]
_WAVE = np.fft.fftfreq(EDGE)
RING = np.digitize(
    np.hypot(_WAVE[:, None], _WAVE[None]).ravel(),
    [0.03, 0.06, 0.1, 0.15, 0.22, 0.3, 0.4],
)
RING_SIZE = np.bincount(RING)


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows with length one; a row of zeros stays one."""
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / np.where(length > 0, length, 1)


def ridge(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    """W that minimises |XW - Y|^2 + penalty * n |W|^2, in closed form.

    Args:
        x: [n, n_in], centred. y: [n, n_out], centred.
        penalty: from 0; times n, so that it does not depend on n.
    """
    square = x.T @ x + penalty * len(x) * np.eye(x.shape[1])
    return np.linalg.solve(square, x.T @ y)


class BagOfWords:
    """Sentences as word counts without the counts: 0 or the weight.

    A word weighs -log of the share of training captions that hold it.
    Sentences have length one, then the mean training caption is
    taken away.

    Args:
        split: the training split.
        threshold: least count of a word.
    """

    def __init__(self, split: Split, threshold: int = 5):
        self.words = Vocabulary.build(split.captions, threshold)
        self.weight, self.mean = np.float32(1), np.float32(0)
        texts, which = split.unique_texts()
        often = np.bincount(which) / len(which)  # [n_texts]
        share = often @ (self.encode(texts) > 0)  # [n_words]
        share = np.maximum(share, 1 / len(which))
        self.weight = -np.log(share).astype(np.float32)
        self.mean = (often @ self.encode(texts)).astype(np.float32)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """[n_texts, n_words], minus the mean of training."""
        bags = np.zeros((len(texts), len(self.words)), np.float32)
        for bag, text in zip(bags, texts, strict=True):
            bag[[self.words[w] for w in tokenize(text)]] = 1
        bags[:, : self.words.unk + 1] = 0  # padding and unknown words
        return unit(bags * self.weight) - self.mean

    def of_images(self, split: Split) -> np.ndarray:
        """Mean of each image's captions, float64 [n_images, n_words]."""
        texts, which = split.unique_texts()
        part = 1 / split.counts()[split.owner]  # [n_captions]
        belongs = sparse.csr_array(
            (part, (split.owner, which)), (split.n_images, len(texts))
        )
        return belongs @ self.encode(texts)


class Pocket:
    """Ridge regression from picture statistics to bags of words.

    Args:
        penalty: of the ridge.
        threshold: least count of a word.
        look: function of a split that gives [n_images, n_features];
            by default `picture_statistics` of its images.
    """

    def __init__(self, penalty: float = 0.03, threshold: int = 5, look=None):
        self.penalty, self.threshold = penalty, threshold
        self.look = look or (lambda s: picture_statistics(s.images))

    def fit(self, train: Split) -> "Pocket":
        """Learn from a training split; takes seconds."""
        x = np.asarray(self.look(train), float)
        self.mean, self.std = x.mean(axis=0), x.std(axis=0) + 1e-6
        self.words = BagOfWords(train, self.threshold)
        self.matrix = ridge(
            (x - self.mean) / self.std,
            self.words.of_images(train),
            self.penalty,
        )
        return self

    def predict(self, split: Split) -> np.ndarray:
        """A bag of words for each picture, [n_images, n_words]."""
        x = (np.asarray(self.look(split), float) - self.mean) / self.std
        return unit(x @ self.matrix)

    def scores(self, split: Split) -> np.ndarray:
        """[n_images, n_captions], float32.

        Every distinct text is scored once, so equal captions have
        exactly equal scores. (One large product need not give that:
        it may add up the same numbers in another order.)
        """
        texts, which = split.unique_texts()
        bags = unit(self.words.encode(texts))
        table = self.predict(split) @ bags.T  # [n_images, n_texts]
        return table.astype(np.float32)[:, which]
