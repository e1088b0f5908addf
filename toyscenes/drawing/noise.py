"""A bank of noise tiles, made once per process and cropped ever after.

Making fractal noise anew for every picture would cost more than the
rest of the drawing. The tiles wrap around, so that any crop is seamless
inside; a crop at a random place, flipped at random, is new enough.
"""

from functools import lru_cache

import numpy as np

TILE = 1024

# name: (exponent of the spectrum, longest and shortest wave in pixels)
_SPECTRA = {
    "cloud": (1.7, 400, 6),
    "mottle": (1.0, 60, 3),
    "grain": (0.2, 8, 1.6),
    "swell": (2.6, 300, 26),
    "relief": (2.2, 260, 5),
}


@lru_cache(maxsize=None)
def tile(name):
    """One noise tile `[1024, 1024]`, float32, mean 0 and deviation 1.

    The tile depends on its name alone: it is the same in every process
    and for every seed.
    """
    power, longest, shortest = _SPECTRA[name]
    seed = list(_SPECTRA).index(name)
    rng = np.random.default_rng([20240601, seed])
    freq_y = np.fft.fftfreq(TILE)[:, None]
    freq_x = np.fft.rfftfreq(TILE)[None, :]
    freq = np.hypot(freq_y, freq_x)
    freq[0, 0] = 1.0
    gain = freq**-power
    gain *= 1 / (1 + (1 / (freq * longest)) ** 4)
    gain *= 1 / (1 + (freq * shortest) ** 4)
    gain[0, 0] = 0.0
    white = rng.standard_normal((TILE, TILE))
    field = np.fft.irfft2(np.fft.rfft2(white) * gain, (TILE, TILE))
    field -= field.mean()
    return (field / field.std()).astype(np.float32)


def crop(rng, name, zoom=1):
    """A random crop `[256, 256]` of a noise tile, of every zoom-th pixel."""
    return cut(rng, tile(name), 256, zoom)


def cut(rng, whole, size, zoom=1):
    """A random crop of a tile, flipped at random; a view, not to be written."""
    span = size * zoom
    y, x = rng.integers(0, TILE - span + 1, 2)
    part = whole[y : y + span : zoom, x : x + span : zoom]
    flip = rng.integers(0, 4)
    if flip & 1:
        part = part[::-1]
    if flip & 2:
        part = part[:, ::-1]
    return part


def wavy(rng, u, amplitude, wavelength, terms=3):
    """A smooth random curve: a sum of sines over `u`, -256..256.

    Returns:
        The curve's offset and its slope, both shaped like `u`.
    """
    t = np.arange(-256, 256, 0.25)  # a table; sines are slow in 2-D
    offset, slope = np.zeros_like(t), np.zeros_like(t)
    for k in range(terms):
        wave = 2 * np.pi * (k + 1) / wavelength * rng.uniform(0.7, 1.2)
        size = amplitude * rng.uniform(0.4, 1.0) / (k + 1) ** 1.2
        phase = rng.uniform(0, 2 * np.pi)
        offset += size * np.sin(wave * t + phase)
        slope += size * wave * np.cos(wave * t + phase)
    at = ((u + 256) * 4).astype(np.intp)
    return (offset.astype(np.float32)[at], slope.astype(np.float32)[at])
